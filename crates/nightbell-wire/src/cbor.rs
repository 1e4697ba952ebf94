/*!
smithy RPC v2 CBOR (RFC 8949): the body is one CBOR map.

Reading is our own, over a borrowed slice: clients write whole numbers where a float is meant and the other way round, and the known
codecs refuse that. Nesting is capped, and nothing is allocated by a length that the input merely claims. Tags are passed over: the one
in use is the timestamp's, and [`crate::value::Time`] reads the number behind it. Writing is ciborium's.
*/

use crate::decode::{DecodeError, locate};
use crate::encode::EncodeError;
use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, forward_to_deserialize_any};
use std::fmt::Display;

/// How deep arrays and maps may nest in a CBOR body.
pub const CBOR_DEPTH_MAX: usize = 64;

const NULL: u8 = 0xf6;
const UNDEFINED: u8 = 0xf7;
const BREAK: u8 = 0xff;
const EMPTY_MAP: &[u8] = &[0xa0];

pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let body = if body.is_empty() { EMPTY_MAP } else { body };
    let mut reader = Reader::new(body);
    let value = T::deserialize(&mut reader).map_err(|first| locate::<T, _>(first, &mut Reader::new(body)))?;
    if !reader.rest.is_empty() {
        return Err(DecodeError::whole("bytes follow the CBOR value"));
    }
    Ok(value)
}

/// The value as CBOR; nothing at all for `()`, as operations without output answer.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut body = Vec::new();
    ciborium::into_writer(value, &mut body).map_err(|error| EncodeError(error.to_string()))?;
    if body == [NULL] {
        body.clear();
    }
    Ok(body)
}

/// Why the input is not the CBOR that was expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

impl Refusal {
    fn new(message: &str) -> Refusal {
        Refusal(message.to_owned())
    }
}

impl serde::de::Error for Refusal {
    fn custom<T: Display>(message: T) -> Refusal {
        Refusal(message.to_string())
    }
}

struct Reader<'de> {
    rest: &'de [u8],
    depth: usize,
}

