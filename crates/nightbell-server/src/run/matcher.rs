/*!
The matcher: reads `events`, runs each batch through its group's filters, appends the folded numbers to `metrics`;
with them go record numbers, while an alarm asks for gaps in them.

It holds no state but its position, which is saved in the same step as what it appends: after a crash it resumes there.
*/

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::event::{Batch, Group};
use nightbell_core::evidence::Place;
use nightbell_core::metric::Datum;
use nightbell_core::records::RecordReader;
use nightbell_core::ruleset::Scratch;
use nightbell_store::{Durability, Position, Write};
use tracing::{error, warn};

use super::care::Care;
use super::marks::Marks;
use super::{Stopping, pause, woken};
use crate::app::App;
use crate::catalog::{Activity, Failure, Key, StreamRecord, put};
use crate::clock;
use crate::health::Loop;
use crate::manage::alarms;

/// Bytes of events taken in one step.
const STEP_BYTES_MAX: usize = 8 << 20;

/// Data gathered before it is folded for the first time.
const FOLD_AGAIN_DATA_MIN: usize = 20_000;

/// Numbers that the watcher takes at once, at least: who crosses the line is told when they are judged.
const ENTRY_DATA_MAX: usize = 2_000;

/// What a number costs from here through the watcher into the store, and some room.
const PAUSE_PER_DATUM: Duration = Duration::from_micros(50);
/// Shorter pauses are not worth a timer.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// The longest pause: what it adds to a message must stay well under a second.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// The matcher's loop.
pub(super) struct Matcher {
    app: Arc<App>,
    position: Position,
    scratch: Scratch,
    marks: RecordReader,
    care: Care,
    /// Numbers that the last step appended beyond one for each event, where it took all there was.
    surplus: usize,
}

fn position_key() -> Key {
    Key::of(&["position", "matcher"])
}

impl Matcher {
    /// The matcher where it was left.
    pub(super) fn open(app: Arc<App>) -> Result<Self, Failure> {
        let saved: Position = app.records.get(&position_key())?.unwrap_or_default();
        // A store that came back older than its archive goes on behind what is archived.
        let position = saved.max(app.journal.start());
        app.matched.send_replace(position);
        let marks = RecordReader::default();
        Ok(Self { app, position, scratch: Scratch::default(), marks, care: Care::default(), surplus: 0 })
    }

    /// Runs until the server stops.
    pub(super) async fn run(mut self, mut stopping: Stopping) {
        let mut end = self.app.journal.end();
        loop {
            end.mark_unchanged();
            let done = self.step();
            if done.is_ok() {
                self.care.succeeded();
                self.app.health.well(Loop::Matcher);
            }
            match done {
                Ok(true) if !*stopping.borrow() => self.pace(&mut stopping).await,
                Ok(true) => return,
                Ok(false) => {
                    if !woken(&mut end, &mut stopping).await {
                        return;
                    }
                }
                Err(failure) => {
                    error!(error = %failure, position = %self.position, "matching is interrupted");
                    self.app.health.failed(Loop::Matcher, &failure, clock::now());
                    if !pause(&mut stopping).await {
                        return;
                    }
                    self.resume(&failure);
                }
            }
        }
    }

