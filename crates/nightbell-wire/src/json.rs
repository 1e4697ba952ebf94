/*!
awsJson 1.0 and 1.1: the body is one JSON object.

The work is serde_json's. Here stand what an empty body means and how deep a body may nest.
*/

use crate::decode::{DecodeError, locate};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How deep objects and arrays may nest in a JSON body; serde_json's own limit, held by a test.
pub const JSON_DEPTH_MAX: usize = 127;

pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|first| locate::<T, _>(first, &mut serde_json::Deserializer::from_slice(body)))
}

/// The value as JSON; nothing at all for `()`, as operations without output answer.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = serde_json::to_vec(value)?;
    if body == b"null" {
        body.clear();
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes();
        assert!(decode::<Value>(&nested(JSON_DEPTH_MAX)).is_ok());
        assert!(decode::<Value>(&nested(JSON_DEPTH_MAX + 1)).is_err());
        assert!(decode::<Value>(&nested(1_000_000)).is_err());
    }

    #[test]
    fn errors_name_the_member_and_stay_short() {
        #[derive(serde::Deserialize, Debug)]
        #[serde(rename_all = "camelCase")]
        #[allow(dead_code)]
        struct Sample {
            log_events: Vec<std::collections::BTreeMap<String, i64>>,
        }
        let error = decode::<Sample>(br#"{"logEvents":[{"timestamp":1},{"timestamp":"x"}]}"#).unwrap_err();
        assert_eq!(error.path, "logEvents[1].timestamp");
        assert!(error.message.starts_with("invalid type: string \"x\", expected i64"), "{error}");
        assert_eq!(
            decode::<Sample>(b" ").unwrap_err().to_string(),
            "missing field `logEvents` at line 1 column 2"
        );
        let long = format!(r#"{{"logEvents":"{}"}}"#, "é".repeat(100_000));
        assert!(decode::<Sample>(long.as_bytes()).unwrap_err().message.len() < 600);
    }
}
