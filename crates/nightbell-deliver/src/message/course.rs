/*!
The chart of an incident: how it went from the window that fired until now, or until it was over.

Where the alarm adds its samples up, its windows are added up here again from what the incident's curve counted, and the
line is drawn; of another statistic the worst windows are shown as they were measured; else what was counted in each
stretch of time, for which no line holds.
*/

use nightbell_core::alarm::{Measure, MetricAlarm};
use nightbell_core::delivery::IncidentMessage;
use nightbell_core::incident::{Curve, Extreme, NoteKind};
use nightbell_core::time::Timestamp;

use super::alarm::{BREACHED, capitalised};
use super::kind::Look;
use super::story::NAME_CHARS_MAX;
use super::{moment, text};
use crate::chart::{Chart, Mark};

/// Points of a window that slides.
const SLIDING_POINTS_MAX: i64 = 480;
/// Bars over the whole time: narrower ones are too narrow for a telephone.
const BARS_MAX: i64 = 60;
/// Worst windows that are enough for a picture.
const WORST_MIN: usize = 2;
/// Colours of the marks: start, now, over.
const STARTED: (u8, u8, u8) = BREACHED;
const NOW: (u8, u8, u8) = (0xe8, 0xec, 0xf1);
const OVER: (u8, u8, u8) = (0x56, 0xd6, 0x8f);

/// What is drawn: ends of windows and their values, how long a window is, whether the line holds for it, and its name.
struct Drawn {
    points: Vec<(i64, f64)>,
    period_s: i64,
    lined: bool,
    unit: String,
}

/// The chart; `None` where nothing is known of the course.
pub(super) fn chart(message: &IncidentMessage, look: &Look) -> Option<Chart> {
    let IncidentMessage { alarm, note, .. } = message;
    let incident = &note.incident;
    let curve = &incident.curve;
    if curve.is_empty() {
        return None;
    }
    let until = incident.ended.unwrap_or(note.at);
    let (to, to_name) = match note.kind {
        NoteKind::Update => (note.at, "now"),
        NoteKind::End => (until, "over"),
    };
    let Drawn { points, period_s, lined, unit } = sliding(alarm, curve, until.second())
        .or_else(|| worst(alarm, curve, incident.extreme))
        .unwrap_or_else(|| counted(curve, until.second()));
    let mark = |at: Timestamp, name: &str, colour| Mark {
        at,
        name: format!("{name} {}", said(at, note.at)),
        colour,
    };
    Some(Chart {
        title: match look.counted {
            "" => text::line_of_ends(&moment::metric(alarm), NAME_CHARS_MAX),
            counted => capitalised(counted),
        },
        unit,
        points: points.into_iter().map(|(second, value)| (Timestamp::from_seconds(second), value)).collect(),
        threshold: (lined && alarm.band.is_none()).then_some(alarm.threshold),
        band: None,
        breach: moment::breach(alarm),
        fired_at: None,
        marks: vec![
            mark(incident.started, "start", STARTED),
            mark(to, to_name, if note.kind == NoteKind::End { OVER } else { NOW }),
        ],
        period_s,
        accent: BREACHED,
    })
}

/// The alarm's window as it slid, where it is a sum that the curve still resolves.
fn sliding(alarm: &MetricAlarm, curve: &Curve, until: i64) -> Option<Drawn> {
    let period_s = alarm.period_s;
    let statistic = moment::statistic(alarm);
    let adds_up = matches!(statistic.as_str(), "Sum" | "SampleCount")
        && !matches!(alarm.measure, Measure::Expression(_))
        && alarm.comparison.of_band().is_none();
    if !adds_up || curve.is_lumped() || period_s <= 0 {
        return None;
    }
    let mut curve = curve.clone();
    // How long it is shown to fall after the last event.
    let tail = |curve: &Curve| {
        let end = end_of(curve);
        until.max(end).min(end.saturating_add(period_s))
    };
    while (tail(&curve) - curve.start_second()) / curve.width_s() > SLIDING_POINTS_MAX {
        curve = curve.coarser();
    }
    let width_s = curve.width_s();
    if period_s % width_s != 0 {
        return None;
    }
    let in_window = (period_s / width_s) as usize;
    let counts: Vec<f64> = curve.buckets().iter().map(|bucket| bucket.count).collect();
    let points = ((tail(&curve) - curve.start_second()) / width_s) as usize;
    let value = |n: usize| -> f64 {
        let to = n.min(counts.len());
        counts[n.saturating_sub(in_window).min(to)..to].iter().sum()
    };
    let points = (1..=points).map(|n| (curve.start_second() + n as i64 * width_s, value(n))).collect();
    let unit = format!("{statistic} in {}", text::window(moment::period_ms(alarm)));
    Some(Drawn { points, period_s, lined: true, unit })
}

/// The worst window that ended in each stretch, where they were measured.
fn worst(alarm: &MetricAlarm, curve: &Curve, extreme: Extreme) -> Option<Drawn> {
    let mut curve = curve.clone();
    while curve.buckets().len() as i64 > BARS_MAX {
        curve = curve.coarser();
    }
    let ends = (curve.start_second() + curve.width_s()..).step_by(curve.width_s() as usize);
    let points: Vec<(i64, f64)> =
        ends.zip(curve.buckets()).filter_map(|(end, bucket)| Some((end, bucket.worst?))).collect();
    let word = match extreme {
        Extreme::Highest => "highest",
        Extreme::Lowest => "lowest",
    };
    let window = text::window(moment::period_ms(alarm));
    let unit = format!("{} in {window}, {word} per {}", moment::statistic(alarm), stretch(&curve));
    (points.len() >= WORST_MIN).then_some(Drawn { points, period_s: curve.width_s(), lined: true, unit })
}

/// What was counted in each stretch.
fn counted(curve: &Curve, until: i64) -> Drawn {
    let mut curve = curve.clone();
    // The time after the last event is shown as long as it does not squeeze what was before.
    let shown = |curve: &Curve| {
        let end = end_of(curve);
        until.max(end).min(end.saturating_add(end - curve.start_second()))
    };
    while (shown(&curve) - curve.start_second()) / curve.width_s() > BARS_MAX {
        curve = curve.coarser();
    }
    let ends = (curve.start_second() + curve.width_s()..).step_by(curve.width_s() as usize);
    let points = ends.zip(curve.buckets()).map(|(end, bucket)| (end, bucket.count)).collect();
    let unit = format!("per {}", stretch(&curve));
    Drawn { points, period_s: curve.width_s(), lined: false, unit }
}

fn end_of(curve: &Curve) -> i64 {
    curve.start_second() + curve.buckets().len() as i64 * curve.width_s()
}

fn stretch(curve: &Curve) -> String {
    text::window(curve.width_s().saturating_mul(1_000))
}

/// `18:08:47`, with its day where that is not the day of `today`.
fn said(at: Timestamp, today: Timestamp) -> String {
    let (at, today) = (at.plain(), today.plain());
    let (at, today) = (at.trim_end_matches(" UTC"), today.trim_end_matches(" UTC"));
    match (at.split_once(' '), today.split_once(' ')) {
        (Some((day, time)), Some((same, _))) if day == same => time.to_owned(),
        (Some((day, time)), _) => {
            let day = day.split_once('-').map_or(day, |(_, day)| day);
            format!("{day} {}", time.get(..5).unwrap_or(time))
        }
        (None, _) => at.to_owned(),
    }
}
