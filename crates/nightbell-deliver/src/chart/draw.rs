/*!
Draws a chart's slots with plotters: plate, grid, band, values, line, moment, words.

Works in whole CSS pixels, which is what the SVG back end writes; sizes of letters are chosen so that they can still be
read when a telephone shows the picture at half its width.
*/

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{
    Cartesian2d, Color as _, CoordTranslate as _, DrawingArea, IntoDrawingArea as _, RGBAColor, RGBColor,
    SVGBackend, ShapeStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, FontStyle, TextStyle};

use super::{Chart, HEIGHT_PX, Slot, WIDTH_PX, number, of_day, scale, threshold, told};

/// Characters of the title with the unit: what fits over the chart.
const TITLE_CHARS_MAX: usize = 62;
/// The letters, and what a browser without them takes.
const FAMILY: &str = "Inter, Helvetica, Arial, sans-serif";
/// The back end divides sizes by this.
const FAMILY_SIZE_FACTOR: f64 = 1.24;
/// What breaches is this wide at least, however short it was.
const BREACH_WIDTH_MIN_PX: i32 = 6;
/// Height of letters in pixels.
const LETTERS_PX: f64 = 16.0;

const PLATE: RGBColor = RGBColor(0x1b, 0x21, 0x2a);
const GRID: RGBColor = RGBColor(0x32, 0x3b, 0x47);
const WORDS: RGBColor = RGBColor(0xe8, 0xec, 0xf1);
const QUIET: RGBColor = RGBColor(0xa4, 0xaf, 0xbd);
const VALUES: RGBColor = RGBColor(0x5d, 0x7a, 0x9e);
const BAND: RGBAColor = RGBAColor(0x8f, 0xa3, 0xbd, 0.28);

/// Where the values are drawn: left, top, right, bottom.
const FIELD: (i32, i32, i32, i32) = (56, 66, 584, 212);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The drawing in pixels: how instants and values become places.
struct Field {
    coordinates: Cartesian2d<RangedCoordf64, RangedCoordf64>,
    from_ms: i64,
    to_ms: i64,
    bottom: f64,
    top: f64,
    ticks: Vec<f64>,
}

impl Field {
    fn of(chart: &Chart, slots: &[Slot]) -> Self {
        let from_ms = slots.iter().map(|slot| slot.from_ms).min().unwrap_or_default();
        let mut to_ms = slots.iter().map(|slot| slot.to_ms).max().unwrap_or_default();
        if let Some(at) = chart.fired_at {
            // A moment far from the data is not worth squeezing them.
            let at_ms = at.as_millis().min(to_ms.saturating_add((to_ms - from_ms).max(1_000)));
            to_ms = to_ms.max(at_ms);
        }
        // Room at the right, so that the moment does not stand on the edge.
        let to_ms = to_ms.max(from_ms + 1_000);
        let to_ms = to_ms + (to_ms - from_ms) / 40;
        let bounds = slots.iter().flat_map(|slot| slot.band).flat_map(|(lower, upper)| [lower, upper]);
        let all: Vec<f64> =
            slots.iter().map(|slot| slot.value).chain(bounds).chain(threshold(chart)).collect();
        let low = all.iter().copied().fold(0.0, f64::min);
        let high = all.iter().copied().fold(low + 1e-9, f64::max);
        let whole = all.iter().all(|value| value.fract() == 0.0);
        let ticks = scale::values(low, high + (high - low) * 0.06, whole);
        let (bottom, top) = (ticks.first().copied().unwrap_or(low), ticks.last().copied().unwrap_or(high));
        let coordinates =
            Cartesian2d::new(from_ms as f64..to_ms as f64, bottom..top, (FIELD.0..FIELD.2, FIELD.3..FIELD.1));
        Self { coordinates, from_ms, to_ms, bottom, top, ticks }
    }

    fn x(&self, at_ms: i64) -> i32 {
        // Held before it is handed over: the library counts places beyond the field in 32 bits.
        let at = at_ms.clamp(self.from_ms, self.to_ms) as f64;
        self.coordinates.translate(&(at, self.bottom)).0
    }

    fn y(&self, value: f64) -> i32 {
        let value = value.clamp(self.bottom, self.top);
        self.coordinates.translate(&(self.from_ms as f64, value)).1
    }
}

