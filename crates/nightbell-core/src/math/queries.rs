/*!
A list of entries that is in order: ids, references, what kind of result each entry has, and the rules of who asks.

Reads every expression once and finds an order in which each entry comes after those it needs. Holds no points; those
are `evaluate`'s business. Metrics Insights queries are seen as inputs: whether they are queries is decided elsewhere.
*/

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Fault, MathError};
use super::expression::{Expression, Node, Operator, check_length};
use super::function::{Function, Signature};
use super::{
    ALARM_EXPRESSIONS_MAX, ALARM_METRICS_MAX, ENTRIES_MAX, FORMULA_ENTRIES_MAX, ID_CHARS_MAX, MetricQuery,
    Queried,
};
use crate::metric::UNITS;
use crate::statistic::Statistic;

/// Periods under a minute, in seconds ("MetricStat", CloudWatch API Reference).
const SHORT_PERIODS_S: [i64; 5] = [1, 5, 10, 20, 30];
/// Shortest period of an alarm, in seconds ("PutMetricAlarm", CloudWatch API Reference).
const ALARM_PERIOD_MIN_S: i64 = 10;

/// What the entries are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'p> {
    /// `GetMetricData`.
    Data,
    /// An alarm with a threshold.
    Alarm,
    /// An alarm on a band.
    BandAlarm {
        /// Id of the entry that is the band.
        threshold_metric_id: &'p str,
    },
}

/// What an entry comes to, as far as the texts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that belongs to no period.
    Scalar,
    /// One series.
    Series,
    /// Any number of series.
    Array,
    /// An upper and a lower bound, in this order where it is used as an array.
    Band,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Scalar => "Scalar",
            Self::Series => "TimeSeries",
            Self::Array | Self::Band => "Array of TimeSeries",
        }
    }

    fn is_array(self) -> bool {
        matches!(self, Self::Array | Self::Band)
    }
}

/// Entries that refer to each other as they should.
#[derive(Clone, Debug)]
pub struct Queries {
    pub(super) entries: Vec<MetricQuery>,
    /// Place of each id.
    pub(super) places: BTreeMap<String, usize>,
    /// For each entry its expression, where it has one that is worked out here.
    pub(super) expressions: Vec<Option<Expression>>,
    /// For each entry the places of those it refers to.
    pub(super) references: Vec<Vec<usize>>,
    /// All places, each after those it refers to.
    pub(super) order: Vec<usize>,
    pub(super) kinds: Vec<Kind>,
}

