/*!
Values of a query: what fields hold and expressions give, how they are compared, put into order and written.

A value of an event is text, whatever its form there; it counts as a number where one is asked for and it reads as one.
The order is that of "sort" (CloudWatch Logs Insights language query syntax). Knows no expression and no event.
*/

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::pattern::plain_number;
use crate::time::Timestamp;

/// A value; booleans are written `1` and `0`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val<'a> {
    /// Nothing is there.
    Null,
    Text(Cow<'a, str>),
    /// Always finite.
    Number(f64),
    Bool(bool),
    /// Milliseconds since 1970 UTC.
    Time(i64),
}

impl<'a> Val<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A computed number; nothing when it is not finite.
    pub(super) fn finite(number: f64) -> Self {
        if number.is_finite() { Self::Number(number + 0.0) } else { Self::Null }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + if let Self::Text(text) = self { text.len() } else { 0 }
    }

    /// As a number, where it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Null => None,
            Self::Text(text) => plain_number(text),
            Self::Number(number) => Some(*number),
            Self::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Self::Time(ms) => Some(*ms as f64),
        }
    }

    /// As an instant in milliseconds: a time, a number of milliseconds, or a text in ISO 8601 or the form in which
    /// results show times.
    pub(super) fn millis(&self) -> Option<i64> {
        match self {
            Self::Time(ms) => Some(*ms),
            Self::Text(text) => match plain_number(text) {
                Some(number) => Some(number as i64),
                None => read_time(text),
            },
            _ => self.number().map(|number| number as i64),
        }
    }

    /// As a condition: true, a number other than zero, the text `true`.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Text(text) => text == "true" || plain_number(text).is_some_and(|number| number != 0.0),
            _ => self.number().is_some_and(|number| number != 0.0),
        }
    }

    /// As it is shown; nothing where nothing is there.
    pub(super) fn shown(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Text(text) => Cow::Borrowed(text.as_ref()),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Bool(flag) => Cow::Borrowed(if *flag { "1" } else { "0" }),
            Self::Time(ms) => Cow::Owned(write_time(*ms)),
        })
    }

    pub(super) fn into_owned(self) -> Val<'static> {
        match self {
            Self::Null => Val::Null,
            Self::Text(text) => Val::Text(Cow::Owned(text.into_owned())),
            Self::Number(number) => Val::Number(number),
            Self::Bool(flag) => Val::Bool(flag),
            Self::Time(ms) => Val::Time(ms),
        }
    }

    /// Whether two values are equal. What is not there equals nothing. Two texts are compared as texts, a text and
    /// something else as numbers, a boolean also with the words `true` and `false`.
    pub(super) fn equals(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Self::Text(left), Val::Text(right)) => left == right,
            (Self::Bool(flag), Val::Text(text)) | (Val::Text(text), Val::Bool(flag))
                if text == "true" || text == "false" =>
            {
                *flag == (text == "true")
            }
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// Which of two values is the smaller one; nothing where they cannot be compared.
    pub(super) fn compare(&self, other: &Val<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Val::Null) => None,
            (Self::Time(_), Val::Text(_)) | (Self::Text(_), Val::Time(_)) => {
                Some(self.millis()?.cmp(&other.millis()?))
            }
            _ => match (self.number(), other.number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => match (self, other) {
                    (Self::Text(left), Val::Text(right)) => Some(natural(left, right)),
                    _ => None,
                },
            },
        }
    }
}

/// A value by its place in the natural order: nothing, then texts, then numbers.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Null,
    Text(Box<str>),
    Number(f64),
}

impl Place {
    pub(super) fn of(value: &Val<'_>) -> Self {
        match (value, value.number()) {
            (Val::Null, _) => Self::Null,
            (_, Some(number)) => Self::Number(number + 0.0),
            _ => Self::Text(value.shown().unwrap_or_default().into()),
        }
    }

