/*!
[`ChainBlock`]: one step of the archive, bound to the step before it by its hash.

Knows no store. A block is kept as one JSON document, `chain/NUMBER.json`, that people can read, and as a [`Link`] in the
catalog. What is hashed is spelled out in [`ChainBlock::expected_hash`] and in the documentation of the archive.
*/

use nightbell_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{FileEntry, Part, canonical_parts};
use super::fingerprint::{Canonical, Fingerprint};
use crate::Position;

/// The folder of the chain's documents.
pub(super) const CHAIN_FOLDER: &str = "chain";

/// One step of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainBlock {
    /// Counted from 0.
    pub number: u64,
    /// The hash of the block before; zeros for the first.
    pub previous: Fingerprint,
    /// When the step was taken.
    pub time: Timestamp,
    /// What was done.
    pub step: Step,
    /// SHA-256 over all of the above.
    pub hash: Fingerprint,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Events of the journal were written to files.
    Archived {
        /// The first position of the journal that was archived.
        from: Position,
        /// The position after the last.
        to: Position,
        /// The files, in order of their paths.
        files: Vec<FileEntry>,
    },
    /// Files were merged; the new ones hold the same parts.
    Merged {
        /// What the files replace.
        replaced: Vec<Stub>,
        /// The files that replace them.
        files: Vec<FileEntry>,
    },
    /// Files were removed.
    Removed {
        /// Why.
        reason: Removal,
        /// What is left of them.
        files: Vec<Stub>,
    },
    /// A block of the journal could not be read and is not in the archive.
    LeftOut {
        /// The block's position.
        position: Position,
    },
}

/// Why files were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// They were older than their group keeps events.
    Retention,
    /// Their group was deleted.
    DeletedGroup,
    /// A person asked for it.
    Operator,
}

impl Removal {
    /// Its name in messages and hashes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::DeletedGroup => "deleted-group",
            Self::Operator => "operator",
        }
    }
}

/// What remains on record of a file that is no longer there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stub {
    /// Where it lay.
    pub path: String,
    /// How many events it held.
    pub rows: u64,
    /// SHA-256 of the file.
    pub sha256: Fingerprint,
    /// The ranges of the journal that its events came from.
    pub parts: Vec<Part>,
}

impl Stub {
    /// The stub of a file.
    pub fn of(entry: &FileEntry) -> Self {
        let (path, sha256, parts) = (entry.path.clone(), entry.sha256, entry.parts.clone());
        Self { path, rows: entry.rows, sha256, parts }
    }

    fn canonical(&self, canonical: &mut Canonical) {
        canonical.text(&self.path).number(self.rows).fingerprint(&self.sha256);
        canonical_parts(&self.parts, canonical);
    }
}

impl ChainBlock {
    /// The block after `head`.
    pub(super) fn after(head: &Head, time: Timestamp, step: Step) -> Self {
        let (number, previous) = (head.next, head.hash);
        let mut block = Self { number, previous, time, step, hash: Fingerprint::ZERO };
        block.hash = block.expected_hash();
        block
    }

    /// SHA-256 over `chain`, number, hash of the block before, time, kind, and the fields of the kind in the order in
    /// which they are declared; each list is preceded by its length.
    pub fn expected_hash(&self) -> Fingerprint {
        let mut canonical = Canonical::new("chain");
        canonical.number(self.number).fingerprint(&self.previous).time(self.time);
        match &self.step {
            Step::Archived { from, to, files } => {
                canonical.text("archived").number(from.number()).number(to.number());
                canonical_list(files, &mut canonical, FileEntry::canonical);
            }
            Step::Merged { replaced, files } => {
                canonical.text("merged");
                canonical_list(replaced, &mut canonical, Stub::canonical);
                canonical_list(files, &mut canonical, FileEntry::canonical);
            }
            Step::Removed { reason, files } => {
                canonical.text("removed").text(reason.name());
                canonical_list(files, &mut canonical, Stub::canonical);
            }
            Step::LeftOut { position } => {
                canonical.text("left-out").number(position.number());
            }
        }
        canonical.finish()
    }

    /// The files that the step added.
    pub fn files(&self) -> &[FileEntry] {
        match &self.step {
            Step::Archived { files, .. } | Step::Merged { files, .. } => files,
            Step::Removed { .. } | Step::LeftOut { .. } => &[],
        }
    }

    /// The range of the journal that the step came past: its first position and the one after its last.
    pub(super) fn range(&self) -> Option<(Position, Position)> {
        match self.step {
            Step::Archived { from, to, .. } => Some((from, to)),
            Step::LeftOut { position } => Some((position, position.next())),
            Step::Merged { .. } | Step::Removed { .. } => None,
        }
    }

    /// What is left of the files that the step took away.
    pub fn stubs(&self) -> &[Stub] {
        match &self.step {
            Step::Archived { .. } | Step::LeftOut { .. } => &[],
            Step::Merged { replaced, .. } => replaced,
            Step::Removed { files, .. } => files,
        }
    }

