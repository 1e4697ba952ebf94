/*!
Many values over time: lines or stacked areas with a legend, on one axis at the left and one at the right ([`Plot`]).

Pure, like the other pictures, but of any size. What a line hides behind another is not sorted out: the last one drawn is on top.
*/

use std::collections::BTreeMap;

use nightbell_core::time::Timestamp;
use plotters::element::{Circle, Polygon};
use plotters::prelude::{Color as _, IntoDrawingArea as _, RGBColor, SVGBackend};
use plotters::style::text_anchor::{HPos, VPos};

use super::pen::{Area, GRID, PLATE, QUIET, WORDS, Words, path, rectangle, width_px, words};
use super::{ChartError, TIME_MAX_MS, held, number, raster, scale};

mod legend;
#[cfg(test)]
mod tests;

/// Shortest side of a plot in CSS pixels: there would be no room for the axes.
pub const PLOT_SIDE_MIN_PX: u32 = 100;
/// Longest side of a plot in CSS pixels.
pub const PLOT_SIDE_MAX_PX: u32 = 2_000;
/// Lines drawn; of more, the first.
pub const CURVES_MAX: usize = 100;
/// Levels and moments drawn; of more, the first.
pub const LEVELS_MAX: usize = 50;
/// Colours of lines that have none of their own: red, green, blue.
pub const PALETTE: [(u8, u8, u8); 10] = [
    (0x6c, 0xb4, 0xee),
    (0xff, 0xa6, 0x57),
    (0x7e, 0xe7, 0x87),
    (0xff, 0x7b, 0x72),
    (0xd2, 0xa8, 0xff),
    (0xe3, 0xb3, 0x41),
    (0xf7, 0x78, 0xba),
    (0xa5, 0xd6, 0xff),
    (0x56, 0xd4, 0xdd),
    (0xb1, 0xba, 0xc4),
];

/// Between words and edges.
const MARGIN_PX: i32 = 16;
/// Height of the title's line.
const TITLE_PX: i32 = 40;
/// Width of an axis with its numbers.
const AXIS_PX: i32 = 64;
/// Height of the time axis.
const FOOT_PX: i32 = 34;
/// Between the numbers of an axis.
const TICK_PX: i32 = 18;
/// Width of lines.
const STROKE_PX: u32 = 2;

/// Many values over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What is drawn, in a few words; may be empty.
    pub title: String,
    /// Width and height in CSS pixels, held between [`PLOT_SIDE_MIN_PX`] and [`PLOT_SIDE_MAX_PX`].
    pub size_px: (u32, u32),
    /// Where the picture begins and ends.
    pub times: (Timestamp, Timestamp),
    /// Seconds between points; where more are between two, the line is broken.
    pub period_s: i64,
    /// The lines.
    pub curves: Vec<Curve>,
    /// Whether areas stand on each other instead of lines beside each other.
    pub stacked: bool,
    /// The axis at the left and the one at the right.
    pub axes: (Axis, Axis),
    /// Horizontal annotations.
    pub levels: Vec<Level>,
    /// Vertical annotations.
    pub moments: Vec<Moment>,
    /// Whether names and colours of lines stand below.
    pub legend: bool,
}

/// A line of a [`Plot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub label: String,
    /// Red, green, blue.
    pub colour: (u8, u8, u8),
    /// The axis it is held against.
    pub side: Side,
    /// When each period began, and its value; oldest first. Values that are not finite are left out.
    pub points: Vec<(Timestamp, f64)>,
}

/// One of the two axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// At the left.
    #[default]
    Left,
    /// At the right.
    Right,
}

/// What an axis shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// Where it begins; at zero or the lowest value where nothing is said.
    pub min: Option<f64>,
    /// Where it ends; over the highest value where nothing is said.
    pub max: Option<f64>,
    /// What its numbers are.
    pub label: String,
}

