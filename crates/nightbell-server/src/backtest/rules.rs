/*!
What a backtest tries: alarms and filters as they came with the request, or an alarm that stands with all that counts for
it. A composite alarm brings the alarms it is made of, down to those on metrics, and its suppressor's.
*/

use std::collections::{BTreeMap, HashSet};

use nightbell_core::alarm::composite::CompositeAlarm;
use nightbell_core::alarm::{Measure, MetricAlarm};
use nightbell_core::anomaly::AnomalyDetector;
use nightbell_core::event::Group;
use nightbell_core::filter::MetricFilter;
use nightbell_core::insights::{Condition, Query};
use nightbell_core::mute::MuteRule;
use nightbell_core::records;
use nightbell_core::watch::{Input, Needed, Watch};

use super::{BACKTEST_ALARMS_MAX, BACKTEST_RUNS_MAX, BacktestRequest};
use crate::aws::{self, Cx};
use crate::manage::composites::{self, Either};
use crate::manage::{Refusal, detectors, filters, groups, mutes};

/// A filter and the group it is in.
pub(super) type Placed = (Group, MetricFilter);

/// Everything that is tried.
pub(super) struct Trial {
    /// The filters that make the data.
    pub(super) filters: Vec<Placed>,
    /// The rule in its variants; at least one.
    pub(super) variants: Vec<Variant>,
    /// Mute rules of the region.
    pub(super) mutes: Vec<MuteRule>,
    /// How anomaly detectors of the bands are configured.
    pub(super) detectors: Vec<AnomalyDetector>,
    /// Groups whose record numbers an alarm asks for; `None` where none does.
    pub(super) recorded: Option<Recorded>,
}

/// Of which groups record numbers are asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Recorded {
    /// Of these.
    Of(HashSet<String>),
    /// Of all.
    All,
}

/// A rule as it is tried once.
pub(super) struct Variant {
    /// Its threshold, where it has one.
    pub(super) threshold: Option<f64>,
    /// The ARN of the alarm that is tried.
    pub(super) tried: String,
    /// Alarms on metrics: it, or those it is made of.
    pub(super) alarms: Vec<MetricAlarm>,
    /// Composite alarms, each after those it depends on.
    pub(super) composites: Vec<CompositeAlarm>,
}

impl Trial {
    /// What `request` asks for.
    pub(super) fn of(cx: &Cx, request: &BacktestRequest) -> Result<Self, Refusal> {
        let given = || request.alarms.iter().map(|alarm| aws::cloudwatch::given(cx, alarm));
        let variants = match &request.alarm {
            None => given().map(|alarm| alarm.map(Variant::alone)).collect::<Result<Vec<_>, _>>()?,
            Some(name) => standing(cx, name, &request.thresholds)?,
        };
        let count = variants.len();
        if count == 0 || count > BACKTEST_RUNS_MAX {
            return Err(Refusal::Invalid(format!(
                "alarms: {count}; a backtest tries 1 to {BACKTEST_RUNS_MAX}"
            )));
        }
        let filters = match &request.alarm {
            None => {
                let given = request.filters.iter().map(|filter| aws::filters::given(cx, filter));
                given.collect::<Result<Vec<_>, _>>()?
            }
            Some(_) => counting(cx, &variants)?,
        };
        let recorded = recorded(&variants);
        let asked = filters.iter().map(|(group, _)| group.name.clone());
        let asked: HashSet<String> = match &recorded {
            Some(Recorded::Of(names)) => asked.chain(names.iter().cloned()).collect(),
            Some(Recorded::All) | None => asked.collect(),
        };
        for name in asked {
            check_group(cx, &name)?;
        }
        let mutes = mutes::list(&cx.app.records, &cx.region)?;
        let detectors = detectors_of(cx, &variants)?;
        Ok(Self { filters, variants, mutes, detectors, recorded })
    }

    /// All alarms on metrics, of all variants.
    pub(super) fn alarms(&self) -> impl Iterator<Item = &MetricAlarm> {
        self.variants.iter().flat_map(|variant| &variant.alarms)
    }

