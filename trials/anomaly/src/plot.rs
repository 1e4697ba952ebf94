/*! One week of a series under its band, as an SVG. */

use std::fmt::Write;

use nightbell_core::anomaly::Model;

use super::judge;
use super::world::{DAY, HOUR, PERIOD_S, WEEK, WEEKS, World};

const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 40.0;
/// Deviations of the band drawn.
const DEVIATIONS: f64 = 3.0;

/// Writes the last week of `world` to `path`.
pub fn write(world: &World, path: &str) {
    let mut model = Model::new(&judge::detector(world.story), PERIOD_S);
    let from = (WEEKS - 1) * WEEK;
    let (mut uppers, mut lowers, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (at, value) in world.values.iter().enumerate() {
        if at >= from {
            // The band holds for an hour.
            if at % HOUR == 0
                && let Some(band) = model.band(World::second(at), DEVIATIONS)
            {
                for edge in [at, at + HOUR] {
                    uppers.push((edge - from, band.upper));
                    lowers.push((edge - from, band.lower));
                }
            }
            value.iter().for_each(|value| values.push((at - from, *value)));
        }
        value.iter().for_each(|value| {
            model.learn(World::second(at), *value);
        });
    }
    let top = uppers.iter().chain(&values).map(|(_, value)| *value).fold(1.0, f64::max);
    let point = |(at, value): &(usize, f64)| {
        let x = MARGIN + *at as f64 / WEEK as f64 * (WIDTH - 2.0 * MARGIN);
        format!("{x:.1},{:.1}", HEIGHT - MARGIN - value / top * (HEIGHT - 2.0 * MARGIN))
    };
    let line = |points: &[(usize, f64)]| points.iter().map(point).collect::<Vec<_>>().join(" ");
    lowers.reverse();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <polygon points=\"{} {}\" fill=\"#9ecae1\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#08306b\" stroke-width=\"0.7\"/>\n",
        line(&uppers),
        line(&lowers),
        line(&values)
    );
    for event in world.planted.iter().filter(|event| event.from >= from) {
        let peak =
            values[event.from - from..event.to - from].iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let place = point(&(event.from - from, peak));
        let (x, y) = place.split_once(',').expect("a point has two numbers");
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"none\" stroke=\"#cb181d\"/>");
    }
    for (day, name) in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().enumerate() {
        let place = point(&(day * DAY, 0.0));
        let (x, _) = place.split_once(',').expect("a point has two numbers");
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\">{name}</text>", HEIGHT - MARGIN / 2.0);
    }
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{}\">events in five minutes, 0 to {top:.0}; band of three deviations; planted events \
         circled</text>\n</svg>",
        MARGIN / 2.0
    );
    if let Err(error) = std::fs::write(path, svg) {
        eprintln!("the plot was not written: {error}");
    }
}
