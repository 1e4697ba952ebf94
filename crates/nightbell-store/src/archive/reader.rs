/*!
[`Reader`]: a file of the archive, row group by row group. Opening reads the summary alone.

What is read is checked against the checksums that the summary holds, so damage is seen before anything is decoded.
Memory: the packed columns of one row group (the small columns that are wanted, then those of the messages once a row is
wanted), the codes of the wanted fields, an unpacked page of each other column, and one [`Batch`]. Summaries and footers are
kept by [`Kept`].
*/

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use nightbell_core::event::Group;
use nightbell_core::fields::Selector;
use nightbell_core::pattern::facts::Facts;
use nightbell_core::pattern::plain_number;
use nightbell_core::time::Timestamp;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::codes::{Coded, CodedValue, Codes, Packed, Values, WantedCodes};
use super::columns::{self, FIELDS, Field, MESSAGE};
use super::entry::FileEntry;
use super::fingerprint::Placed;
use super::kept::{Kept, Opened};
use super::kinds::Kinds;
use super::objects::Objects;
use super::summary::{GroupSummary, Span, is_json_word};
use crate::error::Cause;
use crate::{Position, StoreError};

/// The most rows of a [`Batch`].
pub const BATCH_ROWS_MAX: usize = 1_024;

/// A file of the archive.
pub struct Reader {
    objects: Objects,
    entry: FileEntry,
    opened: Arc<Opened>,
    /// What keeps dictionaries; `None` where everything is read anew.
    kept: Option<Arc<Kept>>,
}

/// What is wanted of a row group.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Event times at or after this; all from the first without.
    pub from: Option<Timestamp>,
    /// Event times before this; all to the last without.
    pub to: Option<Timestamp>,
    /// Whether messages are wanted.
    pub messages: bool,
    /// Which fields are wanted, or help to tell rows apart before their messages are read.
    pub fields: Vec<Field>,
}

impl Reader {
    /// A reader of a file that was opened.
    pub(super) fn new(
        objects: Objects,
        entry: FileEntry,
        opened: Arc<Opened>,
        kept: Option<Arc<Kept>>,
    ) -> Self {
        Self { objects, entry, opened, kept }
    }

    /// What the catalog knows of the file.
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// How many row groups it has.
    pub fn row_groups(&self) -> usize {
        self.opened.summary.groups.len()
    }

    /// What a row group holds; `None` past the last.
    pub fn summary(&self, row_group: usize) -> Option<&GroupSummary> {
        self.opened.summary.groups.get(row_group)
    }

    /// Bytes that its summaries take in memory.
    pub fn bytes(&self) -> usize {
        self.opened.bytes()
    }

    /// Begins to read a row group: fetches its small columns.
    ///
    /// # Errors
    ///
    /// `Broken` when there is no such row group or its bytes are not what was written; `Unavailable` when they cannot be
    /// read.
    pub async fn read(&self, row_group: usize, wanted: &Wanted) -> Result<Rows, StoreError> {
        let codes = WantedCodes { times: true, streams: false, fields: wanted.fields.clone() };
        let columns = [columns_of(&codes).as_slice(), &PLACES].concat();
        let (summary, metadata, piece) = self.small_columns(row_group, columns).await?;
        let broken = |error: ParquetError| self.broken(&error.to_string());
        let coded = Coded::read(&metadata, row_group, &piece, &codes).map_err(broken)?;
        let rows = Rows {
            objects: self.objects.clone(),
            path: self.entry.path.clone(),
            group: self.entry.group.clone(),
            messages_span: summary.messages_span(),
            row_group,
            kept: None,
            at: 0,
            wanted: wanted.clone(),
            coded: Arc::new(coded),
            places: Places::open(&metadata, row_group, &piece).map_err(broken)?,
            messages: None,
            metadata,
        };
        Ok(rows)
    }

