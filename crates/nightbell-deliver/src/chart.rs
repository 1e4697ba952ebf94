/*!
Pictures: a value over time with the line it is held against and the moment the alarm fired ([`Chart`]), numbers side by
side ([`Bars`]), states over time ([`Lanes`]).

Pure: a [`Drawing`] in, SVG or PNG out, equal bytes for equal input. Drawn by plotters, turned into pixels by resvg with
the letters that stand in `chart/fonts`. Stands on a dark plate of its own, so that it is read alike on light and dark
backgrounds. Knows no alarm and no mail.
*/

use nightbell_core::time::Timestamp;

pub use bars::{BARS_MAX, Bar, Bars};
pub use lanes::{LANES_MAX, Lane, Lanes};
pub use plot::{
    Axis, CURVES_MAX, Curve, Fill, LEVELS_MAX, Level, Moment, PALETTE, PLOT_SIDE_MAX_PX, PLOT_SIDE_MIN_PX,
    Plot, Side,
};

mod bars;
mod draw;
mod lanes;
mod pen;
mod plot;
mod raster;
mod scale;
#[cfg(test)]
mod tests;

/// Points drawn; of more, the latest.
pub const POINTS_MAX: usize = 1_440;
/// Width of a chart in CSS pixels.
pub const WIDTH_PX: u32 = 600;
/// Height of a chart in CSS pixels.
pub const HEIGHT_PX: u32 = 250;
/// Largest magnitude drawn; what is beyond is held at it.
pub const MAGNITUDE_MAX: f64 = 1e15;

/// A value over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What is drawn, in a few words.
    pub title: String,
    /// Said quieter after the title: the unit, or how long the window is.
    pub unit: String,
    /// The end of each measured window and the value in it, oldest first. Points a period or more apart are drawn as
    /// bars over their windows; closer ones as steps: the value of a window that slides. Values that are not finite
    /// are left out.
    pub points: Vec<(Timestamp, f64)>,
    /// The line the value is held against.
    pub threshold: Option<f64>,
    /// What is usual, as lower and upper bound for each point; left out where it has not one for each.
    pub band: Option<Vec<(f64, f64)>>,
    /// Which values are drawn as breaching.
    pub breach: Breach,
    /// When the alarm fired.
    pub fired_at: Option<Timestamp>,
    /// Further moments, at most three.
    pub marks: Vec<Mark>,
    /// Length of a window in seconds.
    pub period_s: i64,
    /// Colour of breaching values and of the moment: red, green, blue.
    pub accent: (u8, u8, u8),
}

/// A moment with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What and when, in a few words: `start 18:08:47`.
    pub name: String,
    /// Red, green, blue.
    pub colour: (u8, u8, u8),
}

/// When a value breaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breach {
    /// Above the threshold, or above the band.
    #[default]
    Over,
    /// At the threshold or above.
    AtLeast,
    /// Below the threshold, or below the band.
    Under,
    /// At the threshold or below.
    AtMost,
    /// Outside the band on either side.
    Outside,
}

/// Why a chart was not turned into pixels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chart cannot be drawn: {reason}")]
pub struct ChartError {
    /// What went wrong, for the operator.
    pub reason: String,
}

/// A picture of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawing {
    /// A value over time.
    Chart(Chart),
    /// Numbers side by side.
    Bars(Bars),
    /// States over time.
    Lanes(Lanes),
}

impl Drawing {
    /// As an SVG document, [`WIDTH_PX`] wide.
    pub fn svg(&self) -> String {
        match self {
            Self::Chart(chart) => svg(chart),
            Self::Bars(bars) => bars.svg(),
            Self::Lanes(lanes) => lanes.svg(),
        }
    }

    /// As PNG, `scale` (1 to 3) pixels for each CSS pixel.
    ///
    /// # Errors
    ///
    /// The drawing could not be read or written; nothing that one may hold is known to lead there.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, ChartError> {
        raster::png(&self.svg(), self.height_px(), scale)
    }

    /// For those who do not see it.
    pub fn alt(&self) -> String {
        match self {
            Self::Chart(chart) => alt(chart),
            Self::Bars(bars) => bars.alt(),
            Self::Lanes(lanes) => lanes.alt(),
        }
    }

    /// As one line of blocks for a text mail, at most `chars_max` long; empty where that says nothing.
    pub fn sparkline(&self, chars_max: usize) -> String {
        match self {
            Self::Chart(chart) => sparkline(chart, chars_max),
            Self::Bars(_) | Self::Lanes(_) => String::new(),
        }
    }

    fn height_px(&self) -> u32 {
        match self {
            Self::Chart(_) => HEIGHT_PX,
            Self::Bars(bars) => bars.height_px(),
            Self::Lanes(lanes) => lanes.height_px(),
        }
    }
}

