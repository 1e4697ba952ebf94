/*!
Delivery policies of web endpoints: how often and when a failed delivery is tried again, how many start in a second, and what
their bodies are called.

[`DeliveryPolicy::effective`] puts together what topic and subscription say. Rules follow "Amazon SNS message delivery retries"
(Amazon SNS Developer Guide); the shapes of the backoff functions are *assumed*, since the guide shows them as a graph only.
Knows no topic and no clock; the errors are texts that follow `Invalid parameter: `.
*/

use serde_json::{Map, Value, json};
use thiserror::Error;

/// Retries of a delivery.
pub const RETRIES_MAX: u32 = 100;
/// Seconds of one wait.
pub const RETRY_DELAY_S_MAX: u32 = 3_600;
/// Seconds of all waits of a delivery together.
pub const RETRY_TOTAL_S_MAX: u64 = 3_600;
/// Characters of a content type.
pub const CONTENT_TYPE_CHARS_MAX: usize = 100;

/// The content type of deliveries for which nobody says another.
const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("DeliveryPolicy: {0}")]
pub struct DeliveryPolicyError(String);

/// How deliveries to a web endpoint go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// When a failed one is tried again.
    pub retry: RetryPolicy,
    /// Deliveries that may start in a second; `None` for any number.
    pub per_second_max: Option<u32>,
    /// The `Content-Type` of their bodies.
    pub content_type: String,
}

/// When a failed delivery is tried again; waits are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    min_delay_s: u32,
    max_delay_s: u32,
    retries: u32,
    no_delay_retries: u32,
    min_delay_retries: u32,
    max_delay_retries: u32,
    backoff: Backoff,
}

/// How waits grow between the shortest and the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backoff {
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self { retry: RetryPolicy::default(), per_second_max: None, content_type: CONTENT_TYPE.to_owned() }
    }
}

impl DeliveryPolicy {
    /// Checks a policy of a topic, whose rules stand under `http`.
    ///
    /// # Errors
    /// The first rule that is broken, by the name of its member.
    pub fn check_topic(text: &str) -> Result<(), DeliveryPolicyError> {
        Self::default().with_topic(text).map(|_| ())
    }

    /// Checks a policy of a subscription.
    ///
    /// # Errors
    /// The first rule that is broken, by the name of its member.
    pub fn check_subscription(text: &str) -> Result<(), DeliveryPolicyError> {
        Self::default().with_subscription(text).map(|_| ())
    }

    /// What holds for a subscription: its own policy, where the topic lets it have one, over that of the topic. What cannot be read
    /// counts as not said: it was checked when it was set, by this version or an earlier one.
    pub fn effective(topic: Option<&str>, subscription: Option<&str>) -> Self {
        let (mut policy, mut is_own) = (Self::default(), true);
        if let Some((read, overridden)) = topic.and_then(|text| policy.with_topic(text).ok()) {
            (policy, is_own) = (read, overridden);
        }
        match subscription.filter(|_| is_own).and_then(|text| policy.with_subscription(text).ok()) {
            Some(own) => own,
            None => policy,
        }
    }

    /// As `EffectiveDeliveryPolicy` of a subscription shows it.
    pub fn shown(&self) -> Value {
        let throttle = match self.per_second_max {
            Some(starts) => json!({ "maxReceivesPerSecond": starts }),
            None => Value::Null,
        };
        json!({
            "healthyRetryPolicy": self.retry.shown(),
            "sicklyRetryPolicy": null,
            "throttlePolicy": throttle,
            "requestPolicy": { "headerContentType": self.content_type },
            "guaranteed": false,
        })
    }

