/*!
How many different values there were: exact while they are few, estimated with a known error when they are many.

A [`Distinct`] is the set of the smallest 64-bit keys seen ("On synopses for distinct-value estimation under multiset
operations", Beyer and others): a union cut to its smallest keys. Such a union is associative, commutative and
idempotent, so order, batches and repeated deliveries do not matter. What a key stands for is not known here; callers
make keys with [`key_of`] from the values that are to be told apart.
*/

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Keys up to which a [`Distinct`] counts exactly; past it the count is an estimate.
pub const KEYS_MAX: usize = 1_024;

/// Standard error of an estimate, relative to the true count: 1 / sqrt([`KEYS_MAX`] − 1).
pub const ESTIMATE_ERROR_RELATIVE: f64 = 0.031_3;

/// One key more than can be counted exactly: that it is there says that the set was cut.
const KEYS_KEPT_MAX: usize = KEYS_MAX + 1;

/// Sets up to this size are merged key by key; larger ones in one pass over both.
const MERGE_BY_KEY_MAX: usize = 8;

/// How many keys there are: 2^64.
const KEY_SPACE: f64 = 18_446_744_073_709_551_616.0;

/// The key of a value or, with several parts, of a tuple of values: `["ab", "c"]` and `["a", "bc"]` differ.
///
/// The first 8 bytes of a SHA-256 ("Secure Hash Standard") over the parts, each after its length; so it is the same
/// in every build and on every machine. Whoever chooses the counted names (files to be encrypted, accounts to be
/// tried) can compute keys too. A fast hash would let them choose names that share a key and so count as one; here
/// finding even pairs takes 2^32 attempts, and a third name to a pair far more. What they can do is choose names
/// with large keys, which an estimate does not see; it never falls below [`KEYS_MAX`], so thresholds up to there hold.
pub fn key_of(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut key = [0; 8];
    key.copy_from_slice(&hash.finalize()[..8]);
    u64::from_le_bytes(key)
}

/// A set of keys, bounded: the smallest ones, sorted. Empty it owns no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>")]
pub struct Distinct(Vec<u64>);

impl Distinct {
    /// The set of one key.
    pub fn one(key: u64) -> Self {
        Self(vec![key])
    }

    /// Adds a key; one that is already there changes nothing.
    pub fn insert(&mut self, key: u64) {
        // Keys often come larger than all kept ones: that a full set does not change is seen without a search.
        if !self.is_exact() && self.0.last().is_some_and(|largest| *largest < key) {
            return;
        }
        if let Err(at) = self.0.binary_search(&key) {
            self.0.insert(at, key);
            self.0.truncate(KEYS_KEPT_MAX);
        }
    }

    /// Adds all keys of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
        } else if other.0.len() <= MERGE_BY_KEY_MAX {
            other.0.iter().for_each(|key| self.insert(*key));
        } else {
            self.0 = union(&self.0, &other.0);
        }
    }

    /// How many different keys were added: exactly when [`Self::is_exact`], else an estimate with a standard error of
    /// [`ESTIMATE_ERROR_RELATIVE`] that is never below the number of keys that are known to be there.
    pub fn count(&self) -> f64 {
        let kept = self.0.len() as f64;
        match self.0.last() {
            // With k keys kept, the largest at the share u of the key space: (k − 1) / u is without bias.
            Some(largest) if !self.is_exact() => {
                let share = (*largest as f64 + 1.0) / KEY_SPACE;
                ((kept - 1.0) / share).max(kept)
            }
            _ => kept,
        }
    }

    /// Whether every key that was added is still there.
    pub fn is_exact(&self) -> bool {
        self.0.len() <= KEYS_MAX
    }

    /// Whether no key was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What was stored, brought into order should it not be.
impl From<Vec<u64>> for Distinct {
    fn from(mut keys: Vec<u64>) -> Self {
        if !keys.is_sorted_by(|a, b| a < b) {
            keys.sort_unstable();
            keys.dedup();
        }
        keys.truncate(KEYS_KEPT_MAX);
        Self(keys)
    }
}

