/*!
Works entries out: spreads what `points` does over scalars, series and arrays.

An entry is worked out once and its points are shared. Every point read or made counts towards one limit, which bounds
both time and memory whatever the expressions are. Kinds were checked by `queries`; what does not fit all the same
comes to nothing rather than to a panic.
*/

use std::rc::Rc;

use super::error::{Fault, MathError};
use super::expression::{Node, Operator};
use super::function::{Each, Fold, Function, Word};
use super::points;
use super::queries::{Kind, Queries, band_width};
use super::{
    Band, EVALUATION_POINTS_MAX, Grid, Inputs, Labelled, Line, MetricQuery, Outcome, Point, Timeline,
};

impl Queries {
    /// What the entry `id` comes to. Each entry is worked out once, however often it is referred to.
    ///
    /// # Errors
    /// A [`MathError`] when there is no such entry, when the inputs do not lie on their grid, or when more than
    /// [`EVALUATION_POINTS_MAX`] points are needed.
    pub fn evaluate(&self, id: &str, inputs: &dyn Inputs) -> Result<Outcome, MathError> {
        let unknown = || MathError::new(Fault::UnknownId(id.to_owned()));
        let place = *self.places.get(id).ok_or_else(unknown)?;
        let mut evaluation = Evaluation::new(self, inputs)?;
        evaluation.work_out(&[place])?;
        evaluation.outcome(place)
    }

    /// What all entries that return data come to, in their order.
    ///
    /// # Errors
    /// As [`Queries::evaluate`].
    pub fn evaluate_returned(&self, inputs: &dyn Inputs) -> Result<Vec<(&MetricQuery, Outcome)>, MathError> {
        let places: Vec<usize> =
            (0..self.entries.len()).filter(|place| self.entries[*place].return_data).collect();
        let mut evaluation = Evaluation::new(self, inputs)?;
        evaluation.work_out(&places)?;
        places.into_iter().map(|place| Ok((&self.entries[place], evaluation.outcome(place)?))).collect()
    }
}

/// What a part of an expression comes to.
#[derive(Clone)]
enum Value {
    Scalar(Point),
    Series(Line),
    Array(Vec<Line>),
    Band { upper: Line, lower: Line },
}

/// One side of an operator at every period.
enum Side<'v> {
    Number(Point),
    Points(&'v [Point]),
}

impl Side<'_> {
    fn point(&self, i: usize) -> Point {
        match self {
            Self::Number(point) => *point,
            Self::Points(points) => points.get(i).copied().flatten(),
        }
    }
}

impl Value {
    /// The series of it, where it has any.
    fn lines(self) -> Vec<Line> {
        match self {
            Self::Scalar(_) => Vec::new(),
            Self::Series(line) => vec![line],
            Self::Array(lines) => lines,
            Self::Band { upper, lower } => vec![upper, lower], // the guide: LAST is the lower bound
        }
    }

    fn number(&self) -> Point {
        match self {
            Self::Scalar(point) => *point,
            _ => None,
        }
    }

    fn is_array(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Band { .. })
    }

    fn side(&self) -> Side<'_> {
        match self {
            Self::Series(line) => Side::Points(&line.points),
            other => Side::Number(other.number()),
        }
    }
}

struct Evaluation<'q> {
    queries: &'q Queries,
    inputs: &'q dyn Inputs,
    grid: Grid,
    points_left: usize,
    /// What each entry comes to, once it is known.
    values: Vec<Option<Value>>,
}

impl<'q> Evaluation<'q> {
    fn new(queries: &'q Queries, inputs: &'q dyn Inputs) -> Result<Self, MathError> {
        let grid = inputs.grid();
        if grid.period_s <= 0 {
            return Err(MathError::new(Fault::Grid));
        }
        let values = vec![None; queries.entries.len()];
        Ok(Self { queries, inputs, grid, points_left: EVALUATION_POINTS_MAX, values })
    }

