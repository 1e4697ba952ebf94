/*!
Lambda: functions made, shown, changed and deleted ("AWS Lambda API Reference"). Invoking is in `invoke`, policies in
`permissions`, tags and limits in `annotations`, what an answer shows in `shape`.
*/

use std::collections::BTreeMap;

use nightbell_wire::value::Blob;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Cx;
use super::error::{ApiError, refused};
use super::page::{Page, page};
use super::service::Service;
use crate::functions::{SERVICE, unpack};
use crate::keys;
use crate::manage::functions::{self, Function, LATEST};
use crate::manage::{Refusal, Resource};
use shape::{FunctionConfiguration, described, listed};

pub(super) mod annotations;
pub(super) mod invoke;
pub(super) mod permissions;
mod shape;

/// Most functions or versions of one page.
const PAGE_MAX: usize = 50;

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterValueException", text)
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| {
        let text = format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        );
        ApiError::sender("ValidationException", text)
    })
}

/// A function as a request names it: by name, partial ARN or ARN, with a version or without.
struct Named {
    region: String,
    account: String,
    name: String,
    qualifier: Option<String>,
}

impl Named {
    /// Reads the member FunctionName and the qualifier beside it.
    fn read(cx: &Cx, name: Option<String>, qualifier: Option<String>) -> Result<Self, ApiError> {
        let text = need(name, "functionName")?;
        let refused = || {
            let shown: String = text.chars().take(170).collect();
            let text = format!(
                "1 validation error detected: Value '{shown}' at 'functionName' failed to satisfy constraint: Member must satisfy \
                 regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{{2}}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?"
            );
            ApiError::sender("ValidationException", text)
        };
        // NAME[:Q], ACCOUNT:function:NAME[:Q], arn:aws:lambda:REGION:ACCOUNT:function:NAME[:Q], function:NAME[:Q]
        let parts: Vec<&str> = text.split(':').collect();
        let (region, rest) = match parts.as_slice() {
            ["arn", _, "lambda", region, _, "function", rest @ ..] => (*region, rest),
            [_, "function", rest @ ..] | ["function", rest @ ..] => (cx.region.as_str(), rest),
            rest => (cx.region.as_str(), rest),
        };
        let (name, inside) = match rest {
            [name] => (*name, None),
            [name, inside] => (*name, Some((*inside).to_owned())),
            _ => return Err(refused()),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 140 || !name.bytes().all(allowed) {
            return Err(refused());
        }
        if inside.is_some() && qualifier.is_some() && inside != qualifier {
            return Err(invalid(
                "The derived qualifier from the function name does not match the specified qualifier.",
            ));
        }
        let named = Self {
            region: region.to_owned(),
            account: cx.app.account.clone(),
            name: name.to_owned(),
            qualifier: qualifier.or(inside),
        };
        if region != cx.region {
            return Err(named.missing());
        }
        Ok(named)
    }

    fn arn(&self) -> String {
        let arn = functions::arn(&self.region, &self.account, &self.name);
        match &self.qualifier {
            Some(qualifier) => format!("{arn}:{qualifier}"),
            None => arn,
        }
    }

    fn missing(&self) -> ApiError {
        let message = format!("Function not found: {}", self.arn());
        ApiError { status: 404, code: "ResourceNotFoundException", message }
    }

    /// The error that `refusal` is, for this function.
    fn no(&self, refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Missing(Resource::Function) => self.missing(),
            Refusal::Exists(Resource::Function) => {
                let message = format!("Function already exist: {}", self.name);
                ApiError { status: 409, code: "ResourceConflictException", message }
            }
            Refusal::Conflict(message) => {
                ApiError { status: 412, code: "PreconditionFailedException", message }
            }
            other => refused(Service::Lambda, other),
        }
    }

    fn find(&self, cx: &Cx) -> Result<Function, ApiError> {
        functions::find(&cx.app.records, &self.region, &self.name, self.qualifier.as_deref())
            .map_err(|refusal| self.no(refusal))
    }

    /// Refuses a version where only the function itself can be meant.
    fn whole(self) -> Result<Self, ApiError> {
        match self.qualifier.as_deref() {
            None | Some(LATEST) => Ok(Self { qualifier: None, ..self }),
            Some(version) => Err(invalid(format!(
                "{version}: this operation is served for the function itself; leave out the version"
            ))),
        }
    }
}

/// A function that is named, and nothing else of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionRequest {
    function_name: Option<String>,
    qualifier: Option<String>,
}

