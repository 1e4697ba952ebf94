/*!
The configuration of Splunk's HTTP Event Collector ("SplunkDestinationConfiguration", Amazon Data Firehose API Reference).
*/

use nightbell_core::object_key::ErrorOutput;

use super::{BackupRules, Given, check_endpoint, text};

/// Seconds that records wait for others, unless said otherwise ("SplunkBufferingHints").
pub(super) const INTERVAL_S_DEFAULT: u64 = 60;
/// Bytes of a collector's token.
const TOKEN_BYTES_MAX: usize = 2_048;
/// Seconds that an acknowledgement may take ("HECAcknowledgmentTimeoutInSeconds"): least, most, and unless said otherwise.
const ACKNOWLEDGEMENT_S: (u64, u64) = (180, 600);

pub(super) const BACKUP: BackupRules =
    BackupRules { failure: ErrorOutput::Splunk, modes: ["FailedEventsOnly", "AllEvents"], retry_s: 3_600 };

/// How a collector is asked.
#[derive(Clone)]
pub(crate) struct Splunk {
    /// Where it takes records.
    pub(crate) url: String,
    /// Where it tells what it has indexed.
    pub(crate) acknowledgements_url: String,
    /// Whether records are events in its own form; otherwise they are raw text.
    pub(crate) is_event: bool,
    /// Who asks; a secret.
    pub(crate) token: String,
    /// How long an acknowledgement may take, in seconds.
    pub(crate) acknowledged_s_max: u64,
}

impl std::fmt::Debug for Splunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Splunk").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Splunk {
    pub(super) fn read(given: &Given) -> Result<Self, String> {
        let endpoint = text(given, "HECEndpoint")?.ok_or("HECEndpoint is missing")?;
        check_endpoint("HECEndpoint", endpoint)?;
        if endpoint.contains(['?', '#', '@']) {
            return Err("HECEndpoint is not an address without question, fragment and log-in".to_owned());
        }
        let base = endpoint.trim_end_matches('/');
        let is_event = match text(given, "HECEndpointType")?.ok_or("HECEndpointType is missing")? {
            "Raw" => false,
            "Event" => true,
            other => return Err(format!("HECEndpointType {other:?} is neither Raw nor Event")),
        };
        let token = text(given, "HECToken")?.ok_or("HECToken is missing")?;
        let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !plain {
            return Err(format!("HECToken is not 1 to {TOKEN_BYTES_MAX} printable letters"));
        }
        let member = "HECAcknowledgmentTimeoutInSeconds";
        let (least, most) = ACKNOWLEDGEMENT_S;
        let acknowledged_s_max = match given.get(member) {
            None | Some(serde_json::Value::Null) => least,
            Some(value) => value
                .as_u64()
                .filter(|seconds| (least..=most).contains(seconds))
                .ok_or_else(|| format!("{member} {value} is not between {least} and {most}"))?,
        };
        Ok(Self {
            url: format!("{base}/services/collector/{}", if is_event { "event" } else { "raw" }),
            acknowledgements_url: format!("{base}/services/collector/ack"),
            is_event,
            token: token.to_owned(),
            acknowledged_s_max,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Kind, Plan, Way};
    use super::*;

    fn given(more: Value) -> Given {
        let all = json!({
            "HECEndpoint": "https://splunk.example.org:8088/",
            "HECEndpointType": "Raw",
            "HECToken": "hush-hush",
            "S3Configuration": {"RoleARN": "arn:aws:iam::1:role/r", "BucketARN": "arn:aws:s3:::logs"},
        });
        let (Value::Object(mut all), Value::Object(more)) = (all, more) else { panic!() };
        all.extend(more);
        all
    }

    #[test]
    fn defaults_are_those_of_the_service() {
        let plan = Plan::read(Kind::Splunk, &given(json!({})), None).unwrap();
        assert_eq!((plan.buffer_bytes, plan.buffer_ms), (5 << 20, 60_000));
        assert!(!format!("{plan:?}").contains("hush"));
        let Way::Splunk(splunk, backup) = plan.way else { panic!() };
        assert_eq!(splunk.url, "https://splunk.example.org:8088/services/collector/raw");
        assert_eq!(splunk.acknowledgements_url, "https://splunk.example.org:8088/services/collector/ack");
        assert_eq!((splunk.acknowledged_s_max, backup.retry_ms, backup.keeps_all), (180, 3_600_000, false));
        let all = given(json!({"S3BackupMode": "AllEvents", "HECEndpointType": "Event"}));
        let plan = Plan::read(Kind::Splunk, &all, None).unwrap();
        assert!(matches!(plan.way, Way::Splunk(Splunk { is_event: true, .. }, backup) if backup.keeps_all));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (more, named) in [
            (json!({"HECEndpoint": null}), "HECEndpoint"),
            (json!({"HECEndpoint": "https://u:p@x/"}), "HECEndpoint"),
            (json!({"HECEndpoint": "http://169.254.169.254/"}), "HECEndpoint"),
            (json!({"HECEndpointType": "Other"}), "HECEndpointType"),
            (json!({"HECToken": ""}), "HECToken"),
            (json!({"HECToken": "a b"}), "HECToken"),
            (json!({"HECAcknowledgmentTimeoutInSeconds": 179}), "HECAcknowledgmentTimeoutInSeconds"),
            (json!({"BufferingHints": {"SizeInMBs": 6}}), "BufferingHints.SizeInMBs"),
            (json!({"BufferingHints": {"IntervalInSeconds": 61}}), "BufferingHints.IntervalInSeconds"),
            (json!({"S3BackupMode": "FailedDataOnly"}), "S3BackupMode"),
            (json!({"S3Configuration": null}), "S3Configuration"),
        ] {
            let error = Plan::read(Kind::Splunk, &given(more), None).expect_err(named);
            assert!(error.starts_with(named), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
