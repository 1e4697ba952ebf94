/*!
SSM: parameters, made, read and deleted ("AWS Systems Manager API Reference"). Lists of them are in `ssm/list`.
*/

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Cx;
use super::error::{ApiError, refused};
use super::service::Service;
use super::tags::{self, Tag, parts};
use crate::manage::parameters::{self, Asked, Kind, Offer, ParameterRefusal, Tier, Version};
use crate::manage::{Refusal, violates};

pub(super) mod list;
pub(super) mod tagging;

/// Names of one request.
pub(super) const PARAMETER_NAMES_MAX: usize = 10;

/// The error that a refusal is.
fn no(refusal: ParameterRefusal) -> ApiError {
    match refusal {
        ParameterRefusal::Missing(name) => {
            ApiError::sender("ParameterNotFound", format!("Parameter {name} not found."))
        }
        ParameterRefusal::MissingVersion(name, selector) => ApiError::sender(
            "ParameterVersionNotFound",
            format!(
                "Systems Manager could not find version {selector} of {name}. Verify the version and try again."
            ),
        ),
        ParameterRefusal::Exists => ApiError::sender(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        ),
        ParameterRefusal::TooDeep(name) => ApiError::sender(
            "HierarchyLevelLimitExceededException",
            format!("A hierarchy can have a maximum of {} levels: {name}", parameters::PATH_LEVELS_MAX),
        ),
        ParameterRefusal::TooMany => ApiError::sender(
            "ParameterLimitExceeded",
            format!("A region has at most {} parameters; delete one first", parameters::PARAMETERS_MAX),
        ),
        ParameterRefusal::Pattern(pattern) => ApiError::sender(
            "InvalidAllowedPatternException",
            format!("The allowed pattern is no regular expression, or too large a one: {pattern}"),
        ),
        ParameterRefusal::Mismatch(pattern) => ApiError::sender(
            "ParameterPatternMismatchException",
            format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
        ),
        ParameterRefusal::Labelled(name, number) => ApiError::sender(
            "ParameterMaxVersionLimitExceeded",
            format!(
                "You attempted to create a new version of {name} by calling the PutParameter API with the overwrite flag. Version {number}, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again."
            ),
        ),
        ParameterRefusal::Labels => ApiError::sender(
            "ParameterVersionLabelLimitExceeded",
            "A parameter version can have maximum 10 labels. Move one or more labels to another version and try again.",
        ),
        ParameterRefusal::Other(refusal) => refused(Service::Ssm, refusal),
    }
}

