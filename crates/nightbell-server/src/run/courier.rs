/*!
The courier: carries what waits for delivery streams to where it goes, when there is enough of it or it has waited long enough.

Records leave the store only once they have arrived: at their destination, or where failures are kept. Each stream has one shipment
under way at a time, so its order is kept unless something fails.
*/

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::time::{SECOND_MS, Timestamp};
use nightbell_store::{Durability, Write};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::Stopping;
use crate::app::App;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::streams::{self, DeliveryStream};
use crate::streams::buffers::{Buffers, StreamId};
use crate::streams::delivery::{REQUEST_RECORDS_MAX, Refused, Shipment};
use crate::streams::plan::{Http, Plan, Way};

/// Shipments under way at one time, each of its own stream.
const SHIPMENTS_MAX: usize = 4;
/// How often it is looked what is due.
const LOOK: Duration = Duration::from_millis(250);
/// The longest wait between two tries, in milliseconds ("Data delivery failure handling").
const RETRY_WAIT_MS_MAX: i64 = 120 * SECOND_MS;

/// Carries until the server stops; what is under way then is left, and carried again.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let mut sending: JoinSet<StreamId> = JoinSet::new();
    let mut interval = tokio::time::interval(LOOK);
    while !*stopping.borrow() {
        for (stream, plan, record, parcels) in due(&app, SHIPMENTS_MAX.saturating_sub(sending.len())) {
            let app = Arc::clone(&app);
            sending.spawn(async move {
                carry(&app, &stream, &plan, &record, &parcels).await;
                stream
            });
        }
        tokio::select! {
            _ = interval.tick() => {}
            Some(done) = sending.join_next() => match done {
                Ok(stream) => { app.buffers.with(&stream, |queue| queue.is_sending = false); }
                Err(failure) => error!(error = %failure, "a shipment ended badly; its stream waits for the next start"),
            },
            _ = stopping.changed() => {}
        }
    }
    sending.shutdown().await;
}

type Due = (StreamId, Plan, DeliveryStream, Vec<String>);

/// What is to leave now, at most `room` streams.
fn due(app: &App, room: usize) -> Vec<Due> {
    let now = clock::now();
    let mut waiting = Vec::new();
    app.buffers.each(|stream, queue| {
        if let Some(oldest) = queue.parcels.front().filter(|_| !queue.is_sending && now >= queue.not_before) {
            waiting.push((stream.clone(), queue.bytes, oldest.arrived));
        }
    });
    // Who has waited longest goes first.
    waiting.sort_by_key(|(_, _, arrived)| *arrived);
    let mut found = Vec::new();
    for (stream, bytes, oldest) in waiting {
        if found.len() == room {
            break;
        }
        let record = match streams::find(&app.records, &stream.0, &stream.1) {
            Ok(Some(record)) => record,
            Ok(None) => {
                drop_orphans(app, &stream);
                continue;
            }
            Err(failure) => {
                error!(stream = stream.1, error = %failure, "a delivery stream cannot be read");
                continue;
            }
        };
        let Ok(plan) = record.plan() else { continue };
        if bytes < plan.buffer_bytes && now.since(oldest) < plan.buffer_ms {
            continue;
        }
        let parcels = app.buffers.with(&stream, |queue| {
            queue.is_sending = true;
            let (mut bytes, mut records) = (0, 0);
            let mut taken = Vec::new();
            for parcel in &queue.parcels {
                let is_full = bytes >= plan.buffer_bytes || records + parcel.records > REQUEST_RECORDS_MAX;
                if is_full && !taken.is_empty() {
                    break;
                }
                bytes += parcel.bytes;
                records += parcel.records;
                taken.push(parcel.id.clone());
            }
            taken
        });
        if let Some(parcels) = parcels {
            found.push((stream, plan, record, parcels));
        }
    }
    found
}

/// Lets go of what was put while its stream was deleted.
fn drop_orphans(app: &App, stream: &StreamId) {
    let mut change = Write::new();
    let dropped = app.buffers.drop_stream(&app.records, stream, &mut change).and_then(|()| {
        app.records.store().commit(change, Durability::Process)?;
        Ok(())
    });
    if let Err(failure) = dropped {
        error!(stream = stream.1, error = %failure, "what waits for a deleted delivery stream cannot be removed");
    }
}

