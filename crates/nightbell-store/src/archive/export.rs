/*!
[`Export`]: events as one Parquet file of the archive's columns, for other tools, written while they come.

Belongs to no archive: no entry, no summary, no chain. Holds one row group of events.
*/

use std::io::Write;

use nightbell_core::event::Group;
use nightbell_core::fields::{FieldReader, Subject};
use parquet::errors::ParquetError;
use parquet::file::properties::BloomFilterPosition;
use parquet::file::writer::SerializedFileWriter;

use super::columns::{self, Field, SCHEMA_TYPE};
use super::encoder::{Pending, facts_of};
use super::fingerprint::Placed;
use crate::StoreError;
use crate::error::Cause;

/// A Parquet file that is being written.
pub struct Export<'r, W: Write + Send> {
    reader: &'r dyn FieldReader,
    file: SerializedFileWriter<W>,
    pending: Pending,
}

impl<'r, W: Write + Send> Export<'r, W> {
    /// A file of a group's events; its fields are read by `reader`.
    ///
    /// # Errors
    ///
    /// `Unavailable` when `out` takes nothing.
    pub fn new(out: W, group: &Group, reader: &'r dyn FieldReader) -> Result<Self, StoreError> {
        // Filters between the row groups, so that they need not be kept until the end.
        let properties = columns::properties(facts_of(group), BloomFilterPosition::AfterRowGroup).into();
        let file =
            SerializedFileWriter::new(out, SCHEMA_TYPE.clone(), properties).map_err(|e| refused(&e))?;
        Ok(Self { reader, file, pending: Pending::default() })
    }

    /// Takes an event in; they come in order of time, block and number.
    ///
    /// # Errors
    ///
    /// `Unavailable` when `out` takes no more.
    pub fn push(&mut self, event: &Placed<'_>) -> Result<(), StoreError> {
        let subject = Subject::new(event.message, event.stream, self.reader);
        self.pending.push(event, Field::ALL.map(|field| subject.text(field.selector())));
        if self.pending.is_full() { self.flush().map_err(|error| refused(&error)) } else { Ok(()) }
    }

    /// Writes what is left and the footer; gives `out` back.
    ///
    /// # Errors
    ///
    /// `Unavailable` when `out` takes no more.
    pub fn finish(mut self) -> Result<W, StoreError> {
        if !self.pending.is_empty() {
            self.flush().map_err(|error| refused(&error))?;
        }
        self.file.into_inner().map_err(|error| refused(&error))
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let mut pending = std::mem::take(&mut self.pending);
        self.file.next_row_group().and_then(|group| pending.write(group))
    }
}

fn refused(error: &ParquetError) -> StoreError {
    Cause::Export { error: error.to_string() }.into()
}
