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
use crate::streams::buffers::{Buffers, Failing, Queue, StreamId};
use crate::streams::delivery::{REQUEST_RECORDS_MAX, Refused, Shipment};
use crate::streams::plan::{Backup, Plan, Way};

/// Shipments under way at one time, each of its own stream: endpoints that do not answer leave room for others.
const SHIPMENTS_MAX: usize = 16;
/// Bytes of the records under way at one time; one shipment always goes.
const SHIPMENT_BYTES_MAX: u64 = 256 << 20;
/// How often it is looked what is due.
const LOOK: Duration = Duration::from_millis(250);
/// The longest wait between two tries, in milliseconds ("Data delivery failure handling").
const RETRY_WAIT_MS_MAX: i64 = 120 * SECOND_MS;

/// Carries until the server stops; what is under way then is left, and carried again.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let mut sending: JoinSet<(StreamId, u64)> = JoinSet::new();
    let mut bytes_sending = 0;
    let mut interval = tokio::time::interval(LOOK);
    while !*stopping.borrow() {
        for due in due(&app, SHIPMENTS_MAX.saturating_sub(sending.len()), bytes_sending) {
            bytes_sending += due.bytes;
            let app = Arc::clone(&app);
            sending.spawn(async move {
                carry(&app, &due).await;
                (due.stream, due.bytes)
            });
        }
        tokio::select! {
            _ = interval.tick() => {}
            Some(done) = sending.join_next() => match done {
                Ok((stream, bytes)) => {
                    bytes_sending -= bytes;
                    app.buffers.with(&stream, |queue| queue.is_sending = false);
                }
                Err(failure) => error!(error = %failure, "a shipment ended badly; its stream waits for the next start"),
            },
            _ = stopping.changed() => {}
        }
    }
    sending.shutdown().await;
}

/// What is to leave now.
struct Due {
    stream: StreamId,
    plan: Plan,
    record: DeliveryStream,
    parcels: Vec<String>,
    bytes: u64,
}

/// What is to leave now, of at most `room` streams, beside so many bytes that are under way.
fn due(app: &App, room: usize, mut bytes_sending: u64) -> Vec<Due> {
    let now = clock::now();
    let mut waiting = Vec::new();
    app.buffers.each(|stream, queue| {
        if let Some(oldest) = queue.parcels.front().filter(|_| !queue.is_sending && now >= queue.not_before) {
            waiting.push((stream.clone(), queue.bytes, oldest.arrived, queue.failing.is_some()));
        }
    });
    // Who has waited longest goes first.
    waiting.sort_by_key(|(_, _, arrived, _)| *arrived);
    let mut found = Vec::new();
    for (stream, bytes, oldest, is_failing) in waiting {
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
        if !is_failing && bytes < plan.buffer_bytes && now.since(oldest) < plan.buffer_ms {
            continue;
        }
        let taken = app.buffers.with(&stream, |queue| {
            let (parcels, bytes) = front(queue, &plan);
            let fits = bytes_sending == 0 || bytes_sending + bytes <= SHIPMENT_BYTES_MAX;
            queue.is_sending = fits;
            fits.then_some((parcels, bytes))
        });
        if let Some((parcels, bytes)) = taken.flatten() {
            bytes_sending += bytes;
            found.push(Due { stream, plan, record, parcels, bytes });
        }
    }
    found
}

