/*!
The filters of one group run over a batch: events in, data points per series and second of event time out.

Holds no state between batches, so batches may be folded anywhere and in any order. Samples of matching events carry
evidence; default values of the others are counted, not looped over.
*/

use std::collections::BTreeMap;

use super::check::{CheckedFilter, Counted, Source};
use super::criteria::{Field, Origin};
use super::{DIMENSION_VALUE_BYTES_MAX, FilterError, MetricFilter};
use crate::distinct::key_of;
use crate::event::Batch;
use crate::evidence::{Evidence, Place};
use crate::fields::{FieldReader, Selector, Subject, Value};
use crate::metric::{Aggregate, Datum, Series};
use crate::pattern::plain_number;
use crate::ruleset::{RuleSet, Scratch};
use crate::time::Timestamp;

/// The account dimensions and criteria see until [`FilterSet::with_account`] names one: 12 digits.
const ACCOUNT_UNKNOWN: &str = "000000000000";

/// The metric filters of one group, compiled together.
#[derive(Debug)]
pub struct FilterSet {
    region: String,
    account: String,
    filters: Vec<Armed>,
    /// The filters that count events which do not match, so that a batch need not look at all to find them.
    defaulting: Vec<u32>,
    refused: Vec<(String, FilterError)>,
    rules: RuleSet,
}

#[derive(Debug)]
struct Armed {
    filter: MetricFilter,
    checked: CheckedFilter,
}

/// The samples of one filter in one second with one set of dimension values.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct CellKey {
    filter: u32,
    second: i64,
    /// In the order of the filter's dimensions.
    values: Vec<String>,
}

#[derive(Default)]
struct Cell {
    aggregate: Aggregate,
    evidence: Evidence,
}

/// When an event happened and arrived, and where it is stored.
#[derive(Clone, Copy)]
struct Seen {
    time: Timestamp,
    arrival: Timestamp,
    place: Option<Place>,
}

/// What one batch has come to.
#[derive(Default)]
struct Tally {
    cells: BTreeMap<CellKey, Cell>,
    /// Events by second.
    events: BTreeMap<i64, u64>,
    /// Matching events by filter and second, for filters with a default value.
    matches: BTreeMap<(u32, i64), u64>,
}

impl FilterSet {
    /// The set of `filters`, all of one group in `region`. Filters that do not pass [`MetricFilter::check`] take no part
    /// and are told by [`FilterSet::refused`].
    pub fn new(region: impl Into<String>, filters: Vec<MetricFilter>) -> Self {
        let mut armed = Vec::with_capacity(filters.len());
        let mut refused = Vec::new();
        for filter in filters {
            match filter.check() {
                Ok(checked) => armed.push(Armed { filter, checked }),
                Err(error) => refused.push((filter.name, error)),
            }
        }
        let numbered = armed.iter().enumerate().map(|(at, armed)| (at as u32, armed.checked.pattern.clone()));
        let rules = RuleSet::new(numbered);
        let defaulting =
            (0..).zip(&armed).filter(|(_, armed)| armed.filter.default.is_some()).map(|(at, _)| at).collect();
        let account = ACCOUNT_UNKNOWN.to_owned();
        Self { region: region.into(), account, filters: armed, defaulting, refused, rules }
    }

    /// Names the account (12 digits) that `@aws.account` stands for.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// How many filters take part.
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// Whether no filter takes part.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Filters that take no part, by name, and why.
    pub fn refused(&self) -> &[(String, FilterError)] {
        &self.refused
    }

    /// The data points of `batch`, sorted by series, second and unit; each combination once.
    /// `place` is where the batch's first event is stored, where that is known.
    pub fn fold(
        &self,
        batch: &Batch,
        place: Option<Place>,
        reader: &dyn FieldReader,
        scratch: &mut Scratch,
    ) -> Vec<Datum> {
        if self.filters.is_empty() {
            return Vec::new();
        }
        let origin = Origin { account: &self.account, region: &self.region, group: &batch.group.name };
        let mut tally = Tally::default();
        for (at, event) in (0..).zip(&batch.events) {
            let place = place.map(|place| Place { number: place.number.saturating_add(at), ..place });
            let seen = Seen { time: event.time, arrival: batch.arrival, place };
            let subject = Subject::new(&event.message, &batch.stream, reader);
            *tally.events.entry(event.time.second()).or_default() += 1;
            self.rules.hits(&subject, scratch, &mut |at| {
                let armed = &self.filters[at as usize];
                if armed.sees(batch.arrival, origin) {
                    tally.take(at, armed, &subject, seen);
                }
            });
        }
        for &at in &self.defaulting {
            let armed = &self.filters[at as usize];
            if let (true, Some(default)) = (armed.sees(batch.arrival, origin), armed.filter.default) {
                tally.take_defaults(at, default);
            }
        }
        self.data(tally, origin)
    }