/// A horizontal annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Where it stands.
    pub value: f64,
    /// Its name; may be empty.
    pub label: String,
    /// Red, green, blue.
    pub colour: (u8, u8, u8),
    /// What is shaded.
    pub fill: Fill,
    /// The axis it is held against.
    pub side: Side,
}

/// What a [`Level`] shades.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fill {
    /// Nothing.
    #[default]
    Nothing,
    /// What is above it.
    Above,
    /// What is below it.
    Below,
    /// What lies between it and this value.
    To(f64),
}

/// A vertical annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Its name; may be empty.
    pub label: String,
    /// Red, green, blue.
    pub colour: (u8, u8, u8),
}

impl Plot {
    /// As PNG, `scale` (1 to 3) pixels for each CSS pixel.
    ///
    /// # Errors
    ///
    /// The drawing could not be read or written; nothing that a plot may hold is known to lead there.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, ChartError> {
        raster::png_of(&self.svg(), self.held_size(), scale)
    }

    /// As an SVG document.
    pub fn svg(&self) -> String {
        let (width, height) = self.held_size();
        let mut out = String::new();
        {
            let area = SVGBackend::with_string(&mut out, (width, height)).into_drawing_area();
            rectangle(&area, (0, 0), (width as i32, height as i32), PLATE.to_rgba());
            self.draw(&area);
            area.present().expect("a string takes everything");
        }
        out
    }

    fn held_size(&self) -> (u32, u32) {
        let held = |side: u32| side.clamp(PLOT_SIDE_MIN_PX, PLOT_SIDE_MAX_PX);
        (held(self.size_px.0), held(self.size_px.1))
    }

    fn draw(&self, area: &Area<'_>) {
        let (width, height) = self.held_size();
        let (width, height) = (width as i32, height as i32);
        let title = fitting(&self.title, width - 2 * MARGIN_PX);
        words(area, &title, (MARGIN_PX, 13), Words { bold: true, ..Words::plain(WORDS) });
        let legend = if self.legend { legend::rows(&self.curves, width, height) } else { Vec::new() };
        let top = match title.is_empty() && self.axes.0.label.is_empty() && self.axes.1.label.is_empty() {
            true => MARGIN_PX,
            false => {
                TITLE_PX + if self.axes.0.label.is_empty() && self.axes.1.label.is_empty() { 0 } else { 22 }
            }
        };
        let bottom = height - FOOT_PX - legend::height_px(&legend);
        let has_right = self.curves.iter().any(|curve| curve.side == Side::Right);
        let right = width - if has_right { AXIS_PX } else { MARGIN_PX };
        let field = Field::of(self, [AXIS_PX, top, right, bottom.max(top + 20)]);
        field.grid(area, self, has_right);
        for level in self.levels.iter().take(LEVELS_MAX) {
            field.shade(area, level);
        }
        if self.curves.iter().all(|curve| curve.points.is_empty()) {
            let middle = (i32::midpoint(AXIS_PX, right), i32::midpoint(top, bottom));
            words(area, "no data", middle, Words::at(QUIET, HPos::Center, VPos::Center));
        }
        if self.stacked {
            field.areas(area, self);
        } else {
            self.curves.iter().take(CURVES_MAX).for_each(|curve| field.curve(area, curve));
        }
        for level in self.levels.iter().take(LEVELS_MAX) {
            field.level(area, level);
        }
        for moment in self.moments.iter().take(LEVELS_MAX) {
            field.moment(area, moment);
        }
        legend::draw(area, &legend, field.bottom + FOOT_PX);
    }
}

/// `text` cut to what fits into a width.
fn fitting(text: &str, width: i32) -> String {
    let chars_max = (width / width_px("x").max(1)).max(1) as usize;
    let line = crate::message::clean_line(text, chars_max);
    line.chars().map(|c| if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c }).collect()
}

fn colour((red, green, blue): (u8, u8, u8)) -> RGBColor {
    RGBColor(red, green, blue)
}