/// The SVG document.
pub(super) fn svg(chart: &Chart, slots: &[Slot]) -> String {
    let mut out = String::new();
    {
        let area = SVGBackend::with_string(&mut out, (WIDTH_PX, HEIGHT_PX)).into_drawing_area();
        rectangle(&area, (0, 0), (WIDTH_PX as i32, HEIGHT_PX as i32), PLATE.to_rgba());
        let title = clean(&chart.title);
        words(&area, &title, (16, 13), Words { bold: true, ..Words::plain(WORDS) });
        if slots.is_empty() {
            words(&area, "no data", (WIDTH_PX as i32 / 2, 140), Words::at(QUIET, HPos::Center, VPos::Center));
        } else {
            let field = Field::of(chart, slots);
            grid(&area, &field);
            band(&area, &field, slots);
            values(&area, &field, chart, slots);
            line(&area, &field, chart);
            moment(&area, &field, chart, slots);
        }
        let unit: String = clean(&chart.unit);
        if title.chars().count() + unit.chars().count() <= TITLE_CHARS_MAX {
            words(&area, &unit, (584, 13), Words::at(QUIET, HPos::Right, VPos::Top));
        }
        area.present().expect("a string takes everything");
    }
    out
}

/// `text` as it may stand in a drawing: one line, no control character, nothing XML forbids.
pub(super) fn clean(text: &str) -> String {
    let line = crate::message::clean_line(text, TITLE_CHARS_MAX);
    line.chars().map(|c| if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c }).collect()
}

fn grid(area: &Area<'_>, field: &Field) {
    for tick in &field.ticks {
        let y = field.y(*tick);
        path(area, vec![(FIELD.0, y), (FIELD.2, y)], GRID.to_rgba(), 1);
        words(area, &number(*tick), (FIELD.0 - 8, y), Words::at(QUIET, HPos::Right, VPos::Center));
    }
    for (at_ms, text) in scale::times(field.from_ms, field.to_ms) {
        let x = field.x(at_ms);
        path(area, vec![(x, FIELD.3), (x, FIELD.3 + 5)], QUIET.to_rgba(), 1);
        let half = (text.chars().count() as f64 * LETTERS_PX * 0.3) as i32;
        if x + half <= FIELD.2 + 8 && x - half > FIELD.0 - 6 {
            words(area, &text, (x, FIELD.3 + 10), Words::at(QUIET, HPos::Center, VPos::Top));
        }
    }
    words(area, "UTC", (FIELD.0 - 8, FIELD.3 + 10), Words::at(QUIET, HPos::Right, VPos::Top));
}

fn band(area: &Area<'_>, field: &Field, slots: &[Slot]) {
    let banded = || slots.iter().filter_map(|slot| slot.band.map(|band| (slot, band)));
    let mut outline: Vec<(i32, i32)> = Vec::new();
    for (slot, (_, upper)) in banded() {
        outline.extend([(field.x(slot.from_ms), field.y(upper)), (field.x(slot.to_ms), field.y(upper))]);
    }
    for (slot, (lower, _)) in banded().collect::<Vec<_>>().into_iter().rev() {
        outline.extend([(field.x(slot.to_ms), field.y(lower)), (field.x(slot.from_ms), field.y(lower))]);
    }
    if !outline.is_empty() {
        area.draw(&Polygon::new(outline, BAND)).expect("a string takes everything");
    }
}

/// Each value as a block from zero. Neighbours of one height become one block, so that a long calm stays small.
fn values(area: &Area<'_>, field: &Field, chart: &Chart, slots: &[Slot]) {
    let zero = field.y(0.0);
    let accent = accent(chart);
    let gap = i32::from(slots.len() < 90 && slots.iter().all(|slot| slot.at_ms == slot.to_ms));
    let mut i = 0;
    while i < slots.len() {
        let first = &slots[i];
        let mut last = first;
        while gap == 0
            && let Some(next) = slots.get(i + 1)
            && (next.value, next.breaching, next.from_ms) == (first.value, first.breaching, last.to_ms)
        {
            last = next;
            i += 1;
        }
        i += 1;
        let (left, y) = (field.x(first.from_ms), field.y(first.value));
        let width_min = if first.breaching { BREACH_WIDTH_MIN_PX } else { 1 };
        let right = (field.x(last.to_ms) - gap).max(left + width_min);
        let colour = if first.breaching { accent } else { VALUES };
        if y != zero {
            rectangle(area, (left, y.min(zero)), (right, y.max(zero)), colour.to_rgba());
        } else if first.value != 0.0 || first.breaching {
            // What breaches by being nothing, or is too small to be seen, is still shown.
            rectangle(area, (left, zero - 2), (right, zero), colour.to_rgba());
        }
    }
}

