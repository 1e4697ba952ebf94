/*!
`nightbell doctor`: whether everything an installation rests on is in order, and what to do where it is not.

Looks and changes nothing. In a running server ([`answer`]) it sees what the server sees: its settings, its limits, its user;
without one ([`stopped`]) it sees what one that is started with the same settings would. `machine` looks at folder, disk,
limits and port, `mail` at the mail server.
*/

mod machine;
mod mail;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use nightbell_core::time::{MINUTE_MS, Timestamp};
use nightbell_deliver::{Channel, Origin, Smtp};
use nightbell_store::LocalStore;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clock;
use crate::config::Config;
use crate::installation::{Installation, store_folder};
use crate::size;

pub(crate) use machine::refuse_other_owner;

/// How far the clock may be behind what is stored before somebody has turned it back.
const BACK_MS_MAX: i64 = MINUTE_MS;
/// Share of the disk limit from which on it is told, in percent.
const NEAR_PERCENT: u64 = 80;
/// Blocks that may wait for the matcher without a word.
const WAITING_BLOCKS_MAX: u64 = 1_000;

/// How one thing is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, and may not for long.
    Warn,
    /// Something does not work.
    Fail,
}

impl State {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What was found about one thing.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) name: String,
    /// How it is.
    pub(crate) state: State,
    /// What was seen.
    pub(crate) seen: String,
    /// What to do, where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) advice: Option<String>,
}

impl Check {
    fn ok(name: &str, seen: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Ok, seen: seen.into(), advice: None }
    }

    fn warn(name: &str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Warn, advice: Some(advice.into()), ..Self::ok(name, seen) }
    }

    fn fail(name: &str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Fail, advice: Some(advice.into()), ..Self::ok(name, seen) }
    }
}

/// What is asked of a running server.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoctorRequest {
    /// Who gets a mail to try the mail server with; nobody where there is none.
    #[serde(default)]
    pub(crate) send_test: Option<String>,
}

/// Answers a request with the checks of a running server.
pub(crate) async fn answer(app: &Arc<App>, body: &[u8]) -> Response {
    let request: DoctorRequest = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, format!("the request is not right: {error}\n")).into_response();
        }
    };
    let Some(installation) = &app.installation else {
        return (StatusCode::NOT_FOUND, "there is no data folder\n").into_response();
    };
    let mut checks = vec![Check::ok("server", format!("runs on {}", app.public_url))];
    let config = installation.config.clone();
    let machine = tokio::task::spawn_blocking(move || machine::checks(&config));
    checks.extend(machine.await.unwrap_or_default());
    checks.extend(limit(installation));
    checks.push(clock_of(clock::now(), newest_arrival(app), "the newest event that is stored"));
    checks.extend(health(app));
    checks.extend(mail::checks(&app.channel, &installation.config, request.send_test.as_deref()).await);
    let body = serde_json::to_vec(&checks).expect("answers are plain data");
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The checks of an installation whose server does not run. Blocks: reads the whole store.
pub(crate) fn stopped(config: &Config, send_test: Option<&str>) -> Vec<Check> {
    let mut checks = vec![Check::ok("server", "does not run")];
    checks.extend(machine::checks(config));
    checks.push(machine::port(config));
    let store = store_folder(&config.data);
    let newest = machine::newest_change(&store);
    checks.push(clock_of(clock::now(), newest, "the last change of the store"));
    checks.push(stored(config));
    let channel = config.smtp.clone().map(Smtp::new).transpose();
    match channel {
        Ok(smtp) => {
            let channel = smtp.map(Channel::Smtp);
            let looked = tokio::runtime::Handle::current().block_on(async {
                match &channel {
                    Some(channel) => mail::checks(channel, config, send_test).await,
                    None => vec![mail::no_server()],
                }
            });
            checks.extend(looked);
        }
        Err(error) => checks.push(Check::fail("mail", error.to_string(), "correct smtp and smtp_ca_file")),
    }
    checks
}

/// The store of a server that does not run, every file of it read.
fn stored(config: &Config) -> Check {
    let folder = store_folder(&config.data);
    if !folder.is_dir() {
        return Check::ok("store", "there is none yet");
    }
    match LocalStore::verify(&folder) {
        Ok(()) => Check::ok("store", "every file is what was written"),
        Err(error) => Check::fail("store", error.to_string(), "restore a backup into a new data folder"),
    }
}