    /// Joins cells that several filters have of one series and gives each its full name.
    fn data(&self, tally: Tally, origin: Origin<'_>) -> Vec<Datum> {
        let mut joined: BTreeMap<(Series, i64, Option<String>), Cell> = BTreeMap::new();
        for (key, cell) in tally.cells {
            let Armed { filter, checked } = &self.filters[key.filter as usize];
            let unit = filter.unit.clone().filter(|unit| unit != "None");
            let series = Series {
                region: self.region.clone(),
                namespace: filter.namespace.clone(),
                name: filter.metric.clone(),
                dimensions: dimensions(filter, checked, key.values, origin),
            };
            let into = joined.entry((series, key.second, unit)).or_default();
            if into.aggregate.is_empty() {
                *into = cell;
            } else {
                into.aggregate.merge(&cell.aggregate);
                into.evidence.merge(&cell.evidence);
            }
        }
        let datum = |((series, second, unit), cell): ((Series, i64, Option<String>), Cell)| Datum {
            series,
            second,
            unit,
            aggregate: cell.aggregate,
            evidence: cell.evidence,
        };
        joined.into_iter().map(datum).collect()
    }
}

impl Armed {
    /// Whether the filter counts a batch at all: it existed when the batch arrived, and the criteria hold.
    fn sees(&self, arrival: Timestamp, origin: Origin<'_>) -> bool {
        arrival >= self.filter.created
            && self.checked.criteria.as_ref().is_none_or(|criteria| criteria.hold(origin))
    }
}

impl Tally {
    /// Counts one matching event; nothing when its value or a dimension cannot be read.
    fn take(&mut self, at: u32, armed: &Armed, subject: &Subject<'_>, seen: Seen) {
        let second = seen.time.second();
        if armed.filter.default.is_some() {
            *self.matches.entry((at, second)).or_default() += 1;
        }
        let reading = Reading::new(&armed.checked, subject);
        let Some(sample) = reading.sample(&armed.checked.value) else { return };
        let mut values = Vec::with_capacity(armed.checked.dimensions.len());
        for (_, source) in &armed.checked.dimensions {
            let Some(text) = reading.text(source).filter(|text| !text.is_empty()) else { return };
            values.push(held_to_limit(text));
        }
        let cell = self.cells.entry(CellKey { filter: at, second, values }).or_default();
        match sample {
            Sample::Number(value) => cell.aggregate.add(value, 1.0),
            Sample::Key(key) => {
                cell.aggregate.add(1.0, 1.0);
                cell.aggregate.distinct.insert(key);
            }
        }
        cell.evidence.observe(subject, seen.time, seen.arrival, seen.place);
    }

    /// One default value for each event that did not match.
    fn take_defaults(&mut self, at: u32, default: f64) {
        for (&second, &events) in &self.events {
            let matched = self.matches.get(&(at, second)).copied().unwrap_or(0);
            if events > matched {
                let cell = self.cells.entry(CellKey { filter: at, second, values: Vec::new() }).or_default();
                cell.aggregate.add(default, (events - matched) as f64);
            }
        }
    }
}

/// One sample.
enum Sample {
    Number(f64),
    Key(u64),
}

/// Values and dimensions read from one matching event.
struct Reading<'s, 'm> {
    subject: &'s Subject<'m>,
    /// Every column as (`$name`, text), where the filter asks for any.
    columns: Vec<(String, String)>,
}

impl<'s, 'm> Reading<'s, 'm> {
    fn new(checked: &CheckedFilter, subject: &'s Subject<'m>) -> Self {
        let counted = match &checked.value {
            Counted::Number(source) => std::slice::from_ref(source),
            Counted::Keyed(sources) => sources,
        };
        let mut sources = checked.dimensions.iter().map(|(_, source)| source).chain(counted);
        let any_column = sources.any(|source| matches!(source, Source::Column(_)));
        let columns = if any_column { checked.pattern.extract(subject) } else { Vec::new() };
        Self { subject, columns }
    }

    /// What the event adds; `None` when its value or a part of its key cannot be read.
    fn sample(&self, counted: &Counted) -> Option<Sample> {
        match counted {
            Counted::Number(source) => self.number(source).map(Sample::Number),
            Counted::Keyed(sources) => {
                let parts: Option<Vec<String>> = sources.iter().map(|source| self.text(source)).collect();
                let parts = parts?;
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                Some(Sample::Key(key_of(&parts)))
            }
        }
    }

