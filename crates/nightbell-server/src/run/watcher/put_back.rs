/*!
What the watcher does when the machine's clock was ahead and is put right.

Time in the watch only goes forward, so it begins again with what is saved; and nothing that is saved may wait for a time
that the old clock has named.
*/

use nightbell_core::alarm::MetricAlarm;
use nightbell_core::time::Timestamp;
use nightbell_core::watch::Input;
use nightbell_store::{Catalog, Position, Space, Write};
use tracing::warn;

use super::{CLOCK_BACK_MAX_MS, Gathered, Moment, Watcher};
use crate::catalog::Failure;
use crate::manage::alarms::Entry;
use crate::manage::taken;
use crate::manage::topics::Lane;

/// Deliveries looked at in one go.
const AT_ONCE: usize = 1_000;

impl Watcher {
    /// Whether the clock was put back: time in the watch would stand still, with everything that comes in counted as
    /// late, until the old time is reached again.
    pub(super) fn is_clock_put_back(&self, entry: &Entry) -> bool {
        let back = |ticked: Timestamp| ticked.since(entry.now) > CLOCK_BACK_MAX_MS;
        matches!(entry.input, Input::Tick) && self.ticked.is_some_and(back)
    }

    /// Begins again at `now` with the alarms and data as they are saved.
    pub(super) fn put_clock_back(&mut self, now: Timestamp, position: Position) -> Result<(), Failure> {
        warn!(now = %now.iso(), "the clock was put back; judging goes on from there");
        let was = self.ticked.unwrap_or(now);
        let mut gathered = Gathered::default();
        let moment = Moment { now, position, alarm_deleted: false };
        for effect in self.watch.put_clock_back(now) {
            self.carry_out(effect, &moment, &mut gathered)?;
        }
        for (alarm, _) in self.watch.alarms().filter(|(alarm, _)| alarm.updated > now) {
            // Writing an alarm judges it: it would not be judged again before the old time.
            taken::save_alarm(&mut gathered.change, &MetricAlarm { updated: now, ..alarm.clone() });
        }
        self.budgets.put_clock_back(now);
        put_outbox_back(&**self.app.records.store(), &mut gathered.change, was, now)?;
        self.ticked = Some(now);
        self.save(gathered, position)?;
        *self = Self { care: self.care, ..Self::open(std::sync::Arc::clone(&self.app))? };
        self.app.outbox_bell.notify_one();
        Ok(())
    }
}

/// Makes what is due in the future due as long after `now` as it was after `was`. One that is under way may go out
/// again, under the same Message-ID.
pub(super) fn put_outbox_back(
    store: &dyn Catalog,
    change: &mut Write,
    was: Timestamp,
    now: Timestamp,
) -> Result<(), Failure> {
    let put_back = |due: i64| now.plus_millis(due.saturating_sub(was.as_millis()).max(0));
    for lane in Lane::ALL {
        let scan = lane.due_from(now.plus_millis(1)).limit(AT_ONCE);
        let mut next = scan.clone();
        loop {
            let found = store.scan(Space::Outbox, &next)?;
            let Some((last, _)) = found.last() else { break };
            next = scan.clone().after(last.clone());
            for (key, bytes) in found {
                let Some(moved) = lane.moved(&key, put_back) else { continue };
                change.put(Space::Outbox, moved, bytes);
                change.delete(Space::Outbox, key);
            }
        }
    }
    Ok(())
}