    /// Reads columns of a row group as codes. Decodes on the caller's thread.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub async fn codes(&self, row_group: usize, wanted: &WantedCodes) -> Result<Coded, StoreError> {
        let (_, metadata, piece) = self.small_columns(row_group, columns_of(wanted)).await?;
        Coded::read(&metadata, row_group, &piece, wanted).map_err(|error| self.broken(&error.to_string()))
    }

    /// A row group as kinds of events and how many there are of each, told apart by one field or by none: known from its
    /// summary and the dictionary of the column, without reading the column. `None` where that does not say it.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub async fn counted(&self, row_group: usize, field: Option<Field>) -> Result<Option<Coded>, StoreError> {
        let Some(summary) = self.summary(row_group) else {
            return Err(self.broken(&format!("has no row group {row_group}")));
        };
        let alike = |rows, fields, counts| Coded { rows, times: Vec::new(), streams: None, fields, counts };
        let Some(field) = field else {
            let rows = u32::try_from(summary.rows()).ok();
            return Ok(rows.map(|rows| alike(1, Vec::new(), Some(vec![rows]))));
        };
        let Some(counts) = summary.counts(field) else { return Ok(None) };
        let read = self.read_dictionary(row_group, field, counts.dictionary);
        let values = match &self.kept {
            Some(kept) => kept.dictionary(&self.entry, (row_group, field), read).await?,
            None => read.await?,
        };
        let Some(counts) = counts.checked(summary.rows(), values.len()) else {
            return Err(self.broken("dictionary and summary disagree"));
        };
        Ok(Some(alike(counts.len(), vec![Codes::each_kind(values)], Some(counts.to_vec()))))
    }

    async fn read_dictionary(
        &self,
        row_group: usize,
        field: Field,
        span: Span,
    ) -> Result<Arc<Values>, StoreError> {
        let metadata = self.metadata(row_group).await?;
        let bytes = fetch(&self.objects, &self.entry.path, span).await?;
        let piece = Arc::new(Pieces(vec![(span.start, bytes)]));
        let column =
            Packed { metadata: &metadata, row_group, piece: &piece, column: FIELDS + field as usize };
        column.dictionary().map(Arc::new).map_err(|error| self.broken(&error.to_string()))
    }

    /// Packed columns of a row group, and what says where each lies.
    async fn small_columns(
        &self,
        row_group: usize,
        mut columns: Vec<usize>,
    ) -> Result<(&GroupSummary, Arc<ParquetMetaData>, Arc<Pieces>), StoreError> {
        let Some(summary) = self.summary(row_group) else {
            return Err(self.broken(&format!("has no row group {row_group}")));
        };
        let metadata = self.metadata(row_group).await?;
        columns.sort_unstable();
        columns.dedup();
        let spans = summary.column_spans(&columns);
        let pieces = fetch_all(&self.objects, &self.entry.path, &spans).await?;
        Ok((summary, metadata, Arc::new(pieces)))
    }

    /// The footer, which must say of a row group what its summary says.
    async fn metadata(&self, row_group: usize) -> Result<Arc<ParquetMetaData>, StoreError> {
        let metadata = Arc::clone(self.opened.metadata.get_or_try_init(|| self.read_metadata()).await?);
        let rows = metadata.row_groups().get(row_group).map(|group| group.num_rows() as u64);
        if rows.is_none() || rows != self.summary(row_group).map(GroupSummary::rows) {
            return Err(self.broken("footer and summary disagree"));
        }
        Ok(metadata)
    }

    async fn read_metadata(&self) -> Result<Arc<ParquetMetaData>, StoreError> {
        let footer = fetch(&self.objects, &self.entry.path, self.opened.summary.footer).await?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer)
            .map_err(|error| self.broken(&error.to_string()))?;
        if metadata.file_metadata().schema_descr().num_columns() <= MESSAGE {
            return Err(self.broken("has not the columns of an archive"));
        }
        Ok(Arc::new(metadata))
    }

    fn broken(&self, reason: &str) -> StoreError {
        broken(&self.entry.path, reason)
    }
}

fn broken(path: &str, reason: &str) -> StoreError {
    Cause::Archive { path: path.to_owned(), reason: reason.to_owned() }.into()
}

/// The columns that hold what is wanted.
fn columns_of(wanted: &WantedCodes) -> Vec<usize> {
    let times = wanted.times.then_some(columns::TIME);
    let streams = wanted.streams.then_some(columns::STREAM);
    let fields = wanted.fields.iter().map(|field| FIELDS + *field as usize);
    times.into_iter().chain(streams).chain(fields).collect()
}

async fn fetch(objects: &Objects, path: &str, span: Span) -> Result<Bytes, StoreError> {
    if !span.is_possible() {
        return Err(broken(path, "has columns of no possible length"));
    }
    checked(path, span, objects.range(path, span.range()).await?)
}

