/*!
[`Kinds`]: rows told apart by columns of codes, so that what hangs on these columns alone is worked out once for all rows
alike.
*/

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

/// Pairs of codes that are told apart by a table; of more, those that occur are looked up one by one.
const PAIRS_MAX: usize = 1 << 18;

/// Rows, told apart by one column after the other.
#[derive(Debug)]
pub struct Kinds {
    rows: Range<usize>,
    /// The kind of each row; without columns all are of one.
    kinds: Option<Vec<u32>>,
    count: usize,
}

impl Kinds {
    /// These rows, all of one kind.
    pub fn all(rows: Range<usize>) -> Self {
        Self { rows, kinds: None, count: 1 }
    }

    /// Tells the rows apart by a column of numbers below `count`; `codes` begin with the first of the rows.
    pub fn split(&mut self, codes: &[u32], count: usize) {
        let Some(kinds) = &mut self.kinds else {
            (self.kinds, self.count) = (Some(codes[..self.rows.len()].to_vec()), count);
            return;
        };
        let pairs = self.count.saturating_mul(count);
        let mut found = 0_u32;
        let mut number = |slot: &mut u32| {
            if *slot == 0 {
                found += 1;
                *slot = found;
            }
            *slot - 1
        };
        if pairs <= PAIRS_MAX {
            let mut table = vec![0_u32; pairs];
            for (kind, code) in kinds.iter_mut().zip(codes) {
                *kind = number(&mut table[*kind as usize * count + *code as usize]);
            }
        } else {
            let mut table: HashMap<u64, u32, RandomState> = HashMap::default();
            for (kind, code) in kinds.iter_mut().zip(codes) {
                *kind = number(table.entry(u64::from(*kind) << 32 | u64::from(*code)).or_default());
            }
        }
        self.count = found as usize;
    }

    /// The first row of each kind, and how many rows are of it.
    pub fn counts(self) -> Vec<(usize, u64)> {
        let Some(kinds) = self.kinds else {
            let count = self.rows.len() as u64;
            return if count == 0 { Vec::new() } else { vec![(self.rows.start, count)] };
        };
        let mut counts = vec![(0_usize, 0_u64); self.count];
        for (row, kind) in self.rows.zip(kinds) {
            let (first, count) = &mut counts[kind as usize];
            if *count == 0 {
                *first = row;
            }
            *count += 1;
        }
        counts.retain(|(_, count)| *count > 0);
        counts
    }

    /// The rows for whose kind `keep` holds; it is asked with one row of each kind.
    pub fn kept(self, keep: impl Fn(usize) -> bool) -> Vec<u32> {
        let Some(kinds) = self.kinds else {
            let all = self.rows.start as u32..self.rows.end as u32;
            return if self.rows.is_empty() || !keep(self.rows.start) { Vec::new() } else { all.collect() };
        };
        let mut verdicts: Vec<Option<bool>> = vec![None; self.count];
        let rows = self.rows.zip(kinds);
        let kept = rows.filter(|(row, kind)| *verdicts[*kind as usize].get_or_insert_with(|| keep(*row)));
        kept.map(|(row, _)| row as u32).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_told_apart_by_all_columns(
            columns in prop::collection::vec(prop::collection::vec(0..4_u32, 50), 0..4),
            first in 0..=50_usize,
            many in any::<bool>(),
        ) {
            let rows = first..50;
            // Few pairs are counted in a table, many are looked up.
            let scale = if many { 1_000 } else { 1 };
            let scaled = |codes: &Vec<u32>| codes.iter().map(|code| code * scale).collect();
            let columns: Vec<Vec<u32>> = columns.iter().map(scaled).collect();
            let kinds = || {
                let mut kinds = Kinds::all(rows.clone());
                columns.iter().for_each(|codes| kinds.split(&codes[first..], 4 * scale as usize));
                kinds
            };
            let kind = |row: usize| columns.iter().map(|codes| codes[row]).collect::<Vec<_>>();
            let mut expected: BTreeMap<Vec<u32>, (usize, u64)> = BTreeMap::new();
            for row in rows.clone() {
                expected.entry(kind(row)).or_insert((row, 0)).1 += 1;
            }
            let found: BTreeMap<_, _> =
                kinds().counts().into_iter().map(|(row, count)| (kind(row), (row, count))).collect();
            prop_assert_eq!(found, expected);
            let is_even = |row: usize| kind(row).iter().sum::<u32>() / scale % 2 == 0;
            let kept: Vec<usize> = kinds().kept(is_even).into_iter().map(|row| row as usize).collect();
            prop_assert_eq!(kept, rows.filter(|row| is_even(*row)).collect::<Vec<_>>());
        }
    }
}
