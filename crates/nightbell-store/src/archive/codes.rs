/*!
[`Codes`]: a column as numbers that stand for its values, one for each row, beside the list of the values.

Parquet keeps columns of few values in this form, so whole columns are counted without making a text for each row. The
parquet crate decodes: it is given a dictionary of the numbers 0, 1, 2 … in place of the texts. Where a column was not
written by a dictionary, values are numbered here.
*/

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use foldhash::fast::RandomState;
use nightbell_core::time::Timestamp;
use parquet::basic::{Encoding, Repetition, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{get_column_reader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, ColumnPath, Type};

use super::columns::{self, FIELDS, Field};
use super::reader::Pieces;

/// The columns of a row group that were asked for, as codes.
#[derive(Debug)]
pub struct Coded {
    /// How many rows there are.
    pub rows: usize,
    /// Event times in milliseconds, growing; empty unless they were asked for.
    pub times: Vec<i64>,
    /// The log stream of each row, where it was asked for.
    pub streams: Option<Codes>,
    /// The fields, in the order asked.
    pub fields: Vec<Codes>,
    /// How many events each row stands for, where rows are kinds of events; each is one event without.
    pub counts: Option<Vec<u32>>,
}

/// What is asked of a row group as codes.
#[derive(Clone, Debug, Default)]
pub struct WantedCodes {
    /// Whether event times are wanted.
    pub times: bool,
    /// Whether log streams are wanted.
    pub streams: bool,
    /// Which fields are wanted.
    pub fields: Vec<Field>,
}

/// A column: for each row the number of its value.
#[derive(Debug)]
pub struct Codes {
    codes: Vec<u32>,
    values: Arc<Values>,
}

/// The values of a column, each once.
#[derive(Debug)]
pub(super) enum Values {
    Texts(Texts),
    Numbers(Vec<i64>),
}

/// Texts, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Texts {
    fn of(texts: &[ByteArray]) -> Result<Self, ParquetError> {
        let mut all = Self { bytes: Vec::new(), ends: Vec::with_capacity(texts.len()) };
        for text in texts {
            all.bytes.extend(text.data());
            let end = u32::try_from(all.bytes.len());
            all.ends.push(end.map_err(|_| ParquetError::General("texts are too long".to_owned()))?);
        }
        all.bytes.shrink_to_fit();
        Ok(all)
    }

    fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.bytes.get(start..end)
    }

    fn each(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter_map(|at| self.get(at))
    }
}

impl Codes {
    /// For each row the number of its value: below [`Codes::kinds`].
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// How many numbers there are: 0, which stands for no value, and one for each value.
    pub fn kinds(&self) -> usize {
        1 + self.values.len()
    }

    /// Each value once, and a row without a value before them.
    pub(super) fn each_kind(dictionary: Arc<Values>) -> Self {
        Self { codes: (0..=dictionary.len() as u32).collect(), values: dictionary }
    }

    /// The numbers of these texts, of those that the column holds.
    pub fn numbers_of(&self, texts: &[impl AsRef<str>]) -> Vec<u32> {
        let Values::Texts(held) = &*self.values else { return Vec::new() };
        let is_wanted = |held: &[u8]| texts.iter().any(|text| text.as_ref().as_bytes() == held);
        (1..).zip(held.each()).filter(|(_, held)| is_wanted(held)).map(|(number, _)| number).collect()
    }

    /// Whether values are texts.
    pub fn are_texts(&self) -> bool {
        matches!(*self.values, Values::Texts(_))
    }

    /// Shows the value of a number as text; nothing for 0.
    pub fn show(&self, code: u32, see: &mut dyn FnMut(&str)) {
        match self.value(code) {
            Some(CodedValue::Text(text)) => see(text),
            Some(CodedValue::Number(number)) => see(&number.to_string()),
            None => {}
        }
    }

    /// The value of a number; none for 0.
    pub(super) fn value(&self, code: u32) -> Option<CodedValue<'_>> {
        let at = (code as usize).checked_sub(1)?;
        match &*self.values {
            Values::Texts(texts) => {
                Some(CodedValue::Text(std::str::from_utf8(texts.get(at)?).unwrap_or_default()))
            }
            Values::Numbers(numbers) => Some(CodedValue::Number(*numbers.get(at)?)),
        }
    }
}

/// What a code stands for.
#[derive(Clone, Copy)]
pub(super) enum CodedValue<'c> {
    Text(&'c str),
    Number(i64),
}

