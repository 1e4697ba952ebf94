/*!
How the loops are, for `/healthz`: a server that accepts events but no longer judges them must not look well.
*/

use std::sync::{Mutex, PoisonError};

use nightbell_core::time::{SECOND_MS, Timestamp};

/// How long a loop may fail before the server is called unwell.
const TROUBLE_AFTER_MS: i64 = 10 * SECOND_MS;

/// A loop whose failing stops detection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loop {
    /// Runs events through filters.
    Matcher,
    /// Judges numbers.
    Watcher,
}

/// Since when each loop has failed without a success between, and why.
#[derive(Default)]
pub(crate) struct Health {
    failing: Mutex<[Option<(Timestamp, String)>; 2]>,
}

impl Health {
    /// Notes that a step of a loop succeeded.
    pub(crate) fn well(&self, which: Loop) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)[which as usize] = None;
    }

    /// Notes that a step of a loop failed.
    pub(crate) fn failed(&self, which: Loop, why: &dyn std::fmt::Display, now: Timestamp) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing[which as usize].get_or_insert_with(|| (now, why.to_string()));
    }

    /// What is wrong, where it has been wrong for a while.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<String> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        [(Loop::Matcher, "matching"), (Loop::Watcher, "judging")].into_iter().find_map(|(which, name)| {
            let (since, why) = failing[which as usize].as_ref()?;
            (now.since(*since) >= TROUBLE_AFTER_MS)
                .then(|| format!("{name} is held up since {}: {why}", since.iso()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_after_a_while_and_forgotten_with_a_success() {
        let health = Health::default();
        let at = Timestamp::from_seconds;
        health.failed(Loop::Watcher, &"no disk", at(100));
        health.failed(Loop::Watcher, &"another reason", at(109));
        assert_eq!(health.trouble(at(109)), None);
        assert!(health.trouble(at(110)).is_some_and(|text| text.contains("no disk")));
        health.well(Loop::Watcher);
        assert_eq!(health.trouble(at(200)), None);
    }
}
