/*!
How long each hop took: the event, its arrival, the alarm, the mail.

Clocks of different machines disagree; where the difference is negative it is said as that, and never as a duration.
*/

use nightbell_core::alarm::{State, Transition};
use nightbell_core::time::Timestamp;

use super::page::Hop;
use super::{moment, text};

/// The hops of `transition`, whose mail is written at `sent_at`, if one is sent. The last event and its arrival are left out where
/// another, later event decided, or where no event stands behind the number.
pub(super) fn hops(transition: &Transition, sent_at: Option<Timestamp>) -> Vec<Hop> {
    let evidence = &transition.evidence;
    let decided = is_decided_by_last(transition);
    let event = evidence.last.filter(|_| decided);
    // What arrived after the alarm was not what it waited for.
    let arrival = evidence.last_arrival.filter(|at| decided && *at <= transition.at);
    let steps = [
        ("Last event", event),
        ("Arrived", arrival),
        (if transition.to == State::Alarm { "Alarm" } else { "Judged" }, Some(transition.at)),
        ("Mailed", sent_at),
    ];
    let mut hops: Vec<Hop> = Vec::with_capacity(steps.len());
    let mut before: Option<Timestamp> = None;
    for (label, at) in steps {
        let Some(at) = at else { continue };
        let after = match before.map(|before| at.since(before)) {
            None => String::new(),
            Some(ms) if ms < 0 => format!("clocks differ by {}", text::span(ms.saturating_neg())),
            Some(ms) => format!("+{}", text::span(ms)),
        };
        hops.push(Hop { label, time: of_day(at), after });
        before = Some(at);
    }
    hops
}

/// From the last event to the mail, where all clocks agree; from the alarm where no event is told.
pub(super) fn whole(transition: &Transition, sent_at: Timestamp) -> Option<String> {
    let ms = sent_at.since(transition.evidence.last?);
    (is_decided_by_last(transition) && ms >= 0).then(|| text::span(ms))
}

/// Whether the last event is what the alarm waited for: not where a late one decided, and not where the events around a
/// gap were waited behind.
fn is_decided_by_last(transition: &Transition) -> bool {
    let late = transition.late_by_ms.is_some();
    transition.to == State::Alarm && !late && !moment::counts_missing(&transition.alarm)
}

/// `18:08:41.120`
fn of_day(at: Timestamp) -> String {
    let iso = at.iso();
    iso.trim_end_matches('Z').split_once('T').map_or_else(String::new, |(_, time)| time.to_owned())
}
