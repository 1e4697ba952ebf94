/*!
The only clock. Everything else is handed the time it needs.
*/

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nightbell_core::time::Timestamp;

/// The instant now, by the machine's clock.
#[allow(clippy::disallowed_methods)] // this is the one place that may
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A stopwatch: how long something took, whatever the wall clock does meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// A stopwatch that runs from now on.
    #[allow(clippy::disallowed_methods)] // this is the one place that may
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
