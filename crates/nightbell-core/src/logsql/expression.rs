/*!
Expressions of a query: their form, and how they are read from words.

As read, an expression holds names; `resolve` replaces each by what it stands for at that place of the query, `evaluate`
works expressions out for a row. Sequences of operators are lists and never nested, so depth is bounded by
[`DEPTH_MAX`](super::DEPTH_MAX) alone.
*/

use super::aggregate::Aggregation;
use super::function::Function;
use super::lex::{Name, Span, Token, Words};
use super::period::Period;
use super::regex::Regex;
use super::{DEPTH_MAX, IN_VALUES_MAX, QueryError, REGEXES_MAX};
use crate::fields::Selector;

/// What may begin an operand, for errors.
const OPERAND: &str = "a field, a number, a text, a function or `(`";
/// Words that are no names unless they stand in back-ticks.
const RESERVED: [&str; 7] = ["and", "or", "not", "in", "like", "by", "as"];

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// Nothing: a name that stands for nothing.
    Nothing,
    Text(String),
    Number(f64),
    Bool(bool),
    /// A name, until it is resolved.
    Name(Name),
    System(System),
    /// A field of the event: the ways to it, in the order in which they are tried.
    Field(Vec<Selector>),
    /// A computed column, by its place.
    Column(usize),
    /// A part of the JSON text in a column.
    Member {
        column: usize,
        selector: Selector,
    },
    Call {
        function: Function,
        arguments: Vec<Expr>,
    },
    /// A function over many rows, until it is resolved.
    Aggregate {
        aggregation: Aggregation,
        span: Span,
    },
    /// An instant moved to the start of its period, or to its end.
    Round {
        up: bool,
        of: Box<Expr>,
        period: Period,
    },
    Negate(Box<Expr>),
    Chain {
        first: Box<Expr>,
        steps: Vec<(Arithmetic, Expr)>,
    },
    Compare {
        comparison: Comparison,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    In {
        of: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        of: Box<Expr>,
        what: Likeness,
        negated: bool,
    },
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
}

impl Expr {
    /// The same, to look at.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Nothing | Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Name(_) => Vec::new(),
            Self::System(_) | Self::Field(_) | Self::Column(_) | Self::Member { .. } => Vec::new(),
            Self::Aggregate { aggregation, .. } => aggregation.argument().into_iter().collect(),
            Self::Call { arguments, .. } => arguments.iter().collect(),
            Self::Round { of, .. } | Self::Negate(of) | Self::Not(of) | Self::Like { of, .. } => vec![of],
            Self::Chain { first, steps } => {
                let rest = steps.iter().map(|(_, step)| step);
                std::iter::once(first.as_ref()).chain(rest).collect()
            }
            Self::Compare { left, right, .. } => vec![left, right],
            Self::In { of, list, .. } => std::iter::once(of.as_ref()).chain(list).collect(),
            Self::All(parts) | Self::Any(parts) => parts.iter().collect(),
        }
    }

    /// The expressions directly inside it.
    pub(super) fn inside(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Nothing | Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Name(_) => Vec::new(),
            Self::System(_) | Self::Field(_) | Self::Column(_) | Self::Member { .. } => Vec::new(),
            Self::Aggregate { aggregation: Aggregation::Rows, .. } => Vec::new(),
            Self::Aggregate { aggregation: Aggregation::Of { argument, .. }, .. } => vec![argument],
            Self::Call { arguments, .. } => arguments.iter_mut().collect(),
            Self::Round { of, .. } | Self::Negate(of) | Self::Not(of) | Self::Like { of, .. } => vec![of],
            Self::Chain { first, steps } => {
                let rest = steps.iter_mut().map(|(_, step)| step);
                std::iter::once(first.as_mut()).chain(rest).collect()
            }
            Self::Compare { left, right, .. } => vec![left, right],
            Self::In { of, list, .. } => std::iter::once(of.as_mut()).chain(list).collect(),
            Self::All(parts) | Self::Any(parts) => parts.iter_mut().collect(),
        }
    }
}

