/*!
Alarms run over what is already known: the same [`Watch`], fed with the past and ticked once for each second of it.

What it says would have happened is what does happen when the same data comes live at the same times. Where the past comes
from, and which clock it is played by, is the caller's business.
*/

use std::collections::BTreeMap;

use crate::alarm::Transition;
use crate::metric::Datum;
use crate::time::{SECOND_MS, Timestamp};
use crate::watch::{Effect, Input, Watch};

/// Plays `arrivals`, each at its time, with a tick at every whole second in between, until `end`; gives the transitions
/// in order.
pub fn replay(
    watch: &mut Watch,
    arrivals: BTreeMap<Timestamp, Vec<Datum>>,
    end: Timestamp,
) -> Vec<Transition> {
    let mut transitions = Vec::new();
    let Some((first, _)) = arrivals.first_key_value() else { return transitions };
    let mut tick = Timestamp::from_seconds(first.second());
    for (now, data) in arrivals {
        while tick < now {
            run(watch, tick, Input::Tick, &mut transitions);
            tick = tick.plus_millis(SECOND_MS);
        }
        run(watch, now, Input::Data(data), &mut transitions);
    }
    while tick <= end {
        run(watch, tick, Input::Tick, &mut transitions);
        tick = tick.plus_millis(SECOND_MS);
    }
    transitions
}

fn run(watch: &mut Watch, now: Timestamp, input: Input, transitions: &mut Vec<Transition>) {
    for effect in watch.step(now, input) {
        if let Effect::Transition(transition) = effect {
            transitions.push(*transition);
        }
    }
}