impl Queries {
    /// Holds entries against all rules of the one who asks.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(entries: &[MetricQuery], purpose: Purpose<'_>) -> Result<Self, MathError> {
        let queries = Self::read(entries)?;
        queries.check_members(purpose)?;
        if entries.iter().filter(|entry| entry.select().is_some()).count() > 1 {
            return Err(MathError::new(Fault::Selects));
        }
        match purpose {
            Purpose::Data => {
                for entry in entries.iter().filter(|entry| entry.return_data) {
                    queries.check_not_scalar(entry)?;
                }
            }
            Purpose::Alarm | Purpose::BandAlarm { .. } => queries.check_alarm(purpose)?,
        }
        Ok(queries)
    }

    /// Reads entries that any purpose could have: their number, ids, expressions and references.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn read(entries: &[MetricQuery]) -> Result<Self, MathError> {
        if entries.is_empty() {
            return Err(MathError::new(Fault::Empty));
        }
        if entries.len() > ENTRIES_MAX {
            return Err(MathError::new(Fault::Entries));
        }
        let places = places(entries)?;
        let mut expressions = Vec::with_capacity(entries.len());
        let mut references = Vec::with_capacity(entries.len());
        for entry in entries {
            let of = |error: MathError| error.of(&entry.id);
            let expression = match (&entry.what, entry.select()) {
                (Queried::Stat(_), _) => None,
                (Queried::Expression(_), Some(select)) => check_length(select).map(|()| None).map_err(of)?,
                (Queried::Expression(text), None) => Some(Expression::parse(text).map_err(of)?),
            };
            let referred = expression.as_ref().map_or(Ok(Vec::new()), |it| references_of(it, &places));
            references.push(referred.map_err(of)?);
            expressions.push(expression);
        }
        let order =
            order(&references).map_err(|place| MathError::new(Fault::Cycle).of(&entries[place].id))?;
        let mut queries =
            Self { entries: entries.to_vec(), places, expressions, references, order, kinds: Vec::new() };
        queries.kinds = queries.find_kinds()?;
        Ok(queries)
    }

    /// The entries.
    pub fn entries(&self) -> &[MetricQuery] {
        &self.entries
    }

    /// What an entry comes to; `None` for an id that is none.
    pub fn kind(&self, id: &str) -> Option<Kind> {
        self.places.get(id).map(|place| self.kinds[*place])
    }

    /// The metric or expression and the width, in deviations, of the band that an entry is by itself, as
    /// `ThresholdMetricId` names one.
    pub fn band(&self, id: &str) -> Option<(&MetricQuery, f64)> {
        let expression = self.expressions[*self.places.get(id)?].as_ref()?;
        let Node::Call { signature, arguments, .. } = expression.root() else { return None };
        if signature.function != Function::Band {
            return None;
        }
        let Node::Id { name, .. } = &arguments[0] else { return None };
        let of = &self.entries[*self.places.get(name)?];
        Some((of, band_width(arguments)))
    }

    /// The period in seconds that all entries share, where they state one.
    pub fn period_s(&self) -> Option<i64> {
        self.entries.iter().find_map(stated_period_s)
    }

    /// The period that the points of an entry have: the longest that it, or an entry it needs, states; `None` where none
    /// states one.
    pub fn period_of(&self, id: &str) -> Option<i64> {
        let needed = self.needed(*self.places.get(id)?);
        needed.into_iter().filter_map(|place| stated_period_s(&self.entries[place])).max()
    }

    /// The entry and all that it needs, in the order of the list, without what does not change its values: labels and
    /// accounts. It alone returns data. This is what tells one expression from another.
    pub fn formula(&self, id: &str) -> Option<Vec<MetricQuery>> {
        let place = *self.places.get(id)?;
        let alone = |needed: usize| MetricQuery {
            label: None,
            account_id: None,
            return_data: needed == place,
            ..self.entries[needed].clone()
        };
        Some(self.needed(place).into_iter().map(alone).collect())
    }

    /// Whether there can be a band of what an entry comes to: one series, for which no query, no other band and at most
    /// [`FORMULA_ENTRIES_MAX`] entries are needed.
    pub fn can_be_learned(&self, id: &str) -> bool {
        let place = self.places.get(id).copied();
        place.is_some_and(|place| self.kinds[place] == Kind::Series && self.reads_metrics_only(place))
    }

    fn reads_metrics_only(&self, place: usize) -> bool {
        let needed = self.needed_up_to(place, FORMULA_ENTRIES_MAX + 1);
        let is_read = |needed: &usize| {
            let expression = self.expressions[*needed].as_ref();
            self.entries[*needed].select().is_none()
                && expression.is_none_or(|it| !it.root().calls(Function::Band))
        };
        needed.len() <= FORMULA_ENTRIES_MAX && needed.iter().all(is_read)
    }

    /// The places of an entry and of all that it needs, in the order of the list.
    fn needed(&self, place: usize) -> BTreeSet<usize> {
        self.needed_up_to(place, usize::MAX)
    }

    /// As many of these places as `count`, so that a long list costs no more.
    fn needed_up_to(&self, place: usize, count: usize) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = vec![place];
        while let Some(place) = open.pop().filter(|_| needed.len() < count) {
            if !needed.insert(place) {
                continue;
            }
            open.extend(&self.references[place]);
            if self.expressions[place].as_ref().is_some_and(|it| it.root().calls(Function::Metrics)) {
                open.extend((0..self.entries.len()).filter(|place| self.entries[*place].stat().is_some()));
            }
        }
        needed
    }

    fn find_kinds(&self) -> Result<Vec<Kind>, MathError> {
        let mut kinds = vec![Kind::Series; self.entries.len()];
        for place in &self.order {
            let entry = &self.entries[*place];
            kinds[*place] = match &self.expressions[*place] {
                Some(expression) => {
                    let known = Kinds { queries: self, kinds: &kinds };
                    known.of(expression.root()).map_err(|error| error.of(&entry.id))?
                }
                None if entry.select().is_some_and(groups) => Kind::Array,
                None => Kind::Series,
            };
        }
        Ok(kinds)
    }

    fn check_members(&self, purpose: Purpose<'_>) -> Result<(), MathError> {
        let period_min_s = if purpose == Purpose::Data { SHORT_PERIODS_S[0] } else { ALARM_PERIOD_MIN_S };
        for entry in &self.entries {
            let member =
                |field, rule: String| Err(MathError::new(Fault::Member { field, rule }).of(&entry.id));
            if let Some(period_s) = stated_period_s(entry).filter(|it| !is_period(*it, period_min_s)) {
                let short: Vec<String> = SHORT_PERIODS_S
                    .iter()
                    .filter(|it| **it >= period_min_s)
                    .map(ToString::to_string)
                    .collect();
                let rule = format!("must be {} or a multiple of 60. period={period_s}", short.join(", "));
                return member("Period", rule);
            }
            let Some(stat) = entry.stat() else { continue };
            if let Err(broken) = stat.series.check() {
                return member(broken.field, broken.rule);
            }
            if Statistic::parse(&stat.statistic).is_none() {
                return member(
                    "Stat",
                    format!("must be a statistic of the API. statistic={}", stat.statistic),
                );
            }
            if let Some(unit) = stat.unit.as_deref().filter(|unit| !UNITS.contains(unit)) {
                return member("Unit", format!("must be a unit of the API. unit={unit}"));
            }
        }
        Ok(())
    }

    fn check_alarm(&self, purpose: Purpose<'_>) -> Result<(), MathError> {
        let metrics = self.entries.iter().filter(|entry| entry.stat().is_some()).count();
        for (kind, count, max) in [
            ("MetricStat", metrics, ALARM_METRICS_MAX),
            ("Expression", self.entries.len() - metrics, ALARM_EXPRESSIONS_MAX),
        ] {
            if count > max {
                return Err(MathError::new(Fault::AlarmEntries { kind, max }));
            }
        }
        self.check_one_period()?;
        let returned: Vec<&MetricQuery> = self.entries.iter().filter(|entry| entry.return_data).collect();
        let threshold = match purpose {
            Purpose::BandAlarm { threshold_metric_id } => Some(threshold_metric_id),
            Purpose::Alarm | Purpose::Data => None,
        };
        if returned.len() != 1 + usize::from(threshold.is_some()) {
            return Err(MathError::new(Fault::ReturnData { two: threshold.is_some() }));
        }
        if let Some(id) = threshold
            && !(returned.iter().any(|entry| entry.id == id) && self.band(id).is_some())
        {
            return Err(MathError::new(Fault::Threshold));
        }
        returned
            .into_iter()
            .filter(|entry| threshold != Some(entry.id.as_str()))
            .try_for_each(|entry| self.check_watched(entry))
    }

    fn check_one_period(&self) -> Result<(), MathError> {
        let member = |rule: &str| Fault::Member { field: "Period", rule: rule.to_owned() };
        let Some(period_s) = self.period_s() else {
            return Err(MathError::new(member("must be stated by a metric or an expression")));
        };
        match self.entries.iter().find(|entry| stated_period_s(entry).is_some_and(|it| it != period_s)) {
            Some(other) => Err(MathError::new(member("must be the same for all elements")).of(&other.id)),
            None => Ok(()),
        }
    }

    /// What an alarm watches is one series, unless it is a query by itself.
    fn check_watched(&self, entry: &MetricQuery) -> Result<(), MathError> {
        self.check_not_scalar(entry)?;
        if self.kind(&entry.id).is_some_and(Kind::is_array) && entry.select().is_none() {
            return Err(MathError::new(Fault::SeveralSeries).of(&entry.id));
        }
        Ok(())
    }

    fn check_not_scalar(&self, entry: &MetricQuery) -> Result<(), MathError> {
        match self.kind(&entry.id) {
            Some(Kind::Scalar) => Err(MathError::new(Fault::ScalarResult).of(&entry.id)),
            _ => Ok(()),
        }
    }
}

