/*!
What `/metrics` shows, in Prometheus' text form. Labels are bounded: operations we serve, error codes we give.
*/

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// What can be found in record numbers; each is shown from the start, so that a first one is a rise.
const FINDINGS: [&str; 4] = ["gap", "filled", "restarted", "selective"];

/// Buckets of a delay, in seconds.
const SECONDS: [f64; 13] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0];

/// The server's own counters.
pub(crate) struct Telemetry {
    registry: Registry,
    /// Requests by operation and answer (`ok` or the error code).
    pub(crate) requests: IntCounterVec,
    /// Events stored.
    pub(crate) events: IntCounter,
    /// Bytes of message text stored.
    pub(crate) event_bytes: IntCounter,
    /// Events dropped by the rules of PutLogEvents, and told to the sender.
    pub(crate) rejected: IntCounter,
    /// Events matched against filters.
    pub(crate) matched: IntCounter,
    /// Data points folded.
    pub(crate) data: IntCounter,
    /// Blocks of the journal that could not be read and were passed over.
    pub(crate) broken_blocks: IntCounter,
    /// Files of the archive that a search could not read and passed over.
    pub(crate) broken_files: IntCounter,
    /// Events archived.
    pub(crate) archived: IntCounter,
    /// Events that wait in the journal to be archived, by the summaries of the last round.
    pub(crate) unarchived: IntGauge,
    /// Entries of the metrics stream that could not be judged and were passed over.
    pub(crate) broken_entries: IntCounter,
    /// Data points dropped because too many new series came in one hour.
    pub(crate) dropped_points: IntCounter,
    /// Stored data points by what became of them as they aged: folded, forgotten.
    pub(crate) moved_points: IntCounterVec,
    /// Alarm transitions by new state.
    pub(crate) transitions: IntCounterVec,
    /// Bytes of disk that store and archive take.
    disk_bytes: IntGauge,
    /// Bytes of disk from which on events are refused; 0 for no limit.
    disk_bytes_max: IntGauge,
    /// Incidents that are not over.
    pub(crate) open_incidents: IntGauge,
    /// Messages that went into a digest.
    pub(crate) gathered: IntCounter,
    /// What was found in record numbers: gap, filled, restarted, selective.
    pub(crate) findings: IntCounterVec,
    /// Event logs whose record numbers are followed.
    pub(crate) record_logs: IntGauge,
    /// Batches of event logs that were not followed because too many others are.
    pub(crate) unfollowed: IntGauge,
    /// Live tails under way.
    pub(crate) live_tails: IntGauge,
    /// Attempts at a delivery by outcome: sent, later, never, given_up, unsubscribed.
    pub(crate) deliveries: IntCounterVec,
    /// Invocations of functions by outcome: ok, failed, throttled, refused.
    pub(crate) invocations: IntCounterVec,
    /// Attempts at events of functions by outcome: done, later, given_up, gone.
    pub(crate) function_events: IntCounterVec,
    /// Subscription filters whose destination takes no more, so that they are behind.
    pub(crate) subscriptions_behind: IntGauge,
    /// Events that subscription filters matched and whose destination did not take them in time.
    pub(crate) subscription_losses: IntCounter,
    /// Seconds from the arrival of an alarm's last event to the acceptance of its message.
    pub(crate) event_to_accepted: Histogram,
}

