/*!
[`Archive::verify`]: whether the archive is what its chain says, and where it is not.

Three things are compared: the documents of the chain with each other and with the catalog, the files with the chain, and
what lies in the archive with what should. Where the chain cannot be read, the catalog says which files there should be.
A head that was noted elsewhere proves that the chain was not made anew.
*/

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{self, CHAIN_FOLDER, ChainBlock, Head, Link, Step, Stub};
use super::entry::{FileEntry, summary_path};
use super::fingerprint::{Contents, Fingerprint};
use super::merge::Source;
use super::recover::is_unfinished;
use super::{Archive, GONE, Part};
use crate::{Kind, Scan, Space, StoreError};

/// Findings that are told; more are counted.
pub const FINDINGS_MAX: usize = 1_000;

/// How closely files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The hash of every file.
    Files,
    /// Also the fingerprint of the events in it, which proves what merges did.
    Events,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Something is not what was written.
    Changed,
    /// Something is not there any more.
    Removed,
    /// Something is there that nobody wrote.
    Inserted,
}

impl Trouble {
    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
        }
    }
}

/// One thing that is not as the chain says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The block of the chain that is wrong, or that vouches for the file; none for what no block knows.
    pub block: Option<u64>,
    /// The document or file.
    pub path: String,
    /// What is wrong.
    pub trouble: Trouble,
    /// What was seen.
    pub detail: String,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Blocks and files looked at.
    pub done: u64,
    /// Blocks and files known of so far.
    pub total: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How far the chain goes.
    pub head: Head,
    /// Files looked at.
    pub files: u64,
    /// Events in them.
    pub events: u64,
    /// Blocks of the journal that could not be read and were left out, as the chain records.
    pub left_out: u64,
    /// What is wrong, the first bad block first; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How much more is wrong.
    pub untold: u64,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// The first block of the chain that is wrong or vouches for something wrong.
    pub fn first_bad_block(&self) -> Option<u64> {
        self.findings.iter().filter_map(|finding| finding.block).min()
    }

    fn push(&mut self, block: Option<u64>, path: &str, trouble: Trouble, detail: impl Into<String>) {
        if self.findings.len() >= FINDINGS_MAX {
            self.untold += 1;
            return;
        }
        self.findings.push(Finding { block, path: path.to_owned(), trouble, detail: detail.into() });
    }
}

/// The files that should be there, with the number of the block that added each.
type Live = BTreeMap<String, (u64, FileEntry)>;

/// What following the chain gives.
#[derive(Default)]
struct Followed {
    hashes: BTreeSet<Fingerprint>,
    live: Live,
    /// Files that were taken out.
    gone: BTreeSet<String>,
    /// The first block that could not be read: from there on `live` is not to be trusted.
    unreadable: Option<u64>,
}

