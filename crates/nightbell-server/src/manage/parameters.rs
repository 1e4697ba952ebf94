/*!
Parameters: values kept by name, each with its versions and labels ("AWS Systems Manager API Reference", "PutParameter").

The newest version stands with the parameter; those before it are records of their own. A value is kept as everything else is, a
`SecureString` too: who asks whether it is to be shown decides in `aws`. No type here writes values into logs.
*/

use std::collections::BTreeMap;

use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::tags::{self, Tags};
use crate::catalog::{Failure, Key, Records, delete, put as put_record};

pub(crate) use label::{LABELS_MAX, label, unlabel};
pub(crate) use rules::{PATH_LEVELS_MAX, check_path};

mod label;
mod rules;

/// Parameters of a region.
pub(crate) const PARAMETERS_MAX: usize = 10_000;
/// Versions of a parameter that are kept; the oldest goes when one more comes.
pub(crate) const PARAMETER_VERSIONS_MAX: u64 = 100;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A text.
    String,
    /// Texts with commas between them.
    StringList,
    /// A text that is shown only to those who ask for it.
    SecureString,
}

/// How large a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Tier {
    /// 4 KiB.
    Standard,
    /// 8 KiB.
    Advanced,
}

/// A version of a parameter.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    /// The parameter's name.
    pub(crate) name: String,
    /// Its number, from 1.
    pub(crate) number: u64,
    /// What the value is.
    pub(crate) kind: Kind,
    /// The value.
    pub(crate) value: String,
    /// What people are told of it.
    pub(crate) description: Option<String>,
    /// The key that is said to encrypt a secure string.
    pub(crate) key_id: Option<String>,
    /// The regular expression that values must match.
    pub(crate) allowed_pattern: Option<String>,
    /// `text` or what an application makes of it.
    pub(crate) data_type: String,
    /// How large it may be.
    pub(crate) tier: Tier,
    /// When it was written.
    pub(crate) modified: Timestamp,
    /// The ARN of who wrote it.
    pub(crate) modified_by: Option<String>,
}

/// A parameter.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Parameter {
    /// The newest version.
    pub(crate) latest: Version,
    /// Labels and the numbers of the versions they stand on.
    pub(crate) labels: BTreeMap<String, u64>,
}

impl Parameter {
    /// The labels of a version.
    pub(crate) fn labels_of(&self, number: u64) -> Vec<String> {
        self.labels.iter().filter(|(_, on)| **on == number).map(|(label, _)| label.clone()).collect()
    }
}

/// What PutParameter says; the rest of a version follows from what is there.
pub(crate) struct Offer {
    /// Name, value and what else is given; number, tier and key are found here.
    pub(crate) version: Version,
    /// Whether the type was given: a parameter that is there has one.
    pub(crate) kind: Option<Kind>,
    /// The tier that was asked for.
    pub(crate) tier: Asked,
    /// Whether a parameter that is there gets a new version.
    pub(crate) overwrite: bool,
    /// Tags of a new parameter.
    pub(crate) tags: Tags,
}

/// The tier that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// None: that of the version before, or the standard one.
    Nothing,
    /// This one.
    Tier(Tier),
    /// The smallest that does.
    Fitting,
}

/// Why something was not done with a parameter.
#[derive(Debug)]
pub(crate) enum ParameterRefusal {
    /// There is no such parameter.
    Missing(String),
    /// The parameter has no such version or label.
    MissingVersion(String, String),
    /// It is there, and was not to be overwritten.
    Exists,
    /// Its name has too many levels.
    TooDeep(String),
    /// The region has no room for more.
    TooMany,
    /// The allowed pattern is no regular expression.
    Pattern(String),
    /// The value does not match this allowed pattern.
    Mismatch(String),
    /// This version, the oldest, would have to go and has a label.
    Labelled(String, u64),
    /// A version has no room for more labels.
    Labels,
    /// What others are refused for.
    Other(Refusal),
}

impl From<Refusal> for ParameterRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}

impl From<Failure> for ParameterRefusal {
    fn from(failure: Failure) -> Self {
        Self::Other(failure.into())
    }
}

/// The ARN of a parameter.
pub(crate) fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:ssm:{region}:{account}:parameter/{}", name.strip_prefix('/').unwrap_or(name))
}

fn key(region: &str, name: &str) -> Key {
    Key::of(&["parameter", region, name])
}

fn version_key(region: &str, name: &str, number: u64) -> Key {
    // Twenty digits hold every number, so that keys are in the order of numbers.
    Key::of(&["parameter-version", region, name, &format!("{number:020}")])
}