/// How a running server is, in its own words.
fn health(app: &App) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(match app.trouble(clock::now()) {
        None => Check::ok("health", "events are taken and judged"),
        Some(trouble) => Check::fail(
            "health",
            trouble,
            "see the server's log; it goes on by itself once the cause is gone",
        ),
    });
    let (end, matched) = (app.journal.end().borrow().number(), app.matched.borrow().number());
    let waiting = end.saturating_sub(matched);
    let seen = format!("{waiting} blocks of events wait for the matcher");
    checks.push(match waiting {
        0..=WAITING_BLOCKS_MAX => Check::ok("lag", seen),
        _ => Check::warn(
            "lag",
            seen,
            "if it grows, filters need more processor than there is: see the book on matching",
        ),
    });
    let broken = app.telemetry.broken_blocks.get();
    if broken > 0 {
        let seen = format!("{broken} damaged blocks were passed over since the start");
        checks.push(Check::fail(
            "stored events",
            seen,
            "look at the disk, and restore a backup: see the log for positions",
        ));
    }
    checks.push(archive(app));
    checks.extend(functions(app));
    checks
}

/// How functions run, where they do.
fn functions(app: &App) -> Option<Check> {
    Some(match app.functions.told()? {
        Ok(seen) => Check::ok("functions", seen),
        Err(seen) => Check::warn(
            "functions",
            seen,
            "let the server's user make namespaces (unshare), or set functions = \"confined\" to run none without",
        ),
    })
}

/// How the archive is, as far as the server has met it.
fn archive(app: &App) -> Check {
    let waiting = app.telemetry.unarchived.get();
    let seen = format!("{waiting} events wait in the journal to be archived");
    match app.telemetry.broken_files.get() {
        0 => Check::ok("archive", seen),
        broken => {
            let seen = format!("{seen}; searches met {broken} damaged files");
            Check::fail(
                "archive",
                seen,
                "see the log for their names, look at the disk, and restore a backup",
            )
        }
    }
}

/// The arrival of the newest events in the journal.
fn newest_arrival(app: &App) -> Option<Timestamp> {
    let end = *app.journal.end().borrow();
    let last = nightbell_store::Position::new(end.number().checked_sub(1)?);
    app.journal.summaries(last, end, 1).ok()?.first().map(|summary| summary.arrival)
}

/// How much of the limit of the disk is used.
fn limit(installation: &Installation) -> Option<Check> {
    let bytes_max = installation.config.disk_bytes_max?;
    let bytes = installation.store.disk_bytes();
    let seen = format!("{} of {} are used (disk_bytes_max)", size::text(bytes), size::text(bytes_max));
    let advice = "raise disk_bytes_max, or keep events for fewer days (PutRetentionPolicy)";
    Some(match bytes.saturating_mul(100) / bytes_max.max(1) {
        0..NEAR_PERCENT => Check::ok("disk limit", seen),
        NEAR_PERCENT..100 => Check::warn("disk limit", seen, advice),
        _ => Check::fail("disk limit", format!("{seen}: new events are refused"), advice),
    })
}

/// Whether the clock stands where time has been already, or never was.
fn clock_of(now: Timestamp, newest: Option<Timestamp>, what: &str) -> Check {
    let advice = "set the clock and keep it right with NTP (chrony, systemd-timesyncd): alarms count by it";
    let seen = now.iso();
    if !(SANE_FROM..SANE_TO).contains(&now) {
        return Check::fail("clock", format!("{seen} cannot be"), advice);
    }
    match newest {
        Some(newest) if newest.since(now) > BACK_MS_MAX => Check::fail(
            "clock",
            format!("{seen} is before {what}, {}: it was turned back", newest.iso()),
            advice,
        ),
        _ => Check::ok("clock", seen),
    }
}

/// No version of this program ran before, and none will run after.
const SANE_FROM: Timestamp = Timestamp::from_seconds(1_767_225_600);
const SANE_TO: Timestamp = Timestamp::from_seconds(4_102_444_800);

/// The sender of mails, checked.
fn origin(config: &Config) -> Option<Origin> {
    Origin::new(&config.mail_from, None).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_turned_back_is_seen() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let state = |newest: i64| clock_of(now, Some(now.plus_millis(newest)), "it").state;
        assert_eq!(
            [state(-5_000), state(BACK_MS_MAX), state(BACK_MS_MAX + 1)],
            [State::Ok, State::Ok, State::Fail]
        );
        assert_eq!(clock_of(Timestamp::from_seconds(0), None, "it").state, State::Fail);
        assert_eq!(clock_of(now, None, "it").state, State::Ok);
    }
}
