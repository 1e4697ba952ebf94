/*!
What the anomaly band is worth on made-up series with planted events, from fixed seeds: the same order of merit as the
table in `docs/internals/anomaly.md`, on fewer seeds.
*/

#[path = "anomaly/judge.rs"]
mod judge;
#[path = "anomaly/world.rs"]
mod world;

use judge::{GLOBAL, ROLLING, Worth};
use world::{STORIES, Story, World};

/// Series of each story.
const SEEDS: u64 = 2;

/// What a detector is worth on all series of `stories`.
fn worth(stories: &[Story], breaching: impl Fn(&World) -> Vec<bool>) -> Worth {
    let mut sum = Worth::default();
    for story in stories {
        for seed in 0..SEEDS {
            let world = World::new(*story, seed);
            sum.add(&Worth::of(&world, &breaching(&world)));
        }
    }
    sum
}

fn ours(stories: &[Story], width: f64) -> Worth {
    worth(stories, |world| judge::ours(world, &[width]).remove(0))
}

/// Slots of what was found.
const MIDDLING: usize = 1;
const LARGE: usize = 2;
const DROP: usize = 3;

#[test]
fn finds_what_was_planted_and_keeps_quiet_otherwise() {
    // (width, false alarms a week at most, share found at least: middling, large, drops)
    let table = [(3.0, 5.0, 0.75, 0.95, 0.95), (4.0, 0.6, 0.65, 0.9, 0.9)];
    for (width, false_a_week, middling, large, drop) in table {
        let worth = ours(&STORIES, width);
        assert!(worth.false_a_week() <= false_a_week, "width {width}: {worth:?}");
        assert!(worth.share(MIDDLING) >= middling, "width {width}: {worth:?}");
        assert!(worth.share(LARGE) >= large, "width {width}: {worth:?}");
        assert!(worth.share(DROP) >= drop, "width {width}: {worth:?}");
        assert!(worth.delay_minutes() < 7.5, "width {width}: {worth:?}");
    }
}

#[test]
fn three_sigma_rules_alarm_more_and_find_no_more() {
    let ours = ours(&STORIES, 3.0);
    let global = worth(&STORIES, |world| judge::sigmas_recent(world, GLOBAL, 3.0));
    let rolling = worth(&STORIES, |world| judge::sigmas_recent(world, ROLLING, 3.0));
    for other in [&global, &rolling] {
        assert!(3.0 * ours.false_a_week() < other.false_a_week(), "{ours:?} {other:?}");
        for slot in [MIDDLING, LARGE, DROP] {
            assert!(ours.share(slot) > other.share(slot), "{ours:?} {other:?}");
        }
    }
    // The same season without robustness: as much is found, with many more false alarms.
    let seasonal = worth(&STORIES, |world| judge::sigmas_seasonal(world, 4.0));
    assert!(2.0 * ours.false_a_week() < seasonal.false_a_week(), "{ours:?} {seasonal:?}");
    assert!(ours.share(MIDDLING) > seasonal.share(MIDDLING) - 0.02, "{ours:?} {seasonal:?}");
    assert!(ours.share(DROP) > seasonal.share(DROP), "{ours:?} {seasonal:?}");
}

#[test]
fn what_is_mostly_zero_keeps_quiet_and_finds_small_numbers() {
    let worth = ours(&[Story::Quiet], 2.0);
    assert!(worth.false_a_week() < 4.0, "{worth:?}");
    assert!(worth.share(0) > 0.7 && worth.share(MIDDLING) == 1.0, "{worth:?}");
}

#[test]
fn a_batch_each_night_and_each_sunday_is_no_alarm() {
    let worth = ours(&[Story::Batch], 4.0);
    assert!(worth.false_a_week() < 0.5, "{worth:?}");
    let told = ours(&[Story::Spikes], 4.0);
    assert!(told.false_a_week() < 1.0, "{told:?}");
}
