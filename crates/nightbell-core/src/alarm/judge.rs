/*!
The decision: from the slots of an evaluation range to a state.

Reproduces "Configuring how CloudWatch alarms treat missing data" (Amazon CloudWatch User Guide). Pure; knows no clock, no
series and no wording. Slots come from `alarm::metric`, words are made in `alarm::reason`.
*/

use super::{Comparison, MetricAlarm, MissingData, State};

/// How many slots more than N are looked at: room for points that arrive late or are missing.
pub const EXTRA_SLOTS: u32 = 2;

/// What was measured in one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The alarm's statistic.
    pub value: f64,
    /// How many samples it was made from.
    pub samples: f64,
    /// Whether it crosses the threshold.
    pub breaching: bool,
}

/// One period of the evaluation range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Its first second since 1970 UTC.
    pub start: i64,
    /// What was measured; `None` when data is missing.
    pub point: Option<Point>,
}

/// M out of N, and what stands in for missing data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// N: how many periods are judged.
    pub evaluation_periods: u32,
    /// M: how many of them must breach.
    pub datapoints_to_alarm: u32,
    /// What stands in for a period without data.
    pub missing_data: MissingData,
}

impl Rule {
    /// The rule of an alarm; without `datapoints_to_alarm` all periods must breach.
    pub fn of(alarm: &MetricAlarm) -> Self {
        let datapoints_to_alarm = alarm.datapoints_to_alarm.unwrap_or(alarm.evaluation_periods);
        Self {
            evaluation_periods: alarm.evaluation_periods,
            datapoints_to_alarm,
            missing_data: alarm.missing_data,
        }
    }

    /// Slots of an evaluation range.
    pub const fn slots(self) -> i64 {
        self.evaluation_periods as i64 + EXTRA_SLOTS as i64
    }
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Measured points alone.
    Points,
    /// Points and fills for missing ones, or fills alone.
    Fills,
    /// Only breaching points, fewer than M, of which the oldest is M slots old.
    Aging,
    /// No data, and nothing stands in for it.
    Nothing,
}

/// The state that the slots ask for, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The state.
    pub state: State,
    /// What it rests on.
    pub basis: Basis,
    /// The points that decided, newest first: breaching ones for ALARM, others for OK.
    pub decisive: Vec<Slot>,
    /// All points that were judged, newest first.
    pub judged: Vec<Slot>,
    /// Missing periods that something stood in for, newest first, where that decided; for
    /// INSUFFICIENT_DATA the missing periods.
    pub missing: Vec<Slot>,
}

/// Judges `slots`, newest first; `None` keeps the state as it is.
pub fn judge(slots: &[Slot], rule: Rule) -> Option<Verdict> {
    let needed = rule.evaluation_periods as usize;
    let to_alarm = rule.datapoints_to_alarm as usize;
    let judged: Vec<Slot> = slots.iter().filter(|slot| slot.point.is_some()).take(needed).copied().collect();
    let breaching = judged.iter().filter(|slot| is_breaching(slot)).count();
    let others = judged.len() - breaching;
    let fills = needed - judged.len();
    let verdict = |state, basis| Some(explain(slots, &judged, fills, state, basis));
    if fills == 0 {
        return verdict(if breaching >= to_alarm { State::Alarm } else { State::Ok }, Basis::Points);
    }
    match rule.missing_data {
        MissingData::Breaching if breaching >= to_alarm => verdict(State::Alarm, Basis::Points),
        MissingData::Breaching if breaching + fills >= to_alarm => verdict(State::Alarm, Basis::Fills),
        MissingData::Breaching => verdict(State::Ok, Basis::Points),
        MissingData::NotBreaching if breaching >= to_alarm => verdict(State::Alarm, Basis::Points),
        MissingData::NotBreaching => verdict(State::Ok, Basis::Fills),
        MissingData::Missing if judged.is_empty() => verdict(State::InsufficientData, Basis::Nothing),
        MissingData::Ignore if judged.is_empty() => None,
        MissingData::Missing | MissingData::Ignore if breaching >= to_alarm => {
            verdict(State::Alarm, Basis::Points)
        }
        MissingData::Missing | MissingData::Ignore if others > 0 => verdict(State::Ok, Basis::Points),
        MissingData::Ignore => None,
        MissingData::Missing => {
            let oldest = slots.iter().rposition(is_breaching)?;
            (oldest + 1 >= to_alarm).then(|| explain(slots, &judged, fills, State::Alarm, Basis::Aging))
        }
    }
}

/// Whether `value` is across the threshold. What is held against a band is not held against a number.
pub fn crosses(value: f64, comparison: Comparison, threshold: f64) -> bool {
    match comparison {
        Comparison::GreaterThanOrEqualToThreshold => value >= threshold,
        Comparison::GreaterThanThreshold => value > threshold,
        Comparison::LessThanThreshold => value < threshold,
        Comparison::LessThanOrEqualToThreshold => value <= threshold,
        Comparison::LessThanLowerOrGreaterThanUpperThreshold
        | Comparison::LessThanLowerThreshold
        | Comparison::GreaterThanUpperThreshold => false,
    }
}

