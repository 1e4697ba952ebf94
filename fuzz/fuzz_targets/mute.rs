/*!
Schedules of mute rules: a line each for expression, duration, time zone and an instant in milliseconds.

Windows hold the instant they are asked for, the next one comes after it, and it is a window itself.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::mute::{DURATION_MAX_MS, MuteRule, MuteStatus};
use nightbell_core::time::Timestamp;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.split('\n').map(str::to_owned);
    let rule = MuteRule {
        region: "eu-central-1".to_owned(),
        name: "fuzz".to_owned(),
        arn: "arn:aws:cloudwatch:eu-central-1:123456789012:alarm-mute-rule:fuzz".to_owned(),
        description: None,
        expression: lines.next().unwrap_or_default(),
        duration: lines.next().unwrap_or_else(|| "PT1H".to_owned()),
        timezone: lines.next().unwrap_or_else(|| "Europe/Berlin".to_owned()),
        alarm_names: Vec::new(),
        start: None,
        expire: None,
        updated: Timestamp::from_millis(0),
    };
    let now = lines.next().and_then(|ms| ms.parse().ok()).unwrap_or(1_790_000_000_000_i64);
    let now = Timestamp::from_millis(now.clamp(0, 300_000_000_000_000));
    let Ok(schedule) = rule.schedule() else { return };
    if let Some((from, to)) = schedule.window_at(now) {
        assert!(from <= now && now < to && to.since(from) <= DURATION_MAX_MS);
        assert_eq!(schedule.status(now), MuteStatus::Active);
    }
    if let Some((from, to)) = schedule.next_window(now) {
        assert!(now < from && from < to);
        assert_eq!(schedule.window_at(from), Some((from, to)));
    }
});
