/*!
A subscriber over a store in memory, whose destinations come and go.
*/

use std::collections::BTreeMap;

use nightbell_core::event::{Batch, Event};
use serde_json::{Map, Value, json};

use super::*;
use crate::manage::groups::{self, GroupOptions};
use crate::manage::streams::{self, DeliveryStream};
use crate::manage::subscriptions::{self, SubscriptionFilter};
use crate::search::Pool;
use crate::streams::plan::Kind;

const REGION: &str = "site";

fn group() -> Group {
    Group { region: REGION.into(), name: "g".into() }
}

/// A server's parts with a group; filters `to` streams of these names, which are not there yet.
fn app_with(folder: &std::path::Path, to: &[&str]) -> Arc<App> {
    let app = crate::run::app_in(folder, Pool::without_threads());
    let options = GroupOptions::default();
    groups::create(&app.records, &group(), options, clock::now(), Position::FIRST).unwrap();
    for name in to {
        let filter = SubscriptionFilter {
            group: group(),
            name: format!("to-{name}"),
            pattern: "wanted".into(),
            destination: streams::arn(REGION, &app.account, name),
            role: None,
            distribution: "ByLogStream".into(),
            created: clock::now(),
            since: Position::FIRST,
        };
        subscriptions::put_filter(&app.records, filter, |_| ()).unwrap();
    }
    app
}

fn make_stream(app: &App, name: &str) {
    let Value::Object(destination) =
        json!({"RoleARN": "arn:aws:iam::1:role/r", "BucketARN": "arn:aws:s3:::logs"})
    else {
        return;
    };
    let stream = DeliveryStream {
        name: name.into(),
        created: clock::now(),
        updated: None,
        version: 1,
        kind: Kind::S3,
        destination: Map::from_iter(destination),
        secret: None,
        tags: BTreeMap::new(),
    };
    streams::create(&app.records, REGION, &stream).unwrap();
}

/// Blocks of one event that is wanted and one that is not.
async fn come(app: &App, blocks: usize, arrival: Timestamp) {
    for _ in 0..blocks {
        let event = |message: &str| Event { time: arrival, message: message.into() };
        let events = vec![event("wanted"), event("other")];
        let batch = Batch { group: group(), stream: "s".into(), arrival, events };
        app.journal.append(batch).await.unwrap();
    }
}

fn opened(app: &Arc<App>) -> Subscriber {
    Subscriber::open(Arc::clone(app)).unwrap()
}

fn work(subscriber: &mut Subscriber) {
    while subscriber.step().unwrap() {}
}

fn waiting(app: &App, name: &str) -> usize {
    let stream = (REGION.to_owned(), name.to_owned());
    app.buffers.with(&stream, |queue| queue.parcels.iter().map(|parcel| parcel.records).sum()).unwrap_or(0)
}

fn kept_from(app: &App) -> u64 {
    app.subscribed.borrow().number()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_takes_nothing_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let app = app_with(folder.path(), &["there", "gone"]);
    make_stream(&app, "there");
    come(&app, 3, clock::now()).await;
    let mut subscriber = opened(&app);
    work(&mut subscriber);
    assert_eq!((waiting(&app, "there"), waiting(&app, "gone")), (3, 0));
    assert_eq!((kept_from(&app), subscriber.head.position.number()), (0, 3), "the journal is kept for it");
    assert_eq!(app.telemetry.subscriptions_behind.get(), 1);

    // As after a kill.
    let mut subscriber = opened(&app);
    come(&app, 2, clock::now()).await;
    work(&mut subscriber);
    assert_eq!((waiting(&app, "there"), waiting(&app, "gone"), kept_from(&app)), (5, 0, 0));

    make_stream(&app, "gone");
    work(&mut subscriber);
    assert_eq!((waiting(&app, "there"), waiting(&app, "gone")), (5, 5));
    assert_eq!((kept_from(&app), app.telemetry.subscriptions_behind.get()), (5, 0));
    come(&app, 1, clock::now()).await;
    let mut subscriber = opened(&app);
    work(&mut subscriber);
    assert_eq!((waiting(&app, "there"), waiting(&app, "gone"), kept_from(&app)), (6, 6, 6));
    assert_eq!(app.telemetry.subscription_losses.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_day_is_counted_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let app = app_with(folder.path(), &["gone"]);
    come(&app, 3, clock::now().plus_millis(-SUBSCRIBED_AGE_MAX_MS - 1)).await;
    come(&app, 2, clock::now()).await;
    let mut subscriber = opened(&app);
    work(&mut subscriber);
    assert_eq!((app.telemetry.subscription_losses.get(), kept_from(&app)), (3, 3));
    make_stream(&app, "gone");
    work(&mut subscriber);
    assert_eq!((waiting(&app, "gone"), kept_from(&app)), (2, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_far_behind_is_counted_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let app = app_with(folder.path(), &["gone"]);
    come(&app, 3, clock::now()).await;
    let mut subscriber = opened(&app);
    work(&mut subscriber);
    let each = message_bytes(&app.journal.read(Position::FIRST, 1).unwrap()[0]);
    // As if much had come that nobody wanted: two blocks are too many.
    subscriber.head.bytes += SUBSCRIBED_BYTES_MAX - each;
    work(&mut subscriber);
    assert_eq!((app.telemetry.subscription_losses.get(), kept_from(&app)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_for_a_filter_that_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let app = app_with(folder.path(), &["gone", "there"]);
    make_stream(&app, "there");
    come(&app, 3, clock::now()).await;
    let mut subscriber = opened(&app);
    work(&mut subscriber);
    assert_eq!(kept_from(&app), 0);
    subscriptions::remove(&app.records, &group(), "to-gone").unwrap();
    app.subscriptions.load(&app.records).unwrap();
    work(&mut subscriber);
    assert_eq!((kept_from(&app), subscriber.behind.len()), (3, 0));
    assert_eq!((waiting(&app, "there"), opened(&app).behind.len()), (3, 0));
}
