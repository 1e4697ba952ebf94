/*!
[`Size`]: a number of bytes as people write it.
*/

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Units that stand behind a number, and their bytes.
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A number of bytes: `200GiB`, `500 GB`, `1073741824`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(u64);

impl Size {
    /// The bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            let units = UNITS.map(|(unit, _)| unit).join(", ");
            format!("{text:?} is no size; write a whole number and one of {units}, for example 200GiB")
        };
        let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text.trim()[digits.len()..];
        let bytes = match unit {
            "" => 1,
            _ => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?.1,
        };
        let number: u64 = digits.trim_end().parse().map_err(|_| refused())?;
        number.checked_mul(bytes).map(Self).ok_or_else(refused)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// Bytes as people read them: `1.4 GiB`.
pub(crate) fn text(bytes: u64) -> String {
    let Some((unit, of)) = UNITS[..4].iter().rev().find(|(_, of)| bytes >= *of) else {
        return format!("{bytes} B");
    };
    format!("{:.1} {unit}", bytes as f64 / *of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_or_are_bytes() {
        let rows = [
            ("0", 0),
            ("17", 17),
            ("200GiB", 200 << 30),
            (" 5 GB ", 5_000_000_000),
            ("1B", 1),
            ("3KiB", 3072),
        ];
        for (written, bytes) in rows {
            assert_eq!(written.parse(), Ok(Size(bytes)), "{written}");
        }
        for bad in ["", "GiB", "1.5GiB", "-1", "5 gigs", "5G", "99999999999TiB", "1 2", "1GiBé"] {
            let error = bad.parse::<Size>().expect_err(bad);
            assert!(error.contains("200GiB"), "{error}");
        }
        assert_eq!(text(0), "0 B");
        assert_eq!(text(1_500_000_000), "1.4 GiB");
    }
}