/// Where the values are drawn: how instants and values become places.
struct Field {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
    from_ms: i64,
    to_ms: i64,
    period_ms: i64,
    scales: [Scale; 2],
}

/// The numbers of one axis.
struct Scale {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Scale {
    fn of(axis: &Axis, values: &[f64]) -> Self {
        let finite = |bound: Option<f64>| bound.filter(|value| value.is_finite()).map(held);
        let (min, max) = (finite(axis.min), finite(axis.max));
        let lowest = values.iter().copied().fold(0.0, f64::min);
        let low = min.unwrap_or(lowest);
        let high = max.unwrap_or_else(|| values.iter().copied().fold(low, f64::max));
        let high = if high > low { high } else { low + (low.abs() * 1e-6).max(1.0) };
        let whole = values.iter().chain([&low, &high]).all(|value| value.fract() == 0.0);
        let room = if max.is_none() { (high - low) * 0.04 } else { 0.0 };
        let mut ticks = scale::values(low, high + room, whole);
        let low = min.unwrap_or_else(|| ticks.first().copied().unwrap_or(low));
        let high = if max.is_some() { high } else { ticks.last().copied().unwrap_or(high) };
        ticks.retain(|tick| (low..=high).contains(tick));
        Self { low, high, ticks }
    }
}

impl Field {
    fn of(plot: &Plot, [left, top, right, bottom]: [i32; 4]) -> Self {
        let millis = |at: Timestamp| at.as_millis().clamp(-TIME_MAX_MS, TIME_MAX_MS);
        let from_ms = millis(plot.times.0);
        let to_ms = millis(plot.times.1).max(from_ms + 1_000);
        let period_ms = plot.period_s.clamp(1, 10 * 366 * 86_400) * 1_000;
        let scale_of = |side: Side, axis: &Axis| {
            let lines = plot.curves.iter().take(CURVES_MAX).filter(|curve| curve.side == side);
            let values = lines.flat_map(|curve| curve.points.iter().map(|(_, value)| *value));
            let levels = plot.levels.iter().take(LEVELS_MAX).filter(|level| level.side == side);
            let far = levels.flat_map(|level| match level.fill {
                Fill::To(value) => [level.value, value],
                _ => [level.value, level.value],
            });
            let mut all: Vec<f64> = values.chain(far).filter(|value| value.is_finite()).map(held).collect();
            if plot.stacked {
                all.extend(totals(plot, side).into_values());
            }
            Scale::of(axis, &all)
        };
        let scales = [scale_of(Side::Left, &plot.axes.0), scale_of(Side::Right, &plot.axes.1)];
        Self { left, top, right, bottom, from_ms, to_ms, period_ms, scales }
    }

    fn x(&self, at_ms: i64) -> i32 {
        let share = (at_ms.clamp(self.from_ms, self.to_ms) - self.from_ms) as f64
            / (self.to_ms - self.from_ms) as f64;
        self.left + (f64::from(self.right - self.left) * share).round() as i32
    }

    fn y(&self, side: Side, value: f64) -> i32 {
        let scale = &self.scales[side as usize];
        let share = (value.clamp(scale.low, scale.high) - scale.low) / (scale.high - scale.low);
        self.bottom - (f64::from(self.bottom - self.top) * share).round() as i32
    }

