/*!
The one wiring place: opens the store, makes the parts, starts the loops, and stops them in order.
*/

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};
use nightbell_deliver::{Channel, Mailbox, Origin, Smtp, Web};
use nightbell_store::{Catalog, Journal, LocalStore, Options, Position};
use nightbell_winevt::DialectReader;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tracing::{info, warn};

use crate::adoption;
use crate::app::App;
use crate::catalog::Records;
use crate::config::{ArchivePlace, Config};
use crate::credentials;
use crate::functions::Functions;
use crate::health::Health;
use crate::installation::{self, Installation};
use crate::keys::Keys;
use crate::manage::buckets::Buckets;
use crate::manage::filters::Compiled;
use crate::manage::subscriptions::Subscriptions;
use crate::manage::topics::Lanes;
use crate::run;
use crate::search::Pool;
use crate::search::lookup::Owners;
use crate::search::queries::Queries;
use crate::search::shelves::Shelves;
use crate::signing::Signing;
use crate::streams::buffers::Buffers;
use crate::streams::delivery::Ways;
use crate::tail::TailRoom;
use crate::telemetry::Telemetry;

/// Backtests and computations over stored data at one time: they must leave room for what comes in.
const STUDIES_MAX: usize = 2;
/// Pages of events that are gathered at one time; each holds a page for every thread that searches.
const PAGES_MAX: usize = 32;

/// Results of queries that are made ready at one time.
const RESULTS_MAX: usize = 2;

/// A server that listens.
pub(crate) struct Running {
    /// The parts.
    pub(crate) app: Arc<App>,
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    /// Whether the root key was made at this start.
    pub(crate) key_made: bool,
    store: Arc<LocalStore>,
    stop: watch::Sender<bool>,
    loops: run::Loops,
    server: tokio::task::JoinHandle<()>,
}

/// Opens the data folder and starts everything.
pub(crate) async fn start(config: &Config) -> Result<Running> {
    let store = open_store(config)?;
    let (key, key_made) = credentials::find_or_make(&config.data)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}; is another server running there?", config.listen))?;
    let address = listener.local_addr().context("a bound listener has an address")?;
    warn_of(config, address);
    let archive = adoption::open_archive(config, &store).await?;
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let channel = channel(config)?;
    let web = Web::new(config.web_trusted_pem.as_deref()).context("web_ca_file")?;
    let origin = origin(config, &public_url)?;
    let functions = tokio::task::block_in_place(|| Functions::start(config, address.port()))?;
    let (stop, stopping) = watch::channel(false);
    let records = Records::new(Arc::clone(&store) as Arc<dyn Catalog>);
    let keys = Keys::new();
    keys.load(&records, &config.account).context("cannot read the access keys")?;
    let app = Arc::new(App {
        account: config.account.clone(),
        public_url,
        key,
        keys,
        installation: Some(Installation::new(config.clone(), Arc::clone(&store))),
        journal: Arc::clone(&store) as Arc<dyn Journal>,
        records,
        compiled: Compiled::new(&config.account),
        reader: DialectReader,
        matched: watch::Sender::new(Position::default()),
        subscribed: watch::Sender::new(Position::default()),
        subscriptions: Subscriptions::default(),
        buckets: open_buckets(config)?,
        buffers: Buffers::default(),
        ways: Ways::new(config.streams.clone(), web.endpoints()),
        judged: watch::Sender::new(Position::default()),
        records_followed: watch::Sender::new(None),
        outbox_bell: Notify::new(),
        stacks_bell: Notify::new(),
        lanes: Lanes::default(),
        channel,
        web,
        signing: Signing::new(Some(&config.data)),
        origin,
        shelves: Shelves::new(archive),
        owners: Owners::default(),
        search_pool: Pool::start(&tokio::runtime::Handle::current())
            .context("the search threads cannot start")?,
        queries: Queries::default(),
        results: Semaphore::new(RESULTS_MAX),
        pages: Semaphore::new(PAGES_MAX),
        studies: Semaphore::new(STUDIES_MAX),
        tails: TailRoom::default(),
        archive_after_ms: config.archive_after_ms,
        archive_head_topic: config.archive_head_topic.clone(),
        stopping: stopping.clone(),
        health: Health::default(),
        telemetry: Telemetry::new(),
        allow_reset: config.allow_reset,
        contributors_max: config.contributors_max,
        functions,
        emptied: AtomicU64::new(0),
    });
    begin_buckets(&app);
    let loops = run::Loops::start(&app, &stopping)?;
    let server = tokio::spawn(crate::listen::serve(Arc::clone(&app), listener, stopping));
    Ok(Running { app, address, key_made, store, stop, loops, server })
}