/// Makes a parameter, or a new version of one. Gives the version that was made.
pub(crate) fn put(
    records: &Records,
    region: &str,
    account: &str,
    offer: Offer,
) -> Result<Version, ParameterRefusal> {
    rules::check(&offer.version)?;
    tags::check(&offer.tags)?;
    let _turn = records.turn();
    let known = records.get::<Parameter>(&key(region, &offer.version.name))?;
    let version = rules::complete(offer.version, offer.kind, offer.tier, known.as_ref())?;
    let mut change = Write::new();
    let parameter = match known {
        Some(_) if !offer.overwrite => return Err(ParameterRefusal::Exists),
        Some(known) => {
            retire(region, &mut change, &known)?;
            Parameter { latest: version, labels: known.labels }
        }
        None => {
            check_room(records, region, &version.name)?;
            tags::put(&mut change, &arn(region, account, &version.name), &offer.tags);
            Parameter { latest: version, labels: BTreeMap::new() }
        }
    };
    put_record(&mut change, &key(region, &parameter.latest.name), &parameter);
    records.commit(change)?;
    Ok(parameter.latest)
}

/// The newest version becomes one of those before; the oldest goes where there are too many.
fn retire(region: &str, change: &mut Write, known: &Parameter) -> Result<(), ParameterRefusal> {
    let Version { name, number, .. } = &known.latest;
    put_record(change, &version_key(region, name, *number), &known.latest);
    if let Some(oldest) = (number + 1).checked_sub(PARAMETER_VERSIONS_MAX).filter(|oldest| *oldest > 0) {
        if !known.labels_of(oldest).is_empty() {
            return Err(ParameterRefusal::Labelled(name.clone(), oldest));
        }
        delete(change, &version_key(region, name, oldest));
    }
    Ok(())
}

fn check_room(records: &Records, region: &str, name: &str) -> Result<(), ParameterRefusal> {
    // `a` and `/a` would have one ARN.
    let other = name.strip_prefix('/').map_or_else(|| format!("/{name}"), str::to_owned);
    if records.get::<Parameter>(&key(region, &other))?.is_some() {
        return Err(ParameterRefusal::Exists);
    }
    if records.keys(&Key::prefix(&["parameter", region], ""))?.len() >= PARAMETERS_MAX {
        return Err(ParameterRefusal::TooMany);
    }
    Ok(())
}

/// The parameter, or a refusal that it is missing.
pub(crate) fn find(records: &Records, region: &str, name: &str) -> Result<Parameter, ParameterRefusal> {
    records.get(&key(region, name))?.ok_or_else(|| ParameterRefusal::Missing(name.to_owned()))
}

/// The version that `selector` names, by number or label; the newest without one.
pub(crate) fn select(
    records: &Records,
    region: &str,
    name: &str,
    selector: Option<&str>,
) -> Result<Version, ParameterRefusal> {
    let parameter = find(records, region, name)?;
    let Some(selector) = selector else { return Ok(parameter.latest) };
    let number = selector.parse().ok().or_else(|| parameter.labels.get(selector).copied());
    if number == Some(parameter.latest.number) {
        return Ok(parameter.latest);
    }
    let missing = || ParameterRefusal::MissingVersion(name.to_owned(), selector.to_owned());
    let number = number.ok_or_else(missing)?;
    records.get(&version_key(region, name, number))?.ok_or_else(missing)
}

/// All versions of a parameter that are kept, the oldest first, each with its labels.
pub(crate) fn history(
    records: &Records,
    region: &str,
    name: &str,
) -> Result<Vec<(Version, Vec<String>)>, ParameterRefusal> {
    let parameter = find(records, region, name)?;
    let mut versions: Vec<Version> = records.list(&Key::prefix(&["parameter-version", region, name], ""))?;
    let newest = parameter.latest.number;
    versions.retain(|version| version.number < newest);
    versions.push(parameter.latest.clone());
    let labelled = |version: Version| {
        let labels = parameter.labels_of(version.number);
        (version, labels)
    };
    Ok(versions.into_iter().map(labelled).collect())
}

/// The parameters of a region whose names start with `prefix`, by name.
pub(crate) fn list(
    records: &Records,
    region: &str,
    prefix: &str,
) -> Result<Vec<Parameter>, ParameterRefusal> {
    Ok(records.list(&Key::prefix(&["parameter", region], prefix))?)
}

/// Deletes a parameter with its versions and tags.
pub(crate) fn remove(
    records: &Records,
    region: &str,
    account: &str,
    name: &str,
) -> Result<(), ParameterRefusal> {
    let _turn = records.turn();
    find(records, region, name)?;
    let mut change = Write::new();
    delete(&mut change, &key(region, name));
    for version in records.keys(&Key::prefix(&["parameter-version", region, name], ""))? {
        delete(&mut change, &version);
    }
    tags::forget(&mut change, &arn(region, account, name));
    Ok(records.commit(change)?)
}