    fn grid(&self, area: &Area<'_>, plot: &Plot, has_right: bool) {
        for (tick, y) in self.apart(Side::Left) {
            path(area, vec![(self.left, y), (self.right, y)], GRID.to_rgba(), 1);
            words(area, &number(tick), (self.left - 8, y), Words::at(QUIET, HPos::Right, VPos::Center));
        }
        if has_right {
            for (tick, y) in self.apart(Side::Right) {
                words(area, &number(tick), (self.right + 8, y), Words::at(QUIET, HPos::Left, VPos::Center));
            }
        }
        let half_width = (self.right - self.left) / 2;
        let (left_label, right_label) =
            (fitting(&plot.axes.0.label, half_width), fitting(&plot.axes.1.label, half_width));
        words(area, &left_label, (MARGIN_PX, self.top - 8), Words::at(QUIET, HPos::Left, VPos::Bottom));
        if has_right {
            let place = (self.right + AXIS_PX - MARGIN_PX, self.top - 8);
            words(area, &right_label, place, Words::at(QUIET, HPos::Right, VPos::Bottom));
        }
        let mut edge = self.left - 6;
        for (at_ms, text) in scale::times(self.from_ms, self.to_ms) {
            let x = self.x(at_ms);
            path(area, vec![(x, self.bottom), (x, self.bottom + 5)], QUIET.to_rgba(), 1);
            let half = width_px(&text) / 2;
            if x + half <= self.right + 8 && x - half > edge {
                words(area, &text, (x, self.bottom + 10), Words::at(QUIET, HPos::Center, VPos::Top));
                edge = x + half;
            }
        }
        words(area, "UTC", (self.left - 8, self.bottom + 10), Words::at(QUIET, HPos::Right, VPos::Top));
    }

    /// The ticks of an axis and their heights, without those whose numbers would run into each other.
    fn apart(&self, side: Side) -> Vec<(f64, i32)> {
        let mut shown: Vec<(f64, i32)> = Vec::new();
        for tick in &self.scales[side as usize].ticks {
            let y = self.y(side, *tick);
            if shown.last().is_none_or(|(_, last)| last - y >= TICK_PX) {
                shown.push((*tick, y));
            }
        }
        shown
    }

    /// One line, broken where a period has no value. A value alone is a dot.
    fn curve(&self, area: &Area<'_>, curve: &Curve) {
        let ink = colour(curve.colour);
        for stretch in self.stretches(&curve.points) {
            let places = self.places(&stretch, curve.side);
            match places.as_slice() {
                [] => {}
                [place] => {
                    area.draw(&Circle::new(*place, 3, ink.filled())).expect("a string takes everything");
                }
                _ => path(area, places, ink.to_rgba(), STROKE_PX),
            }
        }
    }

    /// The points within the picture, cut where values are missing.
    fn stretches(&self, points: &[(Timestamp, f64)]) -> Vec<Vec<(i64, f64)>> {
        let mut stretches: Vec<Vec<(i64, f64)>> = Vec::new();
        for &(at, value) in points {
            let at_ms = at.as_millis();
            if !value.is_finite() || !(self.from_ms..=self.to_ms).contains(&at_ms) {
                continue;
            }
            match stretches.last_mut() {
                Some(open)
                    if open
                        .last()
                        .is_some_and(|(last, _)| at_ms - last <= self.period_ms + self.period_ms / 2) =>
                {
                    open.push((at_ms, value));
                }
                _ => stretches.push(vec![(at_ms, value)]),
            }
        }
        stretches
    }

    /// Where points stand. Of many in one column of pixels the lowest and the highest stay.
    fn places(&self, stretch: &[(i64, f64)], side: Side) -> Vec<(i32, i32)> {
        let mut places: Vec<(i32, i32)> = Vec::new();
        let mut column: Option<(i32, i32, i32)> = None;
        let close = |column: (i32, i32, i32), places: &mut Vec<(i32, i32)>| {
            places.push((column.0, column.1));
            if column.2 != column.1 {
                places.push((column.0, column.2));
            }
        };
        for (at_ms, value) in stretch {
            let (x, y) = (self.x(*at_ms), self.y(side, *value));
            column = match column {
                Some((at, low, high)) if at == x => Some((at, low.min(y), high.max(y))),
                Some(done) => {
                    close(done, &mut places);
                    Some((x, y, y))
                }
                None => Some((x, y, y)),
            };
        }
        if let Some(done) = column {
            close(done, &mut places);
        }
        places
    }

