/*!
[`GroupSummary`]: what a row group holds, so that a reader can pass it over; and the file in which the summaries lie.

A summary answers [`Facts`]: a bitmap of four-byte runs answers for texts, because terms of patterns are found anywhere
and not as words; a split block Bloom filter ("Parquet Bloom Filter" specification) answers for the values of common
fields. Knows no dialect: values come from a [`FieldReader`]. It relies on one property of readers: a value outside
`$.Audit` stands in its message, apart from the escapes of XML and JSON.
*/

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use nightbell_core::fields::{Selector, Step, Subject, Value};
use nightbell_core::pattern::facts::Facts;
use nightbell_core::pattern::plain_number;
use nightbell_core::time::Timestamp;
use parquet::bloom_filter::Sbbf;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::columns::Field;
use super::counts::Counts;
use super::decoded::{self, Decoded};
use super::fingerprint::Placed;
use super::grams::{GramDraft, Grams};

/// Names of streams that a summary lists; a row group of more is searched for every stream.
pub const SUMMARY_STREAMS_MAX: usize = 256;

/// Values of fields that one row group's filter is told apart by; past it the filter answers yes.
pub const SUMMARY_VALUES_MAX: usize = 1_000_000;

/// The share of absent values that the filter cannot rule out.
const VALUES_ERROR: f64 = 0.01;

/// Bytes of a summary file after decompression.
const PLAIN_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of the largest packed columns of a row group that are read.
const COLUMNS_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The level of zstd for summaries: bitmaps do not get smaller by more.
const ZSTD_LEVEL: i32 = 3;

const MAGIC: [u8; 2] = *b"NS";
/// Version 1 says nothing of exact columns, version 2 nothing of where each column lies, version 3 counts no values.
const VERSION: u8 = 4;
const HEADER_BYTES: usize = 16;

/// Fields whose values stand in the filter: what rules and people ask for, and numbers, which may
/// be written in several ways and so cannot be looked for in the text. A change to the list raises the version.
const FILTERED: [&str; 22] = [
    "$.EventID",
    "$.LogonType",
    "$.SubjectUserName",
    "$.TargetUserName",
    "$.IpAddress",
    "$.Audit.Outcome",
    "$.Audit.Action",
    "$.Audit.User",
    "$.Audit.Instance",
    "$.Audit.Source",
    "$.Audit.Share",
    "$.Audit.Folder",
    "$.Audit.File",
    "$.Audit.Reason",
    "$.Audit.LogonType",
    "$.Audit.Process",
    "$.Audit.Account",
    "$.Audit.Channel",
    "$.Audit.Noise",
    "$.Audit.Object",
    "$.Audit.Access[*]",
    // Last: `$.Audit.Path[2]` is looked up among all elements of the path.
    "$.Audit.Path[*]",
];

/// What the keys of each field's values are seeded with.
static SEEDS: LazyLock<Vec<u64>> =
    LazyLock::new(|| FILTERED.iter().map(|name| xxh3_64(name.as_bytes())).collect());

/// The column that holds each field's first value, if one does.
static COLUMNS: LazyLock<Vec<Option<Field>>> = LazyLock::new(|| SELECTORS.iter().map(Field::of).collect());

static SELECTORS: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    FILTERED.iter().map(|text| Selector::parse(text).expect("the list holds selectors")).collect()
});

/// Bytes of a file and their checksum, so that what is read in part can be checked in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) bytes: u64,
    checksum: u64,
}

impl Span {
    /// The span of `file` from `start` up to but without `end`.
    pub(super) fn of(file: &[u8], start: u64, end: u64) -> Self {
        let checksum = xxh3_64(&file[start as usize..end as usize]);
        Self { start, bytes: end - start, checksum }
    }

    pub(super) fn range(&self) -> std::ops::Range<u64> {
        self.start..self.start.saturating_add(self.bytes)
    }

    /// Whether columns can have this length.
    pub(super) fn is_possible(&self) -> bool {
        (1..=COLUMNS_BYTES_MAX).contains(&self.bytes)
    }

    /// Whether these are the bytes that were written.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.bytes && xxh3_64(bytes) == self.checksum
    }
}

/// What one row group of a file holds.
#[derive(Clone, Debug)]
pub struct GroupSummary {
    stored: Stored,
    values: Sbbf,
}

