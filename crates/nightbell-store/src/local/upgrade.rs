/*!
The version of what a folder holds, and the steps that bring an older folder up to it.

A folder is opened at [`FORMAT`] or not at all: an older one is brought up step by step, a newer one is refused. Knows the
engine's keyspaces and nothing of who uses them.
*/

use std::path::Path;

use fjall::OwnedWriteBatch;
use uuid::Uuid;

use super::engine::{Engine, open_error};
use crate::StoreError;
use crate::catalog::Durability;
use crate::error::Cause;

/// The version of what the folder holds. Raise it, and add a step, when an older program would misread a folder.
pub(super) const FORMAT: u32 = 2;

const FORMAT_KEY: &[u8] = b"format";
const ID_KEY: &[u8] = b"id";

/// Bytes of an identity.
const ID_BYTES: usize = 16;

/// What makes of a folder of one version one of the next.
struct Step {
    /// What it does, for the log.
    what: &'static str,
    /// Changes the folder. What it puts into the batch is committed with the new version; a step with more than fits into a
    /// batch commits the rest before, in such a way that it can be run again from its beginning.
    run: fn(&Engine, &mut OwnedWriteBatch) -> fjall::Result<()>,
}

/// The step from version `n` stands at `n - 1`.
const STEPS: [Step; FORMAT as usize - 1] = [
    // A program of version 1 would look for events in the journal only, and find none that were archived.
    Step { what: "the store gets an identity; events may lie in the archive", run: identify },
];

/// Brings a folder up to [`FORMAT`]; a new one is marked as of this version.
///
/// # Errors
///
/// `Invalid` for a folder of a newer version; `Broken` for one without a version that ever was; `Unavailable` when the
/// disk refuses: the steps that were done stay done.
pub(super) fn bring_up(engine: &Engine, folder: &Path) -> Result<(), StoreError> {
    let open_error = |error: fjall::Error| open_error(folder, &error);
    let Some(value) = engine.meta.get(FORMAT_KEY).map_err(open_error)? else {
        return step_to(engine, FORMAT, identify).map_err(open_error);
    };
    let damaged = |reason: &str| Cause::Entry { place: "format", reason: reason.to_owned() };
    let Ok(bytes) = <[u8; 4]>::try_from(&*value) else { return Err(damaged("not four bytes").into()) };
    let format = u32::from_be_bytes(bytes);
    if format > FORMAT {
        let folder = folder.display().to_string();
        return Err(Cause::NewerFormat { folder, format, format_max: FORMAT }.into());
    }
    let Some(done) = format.checked_sub(1) else { return Err(damaged("no version is 0").into()) };
    for (from, step) in (1..).zip(&STEPS).skip(done as usize) {
        step_to(engine, from + 1, step.run).map_err(open_error)?;
        tracing::info!(folder = %folder.display(), from, to = from + 1, step.what, "store is upgraded");
    }
    Ok(())
}

/// Runs a step and sets the version in the commit that ends it.
fn step_to(
    engine: &Engine,
    format: u32,
    run: impl Fn(&Engine, &mut OwnedWriteBatch) -> fjall::Result<()>,
) -> fjall::Result<()> {
    let mut batch = engine.batch(Durability::Disk);
    run(engine, &mut batch)?;
    batch.insert(&engine.meta, FORMAT_KEY, format.to_be_bytes());
    batch.commit()
}

fn identify(engine: &Engine, batch: &mut OwnedWriteBatch) -> fjall::Result<()> {
    set_id(engine, batch, Uuid::new_v4().as_bytes());
    Ok(())
}

/// Puts an identity into a batch.
pub(super) fn set_id(engine: &Engine, batch: &mut OwnedWriteBatch, id: &[u8]) {
    batch.insert(&engine.meta, ID_KEY, id);
}

/// The identity as it is kept.
///
/// # Errors
///
/// `Broken` where there is none; `Unavailable` when it cannot be read.
pub(super) fn id_bytes(engine: &Engine, folder: &Path) -> Result<[u8; ID_BYTES], StoreError> {
    let value = engine.meta.get(ID_KEY).map_err(|error| open_error(folder, &error))?;
    let id = value.and_then(|value| <[u8; ID_BYTES]>::try_from(&*value).ok());
    id.ok_or_else(|| Cause::Entry { place: "id", reason: "is not there".to_owned() }.into())
}

/// The identity as hexadecimal digits.
///
/// # Errors
///
/// As [`id_bytes`].
pub(super) fn id(engine: &Engine, folder: &Path) -> Result<String, StoreError> {
    Ok(id_bytes(engine, folder)?.iter().map(|byte| format!("{byte:02x}")).collect())
}