/// The parcels that leave next, and their bytes: those that could not be delivered, or as many as are gathered.
fn front(queue: &Queue, plan: &Plan) -> (Vec<String>, u64) {
    let (mut bytes, mut records) = (0, 0);
    let mut taken = Vec::new();
    for parcel in &queue.parcels {
        let is_full = match queue.failing {
            Some(failing) => taken.len() >= failing.parcels,
            None => bytes >= plan.buffer_bytes || records + parcel.records > REQUEST_RECORDS_MAX,
        };
        if is_full && !taken.is_empty() {
            break;
        }
        bytes += parcel.bytes;
        records += parcel.records;
        taken.push(parcel.id.clone());
    }
    (taken, bytes)
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
async fn carry(app: &App, due: &Due) {
    let Due { stream, plan, record, parcels, .. } = due;
    let shipment = match packed(app, stream, record, parcels) {
        Ok(shipment) => shipment,
        Err(failure) => {
            error!(stream = stream.1, error = %failure, "what waits for a delivery stream cannot be read");
            return wait(app, due);
        }
    };
    let arrived = match &plan.way {
        Way::S3(objects) => match processed(plan, &shipment) {
            None => app.ways.write(objects, &shipment).await,
            Some(processed) if processed.records.is_empty() => {
                Ok("nowhere: there is nothing in them".to_owned())
            }
            Some(processed) => app.ways.write(objects, &processed).await,
        },
        Way::Http(_, backup) | Way::Splunk(_, backup) => carry_to_endpoint(app, due, backup, &shipment).await,
    };
    match arrived {
        Ok(place) => {
            info!(stream = stream.1, records = shipment.records.len(), place, "records have arrived");
            finish(app, due);
        }
        Err(reason) => {
            warn!(stream = stream.1, reason, "records have not arrived; they are tried again");
            wait(app, due);
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

/// A shipment as it is delivered; nothing where that is as it came.
fn processed(plan: &Plan, shipment: &Shipment) -> Option<Shipment> {
    let processing = &plan.processing;
    // Inflating may take its time.
    (!processing.is_nothing()).then(|| tokio::task::block_in_place(|| shipment.processed(processing)))
}

/// Sends to an endpoint; what it does not take in its time is kept in the bucket. Gives where it has arrived.
async fn carry_to_endpoint(
    app: &App,
    due: &Due,
    backup: &Backup,
    shipment: &Shipment,
) -> Result<String, String> {
    let (stream, now) = (&due.stream, clock::now());
    if backup.keeps_all {
        // The same key each time, so trying again writes the same object again.
        app.ways.write(&backup.objects, shipment).await?;
    }
    // What is kept is kept as it came.
    let processed = processed(&due.plan, shipment);
    let delivered = processed.as_ref().unwrap_or(shipment);
    let asked = match &due.plan.way {
        _ if delivered.records.is_empty() => Ok(()),
        Way::Http(http, _) => app.ways.ask(http, delivered, now).await,
        Way::Splunk(splunk, _) => app.ways.ask_splunk(splunk, delivered).await,
        Way::S3(_) => Ok(()),
    };
    let refused: Refused = match asked {
        Ok(()) => return Ok("the endpoint".to_owned()),
        Err(refused) => refused,
    };
    let failing = app.buffers.with(stream, |queue| queue.failing).flatten();
    let (since, tries) = failing.map_or((now, 0), |failing| (failing.since, failing.tries));
    let now = clock::now();
    if !refused.is_final && now.since(since) < backup.retry_ms {
        return Err(refused.reason);
    }
    let key = app.ways.keep_failed(backup, shipment, &refused, tries + 1, now).await?;
    warn!(
        stream = stream.1,
        reason = refused.reason,
        key,
        "an endpoint did not take records; they are kept in the bucket"
    );
    Ok(key)
}

/// Takes what has arrived out of what waits.
fn finish(app: &App, due: &Due) {
    let Due { stream, parcels, .. } = due;
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
            wait(app, due);
        }
    }
}

/// Holds a stream back for a while: 1 s, 2 s, 4 s and so on.
fn wait(app: &App, due: &Due) {
    let (stream, now) = (&due.stream, clock::now());
    let failing = app.buffers.with(stream, |queue| {
        let before = queue.failing;
        let (since, tries) = before.map_or((now, 0), |failing| (failing.since, failing.tries));
        let failing = Failing { since, tries: tries + 1, parcels: due.parcels.len() };
        queue.failing = Some(failing);
        queue.not_before = now.plus_millis((SECOND_MS << tries.min(16)).min(RETRY_WAIT_MS_MAX));
        failing
    });
    // A stream that is deleted meanwhile has no queue any more.
    let Some(failing) = failing else { return };
    let mut change = Write::new();
    Buffers::note_failing(stream, &failing, &mut change);
    if let Err(error) = app.records.store().commit(change, Durability::Process) {
        error!(stream = stream.1, %error, "a failure could not be noted; a restart begins to count anew");
    }
}