    /// Works out the entries at `places` and all they need.
    fn work_out(&mut self, places: &[usize]) -> Result<(), MathError> {
        let mut needed = vec![false; self.values.len()];
        let mut open = places.to_vec();
        while let Some(place) = open.pop() {
            if !std::mem::replace(&mut needed[place], true) {
                open.extend(&self.queries.references[place]);
            }
        }
        let queries = self.queries;
        for place in queries.order.iter().copied().filter(|place| needed[*place]) {
            let entry = &queries.entries[place];
            self.entry(place).map_err(|error| error.of(&entry.id))?;
        }
        Ok(())
    }

    /// What an entry comes to: known, read, or worked out now that what it refers to is known.
    fn entry(&mut self, place: usize) -> Result<Value, MathError> {
        if let Some(value) = &self.values[place] {
            let value = value.clone();
            if let Value::Array(lines) = &value {
                self.charge(lines.len())?;
            }
            return Ok(value);
        }
        let queries = self.queries;
        let value = match &queries.expressions[place] {
            Some(expression) => self.value(expression.root())?,
            None => self.input(place)?,
        };
        self.values[place] = Some(value.clone());
        Ok(value)
    }

    fn input(&mut self, place: usize) -> Result<Value, MathError> {
        let entry = &self.queries.entries[place];
        let mut lines = Vec::new();
        for Labelled { label, timeline } in self.inputs.timelines(&entry.id, entry) {
            lines.push(self.line(&label, timeline).map_err(|error| error.of(&entry.id))?);
        }
        if self.queries.kinds[place] == Kind::Array {
            return Ok(Value::Array(lines));
        }
        match lines.into_iter().next() {
            Some(line) => Ok(Value::Series(line)),
            None => self.made(&entry.id, |_| None).map(Value::Series),
        }
    }

    /// A series from outside.
    fn line(&mut self, label: &str, timeline: Timeline) -> Result<Line, MathError> {
        if timeline.grid() != self.grid {
            return Err(MathError::new(Fault::Grid));
        }
        self.charge(self.grid.points)?;
        let points =
            timeline.values.into_iter().map(|point| point.filter(|number| number.is_finite())).collect();
        Ok(Line { label: label.into(), points })
    }

    /// A series of points made for each period.
    fn made(&mut self, label: &str, point: impl FnMut(usize) -> Point) -> Result<Line, MathError> {
        self.charge(self.grid.points)?;
        Ok(Line { label: label.into(), points: (0..self.grid.points).map(point).collect() })
    }

    /// A series made of another one's points.
    fn remade(&mut self, line: &Line, make: impl FnOnce(&[Point]) -> Vec<Point>) -> Result<Line, MathError> {
        self.charge(self.grid.points)?;
        Ok(Line { label: Rc::clone(&line.label), points: make(&line.points).into() })
    }

    /// Counts points; a series counts one more, so that empty ones are not free.
    fn charge(&mut self, points: usize) -> Result<(), MathError> {
        let left = self.points_left.checked_sub(points.saturating_add(1));
        self.points_left = left.ok_or_else(|| MathError::new(Fault::Points))?;
        Ok(())
    }

    fn value(&mut self, node: &Node) -> Result<Value, MathError> {
        match node {
            Node::Number(number) => Ok(Value::Scalar(Some(*number))),
            Node::Text(_) | Node::Word(_) => Ok(Value::Scalar(None)),
            Node::Id { name, .. } => match self.queries.places.get(name) {
                Some(place) => self.entry(*place),
                None => Err(MathError::new(Fault::UnknownId(name.clone()))),
            },
            Node::Array { items, .. } => {
                let mut lines = Vec::new();
                for item in items {
                    let more = self.value(item)?.lines();
                    self.charge(more.len())?;
                    lines.extend(more);
                }
                Ok(Value::Array(lines))
            }
            Node::Negate(node) => {
                let value = self.value(node)?;
                self.each(value, |point| points::each(Each::Negate, point))
            }
            Node::Power { base, exponent, .. } => {
                let base = self.value(base)?;
                let exponent = self.value(exponent)?;
                self.operate(Operator::Power, base, exponent)
            }
            Node::Chain { first, steps, .. } => {
                let mut value = self.value(first)?;
                for step in steps {
                    let right = self.value(&step.node)?;
                    value = self.operate(step.operator, value, right)?;
                }
                Ok(value)
            }
            Node::Call { signature, arguments, .. } => self.call(signature.function, arguments),
        }
    }

