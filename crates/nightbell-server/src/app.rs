/*!
[`App`]: everything a request or a loop may use. `wiring` makes it; nothing here starts or stops anything.
*/

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use nightbell_core::time::Timestamp;
use nightbell_deliver::{Channel, Origin, Web};
use nightbell_store::{Journal, Position};
use nightbell_winevt::DialectReader;
use tokio::sync::{Notify, Semaphore, watch};

use crate::catalog::Records;
use crate::credentials::AccessKey;
use crate::functions::Functions;
use crate::health::Health;
use crate::installation::Installation;
use crate::keys::Keys;
use crate::manage::buckets::Buckets;
use crate::manage::filters::Compiled;
use crate::manage::subscriptions::Subscriptions;
use crate::manage::topics::{Lanes, Links};
use crate::run::Stopping;
use crate::search::Pool;
use crate::search::lookup::Owners;
use crate::search::queries::Queries;
use crate::search::shelves::Shelves;
use crate::signing::Signing;
use crate::streams::buffers::Buffers;
use crate::streams::delivery::Ways;
use crate::tail::TailRoom;
use crate::telemetry::Telemetry;

/// Everything a request or a loop may use.
pub(crate) struct App {
    /// 12 digits.
    pub(crate) account: String,
    /// Base of links in messages.
    pub(crate) public_url: String,
    /// The root key, which may do everything.
    pub(crate) key: AccessKey,
    /// The keys of users and of sessions of roles.
    pub(crate) keys: Keys,
    /// The folder, the settings and the store of this machine; `None` for loops that are tested over a store in memory.
    pub(crate) installation: Option<Installation>,
    /// The events.
    pub(crate) journal: Arc<dyn Journal>,
    /// Everything configured.
    pub(crate) records: Records,
    /// Filters, compiled.
    pub(crate) compiled: Compiled,
    /// Reads fields of any dialect.
    pub(crate) reader: DialectReader,
    /// Position up to which events are matched.
    pub(crate) matched: watch::Sender<Position>,
    /// Position up to which events are handed to subscriptions.
    pub(crate) subscribed: watch::Sender<Position>,
    /// Subscription filters, compiled.
    pub(crate) subscriptions: Subscriptions,
    /// The objects of buckets.
    pub(crate) buckets: Buckets,
    /// What waits for delivery streams.
    pub(crate) buffers: Buffers,
    /// Where delivery streams lead.
    pub(crate) ways: Ways,
    /// Position up to which data points are judged.
    pub(crate) judged: watch::Sender<Position>,
    /// Since when record numbers are followed, as the watcher has saved it; `None` while no alarm asks for gaps. The matcher
    /// reads them only then, and under this name.
    pub(crate) records_followed: watch::Sender<Option<Timestamp>>,
    /// Rung when something was put into the outbox.
    pub(crate) outbox_bell: Notify,
    /// Rung when something is to be done with a stack.
    pub(crate) stacks_bell: Notify,
    /// How much waits in the outbox.
    pub(crate) lanes: Lanes,
    /// How mails leave.
    pub(crate) channel: Channel,
    /// How messages leave to web endpoints.
    pub(crate) web: Web,
    /// What signs messages to programs.
    pub(crate) signing: Signing,
    /// Who messages come from.
    pub(crate) origin: Origin,
    /// Where stored events are.
    pub(crate) shelves: Shelves,
    /// The groups whose events mails quote.
    pub(crate) owners: Owners,
    /// The threads that read stored events for searches.
    pub(crate) search_pool: Pool,
    /// Queries that run and have run.
    pub(crate) queries: Queries,
    /// Room for results of queries that are made ready; more wait.
    pub(crate) results: Semaphore,
    /// Room for pages of events that are gathered; more wait.
    pub(crate) pages: Semaphore,
    /// Room for what computes long over stored data; more wait.
    pub(crate) studies: Semaphore,
    /// How long events wait in the journal before they are archived, in milliseconds.
    pub(crate) archive_after_ms: i64,
    /// Room for live tails.
    pub(crate) tails: TailRoom,
    /// The topic that is told the archive's head once a day, by its ARN.
    pub(crate) archive_head_topic: Option<String>,
    /// Told `true` when the server stops: what takes long looks at it.
    pub(crate) stopping: Stopping,
    /// How the loops are.
    pub(crate) health: Health,
    /// Counters.
    pub(crate) telemetry: Telemetry,
    /// Whether everything may be emptied by request.
    pub(crate) allow_reset: bool,
    /// Contributors that one alarm holds at once.
    pub(crate) contributors_max: usize,
    /// What runs functions.
    pub(crate) functions: Functions,
    /// How often it was.
    pub(crate) emptied: AtomicU64,
}

impl App {
    /// What is wrong: events are not judged, or none are taken.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<String> {
        let refusal = || self.installation.as_ref()?.refusal();
        self.health.trouble(now).or_else(refusal)
    }

    /// Where links in messages point to.
    pub(crate) fn links(&self) -> Links<'_> {
        Links { public_url: &self.public_url }
    }
}
