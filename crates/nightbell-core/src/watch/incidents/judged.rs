/*!
Incidents of alarms on expressions and bands: they are counted by what was judged, period by period.

Their data need not add up to the number that is judged, so what arrives is not counted. Each period counts once, when it
is complete: the sum of its samples where the number is one metric's `Sum`, else one for each period across the line.
*/

use std::ops::Range;

use super::{Watch, Watched, opening};
use crate::alarm::expression::JudgedPeriod;
use crate::alarm::{CurvePoint, Transition};
use crate::evidence::Evidence;
use crate::incident::Incident;
use crate::time::Timestamp;

impl Watch {
    /// Counts the periods that were judged since, into all incidents that are counted so.
    pub(super) fn feed_all_judged(&mut self) {
        let judged = |arn: &str| matches!(self.alarms.get(arn), Some(Watched::Expression(_)));
        let open = self.incidents.held.values().filter(|held| held.incident.ended.is_none());
        let ids: Vec<String> = open
            .filter(|held| judged(&held.incident.alarm_arn))
            .map(|held| held.incident.id.clone())
            .collect();
        for id in ids {
            self.feed_judged(&id);
        }
    }

    /// Counts the periods that were judged since into one incident; into one that is fed by arrivals, nothing.
    pub(super) fn feed_judged(&mut self, id: &str) {
        let Some(held) = self.incidents.held.get(id) else { return };
        let Some(Watched::Expression(one)) = self.alarms.get(&held.incident.alarm_arn) else { return };
        let from = held.incident.first_second.max(held.incident.last_second.saturating_add(1));
        let periods = one.judged(from..i64::MAX, &self.models);
        if periods.is_empty() {
            return;
        }
        self.incidents.change(id, |incident| {
            for period in &periods {
                let window = period.value.map(|value| CurvePoint { at: period.end(), value });
                incident.observe(period.last_second(), period.count, &period.evidence, window);
            }
        });
        self.incidents.note_change(id);
    }

    /// The periods of the window that fired, where an incident is counted by what was judged.
    pub(super) fn judged_in(&self, transition: &Transition) -> Option<Vec<JudgedPeriod>> {
        let Some(Watched::Expression(one)) = self.alarms.get(&transition.alarm.arn) else { return None };
        let seconds = transition.window.map_or(Range::default(), |(from, to)| from.second()..to.second());
        Some(one.judged(seconds, &self.models))
    }
}

/// The incident that `transition` starts at `now` with these periods.
pub(super) fn open_judged(
    now: Timestamp,
    transition: &Transition,
    judged: &[JudgedPeriod],
    muted: Option<Timestamp>,
) -> Incident {
    let count = judged.iter().map(|period| period.count).sum();
    let mut incident = Incident::open(now, opening(transition, count, muted));
    incident.draw_opening_from(judged.iter().map(|period| (period.last_second(), period.count)));
    for period in judged {
        // Counted already: this is for the worst of them, and for where counting goes on.
        let window = period.value.map(|value| CurvePoint { at: period.end(), value });
        incident.observe(period.last_second(), 0.0, &Evidence::default(), window);
    }
    incident
}