impl Archive {
    /// Compares chain, files and catalog; `noted` is the hash of a block, written down elsewhere.
    ///
    /// Reads every file, in streams for [`Depth::Files`]; 44 bytes of memory for each event of a file for
    /// [`Depth::Events`]. Not while steps are written.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the archive or the catalog cannot be read. What is wrong is no error but a finding.
    pub async fn verify(
        &self,
        noted: Option<Fingerprint>,
        depth: Depth,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Findings, StoreError> {
        let mut found = Findings::default();
        let (catalog_head, stored) = self.stored_head()?;
        let known = stored.is_some().then_some(catalog_head);
        let mut followed = self.verify_chain(known, &mut found, progress).await?;
        let blocks = found.head.next;
        if let Some(noted) = noted.filter(|noted| !followed.hashes.contains(noted)) {
            let detail = format!("no block has the hash {noted} that was noted");
            found.push(blocks.checked_sub(1), CHAIN_FOLDER, Trouble::Changed, detail);
        }
        match (known, followed.unreadable) {
            (Some(_), None) => self.verify_catalog(&followed.live, &mut found)?,
            (Some(_), Some(unreadable)) => {
                followed.live = self.live_by_catalog(&followed.live, unreadable)?
            }
            (None, Some(_)) => return Ok(found),
            (None, None) => {}
        }
        if known.is_some() {
            followed.gone = self.swept_later()?;
        }
        let total = blocks + followed.live.len() as u64;
        for (at, (number, entry)) in followed.live.values().enumerate() {
            self.verify_file(*number, entry, depth, &mut found).await?;
            progress(Progress { done: blocks + at as u64 + 1, total });
        }
        let head = known.unwrap_or(found.head);
        self.verify_listing(&followed, &head, &mut found).await?;
        found.findings.sort_by_key(|finding| (finding.block.is_none(), finding.block));
        Ok(found)
    }

    /// Follows the chain and gathers the files that should be there.
    async fn verify_chain(
        &self,
        known: Option<Head>,
        found: &mut Findings,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Followed, StoreError> {
        let mut numbers = BTreeSet::new();
        self.objects
            .list(Some(CHAIN_FOLDER), |path, _| match chain::document_number(path) {
                Some(number) => _ = numbers.insert(number),
                None => found.push(None, path, Trouble::Inserted, "is no document of the chain"),
            })
            .await?;
        let end =
            known.map_or_else(|| numbers.last().map_or(0, |last| last.saturating_add(1)), |head| head.next);
        for &number in numbers.range(end.saturating_add(1)..) {
            found.push(
                Some(number),
                &chain::document_path(number),
                Trouble::Inserted,
                "is beyond the end of the chain",
            );
        }
        let mut followed = Followed::default();
        for number in 0..end {
            let link = self.link(number)?.filter(|_| known.is_some());
            match self.read_block(number, found).await? {
                Some(block) => {
                    if let Some(detail) = wrong_place(&block, &found.head, known.map(|_| link)) {
                        found.push(Some(number), &chain::document_path(number), Trouble::Changed, detail);
                    }
                    follow(&block, &mut followed, found);
                    found.head = found.head.after(&block);
                }
                None => {
                    followed.unreadable.get_or_insert(number);
                    found.head.hash = link.map(|link| link.hash).unwrap_or_default();
                    found.head.next = number + 1;
                }
            }
            progress(Progress { done: number + 1, total: end });
        }
        Ok(followed)
    }

    /// The files that the catalog has, with the blocks that vouch for them as far as these could be read.
    fn live_by_catalog(&self, live: &Live, unreadable: u64) -> Result<Live, StoreError> {
        let with_number = |entry: FileEntry| {
            let number = live.get(&entry.path).map_or(unreadable, |(number, _)| *number);
            (entry.path.clone(), (number, entry))
        };
        Ok(self.all_files()?.into_iter().map(with_number).collect())
    }

    /// The objects that the catalog knows to be deleted by the next sweeps.
    fn swept_later(&self) -> Result<BTreeSet<String>, StoreError> {
        let gone = self.catalog.scan(Space::Archive, &Scan::prefix(GONE))?;
        Ok(gone
            .into_iter()
            .map(|(key, _)| String::from_utf8_lossy(&key[GONE.len()..]).into_owned())
            .collect())
    }

    /// A block, if its document is there and whole.
    async fn read_block(&self, number: u64, found: &mut Findings) -> Result<Option<ChainBlock>, StoreError> {
        let path = chain::document_path(number);
        let Some(document) = self.objects.get(&path).await? else {
            found.push(Some(number), &path, Trouble::Removed, "block is missing");
            return Ok(None);
        };
        match ChainBlock::read(&document) {
            Ok(block) if block.number == number => Ok(Some(block)),
            Ok(block) => {
                let detail = format!("is the document of block {}", block.number);
                found.push(Some(number), &path, Trouble::Changed, detail);
                Ok(None)
            }
            Err(reason) => {
                found.push(Some(number), &path, Trouble::Changed, reason);
                Ok(None)
            }
        }
    }

    fn verify_catalog(&self, live: &Live, found: &mut Findings) -> Result<(), StoreError> {
        let mut listed = 0;
        for entry in self.all_files()? {
            match live.get(&entry.path) {
                Some((_, held)) if *held == entry => listed += 1,
                Some((number, _)) => {
                    found.push(
                        Some(*number),
                        &entry.path,
                        Trouble::Changed,
                        "catalog differs from the chain",
                    );
                    listed += 1;
                }
                None => found.push(
                    None,
                    &entry.path,
                    Trouble::Inserted,
                    "catalog has a file that the chain has not",
                ),
            }
        }
        if listed < live.len() {
            let detail = format!("catalog lacks {} files of the chain", live.len() - listed);
            found.push(None, Space::Archive.name(), Trouble::Removed, detail);
        }
        Ok(())
    }

    async fn verify_file(
        &self,
        number: u64,
        entry: &FileEntry,
        depth: Depth,
        found: &mut Findings,
    ) -> Result<(), StoreError> {
        found.files += 1;
        found.events += entry.rows;
        let mut whole = true;
        for (path, sha256) in [(&entry.path, entry.sha256), (&entry.summary_path(), entry.summary_sha256)] {
            match self.objects.sha256(path).await? {
                Some(held) if held == sha256 => continue,
                Some(_) => found.push(Some(number), path, Trouble::Changed, "file is not what was written"),
                None => found.push(Some(number), path, Trouble::Removed, "file is missing"),
            }
            whole = false;
        }
        if depth == Depth::Files || !whole {
            return Ok(());
        }
        match self.parts(entry).await {
            Ok(parts) if parts == entry.parts => {}
            Ok(_) => {
                found.push(Some(number), &entry.path, Trouble::Changed, "events are not those of its entry")
            }
            Err(error) if error.kind() == Kind::Broken => {
                found.push(Some(number), &entry.path, Trouble::Changed, error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The parts of a file, worked out from its rows.
    async fn parts(&self, entry: &FileEntry) -> Result<Vec<Part>, StoreError> {
        let mut contents = Contents::new(entry.parts.iter().map(|part| (part.from, part.to)));
        let mut source = Source::new(self.open_anew(entry).await?);
        while source.next_batch().await? {
            for row in source.batch().iter().flat_map(|batch| batch.rows()) {
                if !contents.push(&row.placed()) {
                    return Ok(Vec::new());
                }
            }
        }
        Ok(contents.finish(&entry.group))
    }

    /// Looks for objects that should not be there.
    async fn verify_listing(
        &self,
        followed: &Followed,
        head: &Head,
        found: &mut Findings,
    ) -> Result<(), StoreError> {
        let summaries: BTreeSet<String> =
            followed.live.values().map(|(_, entry)| entry.summary_path()).collect();
        let mut strangers = Vec::new();
        self.objects
            .list(None, |path, _| {
                let is_known = followed.live.contains_key(path)
                    || summaries.contains(path)
                    || followed.gone.contains(path)
                    || path.starts_with(CHAIN_FOLDER)
                    || is_unfinished(path, head);
                if !is_known {
                    strangers.push(path.to_owned());
                }
            })
            .await?;
        strangers.sort();
        for path in strangers {
            found.push(None, &path, Trouble::Inserted, "file is not of the archive");
        }
        Ok(())
    }
}

/// Why a block does not stand where it should; `link` is what the catalog has, if there is a catalog.
fn wrong_place(block: &ChainBlock, head: &Head, link: Option<Option<Link>>) -> Option<&'static str> {
    if link.is_some_and(|link| link.is_none_or(|link| link.hash != block.hash)) {
        return Some("is not the block that the catalog knows");
    }
    let follows = block.previous == head.hash || (head.next > 0 && head.hash == Fingerprint::ZERO);
    (!follows).then_some("does not follow the block before it")
}

/// Takes a block's step into the files that should be there; what it says of them counts as long as all was readable.
fn follow(block: &ChainBlock, followed: &mut Followed, found: &mut Findings) {
    followed.hashes.insert(block.hash);
    found.left_out += u64::from(matches!(block.step, Step::LeftOut { .. }));
    let goes_back = block.range().is_some_and(|(from, _)| from < found.head.archived);
    let is_trusted = followed.unreadable.is_none();
    let mut wrong = |path: &str, detail: &str| {
        if is_trusted {
            found.push(Some(block.number), path, Trouble::Changed, detail);
        }
    };
    for stub in block.stubs() {
        match followed.live.remove(&stub.path) {
            Some((_, entry)) if Stub::of(&entry) == *stub => {}
            Some(_) => wrong(&stub.path, "stub is not that of the file"),
            None => wrong(&stub.path, "step takes away a file that was not there"),
        }
        followed.gone.insert(summary_path(&stub.path));
        followed.gone.insert(stub.path.clone());
    }
    if goes_back {
        wrong(&chain::document_path(block.number), "step archives what was archived before");
    }
    if let Step::Merged { replaced, files } = &block.step {
        let before = sorted(replaced.iter().flat_map(|stub| &stub.parts));
        if before != sorted(files.iter().flat_map(|file| &file.parts)) {
            wrong(&chain::document_path(block.number), "merge does not keep the parts");
        }
    }
    for entry in block.files() {
        followed.gone.remove(&entry.path);
        if followed.live.insert(entry.path.clone(), (block.number, entry.clone())).is_some() {
            wrong(&entry.path, "file was added twice");
        }
    }
}

fn sorted<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<&'a Part> {
    let mut parts: Vec<&Part> = parts.collect();
    parts.sort();
    parts
}
