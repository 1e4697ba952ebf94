/*!
Draws a chart's slots with plotters: grid, band, values, line, marks, moment.
*/

use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, Polygon};
use plotters::prelude::{Cartesian2d, Color as _, CoordTranslate as _, RGBAColor, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

use super::pen::{
    Area, GRID, LETTERS_PX, PLATE, QUIET, VALUES, WORDS, Words, clean, on_plate, path, rectangle, width_px,
    words,
};
use super::{Chart, HEIGHT_PX, Mark, Slot, WIDTH_PX, number, of_day, scale, threshold, told};

/// Marks drawn; more names would not fit.
const MARKS_MAX: usize = 3;
/// Room between the names of two marks.
const MARK_GAP_PX: i32 = 12;
/// What breaches is this wide at least, however short it was.
const BREACH_WIDTH_MIN_PX: i32 = 6;
const BAND: RGBAColor = RGBAColor(0x8f, 0xa3, 0xbd, 0.28);

/// Where the values are drawn: left, top, right, bottom.
const FIELD: (i32, i32, i32, i32) = (56, 66, 584, 212);

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
        // A moment far from the data is not worth squeezing them.
        let latest_ms = to_ms.saturating_add((to_ms - from_ms).max(1_000));
        let marks = chart.marks.iter().map(|mark| mark.at.as_millis()).filter(|at_ms| *at_ms <= latest_ms);
        for at_ms in marks.chain(chart.fired_at.map(|at| at.as_millis().min(latest_ms))) {
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
    on_plate(HEIGHT_PX, &chart.title, &chart.unit, |area| {
        if slots.is_empty() {
            words(area, "no data", (WIDTH_PX as i32 / 2, 140), Words::at(QUIET, HPos::Center, VPos::Center));
            return;
        }
        let field = Field::of(chart, slots);
        grid(area, &field);
        band(area, &field, slots);
        values(area, &field, chart, slots);
        line(area, &field, chart, slots);
        marks(area, &field, chart);
        moment(area, &field, chart, slots);
    })
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
fn line(area: &Area<'_>, field: &Field, chart: &Chart, slots: &[Slot]) {
    let Some(value) = threshold(chart) else { return };
    let y = field.y(value);
    for x in (FIELD.0..FIELD.2).step_by(10) {
        path(area, vec![(x, y), ((x + 6).min(FIELD.2), y)], WORDS.to_rgba(), 2);
    }
    let text = format!("line {}", number(value));
    // At the left, unless values stand there that the words would hide.
    let width = (text.chars().count() as f64 * LETTERS_PX * 0.55) as i32 + 13;
    let hides = |left: i32| {
        let under = |slot: &&Slot| field.x(slot.from_ms) < left + width && field.x(slot.to_ms) > left;
        slots.iter().filter(under).any(|slot| field.y(slot.value) < y)
    };
    let right = FIELD.2 - width - 40;
    let left = if hides(FIELD.0) && !hides(right) { right } else { FIELD.0 };
    let over = y - 24 >= FIELD.1;
    let (top, bottom) = if over { (y - 24, y - 2) } else { (y + 2, y + 24) };
    rectangle(area, (left + 1, top), (left + width, bottom), PLATE.mix(0.85));
    words(area, &text, (left + 6, (top + bottom) / 2), Words::at(WORDS, HPos::Left, VPos::Center));
}

/// Moments with their names, which stand side by side over the field.
fn marks(area: &Area<'_>, field: &Field, chart: &Chart) {
    let mut marks: Vec<(i32, &Mark)> =
        chart.marks.iter().take(MARKS_MAX).map(|mark| (field.x(mark.at.as_millis()), mark)).collect();
    marks.sort_by_key(|(x, _)| *x);
    let widths: Vec<i32> = marks.iter().map(|(_, mark)| width_px(&clean(&mark.name))).collect();
    // From the right, each as near to its moment as the one behind it and the edge leave room.
    let mut lefts = vec![FIELD.0; marks.len()];
    let mut edge = FIELD.2 + 2;
    for i in (0..marks.len()).rev() {
        lefts[i] = (marks[i].0 - widths[i] / 2).min(edge - widths[i]);
        edge = lefts[i] - MARK_GAP_PX;
    }
    let mut edge = FIELD.0 - 40;
    for (i, (x, mark)) in marks.iter().enumerate() {
        let (red, green, blue) = mark.colour;
        let colour = RGBColor(red, green, blue);
        if mark.at.as_millis() > field.to_ms {
            // It lies beyond the field: an arrow points there.
            let (tip, y) = (FIELD.2 + 8, FIELD.1 - 6);
            let arrow = Polygon::new(vec![(tip - 9, y - 6), (tip, y), (tip - 9, y + 6)], colour.to_rgba());
            area.draw(&arrow).expect("a string takes everything");
        } else {
            path(area, vec![(*x, FIELD.1 - 4), (*x, FIELD.3)], colour.to_rgba(), 2);
            area.draw(&Circle::new((*x, FIELD.1 - 6), 4, colour.filled()))
                .expect("a string takes everything");
        }
        let left = lefts[i].max(edge);
        let look = Words { bold: true, ..Words::at(colour, HPos::Left, VPos::Bottom) };
        words(area, &clean(&mark.name), (left, FIELD.1 - 13), look);
        edge = left + widths[i] + MARK_GAP_PX;
    }
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
