/*!
The operations of SES, of both versions: one line for each, and where those of version 2 are asked for.
*/

use nightbell_wire::rest::Route;

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::ses::{identities, sending, v2};

/// Largest body: a mail of the largest size as base64, with what a form makes of that, and some room.
pub(in crate::aws) const BODY_BYTES_MAX: usize = 18 << 20;

/// Where the operations of version 2 are asked for.
pub(in crate::aws) static PATHS: [Route; 9] = [
    Route::new("POST", "/v2/email/outbound-emails", "SendEmail"),
    Route::new("POST", "/v2/email/identities", "CreateEmailIdentity"),
    Route::new("GET", "/v2/email/identities/{EmailIdentity}", "GetEmailIdentity"),
    Route::new("DELETE", "/v2/email/identities/{EmailIdentity}", "DeleteEmailIdentity"),
    Route::new("POST", "/v2/email/list-identities", "ListEmailIdentities"),
    Route::new("GET", "/v2/email/account", "GetAccount"),
    Route::new("POST", "/v2/email/tags", "TagResource"),
    Route::new("DELETE", "/v2/email/tags", "UntagResource"),
    Route::new("GET", "/v2/email/tags", "ListTagsForResource"),
];

/// Serves a call of SES.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "VerifyEmailIdentity" => asked.by(identities::verify_email_identity).await,
        "VerifyEmailAddress" => asked.by(identities::verify_email_identity).await,
        "ConfirmVerification" => asked.by(identities::confirm_verification).await,
        "VerifyDomainIdentity" => asked.by(identities::verify_domain_identity).await,
        "VerifyDomainDkim" => asked.by(identities::verify_domain_dkim).await,
        "DeleteIdentity" => asked.by(identities::delete_identity).await,
        "DeleteVerifiedEmailAddress" => asked.by(identities::delete_identity).await,
        "ListIdentities" => asked.by(identities::list_identities).await,
        "ListVerifiedEmailAddresses" => asked.by(identities::list_verified_email_addresses).await,
        "GetIdentityVerificationAttributes" => asked.by(identities::get_verification_attributes).await,
        "GetIdentityDkimAttributes" => asked.by(identities::get_dkim_attributes).await,
        "GetIdentityNotificationAttributes" => asked.by(identities::get_notification_attributes).await,
        "GetIdentityMailFromDomainAttributes" => asked.by(identities::get_mail_from_domain_attributes).await,
        "SendEmail" => asked.by(sending::send_email).await,
        "SendRawEmail" => asked.by(sending::send_raw_email).await,
        "GetSendQuota" => asked.by(sending::get_send_quota).await,
        "GetSendStatistics" => asked.by(sending::get_send_statistics).await,
        "GetAccountSendingEnabled" => asked.by(sending::get_account_sending_enabled).await,
        _ => asked.unknown(),
    }
}

/// Serves a call of SES version 2.
pub(super) async fn route_v2(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "SendEmail" => asked.by(v2::send_email).await,
        "CreateEmailIdentity" => asked.by(v2::create_email_identity).await,
        "GetEmailIdentity" => asked.by(v2::get_email_identity).await,
        "DeleteEmailIdentity" => asked.by(v2::delete_email_identity).await,
        "ListEmailIdentities" => asked.by(v2::list_email_identities).await,
        "GetAccount" => asked.by(v2::get_account).await,
        "TagResource" => asked.by(v2::tag_resource).await,
        "UntagResource" => asked.by(v2::untag_resource).await,
        "ListTagsForResource" => asked.by(v2::list_tags_for_resource).await,
        _ => asked.unknown(),
    }
}