/// The chart as PNG, `scale` (1 to 3) pixels for each CSS pixel.
///
/// # Errors
///
/// The drawing could not be read or written; nothing that a chart may hold is known to lead there.
pub fn png(chart: &Chart, scale: f32) -> Result<Vec<u8>, ChartError> {
    raster::png(&svg(chart), HEIGHT_PX, scale)
}

/// The chart as an SVG document of [`WIDTH_PX`] by [`HEIGHT_PX`].
pub fn svg(chart: &Chart) -> String {
    draw::svg(chart, &slots(chart))
}

/// What the picture shows, for those who do not see it: `6 at 18:08:41, line at 5; highest 6, lowest 0 since 17:38:47
/// UTC`.
pub fn alt(chart: &Chart) -> String {
    let slots = slots(chart);
    let Some(first) = slots.first() else {
        return format!("{}: no data", pen::clean(&chart.title));
    };
    let mut text = format!("{}: ", pen::clean(&chart.title));
    if let Some(told) = told(chart, &slots) {
        text += &format!("{} at {}", number(told.value), of_day(told.at_ms));
    }
    if let Some(line) = threshold(chart) {
        text += &format!(", line at {}", number(line));
    }
    if let Some((lower, upper)) = told(chart, &slots).and_then(|slot| slot.band) {
        text += &format!(", band {} to {}", number(lower), number(upper));
    }
    let values = || slots.iter().map(|slot| slot.value);
    let (lowest, highest) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    let since = of_day(first.from_ms);
    text += &format!("; highest {}, lowest {} since {since} UTC", number(highest), number(lowest));
    for mark in &chart.marks {
        text += &format!("; {}", pen::clean(&mark.name));
    }
    text
}

/// The chart as one line of blocks for a text mail, at most `chars_max` long: `▁▁▁▃█`. Each stands for the largest
/// value of an equal part of the time. Empty without points.
pub fn sparkline(chart: &Chart, chars_max: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let slots = slots(chart);
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return String::new() };
    let cells = slots.len().min(chars_max).max(1);
    let span_ms = (last.to_ms - first.from_ms).max(1) as f64;
    let mut highest: Vec<Option<f64>> = vec![None; cells];
    for slot in &slots {
        let place = |ms: i64| ((ms - first.from_ms) as f64 / span_ms * cells as f64) as usize;
        let (from, to) = (place(slot.from_ms).min(cells - 1), place(slot.to_ms - 1).min(cells - 1));
        for cell in &mut highest[from..=to.max(from)] {
            *cell = Some(cell.map_or(slot.value, |held: f64| held.max(slot.value)));
        }
    }
    let top = slots.iter().map(|slot| slot.value).fold(0.0, f64::max);
    let block = |value: f64| {
        let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
        BLOCKS[((share * 7.0).ceil() as usize).min(7)]
    };
    highest.into_iter().map(|value| value.map_or(' ', block)).collect()
}

/// One value and the time it is drawn over.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slot {
    /// When it was measured: the end of its window.
    at_ms: i64,
    from_ms: i64,
    to_ms: i64,
    value: f64,
    band: Option<(f64, f64)>,
    breaching: bool,
}

/// The points that can be drawn, by time, each with the stretch it covers.
fn slots(chart: &Chart) -> Vec<Slot> {
    let bands = chart.band.as_ref().filter(|band| band.len() == chart.points.len());
    let from = chart.points.len().saturating_sub(POINTS_MAX);
    let mut slots: Vec<Slot> = Vec::with_capacity(chart.points.len() - from);
    for (i, &(at, value)) in chart.points.iter().enumerate().skip(from) {
        if !value.is_finite() {
            continue;
        }
        let band = bands.and_then(|bands| bands.get(i)).filter(|(l, u)| l.is_finite() && u.is_finite());
        let band = band.map(|&(lower, upper)| (held(lower.min(upper)), held(upper.max(lower))));
        let at_ms = at.as_millis().clamp(-TIME_MAX_MS, TIME_MAX_MS);
        let breaching = breaches(chart, value, band);
        slots.push(Slot { at_ms, from_ms: at_ms, to_ms: at_ms, value: held(value), band, breaching });
    }
    slots.sort_by_key(|slot| slot.at_ms);
    slots.dedup_by_key(|slot| slot.at_ms);
    stretch(&mut slots, period_ms(chart));
    slots
}

