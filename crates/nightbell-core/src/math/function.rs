/*!
The functions of metric math: their names and what they are called with.

Functions of one shape share a variant: what they do to points is in `points`, how they are spread over arrays in
`evaluate`, which of scalar, series and array they take in `queries`.
*/

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// Each point on its own.
    Each(Each),
    /// Each point with those before it.
    Along(Along),
    /// All points of a series to a number, or the series of an array to one series.
    Fold(Fold),
    /// The time of each period.
    Clock(Clock),
    Band,
    Fill,
    First,
    If,
    Last,
    MetricCount,
    Metrics,
    Period,
    RemoveEmpty,
    Slice,
    Sort,
    TimeSeries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    Abs,
    Ceil,
    Floor,
    Log,
    Log10,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    Diff,
    DiffTime,
    Rate,
    RunningSum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Average,
    Count,
    Deviation,
    Maximum,
    Minimum,
    Sum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Date,
    Day,
    Epoch,
    Hour,
    Minute,
    Month,
    Year,
}

impl Fold {
    const fn name(self) -> &'static str {
        match self {
            Self::Average => "AVG",
            Self::Count => "DATAPOINT_COUNT",
            Self::Deviation => "STDDEV",
            Self::Maximum => "MAX",
            Self::Minimum => "MIN",
            Self::Sum => "SUM",
        }
    }
}

/// A word that is an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Ascending,
    Descending,
    Fold(Fold),
    Linear,
    Repeat,
}

impl Word {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
            Self::Fold(fold) => fold.name(),
            Self::Linear => "LINEAR",
            Self::Repeat => "REPEAT",
        }
    }
}

const FILL_WORDS: [Word; 2] = [Word::Linear, Word::Repeat];
const FOLD_WORDS: [Word; 4] =
    [Word::Fold(Fold::Average), Word::Fold(Fold::Maximum), Word::Fold(Fold::Minimum), Word::Fold(Fold::Sum)];
const ORDER_WORDS: [Word; 2] = [Word::Ascending, Word::Descending];

/// How a function is called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) function: Function,
    /// Fewest and most arguments.
    pub(super) least: usize,
    pub(super) most: usize,
    /// What it takes, for errors.
    pub(super) takes: &'static str,
}

impl Signature {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        SIGNATURES.iter().find(|signature| signature.name == name)
    }

    /// The words that the argument at `index` may be, and whether it must be one.
    pub(super) fn words(&self, index: usize) -> (&'static [Word], bool) {
        match (self.function, index) {
            (Function::Fill, 1) => (&FILL_WORDS, false),
            (Function::Sort, 1) => (&FOLD_WORDS, true),
            (Function::Sort, 2) => (&ORDER_WORDS, true),
            _ => (&[], false),
        }
    }

    /// Whether the argument at `index` must be the id of an entry.
    pub(super) fn wants_id(&self, index: usize) -> bool {
        index == 0 && matches!(self.function, Function::Band | Function::Period)
    }

    /// Whether the argument at `index` must be a positive number, written out.
    pub(super) fn wants_number(&self, index: usize) -> bool {
        index == 1 && self.function == Function::Band
    }
}

const SERIES_OR_ARRAY: &str = "a time series or an array of them";
const ARRAY: &str = "an array of time series";

const fn one(name: &'static str, function: Function, takes: &'static str) -> Signature {
    Signature { name, function, least: 1, most: 1, takes }
}

const fn each(name: &'static str, each: Each) -> Signature {
    one(name, Function::Each(each), "a scalar, a time series or an array of them")
}

const fn along(name: &'static str, along: Along) -> Signature {
    one(name, Function::Along(along), SERIES_OR_ARRAY)
}

const fn fold(fold: Fold) -> Signature {
    one(fold.name(), Function::Fold(fold), SERIES_OR_ARRAY)
}

const fn clock(name: &'static str, clock: Clock) -> Signature {
    one(name, Function::Clock(clock), "a time series")
}

const SIGNATURES: [Signature; 34] = [
    each("ABS", Each::Abs),
    each("CEIL", Each::Ceil),
    each("FLOOR", Each::Floor),
    each("LOG", Each::Log),
    each("LOG10", Each::Log10),
    along("DIFF", Along::Diff),
    along("DIFF_TIME", Along::DiffTime),
    along("RATE", Along::Rate),
    along("RUNNING_SUM", Along::RunningSum),
    fold(Fold::Average),
    fold(Fold::Count),
    fold(Fold::Maximum),
    fold(Fold::Minimum),
    fold(Fold::Deviation),
    fold(Fold::Sum),
    clock("DATE", Clock::Date),
    clock("DAY", Clock::Day),
    clock("EPOCH", Clock::Epoch),
    clock("HOUR", Clock::Hour),
    clock("MINUTE", Clock::Minute),
    clock("MONTH", Clock::Month),
    clock("YEAR", Clock::Year),
    Signature {
        name: "ANOMALY_DETECTION_BAND",
        function: Function::Band,
        least: 1,
        most: 2,
        takes: "the id of a metric or of an expression with one result, and a positive number",
    },
    Signature {
        name: "FILL",
        function: Function::Fill,
        least: 2,
        most: 2,
        takes: "a time series or an array of them, and a scalar, a time series, REPEAT or LINEAR",
    },
    one("FIRST", Function::First, ARRAY),
    Signature {
        name: "IF",
        function: Function::If,
        least: 2,
        most: 3,
        takes: "a condition and one or two values, each a scalar or a time series",
    },
    one("LAST", Function::Last, ARRAY),
    one("METRIC_COUNT", Function::MetricCount, ARRAY),
    Signature { name: "METRICS", function: Function::Metrics, least: 0, most: 1, takes: "nothing or a text" },
    one("PERIOD", Function::Period, "the id of a metric"),
    one("REMOVE_EMPTY", Function::RemoveEmpty, ARRAY),
    Signature {
        name: "SLICE",
        function: Function::Slice,
        least: 2,
        most: 3,
        takes: "an array of time series and one or two scalars",
    },
    Signature {
        name: "SORT",
        function: Function::Sort,
        least: 3,
        most: 4,
        takes: "an array of time series, AVG, MAX, MIN or SUM, ASC or DESC, and a scalar",
    },
    one("TIME_SERIES", Function::TimeSeries, "a scalar"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once() {
        for signature in &SIGNATURES {
            assert_eq!(Signature::find(signature.name), Some(signature));
        }
    }
}
