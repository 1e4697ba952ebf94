/*!
The limits of PutCompositeAlarm (Amazon CloudWatch API Reference): what a composite alarm must be before it is watched.

The rule itself has errors of its own, see `rule`; whether the alarms it names exist is the caller's to ask.
*/

use super::{CompositeAlarm, RuleError, Site, Suppressor};
use crate::alarm::check::{check_actions, check_texts, error, longer_than};
use crate::alarm::{AlarmError, AlarmErrorKind};

/// Characters of a suppressor's name or ARN.
pub const SUPPRESSOR_CHARS_MAX: usize = 1_600;
/// Seconds that a wait or an extension may last: the API's integer.
pub const SUPPRESSOR_PERIOD_MAX_S: i64 = i32::MAX as i64;

/// Actions that act on one instance or group: a composite has none to act on.
const FOREIGN_ACTIONS: [&str; 3] = ["arn:aws:automate:", "arn:aws:autoscaling:", "arn:aws:swf:"];

impl CompositeAlarm {
    /// Whether the alarm, its rule aside, is inside the limits of the API.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), AlarmError> {
        check_texts(&self.name, self.description.as_deref())?;
        check_actions([&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions])?;
        self.check_foreign_actions()?;
        self.check_suppressor()
    }

    /// Nothing that acts on one instance or group.
    fn check_foreign_actions(&self) -> Result<(), AlarmError> {
        let lists = [
            ("OKActions", &self.ok_actions),
            ("AlarmActions", &self.alarm_actions),
            ("InsufficientDataActions", &self.insufficient_data_actions),
        ];
        let foreign = |action: &&String| FOREIGN_ACTIONS.iter().any(|start| action.starts_with(start));
        for (field, actions) in lists {
            if let Some(action) = actions.iter().find(foreign) {
                let message = format!("must be actions that composite alarms support. action={action}");
                return Err(error(AlarmErrorKind::Value, field, message));
            }
        }
        Ok(())
    }

    fn check_suppressor(&self) -> Result<(), AlarmError> {
        let Some(suppressor) = &self.suppressor else { return Ok(()) };
        let arn = suppressor.alarm_arn.as_str();
        if arn.is_empty() || longer_than(arn, SUPPRESSOR_CHARS_MAX) {
            let message = format!("must have 1 to {SUPPRESSOR_CHARS_MAX} characters");
            return Err(error(AlarmErrorKind::Form, "ActionsSuppressor", message));
        }
        if arn == self.arn {
            return Err(error(AlarmErrorKind::Value, "ActionsSuppressor", "must be another alarm"));
        }
        let periods = [
            ("ActionsSuppressorWaitPeriod", suppressor.wait_s),
            ("ActionsSuppressorExtensionPeriod", suppressor.extension_s),
        ];
        for (field, period_s) in periods {
            if !(0..=SUPPRESSOR_PERIOD_MAX_S).contains(&period_s) {
                let message = format!("must be 0 to {SUPPRESSOR_PERIOD_MAX_S} seconds. period={period_s}");
                return Err(error(AlarmErrorKind::Value, field, message));
            }
        }
        Ok(())
    }
}