    /// This policy changed by a topic's, and whether subscriptions may say otherwise.
    fn with_topic(&self, text: &str) -> Result<(Self, bool), DeliveryPolicyError> {
        let whole = object(text)?;
        known(&whole, "", &["http"])?;
        let Some(http) = member(&whole, "", "http")? else { return Ok((self.clone(), true)) };
        let names = [
            "defaultHealthyRetryPolicy",
            "defaultSicklyRetryPolicy",
            "disableSubscriptionOverrides",
            "defaultThrottlePolicy",
            "defaultRequestPolicy",
        ];
        known(http, "http.", &names)?;
        let mut policy = self.clone();
        policy.take(http, "http.", [names[0], names[3], names[4]])?;
        let fixed = match http.get(names[2]) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(fixed)) => *fixed,
            Some(_) => return Err(wrong("http.disableSubscriptionOverrides", "true or false")),
        };
        Ok((policy, !fixed))
    }

    /// This policy changed by a subscription's.
    fn with_subscription(&self, text: &str) -> Result<Self, DeliveryPolicyError> {
        let whole = object(text)?;
        let names =
            ["healthyRetryPolicy", "throttlePolicy", "requestPolicy", "sicklyRetryPolicy", "guaranteed"];
        known(&whole, "", &names)?;
        let mut policy = self.clone();
        policy.take(&whole, "", [names[0], names[1], names[2]])?;
        Ok(policy)
    }

    /// Takes retry, throttle and request policy from the members of these names.
    fn take(
        &mut self,
        from: &Map<String, Value>,
        path: &str,
        [retry, throttle, request]: [&str; 3],
    ) -> Result<(), DeliveryPolicyError> {
        if let Some(members) = member(from, path, retry)? {
            self.retry = RetryPolicy::read(members, &format!("{path}{retry}"))?;
        }
        if let Some(members) = member(from, path, throttle)? {
            let path = format!("{path}{throttle}");
            known(members, &format!("{path}."), &["maxReceivesPerSecond"])?;
            self.per_second_max = number(members, &path, "maxReceivesPerSecond", (1, u32::MAX))?;
        }
        if let Some(members) = member(from, path, request)? {
            let name = format!("{path}{request}.headerContentType");
            self.content_type = match members.get("headerContentType") {
                None | Some(Value::Null) => self.content_type.clone(),
                Some(Value::String(text)) if is_content_type(text) => text.clone(),
                Some(_) => {
                    return Err(wrong(&name, "a media type of at most 100 printable ASCII characters"));
                }
            };
        }
        Ok(())
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            min_delay_s: 20,
            max_delay_s: 20,
            retries: 3,
            no_delay_retries: 0,
            min_delay_retries: 0,
            max_delay_retries: 0,
            backoff: Backoff::Linear,
        }
    }
}

impl RetryPolicy {
    /// Milliseconds to wait after `tries` failed attempts; `None` when no further one is made.
    pub fn wait_ms(&self, tries: u32) -> Option<i64> {
        let retry = tries.checked_sub(1).filter(|retry| *retry < self.retries)?;
        let before = self.no_delay_retries + self.min_delay_retries;
        let growing = self.retries - before - self.max_delay_retries;
        Some(if retry < self.no_delay_retries {
            0
        } else if retry < before {
            i64::from(self.min_delay_s) * 1_000
        } else if retry < before + growing {
            self.growing_ms(retry - before, growing)
        } else {
            i64::from(self.max_delay_s) * 1_000
        })
    }

    /// The wait before retry `k` of the `n` that grow.
    fn growing_ms(&self, k: u32, n: u32) -> i64 {
        let (min, max) = (f64::from(self.min_delay_s), f64::from(self.max_delay_s));
        let share = if n > 1 { f64::from(k) / f64::from(n - 1) } else { 0.0 };
        let seconds = match self.backoff {
            Backoff::Linear => min + (max - min) * share,
            Backoff::Arithmetic => min + (max - min) * share * share,
            Backoff::Geometric => min * (max / min).powf(share),
            Backoff::Exponential => (min * 2_f64.powi(k.min(20) as i32)).min(max),
        };
        (seconds * 1_000.0).round() as i64
    }