/// The stored form of a [`GroupSummary`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stored {
    rows: u64,
    first: Timestamp,
    last: Timestamp,
    first_arrival: Timestamp,
    last_arrival: Timestamp,
    /// Sorted; `None` when there are too many.
    streams: Option<Vec<String>>,
    /// Some message holds markup inside a value, or an escape that was not understood.
    is_coded: bool,
    /// There were too many values.
    is_full: bool,
    /// Bytes at once: postcard writes them as it writes a list of numbers, and reads them many times faster.
    #[serde(with = "serde_bytes")]
    values: Vec<u8>,
    grams: Grams,
    fields: Span,
    messages: Span,
    /// The fields whose columns are exact, a bit for each; stored beside, since version 2.
    #[serde(skip)]
    exact: u16,
    /// Where each of the small columns lies; stored beside, since version 3, and empty before.
    #[serde(skip)]
    columns: Vec<Span>,
    /// How often each value of each field stands there; stored beside, since version 4, and empty before.
    #[serde(skip)]
    counts: Vec<Option<Counts>>,
}

impl GroupSummary {
    /// Whether the column of a field says of every event what its message says: the text as it is written there, and
    /// nothing only where the message has nothing, also not a field whose whole name is `Audit.User`.
    pub fn is_exact(&self, field: Field) -> bool {
        self.stored.exact & bit(field) != 0
    }

    /// How many events the row group holds.
    pub fn rows(&self) -> u64 {
        self.stored.rows
    }

    /// The earliest and the latest event time.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        (self.stored.first, self.stored.last)
    }

    /// The earliest and the latest arrival.
    pub fn arrivals(&self) -> (Timestamp, Timestamp) {
        (self.stored.first_arrival, self.stored.last_arrival)
    }

    /// Whether some event may be at or after `from` and before `to`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.stored.first < to && from <= self.stored.last
    }

    /// The names of its streams in order; `None` when there are more than [`SUMMARY_STREAMS_MAX`].
    pub fn streams(&self) -> Option<&[String]> {
        self.stored.streams.as_deref()
    }

    /// Whether some event may be of this stream.
    pub fn may_hold_stream(&self, stream: &str) -> bool {
        self.streams()
            .is_none_or(|streams| streams.binary_search_by(|held| held.as_str().cmp(stream)).is_ok())
    }

    /// Bytes that its filters and counts take in memory.
    pub fn bytes(&self) -> usize {
        let counts: usize = self.stored.counts.iter().flatten().map(Counts::bytes).sum();
        self.values.num_blocks() * 32 + self.stored.grams.bytes() + counts
    }

    /// How often each value of a field stands there, where that is known.
    pub(super) fn counts(&self, field: Field) -> Option<&Counts> {
        self.stored.counts.get(field as usize)?.as_ref()
    }

    /// Where these of the small columns lie; all of them in one where it is not known of each.
    pub(super) fn column_spans(&self, columns: &[usize]) -> Vec<Span> {
        let known: Option<Vec<Span>> =
            columns.iter().map(|at| self.stored.columns.get(*at).copied()).collect();
        known.unwrap_or_else(|| vec![self.stored.fields])
    }

    /// Where the messages lie.
    pub(super) fn messages_span(&self) -> Span {
        self.stored.messages
    }

    /// Whether values that stand in the message may contain `part`. Blanks may have been written otherwise.
    fn may_hold_verbatim(&self, part: &str) -> bool {
        self.stored.is_coded || part.split(char::is_whitespace).all(|run| self.stored.grams.may_hold(run))
    }

    fn from_file(mut stored: Stored) -> Result<Self, &'static str> {
        if stored.values.is_empty() || !stored.values.len().is_multiple_of(32) || !stored.grams.is_sound() {
            return Err("a filter has no length of filters");
        }
        let values = Sbbf::new(&std::mem::take(&mut stored.values));
        Ok(Self { stored, values })
    }
}

impl Facts for GroupSummary {
    fn may_hold_text(&self, text: &str) -> bool {
        self.stored.grams.may_hold(text)
    }

    fn may_hold_value(&self, selector: &Selector, text: &str) -> bool {
        match place(selector) {
            // The words of JSON are no texts: a filter over texts and numbers says nothing of them.
            Asked::Filtered(_) if is_json_word(text) => true,
            Asked::Filtered(at) => {
                self.stored.is_full || self.values.check(&(value_key(SEEDS[at], text) as i64))
            }
            Asked::Verbatim => plain_number(text).is_some() || self.may_hold_verbatim(text),
            Asked::Unknown => true,
        }
    }

    fn may_hold_part(&self, selector: &Selector, part: &str) -> bool {
        match place(selector) {
            Asked::Filtered(_) => self.stored.is_full || self.stored.grams.may_hold(part),
            Asked::Verbatim => self.may_hold_verbatim(part),
            Asked::Unknown => true,
        }
    }
}

