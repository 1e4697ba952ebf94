/*!
Groups of rows and what `stats` computes for each, folded row by row.

Groups are kept in order of their keys, so that hostile keys cost no more than others.
*/

use std::collections::BTreeMap;

use super::aggregate::{Aggregation, Moment, State};
use super::evaluate::Environment;
use super::plan::Fold;
use super::value::Val;
use super::{Limits, RunError};

/// Bytes that a group is counted with beyond its keys and states.
const GROUP_BYTES: usize = 96;

/// A value that rows are grouped by; values of one kind and content are one group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Null,
    Text(Box<str>),
    Number(u64),
    Bool(bool),
    Time(i64),
}

impl Key {
    fn of(value: &Val<'_>) -> Self {
        match value {
            Val::Null => Self::Null,
            Val::Text(text) => Self::Text(text.as_ref().into()),
            Val::Number(number) => Self::Number((number + 0.0).to_bits()),
            Val::Bool(flag) => Self::Bool(*flag),
            Val::Time(ms) => Self::Time(*ms),
        }
    }

    fn value(&self) -> Val<'static> {
        match self {
            Self::Null => Val::Null,
            Self::Text(text) => Val::text(text.to_string()),
            Self::Number(bits) => Val::Number(f64::from_bits(*bits)),
            Self::Bool(flag) => Val::Bool(*flag),
            Self::Time(ms) => Val::Time(*ms),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

/// The groups of one `stats`.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Vec<Key>, Vec<State>>,
    /// Bytes of all that is held.
    pub(super) bytes: usize,
}

impl Groups {
    /// Folds a row in that stands for `count` rows.
    ///
    /// # Errors
    /// When it needs a group more than there may be; bytes are for the caller to check.
    pub(super) fn take<'a>(
        &mut self,
        fold: &'a Fold,
        environment: &Environment<'a, '_>,
        columns: &[Val<'a>],
        count: u64,
        limits: Limits,
    ) -> Result<(), RunError> {
        let keys: Vec<Key> =
            fold.keys.iter().map(|expr| Key::of(&environment.value(expr, columns))).collect();
        let moment = environment.row.map(|row| Moment {
            time: row.time.as_millis(),
            arrival: row.arrival.as_millis(),
            ptr: row.ptr,
        });
        let states = match self.groups.get_mut(&keys) {
            Some(states) => states,
            None => {
                let states: Vec<State> = fold.aggregations.iter().map(State::new).collect();
                self.add(keys.clone(), states, limits)?;
                self.groups.get_mut(&keys).expect("was just added")
            }
        };
        for (state, aggregation) in states.iter_mut().zip(&fold.aggregations) {
            let value = match aggregation {
                Aggregation::Rows => Val::Bool(true),
                Aggregation::Of { argument, .. } => environment.value(argument, columns),
            };
            let before = state.bytes();
            state.fold(&value, moment, count);
            self.bytes = self.bytes + state.bytes() - before;
        }
        Ok(())
    }

    fn add(&mut self, keys: Vec<Key>, states: Vec<State>, limits: Limits) -> Result<(), RunError> {
        if self.groups.len() >= limits.groups_max {
            return Err(RunError::Groups(limits.groups_max));
        }
        self.bytes += GROUP_BYTES
            + keys.iter().map(Key::bytes).sum::<usize>()
            + states.iter().map(|state| size_of::<State>() + state.bytes()).sum::<usize>();
        self.groups.insert(keys, states);
        Ok(())
    }

    /// Takes over what another part of the same run holds.
    ///
    /// # Errors
    /// When there are more groups together than there may be.
    pub(super) fn merge(&mut self, other: Self, limits: Limits) -> Result<(), RunError> {
        for (keys, more) in other.groups {
            let Some(states) = self.groups.get_mut(&keys) else {
                self.add(keys, more, limits)?;
                continue;
            };
            for (state, more) in states.iter_mut().zip(more) {
                let before = state.bytes();
                state.merge(more);
                self.bytes = self.bytes + state.bytes() - before;
            }
        }
        Ok(())
    }

    /// Each group as a row: keys, then results.
    pub(super) fn rows(&self) -> impl Iterator<Item = Vec<Val<'static>>> {
        self.groups.iter().map(|(keys, states)| {
            keys.iter().map(Key::value).chain(states.iter().map(State::result)).collect()
        })
    }
}
