/*!
The narrow waist: every source hands its batches to [`accept`], and answers only when that has resolved.
*/

use nightbell_core::event::Batch;
use nightbell_store::{Position, StoreError};

use crate::app::App;

/// Stores a batch; resolves when it is on disk. The error says whether the source should try again.
pub(crate) async fn accept(app: &App, batch: Batch) -> Result<Position, StoreError> {
    let events = batch.events.len() as u64;
    let bytes = batch.message_bytes() as u64;
    let position = app.journal.append(batch).await?;
    app.telemetry.events.inc_by(events);
    app.telemetry.event_bytes.inc_by(bytes);
    Ok(position)
}
