/*!
Catalog and archive brought to agree after a crash, and the catalog's part made again from the chain: what is lost with a
node is not lost.

A step stands once its document does. The catalog may be behind; it catches up here.
*/

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{self, ChainBlock, Head};
use super::entry::FileEntry;
use super::{Archive, Change, GONE, put_block, put_head};
use crate::error::Cause;
use crate::{Durability, Scan, Space, StoreError, Write};

impl Archive {
    /// Takes steps into the catalog whose document stands and whose commit did not come, and deletes the files of a step
    /// that came to no document; returns the head.
    ///
    /// For the one process that writes, when it starts and after a step that failed.
    ///
    /// # Errors
    ///
    /// `Broken` for a document that does not follow the head; `Unavailable` when something cannot be read or written.
    pub async fn recover(&self) -> Result<Head, StoreError> {
        let (_, before) = self.stored_head()?;
        let head = self.catch_up().await?;
        if before.is_some() {
            self.clear_unfinished(&head).await?;
        }
        Ok(head)
    }

    /// The first half of [`Archive::recover`]: takes steps into the catalog, and leaves files of unfinished steps alone.
    ///
    /// Asks for one document where nothing is to be done, however large the archive is.
    ///
    /// # Errors
    ///
    /// As [`Archive::recover`].
    pub async fn catch_up(&self) -> Result<Head, StoreError> {
        let (mut head, mut before) = self.stored_head()?;
        let mut live = None;
        while let Some(block) = self.chain_block(head.next).await? {
            check_link(&head, &block)?;
            let replaced = self.entries_of(&block, &mut live)?;
            let change = Change::of(&head, before, block, replaced);
            let mut write = Write::new();
            change.commit(&mut write);
            self.catalog.commit(write, Durability::Disk)?;
            tracing::info!(number = change.block.number, "archive: step taken into the catalog");
            (head, before) = self.stored_head()?;
        }
        Ok(head)
    }

    /// How far the chain's documents go, from the head on; takes nothing into the catalog.
    ///
    /// # Errors
    ///
    /// As [`Archive::recover`].
    pub async fn reach(&self) -> Result<Head, StoreError> {
        let mut head = self.head()?;
        while let Some(block) = self.chain_block(head.next).await? {
            check_link(&head, &block)?;
            head = head.after(&block);
        }
        Ok(head)
    }

    /// The entries of the files that a block takes away. `live` is what the catalog holds: read once, then kept up.
    fn entries_of(
        &self,
        block: &ChainBlock,
        live: &mut Option<BTreeMap<String, FileEntry>>,
    ) -> Result<Vec<FileEntry>, StoreError> {
        if live.is_none() && block.stubs().is_empty() {
            return Ok(Vec::new());
        }
        let mut known = match live.take() {
            Some(known) => known,
            None => self.all_files()?.into_iter().map(|entry| (entry.path.clone(), entry)).collect(),
        };
        let replaced = block.stubs().iter().filter_map(|stub| known.remove(&stub.path)).collect();
        known.extend(block.files().iter().map(|entry| (entry.path.clone(), entry.clone())));
        *live = Some(known);
        Ok(replaced)
    }

    /// Deletes what a step has put that came to no document. Files of more than one step cannot be that and are left.
    async fn clear_unfinished(&self, head: &Head) -> Result<(), StoreError> {
        let (mut paths, mut steps) = (Vec::new(), BTreeSet::new());
        self.objects
            .list(None, |path, _| {
                if let Some(step) = unfinished_step(path, head) {
                    paths.push(path.to_owned());
                    steps.insert(step);
                }
            })
            .await?;
        if steps.len() > 1 {
            tracing::warn!(
                files = paths.len(),
                "archive: files of several steps are not in its chain and are left"
            );
            return Ok(());
        }
        for path in &paths {
            self.objects.delete(path).await?;
            tracing::info!(path, "archive: file of an unfinished step deleted");
        }
        Ok(())
    }

    /// Replaces what the catalog holds of the archive by what the chain says; returns the head.
    ///
    /// Follows the links and checks every hash of the chain, and looks into no file: [`Archive::verify`] does.
    ///
    /// # Errors
    ///
    /// `Broken` for a chain with a fault, with the number of the block; `Unavailable` when it cannot be read.
    pub async fn rebuild(&self) -> Result<Head, StoreError> {
        let mut write = Write::new();
        let mut head = Head::default();
        let mut live: BTreeMap<String, FileEntry> = BTreeMap::new();
        let mut taken_out = BTreeMap::new();
        for (key, _) in self.catalog.scan(Space::Archive, &Scan::all())? {
            write.delete(Space::Archive, key);
        }
        while let Some(block) = self.chain_block(head.next).await? {
            check_link(&head, &block)?;
            put_block(&mut write, &block);
            for stub in block.stubs() {
                if let Some(entry) = live.remove(&stub.path) {
                    write.delete(Space::Archive, entry.key());
                    taken_out.insert(entry.summary_path(), block.time);
                    taken_out.insert(entry.path, block.time);
                }
            }
            live.extend(block.files().iter().map(|entry| (entry.path.clone(), entry.clone())));
            head = head.after(&block);
        }
        self.objects
            .list(None, |path, _| {
                if let Some(time) = taken_out.get(path) {
                    let key = [GONE, path.as_bytes()].concat();
                    write.put(Space::Archive, key, time.as_millis().to_be_bytes());
                }
            })
            .await?;
        put_head(&mut write, &head);
        self.catalog.commit(write, Durability::Disk)?;
        Ok(head)
    }
}

fn check_link(head: &Head, block: &ChainBlock) -> Result<(), StoreError> {
    if block.number != head.next || block.previous != head.hash {
        let reason = "block does not follow the one before".to_owned();
        return Err(Cause::Chain { number: head.next, reason }.into());
    }
    Ok(())
}

/// Tells steps after the head apart by where they begin in the journal, or by their number when they merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unfinished {
    Archiving(u64),
    Merging(u64),
}

/// The step after the head, without a document, that an object belongs to.
pub(super) fn unfinished_step(path: &str, head: &Head) -> Option<Unfinished> {
    let name = path.strip_prefix("group=")?.rsplit('/').next()?;
    let stem = name.strip_suffix(".parquet").or_else(|| name.strip_suffix(".summary"))?;
    match stem.split_once('-') {
        Some((_, step)) => step.parse().ok().filter(|step| *step >= head.next).map(Unfinished::Merging),
        None => {
            let from = stem.parse().ok().filter(|from| *from >= head.archived.number());
            from.map(Unfinished::Archiving)
        }
    }
}

/// Whether an object belongs to the step after the head, with its document or without.
pub(super) fn is_unfinished(path: &str, head: &Head) -> bool {
    chain::document_number(path) == Some(head.next) || unfinished_step(path, head).is_some()
}
