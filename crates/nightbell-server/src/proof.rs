/*!
Whether the archive is what its chain says: `/_nightbell/verify`, asked by `nightbell verify`, which also looks by itself
where no server runs.

No step of the archive is taken meanwhile; events wait in the journal. Whoever closes the connection ends it, and so does a
server that stops.
*/

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nightbell_store::StoreError;
use nightbell_store::archive::{Archive, Depth, Finding, Findings, Fingerprint, Head, Progress};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::warn;

use crate::app::App;
use crate::lines::{Gone, Lines};

/// How often it is told how far the work is.
const EVERY: Duration = Duration::from_millis(250);

/// What is to be proved.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// The hash of a block, noted elsewhere: 64 hexadecimal digits.
    pub(crate) head: Option<String>,
    /// Whether the events in the files are looked at, too.
    #[serde(default)]
    pub(crate) deep: bool,
    /// Whether only the head is asked for.
    #[serde(default)]
    pub(crate) only_head: bool,
}

/// A line of the answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerifyLine {
    /// It goes on: blocks and files looked at, and all that are known of.
    Progress(u64, u64),
    /// The last line.
    Answer(Box<Verdict>),
    /// The last line, where there is no answer: why.
    Refused(String),
}

/// What was found. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// Blocks of the chain.
    pub(crate) blocks: u64,
    /// The hash of the last one.
    pub(crate) head: String,
    /// When it was made.
    pub(crate) time: i64,
    /// The position of the journal up to which it is archived.
    pub(crate) archived: u64,
    /// Files looked at.
    pub(crate) files: u64,
    /// Events in them.
    pub(crate) events: u64,
    /// Blocks of the journal that could not be read and are not in the archive.
    pub(crate) left_out: u64,
    /// Whether nothing is wrong.
    pub(crate) sound: bool,
    /// The first block that is wrong or vouches for something wrong.
    pub(crate) first_bad_block: Option<u64>,
    /// What is wrong.
    pub(crate) findings: Vec<Wrong>,
    /// How much more is wrong.
    pub(crate) untold: u64,
}

/// One thing that is not as the chain says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Wrong {
    /// The block that is wrong or vouches for it.
    pub(crate) block: Option<u64>,
    /// The document or file.
    pub(crate) path: String,
    /// `changed`, `removed` or `inserted`.
    pub(crate) trouble: String,
    /// What was seen.
    pub(crate) detail: String,
}

/// Answers a request.
pub(crate) fn answer(app: &Arc<App>, body: &[u8]) -> Response {
    let refuse = |why: String| (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response();
    let request: VerifyRequest = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return refuse(format!("the request to verify is not right: {error}")),
    };
    if let Err(why) = noted(&request) {
        return refuse(why);
    }
    let (app, runtime) = (Arc::clone(app), Handle::current());
    Lines::answer(async move |lines| {
        // Hashing takes long, and so may waiting for the turn.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = app.shelves.turn();
            runtime.block_on(Box::pin(tell(&app, &request, &lines)))
        });
        if let Err(failure) = done.await {
            warn!(error = %failure, "a verification ended badly");
        }
    })
}

/// Says how far it is and what came of it, unless whoever asked leaves or the server stops.
async fn tell(app: &App, request: &VerifyRequest, lines: &Lines) {
    let (sender, progress) = watch::channel((0, 0));
    let mut stopping = app.stopping.clone();
    let mut step = |done: Progress| _ = sender.send_replace((done.done, done.total));
    let done = tokio::select! {
        verdict = judge(app.shelves.archive(), request, &mut step) => verdict.map_err(|error| error.to_string()),
        _ = stopping.wait_for(|stops| *stops) => Err("the server is stopping".to_owned()),
        Gone = told(progress, lines) => return,
    };
    let last = done.map_or_else(VerifyLine::Refused, |verdict| VerifyLine::Answer(Box::new(verdict)));
    let _ = lines.say(&last).await; // nobody may be there to hear it
}

/// Says how far it is, until nobody listens.
async fn told(progress: watch::Receiver<(u64, u64)>, lines: &Lines) -> Gone {
    let mut interval = tokio::time::interval(EVERY);
    loop {
        interval.tick().await;
        let (done, total) = *progress.borrow();
        if let Err(gone) = lines.say(&VerifyLine::Progress(done, total)).await {
            return gone;
        }
    }
}

/// Compares the archive with its chain.
///
/// # Errors
///
/// What could not be read; what is wrong is in the verdict.
pub(crate) async fn judge(
    archive: &Archive,
    request: &VerifyRequest,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verdict, StoreError> {
    if request.only_head {
        return Ok(Verdict { sound: true, ..Verdict::at(&archive.head()?) });
    }
    let depth = if request.deep { Depth::Events } else { Depth::Files };
    let noted = noted(request).unwrap_or_default();
    Ok(Verdict::of(archive.verify(noted, depth, progress).await?))
}

/// The hash that was noted; an error says how one is written.
pub(crate) fn noted(request: &VerifyRequest) -> Result<Option<Fingerprint>, String> {
    let Some(text) = &request.head else { return Ok(None) };
    let wrong = || format!("head: {text:?} is not a hash of 64 hexadecimal digits");
    Fingerprint::parse(text).map(Some).ok_or_else(wrong)
}

impl Verdict {
    fn at(head: &Head) -> Self {
        Self {
            blocks: head.next,
            head: head.hash.to_string(),
            time: head.time.as_millis(),
            archived: head.archived.number(),
            ..Self::default()
        }
    }

    fn of(found: Findings) -> Self {
        let (sound, first_bad_block) = (found.is_sound(), found.first_bad_block());
        let wrong = |finding: Finding| Wrong {
            block: finding.block,
            path: finding.path,
            trouble: finding.trouble.name().to_owned(),
            detail: finding.detail,
        };
        Self {
            files: found.files,
            events: found.events,
            left_out: found.left_out,
            sound,
            first_bad_block,
            findings: found.findings.into_iter().map(wrong).collect(),
            untold: found.untold,
            ..Self::at(&found.head)
        }
    }
}
