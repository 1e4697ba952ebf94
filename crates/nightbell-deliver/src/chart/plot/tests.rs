/*!
Plots as they are read: what is drawn, and what hostile numbers do.
*/

use proptest::prelude::*;

use super::*;

/// 2021-06-01T18:00:00 UTC.
const AT: i64 = 1_622_570_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(AT + second)
}

fn curve(label: &str, colour: usize, value: impl Fn(i64) -> Option<f64>) -> Curve {
    let points = (0..36).filter_map(|n| Some((at(n * 300), value(n)?))).collect();
    Curve { label: label.to_owned(), colour: PALETTE[colour], side: Side::Left, points }
}

/// Three hours of three lines.
fn three() -> Plot {
    let wave = |n: i64| (n as f64 / 4.0).sin() * 20.0 + 30.0;
    Plot {
        title: "Denied accesses by share".to_owned(),
        size_px: (600, 400),
        times: (at(0), at(3 * 3_600)),
        period_s: 300,
        curves: vec![
            curve("finance", 0, |n| Some(wave(n).round())),
            curve("engineering", 1, |n| (!(12..18).contains(&n)).then_some(wave(n + 9).round())),
            curve("people and culture", 2, |n| (n % 3 == 0).then_some(12.0)),
        ],
        stacked: false,
        axes: (Axis { label: "accesses".to_owned(), ..Axis::default() }, Axis::default()),
        levels: vec![Level {
            value: 45.0,
            label: "too many".to_owned(),
            colour: PALETTE[3],
            fill: Fill::Above,
            side: Side::Left,
        }],
        moments: vec![Moment { at: at(5_000), label: "deployed".to_owned(), colour: PALETTE[5] }],
        legend: true,
    }
}

#[test]
fn a_plot_shows_its_lines_names_and_levels() {
    let drawing = three().svg();
    for part in [
        "Denied accesses by share",
        "finance",
        "people and culture",
        "too many",
        "deployed",
        "accesses",
        "19:00",
        "UTC",
    ] {
        assert!(drawing.contains(part), "{part:?} is not in\n{drawing}");
    }
    for colour in ["#6CB4EE", "#FFA657", "#7EE787", "#FF7B72"] {
        assert!(drawing.contains(colour), "{colour}");
    }
    assert!(!Plot { legend: false, ..three() }.svg().contains("finance"));
    assert!(Plot { curves: Vec::new(), ..three() }.svg().contains("no data"));
}

#[test]
fn a_line_is_broken_where_values_are_missing() {
    let lines = |plot: &Plot| plot.svg().matches("<polyline").count();
    let whole =
        Plot { curves: vec![three().curves[0].clone()], levels: Vec::new(), moments: Vec::new(), ..three() };
    let broken = Plot { curves: vec![three().curves[1].clone()], ..whole.clone() };
    assert_eq!(lines(&broken), lines(&whole) + 1);
    let lone = Plot { curves: vec![three().curves[2].clone()], ..whole };
    assert_eq!(lone.svg().matches("<circle").count(), 12);
}

#[test]
fn an_axis_is_what_is_asked_for() {
    let axis = |min, max| Axis { min, max, label: String::new() };
    let scale = Scale::of(&axis(None, None), &[3.0, 17.0]);
    assert_eq!((scale.low, scale.high, scale.ticks.first()), (0.0, 20.0, Some(&0.0)));
    let scale = Scale::of(&axis(Some(10.0), Some(12.0)), &[3.0, 17.0]);
    assert_eq!((scale.low, scale.high), (10.0, 12.0));
    assert!(scale.ticks.iter().all(|tick| (10.0..=12.0).contains(tick)) && scale.ticks.len() >= 2);
    let wrong = Scale::of(&axis(Some(5.0), Some(5.0)), &[]);
    assert!(wrong.high > wrong.low);
}

#[test]
fn stacked_areas_reach_their_sum() {
    let plot = Plot { stacked: true, levels: Vec::new(), ..three() };
    let highest = totals(&plot, Side::Left).into_values().fold(0.0, f64::max);
    let field = Field::of(&plot, [64, 40, 580, 300]);
    assert!(field.scales[0].high >= highest, "{} {highest}", field.scales[0].high);
    assert!(plot.svg().contains("<polygon"));
}

#[test]
fn pictures_are_png_of_the_size_asked_for() {
    for (asked, expected) in [((600, 400), (600, 400)), ((1, 1), (100, 100)), ((u32::MAX, 300), (2_000, 300))]
    {
        let png = Plot { size_px: asked, ..three() }.png(1.0).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), expected);
    }
}

#[test]
fn a_long_legend_says_what_it_leaves_out() {
    let names = 0..90;
    let curves: Vec<Curve> =
        names.map(|n| curve(&format!("share number {n}"), n % 10, |_| Some(1.0))).collect();
    let drawing = Plot { curves, ..three() }.svg();
    assert!(drawing.contains("share number 0") && drawing.contains(" more"));
    assert!(!drawing.contains("share number 89"));
}

proptest! {
    #[test]
    fn hostile_plots_are_drawn(
        values in prop::collection::vec((any::<i64>(), any::<f64>()), 0..40),
        min in any::<Option<f64>>(),
        max in any::<Option<f64>>(),
        from in any::<i64>(),
        to in any::<i64>(),
        period_s in any::<i64>(),
        stacked in any::<bool>(),
        label in "\\PC*",
    ) {
        let mut points: Vec<(Timestamp, f64)> =
            values.into_iter().map(|(at, value)| (Timestamp::from_millis(at), value)).collect();
        points.sort_by_key(|(at, _)| *at);
        let level = points.first().map_or(0.0, |(_, value)| *value);
        let plot = Plot {
            times: (Timestamp::from_millis(from), Timestamp::from_millis(to)),
            axes: (Axis { min, max, label: label.clone() }, Axis::default()),
            levels: vec![Level { value: level, fill: Fill::To(min.unwrap_or(1.0)), ..three().levels[0].clone() }],
            curves: vec![Curve { label, points, ..three().curves[0].clone() }],
            period_s,
            stacked,
            ..three()
        };
        prop_assert!(resvg::usvg::Tree::from_str(&plot.svg(), &resvg::usvg::Options::default()).is_ok());
    }
}
