/*!
What the watcher tells beside alarms about record numbers: findings in the log, and figures on `/metrics`.
*/

use nightbell_core::records::Finding;
use tracing::{info, warn};

use super::Watcher;

impl Watcher {
    /// Logs and counts a finding. What alarms make of gaps comes as data.
    pub(super) fn tell_finding(&self, finding: &Finding) {
        self.app.telemetry.findings.with_label_values(&[finding.word()]).inc();
        match finding {
            Finding::Selective { log } => warn!(region = log.region, group = log.group, "{finding}"),
            Finding::Gap(gap) => info!(region = gap.log.region, group = gap.log.group, "{finding}"),
            Finding::Filled { gap, .. } => info!(region = gap.log.region, group = gap.log.group, "{finding}"),
            Finding::Restarted { log, .. } => info!(region = log.region, group = log.group, "{finding}"),
        }
    }

    /// Shows what is saved by now.
    pub(super) fn show_records(&self) {
        let (logs, unfollowed) = self.watch.record_logs();
        self.app.telemetry.record_logs.set(i64::try_from(logs).unwrap_or(i64::MAX));
        self.app.telemetry.unfollowed.set(i64::try_from(unfollowed).unwrap_or(i64::MAX));
        self.app.records_followed.send_replace(self.watch.follows_records());
    }
}