/// Says what an operator should know of these settings.
fn warn_of(config: &Config, address: SocketAddr) {
    if config.allow_reset {
        warn!("POST /_nightbell/reset empties everything: allow_reset is on");
    }
    if !address.ip().is_loopback() {
        warn!(%address, "listening beyond this machine without TLS; put a TLS proxy in front");
    }
}

/// Who messages come from.
fn origin(config: &Config, public_url: &str) -> Result<Origin> {
    // The console has no pages yet, so messages carry no link to it.
    let origin = Origin::new(&config.mail_from, None).context("mail_from")?;
    origin.with_endpoint(public_url).context("public_url")
}

fn open_buckets(config: &Config) -> Result<Buckets> {
    let folder = installation::buckets_folder(&config.data);
    Buckets::open(&folder).with_context(|| format!("cannot open the buckets in {}", folder.display()))
}

/// Lets delivery streams find the buckets, and has contents removed that a killed server left, while everything goes on.
fn begin_buckets(app: &Arc<App>) {
    app.ways.belong_to(app);
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || match app.buckets.sweep(&app.records) {
        Ok(0) => {}
        Ok(removed) => info!(removed, "contents that no object names were removed"),
        Err(failure) => warn!(error = %failure, "contents that no object names could not be looked for"),
    });
}

/// Makes the data folder and opens the store in it, which counts buckets and an archive on the same disk.
fn open_store(config: &Config) -> Result<Arc<LocalStore>> {
    // Events and mails are for the owner's eyes only.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data)
        .with_context(|| format!("cannot make the data folder {}", config.data.display()))?;
    installation::refuse_half_restored(&config.data)?;
    let buckets = installation::buckets_folder(&config.data);
    let options = Options {
        disk_bytes_max: config.disk_bytes_max.unwrap_or(0),
        counted_beside: match &config.archive {
            ArchivePlace::Folder(folder) => vec![folder.clone(), buckets],
            ArchivePlace::Bucket(_) => vec![buckets],
        },
        ..Options::default()
    };
    let store = LocalStore::open(&installation::store_folder(&config.data), options)
        .with_context(|| format!("cannot open the store in {}", config.data.display()))?;
    // The store is ours now, so what a server that was killed has told of itself is over.
    let _ = std::fs::remove_file(crate::command::endpoint_file(&config.data));
    Ok(Arc::new(store))
}

fn channel(config: &Config) -> Result<Channel> {
    match &config.smtp {
        Some(smtp) => {
            info!(server = smtp.host, port = smtp.port, "mails go to the mail server");
            Ok(Channel::Smtp(Smtp::new(smtp.clone()).context("smtp")?))
        }
        None => {
            let folder = config.data.join("mailbox");
            warn!(folder = %folder.display(), "no mail server is configured (smtp): mails are kept in a folder");
            Ok(Channel::Mailbox(Mailbox::open(&folder).context("the mailbox folder cannot be made")?))
        }
    }
}

impl Running {
    /// Stops: no new requests, running ones end, the loops finish their step, the store is flushed.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        self.server.await.context("the listener ended badly")?;
        tokio::task::spawn_blocking(move || self.loops.join()).await.context("the loops ended badly")??;
        let app = self.app;
        tokio::task::spawn_blocking(move || app.search_pool.close())
            .await
            .context("the searches ended badly")?;
        tokio::task::spawn_blocking(move || self.store.close()).await.context("the store ended badly")?;
        info!("stopped");
        Ok(())
    }
}