fn bit(field: Field) -> u16 {
    1 << field as u16
}

/// Whether `text` may stand for a value that is neither a text nor a number.
pub(super) fn is_json_word(text: &str) -> bool {
    matches!(text, "true" | "false")
}

/// Where the answer about a selector stands.
enum Asked {
    /// In the filter, as the field of this number.
    Filtered(usize),
    /// In the text of the messages.
    Verbatim,
    Unknown,
}

fn place(selector: &Selector) -> Asked {
    if let Some(at) = SELECTORS.iter().position(|filtered| filtered == selector) {
        return Asked::Filtered(at);
    }
    let [Step::Name(first), rest @ ..] = selector.steps.as_slice() else { return Asked::Unknown };
    match rest {
        _ if first != "Audit" => Asked::Verbatim,
        [Step::Name(path), Step::Index(_)] if path == "Path" => Asked::Filtered(FILTERED.len() - 1),
        _ => Asked::Unknown,
    }
}

/// The key of a value: of a number the number, so that every way of writing it has one key.
fn value_key(seed: u64, text: &str) -> u64 {
    match plain_number(text) {
        Some(number) => number_key(seed, number),
        None => xxh3_64_with_seed(text.as_bytes(), seed),
    }
}

fn number_key(seed: u64, number: f64) -> u64 {
    xxh3_64_with_seed(&(number + 0.0).to_bits().to_le_bytes(), !seed)
}

/// The summary of a row group while it is written.
pub(super) struct Draft {
    rows: u64,
    times: Option<[Timestamp; 4]>,
    streams: BTreeSet<String>,
    has_many_streams: bool,
    is_coded: bool,
    is_full: bool,
    values: HashSet<u64, BuildHasherDefault<Hashed>>,
    grams: GramDraft,
    exact: u16,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self {
            rows: 0,
            times: None,
            streams: BTreeSet::new(),
            has_many_streams: false,
            is_coded: false,
            is_full: false,
            values: HashSet::default(),
            grams: GramDraft::new(),
            exact: u16::MAX,
        }
    }

    /// Looks whether the columns of an event say what its message says.
    pub(super) fn check(&mut self, columns: &[Option<String>; Field::ALL.len()], subject: &Subject<'_>) {
        for (field, column) in Field::ALL.into_iter().zip(columns) {
            let is_exact = self.exact & bit(field) == 0
                || match column {
                    // A truth value would stand there as its word.
                    Some(text) if field.is_number() => {
                        text.parse().is_ok_and(|number: i64| number.to_string() == *text)
                    }
                    Some(text) => !is_json_word(text),
                    None => !has_scalar(subject, field.whole()),
                };
            if !is_exact {
                self.exact &= !bit(field);
            }
        }
    }

    /// Takes an event in; returns the first scalar of each field that has a column and is read here.
    pub(super) fn push(
        &mut self,
        event: &Placed<'_>,
        subject: &Subject<'_>,
    ) -> [Option<String>; Field::ALL.len()] {
        self.rows += 1;
        let (time, arrival) = (event.time, event.arrival);
        let [first, last, first_arrival, last_arrival] = self.times.unwrap_or([time, time, arrival, arrival]);
        self.times =
            Some([first.min(time), last.max(time), first_arrival.min(arrival), last_arrival.max(arrival)]);
        if !self.has_many_streams && !self.streams.contains(event.stream) {
            self.streams.insert(event.stream.to_owned());
            self.has_many_streams = self.streams.len() > SUMMARY_STREAMS_MAX;
        }
        self.grams.add_message(event.message);
        let mut columns = [const { None }; Field::ALL.len()];
        let Some(fields) = subject.fields() else { return columns };
        match decoded::read(event.message) {
            Decoded::Same => {}
            Decoded::Other(text) => self.grams.add(&text),
            Decoded::Unclear => self.is_coded = true,
        }
        for ((selector, &seed), &column) in SELECTORS.iter().zip(SEEDS.iter()).zip(COLUMNS.iter()) {
            fields.visit(selector, &mut |value| {
                self.add_value(seed, value);
                if let Some(column) = column {
                    keep_first(&mut columns[column as usize], value);
                }
            });
        }
        columns
    }

    fn add_value(&mut self, seed: u64, value: Value<'_>) {
        match value {
            Value::Text(text) => self.add_key(value_key(seed, text), text),
            Value::Number { number, text } => {
                self.add_key(number_key(seed, number), text);
                self.add_key(value_key(seed, text), text);
            }
            Value::Null | Value::Bool(_) | Value::Array { .. } | Value::Object => {}
        }
    }

    fn add_key(&mut self, key: u64, text: &str) {
        if self.is_full {
            return;
        }
        let is_new = self.values.insert(key);
        self.is_full = self.values.len() >= SUMMARY_VALUES_MAX;
        // Numbers share a key and differ in their writing.
        if is_new || text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            self.grams.add(text);
        }
    }

    /// The summary, and an empty draft again.
    pub(super) fn finish(&mut self) -> GroupSummary {
        let draft = std::mem::replace(self, Self::new());
        let mut values = Sbbf::new_with_ndv_fpp(draft.values.len().max(1) as u64, VALUES_ERROR)
            .expect("the share is between zero and one");
        for &key in &draft.values {
            values.insert(&(key as i64));
        }
        values.fold_to_target_fpp(VALUES_ERROR);
        let mut bitset = Vec::new();
        values.write_bitset(&mut bitset).expect("memory takes what is written");
        let [first, last, first_arrival, last_arrival] = draft.times.unwrap_or_default();
        let streams = (!draft.has_many_streams).then(|| draft.streams.into_iter().collect());
        let stored = Stored {
            rows: draft.rows,
            first,
            last,
            first_arrival,
            last_arrival,
            streams,
            is_coded: draft.is_coded,
            is_full: draft.is_full,
            values: bitset,
            grams: draft.grams.finish(),
            fields: Span::default(),
            messages: Span::default(),
            exact: draft.exact,
            columns: Vec::new(),
            counts: Vec::new(),
        };
        GroupSummary { stored, values }
    }
}

