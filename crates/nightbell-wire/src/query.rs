/*!
awsQuery's request: a form whose keys are paths, such as `MetricData.member.1.Dimensions.member.2.Name=fs-01`.

The pairs are sorted by path, and a node of the tree is a run of pairs with a common beginning: no tree is built, and nothing is
allocated by a list's index. A node is read as what the struct asks for: a text as number or bool, `member.N` or `N` as list, `entry.N` or
`N` with `key` and `value` (or `Name` and `Value`) as map. The answers, XML, are `xml`'s.
*/

use crate::decode::{DecodeError, locate};
use crate::percent;
use crate::scalar;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use std::borrow::Cow;
use std::fmt::Display;

/// How many pairs a form may have. A full PutMetricData of the values API stays below.
pub const FORM_PAIRS_MAX: usize = 100_000;
/// How many parts a key may have between its dots.
pub const FORM_DEPTH_MAX: usize = 32;
/// A list's index has at most this many digits.
const INDEX_DIGITS_MAX: usize = 10;

pub(crate) fn decode<T: DeserializeOwned>(form: &str) -> Result<T, DecodeError> {
    let pairs = sorted_pairs(form)?;
    let root = Node { pairs: &pairs, at: 0 };
    T::deserialize(root).map_err(|first| locate::<T, _>(first, root))
}

/// The first value of each of the two names. Nothing where one is not percent-encoded UTF-8.
pub(crate) fn find<'f>(form: &'f str, names: [&str; 2]) -> Option<[Option<Cow<'f, str>>; 2]> {
    let mut found = [None, None];
    for piece in pieces(form) {
        let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
        for (name, slot) in names.iter().zip(&mut found) {
            if key == *name && slot.is_none() {
                *slot = Some(unescape(value)?);
            }
        }
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    Some(found)
}

struct Pair<'f> {
    key: Cow<'f, str>,
    value: Cow<'f, str>,
}

fn sorted_pairs(form: &str) -> Result<Vec<Pair<'_>>, DecodeError> {
    let mut pairs = Vec::new();
    for piece in pieces(form) {
        if pairs.len() == FORM_PAIRS_MAX {
            return Err(DecodeError::whole(format_args!(
                "the form has more than {FORM_PAIRS_MAX} parameters"
            )));
        }
        let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (Some(key), Some(value)) = (unescape(key), unescape(value)) else {
            return Err(DecodeError::whole("the form is not percent-encoded UTF-8"));
        };
        if key.bytes().filter(|&b| b == b'.').count() >= FORM_DEPTH_MAX {
            return Err(DecodeError::whole(format_args!(
                "a parameter nests deeper than {FORM_DEPTH_MAX} levels"
            )));
        }
        pairs.push(Pair { key, value });
    }
    // By parts, not by characters: `A`, `A.b`, `A-c` must not fall between each other.
    pairs.sort_by(|a, b| a.key.split('.').cmp(b.key.split('.')));
    if let Some(twice) = pairs.windows(2).find(|two| two[0].key == two[1].key) {
        return Err(DecodeError::whole(format_args!("the parameter is given twice: {}", twice[0].key)));
    }
    Ok(pairs)
}

fn pieces(form: &str) -> impl Iterator<Item = &str> {
    form.split('&').map(str::trim_ascii).filter(|piece| !piece.is_empty())
}

fn unescape(text: &str) -> Option<Cow<'_, str>> {
    match percent::decode(text)? {
        Cow::Borrowed(_) => Some(Cow::Borrowed(text)),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// Why the form is not what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

impl serde::de::Error for Refusal {
    fn custom<T: Display>(message: T) -> Refusal {
        Refusal(message.to_string())
    }
}

/// All pairs whose keys begin alike. Never empty, but for the root of an empty form.
#[derive(Clone, Copy)]
struct Node<'a> {
    pairs: &'a [Pair<'a>],
    /// Where in the keys the next part begins; past the end of the key that ends here.
    at: usize,
}