    fn call(&mut self, function: Function, arguments: &[Node]) -> Result<Value, MathError> {
        match (function, arguments) {
            (Function::Metrics, _) => self.metrics(arguments.first()),
            (Function::Period, [Node::Id { name, .. }]) => Ok(Value::Scalar(self.period(name))),
            (Function::Band, [Node::Id { name, .. }, ..]) => self.band(name, band_width(arguments)),
            (Function::Each(each), [of]) => {
                let value = self.value(of)?;
                self.each(value, |point| points::each(each, point))
            }
            (Function::Along(along), [of]) => {
                let (value, grid) = (self.value(of)?, self.grid);
                self.remake(value, |points| points::along(along, points, grid))
            }
            (Function::Fold(fold), [of]) => {
                let value = self.value(of)?;
                self.fold(fold, value)
            }
            (Function::Clock(clock), [of]) => {
                let (value, grid) = (self.value(of)?, self.grid);
                self.remake(value, |_| points::clock(clock, grid))
            }
            (Function::Fill, [of, with]) => {
                let value = self.value(of)?;
                self.fill(value, with)
            }
            (Function::If, [condition, then, otherwise @ ..]) => {
                self.choose(condition, then, otherwise.first())
            }
            (Function::TimeSeries, [of]) => {
                let number = self.value(of)?.number();
                self.made("", |_| number).map(Value::Series)
            }
            (_, [of, rest @ ..]) => {
                let lines = self.value(of)?.lines();
                self.pick(function, lines, rest)
            }
            (_, []) => Ok(Value::Scalar(None)),
        }
    }

    /// METRICS: the metrics of the list, not its expressions; those whose id holds a text, where there is one.
    fn metrics(&mut self, text: Option<&Node>) -> Result<Value, MathError> {
        let queries = self.queries;
        let part = match text {
            Some(Node::Text(text)) => text.as_str(),
            _ => "",
        };
        self.charge(queries.entries.len())?;
        let mut lines = Vec::new();
        for (place, entry) in queries.entries.iter().enumerate() {
            if entry.stat().is_some() && entry.id.contains(part) {
                lines.extend(self.entry(place)?.lines());
            }
        }
        Ok(Value::Array(lines))
    }

    fn period(&self, id: &str) -> Point {
        let entry = &self.queries.entries[*self.queries.places.get(id)?];
        let stated = entry.stat().map(|stat| stat.period_s).or(entry.period_s);
        Some(stated.unwrap_or(self.grid.period_s) as f64)
    }

    /// The band of a metric or an expression; without points while there is no model.
    fn band(&mut self, id: &str, width: f64) -> Result<Value, MathError> {
        let queries = self.queries;
        let of = queries.places.get(id).copied().zip(queries.formula(id));
        let Some((place, formula)) = of else { return Ok(Value::Array(Vec::new())) };
        let label = queries.entries[place].label.as_deref().unwrap_or(id);
        let known = match self.entry(place)? {
            Value::Series(line) => self.timeline(&line),
            _ => Timeline { start: self.grid.start, period_s: self.grid.period_s, values: Vec::new() },
        };
        let (upper, lower) = (format!("{label} (upper)"), format!("{label} (lower)"));
        match self.inputs.band(&formula, width, &known) {
            Some(band) => Ok(Value::Band {
                upper: self.line(&upper, band.upper)?,
                lower: self.line(&lower, band.lower)?,
            }),
            None => {
                Ok(Value::Band { upper: self.made(&upper, |_| None)?, lower: self.made(&lower, |_| None)? })
            }
        }
    }

