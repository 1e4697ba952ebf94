/*!
Backtests: a rule run over the stored events, through the code that runs it live.

Asked for by `nightbell backtest` at `/_nightbell/backtest`. Filters and alarms come in the form of PutMetricFilter and
PutMetricAlarm, or an alarm that stands is named. Nothing is written and nobody is told.
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::alarm::{Measure, MetricAlarm, State, Transition};
use nightbell_core::backtest;
use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::filter::{FilterSet, MetricFilter};
use nightbell_core::metric::Datum;
use nightbell_core::ruleset::Scratch;
use nightbell_core::time::Timestamp;
use nightbell_core::topic::Endpoint;
use nightbell_core::watch::{Input, Needed, Watch};
use nightbell_deliver::message::{self, Enclosure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::aws::{self, Cx};
use crate::catalog::Failure;
use crate::manage::{Refusal, alarms, filters};
use crate::run::points;

/// Data points a backtest may come to.
pub(crate) const BACKTEST_DATA_MAX: usize = 5_000_000;
/// Variants of a rule in one backtest.
pub(crate) const BACKTEST_RUNS_MAX: usize = 100;
/// Transitions shown of each variant; all are counted.
pub(crate) const BACKTEST_SHOWN_MAX: usize = 1_000;
/// Summaries of blocks read at once.
const SUMMARIES_AT_ONCE: usize = 1_000;

/// What is to be tried.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestRequest {
    /// The filters, as PutMetricFilter takes them; none where `alarm` is named.
    #[serde(default)]
    pub(crate) filters: Vec<Value>,
    /// The variants of the alarm, as PutMetricAlarm takes them.
    #[serde(default)]
    pub(crate) alarms: Vec<Value>,
    /// An alarm that stands, with the filters that count for it.
    #[serde(default)]
    pub(crate) alarm: Option<String>,
    /// Thresholds to try with `alarm`; its own where there is none.
    #[serde(default)]
    pub(crate) thresholds: Vec<f64>,
    /// The first event time, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) from: Option<i64>,
    /// The event time to stop at.
    #[serde(default)]
    pub(crate) to: Option<i64>,
    /// Whether events come when they came, late ones late, instead of when they happened.
    #[serde(default)]
    pub(crate) as_arrived: bool,
}

/// What would have happened.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct BacktestAnswer {
    /// Events looked at.
    pub(crate) events: u64,
    /// Data points they came to.
    pub(crate) data: usize,
    /// One for each variant, in their order.
    pub(crate) runs: Vec<BacktestRun>,
}

/// What one variant would have done.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct BacktestRun {
    /// Its threshold.
    pub(crate) threshold: f64,
    /// How often it would have fired.
    pub(crate) fired: usize,
    /// For how many different contributors.
    pub(crate) contributors: usize,
    /// The first of its transitions, oldest first; those of the alarm as a whole are left out where it has contributors.
    pub(crate) transitions: Vec<BacktestTransition>,
}

/// One transition and its message.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct BacktestTransition {
    /// When, in milliseconds since 1970.
    pub(crate) at: i64,
    /// The contributor's attributes, where there is one.
    pub(crate) contributor: Vec<(String, String)>,
    /// The state before.
    pub(crate) from: String,
    /// The state after.
    pub(crate) to: String,
    /// `StateReason`.
    pub(crate) reason: String,
    /// The value that decided.
    pub(crate) value: Option<f64>,
    /// The window that decided, in milliseconds since 1970.
    pub(crate) window: Option<(i64, i64)>,
    /// How late the deciding event came.
    pub(crate) late_by_ms: Option<i64>,
    /// The subject of the mail.
    pub(crate) subject: String,
    /// The text of the mail.
    pub(crate) text: String,
}

/// A filter and the group it is in.
type Placed = (Group, MetricFilter);

/// Runs a backtest. Reads much and computes long: not for a thread that others wait for.
pub(crate) fn run(cx: &Cx, request: &BacktestRequest) -> Result<BacktestAnswer, Refusal> {
    let (filters, variants) = rules(cx, request)?;
    if variants.is_empty() || variants.len() > BACKTEST_RUNS_MAX {
        let count = variants.len();
        return Err(Refusal::Invalid(format!("alarms: {count}; a backtest tries 1 to {BACKTEST_RUNS_MAX}")));
    }
    if let Some(alarm) = variants.iter().find(|alarm| alarm.band.is_some()) {
        return Err(Refusal::Invalid(format!(
            "{}: alarms on anomaly bands cannot be tried, for what was usual then is not kept",
            alarm.name
        )));
    }
    let end = request.to.map_or(cx.now, Timestamp::from_millis).min(cx.now);
    let start = request.from.map_or(Timestamp::from_millis(0), Timestamp::from_millis);
    // What the first second's windows look back at belongs to it.
    let from = variants.iter().map(|alarm| Watch::needed_from(alarm, start)).min().unwrap_or(0).max(0);
    let mut past = Past::new(cx, request, from, end);
    past.read_events(filters)?;
    past.read_points(&variants)?;
    let events = past.events;
    let data = past.data;
    let runs = variants.iter().map(|alarm| one_run(cx, alarm, &past.arrivals, start, end)).collect();
    Ok(BacktestAnswer { events, data, runs })
}

/// The filters that count, and the alarms that judge.
fn rules(cx: &Cx, request: &BacktestRequest) -> Result<(Vec<Placed>, Vec<MetricAlarm>), Refusal> {
    let Some(name) = &request.alarm else {
        let filters = request.filters.iter().map(|filter| aws::filters::given(cx, filter));
        let variants = request.alarms.iter().map(|alarm| aws::cloudwatch::given(cx, alarm));
        return Ok((filters.collect::<Result<_, _>>()?, variants.collect::<Result<_, _>>()?));
    };
    let alarm = alarms::find(&cx.app.records, &cx.region, name)?;
    let counts = |filter: &MetricFilter| {
        Watch::needs(&alarm).iter().any(|need| {
            let (namespace, metric) = metric_of(need);
            filter.namespace == namespace && filter.metric == metric
        })
    };
    let found = filters::list_region(&cx.app.records, &cx.region)?;
    let placed = found.into_iter().filter(|(_, filter)| counts(filter));
    let filters = placed.map(|(group, filter)| (cx.group(&group), filter)).collect();
    let mut variants: Vec<MetricAlarm> = request
        .thresholds
        .iter()
        .map(|threshold| MetricAlarm { threshold: *threshold, ..alarm.clone() })
        .collect();
    if variants.is_empty() {
        variants.push(alarm);
    }
    Ok((filters, variants))
}

fn metric_of(need: &Needed) -> (&str, &str) {
    match need {
        Needed::Series(series) => (&series.namespace, &series.name),
        Needed::Metric { namespace, name, .. } => (namespace, name),
    }
}

/// The data that a rule would have seen, by the time it came.
struct Past<'a> {
    cx: &'a Cx,
    as_arrived: bool,
    from: i64,
    end: Timestamp,
    arrivals: BTreeMap<Timestamp, Vec<Datum>>,
    /// Metrics that filters make anew, as namespace and name.
    made: Vec<(String, String)>,
    events: u64,
    data: usize,
}

impl<'a> Past<'a> {
    fn new(cx: &'a Cx, request: &BacktestRequest, from: i64, end: Timestamp) -> Self {
        Self {
            cx,
            as_arrived: request.as_arrived,
            from,
            end,
            arrivals: BTreeMap::new(),
            made: Vec::new(),
            events: 0,
            data: 0,
        }
    }

    /// Runs the filters over the stored events.
    fn read_events(&mut self, filters: Vec<Placed>) -> Result<(), Refusal> {
        let mut by_group: BTreeMap<String, Vec<MetricFilter>> = BTreeMap::new();
        for (group, mut filter) in filters {
            self.made.push((filter.namespace.clone(), filter.metric.clone()));
            filter.created = Timestamp::from_millis(0); // as if it had always been there
            by_group.entry(group.name).or_default().push(filter);
        }
        let compile = |(name, filters): (String, Vec<MetricFilter>)| {
            (name, FilterSet::new(&self.cx.region, filters).with_account(&self.cx.app.account))
        };
        let sets: BTreeMap<String, FilterSet> = by_group.into_iter().map(compile).collect();
        if sets.is_empty() {
            return Ok(());
        }
        let app = Arc::clone(&self.cx.app);
        let mut scratch = Scratch::new();
        let mut at = app.journal.start();
        let end = *app.journal.end().borrow();
        while at < end {
            let summaries = app.journal.summaries(at, end, SUMMARIES_AT_ONCE)?;
            let Some(last) = summaries.last() else { break };
            at = last.position.next();
            for summary in &summaries {
                let concerned = summary.streams.iter().any(|stream| sets.contains_key(&stream.group.name));
                if !concerned || summary.last.second() < self.from || summary.first > self.end {
                    continue;
                }
                match app.journal.read(summary.position, 1) {
                    Ok(blocks) => {
                        for batch in blocks.iter().flat_map(|block| &block.batches) {
                            self.take(batch, &sets, &mut scratch)?;
                        }
                    }
                    // The rest of the log is worth reading; the matcher has told of the damage.
                    Err(error) if error.position().is_some() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        batch: &Batch,
        sets: &BTreeMap<String, FilterSet>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let Some(set) = sets.get(&batch.group.name) else { return Ok(()) };
        if batch.group.region != self.cx.region {
            return Ok(());
        }
        let app = Arc::clone(&self.cx.app);
        if self.as_arrived {
            self.events += batch.events.len() as u64;
            return self.arrive(batch.arrival, set.fold(batch, None, &app.reader, scratch));
        }
        let mut by_second: BTreeMap<i64, Vec<Event>> = BTreeMap::new();
        for event in &batch.events {
            if event.time.second() >= self.from && event.time <= self.end {
                by_second.entry(event.time.second()).or_default().push(event.clone());
            }
        }
        for (second, events) in by_second {
            self.events += events.len() as u64;
            let newest = events.iter().map(|event| event.time).max();
            let arrival = newest.unwrap_or(Timestamp::from_seconds(second));
            let then = Batch { group: batch.group.clone(), stream: batch.stream.clone(), arrival, events };
            self.arrive(Timestamp::from_seconds(second), set.fold(&then, None, &app.reader, scratch))?;
        }
        Ok(())
    }

    fn arrive(&mut self, at: Timestamp, data: Vec<Datum>) -> Result<(), Refusal> {
        if data.is_empty() || at > self.end {
            return Ok(());
        }
        self.data += data.len();
        if self.data > BACKTEST_DATA_MAX {
            return Err(Refusal::Limit(format!(
                "a backtest takes at most {BACKTEST_DATA_MAX} data points; name a shorter time with --from and --to"
            )));
        }
        self.arrivals.entry(at).or_default().extend(data);
        Ok(())
    }

    /// Adds stored data points of metrics that no filter makes.
    fn read_points(&mut self, variants: &[MetricAlarm]) -> Result<(), Refusal> {
        let mut needed: Vec<Needed> = variants.iter().flat_map(Watch::needs).collect();
        needed.sort();
        needed.dedup();
        needed.retain(|need| {
            let (namespace, name) = metric_of(need);
            !self.made.iter().any(|(made_in, made)| made_in == namespace && made == name)
        });
        for need in needed {
            let stored = points::read_needed(&**self.cx.app.records.store(), &need, self.from);
            for datum in stored.map_err(|failure: Failure| Refusal::Store(failure))? {
                self.arrive(Timestamp::from_seconds(datum.second), vec![datum])?;
            }
        }
        Ok(())
    }
}

fn one_run(
    cx: &Cx,
    alarm: &MetricAlarm,
    arrivals: &BTreeMap<Timestamp, Vec<Datum>>,
    start: Timestamp,
    end: Timestamp,
) -> BacktestRun {
    let mut watch = Watch::new(&cx.app.account).with_contributors_max(cx.app.contributors_max);
    let begin = arrivals.keys().next().copied().unwrap_or(start);
    watch.step(begin, Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() });
    let mut transitions = backtest::replay(&mut watch, arrivals.clone(), end);
    let has_contributors = matches!(alarm.measure, Measure::Query(_));
    transitions.retain(|told| told.at >= start && !(has_contributors && told.contributor.is_none()));
    let fired = |told: &&Transition| told.to == State::Alarm;
    let mut who: Vec<&str> = transitions
        .iter()
        .filter(fired)
        .filter_map(|told| told.contributor.as_ref().map(|one| one.id.as_str()))
        .collect();
    who.sort_unstable();
    who.dedup();
    BacktestRun {
        threshold: alarm.threshold,
        fired: transitions.iter().filter(fired).count(),
        contributors: who.len(),
        transitions: transitions.iter().take(BACKTEST_SHOWN_MAX).map(|told| shown(&cx.app, told)).collect(),
    }
}

fn shown(app: &App, told: &Transition) -> BacktestTransition {
    let (subject, text) = mail(app, told);
    BacktestTransition {
        at: told.at.as_millis(),
        contributor: told.contributor.as_ref().map(|one| one.attributes.clone()).unwrap_or_default(),
        from: told.from.name().to_owned(),
        to: told.to.name().to_owned(),
        reason: told.reason.clone(),
        value: told.value,
        window: told.window.map(|(from, to)| (from.as_millis(), to.as_millis())),
        late_by_ms: told.late_by_ms,
        subject,
        text,
    }
}

/// The mail that would have been sent: subject and text.
fn mail(app: &App, told: &Transition) -> (String, String) {
    let delivery = Delivery {
        id: "backtest".to_owned(),
        created: told.at,
        topic: String::new(),
        endpoint: Endpoint::Email(BACKTEST_ADDRESS.to_owned()),
        unsubscribe_url: None,
        content: Content::Alarm(Box::new(told.clone())),
    };
    let mail = message::render(&delivery, &app.origin, Enclosure::default(), told.at);
    (mail.subject, mail.text)
}

/// Whom the shown mails would go to.
const BACKTEST_ADDRESS: &str = "backtest@localhost";