/// Some spans of a file, asked for at once.
async fn fetch_all(objects: &Objects, path: &str, spans: &[Span]) -> Result<Pieces, StoreError> {
    let ranges: Vec<Range<u64>> = spans.iter().filter(|span| span.is_possible()).map(Span::range).collect();
    let got = if ranges.len() == spans.len() && spans.len() > 1 {
        objects.ranges(path, &ranges).await.ok()
    } else {
        None
    };
    let mut pieces = Pieces::default();
    for (at, &span) in spans.iter().enumerate() {
        let bytes = match got.as_ref().and_then(|got| got.get(at)) {
            Some(bytes) => checked(path, span, bytes.clone())?,
            // Alone, each says what is wrong with it.
            None => fetch(objects, path, span).await?,
        };
        pieces.0.push((span.start, bytes));
    }
    Ok(pieces)
}

fn checked(path: &str, span: Span, bytes: Bytes) -> Result<Bytes, StoreError> {
    if span.holds(&bytes) {
        return Ok(bytes);
    }
    Err(broken(path, &format!("bytes differ from what was written. at={}, bytes={}", span.start, span.bytes)))
}

/// Some runs of bytes of a file, each with its place.
#[derive(Default)]
pub(super) struct Pieces(Vec<(u64, Bytes)>);

impl Pieces {
    /// The bytes of a file from its first on.
    pub(super) fn from_start(bytes: Bytes) -> Self {
        Self(vec![(0, bytes)])
    }

    /// What begins at `start`, to the end of the run of bytes it lies in.
    fn from(&self, start: u64) -> Option<Bytes> {
        self.0.iter().find_map(|(first, bytes)| {
            let at = usize::try_from(start.checked_sub(*first)?).ok()?;
            (at <= bytes.len()).then(|| bytes.slice(at..)).filter(|bytes| !bytes.is_empty())
        })
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.0.iter().map(|(start, bytes)| start + bytes.len() as u64).max().unwrap_or_default()
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.from(start).map(Buf::reader).ok_or_else(|| not_of_these(start, 1))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start).filter(|bytes| length <= bytes.len());
        bytes.map(|bytes| bytes.slice(..length)).ok_or_else(|| not_of_these(start, length))
    }
}

fn not_of_these(start: u64, length: usize) -> ParquetError {
    ParquetError::EOF(format!("{length} bytes at {start} are not of the columns"))
}

/// A column that is read from its start on; rows that nobody asked for are skipped, and with them whole pages.
struct Cursor<T: DataType> {
    column: ColumnReaderImpl<T>,
    at: usize,
}

impl<T: DataType> Cursor<T> {
    fn open(
        metadata: &ParquetMetaData,
        row_group: usize,
        piece: &Arc<Pieces>,
        column: usize,
    ) -> Result<Self, ParquetError> {
        let group = metadata.row_group(row_group);
        let chunk = group.column(column);
        if chunk.column_type() != T::get_physical_type() {
            return Err(ParquetError::General(format!("column {column} is of another type")));
        }
        let pages = SerializedPageReader::new(Arc::clone(piece), chunk, group.num_rows() as usize, None)?;
        let reader = get_column_reader(chunk.column_descr_ptr(), Box::new(pages));
        Ok(Self { column: get_typed_column_reader(reader), at: 0 })
    }

    fn skip_to(&mut self, row: usize) -> Result<(), ParquetError> {
        let skipped = self.column.skip_records(row - self.at)?;
        if skipped != row - self.at {
            return Err(ParquetError::EOF("column ends too soon".to_owned()));
        }
        self.at = row;
        Ok(())
    }

    /// The values of `rows`, none of which was read before; of a column without gaps.
    fn read(&mut self, rows: Range<usize>, values: &mut Vec<T::T>) -> Result<(), ParquetError> {
        self.skip_to(rows.start)?;
        let (read, _, _) = self.column.read_records(rows.len(), None, None, values)?;
        self.at += read;
        if read == rows.len() { Ok(()) } else { Err(ParquetError::EOF("column ends too soon".to_owned())) }
    }
}

/// The columns of [`Places`].
const PLACES: [usize; 4] = [columns::ARRIVAL, columns::STREAM, columns::BLOCK, columns::NUMBER];

/// The columns of a row group that place a row, but for its time.
struct Places {
    arrival: Cursor<Int64Type>,
    stream: Cursor<ByteArrayType>,
    block: Cursor<Int64Type>,
    number: Cursor<Int32Type>,
}

