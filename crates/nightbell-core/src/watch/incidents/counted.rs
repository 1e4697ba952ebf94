/*!
[`IncidentCount`]: what an incident has counted, small enough to be kept with every step.

An incident as a whole, with what its events say, is handed out at ticks and in turn. What it has counted since is kept
beside it, so that a restart at any point goes on with the same numbers.
*/

use serde::{Deserialize, Serialize};

use crate::alarm::CurvePoint;
use crate::incident::Incident;

/// The numbers of an incident that data changes; see [`Incident`] for what each means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentCount {
    /// The incident's id.
    pub id: String,
    /// The first second of event time that belongs to it.
    pub first_second: i64,
    /// The latest second of event time that was counted into it.
    pub last_second: i64,
    /// What all samples add up to.
    pub count: f64,
    /// The worst window.
    pub peak: Option<CurvePoint>,
    /// Data points since the last message.
    pub news_points: u64,
    /// What their samples add up to.
    pub news_count: f64,
}

impl IncidentCount {
    /// What `incident` has counted.
    pub fn of(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            first_second: incident.first_second,
            last_second: incident.last_second,
            count: incident.count,
            peak: incident.peak,
            news_points: incident.news.points,
            news_count: incident.news.count,
        }
    }

    /// Gives `incident` these numbers, unless it is another one.
    pub fn restore(&self, incident: &mut Incident) {
        if incident.id != self.id {
            return;
        }
        incident.first_second = self.first_second;
        incident.last_second = self.last_second;
        incident.count = self.count;
        incident.peak = self.peak;
        incident.news.points = self.news_points;
        incident.news.count = self.news_count;
    }
}
