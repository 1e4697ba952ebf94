/*!
Room for newcomers: who gives way when an alarm has more contributors than it may hold, and what is said about those that did.

Weighs contributors and lets the lightest go; makes, feeds and judges none.
*/

use std::cmp::Ordering;
use std::ops::Range;

use super::floors::{Credits, Weight};
use super::{ContributorsWatch, GIVE_WAY_SHARE, Group, Held, Moved, OTHERS_GROUP};
use crate::alarm::runtime::Runtime;
use crate::alarm::standing::{self, Arrived, Judging, Standing, transition};
use crate::alarm::{State, Transition, judge, reason};
use crate::evidence::Evidence;
use crate::statistic::Statistic;
use crate::time::Timestamp;
use crate::window::{Bucket, Window};

/// How many of those that give way together leave their evidence behind.
const FLOOR_EVIDENCE_MAX: usize = 1_000;

/// A contributor on the scales.
struct Weighed<'a> {
    weight: Weight,
    /// The end of its newest data.
    end: i64,
    rank: u64,
    group: &'a Group,
}

impl Weighed<'_> {
    /// Those that counted least first; of those the ones that are silent longest.
    fn by_weight(a: &Self, b: &Self) -> Ordering {
        let apart = a.weight.chained.total_cmp(&b.weight.chained);
        apart.then_with(|| (a.end, a.rank, a.group).cmp(&(b.end, b.rank, b.group)))
    }
}

/// The place of a group among those that counted the same: a hash of its values (FNV-1a), so that most comparisons look at
/// no text. It is the same whenever and wherever the group is seen.
pub(super) fn rank(group: &Group) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = group.iter().flat_map(|value| value.bytes().chain([u8::MAX]));
    bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

impl ContributorsWatch {
    /// Holds contributors, those in ALARM and conditions to their caps; each is the same number.
    pub(super) fn hold_to_caps(&mut self, judging: Judging<'_>, moved: &mut Moved) {
        let gone = self.make_room();
        moved.saved.extend(gone.into_iter().map(|group| (group, None)));
        if self.alarming > self.contributors_max {
            self.let_alarms_go(judging, moved);
        }
        if self.before.len() > 2 * self.contributors_max {
            self.let_conditions_go();
        }
    }

    /// Ends the oldest alarms of contributors where there are too many: they have been told, and memory must end.
    fn let_alarms_go(&mut self, judging: Judging<'_>, moved: &mut Moved) {
        let alarms = self.contributors.iter().filter(|(_, held)| {
            let runtime = &held.standing.runtime;
            // What starts in this step is told first.
            runtime.state == State::Alarm && runtime.state_transitioned < judging.now
        });
        let mut oldest: Vec<(Timestamp, Group)> =
            alarms.map(|(group, held)| (held.standing.runtime.state_transitioned, group.clone())).collect();
        oldest.sort();
        oldest.truncate(self.alarming - self.contributors_max + self.contributors_max / GIVE_WAY_SHARE);
        let reason =
            format!("Gave way: more than {} contributors are in ALARM at once.", self.contributors_max);
        let (mut weight, mut newest) = (Weight::default(), i64::MIN);
        let mut credits = self.floors.credits();
        for (_, group) in oldest {
            let Some(held) = self.contributors.get(&group) else { continue };
            let one = self.weight_of(held, &mut credits);
            weight.own = weight.own.max(one.own);
            weight.chained = weight.chained.max(one.chained);
            newest = newest.max(held.standing.window.end().unwrap_or(i64::MIN));
            let Some(held) = self.contributors.get_mut(&group) else { continue };
            let over = held.standing.force(&self.question, judging, State::Ok, reason.clone(), None);
            if let Some(over) = over {
                self.note(&group, Transition { acts: false, ..over }, moved);
            }
            self.contributors.remove(&group);
            self.before.remove(&group);
            moved.saved.push((group, None));
            self.gave_way += 1;
        }
        if weight.chained > 0.0 {
            self.floors.lay(weight, newest, Evidence::default());
            // They may still be over the line, and are not told of one by one any more.
            self.fire_others(judging, 0.0, weight.chained, moved);
        }
    }