    /// Areas that stand on each other, each axis for itself. A period without a value counts as nothing.
    fn areas(&self, area: &Area<'_>, plot: &Plot) {
        for side in [Side::Left, Side::Right] {
            let mut below: BTreeMap<i64, f64> = totals(plot, side).into_keys().map(|at| (at, 0.0)).collect();
            below.retain(|at_ms, _| (self.from_ms..=self.to_ms).contains(at_ms));
            for curve in plot.curves.iter().take(CURVES_MAX).filter(|curve| curve.side == side) {
                let floor = below.clone();
                for (at, value) in curve.points.iter().filter(|(_, value)| value.is_finite()) {
                    if let Some(sum) = below.get_mut(&at.as_millis()) {
                        *sum += held(*value);
                    }
                }
                let ceiling: Vec<(i64, f64)> = below.iter().map(|(at, value)| (*at, *value)).collect();
                let ground: Vec<(i64, f64)> = floor.into_iter().collect();
                let edge = self.places(&ceiling, side);
                let mut outline = edge.clone();
                outline.extend(self.places(&ground, side).into_iter().rev());
                let ink = colour(curve.colour);
                if outline.len() > 2 {
                    area.draw(&Polygon::new(outline, ink.mix(0.55))).expect("a string takes everything");
                }
                path(area, edge, ink.to_rgba(), 1);
            }
        }
    }

    fn shade(&self, area: &Area<'_>, level: &Level) {
        if !level.value.is_finite() {
            return;
        }
        let y = self.y(level.side, level.value);
        let other = match level.fill {
            Fill::Nothing => return,
            Fill::Above => self.top,
            Fill::Below => self.bottom,
            Fill::To(value) if value.is_finite() => self.y(level.side, value),
            Fill::To(_) => return,
        };
        let ink = colour(level.colour).mix(0.16);
        rectangle(area, (self.left, y.min(other)), (self.right, y.max(other)), ink);
    }

    fn level(&self, area: &Area<'_>, level: &Level) {
        if !level.value.is_finite() {
            return;
        }
        let (y, ink) = (self.y(level.side, level.value), colour(level.colour));
        for x in (self.left..self.right).step_by(10) {
            path(area, vec![(x, y), ((x + 6).min(self.right), y)], ink.to_rgba(), STROKE_PX);
        }
        self.name(area, &level.label, (self.left + 6, y), ink);
    }

    fn moment(&self, area: &Area<'_>, moment: &Moment) {
        let at_ms = moment.at.as_millis();
        if !(self.from_ms..=self.to_ms).contains(&at_ms) {
            return;
        }
        let (x, ink) = (self.x(at_ms), colour(moment.colour));
        path(area, vec![(x, self.top), (x, self.bottom)], ink.to_rgba(), STROKE_PX);
        let width = width_px(&fitting(&moment.label, (self.right - self.left) / 2));
        let left = (x + 6).min(self.right - width).max(self.left);
        self.name(area, &moment.label, (left, self.top + 24), ink);
    }

    /// A name over a place, or below it where there is no room, on a plate of its own.
    fn name(&self, area: &Area<'_>, text: &str, (left, y): (i32, i32), ink: RGBColor) {
        let text = fitting(text, (self.right - self.left) / 2);
        if text.is_empty() {
            return;
        }
        let (top, bottom) = if y - 24 >= self.top { (y - 23, y - 3) } else { (y + 3, y + 23) };
        rectangle(area, (left - 3, top), (left + width_px(&text) + 3, bottom), PLATE.mix(0.8));
        words(area, &text, (left, i32::midpoint(top, bottom)), Words::at(ink, HPos::Left, VPos::Center));
    }
}

/// What the lines of one axis come to at each instant.
fn totals(plot: &Plot, side: Side) -> BTreeMap<i64, f64> {
    let mut totals: BTreeMap<i64, f64> = BTreeMap::new();
    for curve in plot.curves.iter().take(CURVES_MAX).filter(|curve| curve.side == side) {
        for (at, value) in curve.points.iter().filter(|(_, value)| value.is_finite()) {
            *totals.entry(at.as_millis()).or_default() += held(*value);
        }
    }
    totals
}