/// What CreateFunction and UpdateFunctionConfiguration say of a function.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConfigurationRequest {
    function_name: Option<String>,
    runtime: Option<String>,
    role: Option<String>,
    handler: Option<String>,
    code: Option<Code>,
    description: Option<String>,
    timeout: Option<u32>,
    memory_size: Option<u32>,
    publish: Option<bool>,
    package_type: Option<String>,
    environment: Option<Environment>,
    tracing_config: Option<TracingConfig>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: BTreeMap<String, String>,
    architectures: Option<Vec<String>>,
    ephemeral_storage: Option<EphemeralStorage>,
    logging_config: Option<LoggingConfig>,
    revision_id: Option<String>,
    // What is not served is read in order to be refused.
    vpc_config: Option<Value>,
    dead_letter_config: Option<Value>,
    #[serde(rename = "KMSKeyArn")]
    kms_key_arn: Option<Value>,
    layers: Option<Value>,
    file_system_configs: Option<Value>,
    image_config: Option<Value>,
    code_signing_config_arn: Option<Value>,
    snap_start: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Code {
    zip_file: Option<Blob>,
    s3_bucket: Option<String>,
    image_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default, deserialize_with = "super::nullable")]
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TracingConfig {
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EphemeralStorage {
    size: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    log_format: Option<String>,
    log_group: Option<String>,
}

impl ConfigurationRequest {
    /// Refuses what would be configured and not happen.
    fn check_served(&self) -> Result<(), ApiError> {
        let said = [
            ("VpcConfig", &self.vpc_config),
            ("DeadLetterConfig", &self.dead_letter_config),
            ("KMSKeyArn", &self.kms_key_arn),
            ("Layers", &self.layers),
            ("FileSystemConfigs", &self.file_system_configs),
            ("ImageConfig", &self.image_config),
            ("CodeSigningConfigArn", &self.code_signing_config_arn),
        ];
        for (name, value) in said {
            if value.as_ref().is_some_and(says_something) {
                return Err(invalid(format!("{name} is not served; leave it out")));
            }
        }
        let snaps = self.snap_start.as_ref().and_then(|value| value.get("ApplyOn")).and_then(Value::as_str);
        if snaps.is_some_and(|on| on != "None") {
            return Err(invalid("SnapStart is not served; leave it out or set ApplyOn to None"));
        }
        if self.package_type.as_deref().is_some_and(|kind| kind != "Zip") {
            return Err(invalid("PackageType: container images are not served; upload a zip"));
        }
        let format = self.logging_config.as_ref().and_then(|logging| logging.log_format.as_deref());
        if format.is_some_and(|format| format != "Text") {
            return Err(invalid("LoggingConfig.LogFormat: only Text is served"));
        }
        Ok(())
    }

    /// Changes `function` to what is said.
    fn apply(self, function: &mut Function) -> Result<(), Refusal> {
        let set = |to: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *to = value;
            }
        };
        set(&mut function.runtime, self.runtime);
        set(&mut function.role, self.role);
        set(&mut function.handler, self.handler);
        set(&mut function.description, self.description);
        set(&mut function.tracing, self.tracing_config.and_then(|tracing| tracing.mode));
        function.timeout_s = self.timeout.unwrap_or(function.timeout_s);
        function.memory_mib = self.memory_size.unwrap_or(function.memory_mib);
        let room = self.ephemeral_storage.and_then(|storage| storage.size);
        function.ephemeral_mib = room.unwrap_or(function.ephemeral_mib);
        if let Some(environment) = self.environment {
            function.environment = environment.variables;
        }
        if let Some(logging) = self.logging_config {
            let default = format!("/aws/lambda/{}", function.name);
            function.log_group = logging.log_group.filter(|group| *group != default);
        }
        match self.architectures.as_deref() {
            None => {}
            Some([one]) => function.architecture = one.clone(),
            Some(_) => return Err(Refusal::Invalid("architectures: one is to be named".into())),
        }
        Ok(())
    }
}

/// Whether a JSON value says more than an empty one.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(said) => *said,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
    }
}

impl Code {
    /// The zip, looked through.
    fn zip(self) -> Result<Vec<u8>, ApiError> {
        if self.s3_bucket.is_some() {
            return Err(invalid("Code.S3Bucket: code is not fetched from buckets; send it as ZipFile"));
        }
        if self.image_uri.is_some() {
            return Err(invalid("Code.ImageUri: container images are not served; send a ZipFile"));
        }
        checked(need(self.zip_file, "code.zipFile")?.0)
    }
}

fn checked(zip: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    let done = tokio::task::block_in_place(|| unpack::check(&zip));
    done.map_err(|error| invalid(error.to_string()))?;
    Ok(zip)
}

