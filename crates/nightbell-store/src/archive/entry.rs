/*!
[`FileEntry`]: what the catalog knows of a file of the archive, and how paths and keys are made.

Knows nothing of what stands inside a file. Entries come from the writer of files, are kept in [`Space::Archive`] and
repeated in the chain.
*/

use nightbell_core::event::Group;
use nightbell_core::time::{HOUR_MS, Timestamp};
use serde::{Deserialize, Serialize};

use super::fingerprint::{Canonical, Fingerprint};
use crate::error::Cause;
use crate::{Position, Space, StoreError};

/// Bytes of a group's folder name; a longer one is cut and told apart by a fingerprint. File systems allow 255.
const FOLDER_BYTES_MAX: usize = 200;

/// Hexadecimal digits of the fingerprint that tells cut names apart.
const FOLDER_FINGERPRINT_DIGITS: usize = 16;

/// Bytes of a group in a key of the catalog.
const GROUP_KEY_BYTES: usize = 16;

const ENTRY_VERSION: u8 = 1;

/// A file of the archive: events of one group and one hour of event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it lies in the archive.
    pub path: String,
    /// The log group of its events.
    pub group: Group,
    /// The hour of event time, counted from 1970 UTC.
    pub hour: i64,
    /// How many events it holds.
    pub rows: u64,
    /// The earliest event time.
    pub first: Timestamp,
    /// The latest event time.
    pub last: Timestamp,
    /// The earliest arrival.
    pub first_arrival: Timestamp,
    /// The latest arrival.
    pub last_arrival: Timestamp,
    /// Bytes of message text.
    pub message_bytes: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Fingerprint,
    /// Bytes of the summary beside it.
    pub summary_bytes: u64,
    /// SHA-256 of the summary.
    pub summary_sha256: Fingerprint,
    /// The ranges of the journal that its events come from, in order: one, or more after a merge.
    pub parts: Vec<Part>,
}

/// The events of one group and hour that one range of the journal holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// The first position of the range.
    pub from: Position,
    /// The position after its last.
    pub to: Position,
    /// How many events.
    pub rows: u64,
    /// SHA-256 over the events, independent of the file they lie in.
    pub content: Fingerprint,
}

impl FileEntry {
    /// The first position of the journal that it may hold events of.
    pub fn from(&self) -> Position {
        self.parts.first().map(|part| part.from).unwrap_or_default()
    }

    /// Where the summary lies.
    pub fn summary_path(&self) -> String {
        summary_path(&self.path)
    }

    /// Whether some event may be at or after `from` and before `to`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.first < to && from <= self.last
    }

    pub(super) fn canonical(&self, canonical: &mut Canonical) {
        canonical.text(&self.path).group(&self.group).number(self.hour as u64).number(self.rows);
        canonical.time(self.first).time(self.last).time(self.first_arrival).time(self.last_arrival);
        canonical.number(self.message_bytes).number(self.bytes).fingerprint(&self.sha256);
        canonical.number(self.summary_bytes).fingerprint(&self.summary_sha256);
        canonical_parts(&self.parts, canonical);
    }

    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = hour_key(&self.group, self.hour);
        key.extend(self.from().key());
        key.extend(self.path.rsplit('/').next().unwrap_or_default().as_bytes());
        key
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![ENTRY_VERSION]).expect("plain values in growing memory")
    }

    /// # Errors
    ///
    /// `Broken` when the bytes are no entry.
    pub(super) fn decode(value: &[u8]) -> Result<Self, StoreError> {
        let plain = value.split_first().filter(|(version, _)| **version == ENTRY_VERSION);
        let entry = plain.and_then(|(_, plain)| postcard::from_bytes(plain).ok());
        entry.ok_or_else(|| {
            Cause::Entry { place: Space::Archive.name(), reason: "is no file's entry".to_owned() }.into()
        })
    }
}

pub(super) fn canonical_parts(parts: &[Part], canonical: &mut Canonical) {
    canonical.number(parts.len() as u64);
    for part in parts {
        canonical
            .number(part.from.number())
            .number(part.to.number())
            .number(part.rows)
            .fingerprint(&part.content);
    }
}

/// The hour that holds `time`, counted from 1970 UTC; rounds down also before.
pub(super) fn hour_of(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(HOUR_MS)
}

