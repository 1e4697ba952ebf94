/*!
A watcher that is killed and opened again, on a store in memory that is made to stand as a kill leaves it: changes are in
the catalog and in the stream, and no step has taken them.
*/

use std::path::Path;

use nightbell_core::alarm::composite::CompositeAlarm;
use nightbell_core::alarm::{Comparison, ExpressionMeasure, Measure, MetricAlarm, MissingData, QueryMeasure};
use nightbell_core::budget::{DigestLine, MessageKind};
use nightbell_core::evidence::Evidence;
use nightbell_core::math::{MetricQuery, MetricStat, Queried};
use nightbell_core::metric::{Aggregate, Datum};
use nightbell_core::topic::Endpoint;
use nightbell_deliver::{Channel, Mailbox, Origin, Web};
use nightbell_store::archive::Archive;
use nightbell_store::{Catalog, Journal, MemoryStore, Scan, Space};
use nightbell_winevt::DialectReader;
use tokio::sync::{Notify, Semaphore, watch as signal};

use super::*;
use crate::catalog::Records;
use crate::credentials::AccessKey;
use crate::health::Health;
use crate::manage::filters::Compiled;
use crate::run::tiers;
use crate::search::Pool;
use crate::search::lookup::Owners;
use crate::search::shelves::Shelves;
use crate::telemetry::Telemetry;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "site";
/// A full day.
const BASE_S: i64 = 1_767_225_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

fn app() -> Arc<App> {
    app_in(&std::env::temp_dir().join("nightbell-watcher-tests"), Pool::without_threads())
}

/// A server's parts in memory, its archive and mailbox in a folder; nothing runs.
pub(crate) fn app_in(folder: &Path, search_pool: Pool) -> Arc<App> {
    let store = Arc::new(MemoryStore::default());
    let archive =
        Archive::open_folder(&folder.join("archive"), Arc::clone(&store) as Arc<dyn Catalog>).unwrap();
    let (stop, stopping) = signal::channel(false);
    std::mem::forget(stop); // a signal that is gone counts as given
    let web = Web::new(None).unwrap();
    Arc::new(App {
        account: ACCOUNT.to_owned(),
        public_url: "http://127.0.0.1:1".to_owned(),
        key: AccessKey { access_key_id: "TESTS".to_owned(), secret_access_key: "tests".to_owned() },
        keys: crate::keys::Keys::new(),
        installation: None,
        journal: Arc::clone(&store) as Arc<dyn Journal>,
        records: Records::new(store),
        compiled: Compiled::new(ACCOUNT),
        reader: DialectReader,
        matched: signal::Sender::new(Position::default()),
        subscribed: signal::Sender::new(Position::new(u64::MAX)), // nobody is subscribed
        subscriptions: manage::subscriptions::Subscriptions::default(),
        buckets: manage::buckets::Buckets::open(&folder.join("buckets")).unwrap(),
        buffers: crate::streams::buffers::Buffers::default(),
        ways: crate::streams::delivery::Ways::new(None, web.endpoints()),
        judged: signal::Sender::new(Position::default()),
        records_followed: signal::Sender::new(None),
        outbox_bell: Notify::new(),
        stacks_bell: Notify::new(),
        lanes: topics::Lanes::default(),
        channel: Channel::Mailbox(Mailbox::open(folder).unwrap()),
        web,
        signing: crate::signing::Signing::new(None),
        origin: Origin::new("nightbell@example.org", None).unwrap(),
        shelves: Shelves::new(archive),
        owners: Owners::default(),
        search_pool,
        queries: crate::search::queries::Queries::default(),
        results: Semaphore::new(1),
        pages: Semaphore::new(1),
        studies: Semaphore::new(1),
        archive_after_ms: 0,
        tails: crate::tail::TailRoom::default(),
        archive_head_topic: None,
        stopping,
        health: Health::default(),
        telemetry: Telemetry::new(),
        allow_reset: false,
        contributors_max: 1_000,
        functions: crate::functions::Functions::off(),
        emptied: 0.into(),
    })
}