/// The first octets of a data item: RFC 8949, section 3.
#[derive(Clone, Copy)]
enum Head<'de> {
    Unsigned(u64),
    Negative(u64),
    Bytes(Option<&'de [u8]>),
    Text(Option<&'de str>),
    Array(Option<u64>),
    Map(Option<u64>),
    Bool(bool),
    Null,
    Float(f64),
}

impl<'de> Reader<'de> {
    fn new(body: &'de [u8]) -> Reader<'de> {
        Reader { rest: body, depth: 0 }
    }

    /// The next item's head, behind its tags. Of indefinite length is what has `None`.
    fn head(&mut self) -> Result<Head<'de>, Refusal> {
        loop {
            let first = self.byte()?;
            let (major, info) = (first >> 5, first & 0x1f);
            if major == 7 {
                return self.simple(info);
            }
            let length = self.argument(info)?;
            return Ok(match (major, length) {
                (0, Some(value)) => Head::Unsigned(value),
                (1, Some(value)) => Head::Negative(value),
                (2, length) => Head::Bytes(length.map(|n| self.take(n)).transpose()?),
                (3, length) => Head::Text(length.map(|n| self.take(n).and_then(utf8)).transpose()?),
                (4, length) => Head::Array(length),
                (5, length) => Head::Map(length),
                (6, Some(_)) => continue,
                _ => return Err(Refusal::new("invalid CBOR: a number of indefinite length")),
            });
        }
    }

    fn simple(&mut self, info: u8) -> Result<Head<'de>, Refusal> {
        Ok(match info {
            20 => Head::Bool(false),
            21 => Head::Bool(true),
            22 | 23 => Head::Null,
            25 => Head::Float(half(u16::from_be_bytes(self.array()?))),
            26 => Head::Float(f32::from_be_bytes(self.array()?).into()),
            27 => Head::Float(f64::from_be_bytes(self.array()?)),
            31 => return Err(Refusal::new("invalid CBOR: a break outside an item of indefinite length")),
            _ => return Err(Refusal::new("invalid CBOR: an unknown simple value")),
        })
    }

    fn argument(&mut self, info: u8) -> Result<Option<u64>, Refusal> {
        Ok(Some(match info {
            0..24 => info.into(),
            24 => self.byte()?.into(),
            25 => u16::from_be_bytes(self.array()?).into(),
            26 => u32::from_be_bytes(self.array()?).into(),
            27 => u64::from_be_bytes(self.array()?),
            31 => return Ok(None),
            _ => return Err(Refusal::new("invalid CBOR: a reserved length")),
        }))
    }

    /// The chunks of a string of indefinite length, joined.
    fn chunks<C: AsRef<[u8]>>(&mut self, of: impl Fn(Head<'de>) -> Option<C>) -> Result<Vec<u8>, Refusal> {
        let mut whole = Vec::new();
        while !self.at_break()? {
            let chunk =
                of(self.head()?).ok_or_else(|| Refusal::new("invalid CBOR: a chunk of another type"))?;
            whole.extend_from_slice(chunk.as_ref());
        }
        Ok(whole)
    }

    /// Whether the next octet is a break; takes it if so.
    fn at_break(&mut self) -> Result<bool, Refusal> {
        let found = self.peek()? == BREAK;
        if found {
            self.rest = &self.rest[1..];
        }
        Ok(found)
    }

    fn peek(&self) -> Result<u8, Refusal> {
        self.rest.first().copied().ok_or_else(|| Refusal::new("the CBOR ends early"))
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (head, rest) =
            self.rest.split_first_chunk().ok_or_else(|| Refusal::new("the CBOR ends early"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, length: u64) -> Result<&'de [u8], Refusal> {
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (head, rest) = split.ok_or_else(|| Refusal::new("the CBOR ends early"))?;
        self.rest = rest;
        Ok(head)
    }

    fn visit<V: Visitor<'de>>(&mut self, head: Head<'de>, visitor: V) -> Result<V::Value, Refusal> {
        match head {
            Head::Unsigned(value) => visitor.visit_u64(value),
            Head::Negative(value) => match i64::try_from(value) {
                Ok(value) => visitor.visit_i64(-1 - value),
                Err(_) => Err(Refusal::new("the number is below the 64-bit range")),
            },
            Head::Bytes(Some(bytes)) => visitor.visit_borrowed_bytes(bytes),
            Head::Bytes(None) => visitor.visit_byte_buf(self.chunks(|head| match head {
                Head::Bytes(chunk) => chunk,
                _ => None,
            })?),
            Head::Text(Some(text)) => visitor.visit_borrowed_str(text),
            Head::Text(None) => visitor.visit_string(self.chunked_text()?),
            Head::Array(length) => self.nested(length, |items| visitor.visit_seq(items)),
            Head::Map(length) => self.nested(length, |items| visitor.visit_map(items)),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Null => visitor.visit_unit(),
            Head::Float(value) => visitor.visit_f64(value),
        }
    }

    fn chunked_text(&mut self) -> Result<String, Refusal> {
        let bytes = self.chunks(|head| match head {
            Head::Text(chunk) => chunk,
            _ => None,
        })?;
        String::from_utf8(bytes).map_err(|_| Refusal::new("a text is not UTF-8"))
    }

    /// Runs `visit` over an array's or a map's items, one level down, and asks that it took them all.
    fn nested<R>(
        &mut self,
        length: Option<u64>,
        visit: impl FnOnce(&mut Items<'_, 'de>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        if self.depth == CBOR_DEPTH_MAX {
            return Err(Refusal(format!("the CBOR nests deeper than {CBOR_DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let mut items = Items { reader: self, left: length, ended: false };
        let value = visit(&mut items)?;
        if items.more()? {
            return Err(Refusal::new("more items than expected"));
        }
        self.depth -= 1;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let head = self.head()?;
        self.visit(head, visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.head()? {
            // Beyond 2^53 a float no longer says which integer is meant.
            Head::Float(value) if value.fract() == 0.0 && value.abs() <= (1_i64 << 53) as f64 => {
                visitor.visit_i64(value as i64)
            }
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if matches!(self.peek()?, NULL | UNDEFINED) {
            self.rest = &self.rest[1..];
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    /// Enumerations are texts on the wire.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.head()? {
            Head::Text(Some(text)) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Head::Text(None) => visitor.visit_enum(StringDeserializer::new(self.chunked_text()?)),
            _ => Err(Refusal::new("expected a text")),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_i64(visitor)
    }

    // A float's visitor takes integers too; the rest describe themselves.
    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The items of an array, or the keys and values of a map.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    /// Items, or pairs, still to come; nothing where a break ends them.
    left: Option<u64>,
    ended: bool,
}

impl Items<'_, '_> {
    /// Whether another item or pair follows.
    fn more(&mut self) -> Result<bool, Refusal> {
        if self.ended {
            return Ok(false);
        }
        self.ended = match &mut self.left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => self.reader.at_break()?,
        };
        Ok(!self.ended)
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        if self.more()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    /// An item takes at least an octet, so the input's length bounds what is set aside for it.
    fn size_hint(&self) -> Option<usize> {
        let left = usize::try_from(self.left?).unwrap_or(usize::MAX);
        Some(left.min(self.reader.rest.len()))
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        if self.more()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        seed.deserialize(&mut *self.reader)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::new("a text is not UTF-8"))
}

/// A half-precision float: RFC 8949, appendix D.
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests;