impl Coded {
    /// The rows whose times are at or after `from` and before `to`; all, where times were not asked for.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> std::ops::Range<usize> {
        if self.times.is_empty() {
            return 0..self.rows;
        }
        let before = |end: Timestamp| self.times.partition_point(|time| *time < end.as_millis());
        before(from)..before(to)
    }

    /// Decodes a row group out of its packed small columns.
    pub(super) fn read(
        metadata: &ParquetMetaData,
        row_group: usize,
        piece: &Arc<Pieces>,
        wanted: &WantedCodes,
    ) -> Result<Self, ParquetError> {
        let rows = metadata.row_group(row_group).num_rows() as usize;
        let column = |at: usize| Packed { metadata, row_group, piece, column: at };
        let mut times = Vec::new();
        if wanted.times {
            let time = column(columns::TIME);
            times = read_values::<Int64Type>(time.pages()?, time.shape(), rows)?.1;
        }
        let streams = wanted.streams.then(|| column(columns::STREAM).codes(rows)).transpose()?;
        let field = |field: &Field| column(FIELDS + *field as usize).codes(rows);
        let fields = wanted.fields.iter().map(field).collect::<Result<_, ParquetError>>()?;
        Ok(Self { rows, times, streams, fields, counts: None })
    }
}

/// One column of a row group, not yet decoded.
pub(super) struct Packed<'a> {
    pub(super) metadata: &'a ParquetMetaData,
    pub(super) row_group: usize,
    pub(super) piece: &'a Arc<Pieces>,
    pub(super) column: usize,
}

impl Packed<'_> {
    fn shape(&self) -> ColumnDescPtr {
        self.metadata.row_group(self.row_group).column(self.column).column_descr_ptr()
    }

    fn packed_pages(&self) -> Result<SerializedPageReader<Pieces>, ParquetError> {
        let group = self.metadata.row_group(self.row_group);
        let rows = group.num_rows() as usize;
        SerializedPageReader::new(Arc::clone(self.piece), group.column(self.column), rows, None)
    }

    fn pages(&self) -> Result<Pages, ParquetError> {
        Ok(Pages(self.packed_pages()?.collect::<Result<_, _>>()?))
    }

    /// Whether its values are texts; otherwise they are numbers.
    fn are_texts(&self) -> Result<bool, ParquetError> {
        match self.shape().physical_type() {
            Physical::BYTE_ARRAY => Ok(true),
            Physical::INT64 => Ok(false),
            other => Err(ParquetError::General(format!("column {} is of type {other}", self.column))),
        }
    }

    /// The values of its dictionary, of whose bytes alone the pieces need to be.
    pub(super) fn dictionary(&self) -> Result<Values, ParquetError> {
        match self.packed_pages()?.get_next_page()? {
            Some(page) if page.is_dictionary_page() => self.values_of(&page),
            _ => Err(ParquetError::General(format!("column {} has no dictionary", self.column))),
        }
    }

    fn values_of(&self, dictionary: &Page) -> Result<Values, ParquetError> {
        Ok(if self.are_texts()? {
            Values::Texts(Texts::of(&values_of::<ByteArrayType>(dictionary)?)?)
        } else {
            Values::Numbers(values_of::<Int64Type>(dictionary)?)
        })
    }

    /// The column by the numbers of its dictionary; `None` where it was not written by one.
    pub(super) fn codes_by_dictionary(&self, rows: usize) -> Result<Option<Codes>, ParquetError> {
        self.by_dictionary(self.pages()?, rows).map(Result::ok)
    }

    /// The column by the numbers of its dictionary, or the pages where it was not written by one.
    fn by_dictionary(&self, mut pages: Pages, rows: usize) -> Result<Result<Codes, Pages>, ParquetError> {
        if !pages.are_by_dictionary() {
            return Ok(Err(pages));
        }
        let Some(dictionary) = pages.0.pop_front() else { return Ok(Err(pages)) };
        let values = self.values_of(&dictionary)?;
        let codes = pages.codes(&self.shape(), rows, values.len())?;
        Ok(Ok(Codes { codes, values: Arc::new(values) }))
    }

    fn codes(&self, rows: usize) -> Result<Codes, ParquetError> {
        let pages = match self.by_dictionary(self.pages()?, rows)? {
            Ok(codes) => return Ok(codes),
            Err(pages) => pages,
        };
        let shape = self.shape();
        if self.are_texts()? {
            let (codes, values) =
                numbered::<ByteArrayType, _>(pages, shape, rows, |text| text.data().to_vec())?;
            Ok(Codes { codes, values: Arc::new(Values::Texts(Texts::of(&values)?)) })
        } else {
            let (codes, values) = numbered::<Int64Type, _>(pages, shape, rows, |number| *number)?;
            Ok(Codes { codes, values: Arc::new(Values::Numbers(values)) })
        }
    }
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.ends.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Bytes that they take in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.bytes.len() + size_of_val(texts.ends.as_slice()),
            Self::Numbers(numbers) => size_of_val(numbers.as_slice()),
        }
    }
}

/// The unpacked pages of a column; the dictionary is the first, if there is one.
struct Pages(VecDeque<Page>);

