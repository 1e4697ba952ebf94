/*!
Who else may invoke a function: its policy, a statement at a time ("AddPermission", AWS Lambda API Reference).
*/

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{FunctionRequest, Named, invalid, need};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::manage::Refusal;
use crate::manage::functions::{self, POLICY_BYTES_MAX};

/// Longest id of a statement, in characters.
const STATEMENT_ID_CHARS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct AddPermissionRequest {
    function_name: Option<String>,
    qualifier: Option<String>,
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    source_arn: Option<String>,
    source_account: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    principal_org_id: Option<String>,
    event_source_token: Option<String>,
    function_url_auth_type: Option<String>,
    revision_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct AddPermissionResponse {
    statement: String,
}

pub(in crate::aws) async fn add_permission(
    cx: Cx,
    mut request: AddPermissionRequest,
) -> Result<AddPermissionResponse, ApiError> {
    let named = Named::read(&cx, request.function_name.take(), request.qualifier.take())?.whole()?;
    let statement = request.statement(&named.arn())?;
    let sid = statement["Sid"].clone();
    let shown = statement.to_string();
    let revision = request.revision_id.as_deref();
    let added = functions::annotate(&cx.app.records, &named.region, &named.name, revision, |function| {
        if function.statements.iter().any(|there| there["Sid"] == sid) {
            return Ok(false);
        }
        function.statements.push(statement);
        let bytes: usize = function.statements.iter().map(|there| there.to_string().len()).sum();
        if bytes > POLICY_BYTES_MAX {
            let text =
                format!("The final policy size ({bytes}) is bigger than the limit ({POLICY_BYTES_MAX}).");
            return Err(Refusal::Limit(text));
        }
        Ok(true)
    });
    match added {
        Ok(true) => Ok(AddPermissionResponse { statement: shown }),
        Ok(false) => {
            let text = "The statement id provided already exists. Please provide a new statement id, or remove the existing statement.";
            Err(ApiError { status: 409, code: "ResourceConflictException", message: text.into() })
        }
        Err(Refusal::Limit(message)) => {
            Err(ApiError { status: 400, code: "PolicyLengthExceededException", message })
        }
        Err(refusal) => Err(named.no(refusal)),
    }
}

impl AddPermissionRequest {
    fn statement(&self, resource: &str) -> Result<Value, ApiError> {
        let sid = need(self.statement_id.clone(), "statementId")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if sid.is_empty() || sid.len() > STATEMENT_ID_CHARS_MAX || !sid.chars().all(allowed) {
            return Err(invalid("StatementId: 1 to 100 letters, digits, '-' and '_'"));
        }
        let action = need(self.action.clone(), "action")?;
        if !(action == "lambda:*" || action == "*" || action.starts_with("lambda:")) || action.len() > 64 {
            return Err(invalid(
                "Action: must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])",
            ));
        }
        if self.event_source_token.is_some() || self.function_url_auth_type.is_some() {
            return Err(invalid("EventSourceToken and FunctionUrlAuthType are not served; leave them out"));
        }
        let principal = principal(&need(self.principal.clone(), "principal")?)?;
        let mut statement = json!({
            "Sid": sid, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource,
        });
        let mut condition = Map::new();
        let mut equals = Map::new();
        if let Some(account) = &self.source_account {
            equals.insert("AWS:SourceAccount".into(), account.clone().into());
        }
        if let Some(organisation) = &self.principal_org_id {
            equals.insert("aws:PrincipalOrgID".into(), organisation.clone().into());
        }
        if !equals.is_empty() {
            condition.insert("StringEquals".into(), equals.into());
        }
        if let Some(arn) = &self.source_arn {
            condition.insert("ArnLike".into(), json!({ "AWS:SourceArn": arn }));
        }
        if !condition.is_empty() {
            statement["Condition"] = condition.into();
        }
        Ok(statement)
    }
}

/// Whom a statement is about: a service, an account, somebody of it, or all.
fn principal(text: &str) -> Result<Value, ApiError> {
    if text == "*" {
        return Ok(json!("*"));
    }
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(json!({ "AWS": format!("arn:aws:iam::{text}:root") }));
    }
    if text.starts_with("arn:") {
        return Ok(json!({ "AWS": text }));
    }
    if text.contains('.') && text.len() <= 256 && !text.contains(char::is_whitespace) {
        return Ok(json!({ "Service": text }));
    }
    Err(invalid(
        "The provided principal was invalid. Please check the principal and try again: a service such as sns.amazonaws.com, an account, an ARN, or *",
    ))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetPolicyResponse {
    policy: String,
    revision_id: String,
}

pub(in crate::aws) async fn get_policy(
    cx: Cx,
    request: FunctionRequest,
) -> Result<GetPolicyResponse, ApiError> {
    let named = Named::read(&cx, request.function_name, request.qualifier)?.whole()?;
    let function = named.find(&cx)?;
    if function.statements.is_empty() {
        return Err(no_policy());
    }
    let policy = json!({ "Version": "2012-10-17", "Id": "default", "Statement": function.statements });
    Ok(GetPolicyResponse { policy: policy.to_string(), revision_id: function.revision })
}

fn no_policy() -> ApiError {
    let message = "The resource you requested does not exist.".into();
    ApiError { status: 404, code: "ResourceNotFoundException", message }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct RemovePermissionRequest {
    function_name: Option<String>,
    statement_id: Option<String>,
    qualifier: Option<String>,
    revision_id: Option<String>,
}

pub(in crate::aws) async fn remove_permission(
    cx: Cx,
    request: RemovePermissionRequest,
) -> Result<(), ApiError> {
    let named = Named::read(&cx, request.function_name, request.qualifier)?.whole()?;
    let sid = need(request.statement_id, "statementId")?;
    let revision = request.revision_id.as_deref();
    let removed = functions::annotate(&cx.app.records, &named.region, &named.name, revision, |function| {
        let before = function.statements.len();
        function.statements.retain(|statement| statement["Sid"] != sid.as_str());
        Ok(function.statements.len() < before)
    });
    match removed.map_err(|refusal| named.no(refusal))? {
        true => Ok(()),
        false => Err(no_policy()),
    }
}
