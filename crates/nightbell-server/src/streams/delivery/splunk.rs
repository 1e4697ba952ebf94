/*!
Requests to Splunk's HTTP Event Collector: the records, then the question whether they are indexed, until they are.

Paths, codes and acknowledgements: "HTTP Event Collector REST API endpoints" (Splunk Enterprise REST API Reference); names of errors:
"Splunk data delivery errors" (Amazon Data Firehose Developer Guide).
*/

use std::time::Duration;

use nightbell_deliver::SendError;
use nightbell_deliver::endpoint::{Answer, Endpoints, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::plan::Splunk;
use super::{Refused, Shipment, plain, refused};

/// How long the collector may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// First and longest wait between two questions for an acknowledgement.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Sends a shipment, once, and waits until it is acknowledged.
pub(super) async fn ask(endpoints: &Endpoints, splunk: &Splunk, shipment: &Shipment) -> Result<(), Refused> {
    // One channel for a stream: the collector counts acknowledgements in each.
    let channel = Uuid::new_v5(&Uuid::NAMESPACE_OID, shipment.arn.as_bytes()).to_string();
    let line = Line { endpoints, splunk, channel: &channel };
    let mut body = Vec::with_capacity(shipment.records.iter().map(|(_, record)| record.len()).sum());
    for (_, record) in &shipment.records {
        body.extend_from_slice(record);
    }
    let kind = if splunk.is_event { "application/json" } else { "text/plain; charset=utf-8" };
    let answer = line.post(&splunk.url, kind, body).await?;
    let number = taken(&answer)?;
    let patience = Duration::from_secs(splunk.acknowledged_s_max);
    match tokio::time::timeout(patience, line.acknowledged(number)).await {
        Ok(()) => Ok(()),
        Err(_) => Err(refused(
            "Splunk.AckTimeout",
            &format!("no acknowledgement came within {} s", splunk.acknowledged_s_max),
            false,
        )),
    }
}

/// A channel to a collector.
struct Line<'a> {
    endpoints: &'a Endpoints,
    splunk: &'a Splunk,
    channel: &'a str,
}

impl Line<'_> {
    async fn post(&self, url: &str, kind: &str, body: Vec<u8>) -> Result<Answer, Refused> {
        let headers = vec![
            ("authorization", format!("Splunk {}", self.splunk.token)),
            ("x-splunk-request-channel", self.channel.to_owned()),
            ("content-type", kind.to_owned()),
        ];
        let url = format!("{url}?channel={}", self.channel);
        let request = Request { url, headers, body, timeout: ANSWER_TIME_MAX };
        self.endpoints.post(request).await.map_err(|error| match error {
            SendError::Later { reason, .. } => refused("Splunk.ConnectionClosed", &reason, false),
            SendError::Never { reason } => refused("Splunk.InvalidEndpoint", &reason, true),
        })
    }

    /// Waits until the collector says that it has indexed what it took under `number`.
    async fn acknowledged(&self, number: u64) {
        let (mut wait, wait_max) = ASK_AGAIN;
        let question = json!({ "acks": [number] }).to_string();
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(wait_max);
            let body = question.clone().into_bytes();
            let answer = self.post(&self.splunk.acknowledgements_url, "application/json", body).await;
            // Whatever else it says, it may say so later.
            if answer.is_ok_and(|answer| has_indexed(&answer, number)) {
                return;
            }
        }
    }
}

fn has_indexed(answer: &Answer, number: u64) -> bool {
    let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
    answer.status == 200 && told.is_some_and(|told| told["acks"][number.to_string()] == true)
}

