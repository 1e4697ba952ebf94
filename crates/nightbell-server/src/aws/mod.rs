/*!
The AWS operations: a pair of structs and a function each, over `manage` and the core. AWS's names live only here.
*/

use std::sync::Arc;

use nightbell_core::event::Group;
use nightbell_core::time::Timestamp;
use nightbell_store::Position;
use tokio::sync::watch;

use crate::app::App;
use crate::auth::Principal;

mod access;
pub(crate) mod alarmlist;
pub(crate) mod anomaly;
mod cloudformation;
pub(crate) mod cloudwatch;
pub(crate) mod composite;
pub(crate) mod contributors;
pub(crate) mod dashboards;
pub(crate) mod definitions;
mod entry;
pub(crate) mod error;
pub(crate) mod filters;
pub(crate) mod firehose;
pub(crate) mod group_fields;
mod iam;
pub(crate) mod insights;
mod known;
pub(crate) mod lambda;
pub(crate) mod livetail;
pub(crate) mod logs;
pub(crate) mod metricdata;
pub(crate) mod metrics;
pub(crate) mod mute;
mod page;
pub(crate) mod queries;
pub(crate) mod reads;
pub(crate) mod resource_policies;
pub(crate) mod route;
pub(crate) mod s3;
pub(crate) mod service;
pub(crate) mod ses;
pub(crate) mod sns;
pub(crate) mod ssm;
pub(crate) mod sts;
pub(crate) mod subscriptions;
pub(crate) mod tags;
pub(crate) mod widget;

/// What an operation may use: the parts, and who asks from where.
#[derive(Clone)]
pub(crate) struct Cx {
    /// The parts.
    pub(crate) app: Arc<App>,
    /// The region of the signature.
    pub(crate) region: String,
    /// When the request arrived.
    pub(crate) now: Timestamp,
    /// Who asks.
    pub(crate) caller: Principal,
}

/// A member that is null counts as one that is absent.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}

/// Longest wait for a loop to take what a request wrote.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(2);

impl Cx {
    /// The group `name` in the request's region.
    pub(crate) fn group(&self, name: &str) -> Group {
        Group { region: self.region.clone(), name: name.to_owned() }
    }

    /// Waits until all events accepted so far are matched, so that a change of filters concerns later ones only.
    pub(crate) async fn matched(&self) {
        let end = *self.app.journal.end().borrow();
        reached(self.app.matched.subscribe(), end).await;
    }

    /// Waits until the watcher has taken the entry at `position`, so that a reader sees what was written.
    pub(crate) async fn judged(&self, position: Position) {
        reached(self.app.judged.subscribe(), position.next()).await;
    }
}

/// Waits until `progress` is at `position`; not for ever, because a request must end even while a loop is held up.
async fn reached(mut progress: watch::Receiver<Position>, position: Position) {
    // Running out of time is no failure of the request: what it wrote is stored.
    let _ = tokio::time::timeout(SETTLE, progress.wait_for(|at| *at >= position)).await;
}
