/*!
Queries that are kept by name, for whoever asks the same again ("PutQueryDefinition", CloudWatch Logs API Reference).
*/

use nightbell_core::logsql::QUERY_CHARS_MAX;
use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::{Refusal, Resource, violates};
use crate::catalog::{Key, Records, delete, put as put_record};

/// Definitions of one region ("CloudWatch Logs quotas").
pub(crate) const DEFINITIONS_MAX: usize = 1_000;
/// Characters of a name.
pub(crate) const DEFINITION_NAME_CHARS_MAX: usize = 255;
/// Log groups of a definition.
pub(crate) const DEFINITION_GROUPS_MAX: usize = 50;

/// A query that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// Its id.
    pub(crate) id: String,
    /// Its name; slashes in it make folders.
    pub(crate) name: String,
    /// The query, kept as it was written.
    pub(crate) query: String,
    /// The groups it is asked of.
    pub(crate) groups: Vec<String>,
    /// When it was last written.
    pub(crate) modified: Timestamp,
}

fn key(region: &str, id: &str) -> Key {
    Key::of(&["query-definition", region, id])
}

/// Makes a definition, or replaces the one with its id.
pub(crate) fn put(
    records: &Records,
    region: &str,
    definition: &Definition,
    is_new: bool,
) -> Result<(), Refusal> {
    let name_chars = definition.name.chars().count();
    if !(1..=DEFINITION_NAME_CHARS_MAX).contains(&name_chars) {
        let allowed = format!("Member must have length between 1 and {DEFINITION_NAME_CHARS_MAX}");
        return Err(violates(&definition.name, "name", &allowed));
    }
    if !(1..=QUERY_CHARS_MAX).contains(&definition.query.chars().count()) {
        let allowed = format!("Member must have length between 1 and {QUERY_CHARS_MAX}");
        return Err(violates(&definition.query, "queryString", &allowed));
    }
    if definition.groups.len() > DEFINITION_GROUPS_MAX {
        let allowed = format!("Member must have length less than or equal to {DEFINITION_GROUPS_MAX}");
        return Err(violates(&definition.groups.len().to_string(), "logGroupNames", &allowed));
    }
    definition.groups.iter().try_for_each(|group| super::groups::check_group_name(group))?;
    let _turn = records.turn();
    let key = key(region, &definition.id);
    if !is_new && records.get::<Definition>(&key)?.is_none() {
        return Err(Refusal::Missing(Resource::Definition));
    }
    if is_new && records.keys(&Key::prefix(&["query-definition", region], ""))?.len() >= DEFINITIONS_MAX {
        return Err(Refusal::Limit(format!(
            "There are {DEFINITIONS_MAX} query definitions in the region; that is the limit"
        )));
    }
    let mut change = Write::new();
    put_record(&mut change, &key, definition);
    Ok(records.commit(change)?)
}

/// The definitions of a region whose names start with `prefix`, by name and id.
pub(crate) fn list(records: &Records, region: &str, prefix: &str) -> Result<Vec<Definition>, Refusal> {
    let mut found: Vec<Definition> = records.list(&Key::prefix(&["query-definition", region], ""))?;
    found.retain(|definition| definition.name.starts_with(prefix));
    found.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(found)
}

/// Deletes a definition.
pub(crate) fn remove(records: &Records, region: &str, id: &str) -> Result<(), Refusal> {
    let _turn = records.turn();
    let key = key(region, id);
    if records.get::<Definition>(&key)?.is_none() {
        return Err(Refusal::Missing(Resource::Definition));
    }
    let mut change = Write::new();
    delete(&mut change, &key);
    Ok(records.commit(change)?)
}
