/*!
The rules of PutLogEvents: which events of a request are taken, which are dropped and reported, what is refused.

Pure: time and the group's retention are arguments. Rules and texts: CloudWatch Logs API reference, "PutLogEvents".
*/

use nightbell_core::event::Event;
use nightbell_core::time::{DAY_MS, HOUR_MS, Timestamp};

/// Most events of one request.
pub(crate) const BATCH_EVENTS_MAX: usize = 10_000;
/// Largest request: UTF-8 bytes of all messages plus [`EVENT_OVERHEAD_BYTES`] for each event.
pub(crate) const BATCH_BYTES_MAX: usize = 1_048_576;
/// Bytes counted for each event besides its message.
pub(crate) const EVENT_OVERHEAD_BYTES: usize = 26;
/// Longest time between the first and the last accepted event.
pub(crate) const SPAN_MAX_MS: i64 = DAY_MS;
/// Oldest event that is taken.
pub(crate) const AGE_MAX_MS: i64 = 14 * DAY_MS;
/// How far ahead of the clock an event may be.
pub(crate) const AHEAD_MAX_MS: i64 = 2 * HOUR_MS;

const _: () = assert!(BATCH_EVENTS_MAX * EVENT_OVERHEAD_BYTES < BATCH_BYTES_MAX);

/// Which events were dropped, as indexes into the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// First event that is too far ahead; all after it are, too.
    pub(crate) too_new_start: Option<usize>,
    /// End (exclusive) of the leading events older than [`AGE_MAX_MS`].
    pub(crate) too_old_end: Option<usize>,
    /// End (exclusive) of the leading events older than the group's retention.
    pub(crate) expired_end: Option<usize>,
}

/// What is left of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The events to store; may be empty.
    pub(crate) events: Vec<Event>,
    /// The events that were dropped.
    pub(crate) rejected: Rejected,
}

/// Applies the rules to the events of one request. The error is the text of an InvalidParameterException.
pub(crate) fn admit(
    events: Vec<Event>,
    now: Timestamp,
    retention_days: Option<i64>,
) -> Result<Admitted, String> {
    check_shape(&events)?;
    check_size(&events)?;
    let too_old = leading(&events, now.plus_millis(-AGE_MAX_MS));
    let expired = retention_days.map_or(0, |days| leading(&events, now.plus_millis(-days * DAY_MS)));
    let ahead = now.plus_millis(AHEAD_MAX_MS);
    let too_new = events.iter().position(|event| event.time > ahead).unwrap_or(events.len());
    let rejected = Rejected {
        too_new_start: (too_new < events.len()).then_some(too_new),
        too_old_end: (too_old > 0).then_some(too_old),
        expired_end: (expired > too_old).then_some(expired),
    };
    let mut kept = events;
    kept.truncate(too_new);
    kept.drain(..too_old.max(expired).min(too_new));
    if let (Some(first), Some(last)) = (kept.first(), kept.last())
        && last.time.since(first.time) > SPAN_MAX_MS
    {
        return Err(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.".into(),
        );
    }
    Ok(Admitted { events: kept, rejected })
}

fn check_shape(events: &[Event]) -> Result<(), String> {
    if events.is_empty() || events.len() > BATCH_EVENTS_MAX {
        let bound = if events.is_empty() {
            "greater than or equal to 1".to_owned()
        } else {
            format!("less than or equal to {BATCH_EVENTS_MAX}")
        };
        return Err(format!(
            "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length {bound}; it has {}",
            events.len()
        ));
    }
    if let Some(index) = events.iter().position(|event| event.message.is_empty()) {
        return Err(format!(
            "1 validation error detected: Value '' at 'logEvents.{}.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1",
            index + 1
        ));
    }
    if events.iter().any(|event| event.time.as_millis() < 0) {
        return Err("1 validation error detected: Value at 'logEvents.timestamp' failed to satisfy constraint: Member must have value greater than or equal to 0".into());
    }
    if !events.is_sorted_by_key(|event| event.time) {
        return Err("Log events in a single PutLogEvents request must be in chronological order.".into());
    }
    Ok(())
}

