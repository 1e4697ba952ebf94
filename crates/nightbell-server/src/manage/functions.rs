/*!
Functions: their records, their code as it was uploaded, published versions, and who may invoke them.

Running them is `functions`' matter; this file knows no process. Rules and limits: AWS Lambda API reference, "CreateFunction",
"PublishVersion", "AddPermission", and AWS Lambda developer guide, "Lambda quotas".
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::policy::{Fact, Facts, Policies, Policy, PolicyKind, Principal, Request, evaluate};
use nightbell_core::time::Timestamp;
use nightbell_store::{Space, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Refusal, Resource};
use crate::catalog::{Key, Records, delete, put};

pub(crate) use check::{check, check_tags};

mod check;

/// The version that is not published: what is invoked where nothing else is asked.
pub(crate) const LATEST: &str = "$LATEST";
/// Functions of a region.
pub(crate) const FUNCTIONS_MAX: usize = 1_000;
/// Published versions of one function.
pub(crate) const VERSIONS_MAX: u64 = 100;
/// Largest uploaded zip, in bytes.
pub(crate) const CODE_BYTES_MAX: usize = 50 << 20;
/// Uploaded code of all functions of a region, in bytes.
pub(crate) const CODE_STORAGE_BYTES_MAX: u64 = 4 << 30;
/// Policy of a function, in bytes of JSON.
pub(crate) const POLICY_BYTES_MAX: usize = 20_480;

/// A function, or a published version of it. Its variables may be secrets, so there is no `Debug`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    /// Where it is.
    pub(crate) region: String,
    /// Its name.
    pub(crate) name: String,
    /// [`LATEST`], or the number of a published version.
    pub(crate) version: String,
    /// `nodejs…` or `python3…`.
    pub(crate) runtime: String,
    /// File and function in it.
    pub(crate) handler: String,
    /// The ARN of the role it works as.
    pub(crate) role: String,
    /// For people.
    pub(crate) description: String,
    /// Longest invocation, in seconds.
    pub(crate) timeout_s: u32,
    /// Memory of its process, in MiB.
    pub(crate) memory_mib: u32,
    /// Room in `/tmp`, in MiB.
    pub(crate) ephemeral_mib: u32,
    /// Environment variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// `x86_64` or `arm64`; kept and shown.
    pub(crate) architecture: String,
    /// `PassThrough` or `Active`; kept and shown.
    pub(crate) tracing: String,
    /// The log group; `None` is `/aws/lambda/NAME`.
    pub(crate) log_group: Option<String>,
    /// SHA-256 of the zip, in base64.
    pub(crate) code_sha256: String,
    /// Size of the zip, in bytes.
    pub(crate) code_bytes: u64,
    /// When code or configuration last changed.
    pub(crate) modified: Timestamp,
    /// Changes with each change of code or configuration.
    pub(crate) revision: String,
    /// Tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// Processes it may have at one time; `None` is no limit of its own.
    pub(crate) reserved: Option<u32>,
    /// Statements of its policy, by AWS's rules of policies.
    pub(crate) statements: Vec<serde_json::Value>,
    /// What becomes of asynchronous events; `None` is the default.
    pub(crate) events: Option<EventRules>,
    /// The last number given to a version.
    pub(crate) versions: u64,
}

/// What becomes of a function's asynchronous events.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventRules {
    /// More attempts after a failed one.
    pub(crate) retries: Option<u32>,
    /// Age at which an event is given up, in seconds.
    pub(crate) age_s_max: Option<u32>,
    /// When this was last set.
    pub(crate) modified: Timestamp,
}

impl Function {
    /// Its ARN, without a version.
    pub(crate) fn arn(&self, account: &str) -> String {
        arn(&self.region, account, &self.name)
    }

    /// The log group that it writes to.
    pub(crate) fn log_group(&self) -> String {
        self.log_group.clone().unwrap_or_else(|| format!("/aws/lambda/{}", self.name))
    }

    /// SHA-256 of its code as a name of a folder.
    pub(crate) fn code_name(&self) -> String {
        let bytes = STANDARD.decode(&self.code_sha256).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn key(&self) -> Key {
        if self.version == LATEST {
            key(&self.region, &self.name)
        } else {
            version_key(&self.region, &self.name, &self.version)
        }
    }

    /// Marks a change of code or configuration.
    fn changed(&mut self, now: Timestamp) {
        self.modified = now;
        self.revision = Uuid::new_v4().to_string();
    }
}

/// The ARN of a function.
pub(crate) fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:lambda:{region}:{account}:function:{name}")
}

/// Region, name and version of a function's ARN; nothing where it is none.
pub(crate) fn of_arn(arn: &str) -> Option<(&str, &str, Option<&str>)> {
    let mut parts = arn.split(':');
    let ["arn", _, "lambda", region, _account, "function", name] =
        [(); 7].map(|()| parts.next().unwrap_or_default())
    else {
        return None;
    };
    let version = parts.next();
    (parts.next().is_none() && check::is_name(name)).then_some((region, name, version))
}

/// Whether the policy of a function lets a service, by any of its names, invoke it in the name of `source`.
pub(crate) fn lets_in(
    function: &Function,
    account: &str,
    arn: &str,
    services: &[&str],
    source: &str,
    now: Timestamp,
) -> bool {
    let document = json!({ "Version": "2012-10-17", "Statement": function.statements }).to_string();
    let Ok(policy) = Policy::parse(&document, PolicyKind::Resource) else { return false };
    let principal = Principal::Service { names: services };
    let mut facts = Facts::of(&principal, now);
    facts.put("aws:SourceArn", Fact::Text(source.into()));
    facts.put("aws:SourceAccount", Fact::Text(account.into()));
    let policies = Policies {
        resource: &[Arc::new(policy)],
        resource_account: account,
        resource_must_allow: true,
        ..Policies::default()
    };
    let request =
        Request { principal: &principal, action: "lambda:InvokeFunction", resource: arn, facts: &facts };
    evaluate(&policies, &request).is_allowed()
}

fn key(region: &str, name: &str) -> Key {
    Key::of(&["function", region, name])
}

fn version_key(region: &str, name: &str, version: &str) -> Key {
    Key::of(&["function-version", region, name, version])
}

fn code_key(function: &Function) -> Key {
    Key::of(&[&function.region, &function.name, &function.code_sha256])
}

/// Makes a function with its code.
pub(crate) fn create(records: &Records, mut function: Function, code: &[u8]) -> Result<Function, Refusal> {
    check(&function)?;
    let _turn = records.turn();
    if records.get::<Function>(&function.key())?.is_some() {
        return Err(Refusal::Exists(Resource::Function));
    }
    let all = list(records, &function.region)?;
    if all.len() >= FUNCTIONS_MAX {
        let text = format!("There are {FUNCTIONS_MAX} functions in the region; that is the limit");
        return Err(Refusal::Limit(text));
    }
    let mut change = Write::new();
    store_code(records, &mut change, &mut function, code)?;
    put(&mut change, &function.key(), &function);
    records.commit(change)?;
    Ok(function)
}

/// The function, or the published version that `qualifier` names.
pub(crate) fn find(
    records: &Records,
    region: &str,
    name: &str,
    qualifier: Option<&str>,
) -> Result<Function, Refusal> {
    let missing = Refusal::Missing(Resource::Function);
    match qualifier {
        None | Some(LATEST) => records.get(&key(region, name))?.ok_or(missing),
        Some(version) => records.get(&version_key(region, name, version))?.ok_or(missing),
    }
}

/// The functions of a region, by name.
pub(crate) fn list(records: &Records, region: &str) -> Result<Vec<Function>, Refusal> {
    Ok(records.list(&Key::prefix(&["function", region], ""))?)
}

/// The published versions of a function, by number.
pub(crate) fn versions(records: &Records, region: &str, name: &str) -> Result<Vec<Function>, Refusal> {
    let mut found: Vec<Function> = records.list(&Key::prefix(&["function-version", region, name], ""))?;
    found.sort_by_key(|version| version.version.parse::<u64>().unwrap_or(u64::MAX));
    Ok(found)
}

/// Every function and version of all regions: whose code is in use.
pub(crate) fn all(records: &Records) -> Result<Vec<Function>, Refusal> {
    let mut found: Vec<Function> = records.list(&Key::prefix(&["function"], ""))?;
    found.extend(records.list::<Function>(&Key::prefix(&["function-version"], ""))?);
    Ok(found)
}

/// Changes a function by `change`, which may refuse; `is_new` tells whether code or configuration is another then.
pub(crate) fn update(
    records: &Records,
    region: &str,
    name: &str,
    revision: Option<&str>,
    now: Timestamp,
    change: impl FnOnce(&mut Function) -> Result<(), Refusal>,
) -> Result<Function, Refusal> {
    let _turn = records.turn();
    let mut function = find(records, region, name, None)?;
    check_revision(&function, revision)?;
    change(&mut function)?;
    check(&function)?;
    function.changed(now);
    write(records, function)
}

/// Changes what stands beside code and configuration: tags, permissions, concurrency. Versions stay warm.
pub(crate) fn annotate<T>(
    records: &Records,
    region: &str,
    name: &str,
    revision: Option<&str>,
    change: impl FnOnce(&mut Function) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let _turn = records.turn();
    let mut function = find(records, region, name, None)?;
    check_revision(&function, revision)?;
    let done = change(&mut function)?;
    write(records, function)?;
    Ok(done)
}

fn check_revision(function: &Function, revision: Option<&str>) -> Result<(), Refusal> {
    if revision.is_some_and(|wanted| wanted != function.revision) {
        return Err(Refusal::Conflict(
            "The RevisionId provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
             retrieve the latest Revision Id"
                .into(),
        ));
    }
    Ok(())
}

/// Gives a function other code.
pub(crate) fn replace_code(
    records: &Records,
    region: &str,
    name: &str,
    revision: Option<&str>,
    code: &[u8],
    now: Timestamp,
) -> Result<Function, Refusal> {
    let _turn = records.turn();
    let mut function = find(records, region, name, None)?;
    check_revision(&function, revision)?;
    let mut change = Write::new();
    let before = function.clone();
    store_code(records, &mut change, &mut function, code)?;
    if before.code_sha256 != function.code_sha256 && !is_published(records, &before)? {
        change.delete(Space::Code, code_key(&before).bytes());
    }
    function.changed(now);
    put(&mut change, &function.key(), &function);
    records.commit(change)?;
    Ok(function)
}

/// Whether a published version runs on the code of `function`.
fn is_published(records: &Records, function: &Function) -> Result<bool, Refusal> {
    let versions = versions(records, &function.region, &function.name)?;
    Ok(versions.iter().any(|version| version.code_sha256 == function.code_sha256))
}

/// Adds the code to `change`, and what it is to `function`.
fn store_code(
    records: &Records,
    change: &mut Write,
    function: &mut Function,
    code: &[u8],
) -> Result<(), Refusal> {
    if code.len() > CODE_BYTES_MAX {
        let text = format!(
            "Code.ZipFile: {} bytes are more than the limit of {CODE_BYTES_MAX}; leave out what functions_modules holds",
            code.len()
        );
        return Err(Refusal::Invalid(text));
    }
    let stored: u64 = all(records)?.iter().map(|function| function.code_bytes).sum();
    if stored + code.len() as u64 > CODE_STORAGE_BYTES_MAX {
        let text = format!(
            "Code storage limit exceeded: {stored} bytes are stored and {CODE_STORAGE_BYTES_MAX} is the limit; delete functions"
        );
        return Err(Refusal::Limit(text));
    }
    function.code_sha256 = STANDARD.encode(Sha256::digest(code));
    function.code_bytes = code.len() as u64;
    change.put(Space::Code, code_key(function).bytes(), code);
    Ok(())
}

/// The code of a function as it was uploaded.
pub(crate) fn code(records: &Records, function: &Function) -> Result<Vec<u8>, Refusal> {
    let found = records.store().get(Space::Code, code_key(function).bytes())?;
    found.ok_or(Refusal::Missing(Resource::Function))
}

/// Publishes the function as it is; where nothing has changed since the last version, that one is meant.
pub(crate) fn publish(
    records: &Records,
    region: &str,
    name: &str,
    revision: Option<&str>,
    description: Option<String>,
) -> Result<Function, Refusal> {
    let _turn = records.turn();
    let mut latest = find(records, region, name, None)?;
    check_revision(&latest, revision)?;
    let published = versions(records, region, name)?;
    if let Some(last) = published.last().filter(|last| last.revision == latest.revision) {
        return Ok(last.clone());
    }
    if published.len() as u64 >= VERSIONS_MAX {
        let text =
            format!("{name} has {VERSIONS_MAX} versions; that is the limit: delete some with DeleteFunction");
        return Err(Refusal::Limit(text));
    }
    latest.versions += 1;
    let mut version = latest.clone();
    version.version = latest.versions.to_string();
    version.description = description.unwrap_or(version.description);
    version.statements.clear();
    let mut change = Write::new();
    put(&mut change, &latest.key(), &latest);
    put(&mut change, &version.key(), &version);
    records.commit(change)?;
    Ok(version)
}

/// Deletes a function with its versions and code, or one version.
pub(crate) fn remove(
    records: &Records,
    region: &str,
    name: &str,
    qualifier: Option<&str>,
) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut change = Write::new();
    let latest = find(records, region, name, None)?;
    let published = versions(records, region, name)?;
    if let Some(wanted) = qualifier {
        let version = published.iter().find(|version| version.version == wanted);
        let version = version.ok_or(Refusal::Missing(Resource::Function))?;
        let is_used =
            |other: &&Function| other.version != version.version && other.code_sha256 == version.code_sha256;
        if !published.iter().chain([&latest]).any(|other| is_used(&other)) {
            change.delete(Space::Code, code_key(version).bytes());
        }
        delete(&mut change, &version.key());
        return Ok(records.commit(change)?);
    }
    for function in published.iter().chain([&latest]) {
        change.delete(Space::Code, code_key(function).bytes());
        delete(&mut change, &function.key());
    }
    Ok(records.commit(change)?)
}

fn write(records: &Records, function: Function) -> Result<Function, Refusal> {
    let mut change = Write::new();
    put(&mut change, &function.key(), &function);
    records.commit(change)?;
    Ok(function)
}

#[cfg(test)]
mod tests;
