/*!
The part of a [`Watch`] that knows of anomaly detectors: which models its alarms need, and what becomes of them.
*/

use super::{Effect, Input, Watch, Watched};
use crate::alarm::MetricAlarm;
use crate::alarm::expression::models_of;
use crate::anomaly::models::ModelKey;
use crate::anomaly::{self, AnomalyDetector, Model};
use crate::metric::Series;

impl Watch {
    /// The models that `input` will need and that know nothing yet. Whoever has what was stored before teaches them:
    /// by [`Input::Teach`] before an alarm, by `past` of a detector.
    pub fn untaught(&self, input: &Input) -> Vec<ModelKey> {
        match input {
            Input::PutAlarm { alarm, .. } => {
                models_of(alarm).into_iter().filter(|key| !self.models.has(key)).collect()
            }
            Input::PutDetector { detector, .. } => {
                let mut keys = self.models.forgetting(detector);
                let own = ModelKey::of_detector(&detector.watched);
                if !keys.contains(&own) && !self.models.has(&own) {
                    keys.push(own);
                }
                keys
            }
            _ => Vec::new(),
        }
    }

    /// Puts a detector back as it was configured. Call [`Watch::restore_clock`] before, [`Watch::restore_model`] after.
    pub fn restore_detector(&mut self, detector: AnomalyDetector) {
        let now = self.ticked.unwrap_or_default();
        self.models.restore_detector(now, detector);
    }

    /// Puts a model back as it was saved; [`Watch::models_need`] then says which data it has missed.
    pub fn restore_model(&mut self, key: &ModelKey, model: Model) {
        let now = self.ticked.unwrap_or_default();
        self.models.restore(now, key, model);
    }

    /// What models learn from, and the second from which on they need it back by [`Watch::restore_data`].
    pub fn models_need(&self) -> impl Iterator<Item = (&Series, i64)> {
        self.models.needs()
    }

    /// The model of `key`.
    pub fn model(&self, key: &ModelKey) -> Option<&Model> {
        self.models.model(key)
    }

    /// Lets go of the model of an alarm that is no more, unless another alarm needs it.
    pub(super) fn release_model(&mut self, gone: &MetricAlarm) {
        let Some(key) = models_of(gone) else { return };
        if !self.uses(&key) {
            self.models.release(&key);
        }
    }

    /// Deletes a detector.
    pub(super) fn delete_detector(&mut self, watched: &anomaly::Watched) {
        let used: Vec<ModelKey> =
            self.alarms.values().filter_map(|watched| models_of(&watched.question().alarm)).collect();
        self.models.delete_detector(watched, |key| used.contains(key));
    }

    fn uses(&self, key: &ModelKey) -> bool {
        let banded = |watched: &Watched| matches!(watched, Watched::Expression(_));
        let mut alarms = self.alarms.values().filter(|watched| banded(watched));
        alarms.any(|watched| models_of(&watched.question().alarm).as_ref() == Some(key))
    }

    /// Tells which models are to be saved or forgotten.
    pub(super) fn save_models(&mut self, effects: &mut Vec<Effect>) {
        let Some(now) = self.now else { return };
        let saved = |(key, model): (ModelKey, Option<Model>)| Effect::SavedModel {
            key: Box::new(key),
            model: model.map(Box::new),
        };
        effects.extend(self.models.changes(now).into_iter().map(saved));
    }
}
