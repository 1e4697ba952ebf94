/*!
The two scalars that the protocols write differently: instants and bytes.

| | JSON | CBOR | form and XML |
|---|---|---|---|
| [`Time`] | seconds since 1970, a number | tag 1, seconds | ISO 8601, `Z` |
| [`Blob`] | base64 | byte string | base64 |

All other fields of a request are ordinary serde. The Logs API's timestamps are plain integers of milliseconds, not a [`Time`].
*/

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Name under which [`Time`] shows itself to the XML writer, which alone writes it as text.
pub(crate) const TIME_NAME: &str = "$nightbell_wire::Time";

/// First instant that a [`Time`] is read as: 0001-01-01T00:00:00Z, in milliseconds since 1970.
pub const TIME_MILLIS_MIN: i64 = -62_135_596_800_000;
/// Last instant that a [`Time`] is read as: 9999-12-31T23:59:59.999Z, in milliseconds since 1970.
pub const TIME_MILLIS_MAX: i64 = 253_402_300_799_999;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub i64);

impl Time {
    /// The instant as ISO 8601 in UTC: seconds, and milliseconds where there are any. Nothing outside years 1 to 9999.
    pub fn to_iso(self) -> Option<String> {
        if !(TIME_MILLIS_MIN..=TIME_MILLIS_MAX).contains(&self.0) {
            return None;
        }
        let at = EPOCH.checked_add(SignedDuration::from_millis(self.0)).ok()?;
        let format =
            if self.0.rem_euclid(1000) == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%3fZ" };
        Some(at.strftime(format).to_string())
    }

    /// Reads ISO 8601; a time without a zone is UTC. Nothing where the text is no such time.
    pub fn from_iso(text: &str) -> Option<Time> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Time::checked(at.as_millisecond());
        }
        // Without a zone; also the last day of year 9999, which a `Timestamp` leaves free for time zones.
        let civil = text.strip_suffix('Z').unwrap_or(text);
        if civil.contains('+') || civil.matches('-').count() != 2 {
            return None;
        }
        let since = civil.parse::<DateTime>().ok()?.duration_since(EPOCH);
        Time::checked(i64::try_from(since.as_millis()).ok()?)
    }

    fn from_seconds(seconds: f64) -> Option<Time> {
        let millis = (seconds * 1000.0).round();
        millis.is_finite().then(|| Time::checked(millis as i64))?
    }

    fn checked(millis: i64) -> Option<Time> {
        (TIME_MILLIS_MIN..=TIME_MILLIS_MAX).contains(&millis).then_some(Time(millis))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TIME_NAME, &Seconds(self.0))
    }
}

/// Milliseconds written as seconds: an integer where it is whole, a float otherwise; tagged where the format is binary.
struct Seconds(i64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use ciborium::tag::Required;
        match (self.0 % 1000 == 0, serializer.is_human_readable()) {
            (true, true) => serializer.serialize_i64(self.0 / 1000),
            (false, true) => serializer.serialize_f64(self.0 as f64 / 1000.0),
            (true, false) => Required::<i64, 1>(self.0 / 1000).serialize(serializer),
            (false, false) => Required::<f64, 1>(self.0 as f64 / 1000.0).serialize(serializer),
        }
    }
}

/// Undoes [`Seconds`] for the XML writer.
pub(crate) fn iso_of_seconds<E: serde::ser::Error>(seconds: f64) -> Result<String, E> {
    Time::from_seconds(seconds).and_then(Time::to_iso).ok_or_else(|| E::custom("timestamp out of range"))
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp: seconds since 1970, or ISO 8601")
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Time, E> {
        seconds.checked_mul(1000).and_then(Time::checked).ok_or_else(|| E::custom("timestamp out of range"))
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Time, E> {
        self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Time, E> {
        Time::from_seconds(seconds).ok_or_else(|| E::custom("timestamp out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
        Time::from_iso(text)
            .or_else(|| Time::from_seconds(text.parse().ok()?))
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// Bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BlobVisitor)
    }
}

struct BlobVisitor;

impl Visitor<'_> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, or base64")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob(bytes.to_vec()))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob(bytes))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
        STANDARD.decode(text).map(Blob).map_err(|_| E::custom("invalid base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_reads_iso_and_seconds() {
        let table = [
            ("\"2026-01-05T10:19:00Z\"", 1_767_608_340_000),
            ("\"2026-01-05T10:19:00.250000Z\"", 1_767_608_340_250),
            ("\"2026-01-05T11:19:00+01:00\"", 1_767_608_340_000),
            ("\"2026-01-05T10:19:00\"", 1_767_608_340_000),
            ("\"9999-12-31T23:59:59Z\"", 253_402_300_799_000),
            ("\"1767608340.5\"", 1_767_608_340_500),
            ("1767608340", 1_767_608_340_000),
            ("1767608340.123", 1_767_608_340_123),
            ("1.76760834E9", 1_767_608_340_000),
            ("-0.001", -1),
        ];
        for (text, millis) in table {
            assert_eq!(serde_json::from_str::<Time>(text).unwrap(), Time(millis), "{text}");
        }
        for refused in [
            "\"yesterday\"",
            "\"9999-12-31T23:59:59+01:00\"",
            "\"\"",
            "\"NaN\"",
            "1e300",
            "9223372036854775807",
            "true",
            "null",
            "[]",
        ] {
            assert!(serde_json::from_str::<Time>(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn time_writes_seconds_and_iso() {
        assert_eq!(serde_json::to_string(&Time(1_767_608_340_000)).unwrap(), "1767608340");
        assert_eq!(serde_json::to_string(&Time(1_767_608_340_123)).unwrap(), "1767608340.123");
        assert_eq!(Time(1_767_608_340_123).to_iso().unwrap(), "2026-01-05T10:19:00.123Z");
        assert_eq!(Time(-1).to_iso().unwrap(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Time(TIME_MILLIS_MIN).to_iso().unwrap(), "0001-01-01T00:00:00Z");
        assert_eq!(Time(TIME_MILLIS_MAX).to_iso().unwrap(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Time(i64::MAX).to_iso(), None);
    }

    #[test]
    fn blob_is_base64_in_text() {
        assert_eq!(serde_json::to_string(&Blob(vec![0, 255, 16])).unwrap(), "\"AP8Q\"");
        assert_eq!(serde_json::from_str::<Blob>("\"AP8Q\"").unwrap(), Blob(vec![0, 255, 16]));
        assert!(serde_json::from_str::<Blob>("\"AP8\"").is_err());
    }
}
