use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::mute::tests::rule;

fn utc(text: &str) -> Timestamp {
    let instant: Instant = format!("{text}:00Z").parse().unwrap();
    Timestamp::from_millis(instant.as_millisecond())
}

fn schedule(expression: &str, duration: &str, timezone: &str) -> MuteSchedule {
    rule(expression, duration, timezone).schedule().unwrap()
}

fn written(window: Option<(Timestamp, Timestamp)>) -> Option<(String, String)> {
    window.map(|(from, to)| (from.iso()[..16].to_owned(), to.iso()[..16].to_owned()))
}

/// Expression, duration, zone; an instant in UTC; the window that holds it; the next one.
const WINDOWS: &str = "
# The examples of the documentation.
cron(0 2 * * SUN)    | PT4H    | UTC | 2026-09-05T00:00 | -                                 | 2026-09-06T02:00 2026-09-06T06:00
cron(0 1 1 * *)      | PT6H    | UTC | 2026-09-01T06:59 | 2026-09-01T01:00 2026-09-01T07:00 | 2026-10-01T01:00 2026-10-01T07:00
cron(0 18 * * FRI)   | P2DT12H | UTC | 2026-09-07T05:59 | 2026-09-04T18:00 2026-09-07T06:00 | 2026-09-11T18:00 2026-09-14T06:00
cron(0 18 * * FRI)   | P2DT12H | UTC | 2026-09-07T06:00 | -                                 | 2026-09-11T18:00 2026-09-14T06:00
cron(0 23 * * *)     | PT2H    | UTC | 2026-09-05T00:30 | 2026-09-04T23:00 2026-09-05T01:00 | 2026-09-05T23:00 2026-09-06T01:00
at(2024-05-10T14:00) | PT4H    | UTC | 2024-05-10T13:59 | -                                 | 2024-05-10T14:00 2024-05-10T18:00
at(2024-05-10T14:00) | PT4H    | UTC | 2024-05-10T14:00 | 2024-05-10T14:00 2024-05-10T18:00 | -
at(2024-12-23T00:00) | P7D     | UTC | 2024-12-30T00:00 | -                                 | -
# Time zones on both sides of UTC.
cron(0 2 * * SUN)    | PT4H | Asia/Tokyo          | 2026-09-05T17:00 | 2026-09-05T17:00 2026-09-05T21:00 | 2026-09-12T17:00 2026-09-12T21:00
at(2026-09-05T22:00) | PT1H | America/Los_Angeles | 2026-09-06T05:59 | 2026-09-06T05:00 2026-09-06T06:00 | -
# The clock in Berlin jumps from 02:00 to 03:00 on 29 March 2026, at 01:00 UTC: windows begin with the jump, assumed.
cron(30 2 * * *)     | PT1H | Europe/Berlin | 2026-03-29T00:00 | -                                 | 2026-03-29T01:00 2026-03-29T02:00
at(2026-03-29T02:30) | PT1H | Europe/Berlin | 2026-03-29T01:00 | 2026-03-29T01:00 2026-03-29T02:00 | -
# It goes back from 03:00 to 02:00 on 25 October 2026, at 01:00 UTC: the first 02:30 counts, assumed.
cron(30 2 * * *)     | PT30M | Europe/Berlin | 2026-10-25T00:00 | -                                 | 2026-10-25T00:30 2026-10-25T01:00
cron(30 2 * * *)     | PT30M | Europe/Berlin | 2026-10-25T01:30 | -                                 | 2026-10-26T01:30 2026-10-26T02:00
cron(45 2 * * *)     | PT30M | Europe/Berlin | 2026-10-25T01:10 | 2026-10-25T00:45 2026-10-25T01:15 | 2026-10-26T01:45 2026-10-26T02:15
# A day is 24 hours, also where the clock has 25: assumed.
cron(0 12 24 10 *)   | P1D | Europe/Berlin | 2026-10-25T09:59 | 2026-10-24T10:00 2026-10-25T10:00 | 2027-10-24T10:00 2027-10-25T10:00
# Windows that overlap: the last that began.
cron(0 * * * *)      | PT3H | UTC | 2026-09-05T07:30 | 2026-09-05T07:00 2026-09-05T10:00 | 2026-09-05T08:00 2026-09-05T11:00
# The longest way to a day.
cron(0 0 29 2 *)     | PT1M | UTC | 2096-02-29T00:01 | - | 2104-02-29T00:00 2104-02-29T00:01
";

#[test]
fn knows_its_windows() {
    let rows: Vec<&str> = WINDOWS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(rows.len(), 18);
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [expression, duration, zone, now, holding, next] = cells[..] else { panic!("{row}") };
        let window = |text: &str| text.split_once(' ').map(|(from, to)| (from.to_owned(), to.to_owned()));
        let (holding, next) = (window(holding), window(next));
        let schedule = schedule(expression, duration, zone);
        assert_eq!(written(schedule.window_at(utc(now))), holding, "{row}");
        assert_eq!(written(schedule.next_window(utc(now))), next, "{row}");
        let status = match (holding, next) {
            (Some(_), _) => MuteStatus::Active,
            (None, Some(_)) => MuteStatus::Scheduled,
            (None, None) => MuteStatus::Expired,
        };
        assert_eq!(schedule.status(utc(now)), status, "{row}");
    }
}

