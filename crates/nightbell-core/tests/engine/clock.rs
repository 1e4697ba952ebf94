/*!
Clocks that jump, by example: what a machine does that starts with a wrong clock, or is put right while events come in.
*/

use nightbell_core::alarm::{Comparison, MissingData, State};
use nightbell_core::watch::Effect;

use super::world::{Counted, Happening, Kept, Rule, Sample, told, transitions};

const HOUR_S: i64 = 3_600;

fn five_in_a_minute() -> Rule {
    Rule {
        counted: Counted::Sum,
        comparison: Comparison::GreaterThanOrEqualToThreshold,
        threshold: 5,
        period_s: 60,
        m: 1,
        n: 1,
        missing: MissingData::NotBreaching,
        by_name: true,
        after: None,
    }
}

fn samples(name: &str, second: i64, count: usize) -> Happening {
    let sample = Sample { name: name.to_owned(), second, value: 1, condition: false };
    Happening::Data(vec![sample; count])
}

/// Who was told of, as `name->STATE`.
fn moved(effects: &[Effect]) -> Vec<String> {
    let one = |told: super::world::Told| told.who.map(|who| format!("{who}->{}", told.to.name()));
    told(effects).into_iter().filter_map(one).collect()
}

#[test]
fn a_clock_that_was_ahead_and_is_put_right_leaves_nobody_unwatched() {
    let rule = five_in_a_minute();
    let (mut kept, _) = Kept::new(&rule);
    kept.happen(&rule, 100, &samples("ann", 100, 3));
    // Six hours ahead for a while: what comes now is too old to fire, and is kept.
    kept.happen(&rule, 6 * HOUR_S, &Happening::Tick);
    assert_eq!(moved(&kept.happen(&rule, 6 * HOUR_S, &samples("bob", 110, 9))), [""; 0]);
    // Put right: time goes on from there.
    kept.happen(&rule, 120, &Happening::Tick);
    assert_eq!(moved(&kept.happen(&rule, 121, &samples("ann", 121, 1))), [""; 0]);
    assert_eq!(
        moved(&kept.happen(&rule, 122, &samples("ann", 122, 1))),
        ["ann->ALARM"],
        "3 + 1 + 1 are five"
    );
    // What came in the wrong hours counts as soon as more of it comes, and says how late it is.
    let effects = kept.happen(&rule, 400, &samples("bob", 111, 1));
    assert_eq!(moved(&effects), ["bob->ALARM"]);
    let told = transitions(&effects).next().unwrap();
    assert_eq!((told.value, told.late_by_ms), (Some(10.0), Some(289_000)));
}

#[test]
fn what_was_told_is_not_told_again_when_the_clock_is_put_back() {
    let rule = five_in_a_minute();
    let (mut kept, _) = Kept::new(&rule);
    kept.happen(&rule, 90, &Happening::Tick);
    assert_eq!(moved(&kept.happen(&rule, 100, &samples("ann", 100, 5))), ["ann->ALARM"]);
    assert_eq!(moved(&kept.happen(&rule, 6 * HOUR_S, &Happening::Tick)), ["ann->OK"]);
    let mut again = Vec::new();
    for now in 101..400 {
        again.extend(moved(&kept.happen(&rule, now, &Happening::Tick)));
    }
    assert_eq!(again, [""; 0]);
    assert_eq!(kept.state(None), State::Ok);
}

#[test]
fn an_incident_ends_though_one_began_while_the_clock_was_ahead() {
    let rule = five_in_a_minute();
    let (mut kept, _) = Kept::new(&rule);
    kept.happen(&rule, 700, &Happening::Tick);
    assert_eq!(moved(&kept.happen(&rule, 700, &samples("ann", 100, 5))), ["ann->ALARM"]);
    assert_eq!(moved(&kept.happen(&rule, 1_000, &Happening::Tick)), ["ann->OK"]);
    kept.happen(&rule, 160, &Happening::Tick);
    assert_eq!(moved(&kept.happen(&rule, 161, &samples("ann", 161, 5))), ["ann->ALARM"]);
    assert_eq!(kept.open_incidents(), 1);
    assert_eq!(moved(&kept.happen(&rule, 460, &Happening::Tick)), ["ann->OK"]);
    assert_eq!(kept.open_incidents(), 0);
}