/// The number under which the collector took a request.
fn taken(answer: &Answer) -> Result<u64, Refused> {
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == 200 && told["code"] == 0 {
        // It has taken them and will not say what became of them: asking again would store them again.
        return told["ackId"].as_u64().ok_or_else(|| {
            let why = "the token has no indexer acknowledgement; enable it";
            refused("Splunk.DisabledAck", &why, true)
        });
    }
    let (code, is_final) = match (answer.status, told["code"].as_u64()) {
        (404, _) => ("Splunk.URLNotFound", false),
        (413, _) => ("Splunk.ServerError.ContentTooLarge", true),
        (_, Some(1)) => ("Splunk.DisabledToken", false),
        (_, Some(2..=4)) | (401 | 403, _) => ("Splunk.InvalidToken", false),
        (_, Some(5 | 6 | 12 | 13 | 15)) => ("Splunk.InvalidDataFormat", true),
        (_, Some(7)) => ("Splunk.InvalidIndex", false),
        (_, Some(9)) => ("Splunk.IndexerBusy", false),
        (_, Some(14)) => ("Splunk.DisabledAck", false),
        _ => ("Splunk.ServerError", false),
    };
    let words = plain(told["text"].as_str().unwrap_or_default());
    Err(refused(code, &format!("the collector answered with status {}. {words}", answer.status), is_final))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, content_type: "application/json".to_owned(), body: body.into() }
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(taken(&answer(200, r#"{"text":"Success","code":0,"ackId":7}"#)), Ok(7));
        for (status, body, code, is_final) in [
            (200, r#"{"text":"Success","code":0}"#, "Splunk.DisabledAck", true),
            (200, "<html>", "Splunk.ServerError", false),
            (401, r#"{"text":"Token is required","code":2}"#, "Splunk.InvalidToken", false),
            (403, r#"{"text":"Invalid token","code":4}"#, "Splunk.InvalidToken", false),
            (403, r#"{"text":"Token disabled","code":1}"#, "Splunk.DisabledToken", false),
            (400, r#"{"text":"Invalid data format","code":6}"#, "Splunk.InvalidDataFormat", true),
            (400, r#"{"text":"Incorrect index","code":7}"#, "Splunk.InvalidIndex", false),
            (503, r#"{"text":"Server is busy","code":9}"#, "Splunk.IndexerBusy", false),
            (404, "", "Splunk.URLNotFound", false),
            (413, "", "Splunk.ServerError.ContentTooLarge", true),
            (500, r#"{"text":"a\u0007b","code":8}"#, "Splunk.ServerError", false),
        ] {
            let refused = taken(&answer(status, body)).unwrap_err();
            assert_eq!((refused.code, refused.is_final), (code, is_final), "{status} {body}");
            assert!(!refused.reason.contains('\u{7}'));
        }
    }

    #[test]
    fn only_its_own_number_counts() {
        assert!(has_indexed(&answer(200, r#"{"acks":{"7":true}}"#), 7));
        for body in [r#"{"acks":{"7":false}}"#, r#"{"acks":{"8":true}}"#, "", "[]"] {
            assert!(!has_indexed(&answer(200, body), 7), "{body}");
        }
        assert!(!has_indexed(&answer(500, r#"{"acks":{"7":true}}"#), 7));
    }

    /// A collector that takes everything and acknowledges nothing.
    #[tokio::test]
    async fn an_acknowledgement_that_does_not_come_is_a_failure() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut bytes = [0; 4_096];
                    let length = stream.read(&mut bytes).await.unwrap();
                    let asks = String::from_utf8_lossy(&bytes[..length]).contains("/ack");
                    let body =
                        if asks { r#"{"acks":{"7":false}}"# } else { r#"{"text":"ok","code":0,"ackId":7}"# };
                    let head =
                        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
                    let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
                });
            }
        });
        let splunk = Splunk {
            url: format!("{base}/services/collector/raw"),
            acknowledgements_url: format!("{base}/services/collector/ack"),
            is_event: false,
            token: "t".to_owned(),
            acknowledged_s_max: 1,
        };
        let shipment = Shipment {
            region: "r".to_owned(),
            name: "s".to_owned(),
            arn: "arn".to_owned(),
            version: 1,
            id: "1".to_owned(),
            arrived: Default::default(),
            records: vec![(Default::default(), b"line\n".to_vec())],
        };
        let endpoints = nightbell_deliver::Web::new(None).unwrap().endpoints();
        let refused = ask(&endpoints, &splunk, &shipment).await.unwrap_err();
        assert_eq!((refused.code, refused.is_final), ("Splunk.AckTimeout", false));
    }
}