    /// The periods, in seconds, of the alarms that look at this.
    pub(super) fn periods_of(&self, need: &Needed) -> Vec<i64> {
        let looking = self.alarms().filter(|alarm| Watch::needs(alarm).contains(need));
        let mut periods: Vec<i64> = looking.map(|alarm| alarm.period_s).collect();
        periods.sort_unstable();
        periods.dedup();
        periods
    }

    /// What all alarms look at, each once.
    pub(super) fn needs(&self) -> Vec<Needed> {
        let mut needed: Vec<Needed> = self.alarms().flat_map(Watch::needs).collect();
        needed.sort();
        needed.dedup();
        needed
    }
}

impl Variant {
    fn alone(alarm: MetricAlarm) -> Self {
        let threshold = alarm.band.is_none().then_some(alarm.threshold);
        Self { threshold, tried: alarm.arn.clone(), alarms: vec![alarm], composites: Vec::new() }
    }

    /// Whether what is tried counts per contributor.
    pub(super) fn has_contributors(&self) -> bool {
        let tried = self.alarms.iter().find(|alarm| alarm.arn == self.tried);
        tried.is_some_and(|alarm| matches!(alarm.measure, Measure::Query(_)))
    }
}

/// An alarm that stands, once for each threshold.
fn standing(cx: &Cx, name: &str, thresholds: &[f64]) -> Result<Vec<Variant>, Refusal> {
    let refused = |kind: &str| {
        Err(Refusal::Invalid(format!("threshold: {name} is {kind}, which has no threshold to try")))
    };
    match composites::find_either(&cx.app.records, &cx.region, name)? {
        Either::Composite(_) if !thresholds.is_empty() => refused("a composite alarm"),
        Either::Metric(alarm) if alarm.band.is_some() && !thresholds.is_empty() => {
            refused("an alarm on an anomaly band")
        }
        Either::Metric(alarm) if thresholds.is_empty() => Ok(vec![Variant::alone(alarm)]),
        Either::Metric(alarm) => {
            let at = |threshold: &f64| MetricAlarm { threshold: *threshold, ..alarm.clone() };
            Ok(thresholds.iter().map(at).map(Variant::alone).collect())
        }
        Either::Composite(top) => Ok(vec![family(cx, top)?]),
    }
}

/// A composite alarm with all that it depends on.
fn family(cx: &Cx, top: CompositeAlarm) -> Result<Variant, Refusal> {
    let tried = top.arn.clone();
    let mut alarms = Vec::new();
    let mut found: BTreeMap<String, CompositeAlarm> = BTreeMap::new();
    let mut seen: HashSet<String> = HashSet::from([tried.clone()]);
    let mut open = vec![top];
    while let Some(composite) = open.pop() {
        for arn in depends_on(&composite) {
            if !seen.insert(arn.clone()) {
                continue;
            }
            if seen.len() > BACKTEST_ALARMS_MAX {
                return Err(Refusal::Limit(format!(
                    "{tried} depends on more than {BACKTEST_ALARMS_MAX} alarms, the limit of a backtest"
                )));
            }
            let name = arn.splitn(7, ':').nth(6).unwrap_or(&arn);
            match composites::find_either(&cx.app.records, &cx.region, name) {
                Ok(Either::Metric(alarm)) => alarms.push(alarm),
                Ok(Either::Composite(alarm)) => open.push(alarm),
                Err(Refusal::Missing(_)) => {} // as for the rule itself: an alarm without a state
                Err(other) => return Err(other),
            }
        }
        found.insert(composite.arn.clone(), composite);
    }
    Ok(Variant { threshold: None, tried, alarms, composites: in_order(found) })
}

fn depends_on(composite: &CompositeAlarm) -> impl Iterator<Item = String> {
    let suppressor = composite.suppressor.as_ref().map(|suppressor| suppressor.alarm_arn.clone());
    composites::children(composite).into_iter().chain(suppressor)
}

