/*!
How a loop finds the one entry of its stream that cannot be taken: after a failure that the entries are to blame for, it
takes them one at a time, and the one that fails alone is passed over.
*/

use nightbell_store::Kind;

/// Single steps after a failure: more than one whole step has entries.
const CAREFUL_STEPS: u32 = 100_000;

/// Whether single steps are taken, and for how much longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Care {
    steps: u32,
}

impl Care {
    /// How much to read for one step: `all`, or the least, which is one entry.
    pub(super) fn bytes(self, all: usize) -> usize {
        if self.steps > 0 { 1 } else { all }
    }

    /// A step succeeded. One good entry says nothing of those behind it, so single steps go on.
    pub(super) fn succeeded(&mut self) {
        self.steps = self.steps.saturating_sub(1);
    }

    /// A step failed; whether its entry was alone, is to blame, and is to be passed over.
    pub(super) fn failed(&mut self, kind: Kind) -> bool {
        if !matches!(kind, Kind::Invalid | Kind::Broken) {
            return false;
        }
        let alone = self.steps > 0;
        self.steps = if alone { 0 } else { CAREFUL_STEPS };
        alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bad_entry_is_found_behind_good_ones_and_only_it_is_passed_over() {
        let mut care = Care::default();
        assert_eq!(care.bytes(100), 100);
        assert!(!care.failed(Kind::Broken), "many entries: any of them may be bad");
        for _ in 0..3 {
            assert_eq!(care.bytes(100), 1);
            care.succeeded();
        }
        assert!(care.failed(Kind::Broken), "one entry: it is the bad one");
        assert_eq!(care.bytes(100), 100);
    }

    #[test]
    fn a_disk_that_refuses_costs_no_entry() {
        let mut care = Care::default();
        for _ in 0..3 {
            assert!(!care.failed(Kind::Unavailable));
            assert!(!care.failed(Kind::Throttled));
        }
        assert_eq!(care.bytes(100), 100);
    }
}
