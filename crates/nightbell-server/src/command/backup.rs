/*!
`nightbell backup`: asks the running server for a copy of everything, or makes it where none runs.
*/

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use nightbell_store::backup::Made;
use nightbell_store::{Blobs, Kind, LocalStore, Options};

use super::ServerPlace;
use super::meter::Meter;
use crate::backup::{BackupRequest, Line};
use crate::config::Settings;
use crate::installation::{buckets_folder, refuse_half_restored, store_folder};
use crate::{backup, clock, doctor, size};

/// Copy everything into a folder, while the server runs or not: events, archive, alarms, buckets, key; not the mailbox.
#[derive(Args)]
pub(crate) struct Backup {
    /// Folder on the server's machine: new, empty, or with earlier backups of the same store, of which files of the
    /// archive are used again
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    #[command(flatten)]
    server: ServerPlace,
}

impl Backup {
    /// Makes the backup and says what it came to.
    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    pub(crate) fn run(&self) -> Result<()> {
        let folder = std::path::absolute(&self.folder).context("the folder has no whole path")?;
        let mut meter = Meter::default();
        let made = self.make(&folder, &mut meter);
        meter.clear();
        let Made { manifest, archive_bytes_new } = made?;
        let new = match archive_bytes_new {
            0 => String::new(),
            bytes => format!(", {} of them new in the archive", size::text(bytes)),
        };
        println!("backup {} in {}: {} files{new}", manifest.number, folder.display(), manifest.files);
        println!("to restore it:  nightbell restore '{}' --data NEW-FOLDER", folder.display());
        Ok(())
    }

    fn make(&self, folder: &Path, meter: &mut Meter) -> Result<Made> {
        if self.server.endpoint.is_some() {
            return self.ask(folder, meter);
        }
        let settings = Settings { data: self.server.data.clone(), ..Settings::default() };
        let data = settings.data_folder()?;
        let store = store_folder(&data);
        if !store.is_dir() {
            bail!("there is nothing to back up in {}; name the data folder with --data", data.display());
        }
        refuse_half_restored(&data)?;
        doctor::refuse_other_owner(&data)?;
        match LocalStore::open(&store, Options::default()) {
            Ok(store) => by_ourselves(&data, &Arc::new(store), folder, meter),
            Err(error) if error.kind() == Kind::Conflict => self.ask(folder, meter),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the running server make it.
    fn ask(&self, folder: &Path, meter: &mut Meter) -> Result<Made> {
        let client = self.server.client()?;
        let request = serde_json::to_vec(&BackupRequest { folder: folder.to_owned() })?;
        let mut made = None;
        let read = |line: &[u8]| {
            match serde_json::from_slice(line).context("the server's answer is not that of a backup")? {
                Line::Progress(progress) => meter.show(progress),
                Line::Made(all) => made = Some(*all),
                Line::Refused(why) => bail!(why),
            }
            Ok(())
        };
        super::runtime()?.block_on(client.own_lines("/_nightbell/backup", request, read))?;
        made.context("the server ended before the backup was complete")
    }
}

fn by_ourselves(data: &Path, store: &Arc<LocalStore>, folder: &Path, meter: &mut Meter) -> Result<Made> {
    let archive = backup::archive(data, store)?;
    let blobs = Blobs::open(&buckets_folder(data))?;
    let mut reach = |progress| {
        meter.show(progress);
        true
    };
    let runtime = super::runtime()?;
    let _entered = runtime.enter();
    Ok(backup::run(data, store, archive.as_ref(), &blobs, folder, clock::now(), &mut reach)?)
}