    /// A function of single points, over whatever it is given.
    fn each(&mut self, value: Value, make: impl Fn(Point) -> Point) -> Result<Value, MathError> {
        match value {
            Value::Scalar(point) => Ok(Value::Scalar(make(point))),
            value => self.remake(value, |points| points.iter().copied().map(&make).collect()),
        }
    }

    /// A function of a series' points, over a series or each of an array.
    fn remake(&mut self, value: Value, make: impl Fn(&[Point]) -> Vec<Point>) -> Result<Value, MathError> {
        if let Value::Series(line) = value {
            return self.remade(&line, make).map(Value::Series);
        }
        let lines = value.lines().iter().map(|line| self.remade(line, &make)).collect::<Result<_, _>>()?;
        Ok(Value::Array(lines))
    }

    fn operate(&mut self, operator: Operator, left: Value, right: Value) -> Result<Value, MathError> {
        if let (Value::Scalar(left), Value::Scalar(right)) = (&left, &right) {
            return Ok(Value::Scalar(points::operate(operator, *left, *right)));
        }
        if left.is_array() {
            let side = right.side();
            let make = |points: &[Point]| {
                let one = |(i, point): (usize, &Point)| points::operate(operator, *point, side.point(i));
                points.iter().enumerate().map(one).collect()
            };
            return self.remake(left, make);
        }
        let side = left.side();
        let make = |points: &[Point]| {
            let one = |(i, point): (usize, &Point)| points::operate(operator, side.point(i), *point);
            points.iter().enumerate().map(one).collect()
        };
        if right.is_array() {
            return self.remake(right, make);
        }
        let right_side = right.side();
        let label = match (&left, &right) {
            (Value::Series(line), _) | (_, Value::Series(line)) => Rc::clone(&line.label),
            _ => "".into(),
        };
        self.made(&label, |i| points::operate(operator, side.point(i), right_side.point(i)))
            .map(Value::Series)
    }

    /// An aggregate: of a series a number, of an array a series.
    fn fold(&mut self, fold: Fold, value: Value) -> Result<Value, MathError> {
        if let Value::Series(line) = &value {
            return Ok(Value::Scalar(points::fold(fold, &line.points)));
        }
        let lines = value.lines();
        self.charge(lines.len().saturating_mul(self.grid.points))?;
        let all: Vec<&[Point]> = lines.iter().map(|line| &*line.points).collect();
        self.made("", |i| points::fold_across(fold, &all, i)).map(Value::Series)
    }

    fn fill(&mut self, value: Value, with: &Node) -> Result<Value, MathError> {
        match with {
            Node::Word(Word::Repeat) => self.remake(value, points::repeat),
            Node::Word(Word::Linear) => self.remake(value, points::linear),
            with => {
                let with = self.value(with)?;
                let side = with.side();
                let make = |points: &[Point]| {
                    points.iter().enumerate().map(|(i, point)| point.or_else(|| side.point(i))).collect()
                };
                self.remake(value, make)
            }
        }
    }

    fn choose(
        &mut self,
        condition: &Node,
        then: &Node,
        otherwise: Option<&Node>,
    ) -> Result<Value, MathError> {
        let condition = self.value(condition)?;
        let then = self.value(then)?;
        let otherwise = otherwise.map_or(Ok(Value::Scalar(None)), |node| self.value(node))?;
        // The 0 of the guide's tables is for conditions and values that are series.
        let both = matches!((&condition, &then), (Value::Series(_), Value::Series(_)));
        let fill = both.then_some(0.0);
        let (when, yes, no) = (condition.side(), then.side(), otherwise.side());
        let choose = |i| points::choose(when.point(i), yes.point(i), fill, no.point(i));
        match [&condition, &then, &otherwise].iter().any(|value| matches!(value, Value::Series(_))) {
            true => self.made("", choose).map(Value::Series),
            false => Ok(Value::Scalar(choose(0))),
        }
    }