    fn number(&self, source: &Source) -> Option<f64> {
        match source {
            Source::Literal(number) => Some(*number),
            Source::Field(selector) => field_number(self.subject, selector),
            Source::Column(name) => plain_number(unquoted(self.column(name)?)),
            Source::Stream => None,
        }
    }

    fn text(&self, source: &Source) -> Option<String> {
        match source {
            Source::Literal(_) => None,
            Source::Field(selector) => self.subject.text(selector),
            Source::Column(name) => self.column(name).map(str::to_owned),
            Source::Stream => Some(self.subject.stream.to_owned()),
        }
    }

    fn column(&self, name: &str) -> Option<&str> {
        self.columns.iter().find(|(column, _)| column == name).map(|(_, text)| text.as_str())
    }
}

/// A number, or a text that is one.
fn field_number(subject: &Subject<'_>, selector: &Selector) -> Option<f64> {
    let mut found = None;
    subject.fields()?.visit(selector, &mut |value| {
        found = found.or(match value {
            Value::Number { number, .. } if number.is_finite() => Some(number),
            Value::Text(text) => plain_number(text),
            _ => None,
        });
    });
    found
}

/// The last column keeps the quotes it stands in.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn held_to_limit(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(DIMENSION_VALUE_BYTES_MAX));
    text
}

/// Names and values of a series' dimensions, sorted by name.
fn dimensions(
    filter: &MetricFilter,
    checked: &CheckedFilter,
    values: Vec<String>,
    origin: Origin<'_>,
) -> Vec<(String, String)> {
    let named = checked.dimensions.iter().map(|(name, _)| name.clone()).zip(values);
    let system = filter
        .emit_system_field_dimensions
        .iter()
        .filter_map(|name| Field::named(name).map(|field| (name.clone(), origin.get(field).to_owned())));
    let mut dimensions: Vec<(String, String)> = named.chain(system).collect();
    dimensions.sort();
    dimensions.dedup_by(|later, earlier| later.0 == earlier.0);
    dimensions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Group};
    use crate::fields::json::JsonReader;

    const ARRIVAL: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn filter(name: &str, default: Option<f64>, created: Timestamp) -> MetricFilter {
        MetricFilter {
            name: name.to_owned(),
            pattern: "HIT".to_owned(),
            namespace: "test".to_owned(),
            metric: name.to_owned(),
            value: "1".to_owned(),
            default,
            dimensions: BTreeMap::new(),
            unit: None,
            created,
            emit_system_field_dimensions: Vec::new(),
            field_selection_criteria: None,
        }
    }

    /// Name, sum and count of each data point of a batch with one event that matches and two that do not.
    fn folded(filters: Vec<MetricFilter>) -> Vec<(String, f64, f64)> {
        let group = Group { region: "r".to_owned(), name: "g".to_owned() };
        let events =
            ["HIT", "miss", "miss"].map(|message| Event { time: ARRIVAL, message: message.to_owned() });
        let batch = Batch { group, stream: "s".to_owned(), arrival: ARRIVAL, events: events.to_vec() };
        let data = FilterSet::new("r", filters).fold(&batch, None, &JsonReader, &mut Scratch::new());
        data.into_iter()
            .map(|datum| (datum.series.name, datum.aggregate.sum, datum.aggregate.count))
            .collect()
    }

    #[test]
    fn defaults_stand_for_the_events_that_do_not_match_of_filters_that_have_one() {
        let filters =
            vec![filter("a", None, ARRIVAL), filter("b", Some(5.0), ARRIVAL), filter("c", None, ARRIVAL)];
        let expected = [("a", 1.0, 1.0), ("b", 11.0, 3.0), ("c", 1.0, 1.0)];
        assert_eq!(folded(filters), expected.map(|(name, sum, count)| (name.to_owned(), sum, count)));
    }

    #[test]
    fn a_filter_made_after_a_batch_arrived_counts_neither_matches_nor_defaults() {
        let later = ARRIVAL.plus_millis(1);
        let filters =
            vec![filter("old", None, ARRIVAL), filter("new", None, later), filter("zero", Some(0.0), later)];
        assert_eq!(folded(filters), [("old".to_owned(), 1.0, 1.0)]);
    }

    #[test]
    fn criteria_that_do_not_hold_keep_a_filter_out() {
        let mut elsewhere = filter("elsewhere", Some(0.0), ARRIVAL);
        elsewhere.field_selection_criteria = Some("@aws.region = \"other\"".to_owned());
        assert_eq!(folded(vec![elsewhere]), []);
    }
}
