/*!
Patterns of instants as Java's `DateTimeFormatter` reads them, as far as keys need them.

Letters stand for parts of the instant, their number for the form; what stands in single quotes stands for itself, and
two of them for one. `Y` is the year of the week, whose weeks start on Sunday and belong to the year that their Saturday
lies in: at the end of December it is the next year, which is seldom meant; `y` is the calendar's.
*/

use jiff::Zoned;
use jiff::tz::TimeZone;

/// A pattern, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClockPattern {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A letter, and how often it stands in a row.
    Letters(char, usize),
}

/// Letters, and how often each may stand in a row.
const LETTERS: [(char, usize); 22] = [
    ('y', 9),
    ('u', 9),
    ('Y', 9),
    ('Q', 2),
    ('q', 2),
    ('M', 5),
    ('L', 5),
    ('d', 2),
    ('D', 3),
    ('E', 5),
    ('a', 1),
    ('H', 2),
    ('k', 2),
    ('K', 2),
    ('h', 2),
    ('m', 2),
    ('s', 2),
    ('S', 9),
    ('Z', 3),
    ('X', 3),
    ('x', 3),
    ('V', 2),
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// The longest name of a month or a day.
const NAME_CHARS_MAX: usize = 9;

impl ClockPattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("has no pattern; write one as yyyy/MM/dd".to_owned());
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(inside) = rest.strip_prefix('\'') {
                let (literal, after) = quoted(inside)?;
                pieces.push(Piece::Text(literal));
                rest = after;
                continue;
            }
            let count = rest.chars().take_while(|c| *c == first).count();
            if first.is_ascii_alphabetic() {
                pieces.push(letters(first, count)?);
            } else if matches!(first, '[' | ']' | '{' | '#') {
                return Err(format!("has {first:?}, which is reserved; put it in single quotes"));
            } else {
                pieces.push(Piece::Text(first.to_string().repeat(count)));
            }
            rest = &rest[first.len_utf8() * count..];
        }
        Ok(Self { pieces })
    }

    /// How many characters it comes to at most.
    pub(super) fn chars_max(&self, zone: &TimeZone) -> usize {
        let longest = |piece: &Piece| match piece {
            Piece::Text(text) => text.chars().count(),
            Piece::Letters('V', _) => zone.iana_name().unwrap_or("UTC").chars().count(),
            Piece::Letters('M' | 'L' | 'E', 3..) => NAME_CHARS_MAX,
            Piece::Letters('Z' | 'X' | 'x', _) => "+00:00".len(),
            Piece::Letters('E', _) | Piece::Letters('D', _) => 3,
            Piece::Letters('y' | 'u' | 'Y', count) => (*count).max(4),
            Piece::Letters(_, count) => (*count).max(2),
        };
        self.pieces.iter().map(longest).sum()
    }

    /// Writes the instant behind `out`.
    pub(super) fn write(&self, at: &Zoned, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Letters(letter, count) => out.push_str(&written(*letter, *count, at)),
            }
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted(inside: &str) -> Result<(String, &str), String> {
    if let Some(after) = inside.strip_prefix('\'') {
        return Ok(("'".to_owned(), after));
    }
    let (mut literal, mut rest) = (String::new(), inside);
    loop {
        let (before, after) = rest.split_once('\'').ok_or("has a single quote that is not closed")?;
        literal.push_str(before);
        match after.strip_prefix('\'') {
            Some(further) => {
                literal.push('\'');
                rest = further;
            }
            None => return Ok((literal, after)),
        }
    }
}

fn letters(letter: char, count: usize) -> Result<Piece, String> {
    let known = LETTERS.iter().find(|(known, _)| *known == letter);
    let (_, most) = known.ok_or_else(|| {
        format!("has the letter {letter:?}, which stands for nothing here; put text in single quotes")
    })?;
    if count > *most || (letter == 'V' && count != *most) {
        return Err(format!("has {letter:?} {count} times in a row; {most} is the number that it can have"));
    }
    Ok(Piece::Letters(letter, count))
}

fn written(letter: char, count: usize, at: &Zoned) -> String {
    let number = |value: i64| format!("{value:0count$}");
    let hour = i64::from(at.hour());
    match letter {
        'y' | 'u' => year(i64::from(at.year()), count),
        'Y' => {
            let to_saturday = 6 - i64::from(at.weekday().to_sunday_zero_offset());
            let saturday = at.date().saturating_add(jiff::Span::new().days(to_saturday));
            year(i64::from(saturday.year()), count)
        }
        'Q' | 'q' => number((i64::from(at.month()) + 2) / 3),
        'M' | 'L' if count < 3 => number(i64::from(at.month())),
        'M' | 'L' => name(MONTHS[usize::from(at.month().unsigned_abs()) - 1], count),
        'd' => number(i64::from(at.day())),
        'D' => number(i64::from(at.day_of_year())),
        'E' => name(DAYS[usize::from(at.weekday().to_monday_zero_offset().unsigned_abs())], count.max(3)),
        'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'H' => number(hour),
        'k' => number(if hour == 0 { 24 } else { hour }),
        'K' => number(hour % 12),
        'h' => number(if hour % 12 == 0 { 12 } else { hour % 12 }),
        'm' => number(i64::from(at.minute())),
        's' => number(i64::from(at.second())),
        'S' => format!("{:09}", at.subsec_nanosecond())[..count].to_owned(),
        'V' => at.time_zone().iana_name().unwrap_or("UTC").to_owned(),
        _ => offset(letter, count, at.offset().seconds() / 60),
    }
}

/// Two digits, or as many as the pattern has at least.
fn year(year: i64, count: usize) -> String {
    if count == 2 { format!("{:02}", year % 100) } else { format!("{year:0count$}") }
}

/// Three letters, the whole name, or one letter.
fn name(name: &str, count: usize) -> String {
    match count {
        3 => name[..3].to_owned(),
        4 => name.to_owned(),
        _ => name[..1].to_owned(),
    }
}

/// `+0900`, `+09:00`, `+09`; `X` writes UTC as `Z`.
fn offset(letter: char, count: usize, minutes: i32) -> String {
    if letter == 'X' && minutes == 0 {
        return "Z".to_owned();
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    match (letter, count) {
        ('Z', _) | (_, 2) => format!("{sign}{hours:02}{rest:02}"),
        (_, 3) => format!("{sign}{hours:02}:{rest:02}"),
        _ if rest == 0 => format!("{sign}{hours:02}"),
        _ => format!("{sign}{hours:02}{rest:02}"),
    }
}