    /// Functions that take series out of an array.
    fn pick(&mut self, function: Function, mut lines: Vec<Line>, rest: &[Node]) -> Result<Value, MathError> {
        match function {
            Function::MetricCount => return Ok(Value::Scalar(Some(lines.len() as f64))),
            Function::RemoveEmpty => lines.retain(|line| line.points.iter().any(Option::is_some)),
            Function::First | Function::Last => {
                let line = if function == Function::First { lines.into_iter().next() } else { lines.pop() };
                return match line {
                    Some(line) => Ok(Value::Series(line)),
                    None => self.made("", |_| None).map(Value::Series),
                };
            }
            Function::Slice => {
                let from = self.index(rest.first(), 0)?;
                let to = self.index(rest.get(1), lines.len())?;
                lines = lines.into_iter().take(to).skip(from).collect();
            }
            Function::Sort => {
                lines = self.sort(lines, rest)?;
                let limit = self.index(rest.get(2), lines.len())?;
                lines.truncate(limit);
            }
            _ => {}
        }
        Ok(Value::Array(lines))
    }

    /// Series in order of an aggregate; those that have none come last, and equal ones stay as they were.
    fn sort(&mut self, lines: Vec<Line>, rest: &[Node]) -> Result<Vec<Line>, MathError> {
        let [Node::Word(Word::Fold(by)), Node::Word(order), ..] = rest else { return Ok(lines) };
        self.charge(lines.len().saturating_mul(self.grid.points))?;
        let descends = *order == Word::Descending;
        let mut keyed: Vec<(Point, Line)> =
            lines.into_iter().map(|line| (points::fold(*by, &line.points), line)).collect();
        keyed.sort_by(|(a, _), (b, _)| match (a, b) {
            (Some(a), Some(b)) if descends => b.total_cmp(a),
            (Some(a), Some(b)) => a.total_cmp(b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
        Ok(keyed.into_iter().map(|(_, line)| line).collect())
    }

    /// A place in an array: rounded down, from 0 to as far as a number goes; `absent` where none is given.
    fn index(&mut self, node: Option<&Node>, absent: usize) -> Result<usize, MathError> {
        let Some(node) = node else { return Ok(absent) };
        Ok(self.value(node)?.number().map_or(absent, |number| number as usize))
    }

    fn outcome(&mut self, place: usize) -> Result<Outcome, MathError> {
        let entry = &self.queries.entries[place];
        let value = self.entry(place)?;
        if let Value::Scalar(point) = value {
            return Ok(Outcome::Scalar(point));
        }
        if let Value::Band { upper, lower } = value {
            return Ok(Outcome::Band(Band { lower: self.timeline(&lower), upper: self.timeline(&upper) }));
        }
        let one = matches!(value, Value::Series(_));
        let own = self.queries.expressions[place].is_some();
        let lines = value.lines();
        self.charge(lines.len().saturating_mul(self.grid.points))?;
        let labelled = lines.iter().map(|line| {
            let label = match own {
                true => label(entry, one, &line.label),
                false => line.label.to_string(),
            };
            Labelled { label, timeline: self.timeline(line) }
        });
        Ok(Outcome::Series(labelled.collect()))
    }

    fn timeline(&self, line: &Line) -> Timeline {
        Timeline { start: self.grid.start, period_s: self.grid.period_s, values: line.points.to_vec() }
    }
}

/// What a result is called: by the entry's label or id; each series of an array by that and its own label, as the guide
/// has it for legends.
fn label(entry: &MetricQuery, one: bool, line: &str) -> String {
    let own = entry.label.as_deref();
    match (one, own) {
        (true, Some(own)) if !own.is_empty() => own.to_owned(),
        (true, _) => entry.id.clone(),
        (false, own) => format!("{} {line}", own.unwrap_or(&entry.id)).trim().to_owned(),
    }
}
