/*!
Events in journal and archive, for tests of whoever reads them: a server's parts in memory and a folder.
*/

use std::path::Path;
use std::sync::Arc;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::time::Timestamp;
use nightbell_store::archive::Depth;
use nightbell_store::{Durability, Position, Write};
use nightbell_winevt::DialectReader;
use tempfile::TempDir;

use super::page::{Page, Wanted};
use super::{Area, Order, Pool, Search, Streams};
use crate::app::App;
use crate::manage::groups::{self, GroupOptions};
use crate::run::app_in;

pub(crate) const REGION: &str = "site";

/// Seconds behind a full day.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_767_225_600 + second)
}

pub(crate) fn group(name: &str) -> Group {
    Group { region: REGION.to_owned(), name: name.to_owned() }
}

/// What is stored; for tests on a runtime of several threads.
pub(crate) struct World {
    pub(crate) app: Arc<App>,
    folder: TempDir,
}

impl World {
    /// Nothing but these groups.
    pub(crate) fn with_groups(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pool = Pool::start(&tokio::runtime::Handle::current()).unwrap();
        let world = Self { app: app_in(folder.path(), pool), folder };
        names.iter().for_each(|name| world.make(name));
        world
    }

    /// Makes a group, anew where there was one.
    pub(crate) fn make(&self, name: &str) {
        let _ = groups::remove(&self.app.records, &group(name));
        let end = *self.app.journal.end().borrow();
        let made = groups::create(&self.app.records, &group(name), GroupOptions::default(), at(0), end);
        assert!(made.is_ok());
    }

    /// The folder of the archive.
    pub(crate) fn archive_folder(&self) -> std::path::PathBuf {
        Path::join(self.folder.path(), "archive")
    }

    /// A batch of events, each with its time in milliseconds behind a full day; matched as soon as it is there.
    pub(crate) async fn append(
        &self,
        name: &str,
        stream: &str,
        arrival_s: i64,
        events: Vec<(i64, String)>,
    ) -> Position {
        let event = |(ms, message)| Event { time: at(0).plus_millis(ms), message };
        let batch = Batch {
            group: group(name),
            stream: stream.to_owned(),
            arrival: at(arrival_s),
            events: events.into_iter().map(event).collect(),
        };
        let position = self.app.journal.append(batch).await.unwrap();
        self.app.matched.send_replace(position.next());
        position
    }

    /// Moves all before `to` into the archive, for good.
    pub(crate) async fn archive_to(&self, to: Position) {
        let archive = self.app.shelves.archive();
        let mut blocks = self.app.journal.read(archive.head().unwrap().archived, usize::MAX).unwrap();
        blocks.retain(|block| block.position < to);
        let change = archive.write(&blocks, &DialectReader, at(1_000_000)).await.unwrap().unwrap();
        let mut write = Write::new();
        change.commit(&mut write);
        self.app.records.store().commit(write, Durability::Disk).unwrap();
        self.app.journal.trim(to).unwrap();
    }

    /// The messages of a group that a reader finds, in order of time.
    pub(crate) async fn found(&self, name: &str) -> Vec<String> {
        let owner = groups::find(&self.app.records, &group(name)).ok().unwrap();
        let wanted = Wanted {
            pattern: None,
            from: 0,
            to: i64::MAX,
            beyond: None,
            backwards: false,
            events_max: 10_000,
            bytes_max: 1 << 20,
        };
        let area = Area::of(&owner, Streams::All(owner.since), at(0));
        let planned = Search::plan(&self.app, vec![area], Order::Oldest, Page::new(wanted), Arc::default());
        let search = planned.unwrap();
        search.run(None).await.ok().unwrap();
        search.taker().take_gathered().events.into_values().map(|found| found.message).collect()
    }

    /// Whether the archive proves itself.
    pub(crate) async fn is_sound(&self) -> bool {
        self.app.shelves.archive().verify(None, Depth::Events, &mut |_| ()).await.unwrap().is_sound()
    }
}