fn check_size(events: &[Event]) -> Result<(), String> {
    let size = |event: &Event| event.message.len() + EVENT_OVERHEAD_BYTES;
    if let Some(event) = events.iter().find(|event| size(event) > BATCH_BYTES_MAX) {
        return Err(format!("Log event too large: {} bytes exceeds limit of {BATCH_BYTES_MAX}", size(event)));
    }
    let total: usize = events.iter().map(size).sum();
    if total > BATCH_BYTES_MAX {
        return Err(format!("Upload too large: {total} bytes exceeds limit of {BATCH_BYTES_MAX}"));
    }
    Ok(())
}

/// How many leading events happened before `bound`.
fn leading(events: &[Event], bound: Timestamp) -> usize {
    events.iter().take_while(|event| event.time < bound).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn events(offsets_ms: &[i64]) -> Vec<Event> {
        offsets_ms.iter().map(|ms| Event { time: NOW.plus_millis(*ms), message: "m".into() }).collect()
    }

    fn one(message: String) -> Vec<Event> {
        vec![Event { time: NOW, message }]
    }

    #[test]
    fn times() {
        let rejected = |old: usize, expired: usize, new: Option<usize>| Rejected {
            too_new_start: new,
            too_old_end: (old > 0).then_some(old),
            expired_end: (expired > 0).then_some(expired),
        };
        let day = DAY_MS;
        let mixed = [-15 * day, -15 * day, -5 * day, -5 * day, 0, 0, 3 * HOUR_MS, 3 * HOUR_MS];
        /// Name, offsets from now, retention, what is dropped, how many are kept.
        type Row<'a> = (&'a str, &'a [i64], Option<i64>, Rejected, usize);
        let table: [Row<'_>; 8] = [
            ("P01", &[0, 0], None, rejected(0, 0, None), 2),
            ("P03", &[-day, 0], None, rejected(0, 0, None), 2),
            ("P05", &[-15 * day, 0], None, rejected(1, 0, None), 1),
            ("P06", &[0, 3 * HOUR_MS], None, rejected(0, 0, Some(1)), 1),
            ("P07", &mixed, Some(3), rejected(2, 4, Some(6)), 2),
            ("P08", &[-15 * day, -15 * day], None, rejected(2, 0, None), 0),
            ("P17", &[2 * HOUR_MS - 1_000], None, rejected(0, 0, None), 1),
            ("expired alone", &[-5 * day, 0], Some(3), rejected(0, 1, None), 1),
        ];
        for (name, offsets, retention, expected, kept) in table {
            let admitted = admit(events(offsets), NOW, retention).expect(name);
            assert_eq!((admitted.rejected, admitted.events.len()), (expected, kept), "{name}");
        }
    }

    #[test]
    fn refusals() {
        let order = "Log events in a single PutLogEvents request must be in chronological order.";
        let span = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.";
        assert_eq!(admit(events(&[0, -1]), NOW, None).unwrap_err(), order, "P02");
        assert_eq!(admit(events(&[-DAY_MS - 1, 0]), NOW, None).unwrap_err(), span, "P04");
        let large = "Log event too large: 1048578 bytes exceeds limit of 1048576";
        assert_eq!(admit(one("a".repeat(1_048_552)), NOW, None).unwrap_err(), large, "P11");
        assert_eq!(admit(one("é".repeat(524_276)), NOW, None).unwrap_err(), large, "P12");
        assert!(admit(vec![], NOW, None).is_err());
        assert!(admit(events(&vec![0; 10_001]), NOW, None).is_err(), "P09");
        assert!(admit(one(String::new()), NOW, None).is_err(), "P13");
        let two = vec![one("a".repeat(600_000)).remove(0), one("a".repeat(600_000)).remove(0)];
        let upload = "Upload too large: 1200052 bytes exceeds limit of 1048576";
        assert_eq!(admit(two, NOW, None).unwrap_err(), upload);
    }

    #[test]
    fn one_event_may_take_the_whole_batch() {
        assert_eq!(admit(one("a".repeat(1_048_550)), NOW, None).unwrap().events.len(), 1, "P10");
    }
}
