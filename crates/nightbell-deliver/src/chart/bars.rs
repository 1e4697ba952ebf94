/*!
Several numbers side by side: a bar for each, the largest at the top, and the line they are held against.

Pure, like the chart over time. Names are hostile text and are cleaned and cut here.
*/

use plotters::prelude::{Color as _, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

use super::pen::{self, Area, GRID, PLATE, SIDES, WORDS, Words};
use super::{held, number};

/// Bars drawn; of more, the first.
pub const BARS_MAX: usize = 8;
/// Height of the title.
pub(super) const HEAD_PX: i32 = 44;
/// Height of a row: its name and, below, its bar.
pub(super) const ROW_PX: i32 = 48;
/// Where the bar begins and ends in its row.
pub(super) const BAR_PX: (i32, i32) = (23, 33);
/// Height of what stands below the rows.
const FOOT_PX: i32 = 30;
/// What a character of a name takes at most, nearly always.
const CHARACTER_PX: i32 = 9;

/// Numbers with names.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What is drawn, in a few words.
    pub title: String,
    /// Said quieter after the title.
    pub unit: String,
    /// The rows from top to bottom; at most [`BARS_MAX`] are drawn.
    pub rows: Vec<Bar>,
    /// The line that all are held against.
    pub threshold: Option<f64>,
    /// Colour of the bars: red, green, blue.
    pub accent: (u8, u8, u8),
}

/// One of [`Bars`].
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Whose it is.
    pub name: String,
    /// How much.
    pub value: f64,
}

impl Bars {
    pub(super) fn height_px(&self) -> u32 {
        let foot = if self.line().is_some() { FOOT_PX } else { 8 };
        (HEAD_PX + self.rows().len() as i32 * ROW_PX + foot) as u32
    }

    pub(super) fn svg(&self) -> String {
        let accent = RGBColor(self.accent.0, self.accent.1, self.accent.2);
        pen::on_plate(self.height_px(), &self.title, &self.unit, |area| {
            let line = self.line();
            for (row, y) in self.rows().iter().zip((HEAD_PX..).step_by(ROW_PX as usize)) {
                let value = number(held(row.value));
                named(area, &row.name, &value, y);
                let (top, bottom) = (y + BAR_PX.0, y + BAR_PX.1);
                pen::rectangle(area, (SIDES.0, top), (SIDES.1, bottom), GRID.to_rgba());
                pen::rectangle(area, (SIDES.0, top), (self.x(row.value), bottom), accent.to_rgba());
                if let Some(line) = line {
                    let x = self.x(line);
                    // Dark at its sides, so that it is seen on a bright bar.
                    pen::rectangle(area, (x - 3, top), (x + 3, bottom), PLATE.to_rgba());
                    pen::path(area, vec![(x, top - 4), (x, bottom + 4)], WORDS.to_rgba(), 2);
                }
            }
            if let Some(line) = line {
                let y = HEAD_PX + self.rows().len() as i32 * ROW_PX;
                let text = format!("line {}", number(line));
                let half = pen::width_px(&text) / 2;
                let x = self.x(line).clamp(SIDES.0 + half, SIDES.1 - half);
                pen::words(area, &text, (x, y), Words::at(WORDS, HPos::Center, VPos::Top));
            }
        })
    }

    /// `Value that fired: \\share\\a 9, \\share\\b 7; line at 5`
    pub(super) fn alt(&self) -> String {
        let told = |row: &Bar| format!("{} {}", pen::clean(&row.name), number(held(row.value)));
        let rows: Vec<String> = self.rows().iter().map(told).collect();
        let line = self.line().map(|line| format!("; line at {}", number(line))).unwrap_or_default();
        let rows = if rows.is_empty() { "no data".to_owned() } else { rows.join(", ") };
        format!("{}: {rows}{line}", pen::clean(&self.title))
    }

    fn rows(&self) -> &[Bar] {
        &self.rows[..self.rows.len().min(BARS_MAX)]
    }

    fn line(&self) -> Option<f64> {
        self.threshold.filter(|line| line.is_finite()).map(held)
    }

    /// Where a bar of `value` ends; one that is too short to be seen is still shown.
    fn x(&self, value: f64) -> i32 {
        let largest = self.rows().iter().map(|row| held(row.value)).chain(self.line()).fold(0.0, f64::max);
        let share = if largest > 0.0 { (held(value) / largest).clamp(0.0, 1.0) } else { 0.0 };
        SIDES.0 + ((f64::from(SIDES.1 - SIDES.0) * share) as i32).max(2)
    }
}

/// A row's name at the left and what is said of it at the right.
pub(super) fn named(area: &Area<'_>, name: &str, told: &str, y: i32) {
    let look = Words { bold: true, ..Words::at(WORDS, HPos::Right, VPos::Top) };
    pen::words(area, told, (SIDES.1, y), look);
    let room_px = (SIDES.1 - SIDES.0 - pen::width_px(told) - CHARACTER_PX).max(0);
    let chars = (room_px / CHARACTER_PX).max(8) as usize;
    let name = pen::clean(&crate::message::clean_ends(name, chars));
    pen::words(area, &name, (SIDES.0, y), Words::plain(WORDS));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn folders() -> Bars {
        let row = |name: &str, value| Bar { name: name.to_owned(), value };
        Bars {
            title: "What fired".to_owned(),
            unit: "the 3 highest of 187".to_owned(),
            rows: vec![row(r"\share\a", 9.0), row(r"\share\b", 7.0), row(r"\share\c", 6.0)],
            threshold: Some(5.0),
            accent: (0x5e, 0xea, 0xd4),
        }
    }

    #[test]
    fn each_is_named_with_its_number_and_the_line() {
        let drawing = folders().svg();
        for part in [r"\share\a", ">\n9", "line 5", "What fired", "the 3 highest of 187", "#5EEAD4"] {
            assert!(drawing.contains(part), "{part:?} is not in\n{drawing}");
        }
        let alt = r"What fired: \share\a 9, \share\b 7, \share\c 6; line at 5";
        assert_eq!(folders().alt(), alt);
        assert!(!Bars { threshold: None, ..folders() }.svg().contains("line"));
        assert_eq!(Bars { rows: Vec::new(), threshold: None, ..folders() }.alt(), "What fired: no data");
    }

    #[test]
    fn lengths_say_how_much() {
        let bars = folders();
        assert_eq!((bars.x(9.0), bars.x(4.5), bars.x(0.0)), (SIDES.1, 300, SIDES.0 + 2));
        assert_eq!((bars.x(-3.0), bars.x(f64::MAX)), (SIDES.0 + 2, SIDES.1));
        let many = Bars { rows: vec![bars.rows[0].clone(); 99], ..bars };
        assert_eq!(many.height_px(), (HEAD_PX + 8 * ROW_PX + FOOT_PX) as u32);
    }
}
