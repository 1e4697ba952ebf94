/*!
What contributors that gave way may have counted: what those are credited with that are made after them.

Each time some give way a floor is laid: the most that any window of any of them held. A contributor may have been among
those of every floor laid before it was made. So what it may have lost of a window is at most the sum of the floors that
reach into it; and it is at most the largest of their chained weights, in which those that left were credited themselves.
The smaller of the two holds. Data that comes late needs old floors; they are kept as long as it can reach them.
*/

use crate::evidence::Evidence;

/// Floors of one alarm; past it the oldest two become one.
const FLOORS_MAX: usize = 64;
/// Seconds whose credit is remembered for contributors of one age.
const CREDITS_KNOWN_MAX: usize = 16;

/// The floors of one alarm.
#[derive(Clone, Debug)]
pub(super) struct Floors {
    /// Seconds that the windows of the alarm span together.
    span_s: i64,
    /// In the order they were laid.
    floors: Vec<Floor>,
    laid: u64,
}

#[derive(Clone, Debug)]
struct Floor {
    /// How many were laid before it.
    laid_before: u64,
    weight: Weight,
    /// The end of the newest data of those that gave way.
    newest: i64,
    evidence: Evidence,
}

/// The most that a window of a contributor holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// By what was counted since it was made.
    pub(super) own: f64,
    /// Together with what it is credited with.
    pub(super) chained: f64,
}

/// How many floors were laid before a contributor was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark(u64);

/// Credits that were worked out: very many contributors are made between the same two floors and begin in the same second.
pub(super) struct Credits {
    /// By how many floors are older than the contributor: (second, credit).
    known: Vec<Vec<(i64, f64)>>,
}

impl Credits {
    /// [`Floors::credit`].
    pub(super) fn of(&mut self, floors: &Floors, mark: Mark, second: i64) -> f64 {
        let before = floors.floors.partition_point(|floor| floor.laid_before < mark.0);
        let Some(known) = self.known.get_mut(before).filter(|_| before > 0) else { return 0.0 };
        if let Some((_, credit)) = known.iter().find(|(at, _)| *at == second) {
            return *credit;
        }
        let credit = floors.credit(mark, second);
        if known.len() < CREDITS_KNOWN_MAX {
            known.push((second, credit));
        }
        credit
    }
}

impl Floors {
    /// No floors, for windows that span `span_s` seconds together.
    pub(super) fn new(span_s: i64) -> Self {
        Self { span_s, floors: Vec::new(), laid: 0 }
    }

    /// Takes over the floors of an alarm that is replaced.
    pub(super) fn succeed(&mut self, old: Self) {
        *self = Self { span_s: self.span_s.max(old.span_s), ..old };
    }

    /// Whether nothing was lost that data could still reach.
    pub(super) fn is_empty(&self) -> bool {
        self.floors.is_empty()
    }

    /// The mark of a contributor that is made now.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.laid)
    }

    /// Lays a floor of those that gave way together: the weight none of them is above, the end of their newest data, and what
    /// the events of some of them have to say.
    pub(super) fn lay(&mut self, weight: Weight, newest: i64, evidence: Evidence) {
        self.floors.push(Floor { laid_before: self.laid, weight, newest, evidence });
        self.laid += 1;
        if self.floors.len() > FLOORS_MAX {
            let next = self.floors.remove(1);
            let oldest = &mut self.floors[0];
            oldest.weight.own += next.weight.own;
            oldest.weight.chained = oldest.weight.chained.max(next.weight.chained);
            oldest.newest = oldest.newest.max(next.newest);
            oldest.evidence.merge(&next.evidence);
        }
    }

    /// What a contributor with this mark may have lost of a window that holds `second`.
    pub(super) fn credit(&self, mark: Mark, second: i64) -> f64 {
        let before = self.floors.iter().filter(|floor| floor.laid_before < mark.0);
        let mut total = Weight::default();
        for floor in before.filter(|floor| self.reaches(floor, second)) {
            total.own += floor.weight.own;
            total.chained = total.chained.max(floor.weight.chained);
        }
        total.own.min(total.chained)
    }

    /// Credits of many contributors, to be worked out while no floor is laid or lifted.
    pub(super) fn credits(&self) -> Credits {
        Credits { known: vec![Vec::new(); self.floors.len() + 1] }
    }

    /// Whether some floor reaches into windows that hold `second` or come after it.
    pub(super) fn reach(&self, second: i64) -> bool {
        self.floors.iter().any(|floor| self.reaches(floor, second))
    }

    /// Drops floors that reach into no window that holds `second` or comes after it.
    pub(super) fn lift(&mut self, second: i64) {
        let span_s = self.span_s;
        self.floors.retain(|floor| floor.newest.saturating_add(span_s) > second);
    }

    /// What the events of those that gave way have to say.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence::merged(self.floors.iter().map(|floor| &floor.evidence))
    }

    fn reaches(&self, floor: &Floor, second: i64) -> bool {
        floor.newest.saturating_add(self.span_s) > second
    }
}
