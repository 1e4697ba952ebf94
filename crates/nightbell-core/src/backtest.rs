/*!
Alarms run over what is already known: the same [`Watch`], fed with the past and ticked once for each second of it.

What it says would have happened is what does happen when the same data comes live at the same times. Where the past comes
from, and which clock it is played by, is the caller's business.
*/

use std::collections::BTreeMap;

use crate::alarm::standing::{COMPLETE_AFTER_S, HIGH_RESOLUTION_CADENCE_S};
use crate::alarm::{MetricAlarm, Transition};
use crate::metric::Datum;
use crate::time::{DAY_MS, SECOND_MS, Timestamp};
use crate::watch::{Effect, Input, Watch};

/// Ticks are this far apart: every grid that alarms are judged on has its points [`COMPLETE_AFTER_S`] behind one.
const TICK_MS: i64 = HIGH_RESOLUTION_CADENCE_S * SECOND_MS;
/// Ticks are this far apart where nothing can happen but that contributors without data are forgotten.
const IDLE_TICK_MS: i64 = DAY_MS;

/// Plays `arrivals`, each at its time, with a tick in between whenever alarms can be judged, until `end`; gives the
/// transitions in order, the same as with a tick at every second. Once the last data is out of every alarm's reach, ticks change nothing and most are left out: the past may
/// have years without an event.
pub fn replay(
    watch: &mut Watch,
    arrivals: BTreeMap<Timestamp, Vec<Datum>>,
    end: Timestamp,
) -> Vec<Transition> {
    let mut transitions = Vec::new();
    let Some((first, _)) = arrivals.first_key_value() else { return transitions };
    let reach =
        |(alarm, _): (&MetricAlarm, _)| first.second().saturating_sub(Watch::needed_from(alarm, *first));
    let reach_ms = watch.alarms().map(reach).max().unwrap_or(0).saturating_mul(SECOND_MS);
    let mut tick = first_tick(*first);
    let mut busy_until = tick;
    for (now, data) in arrivals {
        tick = tick_until(watch, tick, now, busy_until, &mut transitions);
        run(watch, now, Input::Data(data), &mut transitions);
        // Data may lie ahead of its arrival by as much as it may come late.
        busy_until = now.plus_millis(reach_ms.saturating_mul(2));
    }
    tick_until(watch, tick, end.plus_millis(1), busy_until, &mut transitions);
    transitions
}

/// The first tick from `at` on.
fn first_tick(at: Timestamp) -> Timestamp {
    let cadence_s = HIGH_RESOLUTION_CADENCE_S;
    let grid = (at.second() - COMPLETE_AFTER_S).div_euclid(cadence_s) * cadence_s + COMPLETE_AFTER_S;
    let tick = Timestamp::from_seconds(grid);
    if tick < at { tick.plus_millis(TICK_MS) } else { tick }
}

/// Ticks from `tick` on, as long as they lie before `until`; gives the next one.
fn tick_until(
    watch: &mut Watch,
    mut tick: Timestamp,
    until: Timestamp,
    busy_until: Timestamp,
    transitions: &mut Vec<Transition>,
) -> Timestamp {
    while tick < until {
        run(watch, tick, Input::Tick, transitions);
        let idle = tick > busy_until && tick.plus_millis(IDLE_TICK_MS) < until;
        tick = tick.plus_millis(if idle { IDLE_TICK_MS } else { TICK_MS });
    }
    tick
}

fn run(watch: &mut Watch, now: Timestamp, input: Input, transitions: &mut Vec<Transition>) {
    for effect in watch.step(now, input) {
        if let Effect::Transition(transition) = effect {
            transitions.push(*transition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Comparison, Measure, MissingData, QueryMeasure, State};
    use crate::evidence::Evidence;
    use crate::metric::{Aggregate, Series};

    const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

    fn alarm() -> MetricAlarm {
        let text = "SELECT SUM(M) FROM n GROUP BY User".to_owned();
        MetricAlarm {
            arn: "arn:aws:cloudwatch:site:123456789012:alarm:a".to_owned(),
            region: "site".to_owned(),
            name: "a".to_owned(),
            description: None,
            actions_enabled: true,
            ok_actions: Vec::new(),
            alarm_actions: Vec::new(),
            insufficient_data_actions: Vec::new(),
            measure: Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text }),
            period_s: 60,
            evaluation_periods: 1,
            datapoints_to_alarm: None,
            threshold: 5.0,
            band: None,
            comparison: Comparison::GreaterThanThreshold,
            missing_data: MissingData::NotBreaching,
            evaluate_low_sample_count_percentile: String::new(),
            updated: START,
        }
    }

    fn burst(at: Timestamp) -> (Timestamp, Vec<Datum>) {
        let mut aggregate = Aggregate::default();
        aggregate.add(1.0, 6.0);
        let series = Series::new("site", "n", "M", vec![("User".to_owned(), "ann".to_owned())]);
        let evidence = Evidence::default();
        (at, vec![Datum { series, second: at.second(), unit: None, aggregate, evidence }])
    }

    #[test]
    fn years_without_data_are_passed_over_and_change_nothing() {
        let later = START.plus_millis(3_653 * DAY_MS);
        let mut watch = Watch::new("123456789012");
        watch.step(START, Input::PutAlarm { alarm: alarm(), history: Vec::new() });
        let arrivals: BTreeMap<_, _> = [burst(START), burst(later)].into_iter().collect();
        let told = replay(&mut watch, arrivals, later.plus_millis(DAY_MS));
        let moves: Vec<(State, i64)> = told
            .iter()
            .filter(|told| told.contributor.is_some())
            .map(|told| (told.to, told.at.since(START) / SECOND_MS % 86_400))
            .collect();
        let over_s = moves[1].1;
        let one = [(State::Alarm, 0), (State::Ok, over_s)];
        assert_eq!(moves, [one, one].concat());
        assert!((60..600).contains(&over_s), "{over_s}");
    }
}
