/*!
`nightbell restore`: puts a backup into an empty data folder.
*/

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use nightbell_store::backup::{Restored, restore};

use super::meter::Meter;
use crate::config::Settings;
use crate::size;

/// Put a backup into an empty data folder, for a server that does not run.
#[derive(Args)]
pub(crate) struct Restore {
    /// Folder of the backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Data folder to restore into, new or empty (default: the user's data folder)
    #[arg(long, env = "NIGHTBELL_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Restore {
    /// Restores and says what to do next.
    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    pub(crate) fn run(&self) -> Result<()> {
        let data = Settings { data: self.data.clone(), ..Settings::default() }.data_folder()?;
        let folder = std::path::absolute(&self.folder).context("the folder has no whole path")?;
        let data = std::path::absolute(data).context("the data folder has no whole path")?;
        let mut meter = Meter::default();
        let restored = super::runtime()?.block_on(restore(&folder, &data, &mut |progress| {
            meter.show(progress);
            true
        }));
        meter.clear();
        let Restored { manifest, bytes, unfinished } = restored?;
        if let Some(number) = unfinished {
            println!(
                "note: backup {number} in {} was never finished; this is the one before",
                folder.display()
            );
        }
        let (number, made) = (manifest.number, super::printable(&manifest.made));
        println!("restored backup {number} of {made} into {}: {}", data.display(), size::text(bytes));
        println!("to start on it:  nightbell serve --data '{}'", data.display());
        Ok(())
    }
}
