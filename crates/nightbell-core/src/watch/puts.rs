/*!
Alarms that come and go in a [`Watch`]: put, replaced and deleted, and found by what they look at.

Whoever has what was stored for an alarm hands it over piece by piece before the alarm is put, so that a metric of many
series need not be in memory at once. Judging is the alarm's own business.
*/

use super::{Effect, Needed, Runtime, Watch, Watched, report, report_moved};
use crate::alarm::MetricAlarm;
use crate::alarm::expression::models_of;
use crate::alarm::standing::Judging;
use crate::history::serves;
use crate::metric::Datum;
use crate::time::Timestamp;

/// An alarm on its way in: what it replaces is taken over, and what was stored comes.
#[derive(Clone, Debug)]
pub(super) struct Coming {
    watched: Watched,
    replaced: Option<MetricAlarm>,
    /// Whether it asks another question than the one it replaces.
    anew: bool,
    /// What is to be kept of the one it replaces.
    effects: Vec<Effect>,
}

impl Watch {
    /// Begins to put `alarm`: [`Watch::recall`] takes what is stored for it, and the step after that must be its
    /// [`Input::PutAlarm`](super::Input::PutAlarm) at the same `now`. What the alarm it replaces knows of data is dropped.
    pub fn begin_alarm(&mut self, now: Timestamp, alarm: &MetricAlarm) {
        let now = self.now.map_or(now, |last| last.max(now));
        let coming = self.succeed(now, alarm.clone(), false);
        self.coming = Some(Box::new(coming));
    }

    /// Takes a datum that was stored before the alarm that was begun and stands for `resolution_s` seconds; without an
    /// alarm it is ignored, and so is one that the alarm's periods are not made of.
    pub fn recall(&mut self, datum: &Datum, resolution_s: i64) {
        if let Some(coming) = &mut self.coming
            && serves(resolution_s, coming.watched.question().alarm.period_s)
        {
            coming.watched.restore(self.now, datum.clone());
        }
    }

    /// Puts an alarm, or what was begun of it.
    pub(super) fn put(
        &mut self,
        now: Timestamp,
        alarm: MetricAlarm,
        history: Vec<Datum>,
        effects: &mut Vec<Effect>,
    ) {
        let arn = alarm.arn.clone();
        let begun = self.coming.take().filter(|coming| coming.watched.question().alarm == alarm);
        let coming = match begun {
            Some(coming) => *coming,
            None => self.succeed(now, alarm, history.is_empty()),
        };
        let Coming { mut watched, replaced, anew, effects: kept } = coming;
        effects.extend(kept);
        for datum in history {
            watched.restore(Some(now), datum);
        }
        let anew = anew || watched.runtime().forced;
        if let Some(key) = models_of(&watched.question().alarm) {
            self.models.require(now, &key);
        }
        self.save_models(effects);
        let judging = Judging { now, account: &self.account };
        match &mut watched {
            Watched::Series(one) => {
                let transition = one.evaluate(judging, anew);
                report(&arn, one.runtime(), transition, true, effects);
            }
            Watched::Contributors(many) => {
                let mut moved = many.evaluate(judging, anew);
                moved.parent = true;
                report_moved(&arn, many.runtime(), moved, effects);
            }
            Watched::Expression(one) => {
                let transition = one.evaluate(judging, &self.models);
                report(&arn, one.runtime(), transition, true, effects);
            }
        }
        self.list(&arn, watched);
        if let Some(replaced) = replaced {
            self.release_model(&replaced);
            self.save_models(effects);
        }
    }

    /// Takes an alarm out and everything over that the one in its place goes on from.
    fn succeed(&mut self, now: Timestamp, alarm: MetricAlarm, keep_data: bool) -> Coming {
        let arn = alarm.arn.clone();
        let watched = Watched::new(alarm, Runtime::created(now), self.contributors_max);
        let mut coming = Coming { watched, replaced: None, anew: true, effects: Vec::new() };
        let Some(old) = self.alarms.remove(&arn) else { return coming };
        let before = old.question().alarm.clone();
        self.unlist(&arn, &before);
        coming.anew = coming.watched.question().differs_from(&before);
        if coming.watched.question().alarm.measure != before.measure {
            let forget = |group| Effect::SavedContributor { arn: arn.clone(), group, runtime: None };
            coming.effects.extend(old.saved().into_iter().map(forget));
        }
        coming.watched.succeed(old, keep_data);
        coming.replaced = Some(before);
        coming
    }

    /// Forgets an alarm of any kind; an unknown one is ignored.
    pub(super) fn delete(&mut self, arn: &str, effects: &mut Vec<Effect>) {
        if let Some(watched) = self.alarms.remove(arn) {
            self.unlist(arn, &watched.question().alarm);
            self.release_model(&watched.question().alarm);
            self.save_models(effects);
        }
        self.composites.remove(arn);
        self.forget_muted(arn, effects);
    }

    pub(super) fn list(&mut self, arn: &str, watched: Watched) {
        for needed in Self::needs(&watched.question().alarm) {
            let arns = match needed {
                Needed::Series(series) => self.by_series.entry(series).or_default(),
                Needed::Metric { region, namespace, name } => {
                    let sites = self.by_metric.entry(region).or_default();
                    sites.entry(namespace).or_default().entry(name).or_default()
                }
            };
            if !arns.iter().any(|listed| listed == arn) {
                arns.push(arn.to_owned());
                arns.sort();
            }
        }
        if let Some(before) = self.alarms.insert(arn.to_owned(), watched) {
            let stays = self.alarms[arn].question().alarm.measure == before.question().alarm.measure;
            if !stays {
                self.unlist(arn, &before.question().alarm);
            }
        }
    }

    fn unlist(&mut self, arn: &str, alarm: &MetricAlarm) {
        for needed in Self::needs(alarm) {
            match needed {
                Needed::Series(series) => {
                    if let Some(arns) = self.by_series.get_mut(&series) {
                        arns.retain(|listed| listed != arn);
                        if arns.is_empty() {
                            self.by_series.remove(&series);
                        }
                    }
                }
                Needed::Metric { region, namespace, name } => {
                    let names = self.by_metric.get_mut(&region).and_then(|sites| sites.get_mut(&namespace));
                    let Some(names) = names else { continue };
                    if let Some(arns) = names.get_mut(&name) {
                        arns.retain(|listed| listed != arn);
                    }
                    names.retain(|_, arns| !arns.is_empty());
                }
            }
        }
    }
}