#[test]
fn incidents_of_a_time_that_the_clock_shows_again_are_different_ones() {
    let rule = five_in_a_minute();
    let (mut kept, _) = Kept::new(&rule);
    for puts_back in 1..4 {
        assert_eq!(moved(&kept.happen(&rule, 100, &samples("ann", 100, 5))), ["ann->ALARM"]);
        assert_eq!(moved(&kept.happen(&rule, 6 * HOUR_S, &Happening::Tick)), ["ann->OK"]);
        // What is over and out of reach is let go.
        kept.happen(&rule, 6 * HOUR_S + 1, &Happening::Tick);
        assert_eq!(kept.stays().len(), puts_back);
        kept.happen(&rule, 100, &Happening::Tick);
        kept.restart();
    }
}

#[test]
fn an_incident_of_a_clock_that_was_ahead_goes_on_from_the_new_time() {
    let rule = five_in_a_minute();
    let notes =
        |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Note(_))).count();
    let (mut kept, _) = Kept::new(&rule);
    kept.happen(&rule, 90, &Happening::Tick);
    // Events in time, and a clock that is thirteen minutes ahead when they come.
    kept.happen(&rule, 900, &Happening::Tick);
    assert_eq!(moved(&kept.happen(&rule, 900, &samples("ann", 100, 5))), ["ann->ALARM"]);
    kept.mute(900, 30);
    assert_eq!(kept.told(), Some((900, Some(930))));
    kept.happen(&rule, 101, &Happening::Tick);
    assert_eq!(kept.told(), Some((101, Some(131))), "what is to come is as far away as it was");
    let mut ended = Vec::new();
    for now in 102..900 {
        let effects = kept.happen(&rule, now, &Happening::Tick);
        if notes(&effects) > 0 {
            ended.push((now, moved(&effects)));
        }
    }
    let ends = (ended.len(), ended.iter().flat_map(|(_, moved)| moved.clone()).collect::<Vec<_>>());
    assert_eq!(
        ends,
        (1, vec!["ann->OK".to_owned()]),
        "told with the state, not when the old time comes: {ended:?}"
    );
}

#[test]
fn an_update_does_not_wait_for_the_time_of_a_clock_that_was_ahead() {
    let rule = five_in_a_minute();
    let (mut kept, _) = Kept::new(&rule);
    kept.happen(&rule, 6 * HOUR_S, &Happening::Tick);
    kept.happen(&rule, 6 * HOUR_S, &samples("ann", 6 * HOUR_S, 5));
    kept.happen(&rule, 1_000, &Happening::Tick);
    let mut told = Vec::new();
    for now in 1_001..1_400 {
        let mut effects = kept.happen(&rule, now, &samples("ann", now, 1));
        effects.extend(kept.happen(&rule, now, &Happening::Tick));
        let notes = effects.iter().filter(|effect| matches!(effect, Effect::Note(_)));
        told.extend(notes.map(|_| now));
    }
    assert_eq!(
        told,
        [1_300],
        "five minutes after the first message, which counts as sent when the clock was put back"
    );
}

#[test]
fn a_step_back_of_a_minute_is_waited_out() {
    let rule = five_in_a_minute();
    let (mut kept, _) = Kept::new(&rule);
    kept.happen(&rule, 600, &Happening::Tick);
    kept.happen(&rule, 545, &Happening::Tick);
    let effects = kept.happen(&rule, 546, &samples("ann", 546, 5));
    assert_eq!(told(&effects)[0].at, 600, "time stands still, and what comes in fires all the same");
}

#[test]
fn events_of_a_source_that_is_ahead_count_in_their_own_window() {
    let rule = five_in_a_minute();
    let (mut kept, _) = Kept::new(&rule);
    // A machine an hour ahead, and one in time, are two matters even of one name.
    kept.happen(&rule, 100, &samples("ann", 100, 3));
    assert_eq!(moved(&kept.happen(&rule, 100, &samples("ann", HOUR_S, 3))), [""; 0]);
    assert_eq!(moved(&kept.happen(&rule, 101, &samples("ann", HOUR_S + 59, 2))), ["ann->ALARM"]);
    // Beyond a day ahead it is no data.
    assert_eq!(moved(&kept.happen(&rule, 102, &samples("bob", 102 + 24 * HOUR_S + 1, 9))), [""; 0]);
}