fn is_breaching(slot: &Slot) -> bool {
    slot.point.is_some_and(|point| point.breaching)
}

fn explain(slots: &[Slot], judged: &[Slot], fills: usize, state: State, basis: Basis) -> Verdict {
    let decides = |slot: &&Slot| is_breaching(slot) == (state == State::Alarm);
    let shown = if matches!(basis, Basis::Fills | Basis::Nothing) { fills } else { 0 };
    Verdict {
        state,
        basis,
        decisive: judged.iter().filter(decides).copied().collect(),
        judged: judged.to_vec(),
        missing: slots.iter().filter(|slot| slot.point.is_none()).take(shown).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots from the notation of the guide: oldest first, `0` not breaching, `X` breaching, `-` missing.
    fn slots(text: &str) -> Vec<Slot> {
        let point =
            |breaching| Some(Point { value: if breaching { 9.0 } else { 0.0 }, samples: 1.0, breaching });
        let mut slots: Vec<Slot> = text
            .split(' ')
            .enumerate()
            .map(|(i, mark)| Slot {
                start: i as i64 * 60,
                point: match mark {
                    "X" => point(true),
                    "0" => point(false),
                    "-" => None,
                    other => panic!("unknown mark {other}"),
                },
            })
            .collect();
        slots.reverse();
        slots
    }

    fn outcome(text: &str, n: u32, m: u32, missing_data: MissingData) -> &'static str {
        let rule = Rule { evaluation_periods: n, datapoints_to_alarm: m, missing_data };
        judge(&slots(text), rule).map_or("keep", |verdict| verdict.state.name())
    }

    /// Columns: N, M, slots, then the outcome for missing, ignore, breaching, notBreaching.
    #[test]
    fn missing_data_as_the_guide_tells_it() {
        let rows = [
            ("E01", 3, 3, "0 - X - X", ["OK", "OK", "OK", "OK"]),
            ("E02", 3, 3, "0 - - - -", ["OK", "OK", "OK", "OK"]),
            ("E03", 3, 3, "- - - - -", ["INSUFFICIENT_DATA", "keep", "ALARM", "OK"]),
            ("E04", 3, 3, "0 X X - X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
            ("E05", 3, 3, "- - X - -", ["ALARM", "keep", "ALARM", "OK"]),
            // The guide says "not ALARM yet"; that the state is kept is our reading.
            ("E06", 3, 3, "- - - - X", ["keep", "keep", "ALARM", "OK"]),
            ("E07", 3, 2, "0 - X - X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
            ("E08", 3, 2, "0 0 X 0 X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
            ("E09", 3, 2, "0 - X - -", ["OK", "OK", "ALARM", "OK"]),
            ("E10", 3, 2, "- - - - 0", ["OK", "OK", "ALARM", "OK"]),
            ("E11", 3, 2, "- - - X -", ["ALARM", "keep", "ALARM", "OK"]),
            ("E12", 1, 1, "- - X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
            ("E13", 1, 1, "- - 0", ["OK", "OK", "OK", "OK"]),
            ("E14", 1, 1, "- - -", ["INSUFFICIENT_DATA", "keep", "ALARM", "OK"]),
            ("E14b", 1, 1, "- X -", ["ALARM", "ALARM", "ALARM", "ALARM"]),
            ("E15", 1, 1, "- X 0", ["OK", "OK", "OK", "OK"]),
            ("R01", 3, 2, "- - X 0 X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
            ("R02", 3, 3, "- - X 0 X", ["OK", "OK", "OK", "OK"]),
            ("R03", 3, 2, "X - - - -", ["ALARM", "keep", "ALARM", "OK"]),
            ("R06", 3, 2, "X - - - -", ["ALARM", "keep", "ALARM", "OK"]),
        ];
        let treatments =
            [MissingData::Missing, MissingData::Ignore, MissingData::Breaching, MissingData::NotBreaching];
        for (id, n, m, text, expected) in rows {
            assert_eq!(treatments.map(|treatment| outcome(text, n, m, treatment)), expected, "{id}: {text}");
        }
    }

    #[test]
    fn says_what_decided() {
        let rule =
            Rule { evaluation_periods: 3, datapoints_to_alarm: 2, missing_data: MissingData::Breaching };
        let verdict = judge(&slots("0 - X - X"), rule).unwrap();
        assert_eq!(verdict.decisive.iter().map(|slot| slot.start).collect::<Vec<_>>(), [240, 120]);
        let verdict = judge(&slots("- - X - -"), rule).unwrap();
        assert_eq!((verdict.basis, verdict.missing.len()), (Basis::Fills, 2));
    }
}
