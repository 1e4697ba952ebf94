/*!
One process of a function, and the invocations it serves one after the other: handing out, waiting, timeout, memory, and what
is written about each into the log.

The words are AWS's ("Lambda function logs", "Understanding and visualizing Lambda errors", AWS Lambda developer guide).
*/

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use nightbell_core::event::Group;
use nightbell_core::time::Timestamp;
use tempfile::TempDir;
use tracing::info;
use uuid::Uuid;

use super::ground::{Ground, Started};
use super::keys::Lent;
use super::logs::{Log, Output};
use super::memory::resident_bytes;
use super::process::{Process, end_of};
use super::runtime_api::{ANSWER_BYTES_MAX, Desk, Event, Word, description};
use super::unpack::UnpackError;
use crate::app::App;
use crate::clock::{self, Stopwatch};
use crate::manage::functions::{self, Function};

/// How long a process may take until it asks for its first event.
pub(crate) const INIT_TIME_MAX: Duration = Duration::from_secs(60);
/// How often memory is looked at while a function works.
const MEMORY_LOOK: Duration = Duration::from_millis(100);

/// What is invoked.
pub(crate) struct Invocation {
    /// Its id; the same for every attempt.
    pub(crate) id: String,
    /// The event, as JSON.
    pub(crate) payload: Bytes,
    /// What a client told beside it, as JSON.
    pub(crate) client_context: Option<String>,
}

/// What came of an invocation.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the function gave, or the description of its error.
    pub(crate) payload: Bytes,
    /// Whether it failed.
    pub(crate) failed: bool,
    /// The last of its log.
    pub(crate) log_tail: Vec<u8>,
}

/// How the waiting for an answer ended.
enum End {
    Word(Word),
    Exit,
    Timeout,
    Memory,
}

/// A process that serves invocations.
pub(super) struct Instance {
    /// The revision of the function that it runs.
    pub(super) revision: String,
    /// Since when it waits.
    pub(super) idle_since: Stopwatch,
    function: Function,
    arn: String,
    own_levels: usize,
    process: Process,
    desk: Desk,
    log: Log,
    output: Output,
    /// What it has said before its first event, where it failed.
    init: Init,
    peak_bytes: u64,
    _sockets: TempDir,
    _key: Lent,
}

/// How the start of a process went; told with its first invocation.
enum Init {
    Told,
    Took(Duration),
    Failed { payload: Bytes, kind: String, took: Duration },
}

impl Instance {
    /// Starts a process of `function` and waits until it is ready or has failed.
    pub(super) async fn start(app: &Arc<App>, ground: &Ground, function: &Function) -> Result<Self> {
        unpacked(app, ground, function).await?;
        let stream = stream_name(&function.version, clock::now());
        let group = Group { region: function.region.clone(), name: function.log_group() };
        let log = Log::new(app, group, stream.clone());
        let output = Output::new(log.clone()).context("no pipe")?;
        let key = super::credentials(app, function);
        let environment = environment(function, &key, &stream);
        let took = Stopwatch::start();
        let Started { process, door, sockets } =
            ground.start(function, environment, (output.end()?, output.end()?)).await?;
        let mut instance = Self {
            revision: function.revision.clone(),
            idle_since: Stopwatch::start(),
            arn: match function.version.as_str() {
                functions::LATEST => function.arn(&app.account),
                version => format!("{}:{version}", function.arn(&app.account)),
            },
            function: function.clone(),
            own_levels: ground.own_levels(),
            process,
            desk: Desk::open(door),
            log,
            output,
            init: Init::Told,
            peak_bytes: 0,
            _sockets: sockets,
            _key: key,
        };
        instance.init = instance.ready(took).await;
        Ok(instance)
    }

