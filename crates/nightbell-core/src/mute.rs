/*!
Mute rules: times in which alarms change their states without running actions.

Here stand the rule as it is stored, its limits, and [`Muted`], what a muted alarm remembers until the window ends.
`schedule` says when windows are, `cron` which days and minutes an expression means. Semantics follow "Alarm mute rules"
(Amazon CloudWatch User Guide). An alarm is muted while any rule that names it is active, so that overlapping windows
are one.
*/

use serde::{Deserialize, Serialize};

use crate::alarm::check::DESCRIPTION_CHARS_MAX;
use crate::alarm::{AlarmError, AlarmErrorKind, State};
use crate::metric::NAME_CHARS_MAX;
use crate::time::Timestamp;

pub use schedule::{DURATION_MAX_MS, DURATION_MIN_MS, MuteSchedule, SEARCH_DAYS_MAX};

mod cron;
mod schedule;

/// Alarms that one rule may name.
pub const MUTED_ALARMS_MAX: usize = 100;
/// Characters of a schedule's expression.
pub const EXPRESSION_CHARS_MAX: usize = 256;
/// Characters of a duration; of a time zone.
pub const SCHEDULE_TEXT_CHARS_MAX: usize = 50;
/// The time zone of a rule that names none.
pub const TIMEZONE_DEFAULT: &str = "UTC";

/// A mute rule, as it was configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MuteRule {
    /// The region it lives in; the alarms it names do, too.
    pub region: String,
    /// Its name, 1 to 255 characters, unique in its region.
    pub name: String,
    /// `arn:aws:cloudwatch:<region>:<account>:alarm-mute-rule:<name>`
    pub arn: String,
    /// What it is for, in its owner's words.
    pub description: Option<String>,
    /// `cron(minutes hours day-of-month month day-of-week)` or `at(yyyy-MM-ddThh:mm)`, as it was given.
    pub expression: String,
    /// How long each window lasts, in ISO 8601: `PT1M` to `P15D`, as it was given. A day is 24 hours.
    pub duration: String,
    /// The IANA time zone that the expression is read in.
    pub timezone: String,
    /// Names of the alarms that it mutes; without any it mutes none.
    pub alarm_names: Vec<String>,
    /// Before this instant it mutes nothing.
    pub start: Option<Timestamp>,
    /// From this instant on it mutes nothing.
    pub expire: Option<Timestamp>,
    /// When the configuration was last written.
    pub updated: Timestamp,
}

/// Where a mute rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MuteStatus {
    /// It will mute.
    Scheduled,
    /// It mutes now.
    Active,
    /// It will never mute again.
    Expired,
}

impl MuteStatus {
    /// `SCHEDULED`, `ACTIVE` or `EXPIRED`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
        }
    }
}

/// How often a mute rule has windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MuteType {
    /// One window: `at(…)`.
    OneTime,
    /// Windows again and again: `cron(…)`.
    Recurring,
}

impl MuteType {
    /// `ONE_TIME` or `RECURRING`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneTime => "ONE_TIME",
            Self::Recurring => "RECURRING",
        }
    }
}

impl MuteRule {
    /// Whether the rule is inside the limits of PutAlarmMuteRule (Amazon CloudWatch API Reference).
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), AlarmError> {
        if self.name.is_empty() {
            return Err(error(AlarmErrorKind::Absent, "Name", "is required"));
        }
        check_length("Name", &self.name, NAME_CHARS_MAX)?;
        if self.description.as_deref().is_some_and(|text| longer_than(text, DESCRIPTION_CHARS_MAX)) {
            let message = format!("must have at most {DESCRIPTION_CHARS_MAX} characters");
            return Err(error(AlarmErrorKind::Form, "Description", message));
        }
        if self.alarm_names.len() > MUTED_ALARMS_MAX {
            let message = format!("must have at most {MUTED_ALARMS_MAX} members");
            return Err(error(AlarmErrorKind::Form, "AlarmNames", message));
        }
        for name in &self.alarm_names {
            check_length("AlarmNames", name, NAME_CHARS_MAX)?;
        }
        if let (Some(start), Some(expire)) = (self.start, self.expire)
            && start >= expire
        {
            return Err(error(AlarmErrorKind::Combination, "ExpireDate", "must be after StartDate"));
        }
        self.schedule().map(|_| ())
    }

    /// When the rule mutes, ready to be asked many times.
    ///
    /// # Errors
    /// An expression, duration or time zone that cannot be read.
    pub fn schedule(&self) -> Result<MuteSchedule, AlarmError> {
        check_length("Expression", &self.expression, EXPRESSION_CHARS_MAX)?;
        check_length("Duration", &self.duration, SCHEDULE_TEXT_CHARS_MAX)?;
        check_length("Timezone", &self.timezone, SCHEDULE_TEXT_CHARS_MAX)?;
        MuteSchedule::new(self)
    }

    /// Whether it names this alarm of its region.
    pub fn names(&self, alarm: &str) -> bool {
        self.alarm_names.iter().any(|name| name == alarm)
    }
}

/// Until when some of `schedules` mutes at `now`, at the least; nothing if none does. Ask again then: another window may
/// go on from there.
pub fn muted_until<'s>(
    schedules: impl IntoIterator<Item = &'s MuteSchedule>,
    now: Timestamp,
) -> Option<Timestamp> {
    schedules.into_iter().filter_map(|schedule| schedule.window_at(now)).map(|(_, to)| to).max()
}

/// What a muted alarm remembers: the newest change whose actions did not run, and the state from before the window.
///
/// There is one only while the alarm is in another state than before the window; whoever holds one when the last window
/// ends runs its actions, with `ActionExecutedAfterMuteWindow` set. An alarm that came back to the state from before has
/// nothing to tell, whatever happened in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Muted<T> {
    before: State,
    newest: T,
}

impl<T> Muted<T> {
    /// What is remembered after a change `from` one state `to` another was muted; `held` was remembered before it.
    pub fn after(held: Option<Self>, from: State, to: State, newest: T) -> Option<Self> {
        let before = held.map_or(from, |held| held.before);
        (before != to).then_some(Self { before, newest })
    }

    /// The state from before the window.
    pub fn before(&self) -> State {
        self.before
    }

    /// The change whose actions run when the window ends, to be looked at.
    pub fn newest(&self) -> &T {
        &self.newest
    }

    /// The change whose actions run when the window ends.
    pub fn into_newest(self) -> T {
        self.newest
    }
}

fn check_length(field: &'static str, text: &str, chars_max: usize) -> Result<(), AlarmError> {
    if text.is_empty() || longer_than(text, chars_max) {
        return Err(error(AlarmErrorKind::Form, field, format!("must have 1 to {chars_max} characters")));
    }
    Ok(())
}

fn longer_than(text: &str, chars_max: usize) -> bool {
    text.chars().nth(chars_max).is_some()
}

fn error(kind: AlarmErrorKind, field: &'static str, message: impl Into<String>) -> AlarmError {
    AlarmError { kind, field, message: message.into() }
}

#[cfg(test)]
mod tests;