/// The line the value is held against, dashed, with its number.
fn line(area: &Area<'_>, field: &Field, chart: &Chart) {
    let Some(value) = threshold(chart) else { return };
    let y = field.y(value);
    for x in (FIELD.0..FIELD.2).step_by(10) {
        path(area, vec![(x, y), ((x + 6).min(FIELD.2), y)], WORDS.to_rgba(), 2);
    }
    let text = format!("line {}", number(value));
    let width = (text.chars().count() as f64 * LETTERS_PX * 0.55) as i32;
    let over = y - 24 >= FIELD.1;
    let (top, bottom) = if over { (y - 24, y - 2) } else { (y + 2, y + 24) };
    rectangle(area, (FIELD.0 + 1, top), (FIELD.0 + 13 + width, bottom), PLATE.mix(0.85));
    words(area, &text, (FIELD.0 + 6, (top + bottom) / 2), Words::at(WORDS, HPos::Left, VPos::Center));
}

/// When the alarm fired, and the value it is about.
fn moment(area: &Area<'_>, field: &Field, chart: &Chart, slots: &[Slot]) {
    let accent = accent(chart);
    let Some(at) = chart.fired_at else { return };
    let x = field.x(at.as_millis());
    path(area, vec![(x, FIELD.1 - 4), (x, FIELD.3)], accent.to_rgba(), 2);
    area.draw(&Circle::new((x, FIELD.1 - 6), 4, accent.filled())).expect("a string takes everything");
    let value = told(chart, slots).map(|slot| format!("{} at ", number(slot.value))).unwrap_or_default();
    let text = format!("{value}{}", of_day(at.as_millis()));
    let half = (text.chars().count() as f64 * LETTERS_PX * 0.3) as i32;
    let (place, side) = match x {
        x if x + half > FIELD.2 => (FIELD.2, HPos::Right),
        x if x - half < FIELD.0 => (FIELD.0, HPos::Left),
        x => (x, HPos::Center),
    };
    let look = Words { bold: true, ..Words::at(accent, side, VPos::Bottom) };
    words(area, &text, (place, FIELD.1 - 13), look);
}

fn accent(chart: &Chart) -> RGBColor {
    RGBColor(chart.accent.0, chart.accent.1, chart.accent.2)
}

/// How words look and which of their corners is named.
#[derive(Clone, Copy)]
struct Words {
    colour: RGBColor,
    bold: bool,
    at: Pos,
}

impl Words {
    const fn plain(colour: RGBColor) -> Self {
        Self::at(colour, HPos::Left, VPos::Top)
    }

    const fn at(colour: RGBColor, side: HPos, height: VPos) -> Self {
        Self { colour, bold: false, at: Pos { h_pos: side, v_pos: height } }
    }
}

fn words(area: &Area<'_>, text: &str, at: (i32, i32), look: Words) {
    let font = (FontFamily::Name(FAMILY), LETTERS_PX * FAMILY_SIZE_FACTOR);
    let style = TextStyle::from(font).color(&look.colour).pos(look.at);
    let style = TextStyle {
        font: style.font.style(if look.bold { FontStyle::Bold } else { FontStyle::Normal }),
        ..style
    };
    area.draw(&Text::new(text, at, style)).expect("a string takes everything");
}

fn rectangle(area: &Area<'_>, from: (i32, i32), to: (i32, i32), colour: RGBAColor) {
    let shape = Rectangle::new([from, to], ShapeStyle { color: colour, filled: true, stroke_width: 0 });
    area.draw(&shape).expect("a string takes everything");
}

fn path(area: &Area<'_>, points: Vec<(i32, i32)>, colour: RGBAColor, width: u32) {
    let shape = PathElement::new(points, ShapeStyle { color: colour, filled: false, stroke_width: width });
    area.draw(&shape).expect("a string takes everything");
}
