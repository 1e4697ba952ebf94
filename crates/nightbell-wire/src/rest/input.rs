/*!
A REST call's input: members from address and headers first, then those of the body, as one struct.

Nothing is gathered in between: the body's reader stays serde_json's, so a large body is read once and where it stands. What comes from
outside the body is text, and is read as what the struct asks for; the same member in two places is an error of the struct's own.
*/

use std::marker::PhantomData;

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Member, Outside};
use crate::decode::{DecodeError, locate};
use crate::scalar;

pub(crate) fn decode<T: DeserializeOwned>(outside: &Outside, body: &[u8]) -> Result<T, DecodeError> {
    let blank = outside.payload.is_none() && body.iter().all(u8::is_ascii_whitespace);
    let input = Input { outside, body: if blank { b"{}" } else { body } };
    T::deserialize(input).map_err(|first| locate::<T, _>(first, input))
}

#[derive(Clone, Copy)]
struct Input<'a> {
    outside: &'a Outside,
    body: &'a [u8],
}

impl<'a> Deserializer<'a> for Input<'a> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        let given = self.outside.members.iter();
        if let Some(name) = self.outside.payload {
            // No bytes at all are no payload.
            let payload = Some(self.body).filter(|body| !body.is_empty()).map(|body| (name, body));
            return visitor.visit_map(Joined { given, value: None, body: Payload(payload) });
        }
        let mut json = serde_json::Deserializer::from_slice(self.body);
        let value = json.deserialize_map(Before { given, visitor })?;
        json.end()?;
        Ok(value)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>> bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Shows a visitor of the body's object what was given outside of it, before it.
struct Before<'a, V> {
    given: std::slice::Iter<'a, Member>,
    visitor: V,
}

impl<'a, V: Visitor<'a>> Visitor<'a> for Before<'a, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'a>>(self, body: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Joined { given: self.given, value: None, body })
    }
}

/// The members given outside the body, then the body's.
struct Joined<'a, A> {
    given: std::slice::Iter<'a, Member>,
    value: Option<&'a [String]>,
    body: A,
}

impl<'a, A: MapAccess<'a>> MapAccess<'a> for Joined<'a, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some((name, values)) = self.given.next() else { return self.body.next_key_seed(seed) };
        self.value = Some(values);
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        match self.value.take() {
            Some(values) => seed.deserialize(Values::new(values)),
            None => self.body.next_value_seed(seed),
        }
    }
}

/// A body that is one member as it stands.
struct Payload<'a>(Option<(&'static str, &'a [u8])>);

impl<'a> MapAccess<'a> for Payload<'a> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        self.0.map(|(name, _)| seed.deserialize(StrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Self::Error> {
        let (_, body) = self.0.take().ok_or_else(|| Self::Error::custom("a value was asked for twice"))?;
        seed.deserialize(Bytes(body))
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Deserializer<'a> for Bytes<'a> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        visitor.visit_borrowed_bytes(self.0)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>> bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A member's values: texts, read as what the struct asks for.
struct Values<'a, E> {
    texts: &'a [String],
    error: PhantomData<E>,
}

impl<'a, E: serde::de::Error> Values<'a, E> {
    fn new(texts: &'a [String]) -> Self {
        Values { texts, error: PhantomData }
    }

    /// The one value.
    fn text(&self, expected: &dyn serde::de::Expected) -> Result<&'a str, E> {
        match self.texts {
            [text] => Ok(text),
            _ => Err(E::invalid_type(Unexpected::Other("a repeated parameter"), expected)),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, E> {
            scalar::integer(self.text(&visitor)?, visitor)
        }
    )*};
}

impl<'a, E: serde::de::Error> Deserializer<'a> for Values<'a, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, E> {
        match self.texts {
            [text] => visitor.visit_borrowed_str(text),
            _ => self.deserialize_seq(visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, E> {
        scalar::float(self.text(&visitor)?, visitor)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, E> {
        scalar::float(self.text(&visitor)?, visitor)
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, E> {
        scalar::boolean(self.text(&visitor)?, visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_seq(SeqDeserializer::new(self.texts.chunks(1).map(Values::<E>::new)))
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_enum(StrDeserializer::new(self.text(&"a text")?))
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>> i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl<'a, E: serde::de::Error> IntoDeserializer<'a, E> for Values<'a, E> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
