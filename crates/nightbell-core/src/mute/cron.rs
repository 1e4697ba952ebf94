/*!
Cron expressions of mute rules: which days, and which minutes of them.

Five fields (minute, hour, day of month, month, day of week) of `*`, numbers, ranges and lists; months and days of the
week also by their English names. Steps, `?`, `L`, `W` and `#` are no part of the form ("Alarm mute rules", Amazon
CloudWatch User Guide). As in other crons, a day matches either of the two day fields where both are restricted.

Knows no time zone: a day and a minute of the clock on the wall are all it sees. A crate would bring a calendar and
extensions of its own; the whole form is five sets.
*/

use jiff::civil::{Date, DateTime};

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Days of each month at the most.
const MONTH_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const SUNDAY: u32 = 0;
const SUNDAY_AGAIN: u32 = 7;

/// Sets of numbers, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is 0.
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    names: &'static [&'static str],
    /// The number of the first name.
    first_name: u32,
}

const FIELDS: [Field; 5] = [
    Field { name: "minutes", from: 0, to: 59, names: &[], first_name: 0 },
    Field { name: "hours", from: 0, to: 23, names: &[], first_name: 0 },
    Field { name: "day of month", from: 1, to: 31, names: &[], first_name: 0 },
    Field { name: "month", from: 1, to: 12, names: &MONTHS, first_name: 1 },
    Field { name: "day of week", from: 0, to: SUNDAY_AGAIN, names: &WEEKDAYS, first_name: SUNDAY },
];

impl Cron {
    /// Reads the five fields between the parentheses; the error says what they must be.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let texts: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = texts[..] else {
            return Err(format!("must have five fields in cron(). fields={}", texts.len()));
        };
        let [minute, hour, day, month, weekday] = &FIELDS;
        let mut weekday_bits = weekday.parse(weekdays)?;
        weekday_bits |= u64::from(weekday_bits >> SUNDAY_AGAIN & 1 == 1) << SUNDAY;
        let cron = Self {
            minutes: minute.parse(minutes)?,
            hours: hour.parse(hours)?,
            days: day.parse(days)?,
            months: month.parse(months)?,
            weekdays: weekday_bits,
            any_day: days == "*",
            any_weekday: weekdays == "*",
        };
        if cron.any_weekday && !cron.has_a_day() {
            return Err("must name a day of month that one of the months has".to_owned());
        }
        Ok(cron)
    }

    pub(super) fn matches_date(&self, date: Date) -> bool {
        let day = has(self.days, u32::from(date.day().unsigned_abs()));
        let weekday = has(self.weekdays, u32::from(date.weekday().to_sunday_zero_offset().unsigned_abs()));
        let either = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday, // the one that is not restricted has all days
        };
        either && has(self.months, u32::from(date.month().unsigned_abs()))
    }

    /// The times of a day that it matches, in order.
    pub(super) fn times(&self, date: Date) -> impl DoubleEndedIterator<Item = DateTime> {
        let minutes = self.minutes;
        let hours = (0_i8..24).filter(move |&hour| has(self.hours, u32::from(hour.unsigned_abs())));
        hours.flat_map(move |hour| {
            let minutes = (0_i8..60).filter(move |&minute| has(minutes, u32::from(minute.unsigned_abs())));
            minutes.map(move |minute| date.at(hour, minute, 0, 0))
        })
    }

    fn has_a_day(&self) -> bool {
        let first_day = self.days.trailing_zeros();
        (1..).zip(MONTH_DAYS).any(|(month, days)| has(self.months, month) && first_day <= days)
    }
}

impl Field {
    /// The set that a list of `*`, numbers, names and ranges means.
    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for item in text.split(',') {
            let wrong = || {
                let (name, from, to) = (self.name, self.from, self.to);
                format!("must have *, numbers from {from} to {to} and ranges of them as {name}. found={item}")
            };
            let (from, to) = match item.split_once('-') {
                None if item == "*" => (self.from, self.to),
                None => self.number(item).map(|number| (number, number)).ok_or_else(wrong)?,
                Some((from, to)) => {
                    let (from, to) =
                        (self.number(from).ok_or_else(wrong)?, self.number(to).ok_or_else(wrong)?);
                    // A week may end with its Sunday: `MON-SUN`, `5-0`.
                    let ends_week = self.to == SUNDAY_AGAIN && to == SUNDAY && from > to;
                    (from, if ends_week { SUNDAY_AGAIN } else { to })
                }
            };
            if from > to {
                return Err(wrong());
            }
            bits |= (from..=to).fold(0, |bits, number| bits | 1_u64 << number);
        }
        Ok(bits)
    }

    fn number(&self, text: &str) -> Option<u32> {
        if let Some(place) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Some(self.first_name + u32::try_from(place).ok()?);
        }
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number)?;
        (self.from..=self.to).contains(&number).then_some(number)
    }
}