pub(super) async fn create_function(
    cx: Cx,
    mut request: ConfigurationRequest,
) -> Result<FunctionConfiguration, ApiError> {
    request.check_served()?;
    let named = Named::read(&cx, request.function_name.take(), None)?.whole()?;
    let code = need(request.code.take(), "code")?.zip()?;
    check_role(&cx, &named, need(request.role.as_ref(), "role")?)?;
    if request.runtime.is_none() || request.handler.is_none() {
        return Err(invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ));
    }
    let publish = request.publish.unwrap_or(false);
    let mut function = fresh(&cx, &named);
    function.tags = std::mem::take(&mut request.tags);
    request.apply(&mut function).map_err(|refusal| named.no(refusal))?;
    let made = functions::create(&cx.app.records, function, &code).map_err(|refusal| named.no(refusal))?;
    let shown = if publish { published(&cx, &named, None, None)? } else { made };
    Ok(described(&cx, &shown))
}

/// Refuses a role that Lambda may not act in.
fn check_role(cx: &Cx, named: &Named, role: &str) -> Result<(), ApiError> {
    let session = keys::role_session(&cx.app, SERVICE, role, &named.name, cx.now);
    session.map(|_| ()).map_err(|_| invalid("The role defined for the function cannot be assumed by Lambda."))
}

/// A function of the name with what is set where nothing is said.
fn fresh(cx: &Cx, named: &Named) -> Function {
    Function {
        region: named.region.clone(),
        name: named.name.clone(),
        version: LATEST.to_owned(),
        runtime: String::new(),
        handler: String::new(),
        role: String::new(),
        description: String::new(),
        timeout_s: 3,
        memory_mib: 128,
        ephemeral_mib: 512,
        environment: BTreeMap::new(),
        architecture: "x86_64".to_owned(),
        tracing: "PassThrough".to_owned(),
        log_group: None,
        code_sha256: String::new(),
        code_bytes: 0,
        modified: cx.now,
        revision: uuid::Uuid::new_v4().to_string(),
        tags: BTreeMap::new(),
        reserved: None,
        statements: Vec::new(),
        events: None,
        versions: 0,
    }
}

