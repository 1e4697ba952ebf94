/*!
One event log: what was seen without holes, what waits for the records before it, and what was told.

The front is the highest number up to which all is seen or told. A run above it waits until the numbers between come or
are late. A run below it that is newer than everything seen may be the beginning of new numbers, and waits as well.
Whatever does not depend on "now" depends on the set of records alone, not on their order.
*/

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    BACKWARDS_MS_MAX, CLEARS_MAX, EventLog, FINDINGS_MAX, Finding, Gap, LATENESS_MS, Mark, PIECES_MAX,
    RUNS_MAX, Run, SELECTIVE_GAPS, SELECTIVE_NUMBERS, SKEW_MS, TOLD_MAX,
};
use crate::time::Timestamp;

/// What is known of one event log, to be kept as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Nothing before the first [`LATENESS_MS`] have passed: what comes first need not be the first record.
    front: Option<Front>,
    /// Time of the first record since numbers began anew.
    restarted: Option<Timestamp>,
    /// By number, then time.
    waiting: Vec<Waiting>,
    /// The newest clear marks.
    clears: BTreeSet<Mark>,
    /// Told gaps, oldest first.
    told: VecDeque<Told>,
    /// First numbers of the last gaps, oldest first.
    gaps: VecDeque<u64>,
    /// Whether the source sends a selection.
    selective: bool,
    /// Gaps and restarts found since the last judgement.
    found: Vec<Found>,
    /// The latest arrival.
    heard: Timestamp,
}

/// The highest number up to which all is seen or told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Front {
    id: u64,
    /// Time of that record.
    time: Timestamp,
    /// The newest time of all records up to it; clocks are set back at times.
    newest: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    run: Run,
    /// When the first of its records arrived.
    arrival: Timestamp,
}

/// A gap without the name of its log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Hole {
    from: u64,
    to: u64,
    missing: u64,
    between: (Timestamp, Timestamp),
    cleared: bool,
}

/// A told gap and what is still missing of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    hole: Hole,
    pieces: Vec<(u64, u64)>,
    /// Whether records came since the last judgement.
    touched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Found {
    Hole(Hole),
    Restarted { at: Timestamp, first: u64 },
    Selective,
}

impl Channel {
    /// When a record arrived last.
    pub(super) fn heard(&self) -> Timestamp {
        self.heard
    }

    /// Marks as of `now` what arrived later; whether something did.
    pub(super) fn put_clock_back(&mut self, now: Timestamp) -> bool {
        let ahead = self.heard > now;
        self.heard = self.heard.min(now);
        for waiting in &mut self.waiting {
            waiting.arrival = waiting.arrival.min(now);
        }
        ahead
    }

    /// Takes what one batch held of this log.
    pub(super) fn take(&mut self, runs: &[Run], clears: &BTreeSet<Mark>, arrival: Timestamp) {
        self.heard = self.heard.max(arrival);
        self.clears.extend(clears);
        while self.clears.len() > CLEARS_MAX {
            self.clears.pop_first();
        }
        for &run in runs {
            self.fill(&run);
            if let Some(run) = news(self.front, self.restarted, run) {
                self.wait(Waiting { run, arrival });
            }
            self.absorb();
            while self.waiting.len() > RUNS_MAX {
                self.give_up_waiting();
            }
        }
    }

    /// Tells what is found by `now`, and whether anything is not as it was.
    pub(super) fn judge(&mut self, now: Timestamp, log: &EventLog, findings: &mut Vec<Finding>) -> bool {
        let measure = |channel: &Self, found: usize| {
            (channel.front, channel.waiting.len(), channel.told.len(), channel.gaps.len(), found)
        };
        let before = measure(self, findings.len());
        self.advance_to(now);
        self.tell(log, findings);
        measure(self, findings.len()) != before
    }

    /// Gives up what is late by `now`.
    fn advance_to(&mut self, now: Timestamp) {
        let is_due = |arrival: Timestamp| now.since(arrival) >= LATENESS_MS;
        if self.front.is_none() && self.waiting.iter().any(|waiting| is_due(waiting.arrival)) {
            self.begin(None);
        }
        while let Some(front) = self.front {
            let restart = self.restart(front);
            if let Some((at, arrival)) = self.lowest_above(front, restart) {
                if !is_due(arrival) {
                    break;
                }
                self.step_over(front, at);
            } else if let Some(began) = restart {
                if !self.waiting.iter().any(|waiting| is_due(waiting.arrival)) {
                    break;
                }
                self.begin(Some(began));
            } else {
                // What stands below the front and is no beginning is a record sent again with another time.
                self.waiting.retain(|waiting| !is_due(waiting.arrival));
                break;
            }
        }
    }

