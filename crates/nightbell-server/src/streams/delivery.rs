/*!
One delivery of what waits for a stream: an object, or a request to an endpoint, and the bucket where an endpoint's failures are kept.

Nothing here takes a record out of what waits: that is the courier's, once this says that it has arrived. So a crash sends again.
How endpoints are asked stands in `http` and `splunk`. Formats: "Data delivery" (Amazon Data Firehose Developer Guide).
*/

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::object_key::{ErrorOutput, Object};
use nightbell_core::time::Timestamp;
use nightbell_deliver::endpoint::Endpoints;
use nightbell_store::archive::{Bucket, BucketKey, BucketWriter};
use nightbell_wire::deflate::gzip;
use serde::Serialize;
use uuid::Uuid;

use super::plan::{Backup, Http, Objects, Splunk};
use super::processing::Processing;
use crate::app::App;
use crate::manage::buckets;

mod http;
mod own;
mod splunk;

/// Characters of an endpoint's own words that are told.
const ANSWER_CHARS_MAX: usize = 300;
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
    /// What the service calls it.
    pub(crate) code: &'static str,
    /// Whether it never will.
    pub(crate) is_final: bool,
}

impl Ways {
    /// The ways out; without a server for buckets, streams lead to buckets of our own.
    pub(crate) fn new(server: Option<Server>, endpoints: Endpoints) -> Self {
        Self { own: OnceLock::new(), server, buckets: Mutex::default(), endpoints }
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
        backup: &Backup,
        shipment: &Shipment,
        refused: &Refused,
        attempts: u32,
        now: Timestamp,
    ) -> Result<String, String> {
        let mut body = Vec::new();
        let objects = &backup.objects;
        for (number, (arrived, record)) in shipment.records.iter().enumerate() {
            let event = || Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}/{number}", shipment.id).as_bytes());
            let line = FailedRecord {
                attempts_made: attempts,
                arrival_timestamp: arrived.as_millis(),
                error_code: refused.code,
                error_message: &refused.reason,
                attempt_ending_timestamp: now.as_millis(),
                raw_data: STANDARD.encode(record),
                event_id: (backup.failure == ErrorOutput::Splunk).then(|| event().to_string()),
            };
            serde_json::to_writer(&mut body, &line).map_err(|error| error.to_string())?;
            body.push(b'\n');
        }
        let key = objects.keys.failed(&shipment.object(&objects.extension), backup.failure);
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
        http::ask(&self.endpoints, http, shipment, now).await
    }

    /// Sends a shipment to Splunk, once, and waits until it is indexed.
    ///
    /// # Errors
    /// Why Splunk did not take it.
    pub(crate) async fn ask_splunk(&self, splunk: &Splunk, shipment: &Shipment) -> Result<(), Refused> {
        splunk::ask(&self.endpoints, splunk, shipment).await
    }
}

impl Shipment {
    /// A name for records that go out together: made of theirs, so that what is tried again is known as such.
    pub(crate) fn id_of(parcels: &[String]) -> String {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, parcels.join("\n").as_bytes()).to_string()
    }

    /// This shipment with its records as they are delivered.
    pub(crate) fn processed(&self, processing: &Processing) -> Self {
        Self {
            region: self.region.clone(),
            name: self.name.clone(),
            arn: self.arn.clone(),
            version: self.version,
            id: self.id.clone(),
            arrived: self.arrived,
            records: processing.process(&self.records),
        }
    }

    fn object<'a>(&'a self, extension: &'a str) -> Object<'a> {
        Object { stream: &self.name, version: self.version, arrived: self.arrived, id: &self.id, extension }
    }
}

fn refused(code: &'static str, reason: &dyn std::fmt::Display, is_final: bool) -> Refused {
    Refused { reason: reason.to_string(), code, is_final }
}

/// Text of an answer, fit for a log.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ANSWER_CHARS_MAX).collect()
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
    #[serde(rename = "EventId", skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
}
