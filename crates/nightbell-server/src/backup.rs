/*!
Backups: what is copied, and `/_nightbell/backup`, by which `nightbell backup` has a running server make one.

The answer is lines of JSON: how far it is, then what it came to. Whoever closes the connection ends the work, and so does a
server that stops; an earlier backup in the folder stays what it was.
*/

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::Archive;
use nightbell_store::backup::{Made, Progress, Source, make};
use nightbell_store::{Blobs, Catalog, Kind, LocalStore, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::app::App;
use crate::installation::archive_folder;
use crate::lines::Lines;
use crate::run::Stopping;

/// How often it is told how far the work is.
const EVERY: Duration = Duration::from_millis(250);
/// Longest path of a folder, in bytes.
const FOLDER_BYTES_MAX: usize = 4_096;
/// Files beside store and archive without which a data folder is not the same.
const SINGLE_FILES: [&str; 1] = ["root-key.toml"];

/// Where a backup is wanted.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRequest {
    /// A folder on the server's machine, with its whole path.
    pub(crate) folder: PathBuf,
}

/// A line of the answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// It goes on.
    Progress(Progress),
    /// The last line.
    Made(Box<Made>),
    /// The last line, where there is no backup: why.
    Refused(String),
}

/// Makes a backup of a data folder whose store is at hand. Blocks, and takes long.
pub(crate) fn run(
    data: &Path,
    store: &Arc<LocalStore>,
    archive: Option<&Archive>,
    blobs: &Blobs,
    folder: &Path,
    now: Timestamp,
    reach: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Made, StoreError> {
    let program = env!("CARGO_PKG_VERSION");
    let source =
        Source { data, store, archive, blobs: Some(blobs), single_files: &SINGLE_FILES, program, now };
    tokio::runtime::Handle::current().block_on(make(source, folder, reach))
}

/// The archive in the data folder of a server that does not run, if there is one.
pub(crate) fn archive(data: &Path, store: &Arc<LocalStore>) -> Result<Option<Archive>, StoreError> {
    let folder = archive_folder(data);
    let open = || Archive::open_folder(&folder, Arc::clone(store) as Arc<dyn Catalog>);
    folder.is_dir().then(open).transpose()
}

/// Answers a request that came at `now`.
pub(crate) async fn answer(app: &Arc<App>, body: &[u8], now: Timestamp) -> Response {
    let request: BackupRequest = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => {
            return refuse(StatusCode::BAD_REQUEST, &format!("the backup request is not right: {error}"));
        }
    };
    if !request.folder.is_absolute() || request.folder.as_os_str().len() > FOLDER_BYTES_MAX {
        let text = format!("folder: the whole path is needed, of at most {FOLDER_BYTES_MAX} bytes");
        return refuse(StatusCode::BAD_REQUEST, &text);
    }
    let (app, folder) = (Arc::clone(app), request.folder);
    Lines::answer(async move |lines| tell(Work::start(app, folder, now), &lines).await)
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// Says how far the work is and what came of it, unless whoever asked leaves: then it ends.
async fn tell(mut work: Work, lines: &Lines) {
    let last = loop {
        match tokio::time::timeout(EVERY, &mut work.task).await {
            Ok(Ok(Ok(made))) => break Line::Made(Box::new(made)),
            Ok(Ok(Err(why))) => break Line::Refused(why),
            Ok(Err(failure)) => {
                error!(error = %failure, "a backup ended badly");
                break Line::Refused("the backup ended badly; see the server's log".to_owned());
            }
            Err(_) => {
                let progress = *work.progress.borrow();
                if lines.say(&Line::Progress(progress)).await.is_err() {
                    return;
                }
            }
        }
    };
    let _ = lines.say(&last).await; // nobody may be there to hear it
}

/// A backup that is made; it ends when this is dropped.
struct Work {
    task: JoinHandle<Result<Made, String>>,
    progress: watch::Receiver<Progress>,
    left: Arc<AtomicBool>,
}

impl Work {
    fn start(app: Arc<App>, folder: PathBuf, now: Timestamp) -> Self {
        let left = Arc::new(AtomicBool::new(false));
        let (sender, progress) = watch::channel(Progress::default());
        let course = Course { progress: sender, left: Arc::clone(&left), stopping: app.stopping.clone() };
        let task = tokio::task::spawn_blocking(move || work(&app, &folder, now, &course));
        Self { task, progress, left }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
    }
}

/// How far a backup is, and whether it goes on.
struct Course {
    progress: watch::Sender<Progress>,
    left: Arc<AtomicBool>,
    stopping: Stopping,
}

impl Course {
    fn reach(&self, progress: Progress) -> bool {
        self.progress.send_replace(progress);
        !self.left.load(Ordering::Relaxed) && !*self.stopping.borrow()
    }
}

fn work(app: &App, folder: &Path, now: Timestamp, course: &Course) -> Result<Made, String> {
    let Some(installation) = &app.installation else { return Err("there is no data folder".to_owned()) };
    let Ok(_room) = installation.backups.try_acquire() else {
        return Err("another backup is made at this moment; try again when it is done".to_owned());
    };
    let (data, store) = (&installation.config.data, &installation.store);
    let mut reach = |progress: Progress| course.reach(progress);
    match run(data, store, Some(app.shelves.archive()), &app.buckets.blobs, folder, now, &mut reach) {
        Ok(made) => {
            info!(folder = %folder.display(), number = made.manifest.number, "a backup was made");
            Ok(made)
        }
        Err(failure) => {
            if failure.kind() != Kind::Conflict {
                error!(folder = %folder.display(), error = %failure, "a backup was not made");
            }
            Err(failure.to_string())
        }
    }
}