/// Each after its children; rules hold no circles.
fn in_order(mut left: BTreeMap<String, CompositeAlarm>) -> Vec<CompositeAlarm> {
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_ready = |alarm: &&CompositeAlarm| {
            !composites::children(alarm).iter().any(|child| left.contains_key(child))
        };
        let ready: Vec<String> = left.values().filter(is_ready).map(|alarm| alarm.arn.clone()).collect();
        if ready.is_empty() {
            sorted.extend(std::mem::take(&mut left).into_values());
        }
        sorted.extend(ready.iter().filter_map(|arn| left.remove(arn)));
    }
    sorted
}

/// The filters of the region that count for what the alarms look at.
fn counting(cx: &Cx, variants: &[Variant]) -> Result<Vec<Placed>, Refusal> {
    let needed: HashSet<(String, String)> = variants
        .iter()
        .flat_map(|variant| &variant.alarms)
        .flat_map(Watch::needs)
        .map(|need| {
            let (namespace, name) = metric_of(&need);
            (namespace.to_owned(), name.to_owned())
        })
        .collect();
    let found = filters::list_region(&cx.app.records, &cx.region)?;
    let counts = |filter: &MetricFilter| needed.contains(&(filter.namespace.clone(), filter.metric.clone()));
    let placed = found.into_iter().filter(|(_, filter)| counts(filter));
    Ok(placed.map(|(group, filter)| (cx.group(&group), filter)).collect())
}

/// Namespace and name of the metric that is needed.
pub(super) fn metric_of(need: &Needed) -> (&str, &str) {
    match need {
        Needed::Series(series) => (&series.namespace, &series.name),
        Needed::Metric { namespace, name, .. } => (namespace, name),
    }
}

/// Of which groups record numbers are asked for.
fn recorded(variants: &[Variant]) -> Option<Recorded> {
    let mut names = HashSet::new();
    let mut any = false;
    for alarm in variants.iter().flat_map(|variant| &variant.alarms) {
        if !Watch::needs(alarm).iter().any(|need| metric_of(need).0 == records::NAMESPACE) {
            continue;
        }
        any = true;
        match group_in(alarm) {
            Some(name) => names.insert(name),
            None => return Some(Recorded::All),
        };
    }
    any.then_some(Recorded::Of(names))
}

/// The one group whose gaps an alarm counts; `None` where that may be several.
fn group_in(alarm: &MetricAlarm) -> Option<String> {
    const DIMENSION: &str = "LogGroup";
    match &alarm.measure {
        Measure::Query(query) => match Query::parse(&query.text).ok()?.conditions? {
            Condition::Equals(name, value) if name == DIMENSION => Some(value),
            Condition::All(parts) => parts.into_iter().find_map(|part| match part {
                Condition::Equals(name, value) if name == DIMENSION => Some(value),
                _ => None,
            }),
            _ => None,
        },
        Measure::Series(single) => {
            let mut dimensions = single.series.dimensions.iter();
            dimensions.find(|(name, _)| name == DIMENSION).map(|(_, value)| value.clone())
        }
        Measure::Expression(_) => None,
    }
}

fn check_group(cx: &Cx, name: &str) -> Result<(), Refusal> {
    match groups::find(&cx.app.records, &cx.group(name)) {
        Ok(_) => Ok(()),
        Err(Refusal::Missing(_)) => Err(Refusal::Invalid(format!(
            "there is no log group {name:?} in {}; name the group of the events with --group",
            cx.region
        ))),
        Err(other) => Err(other),
    }
}

/// The detectors behind the bands, where they are configured.
fn detectors_of(cx: &Cx, variants: &[Variant]) -> Result<Vec<AnomalyDetector>, Refusal> {
    let mut found: Vec<AnomalyDetector> = Vec::new();
    let nothing = Watch::new(&cx.app.account);
    for alarm in variants.iter().flat_map(|variant| &variant.alarms) {
        for key in nothing.untaught(&Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() }) {
            let watched = key.watched();
            if !found.iter().any(|known| known.watched == watched) {
                found.extend(detectors::find(&cx.app.records, &watched)?);
            }
        }
    }
    Ok(found)
}