    /// Lets events gather after a step that made more numbers than it had events, so that the next step folds more of them
    /// into as many: a thousand filters with a default value make a thousand numbers a step, however few events it has.
    async fn pace(&self, stopping: &mut Stopping) {
        let pause = (PAUSE_PER_DATUM * u32::try_from(self.surplus).unwrap_or(u32::MAX)).min(PAUSE_MAX);
        if pause >= PAUSE_MIN {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Goes on after a failure from what is saved: a step that was refused may have been written all the same.
    fn resume(&mut self, failure: &Failure) {
        match self.app.records.get(&position_key()) {
            Ok(saved) => self.position = saved.unwrap_or_default(),
            Err(failure) => return error!(error = %failure, "the matcher cannot resume yet"),
        }
        if self.care.failed(failure.kind()) {
            warn!(position = %self.position, "a block that cannot be matched is passed over");
            self.app.telemetry.broken_blocks.inc();
            if let Err(failure) = self.advance(Write::new(), self.position.next()) {
                error!(error = %failure, "the matcher cannot go on yet");
            }
        }
    }

    /// Matches what has come in; `false` when there was nothing.
    fn step(&mut self) -> Result<bool, Failure> {
        let blocks = match self.app.journal.read(self.position, self.care.bytes(STEP_BYTES_MAX)) {
            Ok(blocks) => blocks,
            Err(error) => return self.pass_over(&error.into()),
        };
        let Some(last) = blocks.last() else { return Ok(false) };
        let next = last.position.next();
        let mut change = Write::new();
        let mut activity = HashMap::new();
        let mut folded = Folded::default();
        let mut marks = Marks::new(*self.app.records_followed.borrow());
        for block in &blocks {
            let mut number = 0_u32;
            for batch in &block.batches {
                let place = Place { block: block.position.number(), number, group: batch.group.digest() };
                number = number.saturating_add(u32::try_from(batch.events.len()).unwrap_or(u32::MAX));
                folded.add(self.fold(batch, place)?);
                note(&mut activity, batch);
                marks.note(batch, &self.marks, &self.app.reader);
            }
        }
        let events: usize =
            blocks.iter().flat_map(|block| &block.batches).map(|batch| batch.events.len()).sum();
        self.save_activity(&mut change, activity)?;
        let data = folded.into_data();
        self.app.telemetry.data.inc_by(data.len() as u64);
        // A step that left events behind has gathered enough.
        let behind = blocks.iter().map(|block| block.bytes()).sum::<usize>() >= STEP_BYTES_MAX / 2;
        self.surplus = if behind { 0 } else { data.len().saturating_sub(events) };
        let now = clock::now();
        let mut data = data.into_iter();
        loop {
            let part: Vec<Datum> = data.by_ref().take(ENTRY_DATA_MAX).collect();
            if part.is_empty() {
                break;
            }
            alarms::push_data(&mut change, now, part);
        }
        marks.push(&mut change, now);
        self.advance(change, next)?;
        self.app.telemetry.matched.inc_by(events as u64);
        Ok(true)
    }

    fn fold(&mut self, batch: &Batch, place: Place) -> Result<Vec<Datum>, Failure> {
        let filters = self.app.compiled.of(&self.app.records, &batch.group)?;
        Ok(filters.fold(batch, Some(place), &self.app.reader, &mut self.scratch))
    }

    fn save_activity(
        &self,
        change: &mut Write,
        seen: HashMap<(&Group, &str), Activity>,
    ) -> Result<(), Failure> {
        for ((group, stream), new) in seen {
            // What is deleted meanwhile leaves nothing behind.
            if self.app.records.get::<StreamRecord>(&Key::stream(group, stream))?.is_none() {
                continue;
            }
            let key = Key::activity(group, stream);
            let mut all: Activity = self.app.records.get(&key)?.unwrap_or_default();
            all.first_event = all.first_event.into_iter().chain(new.first_event).min();
            all.last_event = all.last_event.max(new.last_event);
            all.last_arrival = all.last_arrival.max(new.last_arrival);
            all.bytes += new.bytes;
            put(change, &key, &all);
        }
        Ok(())
    }

    /// Goes on behind a damaged block: it is told and counted, and what follows is matched.
    fn pass_over(&mut self, failure: &Failure) -> Result<bool, Failure> {
        let Failure::Store(error) = failure else { return Err(failure.clone()) };
        let Some(damaged) = error.position() else { return Err(failure.clone()) };
        warn!(%error, "a damaged block is passed over");
        self.app.telemetry.broken_blocks.inc();
        self.advance(Write::new(), damaged.next())?;
        Ok(true)
    }

    fn advance(&mut self, mut change: Write, next: Position) -> Result<(), Failure> {
        put(&mut change, &position_key(), &next);
        self.app.records.store().commit(change, Durability::Process)?;
        self.position = next;
        self.app.matched.send_replace(next);
        Ok(())
    }
}

/// Data of many batches, folded once more: what a step appends grows with series and seconds, not with events.
#[derive(Default)]
struct Folded {
    data: Vec<Datum>,
    /// How many of them are folded and in order.
    folded: usize,
}

impl Folded {
    fn add(&mut self, data: Vec<Datum>) {
        self.data.extend(data);
        if self.data.len() > FOLD_AGAIN_DATA_MIN.max(2 * self.folded) {
            self.fold();
        }
    }

    /// Puts the data into order and joins what is of one series, second and unit. What is in order already costs little.
    fn fold(&mut self) {
        self.data.sort_by(|a, b| (&a.series, a.second, &a.unit).cmp(&(&b.series, b.second, &b.unit)));
        self.data.dedup_by(|later, first| {
            let same =
                (first.second, &first.unit, &first.series) == (later.second, &later.unit, &later.series);
            if same {
                first.aggregate.merge(&later.aggregate);
                first.evidence.merge(&later.evidence);
            }
            same
        });
        self.folded = self.data.len();
    }

    /// The data in an order that does not depend on chance.
    fn into_data(mut self) -> Vec<Datum> {
        self.fold();
        self.data
    }
}

fn note<'a>(activity: &mut HashMap<(&'a Group, &'a str), Activity>, batch: &'a Batch) {
    let seen = activity.entry((&batch.group, &batch.stream)).or_default();
    let times = batch.events.iter().map(|event| event.time);
    seen.first_event = seen.first_event.into_iter().chain(times.clone()).min();
    seen.last_event = seen.last_event.into_iter().chain(times).max();
    seen.last_arrival = seen.last_arrival.max(Some(batch.arrival));
    seen.bytes += batch.message_bytes() as u64;
}

#[cfg(test)]
mod tests {
    use nightbell_core::evidence::Evidence;
    use nightbell_core::metric::{Aggregate, Series};

    use super::*;

    #[test]
    fn what_many_batches_say_of_one_second_is_one_number_however_many_there_are() {
        let datum = |user: usize, second: i64| Datum {
            series: Series::new("r", "n", "m", vec![("User".to_owned(), format!("u{user:06}"))]),
            second,
            unit: None,
            aggregate: Aggregate::one(1.0),
            evidence: Evidence { events: 1, ..Evidence::default() },
        };
        let mut folded = Folded::default();
        for batch in 0..3 {
            folded.add((0..FOLD_AGAIN_DATA_MIN).map(|n| datum(n, 0)).collect());
            folded.add(vec![datum(7, 1), datum(7, batch)]);
        }
        let data = folded.into_data();
        let of_seven: Vec<(i64, f64, u64)> = data
            .iter()
            .filter(|datum| datum.series.dimensions[0].1 == "u000007")
            .map(|datum| (datum.second, datum.aggregate.sum, datum.evidence.events))
            .collect();
        assert_eq!(of_seven, [(0, 4.0, 4), (1, 4.0, 4), (2, 1.0, 1)]);
        assert_eq!(data.len(), FOLD_AGAIN_DATA_MIN + 2);
        assert!(data.is_sorted_by_key(|datum| (&datum.series, datum.second)));
    }
}