    /// Bytes of text in it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Null | Self::Number(_) => 0,
        }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Text(left), Self::Text(right)) => natural(left, right),
            (Self::Text(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Text(_)) => Ordering::Greater,
            (Self::Number(left), Self::Number(right)) => left.total_cmp(right),
        }
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

/// The order of texts: runs of digits by length, then by value; everything else character by character.
pub(super) fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (Some(l), Some(r)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len());
        };
        if l.is_ascii_digit() && r.is_ascii_digit() {
            let (l, r) = (digits(left), digits(right));
            match l.len().cmp(&r.len()).then_with(|| l.cmp(r)) {
                Ordering::Equal => (left, right) = (&left[l.len()..], &right[r.len()..]),
                different => return different,
            }
        } else if l == r {
            (left, right) = (&left[l.len_utf8()..], &right[r.len_utf8()..]);
        } else {
            return l.cmp(&r);
        }
    }
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

/// Year -9000 and 9000: what the calendar can write.
pub(super) const CALENDAR_MS_MIN: i64 = -346_000_000_000_000;
/// See [`CALENDAR_MS_MIN`].
pub(super) const CALENDAR_MS_MAX: i64 = 221_000_000_000_000;

/// The calendar's view of an instant, in UTC.
pub(super) fn calendar(ms: i64) -> jiff::civil::DateTime {
    let held = ms.clamp(CALENDAR_MS_MIN, CALENDAR_MS_MAX);
    let instant = jiff::Timestamp::from_millisecond(held).expect("held inside jiff's range");
    instant.to_zoned(jiff::tz::TimeZone::UTC).datetime()
}

/// `2026-11-22 08:00:00.000`: how results show times.
pub(super) fn write_time(ms: i64) -> String {
    calendar(ms).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn read_time(text: &str) -> Option<i64> {
    // The longest form has nanoseconds and an offset; anything longer is no time.
    const TIME_BYTES_MAX: usize = 64;
    if text.len() > TIME_BYTES_MAX || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let shown = || Timestamp::parse_iso(&format!("{}Z", text.replacen(' ', "T", 1)));
    Timestamp::parse_iso(text).or_else(shown).map(Timestamp::as_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of "sort" in the language's documentation.
    #[test]
    fn i12_natural_order() {
        let mut texts = ["2345_", "5A", "111A", "0#", "A", "a12", "3", "01", "0", "#", "!", "@"];
        texts.sort_by_key(|text| Place::of(&Val::text(*text)));
        assert_eq!(texts, ["!", "#", "0#", "5A", "111A", "2345_", "@", "A", "a12", "0", "01", "3"]);
    }

    #[test]
    fn values_are_shown_and_compared() {
        let shown = |value: Val<'_>| value.shown().unwrap_or_default().into_owned();
        assert_eq!(shown(Val::Number(3.0)), "3");
        assert_eq!(shown(Val::Number(0.1)), "0.1");
        assert_eq!(shown(Val::Bool(true)), "1");
        assert_eq!(shown(Val::Time(1_789_364_521_123)), "2026-09-14 05:42:01.123");
        assert!(Val::text("4625").equals(&Val::Number(4625.0)));
        assert!(Val::text("4625.0").equals(&Val::Number(4625.0)));
        assert!(!Val::text("4625.0").equals(&Val::text("4625")));
        assert!(Val::Bool(true).equals(&Val::text("true")) && Val::Bool(true).equals(&Val::Number(1.0)));
        assert!(!Val::Null.equals(&Val::Null));
        assert_eq!(Val::text("x").compare(&Val::Number(1.0)), None);
        assert_eq!(Val::text("10").compare(&Val::text("9")), Some(Ordering::Greater));
        let time = Val::Time(1_789_364_521_123);
        for text in ["2026-09-14T05:42:01.123Z", "2026-09-14 05:42:01.123", "1789364521123"] {
            assert!(time.equals(&Val::text(text)), "{text}");
        }
        assert!(!Val::Time(i64::MIN).shown().unwrap_or_default().is_empty());
    }
}
