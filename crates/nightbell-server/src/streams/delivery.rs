/*!
One delivery of what waits for a stream: an object, or a request to an endpoint, and the bucket where an endpoint's failures are kept.

Nothing here takes a record out of what waits: that is the courier's, once this says that it has arrived. So a crash sends again.
Formats: "Data delivery", "HTTP endpoint delivery request and response specifications" (Amazon Data Firehose Developer Guide).
*/

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::object_key::{ErrorOutput, Object};
use nightbell_core::time::Timestamp;
use nightbell_deliver::SendError;
use nightbell_deliver::endpoint::{Endpoints, Request};
use nightbell_store::archive::{Bucket, BucketKey, BucketWriter};
use nightbell_wire::deflate::gzip;
use serde::Serialize;
use uuid::Uuid;

use super::plan::{Http, Objects};
use crate::app::App;
use crate::manage::buckets;

mod own;

/// How long an endpoint may take to answer ("HTTP endpoint delivery request and response specifications").
const ANSWER_TIME_MAX: Duration = Duration::from_secs(180);
/// Records of a request to an endpoint.
pub(crate) const REQUEST_RECORDS_MAX: usize = 10_000;

/// The server whose buckets streams write to.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// `http://…` or `https://…`; `None` for Amazon's.
    pub(crate) endpoint: Option<String>,
    /// Who asks.
    pub(crate) key: BucketKey,
}

/// The ways out, with what is kept open.
pub(crate) struct Ways {
    /// The server that all this is a part of: its own buckets come first.
    own: OnceLock<Weak<App>>,
    server: Option<Server>,
    buckets: Mutex<HashMap<(String, String), Arc<BucketWriter>>>,
    endpoints: Endpoints,
}

/// Records of one stream that go out together.
pub(crate) struct Shipment {
    /// The stream's region.
    pub(crate) region: String,
    /// Its name.
    pub(crate) name: String,
    /// Its ARN.
    pub(crate) arn: String,
    /// Its version.
    pub(crate) version: u64,
    /// Names this shipment; the same when it is tried again.
    pub(crate) id: String,
    /// When the first of them came.
    pub(crate) arrived: Timestamp,
    /// The records, each with when it came.
    pub(crate) records: Vec<(Timestamp, Vec<u8>)>,
}

/// Why an endpoint did not take a shipment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What is wrong.
    pub(crate) reason: String,
    /// `HttpEndpoint.…`
    pub(crate) code: &'static str,
    /// Whether it never will.
    pub(crate) is_final: bool,
}

impl Ways {
    /// The ways out; without a server for buckets, streams lead to buckets of our own.
    pub(crate) fn new(server: Option<Server>) -> Self {
        Self { own: OnceLock::new(), server, buckets: Mutex::default(), endpoints: Endpoints::default() }
    }

    /// Says whose ways they are, once.
    pub(crate) fn belong_to(&self, app: &Arc<App>) {
        let _ = self.own.set(Arc::downgrade(app));
    }

    /// Whether there is a server for buckets.
    pub(crate) fn has_buckets(&self) -> bool {
        self.server.is_some()
    }

    /// Writes a shipment as one object.
    ///
    /// # Errors
    /// What the bucket's server said.
    pub(crate) async fn write(&self, objects: &Objects, shipment: &Shipment) -> Result<String, String> {
        let mut body = Vec::with_capacity(shipment.records.iter().map(|(_, record)| record.len()).sum());
        for (_, record) in &shipment.records {
            body.extend_from_slice(record);
        }
        let key = objects.keys.delivered(&shipment.object(&objects.extension));
        self.put(objects, shipment, key, body).await
    }

    /// Writes a shipment that an endpoint did not take as one object: a line of JSON for each record.
    ///
    /// # Errors
    /// What the bucket's server said.
    pub(crate) async fn keep_failed(
        &self,
        objects: &Objects,
        shipment: &Shipment,
        refused: &Refused,
        attempts: u32,
        now: Timestamp,
    ) -> Result<String, String> {
        let mut body = Vec::new();
        for (arrived, record) in &shipment.records {
            let line = FailedRecord {
                attempts_made: attempts,
                arrival_timestamp: arrived.as_millis(),
                error_code: refused.code,
                error_message: &refused.reason,
                attempt_ending_timestamp: now.as_millis(),
                raw_data: STANDARD.encode(record),
            };
            serde_json::to_writer(&mut body, &line).map_err(|error| error.to_string())?;
            body.push(b'\n');
        }
        let key = objects.keys.failed(&shipment.object(&objects.extension), ErrorOutput::HttpEndpoint);
        self.put(objects, shipment, key, body).await
    }

    async fn put(
        &self,
        objects: &Objects,
        shipment: &Shipment,
        key: String,
        body: Vec<u8>,
    ) -> Result<String, String> {
        let body = if objects.gzip { gzip(&body) } else { body };
        if let Some(app) = self.own.get().and_then(Weak::upgrade)
            && buckets::find(&app.records, &objects.bucket).is_ok()
        {
            own::put(&app, objects, shipment, &key, body).await?;
            return Ok(key);
        }
        let bucket = self.bucket(&shipment.region, &objects.bucket)?;
        bucket.put(&key, body.into()).await.map_err(|error| error.to_string())?;
        Ok(key)
    }

    fn bucket(&self, region: &str, name: &str) -> Result<Arc<BucketWriter>, String> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (region.to_owned(), name.to_owned());
        if let Some(open) = buckets.get(&place) {
            return Ok(Arc::clone(open));
        }
        let server = self.server.as_ref().ok_or(
            "there is no such bucket here, and no server for buckets is configured (streams_key_file)",
        )?;
        let bucket = Bucket {
            name: name.to_owned(),
            prefix: String::new(),
            endpoint: server.endpoint.clone(),
            region: region.to_owned(),
            key: server.key.clone(),
            trusted_pem: None,
        };
        let open = Arc::new(BucketWriter::open(&bucket).map_err(|error| error.to_string())?);
        buckets.insert(place, Arc::clone(&open));
        Ok(open)
    }

    /// Sends a shipment to an endpoint, once.
    ///
    /// # Errors
    /// Why the endpoint did not take it.
    pub(crate) async fn ask(&self, http: &Http, shipment: &Shipment, now: Timestamp) -> Result<(), Refused> {
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
        match self.endpoints.post(request).await {
            Ok(answer) => judge(answer.status, &answer.body, &shipment.id),
            Err(SendError::Later { reason, .. }) => Err(refused("ConnectionFailed", &reason, false)),
            Err(SendError::Never { reason }) => Err(refused("InvalidRequest", &reason, true)),
        }
    }
}

impl Shipment {
    /// A name for records that go out together: made of theirs, so that what is tried again is known as such.
    pub(crate) fn id_of(parcels: &[String]) -> String {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, parcels.join("\n").as_bytes()).to_string()
    }

    fn object<'a>(&'a self, extension: &'a str) -> Object<'a> {
        Object { stream: &self.name, version: self.version, arrived: self.arrived, id: &self.id, extension }
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
            let message: String = told("errorMessage")
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(300)
                .collect();
            Err(refused(
                "DestinationException",
                &format!("the endpoint answered with status {status}. {message}"),
                false,
            ))
        }
    }
}

fn refused(code: &'static str, reason: &dyn std::fmt::Display, is_final: bool) -> Refused {
    Refused { reason: reason.to_string(), code, is_final }
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedRecord<'a> {
    attempts_made: u32,
    arrival_timestamp: i64,
    error_code: &'static str,
    error_message: &'a str,
    attempt_ending_timestamp: i64,
    raw_data: String,
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