#[test]
fn start_and_expiry_cut_windows() {
    let mut daily = rule("cron(0 10 * * *)", "PT4H", "UTC");
    daily.start = Some(utc("2026-09-05T12:00"));
    daily.expire = Some(utc("2026-09-07T11:00"));
    let schedule = daily.schedule().unwrap();
    let rows = [
        ("2026-09-05T11:00", None, Some(("2026-09-05T12:00", "2026-09-05T14:00")), "SCHEDULED"),
        (
            "2026-09-05T12:00",
            Some(("2026-09-05T12:00", "2026-09-05T14:00")),
            Some(("2026-09-06T10:00", "2026-09-06T14:00")),
            "ACTIVE",
        ),
        ("2026-09-06T20:00", None, Some(("2026-09-07T10:00", "2026-09-07T11:00")), "SCHEDULED"),
        ("2026-09-07T10:59", Some(("2026-09-07T10:00", "2026-09-07T11:00")), None, "ACTIVE"),
        ("2026-09-07T11:00", None, None, "EXPIRED"),
        ("2030-01-01T10:00", None, None, "EXPIRED"),
    ];
    for (now, holding, next, status) in rows {
        let owned = |window: Option<(&str, &str)>| window.map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(written(schedule.window_at(utc(now))), owned(holding), "at {now}");
        assert_eq!(written(schedule.next_window(utc(now))), owned(next), "after {now}");
        assert_eq!(schedule.status(utc(now)).name(), status, "{now}");
    }
    daily.start = Some(utc("2026-09-05T15:00")); // between windows
    let next = daily.schedule().unwrap().next_window(utc("2026-09-01T00:00"));
    assert_eq!(written(next).unwrap().0, "2026-09-06T10:00");
    // An expiry before the next window: it will never mute again.
    daily.expire = Some(utc("2026-09-06T09:00"));
    assert_eq!(daily.schedule().unwrap().status(utc("2026-09-05T16:00")), MuteStatus::Expired);
}

#[test]
fn reads_durations() {
    let rows = [
        ("PT1M", Some(MINUTE_MS)),
        ("PT4H", Some(4 * HOUR_MS)),
        ("P2DT12H", Some(60 * HOUR_MS)),
        ("P15D", Some(15 * DAY_MS)),
        ("P1W", Some(7 * DAY_MS)),
        ("PT90M", Some(90 * MINUTE_MS)),
        ("PT60S", Some(MINUTE_MS)),
        ("P1DT2H3M4S", Some(DAY_MS + 2 * HOUR_MS + 3 * MINUTE_MS + 4 * SECOND_MS)),
        ("PT59S", None),
        ("P15DT1S", None),
        ("P1M", None), // a month, not a minute
        ("P1Y", None),
        ("PT1.5H", None),
        ("-PT1H", None),
        ("P-1D", None),
        ("PT", None),
        ("P", None),
        ("4h", None),
        ("4 hours", None),
        ("P9999999999999999999D", None),
        ("PT999999999999M", None),
        ("", None),
    ];
    for (text, ms) in rows {
        let found = parse_duration(text).ok().map(|duration| duration.as_millis());
        assert_eq!(found, ms.map(i128::from), "{text}");
    }
}

#[test]
fn refuses_what_is_no_expression() {
    let rows = [
        "",
        "cron",
        "cron()",
        "cron(0 2 * * *",
        "0 2 * * *",
        "CRON(0 2 * * *)",
        "rate(1 hour)",
        "at()",
        "at(2026-09-05)",
        "at(2026-09-05T02:00:00)",
        "at(2026-9-5T2:00)",
        "at(2026-02-30T02:00)",
        "at(2026-09-05T24:00)",
        "at(2026-09-05 02:00)",
        "at(+026-09-05T02:00)",
    ];
    for text in rows {
        assert!(parse_expression(text).is_err(), "{text}");
    }
}

/// A window in the year 9013 was announced, yet never held an instant: instants were looked at up to 8973 alone.
#[test]
fn a_window_that_is_announced_comes() {
    let schedule = schedule("at(9013-10-25T02:30)", "PT1M", "Europe/Berlin");
    let next = schedule.next_window(utc("2026-10-25T00:00"));
    let from = next.unwrap().0;
    assert_eq!(from.as_millis(), 222_281_281_800_000);
    assert_eq!(schedule.window_at(from), next);
}

