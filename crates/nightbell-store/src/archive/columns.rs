/*!
The columns of a file and how each is written.

Readers outside (DuckDB, pyarrow, Spark) rely on names and types: a column may be added, and none changes.
*/

use std::sync::{Arc, LazyLock};

use nightbell_core::fields::{Selector, Step};
use nightbell_core::pattern::facts::Facts;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

/// Events of a row group.
pub const ROW_GROUP_ROWS_MAX: usize = 65_536;

/// Bytes of message text of a row group, beyond the last event's.
pub const ROW_GROUP_MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of a page before compression.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a page of messages before compression: what is unpacked for one event that is wanted.
const MESSAGE_PAGE_BYTES_MAX: usize = 512 * 1024;

/// The level of zstd for files: see the page on the archive for what was measured.
const ZSTD_LEVEL: i32 = 9;

/// The share of absent values that a column's bloom filter cannot rule out.
const BLOOM_ERROR: f64 = 0.01;

const SCHEMA: &str = "message event {
  required int64 time (TIMESTAMP(MILLIS,true));
  required int64 arrival (TIMESTAMP(MILLIS,true));
  required binary stream (STRING);
  required int64 block;
  required int32 number;
  optional int64 event_id;
  optional int64 record_id;
  optional binary outcome (STRING);
  optional binary action (STRING);
  optional binary user (STRING);
  optional binary instance (STRING);
  optional binary source (STRING);
  optional binary share (STRING);
  optional binary folder (STRING);
  optional binary file (STRING);
  optional binary reason (STRING);
  required binary message (STRING);
}";

pub(super) const TIME: usize = 0;
pub(super) const ARRIVAL: usize = 1;
pub(super) const STREAM: usize = 2;
pub(super) const BLOCK: usize = 3;
pub(super) const NUMBER: usize = 4;
/// The first column of [`Field::ALL`].
pub(super) const FIELDS: usize = 5;
pub(super) const MESSAGE: usize = FIELDS + Field::ALL.len();

/// Columns whose values follow each other closely.
const DELTAS: [&str; 5] = ["time", "arrival", "block", "number", "record_id"];

/// Columns with a bloom filter.
const BLOOMS: [&str; 8] = ["stream", "event_id", "user", "instance", "source", "share", "folder", "file"];

/// A field of the event that has a column of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `event_id`: `$.EventID`, a number.
    EventId,
    /// `record_id`: `$.EventRecordID`, a number.
    RecordId,
    /// `outcome`: `$.Audit.Outcome`.
    Outcome,
    /// `action`: `$.Audit.Action`.
    Action,
    /// `user`: `$.Audit.User`.
    User,
    /// `instance`: `$.Audit.Instance`.
    Instance,
    /// `source`: `$.Audit.Source`.
    Source,
    /// `share`: `$.Audit.Share`.
    Share,
    /// `folder`: `$.Audit.Folder`.
    Folder,
    /// `file`: `$.Audit.File`.
    File,
    /// `reason`: `$.Audit.Reason`.
    Reason,
}

impl Field {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 11] = [
        Self::EventId,
        Self::RecordId,
        Self::Outcome,
        Self::Action,
        Self::User,
        Self::Instance,
        Self::Source,
        Self::Share,
        Self::Folder,
        Self::File,
        Self::Reason,
    ];

    /// The selector whose first scalar the column holds.
    pub fn selector(self) -> &'static Selector {
        &SELECTORS[self as usize]
    }

    /// The field that `selector` reaches.
    pub fn of(selector: &Selector) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.selector() == selector)
    }

    /// The field that is looked for in these ways, one after the other, where none of the ways leads past the column: its
    /// selector, then its name as one key.
    pub fn asked_for(ways: &[Selector]) -> Option<Self> {
        let (first, others) = ways.split_first()?;
        let field = Self::of(first)?;
        others.iter().all(|way| *way == WHOLE[field as usize]).then_some(field)
    }

    /// Its name as one key: `$.['Audit.User']`.
    pub(super) fn whole(self) -> &'static Selector {
        &WHOLE[self as usize]
    }

    /// Whether the column holds whole numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::EventId | Self::RecordId)
    }

    /// The fields that a question about [`Facts`] asks for: those whose columns help to answer it.
    pub fn asked_by(question: impl Fn(&dyn Facts) -> bool) -> Vec<Self> {
        let asked = Asked::default();
        question(&asked);
        let mut fields = asked.0.into_inner();
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}