impl Pages {
    fn are_by_dictionary(&self) -> bool {
        let mut pages = self.0.iter();
        let by_dictionary = |page: &Page| matches!(page.encoding(), Encoding::RLE_DICTIONARY);
        pages.next().is_some_and(Page::is_dictionary_page) && pages.all(by_dictionary)
    }

    /// The numbers of the values, from 1 on, and 0 where a row has none; the dictionary has been taken out.
    fn codes(
        mut self,
        shape: &ColumnDescriptor,
        rows: usize,
        values: usize,
    ) -> Result<Vec<u32>, ParquetError> {
        let numbers: Vec<u8> = (1..=values as i32).flat_map(i32::to_le_bytes).collect();
        self.0.push_front(Page::DictionaryPage {
            buf: Bytes::from(numbers),
            num_values: values as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        });
        let is_optional = shape.max_def_level() > 0;
        let shape = if is_optional { &OPTIONAL_NUMBER } else { &NUMBER };
        let (present, numbers) = read_values::<Int32Type>(self, Arc::clone(shape), rows)?;
        let Some(present) = present.filter(|_| numbers.len() < rows) else {
            return Ok(numbers.into_iter().map(|number| number as u32).collect());
        };
        let mut numbers = numbers.into_iter();
        Ok(present
            .into_iter()
            .map(|level| if level > 0 { numbers.next().unwrap_or(0) as u32 } else { 0 })
            .collect())
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.pop_front().map(Ok)
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        Ok(self.0.pop_front())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        let metadata = |page: &Page| PageMetadata {
            num_rows: None,
            num_levels: Some(page.num_values() as usize),
            is_dict: page.is_dictionary_page(),
        };
        Ok(self.0.front().map(metadata))
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.0.pop_front();
        Ok(())
    }
}

/// The shapes of columns of numbers without and with gaps.
static NUMBER: LazyLock<ColumnDescPtr> = LazyLock::new(|| shape(Physical::INT32, Repetition::REQUIRED));
static OPTIONAL_NUMBER: LazyLock<ColumnDescPtr> =
    LazyLock::new(|| shape(Physical::INT32, Repetition::OPTIONAL));

fn shape(physical: Physical, repetition: Repetition) -> ColumnDescPtr {
    let column = Type::primitive_type_builder("code", physical).with_repetition(repetition).build();
    let levels = i16::from(repetition == Repetition::OPTIONAL);
    let column = Arc::new(column.expect("is a type"));
    Arc::new(ColumnDescriptor::new(column, levels, 0, ColumnPath::from("code")))
}

/// The values of a dictionary.
fn values_of<T: DataType>(dictionary: &Page) -> Result<Vec<T::T>, ParquetError> {
    let count = dictionary.num_values();
    let page = Page::DataPage {
        buf: dictionary.buffer().clone(),
        num_values: count,
        encoding: Encoding::PLAIN,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    let shape = shape(T::get_physical_type(), Repetition::REQUIRED);
    Ok(read_values::<T>(Pages(VecDeque::from([page])), shape, count as usize)?.1)
}

/// Numbers the values of a column that was written without a dictionary.
fn numbered<T: DataType, K: Eq + Hash>(
    pages: Pages,
    shape: ColumnDescPtr,
    rows: usize,
    key: impl Fn(&T::T) -> K,
) -> Result<(Vec<u32>, Vec<T::T>), ParquetError> {
    let (present, values) = read_values::<T>(pages, shape, rows)?;
    let (mut numbers, mut distinct) = (HashMap::<K, u32, RandomState>::default(), Vec::new());
    let mut codes = Vec::with_capacity(rows);
    let mut values = values.into_iter();
    for row in 0..rows {
        let value = if present.as_ref().is_none_or(|levels| levels[row] > 0) { values.next() } else { None };
        codes.push(value.map_or(0, |value| {
            *numbers.entry(key(&value)).or_insert_with(|| {
                distinct.push(value);
                distinct.len() as u32
            })
        }));
    }
    Ok((codes, distinct))
}

/// For each row of a column with gaps, whether it has a value: more than 0.
type Levels = Option<Vec<i16>>;

/// The values of a column, and for a column with gaps which of the rows have one.
fn read_values<T: DataType>(
    pages: Pages,
    shape: ColumnDescPtr,
    rows: usize,
) -> Result<(Levels, Vec<T::T>), ParquetError> {
    let mut levels = (shape.max_def_level() > 0).then(|| Vec::with_capacity(rows));
    let mut values = Vec::with_capacity(rows);
    let mut column = get_typed_column_reader::<T>(get_column_reader(shape, Box::new(pages)));
    let (read, _, _) = column.read_records(rows, levels.as_mut(), None, &mut values)?;
    let expected =
        levels.as_ref().map_or(rows, |levels: &Vec<i16>| levels.iter().filter(|level| **level > 0).count());
    if read == rows && values.len() == expected {
        Ok((levels, values))
    } else {
        Err(ParquetError::EOF("column ends too soon".to_owned()))
    }
}
