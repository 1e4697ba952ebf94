/*!
SES version 2: the same identities and the same way out.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identities::{PAGE_MAX, begin, dkim_tokens};
use super::message::{Destination, Message, MessageId, RawMessage, Sending};
use super::sending::{NothingAsked, SendQuota};
use super::{Done, here, invalid, named, need, no};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::aws::page::{Page, page};
use crate::aws::service::Service;
use crate::manage::identities::{Identity, Status};

const SES: Service = Service::SesV2;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct SendEmailRequest {
    from_email_address: Option<String>,
    destination: Option<Destination>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    reply_to_addresses: Vec<String>,
    feedback_forwarding_email_address: Option<String>,
    content: Option<Content>,
    configuration_set_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Option<Message>,
    raw: Option<RawMessage>,
    template: Option<Template>,
}

#[derive(Deserialize)]
struct Template {}

pub(in crate::aws) async fn send_email(cx: Cx, request: SendEmailRequest) -> Result<MessageId, ApiError> {
    let content = need(SES, request.content, "content")?;
    let sending = Sending {
        service: SES,
        source: request.from_email_address,
        destination: request.destination.unwrap_or_default(),
        reply_to: request.reply_to_addresses,
        return_path: request.feedback_forwarding_email_address,
        configuration_set: request.configuration_set_name,
    };
    match content {
        Content { simple: Some(message), raw: None, template: None } => sending.message(&cx, message),
        Content { simple: None, raw: Some(raw), template: None } => sending.raw(&cx, raw),
        Content { template: Some(Template {}), .. } => {
            Err(invalid(SES, "Content.Template is not served by this version; send Simple or Raw"))
        }
        Content { .. } => Err(invalid(SES, "Content holds exactly one of Simple and Raw")),
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

fn tags(given: Vec<Tag>) -> BTreeMap<String, String> {
    given.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn shown_tags(tags: BTreeMap<String, String>) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key, value }).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreateEmailIdentityRequest {
    email_identity: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreateEmailIdentityResponse {
    identity_type: &'static str,
    verified_for_sending_status: bool,
    dkim_attributes: DkimAttributes,
}

/// Nothing is signed here: a mail server beyond may do that.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DkimAttributes {
    signing_enabled: bool,
    status: &'static str,
    tokens: Vec<String>,
    signing_attributes_origin: &'static str,
}

impl DkimAttributes {
    fn of(identity: &Identity) -> Self {
        let tokens = dkim_tokens(identity);
        Self { signing_enabled: false, status: "NOT_STARTED", tokens, signing_attributes_origin: "AWS_SES" }
    }
}

fn kind(identity: &Identity) -> &'static str {
    if identity.is_domain() { "DOMAIN" } else { "EMAIL_ADDRESS" }
}

fn missing(name: &str) -> ApiError {
    let message = format!("Email identity {name} does not exist.");
    ApiError { status: 404, code: "NotFoundException", message }
}

fn found(cx: &Cx, name: &str) -> Result<Identity, ApiError> {
    here(cx).find(name).map_err(|failure| no(SES, failure.into()))?.ok_or_else(|| missing(name))
}

pub(in crate::aws) async fn create_email_identity(
    cx: Cx,
    request: CreateEmailIdentityRequest,
) -> Result<CreateEmailIdentityResponse, ApiError> {
    let name = named(SES, request.email_identity, "emailIdentity")?;
    if here(&cx).is_kept(&name).map_err(|failure| no(SES, failure.into()))? {
        return Err(ApiError::sender(
            "AlreadyExistsException",
            format!("Email identity {name} already exist."),
        ));
    }
    let identity = begin(&cx, SES, &name, tags(request.tags))?;
    Ok(CreateEmailIdentityResponse {
        identity_type: kind(&identity),
        verified_for_sending_status: here(&cx).status(&identity, cx.now) == Status::Verified,
        dkim_attributes: DkimAttributes::of(&identity),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct EmailIdentityRequest {
    email_identity: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetEmailIdentityResponse {
    identity_type: &'static str,
    feedback_forwarding_status: bool,
    verified_for_sending_status: bool,
    verification_status: &'static str,
    dkim_attributes: DkimAttributes,
    mail_from_attributes: MailFromAttributes,
    policies: BTreeMap<String, String>,
    tags: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MailFromAttributes {
    behavior_on_mx_failure: &'static str,
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Verified => "SUCCESS",
        Status::Pending => "PENDING",
        Status::Failed => "FAILED",
    }
}

pub(in crate::aws) async fn get_email_identity(
    cx: Cx,
    request: EmailIdentityRequest,
) -> Result<GetEmailIdentityResponse, ApiError> {
    let name = named(SES, request.email_identity, "emailIdentity")?;
    let identity = found(&cx, &name)?;
    let status = here(&cx).status(&identity, cx.now);
    Ok(GetEmailIdentityResponse {
        identity_type: kind(&identity),
        feedback_forwarding_status: false,
        verified_for_sending_status: status == Status::Verified,
        verification_status: status_name(status),
        dkim_attributes: DkimAttributes::of(&identity),
        mail_from_attributes: MailFromAttributes { behavior_on_mx_failure: "USE_DEFAULT_VALUE" },
        policies: BTreeMap::new(),
        tags: shown_tags(identity.tags),
    })
}

pub(in crate::aws) async fn delete_email_identity(
    cx: Cx,
    request: EmailIdentityRequest,
) -> Result<Done, ApiError> {
    let name = named(SES, request.email_identity, "emailIdentity")?;
    found(&cx, &name)?;
    let here = here(&cx);
    if !here.is_kept(&name).map_err(|failure| no(SES, failure.into()))? {
        let text =
            format!("{name} is verified by the setting ses_verified of this server; take it out there");
        return Err(invalid(SES, text));
    }
    here.remove(&name).map_err(|refusal| no(SES, refusal))?;
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListEmailIdentitiesRequest {
    next_token: Option<String>,
    page_size: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListEmailIdentitiesResponse {
    email_identities: Vec<IdentityEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct IdentityEntry {
    identity_type: &'static str,
    identity_name: String,
    sending_enabled: bool,
    verification_status: &'static str,
}

pub(in crate::aws) async fn list_email_identities(
    cx: Cx,
    request: ListEmailIdentitiesRequest,
) -> Result<ListEmailIdentitiesResponse, ApiError> {
    let here = here(&cx);
    let all = here.list().map_err(|failure| no(SES, failure.into()))?;
    let bounds = Page {
        limit: request.page_size,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let (shown, next_token) =
        page(all, &bounds, |identity| &identity.name).map_err(|text| invalid(SES, text))?;
    let entry = |identity: Identity| {
        let status = here.status(&identity, cx.now);
        IdentityEntry {
            identity_type: kind(&identity),
            identity_name: identity.name,
            sending_enabled: status == Status::Verified,
            verification_status: status_name(status),
        }
    };
    Ok(ListEmailIdentitiesResponse { email_identities: shown.into_iter().map(entry).collect(), next_token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Account {
    dedicated_ip_auto_warmup_enabled: bool,
    enforcement_status: &'static str,
    production_access_enabled: bool,
    send_quota: SendQuota,
    sending_enabled: bool,
}

/// There is no sandbox.
pub(in crate::aws) async fn get_account(cx: Cx, _request: NothingAsked) -> Result<Account, ApiError> {
    Ok(Account {
        dedicated_ip_auto_warmup_enabled: false,
        enforcement_status: "HEALTHY",
        production_access_enabled: true,
        send_quota: SendQuota::of(&cx, SES)?,
        sending_enabled: true,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TagResourceRequest {
    resource_arn: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
}

/// The identity that an ARN names.
fn tagged(cx: &Cx, arn: Option<String>) -> Result<String, ApiError> {
    let arn = need(SES, arn, "resourceArn")?;
    let start = format!("arn:aws:ses:{}:{}:identity/", cx.region, cx.app.account);
    let name = arn.strip_prefix(&start).map(str::to_owned).ok_or_else(|| {
        let shown: String = arn.chars().take(200).collect();
        invalid(SES, format!("{shown} is no ARN of an identity here, {start}NAME"))
    })?;
    named(SES, Some(name), "resourceArn")
}

pub(in crate::aws) async fn tag_resource(cx: Cx, request: TagResourceRequest) -> Result<Done, ApiError> {
    let name = tagged(&cx, request.resource_arn)?;
    retag(&cx, &name, |kept| kept.extend(tags(request.tags)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct UntagResourceRequest {
    resource_arn: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tag_keys: Vec<String>,
}

pub(in crate::aws) async fn untag_resource(cx: Cx, request: UntagResourceRequest) -> Result<Done, ApiError> {
    let name = tagged(&cx, request.resource_arn)?;
    retag(&cx, &name, |kept| kept.retain(|key, _| !request.tag_keys.contains(key)))
}

fn retag(cx: &Cx, name: &str, edit: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<Done, ApiError> {
    let there = here(cx).retag(name, edit).map_err(|refusal| no(SES, refusal))?;
    if there { Ok(Done {}) } else { Err(missing(name)) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListTagsRequest {
    resource_arn: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListTagsResponse {
    tags: Vec<Tag>,
}

pub(in crate::aws) async fn list_tags_for_resource(
    cx: Cx,
    request: ListTagsRequest,
) -> Result<ListTagsResponse, ApiError> {
    let name = tagged(&cx, request.resource_arn)?;
    Ok(ListTagsResponse { tags: shown_tags(found(&cx, &name)?.tags) })
}
