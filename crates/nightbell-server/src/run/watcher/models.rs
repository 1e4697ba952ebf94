/*!
What the watcher does for anomaly models: puts them back at start, and reads what was stored for new ones to learn from.
*/

use std::collections::BTreeMap;

use nightbell_core::watch::{Effect, Input, Needed, Watch};
use nightbell_store::Catalog;

use super::{Gathered, Watcher};
use crate::catalog::Failure;
use crate::manage::alarms::Entry;
use crate::manage::{detectors, taken};
use crate::run::points;

/// Puts detectors and models back, and adds the data that models have missed to what is `needed`.
pub(super) fn restore(
    store: &dyn Catalog,
    watch: &mut Watch,
    needed: &mut BTreeMap<Needed, i64>,
) -> Result<(), Failure> {
    for detector in taken::detectors(store)? {
        watch.restore_detector(detector);
    }
    for (key, model) in detectors::saved_models(store)? {
        watch.restore_model(&key, model);
    }
    for (series, from) in watch.models_need() {
        let oldest = needed.entry(Needed::Series(series.clone())).or_insert(from);
        *oldest = from.min(*oldest);
    }
    Ok(())
}

impl Watcher {
    /// Has new models of an alarm or a detector learn what was stored before `entry`.
    pub(super) fn teach(&mut self, entry: &mut Entry, gathered: &mut Gathered) -> Result<(), Failure> {
        let keys = self.watch.untaught(&entry.input);
        if keys.is_empty() {
            return Ok(());
        }
        let records = &self.app.records;
        let lessons = keys
            .into_iter()
            .map(|key| points::lesson(records, key, entry.now))
            .collect::<Result<Vec<_>, _>>()?;
        if let Input::PutDetector { past, .. } = &mut entry.input {
            *past = lessons;
            return Ok(());
        }
        for lesson in lessons {
            for effect in self.watch.step(entry.now, Input::Teach(lesson)) {
                if let Effect::SavedModel { key, model } = effect {
                    detectors::save_model(&mut gathered.change, &key, model.as_deref());
                }
            }
        }
        Ok(())
    }
}