impl<'a> Node<'a> {
    /// The value of the key that ends here.
    fn text(self) -> Option<&'a str> {
        self.pairs.first().filter(|pair| part(pair, self.at).is_none()).map(|pair| &*pair.value)
    }

    /// The nodes one part further, with that part.
    fn children(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let at = self.at;
        self.pairs.chunk_by(move |a, b| part(a, at) == part(b, at)).filter_map(move |pairs| {
            let name = part(pairs.first()?, at)?;
            Some((name, Node { pairs, at: at + name.len() + 1 }))
        })
    }

    fn child(self, name: &str) -> Option<Node<'a>> {
        self.children().find(|(found, _)| *found == name).map(|(_, node)| node)
    }

    /// The numbered children, in the order of their numbers, directly below or below `wrapper`.
    fn items(self, wrapper: &str) -> Result<Vec<Node<'a>>, Refusal> {
        let mut items = Vec::new();
        for (name, node) in self.child(wrapper).unwrap_or(self).children() {
            let index = index(name).ok_or_else(|| Refusal(format!("not an index of a list: {name:?}")))?;
            items.push((index, node));
        }
        items.sort_by_key(|(index, _)| *index);
        Ok(items.into_iter().map(|(_, node)| node).collect())
    }

    fn scalar(self, expected: &dyn serde::de::Expected) -> Result<&'a str, Refusal> {
        self.text().ok_or_else(|| Refusal::invalid_type(Unexpected::Other("a structure or list"), expected))
    }

    /// A list, map or structure has no text of its own; an empty one says that it is empty.
    fn no_text(self, expected: &dyn serde::de::Expected) -> Result<(), Refusal> {
        match self.text() {
            Some(text) if !text.is_empty() => Err(Refusal::invalid_type(Unexpected::Str(text), expected)),
            _ => Ok(()),
        }
    }

    fn has_numbers(self) -> bool {
        self.children().next().is_some() && self.children().all(|(name, _)| index(name).is_some())
    }

    fn visit_list<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.no_text(&visitor)?;
        visitor.visit_seq(List { items: self.items("member")?.into_iter() })
    }

    fn visit_entries<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.no_text(&visitor)?;
        visitor.visit_map(Entries { items: self.items("entry")?.into_iter(), value: None })
    }

    fn visit_members<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.no_text(&visitor)?;
        visitor.visit_map(Members { children: self.children(), value: None })
    }

    fn visit_integer<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        scalar::integer(self.scalar(&visitor)?, visitor)
    }
}

/// The part of the key that begins at `at`; nothing where the key ended before.
fn part<'a>(pair: &'a Pair<'a>, at: usize) -> Option<&'a str> {
    pair.key.get(at..)?.split('.').next()
}

fn index(name: &str) -> Option<u64> {
    let digits = name.len() <= INDEX_DIGITS_MAX && name.bytes().all(|b| b.is_ascii_digit());
    if digits { name.parse().ok() } else { None }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
            self.visit_integer(visitor)
        }
    )*};
}

impl<'a> Deserializer<'a> for Node<'a> {
    type Error = Refusal;

    /// Where the struct does not say what it wants, the form of the keys does.
    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.pairs.len() == 1
            && let Some(text) = self.text()
        {
            return visitor.visit_borrowed_str(text);
        }
        if self.child("entry").is_some_and(Node::has_numbers) {
            return self.visit_entries(visitor);
        }
        if self.has_numbers() || self.child("member").is_some_and(Node::has_numbers) {
            return self.visit_list(visitor);
        }
        self.visit_members(visitor)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        scalar::float(self.scalar(&visitor)?, visitor)
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        scalar::boolean(self.scalar(&visitor)?, visitor)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let text = self.scalar(&visitor)?;
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.visit_list(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.child("entry").is_some() || self.has_numbers() {
            return self.visit_entries(visitor);
        }
        self.visit_members(visitor)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.visit_members(visitor)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.scalar(&"a text")?))
    }

    /// Nothing is looked at below a parameter that nobody asked for.
    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { <V: Visitor<'a>> i128 u128 char bytes byte_buf unit_struct tuple tuple_struct identifier }
}

struct List<'a> {
    items: std::vec::IntoIter<Node<'a>>,
}

impl<'a> SeqAccess<'a> for List<'a> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        self.items.next().map(|node| seed.deserialize(node)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A map: each item holds its key and its value.
struct Entries<'a> {
    items: std::vec::IntoIter<Node<'a>>,
    value: Option<Node<'a>>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let either = |one: &str, other: &str| item.child(one).or_else(|| item.child(other));
        self.value = either("value", "Value");
        let key = either("key", "Name").ok_or_else(|| Refusal::custom("an entry has no key"))?;
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let value = self.value.take().ok_or_else(|| Refusal::custom("an entry has no value"))?;
        seed.deserialize(value)
    }
}

/// A struct: each child is a member.
struct Members<'a, I> {
    children: I,
    value: Option<Node<'a>>,
}

impl<'a, I: Iterator<Item = (&'a str, Node<'a>)>> MapAccess<'a> for Members<'a, I> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some((name, node)) = self.children.next() else { return Ok(None) };
        self.value = Some(node);
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let value =
            self.value.take().ok_or_else(|| Refusal::custom("a value was asked for before its name"))?;
        seed.deserialize(value)
    }
}

#[cfg(test)]
mod tests;
