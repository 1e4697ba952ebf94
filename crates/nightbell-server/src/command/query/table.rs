/*!
Rows as text for people: a table cut to a terminal's width, bars over time, and CSV.

Values come from events, so nothing in them may speak to the terminal.
*/

use std::fmt::Write as _;

use console::{measure_text_width, truncate_str};

use super::super::incidents::clean;
use super::time;

/// Between two columns.
const GAP: &str = "  ";
/// What a column keeps, however many there are.
const COLUMN_WIDTH_MIN: usize = 6;
/// The longest bar, in character cells.
const BAR_WIDTH_MAX: usize = 60;
/// The shortest longest bar that says anything.
const BAR_WIDTH_MIN: usize = 8;
/// Eighths of a character cell, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
/// Stands between two bars where periods without events were left out.
const GAP_MARK: &str = "⋮";

/// A line of names and a line for each row, none wider than `width`.
pub(super) fn table(names: &[String], rows: &[Vec<String>], width: usize) -> String {
    if names.is_empty() || rows.is_empty() {
        return String::new();
    }
    let cells: Vec<Vec<String>> = std::iter::once(names)
        .chain(rows.iter().map(Vec::as_slice))
        .map(|row| row.iter().map(|text| flat(text)).collect())
        .collect();
    let mut widths: Vec<usize> = (0..names.len())
        .map(|at| cells.iter().filter_map(|row| row.get(at)).map(|cell| measure_text_width(cell)).max())
        .map(|widest| widest.unwrap_or(0))
        .collect();
    fit(&mut widths, width);
    let is_number: Vec<bool> = (0..names.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).all(|text| text.is_empty() || is_number(text)))
        .collect();
    let mut text = String::new();
    for row in &cells {
        let mut line = String::new();
        for ((cell, &width), &right) in row.iter().zip(&widths).zip(&is_number) {
            line += &padded(cell, width, right);
            line += GAP;
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Makes the widest columns narrower until all fit, as far as they may.
fn fit(widths: &mut [usize], width: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    loop {
        let all = widths.iter().fold(gaps, |sum, width| sum.saturating_add(*width));
        let Some(over) = all.checked_sub(width).filter(|over| *over > 0) else { return };
        let widest = widths.iter().copied().max().unwrap_or(0);
        if widest <= COLUMN_WIDTH_MIN {
            return;
        }
        // Down to the second widest at once: loops as often as there are columns, about.
        let next = widths.iter().copied().filter(|width| *width < widest).max().unwrap_or(0);
        let wide = widths.iter().filter(|width| **width == widest).count();
        let lower = widest.saturating_sub(over.div_ceil(wide)).max(next).max(COLUMN_WIDTH_MIN);
        widths.iter_mut().filter(|width| **width == widest).for_each(|width| *width = lower);
    }
}

fn padded(cell: &str, width: usize, right: bool) -> String {
    let cut = truncate_str(cell, width, "…");
    let blanks = " ".repeat(width.saturating_sub(measure_text_width(&cut)));
    if right { format!("{blanks}{cut}") } else { format!("{cut}{blanks}") }
}

/// One line without anything that speaks to a terminal.
fn flat(text: &str) -> String {
    let line: String = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
    clean(&line)
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Bars over time, where rows are times with numbers: those of the first number, beside all. `None` for other rows, and
/// where there is no room.
pub(super) fn plot(names: &[String], rows: &[Vec<String>], width: usize) -> Option<String> {
    let place = (0..names.len()).find(|at| rows.iter().all(|row| time(&row[*at]).is_some()))?;
    let numbers: Vec<usize> = (0..names.len()).filter(|at| *at != place).collect();
    let sound = |row: &Vec<String>| numbers.iter().all(|at| row[*at].is_empty() || is_number(&row[*at]));
    let &first = numbers.first()?;
    if rows.is_empty() || !rows.iter().all(sound) {
        return None;
    }
    let mut sorted: Vec<&Vec<String>> = rows.iter().collect();
    sorted.sort_by_key(|row| time(&row[place]));
    let order: Vec<usize> = std::iter::once(place).chain(numbers).collect();
    let pick = |row: &[String]| order.iter().map(|at| row[*at].clone()).collect::<Vec<_>>();
    let picked: Vec<Vec<String>> = sorted.iter().map(|row| pick(row)).collect();
    let plain = table(&pick(names), &picked, usize::MAX);
    let lines: Vec<&str> = plain.lines().collect();
    let widest = lines.iter().map(|line| measure_text_width(line)).max()?;
    let room = width.checked_sub(widest + GAP.len()).filter(|room| *room >= BAR_WIDTH_MIN)?;
    let room = room.min(BAR_WIDTH_MAX);
    let value = |row: &Vec<String>| row[first].parse::<f64>().unwrap_or(0.0).max(0.0);
    let highest = sorted.iter().map(|row| value(row)).fold(0.0, f64::max);
    let times: Vec<i64> = sorted.iter().filter_map(|row| Some(time(&row[place])?.as_millis())).collect();
    let step = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0).min();
    let mut text = format!("{}\n", lines[0]);
    for (at, (line, row)) in lines[1..].iter().zip(&sorted).enumerate() {
        let skipped = at > 0 && step.is_some_and(|step| times[at] - times[at - 1] >= 2 * step);
        if skipped {
            let _ = writeln!(text, "{GAP_MARK}");
        }
        let blanks = " ".repeat(widest - measure_text_width(line));
        let line = format!("{line}{blanks}{GAP}{}", bar(value(row), highest, room));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    Some(text)
}

/// A bar of `value`, where the highest takes `room` cells; whatever is more than nothing shows.
fn bar(value: f64, highest: f64, room: usize) -> String {
    if highest <= 0.0 || value <= 0.0 {
        return String::new();
    }
    let eighths = ((value / highest * room as f64 * 8.0).round() as usize).clamp(1, room * 8);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(eighths.checked_rem(8).filter(|rest| *rest > 0).map(|rest| EIGHTHS[rest - 1]));
    bar
}

/// CSV (RFC 4180) with a line of names; values as they are.
pub(super) fn csv(names: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for row in std::iter::once(names).chain(rows.iter().map(Vec::as_slice)) {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
        text += &cells.join(",");
        text += "\r\n";
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_table_fits_its_width() {
        let names = strings(&["user", "message", "n"]);
        let rows = vec![
            strings(&["ann", "a long message about something", "7"]),
            strings(&["bob\u{1b}[31m\n", "日本語の長いメッセージ", "12"]),
        ];
        for width in [80, 40, 30, 25] {
            let text = table(&names, &rows, width);
            for line in text.lines() {
                assert!(measure_text_width(line) <= width, "{width}: {line:?}");
            }
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
        let text = table(&names, &rows, 80);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().nth(1).unwrap().ends_with("  7"), "numbers stand at the right: {text}");
        assert!(table(&names, &rows, 25).contains('…'));
        assert_eq!(table(&names, &[], 80), "");
    }

    #[test]
    fn a_width_too_small_for_anything_still_shows_every_column() {
        let names: Vec<String> = (0..20).map(|number| format!("column-{number}")).collect();
        let rows = vec![names.clone()];
        assert_eq!(table(&names, &rows, 1).lines().count(), 2);
    }

    #[test]
    fn counts_over_time_are_bars() {
        let names = strings(&["bin(1h)", "n"]);
        let row = |hour: u32, n: u32| vec![format!("2026-09-14 {hour:02}:00:00.000"), n.to_string()];
        let text = plot(&names, &[row(5, 8), row(6, 4), row(9, 1)], 60).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let bars: Vec<usize> = lines.iter().map(|line| line.matches('█').count()).collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[3], GAP_MARK, "hours without events are left out, and marked");
        assert!(bars[1] == 2 * bars[2] && bars[4] >= 1, "{text}");
        assert!(lines.iter().all(|line| measure_text_width(line) <= 60), "{text}");
        assert_eq!(plot(&names, &[row(5, 8)], 20), None, "there is no room");
        let by_user = strings(&["bin(1h)", "user", "n"]);
        let rows = vec![strings(&["2026-09-14 05:00:00.000", "ann", "7"])];
        assert_eq!(plot(&by_user, &rows, 80), None, "texts are no numbers");
    }

    #[test]
    fn bars_have_eighths() {
        assert_eq!(bar(1.0, 1.0, 2), "██");
        assert_eq!(bar(1.0, 16.0, 2), "▏");
        assert_eq!(bar(0.0001, 16.0, 2), "▏", "whatever is there shows");
        assert_eq!(bar(0.0, 16.0, 2), "");
        assert_eq!(bar(1.0, 0.0, 2), "");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let text = csv(&strings(&["a", "b"]), &[strings(&["x,y", "say \"hi\"\nthere"])]);
        assert_eq!(text, "a,b\r\n\"x,y\",\"say \"\"hi\"\"\nthere\"\r\n");
    }
}