/// Gives each slot its time: its window where windows do not overlap, else the time until the next.
fn stretch(slots: &mut [Slot], period_ms: i64) {
    let mut gaps: Vec<i64> = slots.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect();
    gaps.sort_unstable();
    let gap_ms = gaps.get(gaps.len() / 2).copied().unwrap_or(period_ms);
    let bars = gap_ms >= period_ms;
    for i in 0..slots.len() {
        let next_ms = slots.get(i + 1).map(|next| next.at_ms);
        let slot = &mut slots[i];
        if bars {
            slot.from_ms = slot.at_ms - period_ms;
        } else {
            // A hole in the data is not drawn over.
            let until_ms = slot.at_ms + gap_ms.max(1);
            slot.to_ms =
                next_ms.map_or(until_ms, |next| if next - slot.at_ms > period_ms { until_ms } else { next });
        }
    }
    for i in 1..slots.len() {
        slots[i].from_ms = slots[i].from_ms.max(slots[i - 1].to_ms);
    }
}

fn breaches(chart: &Chart, value: f64, band: Option<(f64, f64)>) -> bool {
    match (chart.breach, threshold(chart), band) {
        (Breach::Over, Some(line), _) => value > line,
        (Breach::AtLeast, Some(line), _) => value >= line,
        (Breach::Under, Some(line), _) => value < line,
        (Breach::AtMost, Some(line), _) => value <= line,
        (Breach::Outside, _, Some((lower, upper))) => value < lower || value > upper,
        (Breach::Over | Breach::AtLeast, None, Some((_, upper))) => value > upper,
        (Breach::Under | Breach::AtMost, None, Some((lower, _))) => value < lower,
        _ => false,
    }
}

/// The value the picture is about: the latest that breaches up to the moment, else the latest.
fn told<'a>(chart: &Chart, slots: &'a [Slot]) -> Option<&'a Slot> {
    let moment_ms = chart.fired_at.map_or(i64::MAX, |at| at.as_millis().saturating_add(period_ms(chart)));
    let before = || slots.iter().rev().filter(move |slot| slot.at_ms <= moment_ms);
    before().find(|slot| slot.breaching).or_else(|| before().next()).or(slots.last())
}

fn period_ms(chart: &Chart) -> i64 {
    chart.period_s.clamp(1, PERIOD_MAX_S) * 1_000
}

fn threshold(chart: &Chart) -> Option<f64> {
    chart.threshold.filter(|line| line.is_finite()).map(held)
}

fn held(value: f64) -> f64 {
    value.clamp(-MAGNITUDE_MAX, MAGNITUDE_MAX)
}

/// A number for people, short: `6`, `91.25`, `12.4k`, `3.1M`.
fn number(value: f64) -> String {
    let short = |value: f64, unit: &str| {
        format!("{}{unit}", crate::message::clean_number((value * 10.0).round() / 10.0))
    };
    match value.abs() {
        size if size >= 1e12 => format!("{value:.1e}"),
        size if size >= 1e9 => short(value / 1e9, "G"),
        size if size >= 1e6 => short(value / 1e6, "M"),
        size if size >= 1e4 => short(value / 1e3, "k"),
        _ => crate::message::clean_number(value),
    }
}

/// `18:08:41`
fn of_day(ms: i64) -> String {
    let iso = Timestamp::from_millis(ms).iso();
    iso.split_once('T').map_or(String::new(), |(_, time)| time.chars().take(8).collect())
}

/// Instants beyond are held at it, so that sums of a few cannot run over.
const TIME_MAX_MS: i64 = 200_000_000_000_000;
/// Longest window drawn as such: a week.
const PERIOD_MAX_S: i64 = 604_800;
