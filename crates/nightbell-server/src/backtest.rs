/*!
Backtests: a rule run over the stored events, through the code that runs it live.

Asked for by `nightbell backtest` at `/_nightbell/backtest`. Filters and alarms come in the form of PutMetricFilter and
PutMetricAlarm, or an alarm that stands is named. `rules` finds what is tried, `reading` and `gathering` read what it would
have seen into `past`, and each variant plays that to a watch of its own while `story` writes down what follows; `desk`
answers the request. Nothing is written and nobody is told.
*/

use std::sync::atomic::{AtomicBool, Ordering};

use nightbell_core::backtest;
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_core::watch::{Effect, Input, Watch};
use tokio::sync::watch;

use crate::aws::Cx;
use crate::catalog::Failure;
use crate::manage::Refusal;
use crate::run::Stopping;

pub(crate) use answer::{
    BacktestAnswer, BacktestMessage, BacktestRequest, BacktestRun, BacktestTransition, Line, Phase, Progress,
};
use past::Past;
use reading::Reading;
use rules::{Trial, Variant};
use story::Story;

mod answer;
pub(crate) mod desk;
mod gathering;
mod past;
mod reading;
mod rules;
mod story;

/// Data points a backtest may come to.
pub(crate) const BACKTEST_DATA_MAX: usize = 5_000_000;
/// Memory that what a backtest plays may take; all variants of a rule share it.
pub(crate) const BACKTEST_BYTES_MAX: usize = 512 << 20;
/// Variants of a rule in one backtest.
pub(crate) const BACKTEST_RUNS_MAX: usize = 100;
/// Alarms that a composite alarm may come to, with those below it.
pub(crate) const BACKTEST_ALARMS_MAX: usize = 1_000;
/// Transitions shown in one answer, and as many messages beside; the variants of a rule have equal shares. All are
/// counted.
pub(crate) const BACKTEST_SHOWN_MAX: usize = 1_000;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Ended {
    /// What was asked for cannot be tried.
    Refused(Refusal),
    /// Nobody waits for the answer any more, or the server stops.
    Halted,
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure.into())
    }
}

/// How far a backtest is, and whether it goes on.
pub(crate) struct Course {
    progress: watch::Sender<Progress>,
    left: std::sync::Arc<AtomicBool>,
    stopping: Stopping,
}

impl Course {
    /// A course that ends when `left` turns true or the server stops.
    fn new(progress: watch::Sender<Progress>, left: std::sync::Arc<AtomicBool>, stopping: Stopping) -> Self {
        Self { progress, left, stopping }
    }

    fn goes_on(&self) -> bool {
        !self.left.load(Ordering::Relaxed) && !*self.stopping.borrow()
    }

    /// Notes how far it is; an error where it ends here.
    fn reach(&self, phase: Phase, done: u64, total: u64) -> Result<(), Ended> {
        self.progress.send_replace(Progress { phase, done, total });
        if self.goes_on() { Ok(()) } else { Err(Ended::Halted) }
    }
}

/// The times that are asked about.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// The first moment that is told of.
    start: Timestamp,
    /// The last one.
    end: Timestamp,
}

impl Span {
    fn of(request: &BacktestRequest, now: Timestamp) -> Result<Self, Refusal> {
        let (from, to) = (request.from.map(Timestamp::from_millis), request.to.map(Timestamp::from_millis));
        if let Some(from) = from.filter(|from| *from > now) {
            return Err(Refusal::Invalid(format!("from: {} lies in the future", from.iso())));
        }
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Refusal::Invalid(format!("from: {} is after to: {}", from.iso(), to.iso())));
        }
        let start = from.unwrap_or_else(|| Timestamp::from_millis(0));
        Ok(Self { start, end: to.unwrap_or(now).min(now) })
    }
}

/// Runs a backtest. Reads much and computes long: not for a thread that others wait for.
pub(crate) fn run(cx: &Cx, request: &BacktestRequest, course: &Course) -> Result<BacktestAnswer, Ended> {
    let span = Span::of(request, cx.now)?;
    let trial = Trial::of(cx, request)?;
    let read = Reading::new(cx, request, &trial, span).read(course)?;
    let mut runs = Vec::with_capacity(trial.variants.len());
    let shown_max = (BACKTEST_SHOWN_MAX / trial.variants.len()).max(1);
    for (at, variant) in trial.variants.iter().enumerate() {
        let story = Story::new(&cx.app, variant, span.start, shown_max, request.messages);
        let turn = Turn { at, of: trial.variants.len(), begin: read.past.first(), end: span.end };
        let watch = watch(cx, &trial, variant, &read.past, span);
        runs.push(play(watch, &read.past, story, turn, course)?);
    }
    Ok(BacktestAnswer {
        from: request.from,
        to: span.end.as_millis(),
        events: read.events,
        data: read.past.data(),
        notes: read.notes,
        runs,
    })
}

/// A watch in which a variant has stood since before anything came.
fn watch(cx: &Cx, trial: &Trial, variant: &Variant, past: &Past, span: Span) -> Watch {
    let mut watch = Watch::new(&cx.app.account).with_contributors_max(cx.app.contributors_max);
    // A model needs periods that it has seen from their beginning, and periods are no longer than a day.
    let begin = past.first().unwrap_or(span.start).plus_millis(-DAY_MS);
    for rule in &trial.mutes {
        watch.step(begin, Input::PutMuteRule { rule: rule.clone() });
    }
    for detector in &trial.detectors {
        watch.step(begin, Input::PutDetector { detector: detector.clone(), past: Vec::new() });
    }
    for alarm in &variant.alarms {
        watch.step(begin, Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() });
    }
    for alarm in &variant.composites {
        watch.step(begin, Input::PutComposite { alarm: alarm.clone() });
    }
    watch
}

/// Which variant is played, and from when to when.
struct Turn {
    at: usize,
    of: usize,
    begin: Option<Timestamp>,
    end: Timestamp,
}

/// Writes the story while the past is played, and looks whether it goes on.
struct Listener<'a> {
    story: Story<'a>,
    turn: Turn,
    course: &'a Course,
}

impl backtest::Onlooker for Listener<'_> {
    fn see(&mut self, now: Timestamp, effect: Effect) {
        self.story.hear(now, effect);
    }

    fn goes_on(&mut self, now: Timestamp) -> bool {
        let begin = self.turn.begin.unwrap_or(now);
        let seconds = |from: Timestamp, to: Timestamp| to.since(from).max(0).unsigned_abs() / 1_000;
        let whole = seconds(begin, self.turn.end).max(1);
        let done = whole * self.turn.at as u64 + seconds(begin, now).min(whole);
        self.course.reach(Phase::Playing, done, whole * self.turn.of as u64).is_ok()
    }
}

fn play(
    mut watch: Watch,
    past: &Past,
    story: Story<'_>,
    turn: Turn,
    course: &Course,
) -> Result<BacktestRun, Ended> {
    let end = turn.end;
    let mut listener = Listener { story, turn, course };
    if backtest::replay(&mut watch, past.arrivals(), end, &mut listener) {
        Ok(listener.story.told())
    } else {
        Err(Ended::Halted)
    }
}

#[cfg(test)]
mod tests;
