/*!
Metric math: each line of the input is an expression, called e0, e1, … beside two metrics and a query.

What is read must read the same from its own text, whatever refers to whatever; results have a point for each period,
and none is infinite.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::math::{
    Band, EXPRESSION_CHARS_MAX, Expression, Grid, Inputs, Labelled, MetricQuery, MetricStat, Outcome,
    Purpose, Queried, Queries, Timeline,
};
use nightbell_core::metric::Series;

const GRID: Grid = Grid { start: 1_789_364_520, period_s: 60, points: 4 };
const LINES_MAX: usize = 20;

struct Fixed;

impl Fixed {
    fn timeline(values: [Option<f64>; 4]) -> Timeline {
        Timeline { start: GRID.start, period_s: GRID.period_s, values: values.to_vec() }
    }
}

impl Inputs for Fixed {
    fn grid(&self) -> Grid {
        GRID
    }

    fn timelines(&self, id: &str, _: &MetricQuery) -> Vec<Labelled> {
        let line =
            |label: &str, values| Labelled { label: label.to_owned(), timeline: Self::timeline(values) };
        match id {
            "m1" => vec![line("m1", [Some(1.0), None, Some(-3.5), Some(0.0)])],
            "m2" => vec![line("m2", [None, Some(1e300), Some(2.0), Some(7.0)])],
            _ => vec![line("a", [Some(5.0); 4]), line("b", [None; 4])],
        }
    }

    fn band(&self, of: &[MetricQuery], width: f64, _: &Timeline) -> Option<Band> {
        assert_eq!(of.iter().filter(|entry| entry.return_data).count(), 1);
        Queries::read(of).expect("what an entry needs is a list by itself");
        Some(Band { lower: Self::timeline([Some(-width); 4]), upper: Self::timeline([Some(width); 4]) })
    }
}

fn entry(id: &str, what: Queried) -> MetricQuery {
    MetricQuery {
        id: id.to_owned(),
        label: None,
        return_data: true,
        period_s: Some(60),
        account_id: None,
        what,
    }
}

fn stat(id: &str) -> MetricQuery {
    let series = Series::new("us-east-2", "files", id, Vec::new());
    entry(id, Queried::Stat(MetricStat { series, period_s: 60, statistic: "Sum".to_owned(), unit: None }))
}

fn check(timeline: &Timeline) {
    assert_eq!(timeline.grid(), GRID);
    assert!(timeline.values.iter().flatten().all(|number| number.is_finite()));
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let query = "SELECT SUM(Denied) FROM files GROUP BY Folder".to_owned();
    let mut entries = vec![stat("m1"), stat("m2"), entry("q", Queried::Expression(query))];
    for (i, line) in text.lines().take(LINES_MAX).enumerate() {
        match Expression::parse(line) {
            Ok(read) => {
                let shown = read.to_string();
                // A number may be shown with a character or two more than it came with.
                if shown.len() <= EXPRESSION_CHARS_MAX {
                    let again = Expression::parse(&shown).expect("it was read a moment ago");
                    assert_eq!(again.to_string(), shown);
                }
                entries.push(entry(&format!("e{i}"), Queried::Expression(shown)));
            }
            Err(error) => {
                assert!(error.at.is_none_or(|at| at <= EXPRESSION_CHARS_MAX + 1));
                assert!(!error.to_string().is_empty());
            }
        }
    }
    let _ = Queries::check(&entries, Purpose::Alarm);
    let _ = Queries::check(&entries, Purpose::Data);
    let Ok(queries) = Queries::read(&entries) else { return };
    let Ok(all) = queries.evaluate_returned(&Fixed) else { return };
    assert_eq!(all.len(), entries.len());
    for (_, outcome) in all {
        match outcome {
            Outcome::Scalar(number) => assert!(number.is_none_or(f64::is_finite)),
            Outcome::Series(lines) => lines.iter().for_each(|line| check(&line.timeline)),
            Outcome::Band(band) => [&band.lower, &band.upper].into_iter().for_each(check),
        }
    }
});