    /// Takes late records out of the told gaps they belong to.
    fn fill(&mut self, run: &Run) {
        for told in &mut self.told {
            let (before, after) = told.hole.between;
            let in_time =
                run.ended >= before.plus_millis(-SKEW_MS) && run.began <= after.plus_millis(SKEW_MS);
            if in_time && run.first <= told.hole.to && told.hole.from <= run.last {
                told.take_out(run);
            }
        }
    }

    /// Joins a run with the waiting ones it continues.
    fn wait(&mut self, mut new: Waiting) {
        while let Some(at) =
            self.waiting.iter().position(|held| held.run.touches(&new.run) && in_order(&held.run, &new.run))
        {
            let held = self.waiting.remove(at);
            new.run = new.run.joined(&held.run);
            new.arrival = new.arrival.min(held.arrival);
        }
        let place = |waiting: &Waiting| (waiting.run.first, waiting.run.began);
        let at = self.waiting.partition_point(|held| place(held) < place(&new));
        self.waiting.insert(at, new);
    }

    /// Moves the front over runs that follow it without a hole.
    fn absorb(&mut self) {
        while let Some(front) = self.front {
            let next = front.id.checked_add(1);
            let Some(at) = self.waiting.iter().position(|waiting| Some(waiting.run.first) == next) else {
                return;
            };
            let run = self.waiting.remove(at).run;
            self.advance(&run, front.newest);
        }
    }

    /// Moves the front to the end of `run` and drops what it passed.
    fn advance(&mut self, run: &Run, newest: Timestamp) {
        let newest = newest.max(run.began).max(run.ended);
        self.front = Some(Front { id: run.last, time: run.ended, newest });
        let (front, restarted) = (self.front, self.restarted);
        self.waiting.retain_mut(|waiting| match news(front, restarted, waiting.run) {
            Some(run) => {
                waiting.run = run;
                true
            }
            None => false,
        });
    }

    /// When numbers began anew, if runs below the front say so.
    fn restart(&self, front: Front) -> Option<Timestamp> {
        let is_beginning = |run: &Run| {
            run.began.since(front.newest) > SKEW_MS
                || self
                    .clears
                    .iter()
                    .any(|mark| mark.id <= front.id && mark.time > front.newest && run.began >= mark.time)
        };
        let below = || self.waiting.iter().map(|waiting| &waiting.run).filter(|run| run.first <= front.id);
        if below().any(is_beginning) { below().map(|run| run.began).min() } else { None }
    }

    /// The lowest run above the front, of those older than the new beginning, and when the hole before it was revealed:
    /// at the first arrival of any record above it.
    fn lowest_above(&self, front: Front, restart: Option<Timestamp>) -> Option<(usize, Timestamp)> {
        let is_above = |waiting: &Waiting| {
            waiting.run.first > front.id && restart.is_none_or(|restart| waiting.run.began < restart)
        };
        let at = self.waiting.iter().position(is_above)?;
        let revealed = self.waiting.iter().filter(|waiting| is_above(waiting)).map(|waiting| waiting.arrival);
        Some((at, revealed.min()?))
    }

    /// Gives up the numbers between the front and the waiting run at `at`.
    fn step_over(&mut self, front: Front, at: usize) {
        let run = self.waiting.remove(at).run;
        let hole = Hole {
            from: front.id.saturating_add(1),
            to: run.first.saturating_sub(1),
            missing: run.first.saturating_sub(front.id).saturating_sub(1),
            between: (front.time, run.began),
            cleared: self.clears.contains(&Mark { time: run.began, id: run.first }),
        };
        self.gap(hole);
        self.advance(&run, front.newest);
        self.absorb();
    }

    /// Begins with the lowest of the runs that wait: at first, or anew where `restart` says since when.
    ///
    /// A run is of later numbers where a higher one had ended before it began. Times alone do not tell: clocks are set
    /// back by hours at the start of some machines.
    fn begin(&mut self, restart: Option<Timestamp>) {
        let is_later = |run: &Run| {
            let ended_before = |other: &Run| run.began.since(other.ended) > SKEW_MS && other.first > run.last;
            self.waiting.iter().any(|waiting| ended_before(&waiting.run))
        };
        let Some(at) = self.waiting.iter().position(|waiting| !is_later(&waiting.run)) else {
            // Times that contradict themselves.
            self.waiting.clear();
            return;
        };
        let run = self.waiting.remove(at).run;
        if let Some(at) = restart {
            self.restarted = restart;
            self.gaps.clear();
            self.found.push(Found::Restarted { at, first: run.first });
        }
        self.advance(&run, run.began);
        self.absorb();
    }