    /// Whether another invocation can be given to it.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.init, Init::Told) && !self.process.has_ended()
    }

    /// Waits for the first word.
    async fn ready(&mut self, took: Stopwatch) -> Init {
        let deadline = tokio::time::Instant::now() + INIT_TIME_MAX;
        let end = self.wait(deadline).await;
        let elapsed = took.elapsed();
        let failed = |kind: &str, payload| Init::Failed { payload, kind: kind.to_owned(), took: elapsed };
        match end {
            End::Word(Word::InitError(payload)) => failed("error", payload),
            End::Word(_) => Init::Took(elapsed),
            End::Timeout => {
                let text = format!("Init timed out after {:.2} seconds", INIT_TIME_MAX.as_secs_f64());
                failed("timeout", description("Sandbox.Timedout", &text))
            }
            End::Exit | End::Memory => {
                self.process.kill();
                let text = format!("Runtime exited with error: {}", end_of(self.process.ended().await));
                failed("error", description("Runtime.ExitError", &text))
            }
        }
    }

    /// Serves one invocation. Where the process did not come through it, [`Instance::is_good`] says so afterwards.
    pub(super) async fn serve(&mut self, invocation: Invocation) -> Outcome {
        self.log.begin();
        let id = invocation.id.clone();
        let init = match std::mem::replace(&mut self.init, Init::Told) {
            Init::Told => None,
            Init::Took(took) => Some(took),
            Init::Failed { payload, kind, took } => return self.not_started(&id, payload, &kind, took).await,
        };
        self.log.line(format!("START RequestId: {id} Version: {}", self.function.version)).await;
        let started = Stopwatch::start();
        let time_max = Duration::from_secs(u64::from(self.function.timeout_s));
        let deadline = tokio::time::Instant::now() + time_max;
        let event = Event {
            id: id.clone(),
            payload: invocation.payload,
            deadline: clock::now().plus_millis(i64::from(self.function.timeout_s) * 1_000),
            arn: self.arn.clone(),
            client_context: invocation.client_context,
        };
        self.desk.hand_out(event).await;
        let (payload, failed) = self.answer(&id, deadline).await;
        let took = started.elapsed();
        self.output.drained().await;
        self.log.line(format!("END RequestId: {id}")).await;
        self.log.line(self.report(&id, took, init)).await;
        self.idle_since = Stopwatch::start();
        Outcome { payload, failed, log_tail: self.log.tail() }
    }

    async fn not_started(&mut self, id: &str, payload: Bytes, kind: &str, took: Duration) -> Outcome {
        self.process.kill();
        let _ = self.process.ended().await;
        self.output.drained().await;
        let millis = took.as_secs_f64() * 1e3;
        let error = serde_json::from_slice::<serde_json::Value>(&payload).unwrap_or_default();
        let error =
            error.get("errorType").and_then(|text| text.as_str()).unwrap_or("Runtime.Unknown").to_owned();
        self.log
            .line(format!(
                "INIT_REPORT Init Duration: {millis:.2} ms\tPhase: init\tStatus: {kind}\tError Type: {error}"
            ))
            .await;
        self.log.line(format!("START RequestId: {id} Version: {}", self.function.version)).await;
        self.log.line(format!("END RequestId: {id}")).await;
        self.log.line(self.report(id, took, None)).await;
        Outcome { payload, failed: true, log_tail: self.log.tail() }
    }

    /// What the function gives, or the description of what went wrong.
    async fn answer(&mut self, id: &str, deadline: tokio::time::Instant) -> (Bytes, bool) {
        let mut answer = None;
        loop {
            let end = self.wait(deadline).await;
            match (end, answer) {
                // Done only when it asks again: until then it may still print.
                (End::Word(Word::Next), Some(answer)) => return answer,
                (End::Word(Word::Next), None) => answer = None,
                (End::Word(Word::Answer(body)), _) => answer = Some((body, false)),
                (End::Word(Word::Error(body) | Word::InitError(body)), _) => answer = Some((body, true)),
                (End::Word(Word::TooLarge), _) => {
                    let text = format!(
                        "Response payload size exceeded maximum allowed payload size ({ANSWER_BYTES_MAX} bytes)."
                    );
                    answer = Some((description("Function.ResponseSizeTooLarge", &text), true));
                }
                (End::Exit, Some(answer)) => return answer,
                (End::Timeout, answer) => {
                    self.process.kill();
                    let told = self.timed_out(id).await;
                    return answer.unwrap_or(told);
                }
                (End::Memory, _) => {
                    self.process.kill();
                    return self.exited(id).await;
                }
                (End::Exit, None) => return self.exited(id).await,
            }
        }
    }

    async fn timed_out(&self, id: &str) -> (Bytes, bool) {
        let _ = self.process.ended().await;
        self.output.drained().await;
        let text = format!("Task timed out after {:.2} seconds", f64::from(self.function.timeout_s));
        self.log.line(format!("{} {id} {text}", clock::now().iso())).await;
        (description("Sandbox.Timedout", &format!("RequestId: {id} Error: {text}")), true)
    }

    async fn exited(&self, id: &str) -> (Bytes, bool) {
        let end = end_of(self.process.ended().await);
        self.output.drained().await;
        let text = format!("RequestId: {id} Error: Runtime exited with error: {end}");
        self.log.line(format!("{text}\nRuntime.ExitError")).await;
        (description("Runtime.ExitError", &text), true)
    }

    /// Waits for a word, the process's end, the deadline or too much memory.
    async fn wait(&mut self, deadline: tokio::time::Instant) -> End {
        let bytes_max = u64::from(self.function.memory_mib) << 20;
        let mut look = tokio::time::interval(MEMORY_LOOK);
        loop {
            tokio::select! {
                biased;
                word = self.desk.word() => return word.map_or(End::Exit, End::Word),
                _ = self.process.ended() => return End::Exit,
                () = tokio::time::sleep_until(deadline) => return End::Timeout,
                _ = look.tick() => {
                    let bytes = resident_bytes(self.process.pid(), self.own_levels);
                    self.peak_bytes = self.peak_bytes.max(bytes);
                    if bytes > bytes_max {
                        return End::Memory;
                    }
                }
            }
        }
    }

    fn report(&self, id: &str, took: Duration, init: Option<Duration>) -> String {
        let millis = took.as_secs_f64() * 1e3;
        let mib = self.function.memory_mib;
        let used = (self.peak_bytes >> 20).min(u64::from(mib));
        let mut line = format!(
            "REPORT RequestId: {id}\tDuration: {millis:.2} ms\tBilled Duration: {:.0} ms\tMemory Size: {mib} MB\tMax Memory Used: {used} MB\t",
            millis.ceil()
        );
        if let Some(init) = init {
            line.push_str(&format!("Init Duration: {:.2} ms\t", init.as_secs_f64() * 1e3));
        }
        line
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        info!(function = self.arn, "a process of a function ends");
    }
}

