/*!
The processes of all functions: which are idle and which at work, and how many there may be.
*/

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::instance::Instance;
use crate::manage::functions::Function;

/// How long a process waits for another event before it ends.
pub(crate) const IDLE_TIME_MAX: Duration = Duration::from_secs(600);

/// Region, name, version.
type Place = (String, String, String);

/// Why an invocation is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The function has all the processes that it may have.
    Function,
    /// All functions together have.
    All,
}

/// The processes of all functions.
#[derive(Default)]
pub(super) struct Pool(Mutex<State>);

#[derive(Default)]
struct State {
    idle: Vec<(Place, Instance)>,
    working: HashMap<(String, String), u32>,
    working_all: usize,
}

/// Room for one process at work; given back when dropped.
pub(super) struct Room<'a> {
    pool: &'a Pool,
    of: (String, String),
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.working_all -= 1;
        if let Some(working) = state.working.get_mut(&self.of) {
            *working -= 1;
            if *working == 0 {
                state.working.remove(&self.of);
            }
        }
    }
}

impl Pool {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for an invocation of `function`, and an idle process of its revision where there is one.
    pub(super) fn take(
        &self,
        function: &Function,
        most: usize,
    ) -> Result<(Room<'_>, Option<Instance>), Busy> {
        let mut state = self.state();
        let of = (function.region.clone(), function.name.clone());
        let working = state.working.get(&of).copied().unwrap_or(0);
        if function.reserved.is_some_and(|reserved| working >= reserved) {
            return Err(Busy::Function);
        }
        if state.working_all >= most {
            return Err(Busy::All);
        }
        state.working_all += 1;
        *state.working.entry(of.clone()).or_default() += 1;
        let place = place(function);
        let mut found = None;
        let mut gone = Vec::new();
        // From the one that worked last, which is the warmest.
        for index in (0..state.idle.len()).rev() {
            if state.idle[index].0 != place {
                continue;
            }
            let (_, instance) = state.idle.remove(index);
            if instance.is_good() && instance.revision == function.revision {
                found = Some(instance);
                break;
            }
            gone.push(instance);
        }
        if found.is_none() {
            // A new process takes the place of the one that has been idle longest.
            while state.idle.len() + state.working_all > most && !state.idle.is_empty() {
                gone.push(state.idle.remove(0).1);
            }
        }
        drop(state);
        drop(gone); // outside the lock: each kills a process
        Ok((Room { pool: self, of }, found))
    }

    /// Keeps a process for the next event, where it is good for one.
    pub(super) fn keep(&self, function: &Function, instance: Instance) {
        if instance.is_good() {
            self.state().idle.push((place(function), instance));
        }
    }

    /// Ends the processes that have been idle too long, or all, or those of functions that are not as they were.
    pub(super) fn sweep(&self, is_wanted: impl Fn(&str) -> bool) {
        let mut state = self.state();
        let all = std::mem::take(&mut state.idle);
        let (kept, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, instance)| {
            instance.is_good()
                && instance.idle_since.elapsed() < IDLE_TIME_MAX
                && is_wanted(&instance.revision)
        });
        state.idle = kept;
        drop(state);
        drop(gone);
    }
}

fn place(function: &Function) -> Place {
    (function.region.clone(), function.name.clone(), function.version.clone())
}