    /// The document; the same bytes for the same block.
    pub(super) fn document(&self) -> Vec<u8> {
        let mut document = serde_json::to_vec_pretty(self).expect("plain values in growing memory");
        document.push(b'\n');
        document
    }

    /// The block that a document holds, if every byte of it is as [`Self::document`] writes it and the hash is right.
    pub(super) fn read(document: &[u8]) -> Result<Self, String> {
        let block: Self =
            serde_json::from_slice(document).map_err(|error| format!("document is no block: {error}"))?;
        if block.document() != document {
            return Err("document is not written as blocks are".to_owned());
        }
        if block.expected_hash() != block.hash {
            return Err("hash is not that of the content".to_owned());
        }
        Ok(block)
    }
}

fn canonical_list<T>(items: &[T], canonical: &mut Canonical, write: fn(&T, &mut Canonical)) {
    canonical.number(items.len() as u64);
    for item in items {
        write(item, canonical);
    }
}

/// Where the document of a block lies.
pub(super) fn document_path(number: u64) -> String {
    format!("{CHAIN_FOLDER}/{number:020}.json")
}

/// The number of the block whose document lies at `path`, if it is one's path.
pub(super) fn document_number(path: &str) -> Option<u64> {
    let number = path.strip_prefix(CHAIN_FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?;
    let number = (number.len() == 20).then(|| number.parse().ok())??;
    (document_path(number) == path).then_some(number)
}

/// How far the chain goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many blocks there are: the number of the next one.
    pub next: u64,
    /// The hash of the last block; zeros before the first.
    pub hash: Fingerprint,
    /// When the last block was made.
    pub time: Timestamp,
    /// The journal is archived, but for blocks left out, up to but without this position.
    pub archived: Position,
}

impl Head {
    /// The head after a block.
    pub(super) fn after(&self, block: &ChainBlock) -> Self {
        let archived = block.range().map_or(self.archived, |(_, to)| to.max(self.archived));
        Self { next: block.number.saturating_add(1), hash: block.hash, time: block.time, archived }
    }
}

/// What the catalog keeps of a block, to tell whether its document was changed or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The block's hash.
    pub hash: Fingerprint,
    /// When it was made.
    pub time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> ChainBlock {
        let part =
            Part { from: Position::new(3), to: Position::new(5), rows: 2, content: Fingerprint::of(b"c") };
        let stub =
            Stub { path: "a/b.parquet".into(), rows: 2, sha256: Fingerprint::of(b"f"), parts: vec![part] };
        let head = Head { next: 7, hash: Fingerprint::of(b"h"), ..Head::default() };
        let step = Step::Removed { reason: Removal::DeletedGroup, files: vec![stub] };
        ChainBlock::after(&head, Timestamp::from_seconds(9), step)
    }

    #[test]
    fn documents_are_read_as_written_and_no_other_way() {
        let block = block();
        let document = block.document();
        assert_eq!(ChainBlock::read(&document), Ok(block));
        for at in 0..document.len() {
            let mut changed = document.clone();
            changed[at] ^= 0x01;
            assert!(ChainBlock::read(&changed).is_err(), "byte {at}");
        }
        assert!(ChainBlock::read(&[&document[..], b" "].concat()).is_err());
    }

    #[test]
    fn the_hash_covers_every_field() {
        let original = block();
        let change = |change: fn(&mut ChainBlock)| {
            let mut block = original.clone();
            change(&mut block);
            block.expected_hash()
        };
        fn stub(block: &mut ChainBlock) -> &mut Stub {
            match &mut block.step {
                Step::Removed { files, .. } => &mut files[0],
                _ => unreachable!(),
            }
        }
        let hashes = [
            original.hash,
            change(|block| block.number += 1),
            change(|block| block.previous = Fingerprint::ZERO),
            change(|block| block.time = Timestamp::from_seconds(8)),
            change(|block| stub(block).path.push('x')),
            change(|block| stub(block).rows += 1),
            change(|block| stub(block).sha256 = Fingerprint::ZERO),
            change(|block| stub(block).parts[0].content = Fingerprint::ZERO),
            change(|block| stub(block).parts[0].rows += 1),
            change(|block| stub(block).parts.clear()),
            change(|block| block.step = Step::Merged { replaced: vec![stub(block).clone()], files: vec![] }),
            change(|block| {
                block.step = Step::Archived { from: Position::FIRST, to: Position::FIRST, files: vec![] }
            }),
            change(|block| block.step = Step::LeftOut { position: Position::FIRST }),
            change(|block| block.step = Step::LeftOut { position: Position::new(1) }),
        ];
        let unlike: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(unlike.len(), hashes.len());
    }

    #[test]
    fn a_document_of_another_name_is_none() {
        assert_eq!(document_number(&document_path(12)), Some(12));
        assert_eq!(document_path(0), "chain/00000000000000000000.json");
        for path in
            ["chain/1.json", "chain/0000000000000000000x.json", "chain/+0000000000000000001.json", "x"]
        {
            assert_eq!(document_number(path), None, "{path}");
        }
    }
}
