/*!
STS: who the caller is, and sessions of roles ("AWS Security Token Service API Reference").
*/

use nightbell_core::policy::{Policy, PolicyKind, SESSION_POLICY_CHARS_MAX};
use nightbell_core::time::SECOND_MS;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::access::{Asking, may_not_assume};
use super::error::{ApiError, Told, stored};
use super::service::Service;
use crate::auth::Principal;
use crate::keys::TOKEN_BYTES_MAX;
use crate::manage::iam::policies;
use crate::manage::iam::{Iam, IamError, Identity, MAX_SESSION_SECONDS, SESSION_SECONDS_MIN};

/// Managed policies that may be passed to a session.
pub(crate) const SESSION_POLICY_ARNS_MAX: usize = 10;
/// Characters of a session's name, least and most.
pub(crate) const SESSION_NAME_CHARS: (usize, usize) = (2, 64);
/// Seconds of a session where nothing is asked; also the most for sessions that sessions make.
pub(crate) const SESSION_SECONDS_DEFAULT: i64 = 3_600;
/// Characters of an external id.
const EXTERNAL_ID_CHARS_MAX: usize = 1_224;

#[derive(Deserialize)]
pub(super) struct GetCallerIdentityRequest {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetCallerIdentityResponse {
    arn: String,
    user_id: String,
    account: String,
}

pub(super) async fn get_caller_identity(
    cx: Cx,
    _request: GetCallerIdentityRequest,
) -> Result<GetCallerIdentityResponse, ApiError> {
    let account = cx.app.account.clone();
    match (cx.caller.arn(&account), cx.caller.user_id(&account)) {
        (Some(arn), Some(user_id)) => Ok(GetCallerIdentityResponse { arn, user_id, account }),
        _ => Err(ApiError { status: 403, code: "AccessDenied", message: "The request is not signed".into() }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssumeRoleRequest {
    role_arn: Option<String>,
    role_session_name: Option<String>,
    duration_seconds: Option<i64>,
    policy: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    policy_arns: Vec<PolicyArn>,
    external_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct PolicyArn {
    arn: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssumeRoleResponse {
    credentials: SessionCredentials,
    assumed_role_user: AssumedRoleUser,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed_policy_size: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    assumed_role_id: String,
    arn: String,
}

pub(super) async fn assume_role(cx: Cx, request: AssumeRoleRequest) -> Result<AssumeRoleResponse, Told> {
    let role_arn = need(request.role_arn, "roleArn")?;
    let name = session_name(request.role_session_name)?;
    let (policy, policy_arns) = passed(&cx, request.policy, request.policy_arns)?;
    let external_id = request.external_id;
    if let Some(id) =
        external_id.as_deref().filter(|id| !(2..=EXTERNAL_ID_CHARS_MAX).contains(&id.chars().count()))
    {
        let allowed = format!("Member must have length between 2 and {EXTERNAL_ID_CHARS_MAX}");
        return Err(violates(id, "externalId", &allowed).into());
    }
    let role = match Iam::of(&cx.app).role(&role_arn) {
        Ok(role) => role,
        // Nobody learns which roles there are.
        Err(IamError::Missing(_)) => return Err(may_not_assume(&cx, &role_arn).into()),
        Err(other) => return Err(other.into()),
    };
    let mut facts = vec![("sts:RoleSessionName", name.clone())];
    facts.extend(external_id.map(|id| ("sts:ExternalId", id)));
    let mut asking = Asking::of(&cx).map_err(|failure| stored(Service::Sts, &failure))?;
    if !asking.may_assume(&role_arn, role.trust_policy()?, &facts) {
        return Err(may_not_assume(&cx, &role_arn).into());
    }
    let seconds = seconds(&cx, &role, request.duration_seconds)?;
    let has_policy = policy.is_some() || !policy_arns.is_empty();
    let session = role.session(&cx.app.account, &name, policy, policy_arns);
    let credentials = cx.app.keys.issue(&session, cx.now.plus_millis(seconds * SECOND_MS));
    let packed = (credentials.session_token.len() * 100).div_ceil(TOKEN_BYTES_MAX);
    Ok(AssumeRoleResponse {
        packed_policy_size: has_policy.then_some(packed),
        assumed_role_user: AssumedRoleUser {
            assumed_role_id: format!("{}:{}", session.role_id, session.name),
            arn: session.arn,
        },
        credentials: SessionCredentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
            expiration: Time(credentials.expires.as_millis()),
        },
    })
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("ValidationError", text)
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

fn violates(value: &str, field: &str, constraint: &str) -> ApiError {
    let shown: String = value.chars().take(100).collect();
    invalid(format!(
        "1 validation error detected: Value '{shown}' at '{field}' failed to satisfy constraint: {constraint}"
    ))
}

fn session_name(name: Option<String>) -> Result<String, ApiError> {
    let name = need(name, "roleSessionName")?;
    let (least, most) = SESSION_NAME_CHARS;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if !(least..=most).contains(&name.len()) || !name.bytes().all(allowed) {
        let rule = format!(
            "Member must have {least} to {most} characters and satisfy regular expression pattern: [\\w+=,.@-]*"
        );
        return Err(violates(&name, "roleSessionName", &rule));
    }
    Ok(name)
}

/// The policies that narrow the session.
fn passed(
    cx: &Cx,
    policy: Option<String>,
    arns: Vec<PolicyArn>,
) -> Result<(Option<String>, Vec<String>), Told> {
    if let Some(policy) = &policy {
        if policy.chars().count() > SESSION_POLICY_CHARS_MAX {
            let allowed = format!("Member must have length less than or equal to {SESSION_POLICY_CHARS_MAX}");
            return Err(violates(policy, "policy", &allowed).into());
        }
        Policy::parse(policy, PolicyKind::Identity).map_err(IamError::Malformed)?;
    }
    let arns: Vec<String> = arns.into_iter().filter_map(|policy| policy.arn).collect();
    if arns.len() > SESSION_POLICY_ARNS_MAX {
        let allowed = format!("Member must have length less than or equal to {SESSION_POLICY_ARNS_MAX}");
        return Err(violates(&arns.len().to_string(), "policyArns", &allowed).into());
    }
    for arn in &arns {
        let found = policies::document(&cx.app.records, &cx.app.account, arn).map_err(IamError::from)?;
        if found.is_none() {
            let text = format!("The policy with ARN {arn} is not there or cannot be passed to a session");
            return Err(invalid(text).into());
        }
    }
    Ok((policy, arns))
}

/// How long the session is to be.
fn seconds(cx: &Cx, role: &Identity, asked: Option<i64>) -> Result<i64, ApiError> {
    let most = role.trust.as_ref().map_or(MAX_SESSION_SECONDS.0, |trust| trust.max_session_seconds);
    let Some(asked) = asked else { return Ok(SESSION_SECONDS_DEFAULT.min(most)) };
    if asked < SESSION_SECONDS_MIN {
        let rule = format!("Member must have value greater than or equal to {SESSION_SECONDS_MIN}");
        return Err(violates(&asked.to_string(), "durationSeconds", &rule));
    }
    if matches!(cx.caller, Principal::AssumedRole { .. }) && asked > SESSION_SECONDS_DEFAULT {
        let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(invalid(text));
    }
    if asked > most {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(asked)
}
