/*!
At the cap: more people than an alarm can hold.

Everybody's true count is known here. Whoever fires has crossed the line; whoever crosses it is in ALARM at that moment, or
"(others)" is and says that somebody may have. A maximum needs no memory: the sample that crosses does so alone. What comes late of an incident that is over is no news and left out.
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::contributors::OTHERS;
use nightbell_core::alarm::{Comparison, MissingData, State};
use proptest::prelude::*;

use super::world::{Counted, Happening, Kept, Rule, Sample, told};

const CAP: usize = 10;

fn rules() -> impl Strategy<Value = Rule> {
    let counted = prop::sample::select(vec![Counted::Sum, Counted::SampleCount, Counted::Distinct]);
    let comparison = prop::sample::select(vec![
        Comparison::GreaterThanThreshold,
        Comparison::GreaterThanOrEqualToThreshold,
    ]);
    (counted, comparison, 1..7_i64, prop::sample::select(vec![60, 300])).prop_map(
        |(counted, comparison, threshold, period_s)| Rule {
            counted,
            comparison,
            threshold,
            period_s,
            m: 1,
            n: 1,
            missing: MissingData::NotBreaching,
            by_name: true,
            after: None,
        },
    )
}

/// Steps of a few samples each: seconds since the step before, then who, how late, and what.
type Stream = Vec<(i64, Vec<(u32, i64, i64)>)>;

/// A few people who do much among many who do little; `delays` of their samples.
fn streams(delays: impl Strategy<Value = i64> + Clone + 'static) -> impl Strategy<Value = Stream> {
    let who = prop_oneof![2 => 0..4_u32, 3 => 4..60_u32];
    let sample = (who, delays, 0..5_i64);
    prop::collection::vec((0..20_i64, prop::collection::vec(sample, 1..12)), 1..60)
}

/// Runs the stream and holds each step against everybody's true counts.
fn hold(rule: &Rule, stream: &Stream) -> Result<(), TestCaseError> {
    let (kept, _) = Kept::new(rule);
    let mut kept = kept.with_contributors_max(rule, CAP);
    let mut all: Vec<Sample> = Vec::new();
    let mut now = 1_000;
    for (pause_s, samples) in stream {
        now += pause_s;
        let named = |(who, late_s, value): &(u32, i64, i64)| Sample {
            name: format!("user{who}"),
            second: now - late_s,
            value: *value,
            condition: false,
        };
        let samples: Vec<Sample> = samples.iter().map(named).collect();
        all.extend(samples.clone());
        let news: Vec<&Sample> =
            samples.iter().filter(|sample| !kept.was_told(&sample.name, sample.second)).collect();
        let told = told(&kept.happen(rule, now, &Happening::Data(samples.clone())));
        for one in told.iter().filter(|one| one.to == State::Alarm) {
            let Some(name) = one.who.as_deref().filter(|who| *who != OTHERS) else { continue };
            prop_assert!(crosses(rule, &all, name, None), "{} fired without a crossing at {}", name, now);
        }
        prop_assert!(kept.calm() <= CAP, "more than the cap are held");
        let names: BTreeSet<&str> = news.iter().map(|sample| sample.name.as_str()).collect();
        for name in names {
            let mine = news.iter().filter(|sample| sample.name == name);
            let new: Vec<i64> = mine.map(|sample| sample.second).collect();
            if crosses(rule, &all, name, Some(&new)) {
                let seen = [Some(name), Some(OTHERS)].iter().any(|who| kept.state(*who) == State::Alarm);
                prop_assert!(seen, "{} crossed unseen at {}", name, now);
            }
        }
        kept.happen(rule, now, &Happening::Tick);
    }
    Ok(())
}

/// Whether somebody's true count crosses in a window that ends right after their data, and holds one of `new`.
fn crosses(rule: &Rule, all: &[Sample], name: &str, new: Option<&[i64]>) -> bool {
    let mine: Vec<&Sample> = all.iter().filter(|sample| sample.name == name).collect();
    mine.iter().map(|sample| sample.second + 1).any(|end| {
        let window = end - rule.period_s..end;
        let values: Vec<i64> =
            mine.iter().filter(|sample| window.contains(&sample.second)).map(|sample| sample.value).collect();
        new.is_none_or(|new| new.iter().any(|second| window.contains(second)))
            && rule.value(&values).is_some_and(|value| rule.crosses(value))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Data that comes in time.
    #[test]
    fn in_time_nobody_crosses_unseen_and_nobody_fires_without_a_crossing(
        rule in rules(),
        stream in streams(0..3_i64),
    ) {
        hold(&rule, &stream)?;
    }

    /// Data that comes as late as it may.
    #[test]
    fn late_nobody_crosses_unseen_and_nobody_fires_without_a_crossing(
        rule in rules(),
        stream in streams(prop_oneof![0..3_i64, 0..=900_i64]),
    ) {
        hold(&rule, &stream)?;
    }
}
