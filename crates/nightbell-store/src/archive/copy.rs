/*!
Copies the archive, as a copy of the catalog lists it, into a folder.

Files and documents are never changed once they are written, so that what a folder holds already is not copied again. What
the catalog lists must stay meanwhile: [`Archive::hold_sweeps`]. Knows nothing of what else a backup holds.
*/

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::OwnedRwLockReadGuard;

use super::chain::{ChainBlock, document_path};
use super::entry::FileEntry;
use super::fingerprint::Fingerprint;
use super::objects::{Objects, missing};
use super::{Archive, Depth};
use crate::error::Cause;
use crate::files::{self, NewFile};
use crate::{Kind, StoreError};

/// Keeps what is in the archive from being deleted, while it lives. Files are taken out all the same, and swept later.
pub struct SweepHold(#[allow(dead_code)] OwnedRwLockReadGuard<()>); // held, not read

/// A copy of an archive under way.
pub struct ArchiveCopy<'a> {
    /// The archive that is copied.
    pub from: &'a Archive,
    /// What to copy, as an archive on the copy of the catalog.
    pub listed: &'a Archive,
    /// Where to.
    pub folder: &'a Path,
    /// What an earlier copy is known to have put there: path and SHA-256.
    pub known: &'a (dyn Fn(&str) -> Option<Fingerprint> + Sync),
}

/// What is told of a copy: a file that is there now, or bytes that were copied. `false` ends the copy.
pub(crate) trait Witness {
    /// So many bytes are behind, of so many.
    fn reach(&mut self, done: u64, total: u64) -> bool;

    /// This file is there, with this content.
    fn file(&mut self, path: &str, sha256: Fingerprint) -> Result<(), StoreError>;
}

impl Archive {
    /// Waits for a sweep under way, and lets none begin while the hold lives.
    pub async fn hold_sweeps(&self) -> SweepHold {
        SweepHold(Arc::clone(&self.sweeps).read_owned().await)
    }

    /// Whether chain, files and catalog agree, all files read: `Broken` with the first that does not.
    ///
    /// # Errors
    ///
    /// `Broken` as said; `Unavailable` when something cannot be read.
    pub(crate) async fn check_files(
        &self,
        reach: &mut (dyn FnMut(u64, u64) -> bool + Send),
    ) -> Result<(), StoreError> {
        let mut goes_on = true;
        let mut progress = |told: super::Progress| goes_on &= reach(told.done, told.total);
        let found = self.verify(None, Depth::Files, &mut progress).await?;
        match found.findings.into_iter().next() {
            None if goes_on => Ok(()),
            None => Err(Cause::Halted.into()),
            Some(finding) => Err(Cause::Archive { path: finding.path, reason: finding.detail }.into()),
        }
    }
}

impl ArchiveCopy<'_> {
    /// Copies documents, then files, and tells of each; returns how many bytes are new.
    ///
    /// # Errors
    ///
    /// `Broken` for a file or document that is not what was written; `Unavailable` when something cannot be read or
    /// written, or when the witness has ended it.
    pub(crate) async fn run(&self, witness: &mut (dyn Witness + Send)) -> Result<u64, StoreError> {
        let (head, files) = (self.listed.head()?, self.listed.all_files()?);
        let total = files.iter().map(|entry| entry.bytes + entry.summary_bytes).sum();
        let (mut done, mut new) = (0, 0);
        for number in 0..head.next {
            let path = document_path(number);
            let (sha256, bytes) = self.document(number, &path).await?;
            witness.file(&path, sha256)?;
            new += bytes;
            goes_on(witness.reach(done, total))?;
        }
        for entry in files {
            let summary = entry.summary_path();
            let FileEntry { path, sha256, bytes, summary_sha256, summary_bytes, .. } = entry;
            for (path, sha256, bytes) in [(summary, summary_sha256, summary_bytes), (path, sha256, bytes)] {
                if !self.is_there(&path, sha256, bytes)? {
                    let mut copied = 0;
                    let mut reach = |piece: usize| {
                        copied += piece as u64;
                        witness.reach(done + copied, total)
                    };
                    pour(&self.from.objects, &path, sha256, &self.folder.join(&path), &mut reach).await?;
                    new += bytes;
                }
                done += bytes;
                witness.file(&path, sha256)?;
                goes_on(witness.reach(done, total))?;
            }
        }
        Ok(new)
    }

    /// The document of a block is told by the hash of the block; returns its SHA-256 and how many bytes are new.
    async fn document(&self, number: u64, path: &str) -> Result<(Fingerprint, u64), StoreError> {
        let link = self.listed.link(number)?.map(|link| link.hash);
        let kept = Archive { objects: Objects::folder(self.folder)?, ..self.listed.clone() };
        match kept.chain_block(number).await {
            Ok(Some(block)) if Some(block.hash) == link => return Ok((fingerprint(&block), 0)),
            Ok(_) => {}
            Err(error) if error.kind() == Kind::Broken => {} // written anew
            Err(error) => return Err(error),
        }
        let block = self.from.chain_block(number).await?.ok_or_else(|| missing(path))?;
        if Some(block.hash) != link {
            let reason = "is not the block that the catalog knows".to_owned();
            return Err(Cause::Chain { number, reason }.into());
        }
        let document = block.document();
        let place = self.folder.join(path);
        let mut file = NewFile::begin(&place)?;
        file.write(&document)?;
        file.finish()?;
        Ok((Fingerprint::of(&document), document.len() as u64))
    }

    /// Whether the folder holds a file already: as an earlier copy noted, else as it is.
    fn is_there(&self, path: &str, sha256: Fingerprint, bytes: u64) -> Result<bool, StoreError> {
        let place = self.folder.join(path);
        match place.metadata() {
            Ok(metadata) if metadata.len() != bytes => Ok(false),
            Ok(_) => match (self.known)(path) {
                Some(known) => Ok(known == sha256),
                None => Ok(files::sha256(&place)? == sha256),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Cause::backup_path(&place, &error)),
        }
    }
}

fn fingerprint(block: &ChainBlock) -> Fingerprint {
    Fingerprint::of(&block.document())
}

fn goes_on(goes_on: bool) -> Result<(), StoreError> {
    if goes_on { Ok(()) } else { Err(Cause::Halted.into()) }
}

async fn pour(
    objects: &Objects,
    path: &str,
    sha256: Fingerprint,
    place: &Path,
    reach: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<(), StoreError> {
    let mut file = NewFile::begin(place)?;
    let mut take = |piece: &[u8]| {
        file.write(piece)?;
        goes_on(reach(piece.len()))
    };
    let held = objects.pour(path, &mut take).await?.ok_or_else(|| missing(path))?;
    if held != sha256 {
        let reason = "is not what was written".to_owned();
        return Err(Cause::Archive { path: path.to_owned(), reason }.into());
    }
    file.finish()
}