/// The smallest keys of two sorted sets, each once.
fn union(left: &[u64], right: &[u64]) -> Vec<u64> {
    let mut union = Vec::with_capacity((left.len() + right.len()).min(KEYS_KEPT_MAX));
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    while union.len() < KEYS_KEPT_MAX {
        let smallest = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => *a.min(b),
            (Some(key), None) | (None, Some(key)) => *key,
            (None, None) => break,
        };
        left.next_if_eq(&smallest);
        right.next_if_eq(&smallest);
        union.push(smallest);
    }
    union
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(keys: impl IntoIterator<Item = u64>) -> Distinct {
        let mut set = Distinct::default();
        keys.into_iter().for_each(|key| set.insert(key));
        set
    }

    fn named(names: std::ops::Range<u32>) -> Distinct {
        set(names.map(|name| key_of(&[&format!("\\share\\folder\\{name}.docx")])))
    }

    fn union_of(left: &Distinct, right: &Distinct) -> Distinct {
        let mut union = left.clone();
        union.merge(right);
        union
    }

    #[test]
    fn counts_exactly_up_to_the_limit() {
        assert_eq!((Distinct::default().count(), Distinct::default().is_empty()), (0.0, true));
        assert_eq!(Distinct::default().0.capacity(), 0);
        assert_eq!(Distinct::one(7).count(), 1.0);
        let full = named(0..KEYS_MAX as u32);
        assert_eq!((full.count(), full.is_exact()), (KEYS_MAX as f64, true));
        let past = named(0..KEYS_MAX as u32 + 1);
        assert!(!past.is_exact() && past.count() > KEYS_MAX as f64);
    }

    #[test]
    fn estimates_are_within_three_standard_errors() {
        for names in [1_500, 5_000, 40_000] {
            let count = named(0..names).count();
            let error = (count / f64::from(names) - 1.0).abs();
            assert!(error < 3.0 * ESTIMATE_ERROR_RELATIVE, "{count} for {names}");
        }
        let stated = 1.0 / (KEYS_MAX as f64 - 1.0).sqrt();
        assert!((stated - ESTIMATE_ERROR_RELATIVE).abs() < 1e-4, "{stated}");
    }

    #[test]
    fn chosen_keys_do_not_press_an_estimate_below_what_is_known() {
        let largest = set((0..100_000).map(|i| u64::MAX - i));
        assert!(largest.count() >= KEYS_MAX as f64 + 1.0);
        let smallest = set(0..100_000);
        assert!(smallest.count().is_finite() && smallest.count() > 1e18);
    }

    /// Stored sets outlive the build that wrote them: a changed key would count every value twice.
    #[test]
    fn keys_never_change() {
        let cases: [(&[&str], &str); 4] = [
            (&[], "e3b0c44298fc1c14"),
            (&[""], "af5570f5a1810b7a"),
            (&["alice"], "2d6e539289d8864f"),
            (&["alice", "\\share\\übung.docx"], "51587ca66ec342c9"),
        ];
        for (parts, bytes) in cases {
            let key = key_of(parts).to_le_bytes();
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, bytes, "{parts:?}");
        }
    }

    #[test]
    fn keys_tell_tuples_apart() {
        let tuples: [&[&str]; 7] =
            [&[], &[""], &["", ""], &["ab", "c"], &["a", "bc"], &["abc"], &["abc", ""]];
        assert_eq!(set(tuples.into_iter().map(key_of)).count(), tuples.len() as f64);
    }

    #[test]
    fn what_was_stored_is_read_as_it_was_and_put_in_order_otherwise() {
        for set in [Distinct::default(), Distinct::one(3), named(0..5_000)] {
            let stored = postcard::to_stdvec(&set).unwrap();
            assert_eq!(postcard::from_bytes::<Distinct>(&stored).unwrap(), set);
        }
        assert_eq!(serde_json::from_str::<Distinct>("[3,1,3,2]").unwrap(), set([1, 2, 3]));
        let long: Vec<u64> = (0..5_000).rev().collect();
        assert_eq!(Distinct::from(long), set(0..5_000));
    }

    /// Many small sets, a few around the limit, some of them sharing keys.
    fn sets() -> impl Strategy<Value = Distinct> {
        prop_oneof![
            prop::collection::vec(0..20_u64, 0..12).prop_map(set),
            (0..2_000_u32, 0..1_500_u32).prop_map(|(start, length)| named(start..start + length)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn merging_is_associative_commutative_and_idempotent(a in sets(), b in sets(), c in sets()) {
            prop_assert_eq!(union_of(&a, &b), union_of(&b, &a));
            prop_assert_eq!(union_of(&union_of(&a, &b), &c), union_of(&a, &union_of(&b, &c)));
            prop_assert_eq!(&union_of(&a, &a), &a);
            prop_assert_eq!(union_of(&union_of(&a, &b), &a), union_of(&a, &b));
            prop_assert_eq!(union_of(&a, &Distinct::default()), a);
        }

        /// However keys come, one by one or in batches, the same is left, and it is what a plain set would cut to.
        #[test]
        fn keeps_the_smallest_keys_in_any_batches(keys in prop::collection::vec(any::<u64>(), 0..3_000), cut in 0..3_000_usize) {
            let (head, tail) = keys.split_at(cut.min(keys.len()));
            let merged = union_of(&set(tail.iter().copied()), &set(head.iter().copied()));
            let plain: std::collections::BTreeSet<u64> = keys.iter().copied().collect();
            let smallest: Vec<u64> = plain.iter().copied().take(KEYS_KEPT_MAX).collect();
            prop_assert_eq!(&merged.0, &smallest);
            prop_assert_eq!(merged.is_exact(), plain.len() <= KEYS_MAX);
            prop_assert_eq!(set(keys.iter().rev().copied()), merged);
        }
    }
}