impl Telemetry {
    /// Counters at zero, registered.
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let make = Making(&registry);
        Self {
            requests: make.by("requests_total", "Requests by operation and answer.", &["operation", "answer"]),
            events: make.counter("events_total", "Events stored."),
            event_bytes: make.counter("event_bytes_total", "Bytes of message text stored."),
            rejected: make.counter("events_rejected_total", "Events too old, too new or expired."),
            matched: make.counter("events_matched_total", "Events run through the filters of their group."),
            data: make.counter("data_points_total", "Data points folded from events."),
            broken_blocks: make.counter(
                "broken_blocks_total",
                "Damaged blocks of the journal that were passed over.",
            ),
            broken_files: make.counter(
                "archive_broken_files_total",
                "Damaged files of the archive that searches passed over.",
            ),
            archived: make.counter("archived_events_total", "Events written into the archive."),
            unarchived: make.gauge(
                "archive_waiting_events",
                "Events of the journal that are not archived yet, as of the last round.",
            ),
            broken_entries: make.counter("broken_entries_total", "Damaged entries of data that were passed over."),
            dropped_points: make.counter(
                "data_points_dropped_total",
                "Data points of too many new series in one hour.",
            ),
            moved_points: make.by_words(
                "data_points_aged_total",
                "Stored data points by what became of them.",
                "outcome",
                &["folded", "forgotten"],
            ),
            transitions: make.by("alarm_transitions_total", "Alarm transitions by new state.", &["state"]),
            disk_bytes: make.gauge("disk_bytes", "Bytes of disk that store and archive take."),
            disk_bytes_max: make
                .gauge("disk_bytes_max", "Bytes of disk from which on events are refused; 0 for no limit."),
            open_incidents: make.gauge("incidents_open", "Incidents that are not over."),
            gathered: make.counter("messages_gathered_total", "Messages that went into a digest."),
            findings: make.by_words(
                "record_findings_total",
                "What was found in the record numbers of event logs.",
                "finding",
                &FINDINGS,
            ),
            record_logs: make.gauge("record_logs", "Event logs whose record numbers are followed."),
            unfollowed: make
                .gauge("record_batches_unfollowed", "Batches of event logs that are beyond those followed."),
            live_tails: make.gauge("live_tails", "Live tails under way."),
            deliveries: make.by("deliveries_total", "Attempts at a delivery by outcome.", &["outcome"]),
            invocations: make.by_words(
                "function_invocations_total",
                "Invocations of functions by outcome.",
                "outcome",
                &["ok", "failed", "throttled", "refused"],
            ),
            function_events: make.by_words(
                "function_events_total",
                "Attempts at events that wait for functions, by outcome.",
                "outcome",
                &["done", "later", "given_up", "gone"],
            ),
            subscriptions_behind: make.subscriptions_behind(),
            subscription_losses: make.subscription_losses(),
            event_to_accepted: make.seconds(
                "event_to_accepted_seconds",
                "Seconds from the arrival of the last event behind an alarm to the acceptance of its message.",
            ),
            registry,
        }
    }

    /// Notes how much disk is used, of how much.
    pub(crate) fn disk(&self, bytes: u64, bytes_max: Option<u64>) {
        let held = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.disk_bytes.set(held(bytes));
        self.disk_bytes_max.set(held(bytes_max.unwrap_or(0)));
    }

    /// All counters as text.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if TextEncoder::new().encode(&self.registry.gather(), &mut text).is_err() {
            text.clear();
        }
        text
    }
}

/// Makes counters, each registered under its name with the program's in front.
struct Making<'r>(&'r Registry);

impl Making<'_> {
    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::new(format!("nightbell_{name}"), help).expect("the name is sound"))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.registered(IntGauge::new(format!("nightbell_{name}"), help).expect("the name is sound"))
    }

    fn subscriptions_behind(&self) -> IntGauge {
        let help = "Subscription filters that are behind because their destination takes no more.";
        self.gauge("subscriptions_behind", help)
    }

    fn subscription_losses(&self) -> IntCounter {
        let help = "Events that a subscription filter matched and its destination did not take in time.";
        self.counter("subscription_events_dropped_total", help)
    }

    fn by(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        let counters = IntCounterVec::new(Opts::new(format!("nightbell_{name}"), help), labels);
        self.registered(counters.expect("the name is sound"))
    }

    /// As [`Making::by`], with each of the words shown from the start.
    fn by_words(&self, name: &str, help: &str, label: &str, words: &[&str]) -> IntCounterVec {
        let counters = self.by(name, help, &[label]);
        for word in words {
            counters.with_label_values(&[word]);
        }
        counters
    }

    fn seconds(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(format!("nightbell_{name}"), help).buckets(SECONDS.to_vec());
        self.registered(Histogram::with_opts(options).expect("the buckets rise"))
    }

    fn registered<C: Collector + Clone + 'static>(&self, one: C) -> C {
        self.0.register(Box::new(one.clone())).expect("each name is registered once");
        one
    }
}
