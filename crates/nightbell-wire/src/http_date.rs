/*!
Times in headers of HTTP ("HTTP Semantics", RFC 9110, 5.6.7). Knows no clock.
*/

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// A time in milliseconds since 1970 as a header has it, in whole seconds; nothing outside years 0 to 9999.
pub fn format(millis: i64) -> Option<String> {
    let second = Timestamp::from_second(millis.div_euclid(1_000)).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&second).ok()
}

/// The time that a header has, in milliseconds since 1970; nothing where it is none.
pub fn parse(text: &str) -> Option<i64> {
    DateTimeParser::new().parse_timestamp(text).ok().map(|at| at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_s_example() {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(format(784_111_777_999).as_deref(), Some(text));
        assert_eq!(parse(text), Some(784_111_777_000));
        assert_eq!(parse("1994-11-06"), None);
    }
}
