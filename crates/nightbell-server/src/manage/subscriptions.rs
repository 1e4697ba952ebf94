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

use super::functions::{self, Function};
use super::{Refusal, groups, streams, violates};
use crate::app::App;
use crate::catalog::{Failure, Key, Records, delete, put};
use crate::streams::buffers::StreamId;

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
    /// Where to: the ARN of a delivery stream or of a function.
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

/// What a filter leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A delivery stream.
    Stream(StreamId),
    /// A function, by its ARN.
    Function(String),
}

impl Destination {
    /// The one that an ARN names; nothing where it is of another kind.
    pub(crate) fn of(arn: &str) -> Option<Self> {
        if functions::of_arn(arn).is_some() {
            return Some(Self::Function(arn.to_owned()));
        }
        let mut parts = arn.strip_prefix("arn:aws:firehose:")?.splitn(3, ':');
        let (region, _account, name) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self::Stream((region.to_owned(), name.strip_prefix("deliverystream/")?.to_owned())))
    }
}

/// Why a destination takes nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// There is no such stream or function.
    Missing,
    /// The policy of the function does not let CloudWatch Logs in.
    Unpermitted,
    /// It is the function whose own log the group is: it would call itself for ever.
    OwnLog,
}

/// Whether the destination of a filter on `group` is there and may be handed something.
pub(crate) fn check_destination(
    app: &App,
    group: &Group,
    destination: &Destination,
    now: Timestamp,
) -> Result<Result<(), Closed>, Failure> {
    match destination {
        Destination::Stream((region, name)) => {
            Ok(streams::find(&app.records, region, name)?.map(|_| ()).ok_or(Closed::Missing))
        }
        Destination::Function(arn) => {
            let Some((region, name, version)) = functions::of_arn(arn) else {
                return Ok(Err(Closed::Missing));
            };
            match functions::find(&app.records, region, name, version) {
                Ok(function) => Ok(check_function(app, group, &function, arn, now)),
                Err(Refusal::Store(failure)) => Err(failure),
                Err(_) => Ok(Err(Closed::Missing)),
            }
        }
    }
}

fn check_function(
    app: &App,
    group: &Group,
    function: &Function,
    arn: &str,
    now: Timestamp,
) -> Result<(), Closed> {
    if function.region == group.region && function.log_group() == group.name {
        return Err(Closed::OwnLog);
    }
    let source = format!("arn:aws:logs:{}:{}:log-group:{}:*", group.region, app.account, group.name);
    let regional = format!("logs.{}.amazonaws.com", group.region);
    let services = ["logs.amazonaws.com", regional.as_str()];
    let lets_in = functions::lets_in(function, &app.account, arn, &services, &source, now);
    lets_in.then_some(()).ok_or(Closed::Unpermitted)
}

fn key(group: &Group, name: &str) -> Key {
    Key::of(&["subscription-filter", &group.region, &group.name, name])
}

/// Makes or replaces a filter, and adds `more` in the same commit. What is there already stays as old as it is, and sees what it
/// had not seen yet.
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
        Some(old) => (filter.created, filter.since) = (old.created, old.since),
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
    /// Where it leads.
    pub(crate) destination: Destination,
}

/// Filters by their group.
pub(crate) type ByGroup = HashMap<Group, Vec<Armed>>;

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
            let (Ok(pattern), Some(destination)) =
                (Pattern::parse(&filter.pattern), Destination::of(&filter.destination))
            else {
                continue;
            };
            by_group.entry(filter.group.clone()).or_default().push(Armed { filter, pattern, destination });
        }
        *all = Arc::new(by_group);
        Ok(())
    }

    /// The filters by group.
    pub(crate) fn all(&self) -> Arc<ByGroup> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_a_stream_or_a_function() {
        let stream = |region: &str, name: &str| Some(Destination::Stream((region.into(), name.into())));
        assert_eq!(Destination::of("arn:aws:firehose:r:1:deliverystream/s"), stream("r", "s"));
        let function = "arn:aws:lambda:r:123456789012:function:f";
        assert_eq!(Destination::of(function), Some(Destination::Function(function.into())));
        for other in
            ["arn:aws:firehose:r:1:s", "arn:aws:kinesis:r:1:stream/s", "arn:aws:lambda:r:1:layer:f", ""]
        {
            assert_eq!(Destination::of(other), None, "{other}");
        }
    }
}
