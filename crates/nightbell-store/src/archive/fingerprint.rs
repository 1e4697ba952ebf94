/*!
[`Fingerprint`]: a SHA-256, and the fingerprints of events and of what files hold.

What is hashed is spelled out here, so that anybody can compute it again: texts and lists are preceded by their length,
and all numbers are 64 bits, big endian.
*/

use std::fmt;

use nightbell_core::event::Group;
use nightbell_core::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use super::entry::Part;
use crate::Position;

/// Bytes of a fingerprint.
const FINGERPRINT_BYTES: usize = 32;

/// A SHA-256; written as 64 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl Fingerprint {
    /// All zeros: what stands before the first block of a chain.
    pub const ZERO: Self = Self([0; FINGERPRINT_BYTES]);

    /// The fingerprint of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The fingerprint that 64 hexadecimal digits write, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 2 * FINGERPRINT_BYTES {
            return None;
        }
        let mut bytes = [0; FINGERPRINT_BYTES];
        for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Some(Self(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; FINGERPRINT_BYTES] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; FINGERPRINT_BYTES]>::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// A fingerprint of bytes that come in pieces.
#[derive(Default)]
pub(crate) struct Hashing(Sha256);

impl Hashing {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}

/// Bytes to be hashed, put together field by field.
#[derive(Default)]
pub(super) struct Canonical(Vec<u8>);

impl Canonical {
    /// Begins with what the bytes are, so that no two kinds of them are ever the same.
    pub(super) fn new(kind: &str) -> Self {
        let mut canonical = Self::default();
        canonical.text(kind);
        canonical
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.0.extend(time.as_millis().to_be_bytes());
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    pub(super) fn group(&mut self, group: &Group) -> &mut Self {
        self.text(&group.region).text(&group.name)
    }

    pub(super) fn fingerprint(&mut self, fingerprint: &Fingerprint) -> &mut Self {
        self.0.extend(fingerprint.as_bytes());
        self
    }

    pub(super) fn finish(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }
}

/// An event and its place, as it is written to and read from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// When it happened.
    pub time: Timestamp,
    /// When it arrived.
    pub arrival: Timestamp,
    /// Its log stream.
    pub stream: &'a str,
    /// The block of the journal it came in.
    pub block: Position,
    /// Its number in the block.
    pub number: u32,
    /// Its message.
    pub message: &'a str,
}

impl Placed<'_> {
    /// `event`, block, number, time, arrival, stream, message.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut head = Canonical::new("event");
        head.number(self.block.number()).number(u64::from(self.number)).time(self.time).time(self.arrival);
        head.text(self.stream).number(self.message.len() as u64);
        let mut hasher = Sha256::new();
        hasher.update(&head.0);
        hasher.update(self.message.as_bytes());
        Fingerprint(hasher.finalize().into())
    }
}

/// The fingerprints of the events of some ranges of the journal, in whatever order they come.
pub(super) struct Contents {
    parts: Vec<PartContents>,
}

struct PartContents {
    from: Position,
    to: Position,
    events: Vec<(Position, u32, Fingerprint)>,
}

impl Contents {
    /// Empty contents of ranges that do not overlap.
    pub(super) fn new(ranges: impl IntoIterator<Item = (Position, Position)>) -> Self {
        let part = |(from, to)| PartContents { from, to, events: Vec::new() };
        let mut parts: Vec<PartContents> = ranges.into_iter().map(part).collect();
        parts.sort_by_key(|part| part.from);
        Self { parts }
    }

    /// Takes an event in; `false` when it lies in none of the ranges.
    pub(super) fn push(&mut self, event: &Placed<'_>) -> bool {
        let after = self.parts.partition_point(|part| part.from <= event.block);
        let Some(part) = after.checked_sub(1).map(|at| &mut self.parts[at]) else { return false };
        if event.block >= part.to {
            return false;
        }
        part.events.push((event.block, event.number, event.fingerprint()));
        true
    }

    /// `content`, group, number of events, then the fingerprint of each in order of block and number.
    pub(super) fn finish(self, group: &Group) -> Vec<Part> {
        let finish = |mut part: PartContents| {
            part.events.sort_unstable_by_key(|&(block, number, _)| (block, number));
            let mut canonical = Canonical::new("content");
            canonical.group(group).number(part.events.len() as u64);
            for (_, _, fingerprint) in &part.events {
                canonical.fingerprint(fingerprint);
            }
            let rows = part.events.len() as u64;
            Part { from: part.from, to: part.to, rows, content: canonical.finish() }
        };
        self.parts.into_iter().map(finish).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_written_and_read() {
        let fingerprint = Fingerprint::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(Fingerprint::parse(text), Some(fingerprint));
        assert_eq!(Fingerprint::parse(&text[1..]), None);
        assert_eq!(Fingerprint::parse(&text.replace('e', "g")), None);
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
        let bytes = postcard::to_stdvec(&fingerprint).unwrap();
        assert_eq!((bytes.len(), postcard::from_bytes::<Fingerprint>(&bytes).unwrap()), (32, fingerprint));
    }

    #[test]
    fn contents_do_not_depend_on_the_order_and_do_on_everything_else() {
        let group = Group { region: "r".into(), name: "g".into() };
        let event = |block, number, message| Placed {
            time: Timestamp::from_seconds(1),
            arrival: Timestamp::from_seconds(2),
            stream: "s",
            block: Position::new(block),
            number,
            message,
        };
        let content = |group: &Group, events: &[Placed<'_>]| {
            let mut contents = Contents::new([(Position::new(0), Position::new(4))]);
            assert!(events.iter().all(|event| contents.push(event)));
            contents.finish(group)[0].content
        };
        let plain = content(&group, &[event(0, 0, "a"), event(0, 1, "b"), event(3, 0, "c")]);
        assert_eq!(plain, content(&group, &[event(3, 0, "c"), event(0, 1, "b"), event(0, 0, "a")]));
        assert_ne!(plain, content(&group, &[event(0, 0, "b"), event(0, 1, "a"), event(3, 0, "c")]));
        assert_ne!(plain, content(&group, &[event(0, 0, "a"), event(0, 1, "b"), event(2, 0, "c")]));
        let other = Group { region: "rg".into(), name: String::new() };
        assert_ne!(plain, content(&other, &[event(0, 0, "a"), event(0, 1, "b"), event(3, 0, "c")]));
        assert!(!Contents::new([(Position::new(0), Position::new(4))]).push(&event(4, 0, "d")));
        assert!(!Contents::new([(Position::new(1), Position::new(4))]).push(&event(0, 0, "d")));
    }
}