    /// Makes room by not waiting any longer for the oldest missing numbers.
    fn give_up_waiting(&mut self) {
        let Some(front) = self.front else { return self.begin(None) };
        match self.lowest_above(front, None) {
            Some((at, _)) => self.step_over(front, at),
            // All of them are below the front: records sent again, or somebody who plays with numbers.
            None => self.waiting.truncate(RUNS_MAX),
        }
    }

    /// Notes a gap to be told.
    fn gap(&mut self, hole: Hole) {
        self.gaps.push_back(hole.from);
        if self.gaps.len() > SELECTIVE_GAPS {
            self.gaps.pop_front();
        }
        let oldest = self.gaps.front().copied().unwrap_or(hole.from);
        let was_selective = self.selective;
        self.selective =
            self.gaps.len() == SELECTIVE_GAPS && hole.from.saturating_sub(oldest) <= SELECTIVE_NUMBERS;
        if self.selective {
            if !was_selective {
                self.found.push(Found::Selective);
            }
            return;
        }
        if self.found.len() >= FINDINGS_MAX
            && let Some(Found::Hole(last)) = self.found.last_mut()
        {
            last.to = hole.to;
            last.missing = last.missing.saturating_add(hole.missing);
            last.between.1 = hole.between.1;
            last.cleared |= hole.cleared;
            return;
        }
        self.found.push(Found::Hole(hole));
        self.told.push_back(Told { hole, pieces: vec![(hole.from, hole.to)], touched: false });
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// Hands out what was found, late records last.
    fn tell(&mut self, log: &EventLog, findings: &mut Vec<Finding>) {
        findings.extend(self.found.drain(..).map(|found| match found {
            Found::Hole(hole) => Finding::Gap(hole.named(log)),
            Found::Restarted { at, first } => Finding::Restarted { log: log.clone(), at, first },
            Found::Selective => Finding::Selective { log: log.clone() },
        }));
        for told in self.told.iter_mut().filter(|told| told.touched) {
            told.touched = false;
            findings.push(Finding::Filled { gap: told.hole.named(log), left: told.left() });
        }
        self.told.retain(|told| !told.pieces.is_empty());
    }
}

/// What of `run` is new: nothing of a record that was seen; nothing of another numbering.
fn news(front: Option<Front>, restarted: Option<Timestamp>, run: Run) -> Option<Run> {
    let Some(front) = front else { return Some(run) };
    if run.first <= front.id && run.began > front.newest {
        return Some(run);
    }
    let next = front.id.checked_add(1)?;
    if run.last < next || restarted.is_some_and(|restarted| run.ended < restarted) {
        return None;
    }
    if run.first <= next {
        return Some(Run {
            first: next,
            began: if run.first == next { run.began } else { front.time },
            ..run
        });
    }
    (front.newest.since(run.ended) <= BACKWARDS_MS_MAX).then_some(run)
}

/// Whether two runs that touch are of one numbering: where they overlap, their times rise with their numbers. Numbers
/// that follow each other go on even where the clock was set back between.
fn in_order(a: &Run, b: &Run) -> bool {
    let (low, high) = if (a.first, a.last) <= (b.first, b.last) { (a, b) } else { (b, a) };
    let (shorter, longer) = if low.last <= high.last { (low, high) } else { (high, low) };
    high.first > low.last
        || (high.began >= low.began.plus_millis(-SKEW_MS)
            && longer.ended >= shorter.ended.plus_millis(-SKEW_MS))
}

impl Hole {
    fn named(&self, log: &EventLog) -> Gap {
        let Self { from, to, missing, between, cleared } = *self;
        Gap { log: log.clone(), from, to, missing, between, cleared }
    }
}

impl Told {
    /// Takes the numbers of `run` out; past [`PIECES_MAX`] pieces none is split any more.
    fn take_out(&mut self, run: &Run) {
        let mut left = Vec::with_capacity(self.pieces.len() + 1);
        for (at, &(from, to)) in self.pieces.iter().enumerate() {
            if run.last < from || to < run.first {
                left.push((from, to));
                continue;
            }
            let splits = from < run.first && run.last < to;
            if splits && left.len() + (self.pieces.len() - at) >= PIECES_MAX {
                left.push((from, to));
                continue;
            }
            self.touched = true;
            if from < run.first {
                left.push((from, run.first - 1));
            }
            if run.last < to {
                left.push((run.last + 1, to));
            }
        }
        self.pieces = left;
    }

    fn left(&self) -> u64 {
        self.pieces.iter().map(|(from, to)| to - from + 1).fold(0, u64::saturating_add)
    }
}
