/*!
Numbers and truth values written as text: read as what the struct asks for. Forms (`query`) and addresses (`rest`) hold nothing else.
*/

use serde::de::{Error, Unexpected, Visitor};

/// An integer; also one written as a float without a fraction, as far as a float holds it exactly.
pub(crate) fn integer<'de, V: Visitor<'de>, E: Error>(text: &str, visitor: V) -> Result<V::Value, E> {
    if let Ok(value) = text.parse::<i64>() {
        return visitor.visit_i64(value);
    }
    if let Ok(value) = text.parse::<u64>() {
        return visitor.visit_u64(value);
    }
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() <= (1_i64 << 53) as f64 => {
            visitor.visit_i64(value as i64)
        }
        _ => Err(E::invalid_value(Unexpected::Str(text), &visitor)),
    }
}

pub(crate) fn float<'de, V: Visitor<'de>, E: Error>(text: &str, visitor: V) -> Result<V::Value, E> {
    match text.parse() {
        Ok(value) => visitor.visit_f64(value),
        Err(_) => Err(E::invalid_value(Unexpected::Str(text), &visitor)),
    }
}

pub(crate) fn boolean<'de, V: Visitor<'de>, E: Error>(text: &str, visitor: V) -> Result<V::Value, E> {
    if text.eq_ignore_ascii_case("true") {
        visitor.visit_bool(true)
    } else if text.eq_ignore_ascii_case("false") {
        visitor.visit_bool(false)
    } else {
        Err(E::invalid_value(Unexpected::Str(text), &visitor))
    }
}
