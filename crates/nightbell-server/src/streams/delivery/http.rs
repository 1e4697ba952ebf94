/*!
Requests to HTTP endpoints ("HTTP endpoint delivery request and response specifications", Amazon Data Firehose Developer Guide).
*/

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::time::Timestamp;
use nightbell_deliver::SendError;
use nightbell_deliver::endpoint::{Endpoints, Request};
use nightbell_wire::deflate::gzip;
use serde::Serialize;

use super::super::plan::Http;
use super::{Refused, Shipment, plain, refused};

/// How long an endpoint may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(180);

/// Sends a shipment, once.
pub(super) async fn ask(
    endpoints: &Endpoints,
    http: &Http,
    shipment: &Shipment,
    now: Timestamp,
) -> Result<(), Refused> {
    let body = Body {
        request_id: &shipment.id,
        timestamp: now.as_millis(),
        records: shipment
            .records
            .iter()
            .map(|(_, record)| BodyRecord { data: STANDARD.encode(record) })
            .collect(),
    };
    let body = serde_json::to_vec(&body).map_err(|error| refused("InvalidRequest", &error, true))?;
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-amz-firehose-protocol-version", "1.0".to_owned()),
        ("x-amz-firehose-request-id", shipment.id.clone()),
        ("x-amz-firehose-source-arn", shipment.arn.clone()),
    ];
    headers.extend(http.access_key.clone().map(|key| ("x-amz-firehose-access-key", key)));
    headers.extend(http.attributes.clone().map(|given| ("x-amz-firehose-common-attributes", given)));
    if http.gzip {
        headers.push(("content-encoding", "gzip".to_owned()));
    }
    let body = if http.gzip { gzip(&body) } else { body };
    let request = Request { url: http.url.clone(), headers, body, timeout: ANSWER_TIME_MAX };
    match endpoints.post(request).await {
        Ok(answer) => judge(answer.status, &answer.body, &shipment.id),
        Err(SendError::Later { reason, .. }) => Err(refused("ConnectionFailed", &reason, false)),
        Err(SendError::Never { reason }) => Err(refused("InvalidRequest", &reason, true)),
    }
}

/// Whether an answer says that the request was taken: 200, and JSON with the request's id.
fn judge(status: u16, body: &[u8], id: &str) -> Result<(), Refused> {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let told =
        |member: &str| parsed.as_ref().and_then(|parsed| parsed.get(member)).and_then(|value| value.as_str());
    match status {
        200 if told("requestId") == Some(id) => Ok(()),
        200 => Err(refused(
            "InvalidResponseFromDestination",
            &"the answer does not name the request's id",
            false,
        )),
        413 => {
            Err(refused("RequestTooLarge", &"the endpoint says that the request is too large (413)", true))
        }
        status => {
            let message = plain(told("errorMessage").unwrap_or_default());
            Err(refused(
                "DestinationException",
                &format!("the endpoint answered with status {status}. {message}"),
                false,
            ))
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    request_id: &'a str,
    timestamp: i64,
    records: Vec<BodyRecord>,
}

#[derive(Serialize)]
struct BodyRecord {
    data: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_answer_counts() {
        let body = |id: &str| format!("{{\"requestId\":\"{id}\",\"timestamp\":1}}").into_bytes();
        assert_eq!(judge(200, &body("a"), "a"), Ok(()));
        let outcome = |status, body: &[u8]| judge(status, body, "a").unwrap_err().is_final;
        assert!(!outcome(200, &body("other")), "F09");
        assert!(!outcome(200, b"thanks"));
        assert!(!outcome(401, b"{\"errorMessage\":\"who?\"}"), "F02");
        assert!(!outcome(500, b""));
        assert!(outcome(413, b""), "F06");
    }
}
