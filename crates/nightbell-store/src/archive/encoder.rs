/*!
[`Encoder`]: events in order of time and place to the bytes of a Parquet file, its summary and its entry.

Knows no store and no catalog. Holds one row group of events at a time; the fields of an event are read once, for columns
and summary together.
*/

use std::io::Write;

use bytes::Bytes;
use nightbell_core::event::Group;
use nightbell_core::fields::{FieldReader, Subject};
use nightbell_core::time::Timestamp;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::BloomFilterPosition;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::columns::{
    self, FIELDS, Field, MESSAGE, ROW_GROUP_MESSAGE_BYTES_MAX, ROW_GROUP_ROWS_MAX, SCHEMA_TYPE,
};
use super::counts::Counts;
use super::entry::{FileEntry, file_path};
use super::fingerprint::{Contents, Fingerprint, Placed};
use super::summary::{Draft, FileSummary, Span};
use crate::error::Cause;
use crate::{Position, StoreError};

/// Messages that are handed to the column writer at once; it looks at the size of its page after each batch.
const MESSAGES_AT_ONCE: usize = 64;

/// Bytes at the end of a Parquet file: the footer's length and `PAR1`.
pub(super) const TAIL_BYTES: usize = 8;

/// A file ready to be stored.
pub(super) struct Encoded {
    pub(super) entry: FileEntry,
    pub(super) file: Bytes,
    pub(super) summary: Bytes,
}

/// Writes one file.
pub(super) struct Encoder<'r> {
    reader: &'r dyn FieldReader,
    group: Group,
    hour: i64,
    path: String,
    file: SerializedFileWriter<Vec<u8>>,
    pending: Pending,
    draft: Draft,
    summary: FileSummary,
    contents: Contents,
    message_bytes: u64,
}

impl<'r> Encoder<'r> {
    /// A file of a group's hour with the events of these ranges of the journal.
    pub(super) fn new(
        group: &Group,
        hour: i64,
        name: &str,
        ranges: impl IntoIterator<Item = (Position, Position)>,
        reader: &'r dyn FieldReader,
    ) -> Result<Self, StoreError> {
        let path = file_path(group, hour, name);
        let properties = columns::properties(facts_of(group), BloomFilterPosition::End).into();
        let file = SerializedFileWriter::new(Vec::new(), SCHEMA_TYPE.clone(), properties);
        Ok(Self {
            reader,
            group: group.clone(),
            hour,
            file: file.map_err(|error| encoding(&path, &error))?,
            path,
            pending: Pending::default(),
            draft: Draft::new(),
            summary: FileSummary { footer: Span::default(), groups: Vec::new() },
            contents: Contents::new(ranges),
            message_bytes: 0,
        })
    }

    /// Takes an event in; they come in order of time, block and number.
    pub(super) fn push(&mut self, event: &Placed<'_>) -> Result<(), StoreError> {
        if !self.contents.push(event) {
            let reason = format!("event is of no range of the file. position={}", event.block);
            return Err(Cause::Archive { path: self.path.clone(), reason }.into());
        }
        let subject = Subject::new(event.message, event.stream, self.reader);
        let mut fields = self.draft.push(event, &subject);
        fields[Field::RecordId as usize] = subject.text(Field::RecordId.selector());
        self.draft.check(&fields, &subject);
        self.pending.push(event, fields);
        self.message_bytes += event.message.len() as u64;
        if self.pending.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let mut pending = std::mem::take(&mut self.pending);
        self.summary.groups.push(self.draft.finish());
        let written = self.file.next_row_group().and_then(|group| pending.write(group));
        written.map_err(|error| encoding(&self.path, &error))
    }

    /// The file, if any event was taken in.
    pub(super) fn finish(mut self) -> Result<Option<Encoded>, StoreError> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        if self.summary.groups.is_empty() {
            return Ok(None);
        }
        let metadata = self.file.finish().map_err(|error| encoding(&self.path, &error))?;
        let file = Bytes::from(std::mem::take(self.file.inner_mut()));
        describe(&mut self.summary, &metadata, &file).map_err(|error| encoding(&self.path, &error))?;
        let summary = self
            .summary
            .encode()
            .map_err(|reason| StoreError::from(Cause::Archive { path: self.path.clone(), reason }))?;
        let entry = self.entry(&file, &summary);
        Ok(Some(Encoded { entry, file, summary: summary.into() }))
    }

    fn entry(self, file: &[u8], summary: &[u8]) -> FileEntry {
        let groups = &self.summary.groups;
        let earliest =
            |of: fn(&super::GroupSummary) -> Timestamp| groups.iter().map(of).min().unwrap_or_default();
        let latest =
            |of: fn(&super::GroupSummary) -> Timestamp| groups.iter().map(of).max().unwrap_or_default();
        FileEntry {
            hour: self.hour,
            rows: groups.iter().map(super::GroupSummary::rows).sum(),
            first: earliest(|group| group.times().0),
            last: latest(|group| group.times().1),
            first_arrival: earliest(|group| group.arrivals().0),
            last_arrival: latest(|group| group.arrivals().1),
            message_bytes: self.message_bytes,
            bytes: file.len() as u64,
            sha256: Fingerprint::of(file),
            summary_bytes: summary.len() as u64,
            summary_sha256: Fingerprint::of(summary),
            parts: self.contents.finish(&self.group),
            path: self.path,
            group: self.group,
        }
    }
}

