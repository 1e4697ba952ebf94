/*!
Record numbers as they are kept: what the watcher knows of each event log, and since when it follows them.

Saved by the watcher in the step that changed them, read when it opens.
*/

use nightbell_core::records::{Channel, EventLog};
use nightbell_core::time::Timestamp;
use nightbell_core::watch::Watch;
use nightbell_store::{Catalog, Scan, Space, Write};
use tracing::warn;

use crate::catalog::{Failure, Key};

/// Event logs read at once.
const LOGS_AT_ONCE: usize = 1_000;
/// First part of the keys. The other keys of the space are ARNs.
const KIND: &str = "records";

fn since_key() -> Key {
    Key::of(&[KIND])
}

fn log_key(log: &EventLog) -> Key {
    Key::of(&[KIND, &log.region, &log.group, &log.machine, &log.channel])
}

/// Adds since when record numbers are followed.
pub(crate) fn save_since(change: &mut Write, since: Option<Timestamp>) {
    match since {
        None => change.delete(Space::Watch, since_key().bytes()),
        Some(since) => {
            let bytes = serde_json::to_vec(&since).expect("an instant is a number");
            change.put(Space::Watch, since_key().bytes(), bytes)
        }
    };
}

/// Adds or removes what is known of an event log.
pub(crate) fn save(change: &mut Write, log: &EventLog, channel: Option<&Channel>) {
    match channel {
        None => change.delete(Space::Watch, log_key(log).bytes()),
        Some(channel) => {
            let bytes = serde_json::to_vec(&(log, channel)).expect("what is known of a log is plain data");
            change.put(Space::Watch, log_key(log).bytes(), bytes)
        }
    };
}

/// Puts everything back as it was saved.
pub(crate) fn restore(store: &dyn Catalog, watch: &mut Watch) -> Result<(), Failure> {
    let since = store.get(Space::Watch, since_key().bytes())?;
    watch.restore_records_since(since.and_then(|bytes| serde_json::from_slice(&bytes).ok()));
    let prefix = Key::prefix(&[KIND], "").bytes().to_vec();
    let mut scan = Scan::prefix(prefix.clone()).limit(LOGS_AT_ONCE);
    loop {
        let found = store.scan(Space::Watch, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(()) };
        scan = Scan::prefix(prefix.clone()).limit(LOGS_AT_ONCE).after(last.clone());
        for (_, bytes) in &found {
            match serde_json::from_slice::<(EventLog, Channel)>(bytes) {
                Ok((log, channel)) => watch.restore_record_log(log, channel),
                Err(error) => {
                    warn!(%error, "what was known of an event log cannot be read; it is followed anew")
                }
            }
        }
    }
}
