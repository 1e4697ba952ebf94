/*!
Metric filters, and the compiled set of each group that the matcher runs.

Rules and texts of a filter are the core's; here are the quotas, the catalog, and when a change takes effect.
*/

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use nightbell_core::event::Group;
use nightbell_core::filter::{FilterSet, MetricFilter};
use nightbell_core::pattern::{Caller, Pattern};
use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::{Refusal, Resource, groups};
use crate::catalog::{Failure, Key, Records, delete, put};

/// Most metric filters of a group. CloudWatch stops at 100; here ten thousand cost little more than ten.
pub(crate) const FILTERS_MAX: usize = 20_000;
/// Most filters of a group that use regular expressions ("CloudWatch Logs quotas").
pub(crate) const REGEX_FILTERS_MAX: usize = 5;

/// Creates or replaces a filter. An invalid replacement leaves the old one in force.
pub(crate) fn put_filter(
    records: &Records,
    group: &Group,
    mut filter: MetricFilter,
    now: Timestamp,
) -> Result<(), Refusal> {
    let _turn = records.turn();
    groups::find(records, group)?;
    let pattern = Pattern::parse(&filter.pattern)
        .map_err(|error| Refusal::Invalid(error.message(Caller::MetricFilter)))?;
    filter.check().map_err(|error| Refusal::Invalid(error.message))?;
    let key = Key::filter(group, &filter.name);
    filter.created = now;
    let old = records.get::<MetricFilter>(&key)?;
    if let Some(old) = &old {
        filter.created = old.created;
    }
    let counts = counts(records, group)?.without(old.as_ref()).with(&filter, &pattern)?;
    let mut change = Write::new();
    put(&mut change, &key, &filter);
    put(&mut change, &counts_key(group), &counts);
    Ok(records.commit(change)?)
}

/// How many filters a group has: kept beside them, so that the ten-thousandth costs no more than the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    all: usize,
    with_regex: usize,
}

impl Counts {
    fn without(mut self, filter: Option<&MetricFilter>) -> Self {
        if let Some(filter) = filter {
            self.all = self.all.saturating_sub(1);
            self.with_regex = self.with_regex.saturating_sub(usize::from(has_regex(&filter.pattern)));
        }
        self
    }

    fn with(mut self, filter: &MetricFilter, pattern: &Pattern) -> Result<Self, Refusal> {
        debug_assert_eq!(filter.pattern, pattern.source(), "the pattern is the filter's");
        self.all += 1;
        self.with_regex += usize::from(pattern.regexes() > 0);
        let limit = |what: &str| {
            Err(Refusal::Limit(format!("Resource limit exceeded: a log group has at most {what}")))
        };
        if self.all > FILTERS_MAX {
            return limit(&format!("{FILTERS_MAX} metric filters"));
        }
        if pattern.regexes() > 0 && self.with_regex > REGEX_FILTERS_MAX {
            return limit(&format!("{REGEX_FILTERS_MAX} filters with regular expressions"));
        }
        Ok(self)
    }
}

fn has_regex(pattern: &str) -> bool {
    Pattern::parse(pattern).is_ok_and(|pattern| pattern.regexes() > 0)
}

fn counts_key(group: &Group) -> Key {
    Key::of(&["filter-counts", &group.region, &group.name, ""])
}

fn counts(records: &Records, group: &Group) -> Result<Counts, Failure> {
    Ok(records.get(&counts_key(group))?.unwrap_or_default())
}

/// Deletes a filter.
pub(crate) fn remove(records: &Records, group: &Group, name: &str) -> Result<(), Refusal> {
    let _turn = records.turn();
    groups::find(records, group)?;
    let key = Key::filter(group, name);
    let old = records.get::<MetricFilter>(&key)?.ok_or(Refusal::Missing(Resource::Filter))?;
    let counts = counts(records, group)?.without(Some(&old));
    let mut change = Write::new();
    delete(&mut change, &key);
    put(&mut change, &counts_key(group), &counts);
    Ok(records.commit(change)?)
}

/// The filters of a group whose name starts with `prefix`, by name.
pub(crate) fn list(records: &Records, group: &Group, prefix: &str) -> Result<Vec<MetricFilter>, Failure> {
    records.list(&Key::prefix(&["filter", &group.region, &group.name], prefix))
}

/// The filters of a region, each with its group's name, by group and name.
pub(crate) fn list_region(records: &Records, region: &str) -> Result<Vec<(String, MetricFilter)>, Refusal> {
    let found = records.list_with_keys::<MetricFilter>(&Key::prefix(&["filter", region], ""))?;
    let group_of = |key: &[u8]| {
        let part = key.split(|byte| *byte == 0).nth(2).unwrap_or_default();
        String::from_utf8_lossy(part).into_owned()
    };
    Ok(found.into_iter().map(|(key, filter)| (group_of(&key), filter)).collect())
}

/// The compiled filters of every group that has had events; a change drops the group's, and the next event compiles.
pub(crate) struct Compiled {
    account: String,
    sets: RwLock<HashMap<Group, Arc<FilterSet>>>,
}

impl Compiled {
    /// Nothing compiled yet, for an account of 12 digits.
    pub(crate) fn new(account: &str) -> Self {
        Self { account: account.to_owned(), sets: RwLock::default() }
    }

    /// The filters of `group`, compiled now if they are not yet.
    pub(crate) fn of(&self, records: &Records, group: &Group) -> Result<Arc<FilterSet>, Failure> {
        if let Some(set) = self.sets.read().unwrap_or_else(PoisonError::into_inner).get(group) {
            return Ok(Arc::clone(set));
        }
        // The lock is held while compiling, so that a change made meanwhile is not overwritten by an older set.
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        let set =
            Arc::new(FilterSet::new(&group.region, list(records, group, "")?).with_account(&self.account));
        sets.insert(group.clone(), Arc::clone(&set));
        Ok(set)
    }

    /// Drops the compiled filters of `group`.
    pub(crate) fn forget(&self, group: &Group) {
        self.sets.write().unwrap_or_else(PoisonError::into_inner).remove(group);
    }

    /// Drops all.
    pub(crate) fn clear(&self) {
        self.sets.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