/// What the footer says of a group.
pub(super) fn facts_of(group: &Group) -> Vec<(&'static str, String)> {
    vec![("region", group.region.clone()), ("group", group.name.clone())]
}

fn encoding(path: &str, error: &ParquetError) -> StoreError {
    Cause::Archive { path: path.to_owned(), reason: format!("cannot be written: {error}") }.into()
}

/// Notes where the columns of each row group and the footer lie, and how often values stand in them.
fn describe(summary: &mut FileSummary, metadata: &ParquetMetaData, file: &Bytes) -> Result<(), ParquetError> {
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let (start, _) = group.column(0).byte_range();
        let (messages, bytes) = group.column(MESSAGE).byte_range();
        let fields = Span::of(file, start, messages);
        let column = |column: usize| {
            let (start, bytes) = group.column(column).byte_range();
            Span::of(file, start, start + bytes)
        };
        let columns = (0..MESSAGE).map(column).collect();
        summary.place(at, fields, columns, Span::of(file, messages, messages + bytes));
        summary.count(at, Counts::of(metadata, at, file)?);
    }
    let end = file.len() - TAIL_BYTES;
    let footer_bytes = file[end..].first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    summary.footer = Span::of(file, (end - footer_bytes) as u64, end as u64);
    Ok(())
}

/// The columns of a row group.
#[derive(Default)]
pub(super) struct Pending {
    time: Vec<i64>,
    arrival: Vec<i64>,
    stream: Vec<ByteArray>,
    block: Vec<i64>,
    number: Vec<i32>,
    fields: [Nullable; Field::ALL.len()],
    messages: Vec<u8>,
    /// Where each message ends in `messages`.
    message_ends: Vec<usize>,
}

/// A column with gaps.
#[derive(Default)]
struct Nullable {
    /// 1 where a value stands.
    levels: Vec<i16>,
    numbers: Vec<i64>,
    texts: Vec<ByteArray>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Whether the row group is as large as it may be.
    pub(super) fn is_full(&self) -> bool {
        self.time.len() >= ROW_GROUP_ROWS_MAX || self.messages.len() >= ROW_GROUP_MESSAGE_BYTES_MAX
    }

    pub(super) fn push(&mut self, event: &Placed<'_>, fields: [Option<String>; Field::ALL.len()]) {
        self.time.push(event.time.as_millis());
        self.arrival.push(event.arrival.as_millis());
        match self.stream.last() {
            Some(last) if last.data() == event.stream.as_bytes() => self.stream.push(last.clone()),
            _ => self.stream.push(event.stream.into()),
        }
        self.block.push(event.block.number() as i64);
        self.number.push(event.number as i32);
        self.messages.extend(event.message.as_bytes());
        self.message_ends.push(self.messages.len());
        for (field, text) in Field::ALL.into_iter().zip(fields) {
            let column = &mut self.fields[field as usize];
            let kept = match text {
                Some(text) if field.is_number() => {
                    text.trim().parse().map(|number| column.numbers.push(number)).is_ok()
                }
                Some(text) => {
                    column.texts.push(text.into_bytes().into());
                    true
                }
                None => false,
            };
            column.levels.push(i16::from(kept));
        }
    }

    pub(super) fn write<W: Write + Send>(
        &mut self,
        mut group: SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            match column.untyped() {
                ColumnWriter::Int64ColumnWriter(writer) => {
                    let (values, levels) = self.numbers(at);
                    writer.write_batch(values, levels, None)?;
                }
                ColumnWriter::Int32ColumnWriter(writer) => {
                    writer.write_batch(&self.number, None, None)?;
                }
                ColumnWriter::ByteArrayColumnWriter(writer) if at == columns::STREAM => {
                    writer.write_batch(&self.stream, None, None)?;
                }
                ColumnWriter::ByteArrayColumnWriter(writer) if at == MESSAGE => {
                    let messages = Bytes::from(std::mem::take(&mut self.messages));
                    let mut start = 0;
                    for ends in self.message_ends.chunks(MESSAGES_AT_ONCE) {
                        let slice = |&end: &usize| {
                            ByteArray::from(messages.slice(std::mem::replace(&mut start, end)..end))
                        };
                        let values: Vec<ByteArray> = ends.iter().map(slice).collect();
                        writer.write_batch(&values, None, None)?;
                    }
                }
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    let column = &self.fields[at - FIELDS];
                    writer.write_batch(&column.texts, Some(&column.levels), None)?;
                }
                _ => {
                    return Err(ParquetError::General("column of a type that the schema has not".to_owned()));
                }
            }
            column.close()?;
            at += 1;
        }
        group.close()?;
        Ok(())
    }

    /// Values and levels of a column of whole numbers.
    fn numbers(&self, column: usize) -> (&[i64], Option<&[i16]>) {
        match column {
            columns::TIME => (&self.time, None),
            columns::ARRIVAL => (&self.arrival, None),
            columns::BLOCK => (&self.block, None),
            _ => {
                let field = &self.fields[column - FIELDS];
                (&field.numbers, Some(&field.levels))
            }
        }
    }
}
