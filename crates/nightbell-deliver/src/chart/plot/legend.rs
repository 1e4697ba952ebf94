/*!
The legend of a plot: names and colours of its lines, in rows below it.
*/

use plotters::prelude::{Color as _, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

use super::{Curve, MARGIN_PX, colour, fitting};
use crate::chart::pen::{Area, QUIET, WORDS, Words, rectangle, width_px, words};

/// Height of a row.
const ROW_PX: i32 = 24;
/// Side of a name's square of colour, and what stands around it.
const SQUARE_PX: i32 = 12;
/// Between two names.
const GAP_PX: i32 = 20;
/// Rows of names at most; further lines are counted.
const ROWS_MAX: i32 = 6;

/// A name with its place in its row.
pub(super) struct Name {
    left: i32,
    text: String,
    colour: Option<RGBColor>,
}

/// The names in rows, as many as take at most a third of the picture.
pub(super) fn rows(curves: &[Curve], width: i32, height: i32) -> Vec<Vec<Name>> {
    let rows_max = (height / 3 / ROW_PX).clamp(1, ROWS_MAX) as usize;
    let mut rows: Vec<Vec<Name>> = vec![Vec::new()];
    let mut left = MARGIN_PX;
    for (shown, curve) in curves.iter().enumerate() {
        let text = fitting(&curve.label, width - 2 * MARGIN_PX - SQUARE_PX);
        let needed = SQUARE_PX + 8 + width_px(&text);
        if left > MARGIN_PX && left + needed > width - MARGIN_PX {
            if rows.len() == rows_max {
                note_rest(&mut rows, curves.len() - shown, width);
                break;
            }
            rows.push(Vec::new());
            left = MARGIN_PX;
        }
        if let Some(row) = rows.last_mut() {
            row.push(Name { left, text, colour: Some(colour(curve.colour)) });
        }
        left += needed + GAP_PX;
    }
    rows.retain(|row| !row.is_empty());
    rows
}

/// The last row ends with how many lines have no name here.
fn note_rest(rows: &mut [Vec<Name>], mut rest: usize, width: i32) {
    let Some(row) = rows.last_mut() else { return };
    let words = |rest: usize| format!("and {rest} more");
    let left = width - MARGIN_PX - width_px(&words(1_000_000));
    while let Some(name) = row.last()
        && name.left + SQUARE_PX + 8 + width_px(&name.text) > left
    {
        row.pop();
        rest += 1;
    }
    row.push(Name { left, text: words(rest), colour: None });
}

/// How much room the rows take.
pub(super) fn height_px(rows: &[Vec<Name>]) -> i32 {
    if rows.is_empty() { 0 } else { rows.len() as i32 * ROW_PX + 8 }
}

/// Draws the rows from `top` on.
pub(super) fn draw(area: &Area<'_>, rows: &[Vec<Name>], top: i32) {
    for (at, row) in rows.iter().enumerate() {
        let middle = top + at as i32 * ROW_PX + ROW_PX / 2;
        for name in row {
            let half = SQUARE_PX / 2;
            match name.colour {
                Some(ink) => {
                    let square = ((name.left, middle - half), (name.left + SQUARE_PX, middle + half));
                    rectangle(area, square.0, square.1, ink.to_rgba());
                    let place = (name.left + SQUARE_PX + 8, middle);
                    words(area, &name.text, place, Words::at(WORDS, HPos::Left, VPos::Center));
                }
                None => {
                    let look = Words::at(QUIET, HPos::Left, VPos::Center);
                    words(area, &name.text, (name.left, middle), look);
                }
            }
        }
    }
}