impl Places {
    fn open(metadata: &ParquetMetaData, row_group: usize, piece: &Arc<Pieces>) -> Result<Self, ParquetError> {
        Ok(Self {
            arrival: Cursor::open(metadata, row_group, piece, columns::ARRIVAL)?,
            stream: Cursor::open(metadata, row_group, piece, columns::STREAM)?,
            block: Cursor::open(metadata, row_group, piece, columns::BLOCK)?,
            number: Cursor::open(metadata, row_group, piece, columns::NUMBER)?,
        })
    }
}

/// A row group being read.
pub struct Rows {
    objects: Objects,
    path: String,
    group: Group,
    metadata: Arc<ParquetMetaData>,
    row_group: usize,
    messages_span: Span,
    wanted: Wanted,
    coded: Arc<Coded>,
    /// The rows that are kept, once that was asked; those before `at` were read.
    kept: Option<Vec<u32>>,
    at: usize,
    places: Places,
    /// Fetched when the first row is wanted.
    messages: Option<Cursor<ByteArrayType>>,
}

impl Rows {
    /// The next rows for which `keep` holds, in order of time and place; `None` after the last.
    ///
    /// `keep` sees the wanted fields and is asked before messages are read, once for all rows alike in these fields.
    /// Decodes on the caller's thread.
    ///
    /// # Errors
    ///
    /// `Broken` when bytes are not what was written; `Unavailable` when they cannot be read.
    pub async fn next(
        &mut self,
        keep: &(dyn Fn(&RowFacts<'_>) -> bool + Sync),
    ) -> Result<Option<Batch>, StoreError> {
        let kept = self.kept.get_or_insert_with(|| kept(&self.coded, &self.wanted, keep));
        let next: Vec<u32> = kept[self.at..].iter().take(BATCH_ROWS_MAX).copied().collect();
        if next.is_empty() {
            return Ok(None);
        }
        self.at += next.len();
        if self.wanted.messages && self.messages.is_none() {
            let bytes = fetch(&self.objects, &self.path, self.messages_span).await?;
            let piece = Arc::new(Pieces(vec![(self.messages_span.start, bytes)]));
            let cursor = Cursor::open(&self.metadata, self.row_group, &piece, MESSAGE);
            self.messages = Some(cursor.map_err(|error| self.broken(&error))?);
        }
        self.read(next).map(Some).map_err(|error| self.broken(&error))
    }

    fn read(&mut self, kept: Vec<u32>) -> Result<Batch, ParquetError> {
        let mut batch = Batch {
            group: self.group.clone(),
            coded: Arc::clone(&self.coded),
            wanted: self.wanted.fields.clone(),
            kept,
            arrival: Vec::new(),
            stream: Vec::new(),
            block: Vec::new(),
            number: Vec::new(),
            messages: Vec::new(),
        };
        for run in batch.kept.chunk_by(|one, next| one + 1 == *next) {
            let rows = run[0] as usize..run[0] as usize + run.len();
            self.places.arrival.read(rows.clone(), &mut batch.arrival)?;
            self.places.stream.read(rows.clone(), &mut batch.stream)?;
            self.places.block.read(rows.clone(), &mut batch.block)?;
            self.places.number.read(rows.clone(), &mut batch.number)?;
            if let Some(messages) = &mut self.messages {
                messages.read(rows, &mut batch.messages)?;
            }
        }
        Ok(batch)
    }

    fn broken(&self, error: &ParquetError) -> StoreError {
        broken(&self.path, &error.to_string())
    }
}

/// The rows of wanted times that `keep` keeps.
fn kept(coded: &Coded, wanted: &Wanted, keep: &(dyn Fn(&RowFacts<'_>) -> bool + Sync)) -> Vec<u32> {
    let before = |end: Timestamp| coded.times.partition_point(|time| *time < end.as_millis());
    let rows = wanted.from.map_or(0, before)..wanted.to.map_or(coded.rows, before);
    if rows.is_empty() {
        return Vec::new();
    }
    let mut kinds = Kinds::all(rows.clone());
    coded.fields.iter().for_each(|codes| kinds.split(&codes.codes()[rows.start..], codes.kinds()));
    kinds.kept(|row| keep(&RowFacts { coded, fields: &wanted.fields, row }))
}

/// What is known of one row before its message is read: [`Facts`] over the wanted fields.
pub struct RowFacts<'a> {
    coded: &'a Coded,
    fields: &'a [Field],
    row: usize,
}

impl RowFacts<'_> {
    /// What the row holds under the selector, of the fields that were wanted.
    fn ask(&self, selector: &Selector, text: impl Fn(&str) -> bool, number: impl Fn(i64) -> bool) -> bool {
        let place = self.fields.iter().position(|field| field.selector() == selector);
        let Some((field, codes)) =
            place.and_then(|at| Some((self.fields.get(at)?, self.coded.fields.get(at)?)))
        else {
            return true;
        };
        match codes.value(codes.codes()[self.row]) {
            Some(CodedValue::Text(held)) => text(held),
            Some(CodedValue::Number(held)) => number(held),
            // A number may stand in the message in a form that the column does not take.
            None => field.is_number(),
        }
    }
}

impl Facts for RowFacts<'_> {
    fn may_hold_text(&self, _: &str) -> bool {
        true
    }

    fn may_hold_value(&self, selector: &Selector, text: &str) -> bool {
        if is_json_word(text) {
            return true;
        }
        let wanted = plain_number(text);
        let equals =
            |held: &str| held == text || wanted.is_some_and(|wanted| plain_number(held) == Some(wanted));
        let is_number = |held: i64| {
            let wanted = wanted.or_else(|| text.trim().parse().ok());
            wanted.is_some_and(|wanted| held as f64 == wanted)
        };
        self.ask(selector, equals, is_number)
    }

    fn may_hold_part(&self, selector: &Selector, part: &str) -> bool {
        self.ask(selector, |held| held.contains(part), |_| true)
    }
}

/// Rows of a row group.
#[derive(Debug)]
pub struct Batch {
    group: Group,
    coded: Arc<Coded>,
    /// The fields that were wanted.
    wanted: Vec<Field>,
    /// Which rows of the row group they are.
    kept: Vec<u32>,
    arrival: Vec<i64>,
    stream: Vec<ByteArray>,
    block: Vec<i64>,
    number: Vec<i32>,
    messages: Vec<ByteArray>,
}

/// One event of the archive.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    batch: &'a Batch,
    /// Among the kept.
    at: usize,
}