/// A field that every event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Timestamp,
    Message,
    Stream,
    Log,
    Ingestion,
    Pointer,
}

impl System {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "@timestamp" => Self::Timestamp,
            "@message" => Self::Message,
            "@logStream" => Self::Stream,
            "@log" => Self::Log,
            "@ingestionTime" => Self::Ingestion,
            "@ptr" => Self::Pointer,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What `like` looks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Likeness {
    /// A text anywhere, compared with case.
    Part(String),
    Regex(Regex),
}

/// Reads expressions; counts what a query may have only so many of.
pub(super) struct Reader<'s> {
    pub(super) words: Words<'s>,
    depth: usize,
    regexes: usize,
}

impl<'s> Reader<'s> {
    pub(super) fn new(words: Words<'s>) -> Self {
        Self { words, depth: 0, regexes: 0 }
    }

    /// A whole expression: conditions joined by `or`.
    pub(super) fn expression(&mut self) -> Result<Expr, QueryError> {
        self.joined("or", Expr::Any, |reader| reader.joined("and", Expr::All, Self::condition))
    }

    /// A regular expression between slashes, or with `text` the one that a text holds.
    pub(super) fn regex(&mut self, captures: bool) -> Result<Option<Regex>, QueryError> {
        let span = self.words.span();
        let Some(source) = self.words.regex()? else { return Ok(None) };
        self.compiled(source, captures, self.words.since(span)).map(Some)
    }

    fn compiled(&mut self, source: &str, captures: bool, span: Span) -> Result<Regex, QueryError> {
        if self.regexes == REGEXES_MAX {
            let message = format!("a query has at most {REGEXES_MAX} regular expressions");
            return Err(self.words.error(span, message));
        }
        self.regexes += 1;
        Regex::compile(source, captures).map_err(|message| self.words.error(span, message))
    }