/// The width that a call of `ANOMALY_DETECTION_BAND` states, in deviations.
pub(super) fn band_width(arguments: &[Node]) -> f64 {
    match arguments.get(1) {
        Some(Node::Number(width)) => *width,
        _ => 2.0, // the guide's default
    }
}

fn places(entries: &[MetricQuery]) -> Result<BTreeMap<String, usize>, MathError> {
    let mut places = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let id = entry.id.as_str();
        let sound = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && id.len() <= ID_CHARS_MAX;
        if !sound {
            let shown: String = id.chars().take(ID_CHARS_MAX).collect();
            return Err(MathError::new(Fault::IdForm).of(&shown));
        }
        if places.insert(id.to_owned(), place).is_some() {
            return Err(MathError::new(Fault::IdTwice).of(id));
        }
    }
    Ok(places)
}

fn stated_period_s(entry: &MetricQuery) -> Option<i64> {
    entry.stat().map(|stat| stat.period_s).or(entry.period_s)
}

fn is_period(period_s: i64, min_s: i64) -> bool {
    let short = SHORT_PERIODS_S.contains(&period_s) || (period_s >= 60 && period_s % 60 == 0);
    short && period_s >= min_s
}

fn references_of(expression: &Expression, places: &BTreeMap<String, usize>) -> Result<Vec<usize>, MathError> {
    let mut ids = Vec::new();
    expression.root().ids(&mut ids);
    let mut found = Vec::with_capacity(ids.len());
    for (id, at) in ids {
        match places.get(id) {
            Some(place) => found.push(*place),
            None => return Err(MathError::new(Fault::UnknownId(id.to_owned())).at(at)),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// All places, each after those it refers to; or a place that refers to itself, maybe by way of others.
fn order(references: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    let mut missing: Vec<usize> = references.iter().map(Vec::len).collect();
    let mut referring = vec![Vec::new(); references.len()];
    for (place, referred) in references.iter().enumerate() {
        referred.iter().for_each(|other| referring[*other].push(place));
    }
    let mut order: Vec<usize> = (0..references.len()).filter(|place| missing[*place] == 0).collect();
    let mut next = 0;
    while let Some(place) = order.get(next) {
        next += 1;
        for other in referring[*place].clone() {
            missing[other] -= 1;
            if missing[other] == 0 {
                order.push(other);
            }
        }
    }
    let Some(mut place) = missing.iter().position(|count| *count > 0) else { return Ok(order) };
    // What is left needs something that is left; as many steps as there are places end inside a circle.
    for _ in references {
        place = references[place].iter().copied().find(|other| missing[*other] > 0).unwrap_or(place);
    }
    Err(place)
}

/// Whether a query may have several results: the words GROUP BY stand in it, outside quotes.
fn groups(select: &str) -> bool {
    let mut quote = None;
    let outside: String = select
        .chars()
        .map(|c| match quote {
            Some(open) => {
                quote = (c != open).then_some(open);
                ' '
            }
            None => {
                quote = (c == '"' || c == '\'').then_some(c);
                if quote.is_some() { ' ' } else { c }
            }
        })
        .collect();
    let words: Vec<&str> =
        outside.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case("GROUP") && pair[1].eq_ignore_ascii_case("BY"))
}

/// The kinds of parts of an expression, once those of the entries it refers to are known.
struct Kinds<'q> {
    queries: &'q Queries,
    kinds: &'q [Kind],
}

impl Kinds<'_> {
    fn of(&self, node: &Node) -> Result<Kind, MathError> {
        match node {
            Node::Number(_) | Node::Text(_) | Node::Word(_) => Ok(Kind::Scalar),
            Node::Id { name, at } => match self.queries.places.get(name) {
                Some(place) => Ok(self.kinds[*place]),
                None => Err(MathError::new(Fault::UnknownId(name.clone())).at(*at)),
            },
            Node::Array { at, items } => {
                for item in items {
                    let kind = self.of(item)?;
                    if kind == Kind::Scalar {
                        let takes = "time series; TIME_SERIES makes one of a scalar";
                        return Err(operands("[]", &[kind], takes, *at));
                    }
                }
                Ok(Kind::Array)
            }
            Node::Negate(node) => self.of(node).map(as_array),
            Node::Power { base, at, exponent } => {
                joined(Operator::Power, self.of(base)?, self.of(exponent)?, *at)
            }
            Node::Chain { first, steps, .. } => {
                let first = self.of(first)?;
                steps
                    .iter()
                    .try_fold(first, |kind, step| joined(step.operator, kind, self.of(&step.node)?, step.at))
            }
            Node::Call { signature, at, arguments } => self.of_call(signature, *at, arguments),
        }
    }

    fn of_call(&self, signature: &Signature, at: usize, arguments: &[Node]) -> Result<Kind, MathError> {
        if let Function::Band | Function::Period = signature.function {
            return self.of_metric_call(signature, at, &arguments[0]);
        }
        let kinds = arguments.iter().map(|node| self.of(node)).collect::<Result<Vec<_>, _>>()?;
        let first = kinds.first().copied();
        let rest_scalar = kinds.iter().skip(1).all(|kind| *kind == Kind::Scalar);
        let array = first.is_some_and(Kind::is_array);
        let result = match signature.function {
            Function::Each(_) => first.map(as_array),
            Function::Along(_) => first.filter(|kind| *kind != Kind::Scalar).map(as_array),
            Function::Fold(_) if array => Some(Kind::Series),
            Function::Fold(_) => (first == Some(Kind::Series)).then_some(Kind::Scalar),
            Function::Clock(_) => first.filter(|kind| *kind == Kind::Series),
            Function::Fill => {
                let fill = kinds.get(1).is_some_and(|kind| !kind.is_array());
                first.filter(|kind| *kind != Kind::Scalar && fill).map(as_array)
            }
            Function::If if kinds.iter().any(|kind| kind.is_array()) => None,
            Function::If => {
                Some(kinds.iter().copied().find(|it| *it == Kind::Series).unwrap_or(Kind::Scalar))
            }
            Function::TimeSeries => (first == Some(Kind::Scalar)).then_some(Kind::Series),
            Function::Metrics => Some(Kind::Array),
            Function::MetricCount => array.then_some(Kind::Scalar),
            Function::First | Function::Last => array.then_some(Kind::Series),
            Function::Slice | Function::Sort => (array && rest_scalar).then_some(Kind::Array),
            Function::RemoveEmpty => array.then_some(Kind::Array),
            Function::Band | Function::Period => None, // decided above
        };
        result.ok_or_else(|| operands(signature.name, &kinds, signature.takes, at))
    }

    /// Functions of an entry rather than of points. A band is that of a metric or of an expression without queries; a
    /// period that of a metric or a query.
    fn of_metric_call(&self, signature: &Signature, at: usize, argument: &Node) -> Result<Kind, MathError> {
        let kind = self.of(argument)?;
        let Node::Id { name, .. } = argument else {
            return Err(operands(signature.name, &[kind], signature.takes, at));
        };
        let place = self.queries.places[name];
        let entry = &self.queries.entries[place];
        match signature.function {
            Function::Band if entry.stat().is_some() => Ok(Kind::Band),
            Function::Band if kind == Kind::Series && self.queries.reads_metrics_only(place) => {
                Ok(Kind::Band)
            }
            Function::Period if entry.stat().is_some() || entry.select().is_some() => Ok(Kind::Scalar),
            _ => {
                let fault = Fault::Arguments { function: signature.name, takes: signature.takes };
                Err(MathError::new(fault).at(at))
            }
        }
    }
}

/// What an operator on each series of a band leaves is no band.
fn as_array(kind: Kind) -> Kind {
    if kind.is_array() { Kind::Array } else { kind }
}

/// What an operator between two operands gives: the guide knows none between two arrays.
fn joined(operator: Operator, left: Kind, right: Kind, at: usize) -> Result<Kind, MathError> {
    match (left.is_array(), right.is_array()) {
        (true, true) => {
            let takes = "an array on one side only";
            Err(operands(operator.mark(), &[left, right], takes, at))
        }
        (false, false) if left == Kind::Scalar => Ok(right),
        (false, false) => Ok(Kind::Series),
        _ => Ok(Kind::Array),
    }
}

fn operands(of: &'static str, given: &[Kind], takes: &'static str, at: usize) -> MathError {
    let given: Vec<&str> = given.iter().map(|kind| kind.name()).collect();
    MathError::new(Fault::Operands { of, given: given.join(", "), takes }).at(at)
}