impl Batch {
    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The log group of all rows.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The rows in order of time and place.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|at| Row { batch: self, at })
    }

    /// The row numbered `at` among them.
    pub(super) fn row(&self, at: usize) -> Option<Row<'_>> {
        (at < self.len()).then_some(Row { batch: self, at })
    }
}

impl<'a> Row<'a> {
    /// When it happened.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.batch.coded.times[self.batch.kept[self.at] as usize])
    }

    /// When it arrived.
    pub fn arrival(&self) -> Timestamp {
        Timestamp::from_millis(self.batch.arrival[self.at])
    }

    /// The log stream.
    pub fn stream(&self) -> &'a str {
        self.batch.stream[self.at].as_utf8().unwrap_or_default()
    }

    /// The block of the journal that it came in.
    pub fn block(&self) -> Position {
        Position::new(self.batch.block[self.at] as u64)
    }

    /// Its number in that block, counted over all batches.
    pub fn number(&self) -> u32 {
        self.batch.number[self.at] as u32
    }

    /// The message; empty where messages were not wanted.
    pub fn message(&self) -> &'a str {
        self.batch.messages.get(self.at).and_then(|message| message.as_utf8().ok()).unwrap_or_default()
    }

    /// A field that was wanted, as text; `None` where the event has none.
    pub fn field(&self, field: Field) -> Option<String> {
        let mut found = None;
        self.show(field, &mut |text| found = Some(text.to_owned()));
        found
    }

    /// Shows a field that was wanted, as text; nothing where the event has none.
    pub fn show(&self, field: Field, see: &mut dyn FnMut(&str)) {
        let Some(place) = self.batch.wanted.iter().position(|wanted| *wanted == field) else { return };
        if let Some(codes) = self.batch.coded.fields.get(place) {
            codes.show(codes.codes()[self.batch.kept[self.at] as usize], see);
        }
    }

    pub(super) fn placed(&self) -> Placed<'a> {
        Placed {
            time: self.time(),
            arrival: self.arrival(),
            stream: self.stream(),
            block: self.block(),
            number: self.number(),
            message: self.message(),
        }
    }
}
