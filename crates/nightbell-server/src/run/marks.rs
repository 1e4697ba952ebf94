/*!
Record numbers on their way from the matcher to the watcher: read from each batch while an alarm asks for gaps.

Knows no alarm. [`App::records_followed`](crate::app::App::records_followed) says whether to read, and for whom.
*/

use nightbell_core::event::Batch;
use nightbell_core::fields::{FieldReader, Subject};
use nightbell_core::records::{RecordReader, RecordSpans, SPANS_RUNS_MAX};
use nightbell_core::time::Timestamp;
use nightbell_core::watch::Input;
use nightbell_store::Write;

use crate::manage::alarms;

/// Events noted before the size of the spans is looked at.
const EVENTS_AT_ONCE: usize = 1_024;

/// The record numbers of one step.
pub(super) struct Marks {
    /// What they are followed under; `None` where nobody asks.
    since: Option<Timestamp>,
    spans: Vec<RecordSpans>,
}

impl Marks {
    /// Nothing yet, for those who follow them since then.
    pub(super) fn new(since: Option<Timestamp>) -> Self {
        Self { since, spans: Vec::new() }
    }

    /// Notes what `batch` holds.
    pub(super) fn note(&mut self, batch: &Batch, marks: &RecordReader, fields: &dyn FieldReader) {
        if self.since.is_none() {
            return;
        }
        for events in batch.events.chunks(EVENTS_AT_ONCE) {
            if self.spans.last().is_none_or(|spans| spans.runs() >= SPANS_RUNS_MAX) {
                self.spans.push(RecordSpans::default());
            }
            let Some(spans) = self.spans.last_mut() else { continue };
            for event in events {
                if let Some(mark) = marks.read(&Subject::new(&event.message, &batch.stream, fields)) {
                    spans.note(&batch.group, mark, event.time);
                }
            }
        }
    }

    /// Adds what was noted to the `metrics` stream.
    pub(super) fn push(self, change: &mut Write, now: Timestamp) {
        let Some(since) = self.since else { return };
        for spans in self.spans.into_iter().filter(|spans| !spans.is_empty()) {
            alarms::push(change, now, Input::Records { since, spans });
        }
    }
}
