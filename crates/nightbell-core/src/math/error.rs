/*!
Why entries or an expression are refused.

The texts begin with the words of the live service where those are known (`Error in expression 'e1':`, `Invalid syntax`,
`Function 'X' not found`, `Invalid metrics list`, the two sentences on returned data, the one on the threshold and the
one on several series); what follows, and every other text, is *assumed*.
*/

use std::fmt;

use super::{ENTRIES_MAX, EVALUATION_POINTS_MAX, EXPRESSION_CHARS_MAX, EXPRESSION_DEPTH_MAX, ID_CHARS_MAX};

/// Why entries or an expression are refused; displays as what a client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MathError {
    /// What is wrong.
    pub fault: Fault,
    /// Id of the entry that it is about; an expression read on its own has none.
    pub entry: Option<String>,
    /// The character of the expression that it is about, counted from 1.
    pub at: Option<usize>,
}

/// What is wrong with entries or an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More than [`EXPRESSION_CHARS_MAX`] characters.
    Length,
    /// Nested deeper than [`EXPRESSION_DEPTH_MAX`].
    Depth,
    /// Something else stands where `expected` should.
    Syntax {
        /// What could stand there.
        expected: &'static str,
        /// What stands there, shortened.
        found: String,
    },
    /// A function of that name is not known.
    UnknownFunction(String),
    /// A function is given too few, too many or wrong arguments.
    Arguments {
        /// Its name.
        function: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// An operator or function is given scalars, series or arrays that it cannot work with.
    Operands {
        /// The operator or the function's name.
        of: &'static str,
        /// What it was given.
        given: String,
        /// What it takes.
        takes: &'static str,
    },
    /// No entry has this id.
    UnknownId(String),
    /// An entry needs its own result.
    Cycle,
    /// The result is a number and no series.
    ScalarResult,
    /// The result is several series where one is needed.
    SeveralSeries,
    /// There are no entries.
    Empty,
    /// More than [`ENTRIES_MAX`] entries.
    Entries,
    /// An alarm has too many entries of one kind.
    AlarmEntries {
        /// `MetricStat` or `Expression`.
        kind: &'static str,
        /// How many it may have.
        max: usize,
    },
    /// An id that is none.
    IdForm,
    /// Two entries of one id.
    IdTwice,
    /// Another number of entries should return data.
    ReturnData {
        /// Whether it is two, for an alarm on a band, rather than one.
        two: bool,
    },
    /// `ThresholdMetricId` names no band that returns data.
    Threshold,
    /// More than one SELECT.
    Selects,
    /// A metric, its statistic, its unit or a period breaks a limit.
    Member {
        /// The API's name of the parameter.
        field: &'static str,
        /// What it must be, ready to follow the name.
        rule: String,
    },
    /// Points came that do not lie on the grid of the evaluation, or the grid itself is none.
    Grid,
    /// More than [`EVALUATION_POINTS_MAX`] points.
    Points,
}

impl MathError {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, entry: None, at: None }
    }

    pub(super) fn at(self, at: usize) -> Self {
        Self { at: Some(at), ..self }
    }

    pub(super) fn of(self, entry: &str) -> Self {
        Self { entry: Some(entry.to_owned()), ..self }
    }

    /// The API's name of the parameter that it is about.
    pub fn field(&self) -> &'static str {
        match &self.fault {
            Fault::IdForm | Fault::IdTwice => "Id",
            Fault::ReturnData { .. } => "ReturnData",
            Fault::Threshold => "ThresholdMetricId",
            Fault::Member { field, .. } => field,
            Fault::Empty
            | Fault::Entries
            | Fault::AlarmEntries { .. }
            | Fault::Selects
            | Fault::Grid
            | Fault::Points => "Metrics",
            _ => "Expression",
        }
    }
}

impl std::error::Error for MathError {}

impl fmt::Display for MathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.entry, &self.fault) {
            // A sentence of the live service that names no entry.
            (_, Fault::SeveralSeries) => {}
            (Some(entry), _) if self.field() == "Expression" => write!(f, "Error in expression '{entry}': ")?,
            _ => {}
        }
        self.write_fault(f)?;
        self.at.map_or(Ok(()), |at| write!(f, " (at character {at})"))
    }
}

impl MathError {
    fn write_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.entry.as_deref().unwrap_or_default();
        match &self.fault {
            Fault::Length => write!(f, "Expressions have at most {EXPRESSION_CHARS_MAX} characters"),
            Fault::Depth => write!(f, "Expressions nest at most {EXPRESSION_DEPTH_MAX} deep"),
            Fault::Syntax { expected, found } => write!(f, "Invalid syntax: expected {expected}, found {found}"),
            Fault::UnknownFunction(name) => write!(f, "Function '{name}' not found"),
            Fault::Arguments { function, takes } => write!(f, "Function '{function}' takes {takes}"),
            Fault::Operands { of, given, takes } => {
                write!(f, "Unsupported operand type(s) for {of}: '[{given}]'; it takes {takes}")
            }
            Fault::UnknownId(id) => write!(f, "Unrecognized metric '{id}'"),
            Fault::Cycle => f.write_str("Circular dependency in the metrics list"),
            Fault::ScalarResult => {
                f.write_str("The result must be a time series and is a scalar; TIME_SERIES makes one of it")
            }
            Fault::SeveralSeries => f.write_str(
                "Metrics expression that return multi time series are only allowed for MetricsInsights expression",
            ),
            Fault::Empty => f.write_str("Invalid metrics list: it is empty"),
            Fault::Entries => write!(f, "Invalid metrics list: it has more than {ENTRIES_MAX} elements"),
            Fault::AlarmEntries { kind, max } => {
                write!(f, "Invalid metrics list: it has more than {max} elements with {kind}")
            }
            Fault::IdForm => write!(
                f,
                "Invalid metrics list: the id '{entry}' must be a lower-case letter followed by letters, digits and \
                 underscores, {ID_CHARS_MAX} characters at most"
            ),
            Fault::IdTwice => write!(f, "Invalid metrics list: the id '{entry}' is used more than once"),
            Fault::ReturnData { two: false } => {
                f.write_str("Exactly one element of the metrics list should return data.")
            }
            Fault::ReturnData { two: true } => {
                f.write_str("Exactly two elements of the metrics list should return data.")
            }
            Fault::Threshold => {
                f.write_str("Metrics list must contain exactly one metric matching the ThresholdMetricId parameter")
            }
            Fault::Selects => {
                f.write_str("Invalid metrics list: it has more than one Metrics Insights query")
            }
            Fault::Member { field, rule } if entry.is_empty() => write!(f, "{field} {rule}"),
            Fault::Member { field, rule } => write!(f, "{field} of '{entry}' {rule}"),
            Fault::Grid => write!(f, "The points of '{entry}' do not lie on the periods asked for"),
            Fault::Points => {
                write!(f, "The metrics list needs more than {EVALUATION_POINTS_MAX} data points")
            }
        }
    }
}
