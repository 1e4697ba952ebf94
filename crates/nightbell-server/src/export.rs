/*!
`/_nightbell/export`: the stored events of a group in order of time, line by line, as `nightbell export` asks for them.

Read page by page through [`crate::search`], so memory is a page however much is stored; the next page is read when the
client has taken the last. Formats are the client's.
*/

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nightbell_core::event::Group;
use nightbell_core::pattern::{Caller, Pattern};
use nightbell_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::app::App;
use crate::catalog::Failure;
use crate::lines::{Gone, Lines, add_line};
use crate::manage::{Refusal, groups};
use crate::search::page::{Found, Page, Wanted};
use crate::search::{Area, LeftOut, Order, Place, Progress, Search, Streams};

/// Events of a page.
const PAGE_EVENTS_MAX: usize = 50_000;
/// Bytes of a page's messages.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// Bytes that are handed to the client at once, about.
const PIECE_BYTES: usize = 256 << 10;
/// How often it is told how far a page is.
const EVERY: Duration = Duration::from_millis(250);

/// What is to be exported.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportRequest {
    /// The log group.
    pub(crate) group: String,
    /// The first event time, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) from: Option<i64>,
    /// The event time to stop before.
    #[serde(default)]
    pub(crate) to: Option<i64>,
    /// The filter pattern that events match.
    #[serde(default)]
    pub(crate) filter: Option<String>,
}

/// A line of the answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportLine<'a> {
    /// The next event.
    #[serde(borrow)]
    Event(ExportedEvent<'a>),
    /// It goes on: how many events were looked at.
    Progress(u64),
    /// The last line.
    End(Whole),
    /// The last line, where it ends early: why.
    Refused(String),
}

/// An exported event. Times are in milliseconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ExportedEvent<'a> {
    /// When it happened.
    pub(crate) time: i64,
    /// When it arrived.
    pub(crate) arrival: i64,
    /// The block of the journal it came in.
    pub(crate) block: u64,
    /// Its number in the block.
    pub(crate) number: u32,
    /// Its log stream.
    #[serde(borrow)]
    pub(crate) stream: Cow<'a, str>,
    /// Its message.
    #[serde(borrow)]
    pub(crate) message: Cow<'a, str>,
}

/// What a whole export came to.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Whole {
    /// Events handed over.
    pub(crate) events: u64,
    /// Damaged files of the archive and blocks of the journal that were left out: their events are missing.
    pub(crate) damaged: u64,
}

/// Answers a request that came at `now`.
pub(crate) fn answer(app: &Arc<App>, region: &str, body: &[u8], now: Timestamp) -> Response {
    match Exporting::of(app, region, body, now) {
        Ok(exporting) => Lines::answer(async move |lines| exporting.send(&lines).await),
        Err((status, why)) => (status, format!("{why}\n")).into_response(),
    }
}

/// An export under way.
struct Exporting {
    app: Arc<App>,
    area: Area,
    pattern: Option<Pattern>,
    from: i64,
    to: i64,
    left_out: LeftOut,
}

/// Why it ended before its end.
enum Ended {
    Gone,
    Failed(String),
}

impl From<Gone> for Ended {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        warn!(error = %failure, "an export was interrupted");
        Self::Failed(format!("the stored events cannot be read: {failure}"))
    }
}