/// One attempt at one shipment, and its record.
async fn carry(app: &App, stream: &StreamId, plan: &Plan, record: &DeliveryStream, parcels: &[String]) {
    let shipment = match packed(app, stream, record, parcels) {
        Ok(shipment) => shipment,
        Err(failure) => {
            error!(stream = stream.1, error = %failure, "what waits for a delivery stream cannot be read");
            return wait(app, stream);
        }
    };
    let arrived = match &plan.way {
        Way::S3(objects) => app.ways.write(objects, &shipment).await,
        Way::Http(http) => carry_to_endpoint(app, stream, http, &shipment).await,
    };
    match arrived {
        Ok(place) => {
            info!(stream = stream.1, records = shipment.records.len(), place, "records have arrived");
            finish(app, stream, parcels);
        }
        Err(reason) => {
            warn!(stream = stream.1, reason, "records have not arrived; they are tried again");
            wait(app, stream);
        }
    }
}

fn packed(
    app: &App,
    stream: &StreamId,
    record: &DeliveryStream,
    parcels: &[String],
) -> Result<Shipment, Failure> {
    let mut records = Vec::new();
    for id in parcels {
        // The time stands in front of a parcel's name.
        let arrived = id.split('-').next().and_then(|text| text.parse().ok()).unwrap_or_default();
        let content = app.buffers.content(&app.records, stream, id)?;
        records.extend(content.into_iter().map(|one| (Timestamp::from_millis(arrived), one)));
    }
    Ok(Shipment {
        region: stream.0.clone(),
        name: stream.1.clone(),
        arn: streams::arn(&stream.0, &app.account, &stream.1),
        version: record.version,
        id: Shipment::id_of(parcels),
        arrived: records.first().map_or_else(clock::now, |(arrived, _)| *arrived),
        records,
    })
}

/// Sends to an endpoint; what it does not take in its time is kept in the bucket.
async fn carry_to_endpoint(
    app: &App,
    stream: &StreamId,
    http: &Http,
    shipment: &Shipment,
) -> Result<String, String> {
    let now = clock::now();
    if http.keeps_all {
        // The same key each time, so trying again writes the same object again.
        app.ways.write(&http.backup, shipment).await?;
    }
    let refused: Refused = match app.ways.ask(http, shipment, now).await {
        Ok(()) => return Ok(http.url.clone()),
        Err(refused) => refused,
    };
    let (since, tries) = app.buffers.with(stream, |queue| queue.failing).flatten().unwrap_or((now, 0));
    let now = clock::now();
    if !refused.is_final && now.since(since) < http.retry_ms {
        return Err(refused.reason);
    }
    let key = app.ways.keep_failed(&http.backup, shipment, &refused, tries + 1, now).await?;
    warn!(
        stream = stream.1,
        reason = refused.reason,
        key,
        "an endpoint did not take records; they are kept in the bucket"
    );
    Ok(key)
}

/// Takes what has arrived out of what waits.
fn finish(app: &App, stream: &StreamId, parcels: &[String]) {
    let mut change = Write::new();
    Buffers::remove(stream, parcels, &mut change);
    match app.records.store().commit(change, Durability::Process) {
        Ok(_) => {
            app.buffers
                .with(stream, |queue| (queue.failing, queue.not_before) = (None, Timestamp::default()));
            app.buffers.uncount(stream, parcels);
        }
        Err(error) => {
            error!(stream = stream.1, %error, "what has arrived could not be noted; it is sent again");
            wait(app, stream);
        }
    }
}

/// Holds a stream back for a while: 1 s, 2 s, 4 s and so on.
fn wait(app: &App, stream: &StreamId) {
    let now = clock::now();
    app.buffers.with(stream, |queue| {
        let (since, tries) = queue.failing.unwrap_or((now, 0));
        queue.failing = Some((since, tries + 1));
        queue.not_before = now.plus_millis((SECOND_MS << tries.min(16)).min(RETRY_WAIT_MS_MAX));
    });
}
