/*!
A function as answers show it: every field that a client reads back, those that never change included.
*/

use std::collections::BTreeMap;

use nightbell_core::time::Timestamp;
use serde::Serialize;

use crate::aws::Cx;
use crate::manage::functions::{Function, LATEST};

/// "FunctionConfiguration" of the AWS Lambda API Reference.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct FunctionConfiguration {
    function_name: String,
    function_arn: String,
    runtime: String,
    role: String,
    handler: String,
    code_size: u64,
    description: String,
    timeout: u32,
    memory_size: u32,
    last_modified: String,
    code_sha256: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
    tracing_config: Mode,
    revision_id: String,
    state: &'static str,
    last_update_status: &'static str,
    package_type: &'static str,
    architectures: [String; 1],
    ephemeral_storage: Size,
    snap_start: SnapStart,
    logging_config: LoggingConfig,
    /// Orders listings; not part of the answer.
    #[serde(skip)]
    order: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    variables: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mode {
    mode: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    size: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SnapStart {
    apply_on: &'static str,
    optimization_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    log_format: &'static str,
    log_group: String,
}

impl FunctionConfiguration {
    /// What listings are in order of.
    pub(super) fn order(&self) -> &String {
        &self.order
    }
}

/// All of a function.
pub(super) fn described(cx: &Cx, function: &Function) -> FunctionConfiguration {
    let variables = function.environment.clone();
    let environment = (!variables.is_empty()).then_some(Environment { variables });
    FunctionConfiguration { environment, ..listed(cx, function) }
}

/// A function in a listing: without its variables, which may hold secrets.
pub(super) fn listed(cx: &Cx, function: &Function) -> FunctionConfiguration {
    let arn = function.arn(&cx.app.account);
    let is_latest = function.version == LATEST;
    FunctionConfiguration {
        function_arn: if is_latest { arn } else { format!("{arn}:{}", function.version) },
        order: match function.version.parse::<u64>() {
            Ok(number) => format!("{}/{number:020}", function.name),
            Err(_) => format!("{}/", function.name),
        },
        function_name: function.name.clone(),
        runtime: function.runtime.clone(),
        role: function.role.clone(),
        handler: function.handler.clone(),
        code_size: function.code_bytes,
        description: function.description.clone(),
        timeout: function.timeout_s,
        memory_size: function.memory_mib,
        last_modified: stamp(function.modified),
        code_sha256: function.code_sha256.clone(),
        version: function.version.clone(),
        environment: None,
        tracing_config: Mode { mode: function.tracing.clone() },
        revision_id: function.revision.clone(),
        state: "Active",
        last_update_status: "Successful",
        package_type: "Zip",
        architectures: [function.architecture.clone()],
        ephemeral_storage: Size { size: function.ephemeral_mib },
        snap_start: SnapStart { apply_on: "None", optimization_status: "Off" },
        logging_config: LoggingConfig { log_format: "Text", log_group: function.log_group() },
    }
}

/// A time as this service writes it.
fn stamp(time: Timestamp) -> String {
    let iso = time.iso();
    format!("{}+0000", iso.strip_suffix('Z').unwrap_or(&iso))
}