/// Has the function's code unpacked.
async fn unpacked(app: &Arc<App>, ground: &Ground, function: &Function) -> Result<(), UnpackError> {
    let (records, function) = (app.records.clone(), function.clone());
    tokio::task::block_in_place(|| {
        ground.unpack(&function.code_name(), &|| functions::code(&records, &function).ok())
    })
}

/// The name of a process's log stream.
fn stream_name(version: &str, now: Timestamp) -> String {
    let day = now.iso().get(..10).unwrap_or_default().replace('-', "/");
    format!("{day}/[{version}]{}", Uuid::new_v4().simple())
}

/// The environment of a process, but for what depends on where it runs.
fn environment(function: &Function, lent: &Lent, stream: &str) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        variables.insert(name.to_owned(), value.to_owned());
    };
    set("LANG", "C.UTF-8");
    set("TZ", ":UTC");
    set("HOME", "/tmp");
    set("PYTHONUNBUFFERED", "1");
    set("PYTHONDONTWRITEBYTECODE", "1");
    set("AWS_EC2_METADATA_DISABLED", "true");
    set("AWS_DISABLE_HOST_PREFIX_INJECTION", "true");
    for (name, value) in &function.environment {
        set(name, value);
    }
    set("_HANDLER", &function.handler);
    set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", function.runtime));
    set("AWS_LAMBDA_FUNCTION_NAME", &function.name);
    set("AWS_LAMBDA_FUNCTION_VERSION", &function.version);
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mib.to_string());
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    set("AWS_LAMBDA_LOG_GROUP_NAME", &function.log_group());
    set("AWS_LAMBDA_LOG_STREAM_NAME", stream);
    set("AWS_REGION", &function.region);
    set("AWS_DEFAULT_REGION", &function.region);
    set("AWS_ACCESS_KEY_ID", &lent.key.key.access_key_id);
    set("AWS_SECRET_ACCESS_KEY", &lent.key.key.secret_access_key);
    set("AWS_SESSION_TOKEN", &lent.key.token);
    variables
}