#[test]
fn far_instants_do_no_harm() {
    for expression in ["cron(* * * * *)", "cron(0 0 29 2 *)", "at(9999-12-31T23:59)", "at(0000-01-01T00:00)"]
    {
        for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
            let schedule = schedule(expression, "P15D", zone);
            for ms in [i64::MIN, -1, 0, 1, LAST_MS, i64::MAX] {
                let now = Timestamp::from_millis(ms);
                let _ = (schedule.window_at(now), schedule.next_window(now), schedule.status(now));
            }
        }
    }
}

const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe", // half an hour of summer
    "Antarctica/Troll",    // two hours
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Havana", // the clock jumps at midnight
];

/// A field as text and as the numbers that it means; nothing for `*`.
fn field(from: u32, to: u32) -> impl Strategy<Value = (String, Option<BTreeSet<u32>>)> {
    let items = prop::collection::vec((from..=to, 0_u32..4), 1..4);
    prop_oneof![
        Just(("*".to_owned(), None)),
        items.prop_map(move |items| {
            let ranges: Vec<(u32, u32)> =
                items.into_iter().map(|(first, more)| (first, (first + more).min(to))).collect();
            let texts: Vec<String> = ranges
                .iter()
                .map(
                    |(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") },
                )
                .collect();
            (texts.join(","), Some(ranges.into_iter().flat_map(|(first, last)| first..=last).collect()))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The oracle watches the clock on the wall, minute by minute: whatever it newly shows, or jumps over, begins.
    #[test]
    fn agrees_with_watching_the_clock(
        minutes in field(0, 59),
        hours in field(0, 23),
        days in field(1, 28),
        months in field(1, 12),
        weekdays in field(0, 6),
        zone in prop::sample::select(&ZONES[..]),
        year in 2010_i16..2040,
        // Most clocks change in spring and autumn.
        week in prop_oneof![8_i64..14, 38_i64..46, 0_i64..53],
        duration_min in prop_oneof![1_i64..120, 1_i64..20_000],
    ) {
        let expression =
            format!("cron({} {} {} {} {})", minutes.0, hours.0, days.0, months.0, weekdays.0);
        let schedule = schedule(&expression, &format!("PT{duration_min}M"), zone);
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let matches = |time: DateTime| {
            let among = |set: &Option<BTreeSet<u32>>, n: i8| set.as_ref().is_none_or(|set| set.contains(&(n as u32)));
            let weekday = time.weekday().to_sunday_zero_offset();
            let day = match (&days.1, &weekdays.1) {
                (Some(days), Some(weekdays)) => days.contains(&(time.day() as u32)) || weekdays.contains(&(weekday as u32)),
                (days, weekdays) => among(days, time.day()) && among(weekdays, weekday),
            };
            among(&minutes.1, time.minute()) && among(&hours.1, time.hour()) && day && among(&months.1, time.month())
        };
        let start = jiff::civil::date(year, 1, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let start = start + SignedDuration::from_hours(week * 7 * 24);
        let first = start - SignedDuration::from_mins(20_000 + 48 * 60);
        let mut shown_until = zone.to_datetime(first);
        let mut last: Option<Timestamp> = None;
        let mut begun: Vec<Timestamp> = Vec::new();
        for minute in 0..(20_000 + 48 * 60 + 8 * 24 * 60) {
            let now = first + SignedDuration::from_mins(minute);
            let shown = zone.to_datetime(now);
            let mut begins = false;
            while shown_until < shown {
                shown_until = shown_until.checked_add(SignedDuration::from_mins(1)).unwrap();
                begins |= matches(shown_until);
            }
            let stamp = Timestamp::from_millis(now.as_millisecond());
            if begins {
                last = Some(stamp);
                if now > start {
                    begun.push(stamp);
                }
            }
            if now >= start && minute % 7 == 0 {
                let end = |begin: Timestamp| begin.plus_millis(duration_min * MINUTE_MS);
                let expected = last.map(|begin| (begin, end(begin))).filter(|(_, end)| stamp < *end);
                prop_assert_eq!(schedule.window_at(stamp), expected, "{} at {}", &expression, stamp);
            }
        }
        let mut at = Timestamp::from_millis(start.as_millisecond());
        for begin in begun.into_iter().take(300) {
            let next = schedule.next_window(at).map(|(from, _)| from);
            prop_assert_eq!(next, Some(begin), "{} after {}", &expression, at);
            at = begin;
        }
    }

    #[test]
    fn never_panics(
        expression in "(cron|at|x)?\\(?([0-9*,A-Z/?-]{0,5} ?){0,6}\\)?|at\\(....-..-..T..:..\\)|.{0,40}",
        duration in "-?P?[0-9DTHMSWY.]{0,12}",
        timezone in "[A-Za-z/_+-]{0,20}",
        ms in any::<i64>(),
    ) {
        if let Ok(schedule) = rule(&expression, "PT1H", "UTC").schedule() {
            let now = Timestamp::from_millis(ms);
            let _ = (schedule.window_at(now), schedule.next_window(now));
        }
        let _ = rule("cron(0 0 * * *)", &duration, &timezone).schedule();
    }
}
