/*!
What all pictures are drawn with: the plate, its colours, words, rectangles and lines.

Works in whole CSS pixels, which is what the SVG back end writes; sizes of letters are chosen so that they can still be
read when a telephone shows the picture at half its width.
*/

use plotters::coord::Shift;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::prelude::{
    Color as _, DrawingArea, IntoDrawingArea as _, RGBAColor, RGBColor, SVGBackend, ShapeStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, FontStyle, TextStyle};

use super::WIDTH_PX;

/// Characters of the title with the unit: what fits over the picture.
const TITLE_CHARS_MAX: usize = 62;
/// The letters, and what a browser without them takes.
const FAMILY: &str = "Inter, Helvetica, Arial, sans-serif";
/// The back end divides sizes by this.
const FAMILY_SIZE_FACTOR: f64 = 1.24;
/// Height of letters in pixels.
pub(super) const LETTERS_PX: f64 = 16.0;
/// Where words begin and end at the sides.
pub(super) const SIDES: (i32, i32) = (16, 584);

pub(super) const PLATE: RGBColor = RGBColor(0x1b, 0x21, 0x2a);
pub(super) const GRID: RGBColor = RGBColor(0x32, 0x3b, 0x47);
pub(super) const WORDS: RGBColor = RGBColor(0xe8, 0xec, 0xf1);
pub(super) const QUIET: RGBColor = RGBColor(0xa4, 0xaf, 0xbd);
pub(super) const VALUES: RGBColor = RGBColor(0x5d, 0x7a, 0x9e);

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// An SVG document of this height: the plate, what `draw` adds, and over it the title and quieter the unit.
pub(super) fn on_plate(height_px: u32, title: &str, unit: &str, draw: impl FnOnce(&Area<'_>)) -> String {
    let mut out = String::new();
    {
        let area = SVGBackend::with_string(&mut out, (WIDTH_PX, height_px)).into_drawing_area();
        rectangle(&area, (0, 0), (WIDTH_PX as i32, height_px as i32), PLATE.to_rgba());
        let title = clean(title);
        words(&area, &title, (SIDES.0, 13), Words { bold: true, ..Words::plain(WORDS) });
        draw(&area);
        let unit = clean(unit);
        if title.chars().count() + unit.chars().count() <= TITLE_CHARS_MAX {
            words(&area, &unit, (SIDES.1, 13), Words::at(QUIET, HPos::Right, VPos::Top));
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

/// How wide `text` is, roughly.
pub(super) fn width_px(text: &str) -> i32 {
    (text.chars().count() as f64 * LETTERS_PX * 0.6) as i32
}

/// How words look and which of their corners is named.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) colour: RGBColor,
    pub(super) bold: bool,
    pub(super) at: Pos,
}

impl Words {
    pub(super) const fn plain(colour: RGBColor) -> Self {
        Self::at(colour, HPos::Left, VPos::Top)
    }

    pub(super) const fn at(colour: RGBColor, side: HPos, height: VPos) -> Self {
        Self { colour, bold: false, at: Pos { h_pos: side, v_pos: height } }
    }
}

pub(super) fn words(area: &Area<'_>, text: &str, at: (i32, i32), look: Words) {
    let font = (FontFamily::Name(FAMILY), LETTERS_PX * FAMILY_SIZE_FACTOR);
    let style = TextStyle::from(font).color(&look.colour).pos(look.at);
    let style = TextStyle {
        font: style.font.style(if look.bold { FontStyle::Bold } else { FontStyle::Normal }),
        ..style
    };
    area.draw(&Text::new(text, at, style)).expect("a string takes everything");
}

pub(super) fn rectangle(area: &Area<'_>, from: (i32, i32), to: (i32, i32), colour: RGBAColor) {
    let shape = Rectangle::new([from, to], ShapeStyle { color: colour, filled: true, stroke_width: 0 });
    area.draw(&shape).expect("a string takes everything");
}

pub(super) fn path(area: &Area<'_>, points: Vec<(i32, i32)>, colour: RGBAColor, width: u32) {
    let shape = PathElement::new(points, ShapeStyle { color: colour, filled: false, stroke_width: width });
    area.draw(&shape).expect("a string takes everything");
}
