/*!
[`Mark`]: what the first item of each commit tells whoever reads the write log after a crash.

fjall's checksum of a batch leaves out the batch's sequence number, and a log cannot say by itself which of its batches
were synced. The mark tells both: no sequence number lies below its floor, and nothing follows a batch that asked for a
sync before that sync is done. So damage can be told from a write that was torn by a loss of power. Read by
[`salvage`](super::salvage), written by [`engine`](super::engine).
*/

/// The key under which marks lie in the engine's keyspace for itself.
pub(super) const MARK_KEY: &[u8; 4] = b"mark";

/// Bytes of a mark.
pub(super) const MARK_BYTES: usize = 9;

/// What stands in the log before the commits that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The least sequence number that the commit can have.
    pub(super) floor: u64,
    pub(super) sync: Sync,
}

/// How a commit stands to the syncs of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// It asked for none.
    None,
    /// It asked for one: what follows it was written after that sync.
    Follows,
    /// All before it had been synced when it was written: the log was opened or closed.
    Precedes,
}

impl Sync {
    /// Far apart from each other, so that one damaged bit does not turn one into another.
    const fn byte(self) -> u8 {
        match self {
            Self::None => 0x00,
            Self::Follows => 0xFF,
            Self::Precedes => 0x0F,
        }
    }
}

impl Mark {
    pub(super) fn encode(self) -> [u8; MARK_BYTES] {
        let mut bytes = [self.sync.byte(); MARK_BYTES];
        bytes[..8].copy_from_slice(&self.floor.to_le_bytes());
        bytes
    }

    /// The mark under a key; none for other items.
    pub(super) fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let (sync, floor) = value.split_last()?;
        let all = [Sync::None, Sync::Follows, Sync::Precedes];
        let sync = all.into_iter().find(|known| known.byte() == *sync)?;
        (key == MARK_KEY).then_some(Self { floor: u64::from_le_bytes(floor.try_into().ok()?), sync })
    }

    /// Whether the last byte of a mark that may be damaged is more likely that of a commit with a sync than not.
    pub(super) const fn may_follow(byte: u8) -> bool {
        byte.count_ones() > 6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_and_nothing_else_is_one() {
        for sync in [Sync::None, Sync::Follows, Sync::Precedes] {
            let mark = Mark { floor: 77, sync };
            assert_eq!(Mark::decode(MARK_KEY, &mark.encode()), Some(mark));
            for bit in 0..8 {
                assert_eq!(Mark::may_follow(sync.byte() ^ (1 << bit)), sync == Sync::Follows);
            }
        }
        assert_eq!(Mark::decode(b"mork", &[0; MARK_BYTES]), None);
        assert_eq!(Mark::decode(MARK_KEY, &[1; MARK_BYTES]), None);
        assert_eq!(Mark::decode(MARK_KEY, &[0; MARK_BYTES - 1]), None);
        assert_eq!(Mark::decode(MARK_KEY, &[]), None);
    }
}
