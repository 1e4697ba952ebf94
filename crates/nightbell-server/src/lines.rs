/*!
[`Lines`]: an answer that comes line by line, each a JSON document, while the work behind it goes on.

The work notices when nobody listens any more. What the lines say is the work's own; its last line tells that it is whole.
*/

use std::convert::Infallible;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tokio::sync::mpsc;

/// Pieces of an answer that wait for the client; the work waits when there are more.
const PIECES_MAX: usize = 4;

/// Whoever asked has left.
#[derive(Debug)]
pub(crate) struct Gone;

/// Where the work puts its lines.
pub(crate) struct Lines(mpsc::Sender<Bytes>);

impl Lines {
    /// An answer with what `work` says.
    pub(crate) fn answer<W, F>(work: W) -> Response
    where
        W: FnOnce(Self) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        tokio::spawn(work(Self(sender)));
        let pieces = stream::unfold(receiver, async |mut receiver| {
            let piece = receiver.recv().await?;
            Some((Ok::<_, Infallible>(piece), receiver))
        });
        ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response()
    }

    /// Says one line; waits while the client is slow.
    pub(crate) async fn say<T: Serialize>(&self, line: &T) -> Result<(), Gone> {
        let mut piece = Vec::new();
        add_line(&mut piece, line);
        self.send(piece).await
    }

    /// Says lines put together by [`add_line`].
    pub(crate) async fn send(&self, piece: Vec<u8>) -> Result<(), Gone> {
        self.0.send(piece.into()).await.map_err(|_| Gone)
    }
}

/// Adds a line to a piece of an answer.
pub(crate) fn add_line<T: Serialize>(piece: &mut Vec<u8>, line: &T) {
    serde_json::to_writer(&mut *piece, line).expect("lines are plain data");
    piece.push(b'\n');
}
