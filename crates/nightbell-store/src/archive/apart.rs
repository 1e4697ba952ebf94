/*!
[`Apart`]: the note that a store may not know how far its archive goes, because it was restored or could not ask.

While the note stands, events of the journal at or after its position are not in the archive, whatever the chain says of
such positions: another life of the store had them. Set by a restore and by whoever starts without reaching the archive;
removed once catalog and chain agree.
*/

use serde::{Deserialize, Serialize};

use super::Archive;
use crate::error::Cause;
use crate::{Catalog, Durability, Position, Space, StoreError, Write};

const APART_KEY: &[u8] = b"apart";

/// Where a store may have parted from its archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// The journal's end when they were last together, as far as the store knows.
    pub since: Position,
    /// The store came back from a backup and has taken no events since.
    pub restored: bool,
}

impl Apart {
    /// The note that a catalog holds.
    pub(crate) fn of(catalog: &dyn Catalog) -> Result<Option<Self>, StoreError> {
        let Some(value) = catalog.get(Space::Archive, APART_KEY)? else { return Ok(None) };
        let damaged = |_| Cause::Entry { place: Space::Archive.name(), reason: "is no note".to_owned() };
        Ok(Some(postcard::from_bytes(&value).map_err(damaged)?))
    }

    /// Sets the note for good.
    pub(crate) fn set(self, catalog: &dyn Catalog) -> Result<(), StoreError> {
        let mut write = Write::new();
        write.put(Space::Archive, APART_KEY, postcard::to_stdvec(&self).expect("plain values"));
        catalog.commit(write, Durability::Disk).map(|_| ())
    }
}

impl Archive {
    /// The note; `None` while store and archive are together.
    ///
    /// # Errors
    ///
    /// `Broken` when the note is none; `Unavailable` when it cannot be read.
    pub fn apart(&self) -> Result<Option<Apart>, StoreError> {
        Apart::of(&*self.catalog)
    }

    /// Notes that the archive was not reached when the journal ended at `end`; an earlier note stands.
    ///
    /// # Errors
    ///
    /// As [`Archive::apart`]; `Unavailable` when the catalog takes no write.
    pub fn set_apart(&self, end: Position) -> Result<(), StoreError> {
        if self.apart()?.is_some() {
            return Ok(());
        }
        Apart { since: end, restored: false }.set(&*self.catalog)
    }

    /// Removes the note: catalog and chain agree.
    ///
    /// # Errors
    ///
    /// As [`Archive::set_apart`].
    pub fn set_together(&self) -> Result<(), StoreError> {
        if self.apart()?.is_none() {
            return Ok(());
        }
        let mut write = Write::new();
        write.delete(Space::Archive, APART_KEY);
        self.catalog.commit(write, Durability::Disk).map(|_| ())
    }
}
