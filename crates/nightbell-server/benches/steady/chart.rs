/*!
The chart of a steady run: the program's memory over time, as SVG.
*/

use std::fmt::Write as _;

use super::Look;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 260.0;
/// Room for the axes' texts.
const LEFT: f64 = 50.0;
const BOTTOM: f64 = 30.0;
const MARGIN: f64 = 15.0;
/// Lines across.
const LINES: u64 = 4;

/// Draws the memory of all looks.
pub(crate) fn draw(looks: &[Look]) -> String {
    let last = looks.last().map_or(1.0, |look| look.second).max(1.0);
    let most = looks.iter().map(|look| look.memory_mib).max().unwrap_or(1).max(1);
    let step = most.div_ceil(LINES).next_multiple_of(25);
    let top = (step * LINES) as f64;
    let x = |second: f64| LEFT + (WIDTH - LEFT - MARGIN) * second / last;
    let y = |mib: f64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - MARGIN) * mib / top;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for line in 0..=LINES {
        let (mib, at) = (line * step, y((line * step) as f64));
        let (right, text, below) = (WIDTH - MARGIN, LEFT - 6.0, at + 4.0);
        let _ = writeln!(svg, "<path d=\"M{LEFT},{at:.1}H{right}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{text}\" y=\"{below:.1}\" text-anchor=\"end\">{mib}</text>");
    }
    for part in 0..=LINES {
        let second = last * part as f64 / LINES as f64;
        let (at, below) = (x(second), HEIGHT - 10.0);
        let _ =
            writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{second:.0} s</text>");
    }
    let points: Vec<String> =
        looks.iter().map(|look| format!("{:.1},{:.1}", x(look.second), y(look.memory_mib as f64))).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1.5\"/>\n\
         <text x=\"{}\" y=\"12\">MiB of memory</text>\n</svg>",
        points.join(" "),
        LEFT + 4.0
    );
    svg
}