impl Exporting {
    fn of(app: &Arc<App>, region: &str, body: &[u8], now: Timestamp) -> Result<Self, (StatusCode, String)> {
        let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
        let request: ExportRequest = serde_json::from_slice(body)
            .map_err(|error| wrong(format!("the request to export is not right: {error}")))?;
        let pattern = request.filter.as_deref().map(Pattern::parse).transpose();
        let pattern =
            pattern.map_err(|error| wrong(format!("filter: {}", error.message(Caller::LogEvents))))?;
        let group = Group { region: region.to_owned(), name: request.group };
        let owner = groups::find(&app.records, &group).map_err(|refusal| match refusal {
            Refusal::Missing(_) => {
                (StatusCode::NOT_FOUND, format!("there is no log group {:?} in {region}", group.name))
            }
            other => {
                warn!(error = ?other, "an export cannot begin");
                (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read now".to_owned())
            }
        })?;
        Ok(Self {
            app: Arc::clone(app),
            area: Area::of(&owner, Streams::All(owner.since), now),
            pattern,
            from: request.from.unwrap_or(0),
            to: request.to.map_or(i64::MAX, |to| to.saturating_sub(1)),
            left_out: LeftOut::default(),
        })
    }

    async fn send(self, lines: &Lines) {
        let last = match Box::pin(self.send_pages(lines)).await {
            Ok(events) => ExportLine::End(Whole { events, damaged: self.left_out.count() }),
            Err(Ended::Gone) => return,
            Err(Ended::Failed(why)) => ExportLine::Refused(why),
        };
        let _ = lines.say(&last).await; // nobody may be there to hear it
    }

    async fn send_pages(&self, lines: &Lines) -> Result<u64, Ended> {
        let (mut beyond, mut events) = (None, 0);
        loop {
            let (page, finished) = self.page(beyond, lines).await?;
            beyond = page.last().map(|(place, _)| *place).or(beyond);
            events += page.len() as u64;
            send_page(page, lines).await?;
            if finished {
                return Ok(events);
            }
        }
    }

    /// The events after `beyond`, and whether they are the last.
    async fn page(&self, beyond: Option<Place>, lines: &Lines) -> Result<(Vec<(Place, Found)>, bool), Ended> {
        let stopping = || Ended::Failed("the server is stopping".to_owned());
        let Ok(_turn) = self.app.pages.acquire().await else { return Err(stopping()) };
        let progress: Arc<Progress> = Arc::default();
        let wanted = Wanted {
            pattern: self.pattern.clone(),
            from: self.from,
            to: self.to,
            beyond,
            backwards: false,
            events_max: PAGE_EVENTS_MAX,
            bytes_max: PAGE_BYTES_MAX,
        };
        let (app, area, seen) = (Arc::clone(&self.app), self.area.clone(), Arc::clone(&progress));
        let planned = tokio::task::spawn_blocking(move || {
            Search::plan(&app, vec![area], Order::Oldest, Page::new(wanted), seen)
        });
        let badly = |_| Ended::Failed("the search ended badly".to_owned());
        let search = planned.await.map_err(badly)??;
        let ended = tokio::select! {
            ended = search.run(None) => ended?,
            gone = told(&progress, lines) => return Err(gone.into()),
        };
        if let Some(limit) = ended.limit {
            return Err(Ended::Failed(limit));
        }
        if ended.halted_at.is_some() {
            return Err(stopping());
        }
        self.left_out.add(&progress.left_out);
        let gathered = search.taker().take_gathered();
        Ok((gathered.events.into_iter().collect(), gathered.bound.is_none()))
    }
}

/// Hands a page to the client.
async fn send_page(page: Vec<(Place, Found)>, lines: &Lines) -> Result<(), Gone> {
    let mut piece = Vec::new();
    for ((time, block, number), found) in page {
        let event = ExportedEvent {
            time,
            arrival: found.arrival.as_millis(),
            block,
            number,
            stream: found.stream.into(),
            message: found.message.into(),
        };
        add_line(&mut piece, &ExportLine::Event(event));
        if piece.len() >= PIECE_BYTES {
            lines.send(std::mem::take(&mut piece)).await?;
        }
    }
    if piece.is_empty() { Ok(()) } else { lines.send(piece).await }
}

/// Says how many events a page has looked at, until nobody listens.
async fn told(progress: &Progress, lines: &Lines) -> Gone {
    let mut interval = tokio::time::interval(EVERY);
    interval.tick().await;
    loop {
        interval.tick().await;
        let seen = progress.events.load(Ordering::Relaxed);
        if let Err(gone) = lines.say(&ExportLine::Progress(seen)).await {
            return gone;
        }
    }
}
