/*!
awsQuery's answer: XML written straight from serde.

A struct's member is an element of its name, a list's items are `<member>`, a map's are `<entry>` with `<key>` and `<value>`; what is
`None` or `()` is not written. Text from outside is escaped, and characters that XML 1.0 cannot carry become U+FFFD.
*/

use crate::encode::{EncodeError, Frame};
use crate::value::{TIME_NAME, iso_of_seconds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::Serializer;
use std::fmt::Display;

/// The whole answer to an operation: its result, where it has one, and the request's id.
pub(crate) fn encode<T: Serialize>(frame: &Frame<'_>, value: &T) -> Result<String, EncodeError> {
    let mut out = format!("<{}Response xmlns=\"", frame.operation);
    escape_into(&mut out, frame.xmlns);
    out.push_str("\">");
    value.serialize(Element::new(&mut out, &format!("{}Result", frame.operation)))?;
    out.push_str("<ResponseMetadata>");
    element_into(&mut out, "RequestId", frame.request_id);
    out.push_str("</ResponseMetadata></");
    out.push_str(frame.operation);
    out.push_str("Response>");
    Ok(out)
}

/// Appends one element that holds a text.
pub(crate) fn element_into(out: &mut String, name: &str, text: &str) {
    start(out, name);
    escape_into(out, text);
    end(out, name);
}

/// Appends one element that holds any value.
pub(crate) fn value_into<T: Serialize>(out: &mut String, name: &str, value: &T) -> Result<(), EncodeError> {
    value.serialize(Element::new(out, name))
}

/// Appends text so that any XML 1.0 parser reads it back as it was, but for the characters that XML cannot carry.
pub fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser turns a bare carriage return into a line feed.
            '\r' => out.push_str("&#xD;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}

impl serde::ser::Error for EncodeError {
    fn custom<T: Display>(message: T) -> EncodeError {
        EncodeError(message.to_string())
    }
}

/// Writes one element, once it is known that there is a value.
struct Element<'o> {
    out: &'o mut String,
    name: &'o str,
    /// The number to come is a [`crate::value::Time`] in seconds.
    time: bool,
}

impl<'o> Element<'o> {
    fn new(out: &'o mut String, name: &'o str) -> Element<'o> {
        Element { out, name, time: false }
    }

    fn text(self, text: &str) -> Result<(), EncodeError> {
        element_into(self.out, self.name, text);
        Ok(())
    }

    fn number(self, number: impl Display, seconds: f64) -> Result<(), EncodeError> {
        let text = if self.time { iso_of_seconds::<EncodeError>(seconds)? } else { number.to_string() };
        self.text(&text)
    }

    fn open(self) -> Open<'o> {
        start(self.out, self.name);
        Open { out: self.out, name: self.name, inner: None }
    }
}

/// An element that is being filled.
struct Open<'o> {
    out: &'o mut String,
    name: &'o str,
    /// The element around the content, of an enum's variant.
    inner: Option<&'static str>,
}

impl Open<'_> {
    fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), EncodeError> {
        value.serialize(Element::new(self.out, name))
    }

    fn close(self) {
        if let Some(inner) = self.inner {
            end(self.out, inner);
        }
        end(self.out, self.name);
    }
}

fn start(out: &mut String, name: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
}

fn end(out: &mut String, name: &str) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// A float as Java, and so AWS, writes it: with a decimal point.
fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{value:?}").replace('e', "E")
    }
}

macro_rules! numbers {
    ($($method:ident: $kind:ty)*) => {$(
        fn $method(self, value: $kind) -> Result<(), EncodeError> {
            self.number(value, value as f64)
        }
    )*};
}

