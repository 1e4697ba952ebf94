/*!
What operations of SES demand: sending is judged by the identity that a mail is from.

A mail that brings its own header says itself who it is from, so raw mails and senders that are not plain demand everything.
*/

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Cx, Demand, Demands, texts};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    source: Option<String>,
    from_email_address: Option<String>,
    email_identity: Option<String>,
    identity: Option<String>,
    #[serde(deserialize_with = "texts")]
    identities: Vec<String>,
    resource_arn: Option<String>,
    content: Content,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Content {
    raw: Option<IgnoredAny>,
    template: Option<IgnoredAny>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("ses:{operation}");
    let of = |identities: Option<Vec<String>>| match identities {
        Some(names) => Demand::of(action.clone(), names.iter().map(|name| identity(cx, name)).collect()),
        None => Demand::anywhere(action.clone()),
    };
    Some(match operation {
        "SendEmail" => {
            let is_plain = names.content.raw.is_none() && names.content.template.is_none();
            let from = [&names.source, &names.from_email_address].into_iter().flatten();
            let demands: Demands = from.map(|from| of(sender(from).filter(|_| is_plain))).collect();
            if demands.is_empty() { vec![of(None)] } else { demands }
        }
        "CreateEmailIdentity" | "GetEmailIdentity" | "DeleteEmailIdentity" => {
            vec![of(names.email_identity.clone().map(|name| vec![name]))]
        }
        "DeleteIdentity" => vec![of(names.identity.clone().map(|name| vec![name]))],
        "GetIdentityVerificationAttributes" if !names.identities.is_empty() => {
            names.identities.iter().map(|name| of(Some(vec![name.clone()]))).collect()
        }
        "TagResource" | "UntagResource" | "ListTagsForResource" => match &names.resource_arn {
            Some(arn) => vec![Demand::of(action, vec![arn.clone()])],
            None => vec![of(None)],
        },
        // The link of a mail that verifies an address; it is Nightbell's own.
        "ConfirmVerification" => vec![of(None)],
        "SendRawEmail"
        | "VerifyEmailIdentity"
        | "VerifyEmailAddress"
        | "VerifyDomainIdentity"
        | "ListIdentities"
        | "ListVerifiedEmailAddresses"
        | "DeleteVerifiedEmailAddress"
        | "GetIdentityVerificationAttributes"
        | "GetIdentityDkimAttributes"
        | "GetIdentityMailFromDomainAttributes"
        | "GetIdentityNotificationAttributes"
        | "VerifyDomainDkim"
        | "GetSendQuota"
        | "GetSendStatistics"
        | "GetAccountSendingEnabled"
        | "GetAccount"
        | "ListEmailIdentities" => vec![of(None)],
        _ => return None,
    })
}

/// The identities that may stand for a sender: its address and its domain. Nothing where the text could be read in two ways.
fn sender(from: &str) -> Option<Vec<String>> {
    let address = match from.split_once('<') {
        None => from,
        Some((name, rest)) if !name.contains(['"', '(', ',', '@']) => rest.trim_end().strip_suffix('>')?,
        Some(_) => return None,
    };
    let (local, domain) = address.trim().split_once('@')?;
    let odd = |text: &str| {
        text.is_empty()
            || text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>(),;:\"@".contains(c))
    };
    (!odd(local) && !odd(domain)).then(|| vec![format!("{local}@{domain}"), domain.to_owned()])
}

fn identity(cx: &Cx, name: &str) -> String {
    format!("arn:aws:ses:{}:{}:identity/{name}", cx.region, cx.app.account)
}