fn invalid(text: impl Into<String>) -> ApiError {
    no(Refusal::Invalid(text.into()).into())
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutParameterRequest {
    name: Option<String>,
    description: Option<String>,
    value: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    key_id: Option<String>,
    overwrite: Option<bool>,
    allowed_pattern: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
    tier: Option<String>,
    policies: Option<String>,
    data_type: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutParameterResponse {
    version: u64,
    tier: Tier,
}

pub(super) async fn put_parameter(
    cx: Cx,
    request: PutParameterRequest,
) -> Result<PutParameterResponse, ApiError> {
    let overwrite = request.overwrite.unwrap_or(false);
    if overwrite && !request.tags.is_empty() {
        return Err(invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.",
        ));
    }
    if !matches!(request.policies.as_deref().map(str::trim), None | Some("" | "[]" | "[{}]")) {
        return Err(invalid("Policies: parameter policies are not served by this version; leave them out"));
    }
    let kind = request.kind.as_deref().map(read_kind).transpose()?;
    let version = Version {
        name: need(request.name, "name")?,
        number: 0,
        kind: kind.unwrap_or(Kind::String),
        value: need(request.value, "value")?,
        description: request.description,
        key_id: request.key_id,
        allowed_pattern: request.allowed_pattern,
        data_type: request.data_type.unwrap_or_else(|| "text".to_owned()),
        tier: Tier::Standard,
        modified: cx.now,
        modified_by: cx.caller.arn(&cx.app.account),
    };
    let tags = tags::read(request.tags).map_err(|refusal| no(refusal.into()))?;
    let offer = Offer { version, kind, tier: read_tier(request.tier.as_deref())?, overwrite, tags };
    let made = parameters::put(&cx.app.records, &cx.region, &cx.app.account, offer).map_err(no)?;
    Ok(PutParameterResponse { version: made.number, tier: made.tier })
}

fn read_kind(text: &str) -> Result<Kind, ApiError> {
    let value = serde_json::Value::String(text.to_owned());
    let allowed = "Member must satisfy enum value set: [SecureString, StringList, String]";
    serde_json::from_value(value).map_err(|_| no(violates(text, "type", allowed).into()))
}

fn read_tier(text: Option<&str>) -> Result<Asked, ApiError> {
    match text {
        None => Ok(Asked::Nothing),
        Some("Standard") => Ok(Asked::Tier(Tier::Standard)),
        Some("Advanced") => Ok(Asked::Tier(Tier::Advanced)),
        Some("Intelligent-Tiering") => Ok(Asked::Fitting),
        Some(other) => {
            let allowed = "Member must satisfy enum value set: [Standard, Advanced, Intelligent-Tiering]";
            Err(no(violates(other, "tier", allowed).into()))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParameterRequest {
    name: Option<String>,
    with_decryption: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParameterResponse {
    parameter: ParameterEntry,
}

/// A version as it is read.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParameterEntry {
    name: String,
    #[serde(rename = "Type")]
    kind: Kind,
    value: String,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    last_modified_date: Time,
    #[serde(rename = "ARN")]
    arn: String,
    data_type: String,
}

pub(super) async fn get_parameter(
    cx: Cx,
    request: GetParameterRequest,
) -> Result<GetParameterResponse, ApiError> {
    let asked = need(request.name, "name")?;
    let parameter = read(&cx, &asked, request.with_decryption).map_err(no)?;
    Ok(GetParameterResponse { parameter })
}

/// The version that `asked` names: a name or an ARN, and after a colon a version's number or label.
fn read(cx: &Cx, asked: &str, decrypt: Option<bool>) -> Result<ParameterEntry, ParameterRefusal> {
    let (name, selector) = named(cx, asked)?;
    let version = parameters::select(&cx.app.records, &cx.region, &name, selector.as_deref())?;
    Ok(entry(cx, version, selector, decrypt.unwrap_or(false)))
}

/// Name and selector of what was asked for.
fn named(cx: &Cx, asked: &str) -> Result<(String, Option<String>), ParameterRefusal> {
    let missing = || ParameterRefusal::Missing(asked.chars().take(2_048).collect());
    let (own, selected) = match parts(asked) {
        Some(["arn", "aws", "ssm", region, account, resource]) => {
            let ours = region == cx.region && account == cx.app.account;
            (resource.strip_prefix("parameter/").filter(|_| ours).ok_or_else(missing)?, true)
        }
        _ => (asked, false),
    };
    let (own, selector) = match own.split_once(':') {
        Some((own, selector)) => (own, Some(selector.to_owned())),
        None => (own, None),
    };
    // An ARN does not tell `a` from `/a`; only one of them can be there.
    let name = match selected && parameters::find(&cx.app.records, &cx.region, own).is_err() {
        true => format!("/{own}"),
        false => own.to_owned(),
    };
    Ok((name, selector))
}

/// A version as an answer shows it.
fn entry(cx: &Cx, version: Version, selector: Option<String>, decrypt: bool) -> ParameterEntry {
    let arn = parameters::arn(&cx.region, &cx.app.account, &version.name);
    ParameterEntry {
        value: shown_value(&version, &arn, decrypt),
        kind: version.kind,
        version: version.number,
        selector: selector.map(|selector| format!(":{selector}")),
        last_modified_date: Time(version.modified.as_millis()),
        data_type: version.data_type,
        name: version.name,
        arn,
    }
}

/// The value, or what stands for one that is not to be shown: always the same, and nothing of the value in it.
fn shown_value(version: &Version, arn: &str, decrypt: bool) -> String {
    if decrypt || version.kind != Kind::SecureString {
        return version.value.clone();
    }
    STANDARD.encode(Sha256::digest(format!("{arn}:{}", version.number)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParametersRequest {
    names: Option<Vec<String>>,
    with_decryption: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParametersResponse {
    parameters: Vec<ParameterEntry>,
    invalid_parameters: Vec<String>,
}

pub(super) async fn get_parameters(
    cx: Cx,
    request: GetParametersRequest,
) -> Result<GetParametersResponse, ApiError> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for asked in check_names(request.names)? {
        match read(&cx, &asked, request.with_decryption) {
            Ok(entry) => found.push(entry),
            Err(ParameterRefusal::Missing(_) | ParameterRefusal::MissingVersion(..)) => absent.push(asked),
            Err(other) => return Err(no(other)),
        }
    }
    Ok(GetParametersResponse { parameters: found, invalid_parameters: absent })
}

fn check_names(names: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let names = need(names, "names")?;
    if !(1..=PARAMETER_NAMES_MAX).contains(&names.len()) {
        let allowed = format!("Member must have length between 1 and {PARAMETER_NAMES_MAX}");
        return Err(no(violates(&names.len().to_string(), "names", &allowed).into()));
    }
    Ok(names)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteParameterRequest {
    name: Option<String>,
}

/// The answer of operations that have nothing to say.
#[derive(Serialize)]
pub(super) struct Done {}

pub(super) async fn delete_parameter(cx: Cx, request: DeleteParameterRequest) -> Result<Done, ApiError> {
    remove(&cx, &need(request.name, "name")?).map_err(no)?;
    Ok(Done {})
}

fn remove(cx: &Cx, asked: &str) -> Result<(), ParameterRefusal> {
    match named(cx, asked)? {
        (name, None) => parameters::remove(&cx.app.records, &cx.region, &cx.app.account, &name),
        (_, Some(_)) => Err(ParameterRefusal::Missing(asked.to_owned())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteParametersRequest {
    names: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteParametersResponse {
    deleted_parameters: Vec<String>,
    invalid_parameters: Vec<String>,
}

pub(super) async fn delete_parameters(
    cx: Cx,
    request: DeleteParametersRequest,
) -> Result<DeleteParametersResponse, ApiError> {
    let (mut deleted, mut absent) = (Vec::new(), Vec::new());
    for asked in check_names(request.names)? {
        match remove(&cx, &asked) {
            Ok(()) => deleted.push(asked),
            Err(ParameterRefusal::Missing(_)) => absent.push(asked),
            Err(other) => return Err(no(other)),
        }
    }
    Ok(DeleteParametersResponse { deleted_parameters: deleted, invalid_parameters: absent })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LabelRequest {
    name: Option<String>,
    parameter_version: Option<u64>,
    labels: Option<Vec<String>>,
}

fn check_labels(labels: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let labels = need(labels, "labels")?;
    let most = parameters::LABELS_MAX;
    if !(1..=most).contains(&labels.len()) {
        let allowed = format!("Member must have length between 1 and {most}");
        return Err(no(violates(&labels.len().to_string(), "labels", &allowed).into()));
    }
    Ok(labels)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LabelParameterVersionResponse {
    invalid_labels: Vec<String>,
    parameter_version: u64,
}

pub(super) async fn label_parameter_version(
    cx: Cx,
    request: LabelRequest,
) -> Result<LabelParameterVersionResponse, ApiError> {
    let (name, labels) = (need(request.name, "name")?, check_labels(request.labels)?);
    let (parameter_version, invalid_labels) =
        parameters::label(&cx.app.records, &cx.region, &name, request.parameter_version, labels)
            .map_err(no)?;
    Ok(LabelParameterVersionResponse { invalid_labels, parameter_version })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnlabelParameterVersionResponse {
    removed_labels: Vec<String>,
    invalid_labels: Vec<String>,
}

pub(super) async fn unlabel_parameter_version(
    cx: Cx,
    request: LabelRequest,
) -> Result<UnlabelParameterVersionResponse, ApiError> {
    let (name, labels) = (need(request.name, "name")?, check_labels(request.labels)?);
    let number = need(request.parameter_version, "parameterVersion")?;
    let (removed_labels, invalid_labels) =
        parameters::unlabel(&cx.app.records, &cx.region, &name, number, labels).map_err(no)?;
    Ok(UnlabelParameterVersionResponse { removed_labels, invalid_labels })
}
