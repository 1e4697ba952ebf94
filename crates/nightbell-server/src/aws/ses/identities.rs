/*!
Identities: SES version 1.
*/

use std::collections::BTreeMap;

use nightbell_deliver::Post;
use nightbell_deliver::message::verification;
use nightbell_deliver::post::Stamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Done, here, invalid, named, no};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::aws::page::{Page, page};
use crate::aws::service::Service;
use crate::credentials::random;
use crate::manage::identities::{self, Identity, Status};
use crate::manage::posts;

const SES: Service = Service::Ses;
/// Letters of the secret of a link, and of what a domain's owner would publish.
const TOKEN_LETTERS: usize = 64;
/// Identities of one page ("ListIdentities").
pub(super) const PAGE_MAX: usize = 1_000;
/// Identities whose attributes are asked for at one time ("GetIdentityVerificationAttributes").
const ASKED_MAX: usize = 100;
/// DKIM tokens of a domain ("VerifyDomainDkim").
const DKIM_TOKENS: u8 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct EmailAddressRequest {
    email_address: Option<String>,
}

pub(in crate::aws) async fn verify_email_identity(
    cx: Cx,
    request: EmailAddressRequest,
) -> Result<Done, ApiError> {
    let name = named(SES, request.email_address, "emailAddress")?;
    if !name.contains('@') {
        return Err(invalid(SES, "Missing final '@domain'"));
    }
    begin(&cx, SES, &name, BTreeMap::new())?;
    Ok(Done {})
}

/// Adds an identity; asks the owner of an address whose answer is not known.
pub(super) fn begin(
    cx: &Cx,
    service: Service,
    name: &str,
    tags: BTreeMap<String, String>,
) -> Result<Identity, ApiError> {
    let refused = |refusal| no(service, refusal);
    identities::check_tags(&tags).map_err(refused)?;
    let here = here(cx);
    let asked = {
        let _turn = cx.app.records.turn();
        let mut change = Write::new();
        let token = random(TOKEN_LETTERS, b"0123456789abcdef");
        let identity = here.ask(name, token, cx.now, tags, &mut change).map_err(refused)?;
        let open = !identity.is_domain() && here.status(&identity, cx.now) != Status::Verified;
        if open {
            let post = question(cx, &identity).map_err(|text| invalid(service, text))?;
            posts::add(&cx.app.records, &cx.app.lanes, None, &post, &mut change).map_err(refused)?;
        }
        cx.app.records.commit(change).map_err(|failure| refused(failure.into()))?;
        identity
    };
    cx.app.outbox_bell.notify_one();
    Ok(asked)
}