/// More than five in a minute, by the dimension of this name.
pub(crate) fn by(dimension: &str) -> MetricAlarm {
    let text = format!("SELECT SUM(Denied) FROM files GROUP BY {dimension}");
    MetricAlarm {
        arn: alarms::arn(REGION, ACCOUNT, "denied"),
        region: REGION.to_owned(),
        name: "denied".to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text }),
        period_s: 60,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 5.0,
        band: None,
        comparison: Comparison::GreaterThanThreshold,
        missing_data: MissingData::NotBreaching,
        evaluate_low_sample_count_percentile: String::new(),
        updated: at(0),
    }
}

/// Outside what is usual.
fn banded() -> MetricAlarm {
    let series = Series::new(REGION, "files", "Denied", Vec::new());
    let stat = MetricStat { series, period_s: 60, statistic: "Sum".to_owned(), unit: None };
    let entry = |id: &str, what| MetricQuery {
        id: id.to_owned(),
        label: None,
        return_data: true,
        period_s: None,
        account_id: None,
        what,
    };
    let band = Queried::Expression("ANOMALY_DETECTION_BAND(m1, 3)".to_owned());
    let entries = vec![entry("m1", Queried::Stat(stat)), entry("ad1", band)];
    MetricAlarm {
        arn: alarms::arn(REGION, ACCOUNT, "unusual"),
        name: "unusual".to_owned(),
        measure: Measure::Expression(ExpressionMeasure { entries }),
        band: Some("ad1".to_owned()),
        threshold: 0.0,
        comparison: Comparison::GreaterThanUpperThreshold,
        ..by("User")
    }
}

fn composite(rule: &str) -> CompositeAlarm {
    CompositeAlarm {
        arn: alarms::arn(REGION, ACCOUNT, "both"),
        region: REGION.to_owned(),
        name: "both".to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        rule: rule.to_owned(),
        suppressor: None,
        updated: at(0),
    }
}

/// So many events of a user in a folder at a second.
fn events(user: &str, folder: &str, second: i64, count: usize) -> Input {
    let dimensions = vec![("Folder".to_owned(), folder.to_owned()), ("User".to_owned(), user.to_owned())];
    let time = Some(at(second));
    let evidence = Evidence { events: 1, first: time, last: time, last_arrival: time, ..Evidence::default() };
    let datum = Datum {
        series: Series::new(REGION, "files", "Denied", dimensions),
        second: BASE_S + second,
        unit: None,
        aggregate: Aggregate::one(1.0),
        evidence,
    };
    Input::Data(vec![datum; count])
}

/// Puts an entry into the stream, as somebody else does.
fn push(app: &App, second: i64, input: Input) {
    let mut change = Write::new();
    alarms::push(&mut change, at(second), input);
    app.records.store().commit(change, Durability::Process).unwrap();
}

fn open(app: &Arc<App>) -> Watcher {
    Watcher::open(Arc::clone(app)).unwrap()
}

/// A watcher that has taken all there is.
fn caught_up(app: &Arc<App>) -> Watcher {
    let mut watcher = open(app);
    while watcher.step().unwrap() {}
    watcher
}

fn states(app: &App) -> Vec<String> {
    let items = alarms::history(&app.records, REGION, None).unwrap();
    let of_state = items.into_iter().filter(|item| item.kind.ends_with("StateUpdate"));
    let who = |item: &HistoryItem| item.contributor.as_ref().map_or("*".to_owned(), |one| one.text(99));
    of_state.map(|item| format!("{} {}", who(&item), item.summary.rsplit(' ').next().unwrap())).collect()
}

