/*!
States over time: a lane for each alarm, drawn from when it went into the state it is in.

Pure, like the chart over time. What was before that instant is not known here and is left open.
*/

use nightbell_core::time::{MINUTE_MS, Timestamp};
use plotters::prelude::{Color as _, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

use super::bars::{BAR_PX, HEAD_PX, ROW_PX, named};
use super::pen::{self, GRID, QUIET, SIDES, WORDS, Words};
use super::{TIME_MAX_MS, of_day, scale};

/// Lanes drawn; of more, the first.
pub const LANES_MAX: usize = 8;
/// Height of the axis.
const FOOT_PX: i32 = 34;
/// A state is this wide at least, however new it is.
const STATE_PX: i32 = 6;

/// States over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanes {
    /// What is drawn, in a few words.
    pub title: String,
    /// Said quieter after the title.
    pub unit: String,
    /// The rows from top to bottom; at most [`LANES_MAX`] are drawn.
    pub rows: Vec<Lane>,
    /// Where the picture ends.
    pub at: Timestamp,
}

/// One of [`Lanes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Whose it is.
    pub name: String,
    /// Its state.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// The state's colour: red, green, blue.
    pub colour: (u8, u8, u8),
}

impl Lanes {
    pub(super) fn height_px(&self) -> u32 {
        (HEAD_PX + self.rows().len() as i32 * ROW_PX + FOOT_PX) as u32
    }

    pub(super) fn svg(&self) -> String {
        let (from_ms, to_ms) = self.span_ms();
        let x = |at_ms: i64| {
            let share = (at_ms.clamp(from_ms, to_ms) - from_ms) as f64 / (to_ms - from_ms) as f64;
            SIDES.0 + (f64::from(SIDES.1 - SIDES.0) * share) as i32
        };
        pen::on_plate(self.height_px(), &self.title, &self.unit, |area| {
            let foot = HEAD_PX + self.rows().len() as i32 * ROW_PX;
            for (at_ms, text) in scale::times(from_ms, to_ms) {
                let half = pen::width_px(&text) / 2;
                pen::path(area, vec![(x(at_ms), foot), (x(at_ms), foot + 5)], QUIET.to_rgba(), 1);
                if x(at_ms) - half >= SIDES.0 - 6 && x(at_ms) + half <= SIDES.1 + 6 {
                    let look = Words::at(QUIET, HPos::Center, VPos::Top);
                    pen::words(area, &text, (x(at_ms), foot + 9), look);
                }
            }
            let end = x(ms(self.at));
            for (row, y) in self.rows().iter().zip((HEAD_PX..).step_by(ROW_PX as usize)) {
                named(area, &row.name, &format!("{} {}", row.state, of_day(ms(row.since))), y);
                let (top, bottom) = (y + BAR_PX.0, y + BAR_PX.1);
                pen::rectangle(area, (SIDES.0, top), (end, bottom), GRID.to_rgba());
                let colour = RGBColor(row.colour.0, row.colour.1, row.colour.2);
                let since = x(ms(row.since)).min(end - STATE_PX);
                pen::rectangle(area, (since, top), (end, bottom), colour.to_rgba());
                pen::path(area, vec![(end, top - 4), (end, bottom + 4)], WORDS.to_rgba(), 2);
            }
        })
    }

    /// `States: denied ALARM since 05:42:01, logons ALARM since 05:40:01, seen at 05:42:01 UTC`
    pub(super) fn alt(&self) -> String {
        let told =
            |row: &Lane| format!("{} {} since {}", pen::clean(&row.name), row.state, of_day(ms(row.since)));
        let rows: Vec<String> = self.rows().iter().map(told).collect();
        format!("{}: {}, seen at {} UTC", pen::clean(&self.title), rows.join(", "), of_day(ms(self.at)))
    }

    /// From some time before the earliest change to some after the end.
    fn span_ms(&self) -> (i64, i64) {
        let to_ms = ms(self.at);
        let earliest_ms = self.rows().iter().map(|row| ms(row.since)).min().unwrap_or(to_ms).min(to_ms);
        let span_ms = (to_ms - earliest_ms).max(MINUTE_MS);
        (to_ms - span_ms - span_ms / 5, to_ms + span_ms / 40)
    }

    fn rows(&self) -> &[Lane] {
        &self.rows[..self.rows.len().min(LANES_MAX)]
    }
}

fn ms(at: Timestamp) -> i64 {
    at.as_millis().clamp(-TIME_MAX_MS, TIME_MAX_MS)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn states() -> Lanes {
        let at = Timestamp::from_seconds(1_622_570_885);
        let row = |name: &str, state, since_s: i64, colour| Lane {
            name: name.to_owned(),
            state,
            since: at.plus_millis(-since_s * 1_000),
            colour,
        };
        Lanes {
            title: "States".to_owned(),
            unit: "UTC".to_owned(),
            rows: vec![row("denied", "ALARM", 0, (1, 2, 3)), row("backup", "OK", 600, (4, 5, 6))],
            at,
        }
    }

    #[test]
    fn each_is_named_with_its_state_and_since_when() {
        let drawing = states().svg();
        for part in ["denied", "ALARM 18:08:05", "OK 17:58:05", "18:00", "#010203", "#040506"] {
            assert!(drawing.contains(part), "{part:?} is not in\n{drawing}");
        }
        let alt = "States: denied ALARM since 18:08:05, backup OK since 17:58:05, seen at 18:08:05 UTC";
        assert_eq!(states().alt(), alt);
    }

    #[test]
    fn hostile_instants_are_drawn() {
        let mut lanes = states();
        lanes.rows[0].since = Timestamp::from_millis(i64::MIN);
        lanes.rows[1].since = Timestamp::from_millis(i64::MAX);
        assert!(lanes.svg().contains("denied"));
    }
}
