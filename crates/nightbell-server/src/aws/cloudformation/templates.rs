/*!
Templates by themselves: shown, checked, summed up.
*/

use nightbell_core::stack::Template;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::describe::is_made;
use super::{ApiError, Cx, Goal, bad_template, by_url, checked_body, found, invalid};
use crate::stacks::change_sets;
use crate::stacks::plan::Blueprint;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TemplateRequest {
    template_body: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    stack_name: Option<String>,
    change_set_name: Option<String>,
    template_stage: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetTemplateResponse {
    template_body: String,
    stages_available: [&'static str; 2],
}

pub(in crate::aws) async fn get_template(
    cx: Cx,
    request: TemplateRequest,
) -> Result<GetTemplateResponse, ApiError> {
    if let Some(other) = request.template_stage.filter(|stage| !STAGES.contains(&stage.as_str())) {
        let shown: String = other.chars().take(100).collect();
        return Err(invalid(format!("TemplateStage {shown} is neither Original nor Processed")));
    }
    let goal = match (request.stack_name, request.change_set_name) {
        (stack, Some(set)) => of_change_set(&cx, stack.as_deref(), &set)?,
        (Some(named), None) => {
            let stack = found(&cx, &named)?;
            if !is_made(&stack) {
                let text = format!(
                    "GetTemplate cannot be called on REVIEW_IN_PROGRESS stacks; name the change set of {}",
                    stack.name
                );
                return Err(invalid(text));
            }
            stack.run.map_or(stack.goal, |run| run.to)
        }
        (None, None) => return Err(invalid("Either StackName or ChangeSetName must be specified.")),
    };
    Ok(GetTemplateResponse { template_body: goal.template, stages_available: STAGES })
}

/// Nothing is transformed, so both are the same.
const STAGES: [&str; 2] = ["Original", "Processed"];

fn of_change_set(cx: &Cx, stack: Option<&str>, name: &str) -> Result<Goal, ApiError> {
    let records = &cx.app.records;
    let set = match stack {
        _ if name.starts_with("arn:") => change_sets::find_arn(records, &cx.region, &cx.app.account, name),
        Some(stack) => change_sets::find(records, &found(cx, stack)?, name),
        None => {
            return Err(invalid("StackName must be specified if ChangeSetName is not specified as an ARN."));
        }
    };
    let set = set.map_err(super::no)?.ok_or_else(|| {
        let shown: String = name.chars().take(200).collect();
        ApiError {
            status: 404,
            code: "ChangeSetNotFound",
            message: format!("ChangeSet [{shown}] does not exist"),
        }
    })?;
    Ok(set.goal)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ValidateTemplateResponse {
    parameters: Vec<DeclaredParameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    capabilities: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities_reason: Option<String>,
    declared_transforms: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeclaredParameter {
    parameter_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter_type: Option<String>,
    no_echo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter_constraints: Option<Constraints>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Constraints {
    allowed_values: Vec<String>,
}

/// The parameters; in a summary with their types, in a check without.
fn declared(template: &Template, in_summary: bool) -> Vec<DeclaredParameter> {
    let one = |(name, parameter): (&String, &nightbell_core::stack::Parameter)| DeclaredParameter {
        parameter_key: name.clone(),
        default_value: parameter.default.clone(),
        parameter_type: in_summary.then(|| parameter.type_name.clone()),
        no_echo: parameter.no_echo,
        description: parameter.description.clone(),
        parameter_constraints: in_summary
            .then(|| Constraints { allowed_values: parameter.allowed_values.clone() }),
    };
    template.parameters.iter().map(one).collect()
}

/// What must be agreed to, and why.
fn capabilities(template: &Template) -> (Vec<&'static str>, Option<String>) {
    let Some(needed) = Blueprint::capability_of(template) else { return (Vec::new(), None) };
    let mut kinds: Vec<&str> = template.resources.values().map(|one| one.type_name.as_str()).collect();
    kinds.retain(|kind| kind.starts_with("AWS::IAM::"));
    kinds.sort_unstable();
    kinds.dedup();
    let reason = format!("The following resource(s) require capabilities: [{}]", kinds.join(", "));
    (vec![needed], Some(reason))
}

pub(in crate::aws) async fn validate_template(
    _cx: Cx,
    request: TemplateRequest,
) -> Result<ValidateTemplateResponse, ApiError> {
    let template = parsed(request.template_body, request.template_url)?;
    let (capabilities, capabilities_reason) = capabilities(&template);
    Ok(ValidateTemplateResponse {
        parameters: declared(&template, false),
        capabilities,
        capabilities_reason,
        declared_transforms: [],
        description: template.description,
    })
}

fn parsed(body: Option<String>, url: Option<String>) -> Result<Template, ApiError> {
    match (body, url) {
        (Some(body), None) => Template::parse(&checked_body(body)?).map_err(bad_template),
        (_, Some(_)) => Err(by_url()),
        (None, None) => Err(invalid("Either Template URL or Template Body must be specified.")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetTemplateSummaryResponse {
    parameters: Vec<DeclaredParameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    capabilities: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities_reason: Option<String>,
    resource_types: Vec<String>,
    version: &'static str,
    declared_transforms: [(); 0],
    resource_identifier_summaries: [Value; 0],
}

pub(in crate::aws) async fn get_template_summary(
    cx: Cx,
    request: TemplateRequest,
) -> Result<GetTemplateSummaryResponse, ApiError> {
    let template = match request.stack_name {
        Some(named) => Template::parse(&found(&cx, &named)?.goal.template).map_err(bad_template)?,
        None => parsed(request.template_body, request.template_url)?,
    };
    let (capabilities, capabilities_reason) = capabilities(&template);
    let mut resource_types: Vec<String> =
        template.resources.values().map(|one| one.type_name.clone()).collect();
    resource_types.sort_unstable();
    resource_types.dedup();
    Ok(GetTemplateSummaryResponse {
        parameters: declared(&template, true),
        capabilities,
        capabilities_reason,
        resource_types,
        version: "2010-09-09",
        declared_transforms: [],
        resource_identifier_summaries: [],
        description: template.description,
    })
}