    fn joined(
        &mut self,
        word: &str,
        join: fn(Vec<Expr>) -> Expr,
        part: impl Fn(&mut Self) -> Result<Expr, QueryError>,
    ) -> Result<Expr, QueryError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.words.take_keyword(word)? {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { join(parts) })
    }

    fn condition(&mut self) -> Result<Expr, QueryError> {
        if self.words.take_keyword("not")? || self.words.take_mark("!")? {
            return Ok(Expr::Not(Box::new(self.nested(Self::condition)?)));
        }
        let left = self.sum()?;
        let comparison = match self.words.peek() {
            Token::Mark("=" | "==") => Comparison::Equal,
            Token::Mark("!=") => Comparison::Different,
            Token::Mark("<") => Comparison::Less,
            Token::Mark("<=") => Comparison::LessOrEqual,
            Token::Mark(">") => Comparison::Greater,
            Token::Mark(">=") => Comparison::GreaterOrEqual,
            _ => return self.likeness(left),
        };
        self.words.take()?;
        Ok(Expr::Compare { comparison, left: Box::new(left), right: Box::new(self.sum()?) })
    }

    /// What follows an operand that is not compared by a mark: `like`, `in`, or nothing.
    fn likeness(&mut self, left: Expr) -> Result<Expr, QueryError> {
        let of = Box::new(left);
        if self.words.take_mark("=~")? {
            return Ok(Expr::Like { of, what: self.like(true)?, negated: false });
        }
        let negated = self.words.take_keyword("not")?;
        if self.words.take_keyword("like")? {
            return Ok(Expr::Like { of, what: self.like(false)?, negated });
        }
        if self.words.take_keyword("in")? {
            return Ok(Expr::In { of, list: self.values()?, negated });
        }
        if negated { Err(self.words.wrong("`like` or `in` behind `not`")) } else { Ok(*of) }
    }

    fn like(&mut self, regex: bool) -> Result<Likeness, QueryError> {
        if let Some(found) = self.regex(false)? {
            return Ok(Likeness::Regex(found));
        }
        let span = self.words.span();
        if !matches!(self.words.peek(), Token::Text(_)) {
            return Err(self.words.wrong("a text in quotes or a regular expression between slashes"));
        }
        let Token::Text(text) = self.words.take()? else { return Err(self.words.wrong("a text")) };
        if regex { self.compiled(&text, false, span).map(Likeness::Regex) } else { Ok(Likeness::Part(text)) }
    }

    fn values(&mut self) -> Result<Vec<Expr>, QueryError> {
        let span = self.words.span();
        if !self.words.take_mark("[")? {
            return Err(self.words.wrong("`[`"));
        }
        let values = self.nested(|reader| reader.list("]", Self::sum))?;
        if values.len() > IN_VALUES_MAX {
            let message = format!("a list has at most {IN_VALUES_MAX} values");
            return Err(self.words.error(self.words.since(span), message));
        }
        Ok(values)
    }

    /// Items with commas between them, up to and with the mark that closes the list.
    fn list(
        &mut self,
        close: &'static str,
        item: impl Fn(&mut Self) -> Result<Expr, QueryError>,
    ) -> Result<Vec<Expr>, QueryError> {
        let mut items = Vec::new();
        if self.words.take_mark(close)? {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.words.take_mark(close)? {
                return Ok(items);
            }
            if !self.words.take_mark(",")? {
                return Err(self.words.wrong(if close == "]" { "`,` or `]`" } else { "`,` or `)`" }));
            }
        }
    }

    fn sum(&mut self) -> Result<Expr, QueryError> {
        let operators = [("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];
        self.chain(&operators, |reader| {
            let operators =
                [("*", Arithmetic::Multiply), ("/", Arithmetic::Divide), ("%", Arithmetic::Remainder)];
            reader.chain(&operators, Self::signed)
        })
    }

    fn chain(
        &mut self,
        operators: &[(&str, Arithmetic)],
        part: impl Fn(&mut Self) -> Result<Expr, QueryError>,
    ) -> Result<Expr, QueryError> {
        let first = part(self)?;
        let mut steps = Vec::new();
        'steps: loop {
            for (mark, operator) in operators {
                if self.words.take_mark(mark)? {
                    steps.push((*operator, part(self)?));
                    continue 'steps;
                }
            }
            break;
        }
        Ok(if steps.is_empty() { first } else { Expr::Chain { first: Box::new(first), steps } })
    }

    fn signed(&mut self) -> Result<Expr, QueryError> {
        if self.words.take_mark("-")? {
            let of = self.nested(Self::signed)?;
            return Ok(match of {
                Expr::Number(number) => Expr::Number(-number),
                of => Expr::Negate(Box::new(of)),
            });
        }
        let base = self.operand()?;
        if !self.words.take_mark("^")? {
            return Ok(base);
        }
        let exponent = self.nested(Self::signed)?;
        Ok(Expr::Chain { first: Box::new(base), steps: vec![(Arithmetic::Power, exponent)] })
    }

    fn operand(&mut self) -> Result<Expr, QueryError> {
        let span = self.words.span();
        match self.words.peek() {
            Token::Number(number) => {
                let number = *number;
                self.words.take()?;
                Ok(Expr::Number(number))
            }
            Token::Text(_) | Token::Name(_) => self.named(span),
            Token::Mark("(") => {
                self.words.take()?;
                let inner = self.nested(Self::expression)?;
                if self.words.take_mark(")")? {
                    Ok(inner)
                } else {
                    Err(self.words.wrong("an operator or `)`"))
                }
            }
            _ => Err(self.words.wrong(OPERAND)),
        }
    }

    fn named(&mut self, span: Span) -> Result<Expr, QueryError> {
        let keyword = self.words.keyword().map(str::to_ascii_lowercase);
        if keyword.as_deref().is_some_and(|word| RESERVED.contains(&word)) {
            return Err(self.words.wrong(OPERAND));
        }
        let calls = keyword.is_some() && self.words.calls();
        match (self.words.take()?, keyword) {
            (Token::Text(text), _) => Ok(Expr::Text(text)),
            (Token::Name(_), Some(function)) if calls => {
                self.words.take()?; // the parenthesis, which is why this is a call
                self.nested(|reader| reader.call(&function, span))
            }
            (Token::Name(_), Some(word)) if word == "true" || word == "false" => {
                Ok(Expr::Bool(word == "true"))
            }
            (Token::Name(name), _) => Ok(Expr::Name(name)),
            _ => Err(self.words.wrong(OPERAND)),
        }
    }

    fn call(&mut self, function: &str, span: Span) -> Result<Expr, QueryError> {
        match function {
            "bin" => {
                let name = Name {
                    parts: vec!["@timestamp".to_owned()],
                    text: "@timestamp".to_owned(),
                    quoted: false,
                    span,
                };
                return self.rounding(false, Expr::Name(name));
            }
            "datefloor" | "dateceil" => {
                let of = self.sum()?;
                if !self.words.take_mark(",")? {
                    return Err(self.words.wrong("`,` and a period such as 5m"));
                }
                return self.rounding(function == "dateceil", of);
            }
            _ => {}
        }
        if function == "count" && self.words.take_mark("*")? {
            if !self.words.take_mark(")")? {
                return Err(self.words.wrong("`)`"));
            }
            return Ok(Expr::Aggregate { aggregation: Aggregation::Rows, span: self.words.since(span) });
        }
        let arguments = self.list(")", Self::expression)?;
        let span = self.words.since(span);
        if let Some(aggregation) = Aggregation::named(function, &arguments) {
            let aggregation = aggregation.map_err(|takes| self.wrong_arguments(function, takes, span))?;
            return Ok(Expr::Aggregate { aggregation, span });
        }
        let Some(signature) = Function::named(function) else {
            let written = self.words.text(span).split('(').next().unwrap_or_default().trim_end();
            return Err(self.words.error(span, format!("there is no function `{written}`")));
        };
        if !(signature.least..=signature.most).contains(&arguments.len()) {
            return Err(self.wrong_arguments(signature.name, signature.takes, span));
        }
        Ok(Expr::Call { function: signature.function, arguments })
    }

    fn wrong_arguments(&self, function: &str, takes: &str, span: Span) -> QueryError {
        self.words.error(span, format!("`{function}` takes {takes}"))
    }

    /// A period and the parenthesis behind it.
    fn rounding(&mut self, up: bool, of: Expr) -> Result<Expr, QueryError> {
        let span = self.words.span();
        let (count, unit) = match self.words.peek() {
            Token::Count(text) => {
                let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                (digits.parse().unwrap_or(i64::MAX), text[digits.len()..].to_owned())
            }
            Token::Number(number) if number.fract() == 0.0 => {
                let count = *number as i64;
                self.words.take()?;
                (count, self.words.keyword().unwrap_or_default().to_owned())
            }
            _ => return Err(self.words.wrong("a period such as 5m")),
        };
        let Some(period) = Period::new(count, &unit) else {
            return Err(self.words.wrong("a period such as 5m, with a unit from ms to y"));
        };
        self.words.take()?;
        if !self.words.take_mark(")")? {
            return Err(self.words.error(self.words.since(span), "expected `)` behind the period"));
        }
        Ok(Expr::Round { up, of: Box::new(of), period })
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, QueryError>) -> Result<T, QueryError> {
        if self.depth == DEPTH_MAX {
            let message = format!("expressions nest at most {DEPTH_MAX} deep");
            return Err(self.words.error(self.words.span(), message));
        }
        self.depth += 1;
        let inner = read(self)?;
        self.depth -= 1;
        Ok(inner)
    }
}
