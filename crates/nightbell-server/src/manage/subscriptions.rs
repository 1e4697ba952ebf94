/*!
Subscription filters: which events of a group go where ("Log group-level subscription filters", CloudWatch Logs User Guide).
*/

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use nightbell_core::event::Group;
use nightbell_core::pattern::{Caller, Pattern};
use nightbell_core::time::Timestamp;
use nightbell_store::{Position, Write};
use serde::{Deserialize, Serialize};

use super::{Refusal, groups, violates};
use crate::catalog::{Failure, Key, Records, delete, put};

/// Subscription filters of a group ("CloudWatch Logs quotas").
pub(crate) const SUBSCRIPTION_FILTERS_MAX: usize = 2;
/// Letters of a filter's name.
const FILTER_NAME_CHARS_MAX: usize = 512;

/// A subscription filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionFilter {
    /// The group.
    pub(crate) group: Group,
    /// Its name.
    pub(crate) name: String,
    /// Which events.
    pub(crate) pattern: String,
    /// Where to: the ARN of a delivery stream.
    pub(crate) destination: String,
    /// Kept and shown.
    pub(crate) role: Option<String>,
    /// `ByLogStream` or `Random`; kept and shown.
    pub(crate) distribution: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// It sees events from here on.
    pub(crate) since: Position,
}

fn key(group: &Group, name: &str) -> Key {
    Key::of(&["subscription-filter", &group.region, &group.name, name])
}

/// Makes or replaces a filter, and adds `more` in the same commit. What is there already stays as old as it is.
pub(crate) fn put_filter(
    records: &Records,
    mut filter: SubscriptionFilter,
    more: impl FnOnce(&mut Write),
) -> Result<(), Refusal> {
    let named = (1..=FILTER_NAME_CHARS_MAX).contains(&filter.name.chars().count());
    if !named || filter.name.contains([':', '*', '\0']) {
        return Err(violates(
            &filter.name,
            "filterName",
            "Member must satisfy regular expression pattern: [^:*]*",
        ));
    }
    Pattern::parse(&filter.pattern).map_err(|error| Refusal::Invalid(error.message(Caller::MetricFilter)))?;
    let _turn = records.turn();
    groups::find(records, &filter.group)?;
    let there = list(records, &filter.group, "")?;
    match there.iter().find(|old| old.name == filter.name) {
        Some(old) => filter.created = old.created,
        None if there.len() >= SUBSCRIPTION_FILTERS_MAX => {
            return Err(Refusal::Limit(format!(
                "Resource limit exceeded: a log group has at most {SUBSCRIPTION_FILTERS_MAX} subscription filters"
            )));
        }
        None => {}
    }
    let mut change = Write::new();
    put(&mut change, &key(&filter.group, &filter.name), &filter);
    more(&mut change);
    Ok(records.commit(change)?)
}

/// The filters of a group whose name starts with `prefix`, by name.
pub(crate) fn list(
    records: &Records,
    group: &Group,
    prefix: &str,
) -> Result<Vec<SubscriptionFilter>, Failure> {
    records.list(&Key::prefix(&["subscription-filter", &group.region, &group.name], prefix))
}

/// Deletes a filter; `false` where it is not there.
pub(crate) fn remove(records: &Records, group: &Group, name: &str) -> Result<bool, Refusal> {
    let _turn = records.turn();
    groups::find(records, group)?;
    if records.get::<SubscriptionFilter>(&key(group, name))?.is_none() {
        return Ok(false);
    }
    let mut change = Write::new();
    delete(&mut change, &key(group, name));
    records.commit(change)?;
    Ok(true)
}

/// A filter with its pattern.
#[derive(Debug)]
pub(crate) struct Armed {
    /// The filter.
    pub(crate) filter: SubscriptionFilter,
    /// Its pattern.
    pub(crate) pattern: Pattern,
}

type ByGroup = HashMap<Group, Vec<Armed>>;

/// All subscription filters, compiled; who changes one has them read again.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(RwLock<Arc<ByGroup>>);

impl Subscriptions {
    /// Reads all of them.
    pub(crate) fn load(&self, records: &Records) -> Result<(), Failure> {
        // Held while reading, so that nobody's later reading is overwritten by an earlier one.
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut by_group = ByGroup::new();
        for filter in records.list::<SubscriptionFilter>(&Key::prefix(&["subscription-filter"], ""))? {
            // It was checked when it was put, by this version or an earlier one.
            let Ok(pattern) = Pattern::parse(&filter.pattern) else { continue };
            by_group.entry(filter.group.clone()).or_default().push(Armed { filter, pattern });
        }
        *all = Arc::new(by_group);
        Ok(())
    }

    /// The filters by group.
    pub(crate) fn all(&self) -> Arc<ByGroup> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
