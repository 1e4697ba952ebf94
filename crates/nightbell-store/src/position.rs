/*!
[`Position`]: where an entry stands in a stream.
*/

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an entry stands in a durable stream: consecutive numbers from 0, never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// The first position of every stream.
    pub const FIRST: Self = Self(0);

    /// The position numbered `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The position after this one.
    ///
    /// Held at the end of the range, which no stream reaches: at a million entries a second it lasts 580,000 years.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The key under which an ordered map keeps this position: big-endian, so that keys sort as positions do.
    pub(crate) const fn key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The position that [`Position::key`] wrote.
    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(key.try_into().ok()?)))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_positions_do() {
        let mut keys: Vec<_> = [256, 0, u64::MAX, 255, 1].map(|n| Position::new(n).key()).to_vec();
        keys.sort_unstable();
        let numbers: Vec<_> =
            keys.iter().filter_map(|key| Position::from_key(key)).map(Position::number).collect();
        assert_eq!(numbers, [0, 1, 255, 256, u64::MAX]);
        assert_eq!(Position::from_key(b"short"), None);
    }

    #[test]
    fn the_last_position_has_no_next() {
        assert_eq!(Position::new(u64::MAX).next(), Position::new(u64::MAX));
    }
}
