/*!
[`Counts`]: how many rows of a row group hold each value of a column, kept in the summary, so that whole row groups are
counted by a column without reading it: only its dictionary is.

Counted from the packed bytes of the file as they were written, in the order of the dictionary there. Columns of too many
values have none, and neither have those that were written without a dictionary.
*/

use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

use super::codes::Packed;
use super::columns::{FIELDS, Field};
use super::reader::Pieces;
use super::summary::Span;

/// Values of a column of one row group that are counted; a column of more is read when it is asked for.
pub const COUNTED_VALUES_MAX: usize = 65_536;

/// A value must stand in so many rows on average: counts of values that hardly repeat tell no more than the column.
const ROWS_PER_VALUE_MIN: usize = 2;

/// The counts of one column of a row group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Where the dictionary of the column lies.
    pub(super) dictionary: Span,
    /// How many rows have no value, and then how many have each value of the dictionary.
    rows: Vec<u32>,
}

impl Counts {
    /// Those of each field of a row group in the bytes of a file.
    pub(super) fn of(
        metadata: &ParquetMetaData,
        row_group: usize,
        file: &Bytes,
    ) -> Result<Vec<Option<Self>>, ParquetError> {
        let piece = Arc::new(Pieces::from_start(file.clone()));
        let count = |field: Field| Self::of_column(metadata, row_group, &piece, file, field);
        Field::ALL.into_iter().map(count).collect()
    }

    fn of_column(
        metadata: &ParquetMetaData,
        row_group: usize,
        piece: &Arc<Pieces>,
        file: &Bytes,
        field: Field,
    ) -> Result<Option<Self>, ParquetError> {
        let group = metadata.row_group(row_group);
        let chunk = group.column(FIELDS + field as usize);
        let Some(start) = chunk.dictionary_page_offset() else { return Ok(None) };
        let column = Packed { metadata, row_group, piece, column: FIELDS + field as usize };
        let rows = group.num_rows() as usize;
        let Some(codes) = column.codes_by_dictionary(rows)? else { return Ok(None) };
        if codes.kinds() > COUNTED_VALUES_MAX || codes.kinds() * ROWS_PER_VALUE_MIN > rows {
            return Ok(None);
        }
        let mut counts = vec![0_u32; codes.kinds()];
        codes.codes().iter().for_each(|code| counts[*code as usize] += 1);
        let dictionary = Span::of(file, start as u64, chunk.data_page_offset() as u64);
        Ok(Some(Self { dictionary, rows: counts }))
    }

    /// The counts, the first that of rows without a value; `None` unless they are of a row group of `rows` rows and of a
    /// dictionary of `values` values.
    pub(super) fn checked(&self, rows: u64, values: usize) -> Option<&[u32]> {
        let all: u64 = self.rows.iter().map(|count| u64::from(*count)).sum();
        (all == rows && self.rows.len() == values + 1).then_some(&self.rows)
    }

    /// Bytes that they take in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.rows.as_slice())
    }
}