    /// What a contributor counted, by itself and with what it may have lost.
    fn weight_of(&self, held: &Held, credits: &mut Credits) -> Weight {
        let window = &held.standing.window;
        let own = self.highest(window, i64::MIN..i64::MAX);
        let chained = own + credits.of(&self.floors, held.mark, window.start().unwrap_or(i64::MAX));
        Weight { own, chained }
    }

    /// Drops the conditions that have counted least, of groups that are no contributors.
    fn let_conditions_go(&mut self) {
        let apart = self.before.iter().filter(|(group, _)| !self.contributors.contains_key(*group));
        let mut counted: Vec<(f64, i64, Group)> = apart
            .map(|(group, before)| {
                let all = before.counts.fold(i64::MIN..i64::MAX, false).count;
                (all, before.counts.end().unwrap_or(i64::MIN), group.clone())
            })
            .collect();
        counted.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.1, &a.2).cmp(&(b.1, &b.2))));
        counted.truncate(self.before.len() - self.contributors_max);
        for (_, _, group) in counted {
            self.before.remove(&group);
            self.gave_way += 1;
        }
    }

    /// Lets those that counted least give way where there are too many; those in ALARM stay. Gives those whose runtimes
    /// were saved. What arrived is judged before: nobody who crosses the line gives way unseen.
    fn make_room(&mut self) -> Vec<Group> {
        let others = self.others.iter().filter(|others| others.runtime.state == State::Alarm).count();
        let calm = self.contributors.len().saturating_sub(self.alarming - others);
        let Some(too_many) = calm.checked_sub(self.contributors_max + 1) else {
            return Vec::new();
        };
        let leaving = self.lightest(too_many + 1 + self.contributors_max / GIVE_WAY_SHARE);
        let (mut weight, mut newest) = (Weight::default(), i64::MIN);
        let mut saved = Vec::new();
        let mut told: Vec<Window> = Vec::new();
        for (group, one) in leaving {
            self.before.remove(&group);
            let Some(held) = self.contributors.remove(&group) else { continue };
            weight.own = weight.own.max(one.own);
            weight.chained = weight.chained.max(one.chained);
            newest = newest.max(held.standing.window.end().unwrap_or(i64::MIN));
            self.gave_way += 1;
            if !held.standing.runtime.reason.is_empty() {
                saved.push(group);
            }
            if told.len() < FLOOR_EVIDENCE_MAX {
                told.push(held.standing.window);
            }
        }
        if weight.chained > 0.0 {
            let buckets = told.iter().flat_map(|window| window.range(i64::MIN..i64::MAX));
            let evidence = Evidence::merged(buckets.filter_map(|(_, bucket)| bucket.evidence.as_deref()));
            self.floors.lay(weight, newest, evidence);
        }
        saved
    }

    /// The `count` contributors that counted least and are not in ALARM, with what they counted.
    fn lightest(&self, count: usize) -> Vec<(Group, Weight)> {
        let calm = self.contributors.iter().filter(|(_, held)| held.standing.runtime.state != State::Alarm);
        let mut credits = self.floors.credits();
        let mut weighed: Vec<Weighed<'_>> = Vec::with_capacity(self.contributors.len());
        weighed.extend(calm.map(|(group, held)| Weighed {
            weight: self.weight_of(held, &mut credits),
            end: held.standing.window.end().unwrap_or(i64::MIN),
            rank: held.rank,
            group,
        }));
        if count < weighed.len() {
            weighed.select_nth_unstable_by(count, Weighed::by_weight);
            weighed.truncate(count);
        }
        weighed.sort_unstable_by(Weighed::by_weight);
        weighed.into_iter().map(|one| (one.group.clone(), one.weight)).collect()
    }

    /// The most that a window holds of those that end right after a bucket of `buckets`; of different values an upper bound.
    fn highest(&self, window: &Window, buckets: Range<i64>) -> f64 {
        let statistic = self.question.statistic;
        let measure = |bucket: &Bucket| match statistic {
            Statistic::Sum => bucket.aggregate.sum.max(0.0),
            Statistic::SampleCount => bucket.aggregate.count,
            Statistic::Distinct => bucket.aggregate.distinct.count(),
            _ => statistic.value(&bucket.aggregate).unwrap_or(0.0),
        };
        if let Some((start, bucket)) = window.only() {
            // Most of very many contributors were seen once.
            return if buckets.contains(&start) { measure(bucket).max(0.0) } else { 0.0 };
        }
        let sums = matches!(statistic, Statistic::Sum | Statistic::SampleCount | Statistic::Distinct);
        let span_s = self.span_s();
        let from = buckets.start.saturating_sub(span_s);
        let mut leaving = window.range(from..buckets.end).peekable();
        let (mut highest, mut held) = (0.0_f64, 0.0);
        for (start, bucket) in window.range(from..buckets.end) {
            held = if sums { held + measure(bucket) } else { measure(bucket) };
            let end = start.saturating_add(window.bucket_s());
            while let Some((_, gone)) = leaving.next_if(|(gone, _)| gone.saturating_add(span_s) < end) {
                held -= if sums { measure(gone) } else { 0.0 };
            }
            if start >= buckets.start {
                highest = highest.max(held);
            }
        }
        if statistic == Statistic::Distinct {
            highest = highest.min(window.fold(from..buckets.end, true).distinct.count());
        }
        highest
    }

    fn span_s(&self) -> i64 {
        self.question.alarm.period_s.saturating_mul(i64::from(self.question.alarm.evaluation_periods))
    }

    /// Fires [`OTHERS`] when a contributor crosses the line only together with what it may have lost.
    pub(super) fn suspect(
        &mut self,
        judging: Judging<'_>,
        group: &Group,
        arrived: &Arrived,
        moved: &mut Moved,
    ) {
        let grows =
            matches!(self.question.statistic, Statistic::Sum | Statistic::SampleCount | Statistic::Distinct);
        if self.floors.is_empty() || !grows {
            return;
        }
        let Some((first, last)) = arrived.span() else { return };
        let Some(held) = self.contributors.get(group) else { return };
        let credit = self.floors.credit(held.mark, first);
        if credit <= 0.0 || held.standing.runtime.state == State::Alarm {
            return;
        }
        let own = self.highest(&held.standing.window, first..last.saturating_add(self.span_s()));
        let alarm = &self.question.alarm;
        if judge::crosses(own + credit, alarm.comparison, alarm.threshold) {
            self.fire_others(judging, own, credit, moved);
        }
    }

    fn fire_others(&mut self, judging: Judging<'_>, own: f64, credit: f64, moved: &mut Moved) {
        let group = OTHERS_GROUP;
        let standing = self
            .others
            .get_or_insert_with(|| Standing::new(&self.question, Runtime::contributor(judging.now)));
        if standing.runtime.state == State::Alarm {
            return;
        }
        let reason = format!(
            "More than {} contributors at once: those that counted least gave way, each after {} at most, so one of them may have crossed the threshold ({}) unseen.",
            self.contributors_max,
            reason::double(credit),
            reason::double(self.question.alarm.threshold)
        );
        let before = standing.runtime.enter(judging.now, State::Alarm, reason, None);
        moved.saved.push((group.clone(), Some(standing.runtime.clone())));
        let mut told = transition(&self.question, judging, &standing.runtime, before);
        told.contributor = Some(self.named(&group));
        told.evidence = self.floors.evidence();
        told.value = Some(own + credit);
        moved.transitions.push(told);
        self.alarming += 1;
    }

    /// Drops floors that no data can reach any more; without any that data in time can reach, [`OTHERS`] is over.
    pub(super) fn lift_floors(&mut self, complete: Timestamp, judging: Judging<'_>, moved: &mut Moved) {
        self.floors.lift(standing::accepted_from(&self.question.alarm, complete.second()));
        if self.floors.reach(complete.second()) {
            return;
        }
        let Some(mut others) = self.others.take() else { return };
        let group = OTHERS_GROUP;
        moved.saved.push((group.clone(), None));
        if others.runtime.state != State::Alarm {
            return;
        }
        let reason = "All contributors are counted one by one again.".to_owned();
        let before = others.runtime.enter(judging.now, State::Ok, reason, None);
        let mut told = transition(&self.question, judging, &others.runtime, before);
        told.contributor = Some(self.named(&group));
        moved.transitions.push(told);
        self.alarming -= usize::from(self.alarming > 0);
    }
}