fn has_scalar(subject: &Subject<'_>, selector: &Selector) -> bool {
    let mut found = None;
    if let Some(fields) = subject.fields() {
        fields.visit(selector, &mut |value| keep_first(&mut found, value));
    }
    found.is_some()
}

/// As [`Subject::text`] has it: the first text, number or truth value.
fn keep_first(first: &mut Option<String>, value: Value<'_>) {
    if first.is_some() {
        return;
    }
    *first = match value {
        Value::Text(text) | Value::Number { text, .. } => Some(text.to_owned()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array { .. } | Value::Object => None,
    };
}

/// Keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The summaries of a file's row groups, and where its footer lies.
#[derive(Clone, Debug)]
pub(super) struct FileSummary {
    pub(super) footer: Span,
    pub(super) groups: Vec<GroupSummary>,
}

impl FileSummary {
    /// Fills in where a row group's columns lie: the small ones, together and each, and the messages.
    pub(super) fn place(&mut self, group: usize, fields: Span, columns: Vec<Span>, messages: Span) {
        let stored = &mut self.groups[group].stored;
        (stored.fields, stored.columns, stored.messages) = (fields, columns, messages);
    }

    /// Fills in how often each value of each field stands in a row group.
    pub(super) fn count(&mut self, group: usize, counts: Vec<Option<Counts>>) {
        self.groups[group].stored.counts = counts;
    }

    /// `NS`, version, five zeros, XXH3-64 of the frame (little endian), and a zstd frame of postcard.
    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        let stored: Vec<&Stored> = self.groups.iter().map(|group| &group.stored).collect();
        let exact: Vec<u16> = self.groups.iter().map(|group| group.stored.exact).collect();
        let columns: Vec<&[Span]> = self.groups.iter().map(|group| &*group.stored.columns).collect();
        let counts: Vec<&[Option<Counts>]> = self.groups.iter().map(|group| &*group.stored.counts).collect();
        let plain = postcard::to_stdvec(&(self.footer, stored, exact, columns, counts));
        let plain = plain.map_err(|error| error.to_string())?;
        let frame = zstd::bulk::compress(&plain, ZSTD_LEVEL).map_err(|error| error.to_string())?;
        let mut value = vec![0; HEADER_BYTES];
        value[..2].copy_from_slice(&MAGIC);
        value[2] = VERSION;
        value[8..].copy_from_slice(&xxh3_64(&frame).to_le_bytes());
        value.extend(frame);
        Ok(value)
    }

    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(value: &[u8]) -> Result<Self, &'static str> {
        let Some((head, frame)) = value.split_at_checked(HEADER_BYTES) else {
            return Err("summary is cut short");
        };
        let version = head[2];
        if head[..2] != MAGIC || !(1..=VERSION).contains(&version) || head[3..8] != [0; 5] {
            return Err("header is not a summary's of this version");
        }
        if head[8..] != xxh3_64(frame).to_le_bytes() {
            return Err("checksum differs");
        }
        let plain_bytes =
            zstd::bulk::Decompressor::upper_bound(frame).ok_or("summary does not say its length")?;
        if plain_bytes > PLAIN_BYTES_MAX {
            return Err("summary is too large");
        }
        let plain = zstd::bulk::decompress(frame, plain_bytes).map_err(|_| "frame is no zstd")?;
        let ((footer, mut stored), rest): ((Span, Vec<Stored>), _) =
            postcard::take_from_bytes(&plain).map_err(|_| "frame holds no summary")?;
        if version > 1 {
            let (exact, rest): (Vec<u16>, _) =
                postcard::take_from_bytes(rest).map_err(|_| "frame holds no exact columns")?;
            stored.iter_mut().zip(exact).for_each(|(stored, exact)| stored.exact = exact);
            if version > 2 {
                let (columns, rest): (Vec<Vec<Span>>, _) =
                    postcard::take_from_bytes(rest).map_err(|_| "frame does not hold where columns lie")?;
                stored.iter_mut().zip(columns).for_each(|(stored, columns)| stored.columns = columns);
                if version > 3 {
                    let counts: Vec<Vec<Option<Counts>>> =
                        postcard::from_bytes(rest).map_err(|_| "frame holds no counts")?;
                    stored.iter_mut().zip(counts).for_each(|(stored, counts)| stored.counts = counts);
                }
            }
        }
        let groups = stored.into_iter().map(GroupSummary::from_file).collect::<Result<_, _>>()?;
        Ok(Self { footer, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> FileSummary {
        let mut draft = Draft::new();
        draft.exact = 5;
        let mut summary = FileSummary { footer: Span::of(b"footer", 0, 6), groups: vec![draft.finish()] };
        let file = b"0123456789";
        let columns = vec![Span::of(file, 0, 2), Span::of(file, 2, 6)];
        summary.place(0, Span::of(file, 0, 6), columns, Span::of(file, 6, 10));
        summary
    }

    /// The summary as programs of an earlier version wrote it.
    fn written_by(version: u8, summary: &FileSummary) -> Vec<u8> {
        let stored: Vec<&Stored> = summary.groups.iter().map(|group| &group.stored).collect();
        let exact: Vec<u16> = summary.groups.iter().map(|group| group.stored.exact).collect();
        let plain = match version {
            1 => postcard::to_stdvec(&(summary.footer, stored)).unwrap(),
            2 => postcard::to_stdvec(&(summary.footer, stored, exact)).unwrap(),
            _ => {
                let columns: Vec<_> = summary.groups.iter().map(|group| &group.stored.columns).collect();
                postcard::to_stdvec(&(summary.footer, stored, exact, columns)).unwrap()
            }
        };
        let frame = zstd::bulk::compress(&plain, ZSTD_LEVEL).unwrap();
        let header = [MAGIC.as_slice(), &[version, 0, 0, 0, 0, 0], &xxh3_64(&frame).to_le_bytes()].concat();
        [header, frame].concat()
    }

    #[test]
    fn each_column_is_placed_by_itself() {
        let read = FileSummary::decode(&summary().encode().unwrap()).unwrap();
        let group = &read.groups[0];
        let places = |columns: &[usize]| -> Vec<_> {
            group.column_spans(columns).iter().map(|span| (span.start, span.bytes)).collect()
        };
        assert_eq!(places(&[0]), [(0, 2)]);
        assert_eq!(places(&[0, 1]), [(0, 2), (2, 4)]);
        assert_eq!(places(&[1, 2]), [(0, 6)], "a column that is not known of: all in one");
        assert_eq!((group.stored.exact, group.messages_span().range()), (5, 6..10));
    }

    #[test]
    fn summaries_of_earlier_versions_are_read() {
        for (version, exact) in [(1, 0), (2, 5)] {
            let read = FileSummary::decode(&written_by(version, &summary())).unwrap();
            let group = &read.groups[0];
            assert_eq!(group.stored.exact, exact, "version {version}");
            assert_eq!(group.column_spans(&[0]), [group.stored.fields], "version {version}");
            assert_eq!(read.footer, summary().footer);
        }
        let read = FileSummary::decode(&written_by(3, &summary())).unwrap();
        assert_eq!(read.groups[0].column_spans(&[0])[0].range(), 0..2);
        assert_eq!(read.groups[0].counts(Field::User), None);
        assert!(FileSummary::decode(&written_by(VERSION + 1, &summary())).is_err());
    }
}