impl Suppressor {
    /// The suppressor that a request of `site` names: all three parts or none.
    ///
    /// # Errors
    /// One part without another, or an ARN of another account or region.
    pub fn read(
        site: &Site<'_>,
        name_or_arn: Option<&str>,
        wait_s: Option<i64>,
        extension_s: Option<i64>,
    ) -> Result<Option<Self>, AlarmError> {
        let periods = [
            ("ActionsSuppressorWaitPeriod", wait_s.is_some()),
            ("ActionsSuppressorExtensionPeriod", extension_s.is_some()),
        ];
        let Some(name_or_arn) = name_or_arn else {
            let Some((field, _)) = periods.into_iter().find(|(_, given)| *given) else { return Ok(None) };
            return Err(error(AlarmErrorKind::Combination, field, "must come with ActionsSuppressor"));
        };
        let (Some(wait_s), Some(extension_s)) = (wait_s, extension_s) else {
            let missing = periods.into_iter().find(|(_, given)| !given).map_or("", |(field, _)| field);
            return Err(error(AlarmErrorKind::Absent, missing, "is required with ActionsSuppressor"));
        };
        let foreign = |broken: RuleError| {
            error(AlarmErrorKind::Value, "ActionsSuppressor", format!("must be of this place. {broken}"))
        };
        let alarm_arn = site.resolve(name_or_arn).map_err(foreign)?;
        Ok(Some(Self { alarm_arn, wait_s, extension_s }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn sound() -> CompositeAlarm {
        CompositeAlarm {
            arn: "arn:aws:cloudwatch:us-east-1:123456789012:alarm:site".to_owned(),
            region: "us-east-1".to_owned(),
            name: "site".to_owned(),
            description: None,
            actions_enabled: true,
            ok_actions: Vec::new(),
            alarm_actions: vec!["arn:aws:sns:us-east-1:123456789012:alerts".to_owned()],
            insufficient_data_actions: Vec::new(),
            rule: "ALARM(a)".to_owned(),
            suppressor: Some(Suppressor {
                alarm_arn: "arn:aws:cloudwatch:us-east-1:123456789012:alarm:upkeep".to_owned(),
                wait_s: 60,
                extension_s: 0,
            }),
            updated: Timestamp::from_millis(0),
        }
    }

    type Change = fn(&mut CompositeAlarm);

    fn suppressor(alarm: &mut CompositeAlarm) -> &mut Suppressor {
        alarm.suppressor.as_mut().unwrap()
    }

    #[test]
    fn knows_the_limits() {
        use AlarmErrorKind::{Absent, Form, Value};
        let rows: [(Change, Option<(&str, AlarmErrorKind)>); 15] = [
            (|_| {}, None),
            (|alarm| alarm.suppressor = None, None),
            (|alarm| alarm.name = "ä".repeat(255), None),
            (|alarm| alarm.name = String::new(), Some(("AlarmName", Absent))),
            (|alarm| alarm.name = "n".repeat(256), Some(("AlarmName", Form))),
            (|alarm| alarm.description = Some("d".repeat(1_025)), Some(("AlarmDescription", Form))),
            (|alarm| alarm.ok_actions = vec!["arn:a".to_owned(); 6], Some(("OKActions", Form))),
            (
                |alarm| alarm.insufficient_data_actions = vec![String::new()],
                Some(("InsufficientDataActions", Form)),
            ),
            (|alarm| alarm.alarm_actions = vec!["mail".to_owned()], Some(("AlarmActions", Value))),
            (
                |alarm| alarm.alarm_actions = vec!["arn:aws:automate:us-east-1:ec2:stop".to_owned()],
                Some(("AlarmActions", Value)),
            ),
            (|alarm| suppressor(alarm).alarm_arn = "a".repeat(1_601), Some(("ActionsSuppressor", Form))),
            (|alarm| suppressor(alarm).alarm_arn = alarm_arn_of_itself(), Some(("ActionsSuppressor", Value))),
            (|alarm| suppressor(alarm).wait_s = -1, Some(("ActionsSuppressorWaitPeriod", Value))),
            (
                |alarm| suppressor(alarm).extension_s = 1 << 31,
                Some(("ActionsSuppressorExtensionPeriod", Value)),
            ),
            (|alarm| suppressor(alarm).extension_s = (1 << 31) - 1, None),
        ];
        for (i, (change, broken)) in rows.into_iter().enumerate() {
            let mut alarm = sound();
            change(&mut alarm);
            let found = alarm.check().err().map(|error| (error.field, error.kind));
            assert_eq!(found, broken, "row {i}");
        }
    }

    fn alarm_arn_of_itself() -> String {
        sound().arn
    }

    #[test]
    fn a_suppressor_needs_both_periods() {
        let site = Site { region: "us-east-1", account: "123456789012" };
        let read = |name: Option<&str>, wait_s, extension_s| {
            Suppressor::read(&site, name, wait_s, extension_s)
                .map(|found| found.map(|suppressor| suppressor.alarm_arn))
                .map_err(|error| (error.field, error.kind))
        };
        let arn = sound().suppressor.unwrap().alarm_arn;
        assert_eq!(read(None, None, None), Ok(None));
        assert_eq!(read(Some("upkeep"), Some(1), Some(0)), Ok(Some(arn.clone())));
        assert_eq!(read(Some(&arn), Some(1), Some(0)), Ok(Some(arn.clone())));
        let absent = AlarmErrorKind::Absent;
        assert_eq!(read(Some("upkeep"), None, Some(0)), Err(("ActionsSuppressorWaitPeriod", absent)));
        assert_eq!(read(Some("upkeep"), Some(0), None), Err(("ActionsSuppressorExtensionPeriod", absent)));
        let combination = AlarmErrorKind::Combination;
        assert_eq!(read(None, None, Some(9)), Err(("ActionsSuppressorExtensionPeriod", combination)));
        let elsewhere = arn.replace("us-east-1", "eu-west-1");
        let value = AlarmErrorKind::Value;
        assert_eq!(read(Some(&elsewhere), Some(1), Some(0)), Err(("ActionsSuppressor", value)));
    }
}