fn keys(app: &App, space: Space) -> Vec<String> {
    let found = app.records.store().scan(space, &Scan::all()).unwrap();
    found.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_not_taken_judges_nothing_before_it() {
    let app = app();
    alarms::put_alarm(&app.records, &by("User"), &BTreeMap::new(), at(0)).unwrap();
    push(&app, 1, Input::Tick);
    push(&app, 2, events("ann", "hr", 2, 3));
    drop(caught_up(&app));
    // The alarm counts by folder now, and a kill comes before the step that would take it. Three more of ann came before.
    push(&app, 3, events("ann", "it", 3, 3));
    alarms::put_alarm(&app.records, &by("Folder"), &BTreeMap::new(), at(4)).unwrap();
    push(&app, 5, events("bob", "it", 5, 4));
    let again = open(&app);
    assert_eq!(again.watch.alarm(&by("User").arn).unwrap().0.measure, by("User").measure, "as it was taken");
    let mut again = again;
    while again.step().unwrap() {}
    assert_eq!(again.watch.alarm(&by("User").arn).unwrap().0.measure, by("Folder").measure);
    let told: Vec<String> = states(&app).into_iter().filter(|told| !told.starts_with('*')).collect();
    assert_eq!(told, ["User=ann ALARM", "Folder=it ALARM"], "six of ann, then seven in the folder");
    // The same as without a kill.
    let whole = states(&app);
    drop(again);
    drop(caught_up(&app));
    assert_eq!(states(&app), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_alarm_that_was_not_taken_ends_all_that_is_its_own() {
    let app = app();
    for alarm in [by("User"), banded()] {
        alarms::put_alarm(&app.records, &alarm, &BTreeMap::new(), at(0)).unwrap();
    }
    push(&app, 1, Input::Tick);
    push(&app, 2, events("ann", "hr", 2, 6));
    push(&app, 3, Input::Tick);
    let watcher = caught_up(&app);
    assert_eq!(watcher.watch.open_incidents(), 1);
    drop(watcher);
    assert!(keys(&app, Space::Watch).iter().any(|key| key.starts_with("model")));

    let names = ["denied".to_owned(), "unusual".to_owned()];
    alarms::remove(&app.records, REGION, &names, at(4)).unwrap();
    let removed = banded();
    let Measure::Expression(measure) = &removed.measure else { unreachable!("it is on a band") };
    let stat = measure.entries[0].stat().unwrap();
    let watched = nightbell_core::anomaly::models::ModelKey::of_stat(stat).watched();
    detectors::remove(&app.records, watched, at(4)).unwrap();
    let again = open(&app);
    assert_eq!(
        (again.watch.open_incidents(), again.watch.alarms().count()),
        (1, 2),
        "nothing is lost before"
    );
    drop(again);
    let again = caught_up(&app);
    assert_eq!((again.watch.open_incidents(), again.watch.incidents().count()), (0, 0));
    let listing = incidents::Listing { region: REGION, open: false, alarm: None, limit: 9 };
    let (found, _) = incidents::list(&app.records, &listing).unwrap();
    assert_eq!(found.iter().map(|one| one.ended).collect::<Vec<_>>(), [Some(at(4))]);
    assert_eq!(keys(&app, Space::Watch), [""; 0], "no state, no contributor, no model, no detector is left");
    assert!(incidents::held(&**app.records.store()).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn composites_and_detectors_are_restored_as_they_were_taken() {
    let app = app();
    alarms::put_alarm(&app.records, &by("User"), &BTreeMap::new(), at(0)).unwrap();
    alarms::put_alarm(&app.records, &banded(), &BTreeMap::new(), at(0)).unwrap();
    let store = app.records.store();
    let put = |rule: &str, second| {
        let alarm = composite(rule);
        push(&app, second, Input::PutComposite { alarm });
    };
    put("ALARM(denied)", 1);
    drop(caught_up(&app));
    let [taken] = &taken::detectors(&**store).unwrap()[..] else { panic!("the band's detector") };
    let changed = nightbell_core::anomaly::AnomalyDetector { periodic_spikes: true, ..taken.clone() };
    detectors::put(&app.records, changed, at(2)).unwrap();
    put("OK(denied)", 2);
    let again = open(&app);
    assert_eq!(again.watch.composite(&composite("").arn).unwrap().0.rule, "ALARM(denied)");
    assert!(!taken::detectors(&**store).unwrap()[0].periodic_spikes);
    drop(again);
    let again = caught_up(&app);
    assert_eq!(again.watch.composite(&composite("").arn).unwrap().0.rule, "OK(denied)");
    assert!(taken::detectors(&**store).unwrap()[0].periodic_spikes);
}

/// Days later, after the points of those days were folded: what a restart finds is what it would have found without.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_the_windows_as_they_were_before_points_were_folded() {
    let now_s = 50 * 24 * 3_600 + 1_234;
    let by_user = |after: &str| {
        let text = format!("SELECT SUM(Denied) FROM files GROUP BY User{after}");
        Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text })
    };
    let after = by_user(" AFTER SUM(Opened) >= 2");
    let dimensions = vec![("Folder".to_owned(), "hr".to_owned()), ("User".to_owned(), "ann".to_owned())];
    let series = Series::new(REGION, "files", "Denied", dimensions);
    let single = nightbell_core::alarm::SeriesMeasure { series, unit: None, statistic: "p90".to_owned() };
    for (period_s, evaluation_periods, measure) in [
        (60, 1, by_user("")),
        (10, 8_640, by_user("")),
        (3_600, 1, by_user("")),
        (3_600, 1, after.clone()),
        (3_600, 5, Measure::Series(single.clone())),
        (86_400, 1, by_user("")),
        (86_400, 2, after),
        (604_800, 1, by_user("")),
        (604_800, 1, Measure::Series(single)),
    ] {
        let app = app();
        let alarm = MetricAlarm { measure, period_s, evaluation_periods, threshold: 1e9, ..by("User") };
        alarms::put_alarm(&app.records, &alarm, &BTreeMap::new(), at(0)).unwrap();
        let recent = (0..800).map(|i| now_s - i * 37);
        let older = (0..400).map(|i| now_s - i * i * 26);
        for second in recent.chain(older) {
            push(&app, now_s, events("ann", "hr", second, 1));
        }
        push(&app, now_s, Input::Tick);
        drop(caught_up(&app));
        let before = open(&app);
        let moved = tiers::pass(&app.records, at(now_s), &|| false).unwrap();
        assert!(moved.folded > 200, "{moved:?}");
        let after = open(&app);
        let told = format!("{evaluation_periods} of {period_s} s");
        // Maps tell their entries in no certain order.
        let state = |watcher: &Watcher| {
            let text = format!("{:#?}", watcher.watch);
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let (before, after) = (state(&before), state(&after));
        let differs = before.iter().zip(&after).find(|(one, other)| one != other);
        assert!(before == after, "{told}: {differs:?}");
    }
}

/// Six in a minute are six in a minute, and say nothing of ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_alarm_sees_no_folded_past_that_is_too_coarse_for_it() {
    for (period_s, evaluation_periods, told) in
        [(10, 2_000, &[][..]), (60, 330, &["User=ann ALARM", "* ALARM"][..])]
    {
        let app = app();
        for ten_seconds in 0..6 {
            push(&app, 60, events("ann", "hr", 10 * ten_seconds, 1));
        }
        let hours = 5 * 3_600;
        push(&app, hours, Input::Tick);
        drop(caught_up(&app));
        let moved = tiers::pass(&app.records, at(hours), &|| false).unwrap();
        assert_eq!(moved.folded, 6);
        let alarm = MetricAlarm { period_s, evaluation_periods, datapoints_to_alarm: Some(1), ..by("User") };
        alarms::put_alarm(&app.records, &alarm, &BTreeMap::new(), at(hours)).unwrap();
        push(&app, hours + 1, Input::Tick);
        drop(caught_up(&app));
        let alarming: Vec<String> = states(&app).into_iter().filter(|told| told.ends_with("ALARM")).collect();
        assert_eq!(alarming, told, "periods of {period_s} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_counts_the_same_wherever_the_watcher_is_killed() {
    let app = app();
    alarms::put_alarm(&app.records, &by("User"), &BTreeMap::new(), at(0)).unwrap();
    push(&app, 1, Input::Tick);
    push(&app, 2, events("ann", "hr", 2, 6));
    for second in 3..9 {
        // Between two ticks, each step with a kill behind it.
        push(&app, second, events("ann", "hr", second, 2));
        let watcher = caught_up(&app);
        let incident = watcher.watch.incidents().next().unwrap();
        let count = 6.0 + 2.0 * (second - 2) as f64;
        assert_eq!((incident.count, incident.last_second), (count, BASE_S + second));
        let read = incidents::find(&app.records, &incident.id).unwrap().unwrap();
        assert_eq!(read.count, count, "those who list it see it, too");
    }
    push(&app, 9, Input::Tick);
    let watcher = caught_up(&app);
    let incident = watcher.watch.incidents().next().unwrap();
    assert_eq!(incident.news.points, 12);
    assert!(incidents::count(&**app.records.store(), &incident.id).unwrap().is_none(), "it is in the whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_the_time_of_a_clock_that_was_ahead() {
    let app = app();
    let hour = 3_600;
    alarms::put_alarm(
        &app.records,
        &MetricAlarm { updated: at(hour), ..by("User") },
        &BTreeMap::new(),
        at(hour),
    )
    .unwrap();
    push(&app, hour, Input::Tick);
    push(&app, hour, events("ann", "hr", hour - 700, 6));
    let mut watcher = caught_up(&app);
    let line = |kind| DigestLine {
        kind,
        alarm: "denied".to_owned(),
        attributes: Vec::new(),
        threshold: None,
        value: 1.0,
        incident: String::new(),
        at: at(hour),
    };
    let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:pager");
    for _ in 0..30 {
        watcher.budgets.take(&app.records, at(hour), &topic, line(MessageKind::First)).unwrap();
    }
    watcher.budgets.due(&app.records, at(hour)).unwrap();
    watcher.budgets.take(&app.records, at(hour), &topic, line(MessageKind::End)).unwrap();
    let mut change = Write::new();
    for (due, id) in [(hour - 1, "now"), (hour + 40, "retry")] {
        change.put(Space::Outbox, topics::outbox_key(&Endpoint::Email(String::new()), at(due), id), []);
    }
    app.records.store().commit(change, Durability::Process).unwrap();

    push(&app, 100, Input::Tick);
    while watcher.step().unwrap() {}
    let incident = watcher.watch.incidents().next().unwrap();
    assert_eq!((incident.started, incident.told_at), (at(100), Some(at(100))));
    let (alarm, runtime) = watcher.watch.alarms().next().unwrap();
    assert_eq!((alarm.updated, runtime.state_transitioned), (at(100), at(100)));
    let waiting = watcher.budgets.due(&app.records, at(100 + 300)).unwrap();
    assert_eq!(waiting.len(), 1, "a digest waits five minutes, not an hour more");
    let outbox: Vec<_> = [(100, "now"), (140, "retry")]
        .map(|(due, id)| {
            String::from_utf8_lossy(&topics::outbox_key(&Endpoint::Email(String::new()), at(due), id))
                .into_owned()
        })
        .to_vec();
    assert_eq!(keys(&app, Space::Outbox), outbox);
    // What happened when the clock was ahead lies ahead now; once its window is over, so is the incident.
    for second in 101..4_000 {
        push(&app, second, Input::Tick);
    }
    while watcher.step().unwrap() {}
    assert_eq!(watcher.watch.open_incidents(), 0);
}