static SELECTORS: LazyLock<[Selector; 11]> = LazyLock::new(|| {
    Field::ALL.map(|field| {
        let text = match field {
            Field::EventId => "$.EventID",
            Field::RecordId => "$.EventRecordID",
            Field::Outcome => "$.Audit.Outcome",
            Field::Action => "$.Audit.Action",
            Field::User => "$.Audit.User",
            Field::Instance => "$.Audit.Instance",
            Field::Source => "$.Audit.Source",
            Field::Share => "$.Audit.Share",
            Field::Folder => "$.Audit.Folder",
            Field::File => "$.Audit.File",
            Field::Reason => "$.Audit.Reason",
        };
        Selector::parse(text).expect("is a selector")
    })
});

static WHOLE: LazyLock<[Selector; 11]> = LazyLock::new(|| {
    Field::ALL.map(|field| {
        let names = field.selector().steps.iter().filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) | Step::Any { .. } => None,
        });
        Selector { steps: vec![Step::Name(names.collect::<Vec<_>>().join("."))] }
    })
});

/// Answers yes to everything and remembers which columns were asked for.
#[derive(Default)]
struct Asked(std::cell::RefCell<Vec<Field>>);

impl Facts for Asked {
    fn may_hold_text(&self, _: &str) -> bool {
        true
    }

    fn may_hold_value(&self, selector: &Selector, _: &str) -> bool {
        self.0.borrow_mut().extend(Field::of(selector));
        true
    }

    fn may_hold_part(&self, selector: &Selector, _: &str) -> bool {
        self.0.borrow_mut().extend(Field::of(selector));
        true
    }
}

/// The schema of every file.
pub(super) static SCHEMA_TYPE: LazyLock<TypePtr> =
    LazyLock::new(|| Arc::new(parse_message_type(SCHEMA).expect("is a schema")));

/// How a file is written; `facts` are kept in its footer.
pub(super) fn properties(facts: Vec<(&str, String)>, blooms: BloomFilterPosition) -> WriterProperties {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("is a level of zstd");
    let column = |name: &str| ColumnPath::from(name);
    let sorted = |at: usize| SortingColumn { column_idx: at as i32, descending: false, nulls_first: false };
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("nightbell ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_bloom_filter_position(blooms)
        .set_sorting_columns(Some([TIME, BLOCK, NUMBER].map(sorted).to_vec()))
        .set_key_value_metadata(Some(
            facts.into_iter().map(|(key, value)| KeyValue::new(format!("nightbell.{key}"), value)).collect(),
        ))
        .set_column_dictionary_enabled(column("message"), false)
        .set_column_data_page_size_limit(column("message"), MESSAGE_PAGE_BYTES_MAX)
        .set_column_statistics_enabled(column("message"), EnabledStatistics::None);
    for name in DELTAS {
        properties = properties
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in BLOOMS {
        properties = properties
            .set_column_bloom_filter_enabled(column(name), true)
            .set_column_bloom_filter_fpp(column(name), BLOOM_ERROR)
            .set_column_bloom_filter_max_ndv(column(name), ROW_GROUP_ROWS_MAX as u64);
    }
    properties.build()
}

#[cfg(test)]
mod tests {
    use nightbell_core::pattern::Pattern;

    use super::*;

    #[test]
    fn fields_stand_where_the_schema_has_them() {
        let columns = SCHEMA_TYPE.get_fields();
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        assert_eq!(names[MESSAGE], "message");
        assert_eq!(names.len(), MESSAGE + 1);
        for field in Field::ALL {
            let name = names[FIELDS + field as usize];
            let selector = field.selector().to_string().to_lowercase();
            assert!(selector.ends_with(&name.replace('_', "")), "{name} {selector}");
            assert_eq!(Field::of(field.selector()), Some(field));
        }
    }

    #[test]
    fn a_pattern_tells_which_columns_help() {
        let pattern =
            r#"{ ($.Audit.User = "a" || $.Audit.Folder = "*b*") && $.EventID = 1 && $.Other = "c" }"#;
        let pattern = Pattern::parse(pattern).unwrap();
        let fields = Field::asked_by(|facts| pattern.may_match(facts));
        assert_eq!(fields, [Field::EventId, Field::User, Field::Folder]);
    }
}