fn has(bits: u64, number: u32) -> bool {
    bits >> number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(numbers: impl IntoIterator<Item = u32>) -> u64 {
        numbers.into_iter().fold(0, |bits, number| bits | 1 << number)
    }

    #[test]
    fn reads_fields() {
        let [minute, hour, day, month, weekday] = &FIELDS;
        let rows: [(&Field, &str, u64); 14] = [
            (minute, "*", bits(0..60)),
            (minute, "0", bits([0])),
            (minute, "05,7-9,59", bits([5, 7, 8, 9, 59])),
            (hour, "*", bits(0..24)),
            (hour, "22-23,0", bits([22, 23, 0])),
            (day, "1,31", bits([1, 31])),
            (month, "JAN-MAR,dec", bits([1, 2, 3, 12])),
            (month, "2-APR", bits([2, 3, 4])),
            (weekday, "SUN", bits([0])),
            (weekday, "7", bits([7])),
            (weekday, "MON-SUN", bits(1..8)),
            (weekday, "FRI-0", bits([5, 6, 7])),
            (weekday, "SUN-TUE,6", bits([0, 1, 2, 6])),
            (weekday, "*", bits(0..8)),
        ];
        for (field, text, expected) in rows {
            assert_eq!(field.parse(text), Ok(expected), "{}: {text}", field.name);
        }
    }

    #[test]
    fn refuses_what_is_no_field() {
        let [minute, hour, day, month, weekday] = &FIELDS;
        let rows: [(&Field, &str); 19] = [
            (minute, "60"),
            (minute, "-1"),
            (minute, "+1"),
            (minute, ""),
            (minute, "1,"),
            (minute, "1-"),
            (minute, "9-7"),
            (minute, "1-2-3"),
            (minute, "*/5"), // steps are no part of the form
            (minute, "001"),
            (hour, "24"),
            (day, "0"),
            (day, "32"),
            (day, "?"),
            (day, "L"),
            (month, "13"),
            (month, "JANUARY"),
            (weekday, "8"),
            (weekday, "FRI-MON"),
        ];
        for (field, text) in rows {
            assert!(field.parse(text).is_err(), "{}: {text}", field.name);
        }
    }

    #[test]
    fn refuses_days_that_never_come() {
        for text in ["0 0 30 2 *", "0 0 31 2,4,6,SEP,11 *"] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
        for text in ["0 0 29 2 *", "0 0 30,31 2 FRI", "0 0 31 4,5 *", "0 0 31 * *"] {
            assert!(Cron::parse(text).is_ok(), "{text}");
        }
        for text in ["", "* * * *", "* * * * * *", "0 2 ? * SUN *"] {
            assert!(Cron::parse(text).unwrap_err().contains("five fields"), "{text}");
        }
    }

    #[test]
    fn a_day_matches_either_of_two_restricted_day_fields() {
        let rows = [
            ("0 0 * * *", vec![1, 2, 3, 4, 5, 6, 7]),
            ("0 0 3 * *", vec![3]),
            ("0 0 * * SUN", vec![6]),
            ("0 0 * * 7", vec![6]),
            ("0 0 3 * SUN", vec![3, 6]),
            ("0 0 3 * 0-6", vec![1, 2, 3, 4, 5, 6, 7]),
            ("0 0 * 8 *", vec![]),
        ];
        for (text, days) in rows {
            let cron = Cron::parse(text).unwrap();
            let matched: Vec<i8> =
                (1..8).filter(|&day| cron.matches_date(jiff::civil::date(2026, 9, day))).collect();
            assert_eq!(matched, days, "{text}"); // 6 September 2026 was a Sunday
        }
    }
}
