/*!
Metric math: `functions` holds tables of expressions and their results, `lists` what holds for entries together, `texts`
what is refused and what holds for any text.

Points are written oldest first with `-` for none; several series are divided by `|`; a number of no period stands
after `=`.
*/

use std::cell::Cell;

use nightbell_core::math::{
    Band, Grid, Inputs, Labelled, MathError, MetricQuery, MetricStat, Outcome, Queried, Timeline, evaluate,
};
use nightbell_core::metric::Series;

mod functions;
mod lists;
mod texts;

const START: i64 = 1_789_364_520; // Monday 14 September 2026, 05:42:00 UTC
const PERIOD_S: i64 = 60;

fn stat(id: &str) -> MetricQuery {
    let stat = MetricStat {
        series: Series::new("us-east-2", "files", id, Vec::new()),
        period_s: PERIOD_S,
        statistic: "Sum".to_owned(),
        unit: None,
    };
    entry(id, Queried::Stat(stat))
}

fn expression(id: &str, text: &str) -> MetricQuery {
    entry(id, Queried::Expression(text.to_owned()))
}

fn entry(id: &str, what: Queried) -> MetricQuery {
    MetricQuery { id: id.to_owned(), label: None, return_data: false, period_s: None, account_id: None, what }
}

fn returned(entry: MetricQuery) -> MetricQuery {
    MetricQuery { return_data: true, ..entry }
}

/// Points by id, as texts; how often each was asked for is counted together.
struct World {
    series: Vec<(&'static str, &'static str)>,
    points: usize,
    asked: Cell<usize>,
    trained: bool,
}

impl World {
    fn new(series: &[(&'static str, &'static str)]) -> Self {
        let points =
            series.iter().map(|(_, text)| numbers(text.split('|').next().unwrap_or_default()).len()).max();
        Self { series: series.to_vec(), points: points.unwrap_or(0), asked: Cell::new(0), trained: true }
    }

    fn timeline(&self, values: Vec<Option<f64>>) -> Timeline {
        Timeline { start: START, period_s: PERIOD_S, values }
    }
}

impl Inputs for World {
    fn grid(&self) -> Grid {
        Grid { start: START, period_s: PERIOD_S, points: self.points }
    }

    fn timelines(&self, id: &str, _: &MetricQuery) -> Vec<Labelled> {
        self.asked.set(self.asked.get() + 1);
        let text = self.series.iter().find(|(name, _)| *name == id).map_or("", |(_, text)| text);
        let lines = text.split('|').filter(|part| !part.trim().is_empty()).enumerate();
        let labelled = |(i, part)| Labelled {
            label: if i == 0 { id.to_owned() } else { format!("{id}#{i}") },
            timeline: self.timeline(numbers(part)),
        };
        lines.map(labelled).collect()
    }

    fn band(&self, of: &[MetricQuery], width: f64, grid: &Timeline) -> Option<Band> {
        let [.., last] = of else { panic!("a band of nothing") };
        assert!(last.return_data && of.iter().filter(|entry| entry.return_data).count() == 1);
        let bound = |k: f64| self.timeline(grid.values.iter().map(|_| Some(10.0 + k)).collect());
        self.trained.then(|| Band { lower: bound(-width), upper: bound(width) })
    }
}

fn numbers(text: &str) -> Vec<Option<f64>> {
    text.split_whitespace().map(|word| (word != "-").then(|| word.parse().expect("a number"))).collect()
}

fn text_of(values: &[Option<f64>]) -> String {
    let words: Vec<String> =
        values.iter().map(|value| value.map_or("-".to_owned(), |number| number.to_string())).collect();
    words.join(" ")
}

fn show(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Scalar(number) => format!("= {}", text_of(&[*number])),
        Outcome::Series(lines) => {
            lines.iter().map(|line| text_of(&line.timeline.values)).collect::<Vec<_>>().join(" | ")
        }
        Outcome::Band(band) => {
            format!("{} .. {}", text_of(&band.lower.values), text_of(&band.upper.values))
        }
    }
}

fn work_out(text: &str, world: &World) -> Result<Outcome, MathError> {
    let mut entries: Vec<MetricQuery> = world.series.iter().map(|(id, _)| stat(id)).collect();
    entries.push(expression("e", text));
    evaluate(&entries, "e", world)
}

fn holds(series: &[(&'static str, &'static str)], rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let outcome = work_out(text, &World::new(series)).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(show(&outcome), *expected, "{text}");
    }
}