/// Where a file of a group's hour lies: `group=site%2Ffiles/date=2026-09-14/hour=05/NAME.parquet`.
pub(super) fn file_path(group: &Group, hour: i64, name: &str) -> String {
    let start = Timestamp::from_millis(hour.saturating_mul(HOUR_MS)).iso();
    let (date, time) = start.split_once('T').unwrap_or((&start, "00"));
    format!("group={}/date={date}/hour={}/{name}.parquet", folder(group), &time[..2])
}

/// The name of a file fresh from the journal: a step that is repeated after a crash writes the same file again.
pub(super) fn fresh_name(from: Position) -> String {
    format!("{:020}", from.number())
}

/// The name of a file that the step numbered `step` merged.
pub(super) fn merged_name(from: Position, step: u64) -> String {
    format!("{:020}-{step:020}", from.number())
}

/// The summary's place beside its file.
pub(super) fn summary_path(path: &str) -> String {
    format!("{}.summary", path.strip_suffix(".parquet").unwrap_or(path))
}

/// Region and name with everything but letters, digits, `_`, `-` and `.` as `%XX`.
fn folder(group: &Group) -> String {
    let mut folder = String::new();
    for byte in format!("{}/{}", group.region, group.name).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => folder.push(char::from(byte)),
            _ => folder.push_str(&format!("%{byte:02X}")),
        }
    }
    if folder.len() > FOLDER_BYTES_MAX {
        let fingerprint = group_fingerprint(group).to_string();
        folder.truncate(FOLDER_BYTES_MAX - FOLDER_FINGERPRINT_DIGITS - 1);
        folder = format!("{folder}~{}", &fingerprint[..FOLDER_FINGERPRINT_DIGITS]);
    }
    folder
}

fn group_fingerprint(group: &Group) -> Fingerprint {
    Canonical::new("group").group(group).finish()
}

/// The prefix of all keys of files.
pub(super) const FILES: &[u8] = b"file/";

/// The prefix of a group's files; of one length whatever the group's name.
pub(super) fn group_key(group: &Group) -> Vec<u8> {
    let mut key = FILES.to_vec();
    key.extend(&group_fingerprint(group).as_bytes()[..GROUP_KEY_BYTES]);
    key
}

/// The prefix of the files of a group's hour; sorts by hour.
pub(super) fn hour_key(group: &Group, hour: i64) -> Vec<u8> {
    let mut key = group_key(group);
    key.extend((hour as u64 ^ (1 << 63)).to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(region: &str, name: &str) -> Group {
        Group { region: region.into(), name: name.into() }
    }

    #[test]
    fn paths_say_group_date_and_hour() {
        let hour = hour_of(Timestamp::from_millis(1_789_364_521_123));
        assert_eq!(
            file_path(&group("eu-1", "/aws/fsx/Ä b"), hour, &fresh_name(Position::new(7))),
            "group=eu-1%2F%2Faws%2Ffsx%2F%C3%84%20b/date=2026-09-14/hour=05/00000000000000000007.parquet"
        );
        assert_eq!(hour_of(Timestamp::from_millis(-1)), -1);
        assert!(file_path(&group("r", "g"), -1, "x").contains("date=1969-12-31/hour=23/"));
        for hour in [i64::MIN, i64::MAX] {
            assert!(!file_path(&group("r", "g"), hour, "x").is_empty());
        }
        assert_eq!(summary_path("a/b.parquet"), "a/b.summary");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (one, two) = (group("r", &"#".repeat(512)), group("r", &format!("{}x", "#".repeat(511))));
        assert_eq!(folder(&one).len(), FOLDER_BYTES_MAX);
        assert_ne!(folder(&one), folder(&two));
    }

    #[test]
    fn keys_sort_by_hour_and_keep_groups_apart() {
        let one = group("r", "g");
        let keys: Vec<_> = [-1_i64, 0, 1, 400_000].map(|hour| hour_key(&one, hour)).to_vec();
        assert!(keys.is_sorted());
        assert!(keys.iter().all(|key| key.starts_with(&group_key(&one))));
        assert_ne!(group_key(&group("r", "g")), group_key(&group("rg", "")));
    }
}