fn published(
    cx: &Cx,
    named: &Named,
    revision: Option<&str>,
    description: Option<String>,
) -> Result<Function, ApiError> {
    functions::publish(&cx.app.records, &named.region, &named.name, revision, description)
        .map_err(|refusal| named.no(refusal))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetFunctionResponse {
    configuration: FunctionConfiguration,
    code: CodeLocation,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<annotations::Concurrency>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CodeLocation {
    repository_type: &'static str,
    location: String,
}

pub(super) async fn get_function(cx: Cx, request: FunctionRequest) -> Result<GetFunctionResponse, ApiError> {
    let named = Named::read(&cx, request.function_name, request.qualifier)?;
    let function = named.find(&cx)?;
    // AWS gives a presigned address of S3 here. Nothing is served at this one: clients only look whether there is one.
    let location =
        format!("{}/_nightbell/functions/{}/{}", cx.app.public_url, function.name, function.code_name());
    Ok(GetFunctionResponse {
        configuration: described(&cx, &function),
        code: CodeLocation { repository_type: "S3", location },
        concurrency: annotations::concurrency(&function),
        tags: function.tags,
    })
}

pub(super) async fn get_function_configuration(
    cx: Cx,
    request: FunctionRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let function = Named::read(&cx, request.function_name, request.qualifier)?.find(&cx)?;
    Ok(described(&cx, &function))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctionsRequest {
    function_version: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctionsResponse {
    functions: Vec<FunctionConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

pub(super) async fn list_functions(
    cx: Cx,
    request: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, ApiError> {
    let no = |refusal| refused(Service::Lambda, refusal);
    let all = match request.function_version.as_deref() {
        None => false,
        Some("ALL") => true,
        Some(other) => {
            let allowed = "Member must satisfy enum value set: [ALL]";
            return Err(no(crate::manage::violates(other, "functionVersion", allowed)));
        }
    };
    let mut found = Vec::new();
    for function in functions::list(&cx.app.records, &cx.region).map_err(no)? {
        if all {
            found.extend(functions::versions(&cx.app.records, &cx.region, &function.name).map_err(no)?);
        }
        found.push(function);
    }
    let found = found.iter().map(|function| listed(&cx, function)).collect();
    let (functions, next_marker) = shown_page(found, request.max_items, request.marker)?;
    Ok(ListFunctionsResponse { functions, next_marker })
}

fn shown_page(
    mut found: Vec<FunctionConfiguration>,
    limit: Option<i64>,
    token: Option<String>,
) -> Result<(Vec<FunctionConfiguration>, Option<String>), ApiError> {
    found.sort_by(|one, other| one.order().cmp(other.order()));
    let limit = limit.map(|limit| limit.min(PAGE_MAX as i64));
    let bounds = Page { limit, token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    page(found, &bounds, FunctionConfiguration::order).map_err(invalid)
}

pub(super) async fn update_function_configuration(
    cx: Cx,
    mut request: ConfigurationRequest,
) -> Result<FunctionConfiguration, ApiError> {
    request.check_served()?;
    let named = Named::read(&cx, request.function_name.take(), None)?.whole()?;
    let revision = request.revision_id.take();
    if let Some(role) = &request.role {
        check_role(&cx, &named, role)?;
    }
    let changed = functions::update(
        &cx.app.records,
        &named.region,
        &named.name,
        revision.as_deref(),
        cx.now,
        |function| request.apply(function),
    );
    Ok(described(&cx, &changed.map_err(|refusal| named.no(refusal))?))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateFunctionCodeRequest {
    function_name: Option<String>,
    zip_file: Option<Blob>,
    s3_bucket: Option<String>,
    image_uri: Option<String>,
    publish: Option<bool>,
    dry_run: Option<bool>,
    revision_id: Option<String>,
}

pub(super) async fn update_function_code(
    cx: Cx,
    request: UpdateFunctionCodeRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let named = Named::read(&cx, request.function_name, None)?.whole()?;
    let code =
        Code { zip_file: request.zip_file, s3_bucket: request.s3_bucket, image_uri: request.image_uri }
            .zip()?;
    if request.dry_run.unwrap_or(false) {
        return Ok(described(&cx, &named.find(&cx)?));
    }
    let revision = request.revision_id.as_deref();
    let changed =
        functions::replace_code(&cx.app.records, &named.region, &named.name, revision, &code, cx.now);
    let changed = changed.map_err(|refusal| named.no(refusal))?;
    let shown = if request.publish.unwrap_or(false) { published(&cx, &named, None, None)? } else { changed };
    Ok(described(&cx, &shown))
}

pub(super) async fn delete_function(cx: Cx, request: FunctionRequest) -> Result<(), ApiError> {
    let named = Named::read(&cx, request.function_name, request.qualifier)?;
    let version = named.qualifier.as_deref();
    if version == Some(LATEST) {
        return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
    }
    functions::remove(&cx.app.records, &named.region, &named.name, version)
        .map_err(|refusal| named.no(refusal))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PublishVersionRequest {
    function_name: Option<String>,
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

pub(super) async fn publish_version(
    cx: Cx,
    request: PublishVersionRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let named = Named::read(&cx, request.function_name, None)?.whole()?;
    let is_there = named.find(&cx)?.code_sha256;
    if request.code_sha256.is_some_and(|wanted| wanted != is_there) {
        return Err(invalid(format!(
            "CodeSHA256 is different from current CodeSHA256 in $LATEST: {is_there}"
        )));
    }
    let version = published(&cx, &named, request.revision_id.as_deref(), request.description)?;
    Ok(described(&cx, &version))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListVersionsByFunctionRequest {
    function_name: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListVersionsByFunctionResponse {
    versions: Vec<FunctionConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

pub(super) async fn list_versions_by_function(
    cx: Cx,
    request: ListVersionsByFunctionRequest,
) -> Result<ListVersionsByFunctionResponse, ApiError> {
    let named = Named::read(&cx, request.function_name, None)?.whole()?;
    let latest = named.find(&cx)?;
    let versions = functions::versions(&cx.app.records, &named.region, &named.name);
    let versions = versions.map_err(|refusal| named.no(refusal))?;
    let found = [latest].iter().chain(&versions).map(|function| listed(&cx, function)).collect();
    let (versions, next_marker) = shown_page(found, request.max_items, request.marker)?;
    Ok(ListVersionsByFunctionResponse { versions, next_marker })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetFunctionCodeSigningConfigResponse {
    function_name: String,
}

/// No function has one; its absence is what clients look for.
pub(super) async fn get_function_code_signing_config(
    cx: Cx,
    request: FunctionRequest,
) -> Result<GetFunctionCodeSigningConfigResponse, ApiError> {
    let function = Named::read(&cx, request.function_name, None)?.find(&cx)?;
    Ok(GetFunctionCodeSigningConfigResponse { function_name: function.name })
}