/// The mail that asks the owner of an address.
fn question(cx: &Cx, identity: &Identity) -> Result<Post, String> {
    let id = Uuid::new_v4().to_string();
    let origin = &cx.app.origin;
    let url = format!("{}/?Action=ConfirmVerification&Token={}", cx.app.public_url, identity.token);
    let stamp = Stamp { message_id: origin.message_id(&id), date: cx.now };
    let content = verification(&identity.name, &url, origin, &stamp).map_err(|error| error.to_string())?;
    let sender =
        nightbell_deliver::post::correspondent(origin.from()).map_err(|error| error.to_string())?.address;
    Ok(Post { id, date: cx.now, sender, recipients: vec![identity.name.clone()], content })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ConfirmVerificationRequest {
    token: Option<String>,
}

/// What the link of a verification asks for; its secret is the token.
pub(in crate::aws) async fn confirm_verification(
    cx: Cx,
    request: ConfirmVerificationRequest,
) -> Result<Done, ApiError> {
    let token = request.token.unwrap_or_default();
    let confirmed =
        identities::confirm(&cx.app.records, &token, cx.now).map_err(|refusal| no(SES, refusal))?;
    if confirmed { Ok(Done {}) } else { Err(invalid(SES, "Invalid token")) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DomainRequest {
    domain: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct VerificationToken {
    verification_token: String,
}

/// A domain's name, of a request.
fn domain(request: DomainRequest) -> Result<String, ApiError> {
    let name = named(SES, request.domain, "domain")?;
    if name.contains('@') { Err(invalid(SES, format!("Invalid domain name {name}."))) } else { Ok(name) }
}

pub(in crate::aws) async fn verify_domain_identity(
    cx: Cx,
    request: DomainRequest,
) -> Result<VerificationToken, ApiError> {
    let identity = begin(&cx, SES, &domain(request)?, BTreeMap::new())?;
    Ok(VerificationToken { verification_token: identity.token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DkimTokens {
    dkim_tokens: Vec<String>,
}

pub(in crate::aws) async fn verify_domain_dkim(
    cx: Cx,
    request: DomainRequest,
) -> Result<DkimTokens, ApiError> {
    let identity = begin(&cx, SES, &domain(request)?, BTreeMap::new())?;
    Ok(DkimTokens { dkim_tokens: dkim_tokens(&identity) })
}

/// Three names that the domain's owner would publish; made of its token, so they stay the same. Nothing is signed by them.
pub(super) fn dkim_tokens(identity: &Identity) -> Vec<String> {
    if !identity.is_domain() || identity.token.is_empty() {
        return Vec::new();
    }
    let token = |n: u8| {
        let hash = Sha256::new().chain_update(&identity.token).chain_update([n]).finalize();
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    };
    (1..=DKIM_TOKENS).map(token).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DeleteIdentityRequest {
    #[serde(alias = "EmailAddress")]
    identity: Option<String>,
}

pub(in crate::aws) async fn delete_identity(
    cx: Cx,
    request: DeleteIdentityRequest,
) -> Result<Done, ApiError> {
    let name = named(SES, request.identity, "identity")?;
    here(&cx).remove(&name).map_err(|refusal| no(SES, refusal))?;
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListIdentitiesRequest {
    identity_type: Option<String>,
    next_token: Option<String>,
    max_items: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListIdentitiesResponse {
    identities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(in crate::aws) async fn list_identities(
    cx: Cx,
    request: ListIdentitiesRequest,
) -> Result<ListIdentitiesResponse, ApiError> {
    let domains = match request.identity_type.as_deref() {
        None => None,
        Some("EmailAddress") => Some(false),
        Some("Domain") => Some(true),
        Some(other) => {
            let text = format!("IdentityType {other:?} is none: use EmailAddress or Domain");
            return Err(invalid(SES, text));
        }
    };
    let all = here(&cx).list().map_err(|failure| no(SES, failure.into()))?;
    let wanted =
        all.into_iter().filter(|identity| domains.is_none_or(|domains| identity.is_domain() == domains));
    let bounds = Page {
        limit: request.max_items,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let names = wanted.map(|identity| identity.name).collect();
    let (identities, next_token) = page(names, &bounds, |name| name).map_err(|text| invalid(SES, text))?;
    Ok(ListIdentitiesResponse { identities, next_token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct VerifiedEmailAddresses {
    verified_email_addresses: Vec<String>,
}

pub(in crate::aws) async fn list_verified_email_addresses(
    cx: Cx,
    _request: super::sending::NothingAsked,
) -> Result<VerifiedEmailAddresses, ApiError> {
    let here = here(&cx);
    let all = here.list().map_err(|failure| no(SES, failure.into()))?;
    let verified =
        |identity: &Identity| !identity.is_domain() && here.status(identity, cx.now) == Status::Verified;
    let names = all.into_iter().filter(verified).map(|identity| identity.name);
    Ok(VerifiedEmailAddresses { verified_email_addresses: names.collect() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct IdentitiesRequest {
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    identities: Vec<String>,
}

/// Those of the named identities that are there, each under the name it was asked for by.
fn asked(cx: &Cx, request: IdentitiesRequest) -> Result<Vec<(String, Identity)>, ApiError> {
    if request.identities.len() > ASKED_MAX {
        return Err(invalid(SES, format!("At most {ASKED_MAX} identities may be asked for at one time")));
    }
    let here = here(cx);
    let mut found = Vec::new();
    for given in request.identities {
        let Some(name) = identities::normal(&given) else { continue };
        if let Some(identity) = here.find(&name).map_err(|failure| no(SES, failure.into()))? {
            found.push((given, identity));
        }
    }
    Ok(found)
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Verified => "Success",
        Status::Pending => "Pending",
        Status::Failed => "Failed",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct VerificationAttributes {
    verification_attributes: BTreeMap<String, Verification>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Verification {
    verification_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_token: Option<String>,
}

pub(in crate::aws) async fn get_verification_attributes(
    cx: Cx,
    request: IdentitiesRequest,
) -> Result<VerificationAttributes, ApiError> {
    let found = asked(&cx, request)?;
    let here = here(&cx);
    let shown = |(given, identity): (String, Identity)| {
        let status = status_name(here.status(&identity, cx.now));
        // The token of an address is the secret of its link.
        let token = Some(identity.token).filter(|token| !given.contains('@') && !token.is_empty());
        (given, Verification { verification_status: status, verification_token: token })
    };
    Ok(VerificationAttributes { verification_attributes: found.into_iter().map(shown).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DkimAttributes {
    dkim_attributes: BTreeMap<String, Dkim>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Dkim {
    dkim_enabled: bool,
    dkim_verification_status: &'static str,
    dkim_tokens: Vec<String>,
}

/// Nothing is signed here: a mail server beyond may do that.
pub(in crate::aws) async fn get_dkim_attributes(
    cx: Cx,
    request: IdentitiesRequest,
) -> Result<DkimAttributes, ApiError> {
    let shown = |(given, identity): (String, Identity)| {
        let tokens = dkim_tokens(&identity);
        (given, Dkim { dkim_enabled: false, dkim_verification_status: "NotStarted", dkim_tokens: tokens })
    };
    Ok(DkimAttributes { dkim_attributes: asked(&cx, request)?.into_iter().map(shown).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct NotificationAttributes {
    notification_attributes: BTreeMap<String, Notification>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    bounce_topic: &'static str,
    complaint_topic: &'static str,
    delivery_topic: &'static str,
    forwarding_enabled: bool,
    headers_in_bounce_notifications_enabled: bool,
    headers_in_complaint_notifications_enabled: bool,
    headers_in_delivery_notifications_enabled: bool,
}

pub(in crate::aws) async fn get_notification_attributes(
    cx: Cx,
    request: IdentitiesRequest,
) -> Result<NotificationAttributes, ApiError> {
    let none = |(given, _): (String, Identity)| {
        let none = Notification {
            bounce_topic: "",
            complaint_topic: "",
            delivery_topic: "",
            forwarding_enabled: false,
            headers_in_bounce_notifications_enabled: false,
            headers_in_complaint_notifications_enabled: false,
            headers_in_delivery_notifications_enabled: false,
        };
        (given, none)
    };
    Ok(NotificationAttributes {
        notification_attributes: asked(&cx, request)?.into_iter().map(none).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct MailFromDomainAttributes {
    mail_from_domain_attributes: BTreeMap<String, MailFromDomain>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MailFromDomain {
    #[serde(rename = "BehaviorOnMXFailure")]
    behavior_on_mx_failure: &'static str,
}

pub(in crate::aws) async fn get_mail_from_domain_attributes(
    cx: Cx,
    request: IdentitiesRequest,
) -> Result<MailFromDomainAttributes, ApiError> {
    let none = |(given, _): (String, Identity)| {
        (given, MailFromDomain { behavior_on_mx_failure: "UseDefaultValue" })
    };
    Ok(MailFromDomainAttributes {
        mail_from_domain_attributes: asked(&cx, request)?.into_iter().map(none).collect(),
    })
}
