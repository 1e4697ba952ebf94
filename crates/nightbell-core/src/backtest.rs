/*!
Alarms run over what is already known: the same [`Watch`], fed with the past and ticked whenever something can follow.

What it says would have happened is what does happen when the same comes live at the same times. Where the past comes
from, by which clock it is played and which alarms stand in the watch is the caller's business; an [`Onlooker`] is told of
everything that follows and may end it.
*/

use crate::alarm::MetricAlarm;
use crate::alarm::standing::{COMPLETE_AFTER_S, HIGH_RESOLUTION_CADENCE_S};
use crate::metric::Datum;
use crate::records::{self, LATENESS_MS, RecordSpans};
use crate::time::{DAY_MS, MINUTE_MS, SECOND_MS, Timestamp};
use crate::watch::{Effect, Input, Needed, Watch};

/// Ticks are this far apart: every grid that alarms are judged on has its points [`COMPLETE_AFTER_S`] behind one.
const TICK_MS: i64 = HIGH_RESOLUTION_CADENCE_S * SECOND_MS;
/// Ticks are this far apart where a composite alarm may wait for another, or a gap for the records in it: such times are
/// any second.
const WAITING_TICK_MS: i64 = SECOND_MS;
/// Ticks are this far apart where nothing follows from data any more, but something may still be said of a state, or one
/// is forgotten: alarms without data are judged once a minute.
const QUIET_TICK_MS: i64 = MINUTE_MS;
/// Ticks are this far apart where nothing can happen but that contributors without data are forgotten.
const IDLE_TICK_MS: i64 = DAY_MS;
/// The onlooker is asked at least once in so many ticks.
const TICKS_UNASKED_MAX: u32 = 1_000;

/// What came at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// Data points.
    pub data: Vec<Datum>,
    /// Record numbers, where an alarm asks for gaps in them.
    pub records: RecordSpans,
}

/// Who looks on while the past is played.
pub trait Onlooker {
    /// Something follows, at `now`.
    fn see(&mut self, now: Timestamp, effect: Effect);

    /// All up to `now` was played; `false` ends it here.
    fn goes_on(&mut self, now: Timestamp) -> bool;
}

/// Plays `arrivals`, each at its time and in rising order, with a tick in between whenever alarms can be judged, until
/// `end`; what follows is the same as with a tick at every second. Once the last data is out of every alarm's reach, ticks
/// change nothing and most are left out: the past may have years without an event. What is said of incidents and after
/// mutes in such a time comes at most a minute late. `false` when the onlooker ended it.
pub fn replay(
    watch: &mut Watch,
    arrivals: impl Iterator<Item = Arrival>,
    end: Timestamp,
    onlooker: &mut dyn Onlooker,
) -> bool {
    let mut arrivals = arrivals.peekable();
    let Some(first) = arrivals.peek().map(|arrival| arrival.at) else { return true };
    let reach_ms = reach_ms(watch, first);
    let tick_ms = if may_wait(watch) { WAITING_TICK_MS } else { TICK_MS };
    let tick = first_tick(first, tick_ms);
    let mut play = Play { watch, onlooker, tick_ms, reach_ms, tick, busy_until: tick };
    // The alarms stand when the first comes: what was due before is judged without it.
    play.step(first, Input::Tick);
    for arrival in arrivals {
        let now = arrival.at;
        if !play.tick_until(now) || !play.onlooker.goes_on(now) {
            return false;
        }
        play.take(arrival);
        play.busy_until = now.plus_millis(reach_ms);
    }
    play.tick_until(end.plus_millis(1))
}

fn may_wait(watch: &Watch) -> bool {
    let of_records = |needed: &Needed| match needed {
        Needed::Series(series) => series.namespace == records::NAMESPACE,
        Needed::Metric { namespace, .. } => namespace == records::NAMESPACE,
    };
    watch.composites().any(|(alarm, _)| alarm.suppressor.is_some())
        || watch.alarms().any(|(alarm, _)| Watch::needs(alarm).iter().any(of_records))
}

/// How long after its arrival data can make a state change.
fn reach_ms(watch: &Watch, first: Timestamp) -> i64 {
    let reach =
        |(alarm, _): (&MetricAlarm, _)| first.second().saturating_sub(Watch::needed_from(alarm, first));
    let reach_ms = watch.alarms().map(reach).max().unwrap_or(0).saturating_mul(SECOND_MS);
    // Data may lie ahead of its arrival by as much as it may come late; a gap is found some time after it came to be.
    reach_ms.saturating_mul(2).saturating_add(LATENESS_MS)
}

/// The first tick from `at` on.
fn first_tick(at: Timestamp, tick_ms: i64) -> Timestamp {
    let after_ms = COMPLETE_AFTER_S * SECOND_MS;
    let grid = (at.as_millis() - after_ms).div_euclid(tick_ms) * tick_ms + after_ms;
    let tick = Timestamp::from_millis(grid);
    if tick < at { tick.plus_millis(tick_ms) } else { tick }
}

/// A past being played.
struct Play<'a> {
    watch: &'a mut Watch,
    onlooker: &'a mut dyn Onlooker,
    tick_ms: i64,
    reach_ms: i64,
    /// The next tick.
    tick: Timestamp,
    /// Until when states can change by what has happened.
    busy_until: Timestamp,
}

impl Play<'_> {
    /// Ticks, as long as they lie before `until`; `false` when the onlooker ended it.
    fn tick_until(&mut self, until: Timestamp) -> bool {
        let mut unasked = 0;
        while self.tick < until {
            self.step(self.tick, Input::Tick);
            self.tick = self.tick.plus_millis(self.pause_ms(until));
            unasked += 1;
            if unasked >= TICKS_UNASKED_MAX {
                unasked = 0;
                if !self.onlooker.goes_on(self.tick.min(until)) {
                    return false;
                }
            }
        }
        true
    }

    /// The time from this tick to the next.
    fn pause_ms(&self, until: Timestamp) -> i64 {
        if self.tick <= self.busy_until || self.tick.plus_millis(IDLE_TICK_MS) >= until {
            return self.tick_ms;
        }
        let is_due = |held: &crate::alarm::composite::Held| held.until.is_some();
        if self.watch.composites().any(|(_, runtime)| runtime.held.as_ref().is_some_and(is_due)) {
            return self.tick_ms;
        }
        let is_muted = |region: &str, name: &str| self.watch.is_muted(region, name);
        let says = self.watch.open_incidents() > 0
            || self.watch.alarms().any(|(alarm, _)| is_muted(&alarm.region, &alarm.name))
            || self.watch.composites().any(|(alarm, _)| is_muted(&alarm.region, &alarm.name));
        if !says {
            return IDLE_TICK_MS;
        }
        let after_ms = COMPLETE_AFTER_S * SECOND_MS;
        QUIET_TICK_MS - (self.tick.as_millis() - after_ms).rem_euclid(QUIET_TICK_MS)
    }

    fn take(&mut self, arrival: Arrival) {
        let Arrival { at, data, records } = arrival;
        if !data.is_empty() {
            self.step(at, Input::Data(data));
        }
        if let Some(since) = self.watch.follows_records().filter(|_| !records.is_empty()) {
            self.step(at, Input::Records { since, spans: records });
        }
    }

    fn step(&mut self, now: Timestamp, input: Input) {
        for effect in self.watch.step(now, input) {
            if matches!(effect, Effect::Transition(_) | Effect::CompositeTransition(_)) {
                // One change may bring another.
                self.busy_until = self.busy_until.max(now.plus_millis(self.reach_ms));
            }
            self.onlooker.see(now, effect);
        }
    }
}

#[cfg(test)]
mod tests;
