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
    if let Some(old) = records.get::<MetricFilter>(&key)? {
        filter.created = old.created;
    }
    check_quotas(records, group, &filter, &pattern)?;
    let mut change = Write::new();
    put(&mut change, &key, &filter);
    Ok(records.commit(change)?)
}

fn check_quotas(
    records: &Records,
    group: &Group,
    filter: &MetricFilter,
    pattern: &Pattern,
) -> Result<(), Refusal> {
    let keys = records.keys(&Key::prefix(&["filter", &group.region, &group.name], ""))?;
    let known = keys.contains(&Key::filter(group, &filter.name));
    if !known && keys.len() >= FILTERS_MAX {
        return Err(Refusal::Limit(format!(
            "Resource limit exceeded: a log group has at most {FILTERS_MAX} metric filters"
        )));
    }
    if pattern.regexes() == 0 {
        return Ok(());
    }
    let others = list(records, group, "")?.into_iter().filter(|other| other.name != filter.name);
    let with_regex =
        others.filter(|other| Pattern::parse(&other.pattern).is_ok_and(|p| p.regexes() > 0)).count();
    if with_regex >= REGEX_FILTERS_MAX {
        return Err(Refusal::Limit(format!(
            "Resource limit exceeded: a log group has at most {REGEX_FILTERS_MAX} filters with regular expressions"
        )));
    }
    Ok(())
}

/// Deletes a filter.
pub(crate) fn remove(records: &Records, group: &Group, name: &str) -> Result<(), Refusal> {
    let _turn = records.turn();
    groups::find(records, group)?;
    let key = Key::filter(group, name);
    records.get::<MetricFilter>(&key)?.ok_or(Refusal::Missing(Resource::Filter))?;
    let mut change = Write::new();
    delete(&mut change, &key);
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
