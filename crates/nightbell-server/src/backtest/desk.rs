/*!
`/_nightbell/backtest`: takes a request, has it worked on where nobody else waits, and answers.

A client that asks for progress is answered by lines of JSON, each as it comes, unless the answer is there within a
second. Whoever closes the connection ends the work, and so does a server that stops.
*/

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use nightbell_core::time::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::{BacktestAnswer, BacktestRequest, Course, Ended, Line, Progress};
use crate::app::App;
use crate::auth::Principal;
use crate::aws::Cx;
use crate::manage::Refusal;

/// From then on it is told how far the work is.
const QUIET: Duration = Duration::from_secs(1);
/// How often.
const EVERY: Duration = Duration::from_millis(250);

/// Why there is no answer: what to say of it, and as what.
type Refused = (StatusCode, String);

/// Answers a request that came at `now`.
pub(crate) async fn answer(app: &Arc<App>, region: String, body: &[u8], now: Timestamp) -> Response {
    let request: BacktestRequest = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => {
            let text = format!("the backtest request is not right: {error}");
            return refuse((StatusCode::BAD_REQUEST, text));
        }
    };
    let told = request.progress;
    let cx = Cx { app: Arc::clone(app), region, now, caller: Principal::Root };
    let mut work = Work::start(cx, request);
    if !told {
        return match (&mut work.task).await {
            Ok(done) => done.map_or_else(refuse, |answer| json(&answer)),
            Err(failure) => refuse(broken(&failure)),
        };
    }
    match tokio::time::timeout(QUIET, work.done()).await {
        Ok(Ok(answer)) => lines(Body::from(line(&Line::Answer(Box::new(answer))))),
        Ok(Err(refused)) => refuse(refused),
        Err(_) => lines(Body::from_stream(stream::unfold(Some(work), next))),
    }
}

/// The next line, and what is left to be told.
async fn next(work: Option<Work>) -> Option<(Result<String, Infallible>, Option<Work>)> {
    let mut work = work?;
    match tokio::time::timeout(EVERY, work.done()).await {
        Ok(Ok(answer)) => Some((Ok(line(&Line::Answer(Box::new(answer)))), None)),
        Ok(Err((_, why))) => Some((Ok(line(&Line::Refused(why))), None)),
        Err(_) => {
            let progress = *work.progress.borrow();
            Some((Ok(line(&Line::Progress(progress))), Some(work)))
        }
    }
}

/// A backtest that runs; it ends when this is dropped.
struct Work {
    task: JoinHandle<Result<BacktestAnswer, Refused>>,
    progress: watch::Receiver<Progress>,
    left: Arc<AtomicBool>,
}

impl Work {
    fn start(cx: Cx, request: BacktestRequest) -> Self {
        let left = Arc::new(AtomicBool::new(false));
        let (sender, progress) = watch::channel(Progress::default());
        let course = Course::new(sender, Arc::clone(&left), cx.app.stopping.clone());
        let task = tokio::spawn(work(cx, request, course));
        Self { task, progress, left }
    }

    async fn done(&mut self) -> Result<BacktestAnswer, Refused> {
        (&mut self.task).await.unwrap_or_else(|failure| Err(broken(&failure)))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
    }
}

/// Waits for room and works.
async fn work(cx: Cx, request: BacktestRequest, course: Course) -> Result<BacktestAnswer, Refused> {
    let app = Arc::clone(&cx.app);
    let mut stopping = app.stopping.clone();
    let stopped = || (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping".to_owned());
    // Searches and backtests share the same room: neither may starve what comes in.
    let room = tokio::select! {
        room = app.studies.acquire() => room,
        _ = stopping.wait_for(|stops| *stops) => return Err(stopped()),
    };
    let Ok(_room) = room else { return Err(stopped()) };
    if !course.goes_on() {
        return Err(stopped());
    }
    let done = tokio::task::spawn_blocking(move || super::run(&cx, &request, &course)).await;
    match done {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Ended::Halted)) => Err(stopped()),
        Ok(Err(Ended::Refused(refusal))) => Err(refused(refusal)),
        Err(failure) => Err(broken(&failure)),
    }
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::Invalid(reason) | Refusal::Limit(reason) | Refusal::Conflict(reason) => {
            (StatusCode::BAD_REQUEST, reason)
        }
        Refusal::Alarm(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        Refusal::Missing(_) => (StatusCode::NOT_FOUND, "there is no alarm of this name".to_owned()),
        other => {
            warn!(error = ?other, "a backtest was interrupted");
            (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read now".to_owned())
        }
    }
}

fn broken(failure: &tokio::task::JoinError) -> Refused {
    warn!(error = %failure, "a backtest ended badly");
    (StatusCode::INTERNAL_SERVER_ERROR, "the backtest ended badly".to_owned())
}

fn refuse((status, why): Refused) -> Response {
    (status, format!("{why}\n")).into_response()
}

fn json(answer: &BacktestAnswer) -> Response {
    let body = serde_json::to_vec(answer).expect("answers are plain data");
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn lines(body: Body) -> Response {
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn line(line: &Line) -> String {
    let mut text = serde_json::to_string(line).expect("answers are plain data");
    text.push('\n');
    text
}