    fn read(members: &Map<String, Value>, path: &str) -> Result<Self, DeliveryPolicyError> {
        let names = [
            "minDelayTarget",
            "maxDelayTarget",
            "numRetries",
            "numNoDelayRetries",
            "numMinDelayRetries",
            "numMaxDelayRetries",
            "backoffFunction",
        ];
        known(members, &format!("{path}."), &names)?;
        let needed = |name: &str, limits| {
            number(members, path, name, limits)?
                .ok_or_else(|| DeliveryPolicyError(format!("{path}.{name} must be specified")))
        };
        let min_delay_s = needed(names[0], (1, RETRY_DELAY_S_MAX))?;
        let max_delay_s = needed(names[1], (1, RETRY_DELAY_S_MAX))?;
        let retries = needed(names[2], (0, RETRIES_MAX))?;
        let some = |name: &str| Ok(number(members, path, name, (0, RETRIES_MAX))?.unwrap_or(0));
        let policy = Self {
            min_delay_s,
            max_delay_s,
            retries,
            no_delay_retries: some(names[3])?,
            min_delay_retries: some(names[4])?,
            max_delay_retries: some(names[5])?,
            backoff: backoff(members, path)?,
        };
        policy.fits(path)?;
        Ok(policy)
    }

    /// What the members must be to each other.
    fn fits(&self, path: &str) -> Result<(), DeliveryPolicyError> {
        if self.min_delay_s > self.max_delay_s {
            let text = format!("{path}.minDelayTarget must be less than or equal to maxDelayTarget");
            return Err(DeliveryPolicyError(text));
        }
        if self.no_delay_retries + self.min_delay_retries + self.max_delay_retries > self.retries {
            let text = format!(
                "{path}.numRetries must be greater than or equal to the sum of the retries of its phases"
            );
            return Err(DeliveryPolicyError(text));
        }
        let total_ms: i64 = (1..=self.retries).filter_map(|tries| self.wait_ms(tries)).sum();
        if total_ms > RETRY_TOTAL_S_MAX as i64 * 1_000 {
            let text = format!(
                "{path}: all waits together are {} seconds; at most {RETRY_TOTAL_S_MAX} are allowed",
                total_ms / 1_000
            );
            return Err(DeliveryPolicyError(text));
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        let backoff = match self.backoff {
            Backoff::Linear => "linear",
            Backoff::Arithmetic => "arithmetic",
            Backoff::Geometric => "geometric",
            Backoff::Exponential => "exponential",
        };
        json!({
            "minDelayTarget": self.min_delay_s,
            "maxDelayTarget": self.max_delay_s,
            "numRetries": self.retries,
            "numMaxDelayRetries": self.max_delay_retries,
            "numNoDelayRetries": self.no_delay_retries,
            "numMinDelayRetries": self.min_delay_retries,
            "backoffFunction": backoff,
        })
    }
}

fn object(text: &str) -> Result<Map<String, Value>, DeliveryPolicyError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(DeliveryPolicyError("it is no JSON object".to_owned())),
        Err(error) => Err(DeliveryPolicyError(format!("it is no JSON object: {error}"))),
    }
}

fn wrong(name: &str, wanted: &str) -> DeliveryPolicyError {
    DeliveryPolicyError(format!("{name} must be {wanted}"))
}

/// Refuses members of other names.
fn known(members: &Map<String, Value>, path: &str, names: &[&str]) -> Result<(), DeliveryPolicyError> {
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(60).collect();
            Err(DeliveryPolicyError(format!("{path}{shown} is not a member of a delivery policy")))
        }
    }
}

fn member<'a>(
    from: &'a Map<String, Value>,
    path: &str,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, DeliveryPolicyError> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(wrong(&format!("{path}{name}"), "an object")),
    }
}

fn number(
    members: &Map<String, Value>,
    path: &str,
    name: &str,
    (least, most): (u32, u32),
) -> Result<Option<u32>, DeliveryPolicyError> {
    let value = match members.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    match value.filter(|number| (least..=most).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(wrong(&format!("{path}.{name}"), &format!("a whole number from {least} to {most}"))),
    }
}

