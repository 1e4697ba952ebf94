/*!
[`Record`]: looks for the one event that stands at a place.
*/

use std::sync::{Mutex, PoisonError};

use nightbell_core::pattern::facts::Facts;

use super::page::Found;
use super::{Over, Place, Stored, Taker};

/// The event at a place, once it is found.
pub(crate) struct Record {
    place: Place,
    found: Mutex<Option<Found>>,
}

impl Record {
    /// Looks for the event at `place`.
    pub(crate) fn at(place: Place) -> Self {
        Self { place, found: Mutex::default() }
    }

    /// What was found.
    pub(crate) fn take_found(&self) -> Option<Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Taker for Record {
    type Part = Option<Found>;

    fn may_match(&self, _: &dyn Facts) -> bool {
        true
    }

    fn times(&self) -> (i64, i64) {
        (self.place.0, self.place.0)
    }

    fn part(&self) -> Option<Found> {
        None
    }

    fn take(&self, part: &mut Option<Found>, event: &Stored<'_>) -> Result<(), Over> {
        if event.place != self.place {
            return Ok(());
        }
        *part = Some(Found {
            stream: event.stream.to_owned(),
            message: event.message.to_owned(),
            arrival: event.arrival,
        });
        Err(Over(None))
    }

    fn join(&self, part: Option<Found>) -> Result<(), Over> {
        match part {
            Some(found) => {
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                Err(Over(None))
            }
            None => Ok(()),
        }
    }
}