impl<'o> Serializer for Element<'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Open<'o>;
    type SerializeTuple = Open<'o>;
    type SerializeTupleStruct = Open<'o>;
    type SerializeTupleVariant = Open<'o>;
    type SerializeMap = Open<'o>;
    type SerializeStruct = Open<'o>;
    type SerializeStructVariant = Open<'o>;

    numbers! {
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64
    }

    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        self.number(float(value), value)
    }

    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        self.text(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        self.text(&STANDARD.encode(value))
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        self.text("")
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(Element { time: name == TIME_NAME, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        let mut open = self.open();
        open.put(variant, value)?;
        open.close();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'o>, EncodeError> {
        Ok(self.open())
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'o>, EncodeError> {
        Ok(self.open())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'o>, EncodeError> {
        Ok(self.open())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'o>, EncodeError> {
        let open = self.open();
        start(open.out, variant);
        Ok(Open { inner: Some(variant), ..open })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'o>, EncodeError> {
        Ok(self.open())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'o>, EncodeError> {
        Ok(self.open())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'o>, EncodeError> {
        let open = self.open();
        start(open.out, variant);
        Ok(Open { inner: Some(variant), ..open })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        self.text(&value.to_string())
    }
}

macro_rules! listing {
    ($($kind:ident :: $method:ident)*) => {$(
        impl serde::ser::$kind for Open<'_> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.put("member", value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.close();
                Ok(())
            }
        }
    )*};
}

listing! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! structure {
    ($($kind:ident)*) => {$(
        impl serde::ser::$kind for Open<'_> {
            type Ok = ();
            type Error = EncodeError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), EncodeError> {
                self.put(name, value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.close();
                Ok(())
            }
        }
    )*};
}

structure! { SerializeStruct SerializeStructVariant }

impl serde::ser::SerializeMap for Open<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        start(self.out, "entry");
        self.put("key", key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.put("value", value)?;
        end(self.out, "entry");
        Ok(())
    }

    fn end(self) -> Result<(), EncodeError> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Blob, Time};
    use std::collections::BTreeMap;

    fn write<T: Serialize>(value: &T) -> String {
        let mut out = String::new();
        value_into(&mut out, "v", value).unwrap();
        out
    }

    #[test]
    fn scalars() {
        assert_eq!(write(&"a<b>&\"c\"'"), "<v>a&lt;b&gt;&amp;&quot;c&quot;'</v>");
        assert_eq!(
            write(&"\0\u{1}\t\n\r\u{1b}\u{7f}\u{fffe}ü"),
            "<v>\u{fffd}\u{fffd}\t\n&#xD;\u{fffd}\u{7f}\u{fffd}ü</v>"
        );
        assert_eq!(write(&5_i32), "<v>5</v>");
        assert_eq!(write(&u64::MAX), "<v>18446744073709551615</v>");
        assert_eq!(write(&true), "<v>true</v>");
        assert_eq!(write(&Time(1_767_608_340_250)), "<v>2026-01-05T10:19:00.250Z</v>");
        assert_eq!(write(&Time(1_767_608_340_000)), "<v>2026-01-05T10:19:00Z</v>");
        assert_eq!(write(&Blob(vec![0, 255, 16])), "<v>AP8Q</v>");
        assert!(value_into(&mut String::new(), "v", &Time(i64::MAX)).is_err());
    }

    #[test]
    fn floats_have_a_point() {
        let table = [
            (1.0, "1.0"),
            (0.5, "0.5"),
            (-7.25, "-7.25"),
            (1e-7, "1E-7"),
            (123_456.75, "123456.75"),
            (1e20, "1E20"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in table {
            assert_eq!(write(&value), format!("<v>{text}</v>"));
        }
    }

    #[test]
    fn nothing_is_not_written() {
        assert_eq!(write(&()), "");
        assert_eq!(write(&None::<i32>), "");
        assert_eq!(write(&Some(1)), "<v>1</v>");
        assert_eq!(write(&Vec::<i32>::new()), "<v></v>");
    }

    #[test]
    fn lists_maps_and_variants() {
        #[derive(Serialize)]
        enum Kind {
            Plain,
            One(i32),
            Pair(i32, i32),
            Named { a: i32 },
        }
        assert_eq!(write(&[1, 2]), "<v><member>1</member><member>2</member></v>");
        let map = BTreeMap::from([("a&b", vec![1]), ("c", vec![])]);
        assert_eq!(
            write(&map),
            "<v><entry><key>a&amp;b</key><value><member>1</member></value></entry><entry><key>c</key><value></value></entry></v>"
        );
        assert_eq!(write(&Kind::Plain), "<v>Plain</v>");
        assert_eq!(write(&Kind::One(1)), "<v><One>1</One></v>");
        assert_eq!(write(&Kind::Pair(1, 2)), "<v><Pair><member>1</member><member>2</member></Pair></v>");
        assert_eq!(write(&Kind::Named { a: 1 }), "<v><Named><a>1</a></Named></v>");
    }
}