fn backoff(members: &Map<String, Value>, path: &str) -> Result<Backoff, DeliveryPolicyError> {
    match members.get("backoffFunction") {
        None | Some(Value::Null) => Ok(Backoff::Linear),
        Some(value) => match value.as_str() {
            Some("linear") => Ok(Backoff::Linear),
            Some("arithmetic") => Ok(Backoff::Arithmetic),
            Some("geometric") => Ok(Backoff::Geometric),
            Some("exponential") => Ok(Backoff::Exponential),
            _ => {
                Err(wrong(&format!("{path}.backoffFunction"), "linear, arithmetic, geometric or exponential"))
            }
        },
    }
}

fn is_content_type(text: &str) -> bool {
    text.len() <= CONTENT_TYPE_CHARS_MAX
        && text.contains('/')
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which a delivery is tried that always fails.
    fn attempts(retry: &RetryPolicy) -> Vec<f64> {
        let (mut at, mut all) = (0.0, vec![0.0]);
        for tries in 1.. {
            let Some(wait_ms) = retry.wait_ms(tries) else { break };
            at += wait_ms as f64 / 1_000.0;
            all.push(at);
        }
        all
    }

    const H02: &str = r#"{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":60,"numRetries":50,
        "numNoDelayRetries":3,"numMinDelayRetries":2,"numMaxDelayRetries":35,"backoffFunction":"exponential"},
        "throttlePolicy":{"maxReceivesPerSecond":10},"requestPolicy":{"headerContentType":"application/json"}}"#;

    #[test]
    fn attempts_are_those_of_the_vectors() {
        let none = r#"{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0}}"#;
        let rows = [
            ("H01", None, 4, 60.0),
            ("H02", Some(H02), 51, 2.0 + 303.0 + 2_100.0),
            ("H03", Some(none), 1, 0.0),
        ];
        for (id, policy, count, last) in rows {
            let all = attempts(&DeliveryPolicy::effective(None, policy).retry);
            assert_eq!((all.len(), *all.last().unwrap()), (count, last), "{id}: {all:?}");
        }
        let sample = DeliveryPolicy::effective(None, Some(H02));
        assert_eq!(sample.per_second_max, Some(10), "H04");
        assert_eq!(sample.content_type, "application/json");
        let waits: Vec<_> = (1..=8).map(|tries| sample.retry.wait_ms(tries).unwrap()).collect();
        assert_eq!(waits, [0, 0, 0, 1_000, 1_000, 1_000, 2_000, 4_000], "H02");
    }

    #[test]
    fn waits_grow_by_their_function() {
        let waits = |function: &str| -> Vec<i64> {
            let text = format!(
                r#"{{"healthyRetryPolicy":{{"minDelayTarget":1,"maxDelayTarget":81,"numRetries":5,"backoffFunction":"{function}"}}}}"#
            );
            let retry = DeliveryPolicy::effective(None, Some(&text)).retry;
            (1..=5).map(|tries| retry.wait_ms(tries).unwrap()).collect()
        };
        assert_eq!(waits("linear"), [1_000, 21_000, 41_000, 61_000, 81_000]);
        assert_eq!(waits("arithmetic"), [1_000, 6_000, 21_000, 46_000, 81_000]);
        assert_eq!(waits("geometric"), [1_000, 3_000, 9_000, 27_000, 81_000]);
        assert_eq!(waits("exponential"), [1_000, 2_000, 4_000, 8_000, 16_000]);
    }

    #[test]
    fn a_topic_may_fix_its_policy() {
        let topic = |fixed: bool| {
            format!(
                r#"{{"http":{{"defaultHealthyRetryPolicy":{{"minDelayTarget":2,"maxDelayTarget":2,"numRetries":7}},"disableSubscriptionOverrides":{fixed}}}}}"#
            )
        };
        let count = |fixed, own| attempts(&DeliveryPolicy::effective(Some(&topic(fixed)), own).retry).len();
        assert_eq!(count(false, None), 8);
        assert_eq!(count(false, Some(H02)), 51);
        assert_eq!(count(true, Some(H02)), 8);
        assert_eq!(attempts(&DeliveryPolicy::effective(Some("damaged"), None).retry).len(), 4);
    }

    #[test]
    fn what_is_shown_is_what_holds() {
        let shown = DeliveryPolicy::effective(None, Some(H02)).shown().to_string();
        let own = DeliveryPolicy::effective(None, Some(H02));
        assert_eq!(DeliveryPolicy::effective(None, Some(&shown)), own);
        let default = DeliveryPolicy::default().shown();
        assert_eq!(default["healthyRetryPolicy"]["numRetries"], 3);
        assert!(default["throttlePolicy"].is_null());
    }

    #[test]
    fn what_is_refused_is_named() {
        let retry = |members: &str| format!(r#"{{"healthyRetryPolicy":{{{members}}}}}"#);
        let rows = [
            ("[]".to_owned(), "it is no JSON object"),
            (r#"{"retry":{}}"#.to_owned(), "retry is not a member of a delivery policy"),
            (retry(""), "healthyRetryPolicy.minDelayTarget must be specified"),
            (retry(r#""minDelayTarget":1"#), "healthyRetryPolicy.maxDelayTarget must be specified"),
            (
                retry(r#""minDelayTarget":1,"maxDelayTarget":1"#),
                "healthyRetryPolicy.numRetries must be specified",
            ),
            (
                retry(r#""minDelayTarget":0"#),
                "healthyRetryPolicy.minDelayTarget must be a whole number from 1 to 3600",
            ),
            (
                retry(r#""minDelayTarget":1,"maxDelayTarget":3601"#),
                "healthyRetryPolicy.maxDelayTarget must be a whole number from 1 to 3600",
            ),
            (
                retry(r#""minDelayTarget":1,"maxDelayTarget":1,"numRetries":101"#),
                "healthyRetryPolicy.numRetries must be a whole number from 0 to 100",
            ),
            (
                retry(r#""minDelayTarget":9,"maxDelayTarget":8,"numRetries":1"#),
                "healthyRetryPolicy.minDelayTarget must be less than or equal to maxDelayTarget",
            ),
            (
                retry(r#""minDelayTarget":1,"maxDelayTarget":1,"numRetries":1,"numNoDelayRetries":2"#),
                "healthyRetryPolicy.numRetries must be greater",
            ),
            (
                retry(r#""minDelayTarget":60,"maxDelayTarget":60,"numRetries":61"#),
                "healthyRetryPolicy: all waits together are 3660 seconds",
            ),
            (
                retry(r#""minDelayTarget":1,"maxDelayTarget":1,"numRetries":1,"backoffFunction":"fast""#),
                "healthyRetryPolicy.backoffFunction must be linear,",
            ),
            (
                r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#.to_owned(),
                "throttlePolicy.maxReceivesPerSecond must be",
            ),
            (
                r#"{"requestPolicy":{"headerContentType":"a/b\r\nx: y"}}"#.to_owned(),
                "requestPolicy.headerContentType must be",
            ),
        ];
        for (text, start) in rows {
            let told = DeliveryPolicy::check_subscription(&text).expect_err(&text).to_string();
            assert!(told.starts_with(&format!("DeliveryPolicy: {start}")), "{told}");
        }
        assert!(DeliveryPolicy::check_topic(r#"{"http":{"disableSubscriptionOverrides":true}}"#).is_ok());
        let told = DeliveryPolicy::check_topic(r#"{"http":{"defaultHealthyRetryPolicy":{}}}"#).unwrap_err();
        let text = "DeliveryPolicy: http.defaultHealthyRetryPolicy.minDelayTarget must be specified";
        assert_eq!(told.to_string(), text);
    }
}
