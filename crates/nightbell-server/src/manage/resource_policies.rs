/*!
Resource policies of CloudWatch Logs: who else may write to or subscribe the account's log groups, kept by name ("PutResourcePolicy",
CloudWatch Logs API Reference).
*/

use nightbell_core::policy::{Policy, PolicyKind};
use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::{Refusal, Resource};
use crate::catalog::{Key, Records, delete, put as put_record};

/// Resource policies of a region ("CloudWatch Logs quotas").
pub(crate) const RESOURCE_POLICIES_MAX: usize = 10;
/// Characters of a document.
pub(crate) const RESOURCE_POLICY_CHARS_MAX: usize = 5_120;
/// Characters of a name.
pub(crate) const RESOURCE_POLICY_NAME_CHARS_MAX: usize = 256;

/// A resource policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResourcePolicy {
    /// Its name.
    pub(crate) name: String,
    /// The document, kept as it was written.
    pub(crate) document: String,
    /// When it was last written.
    pub(crate) updated: Timestamp,
}

fn key(region: &str, name: &str) -> Key {
    Key::of(&["resource-policy", region, name])
}

/// Makes or replaces a policy.
pub(crate) fn put(records: &Records, region: &str, policy: &ResourcePolicy) -> Result<(), Refusal> {
    let name_chars = policy.name.chars().count();
    if !(1..=RESOURCE_POLICY_NAME_CHARS_MAX).contains(&name_chars) {
        let limit = RESOURCE_POLICY_NAME_CHARS_MAX;
        return Err(Refusal::Invalid(format!("policyName: it must have 1 to {limit} characters")));
    }
    let chars = policy.document.chars().count();
    if !(1..=RESOURCE_POLICY_CHARS_MAX).contains(&chars) {
        let text =
            format!("policyDocument: {chars} characters; it must have 1 to {RESOURCE_POLICY_CHARS_MAX}");
        return Err(Refusal::Invalid(text));
    }
    Policy::parse(&policy.document, PolicyKind::Resource)
        .map_err(|error| Refusal::Invalid(format!("policyDocument: {error}")))?;
    let _turn = records.turn();
    let key = key(region, &policy.name);
    if records.get::<ResourcePolicy>(&key)?.is_none() && list(records, region)?.len() >= RESOURCE_POLICIES_MAX
    {
        return Err(Refusal::Limit(format!(
            "Resource limit exceeded: a region has at most {RESOURCE_POLICIES_MAX} resource policies"
        )));
    }
    let mut change = Write::new();
    put_record(&mut change, &key, policy);
    Ok(records.commit(change)?)
}

/// The policies of a region, by name.
pub(crate) fn list(records: &Records, region: &str) -> Result<Vec<ResourcePolicy>, Refusal> {
    Ok(records.list(&Key::prefix(&["resource-policy", region], ""))?)
}

/// Deletes a policy.
pub(crate) fn remove(records: &Records, region: &str, name: &str) -> Result<(), Refusal> {
    let _turn = records.turn();
    let key = key(region, name);
    if records.get::<ResourcePolicy>(&key)?.is_none() {
        return Err(Refusal::Missing(Resource::LogsPolicy));
    }
    let mut change = Write::new();
    delete(&mut change, &key);
    Ok(records.commit(change)?)
}
