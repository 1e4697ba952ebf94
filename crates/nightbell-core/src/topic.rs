/*!
Topics and who is subscribed to them.
*/

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A place that messages are published to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// `arn:aws:sns:<region>:<account>:<name>`.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// Attributes as they were set (`DisplayName`, …).
    pub attributes: std::collections::BTreeMap<String, String>,
}

/// Where a subscription's messages go. A new channel is a new variant; the compiler shows every place it concerns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Endpoint {
    /// A mailbox.
    Email(String),
    /// A mailbox that programs read: it gets the notification as JSON.
    EmailJson(String),
    /// A web address that starts with `http://`; a password in it is a secret, see [`Endpoint::shown`].
    Http(String),
    /// A web address that starts with `https://`; a password in it is a secret, see [`Endpoint::shown`].
    Https(String),
    /// A function, by its ARN.
    Lambda(String),
}

impl Endpoint {
    /// What Subscribe calls the protocol.
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::EmailJson(_) => "email-json",
            Self::Http(_) => "http",
            Self::Https(_) => "https",
            Self::Lambda(_) => "lambda",
        }
    }

    /// The address as it was subscribed, secrets in it too.
    pub fn address(&self) -> &str {
        match self {
            Self::Email(address)
            | Self::EmailJson(address)
            | Self::Http(address)
            | Self::Https(address)
            | Self::Lambda(address) => address,
        }
    }

    /// Whether it is asked over the web.
    pub const fn is_web(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Https(_))
    }

    /// The address as people may see it: a password in a web address is stars.
    pub fn shown(&self) -> String {
        let address = self.address();
        let Some((scheme, rest)) = address.split_once("://").filter(|_| self.is_web()) else {
            return address.to_owned();
        };
        let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
        match authority.rsplit_once('@') {
            None => address.to_owned(),
            Some((login, _)) => {
                let user = login.split(':').next().unwrap_or_default();
                format!("{scheme}://{user}:****{}", &rest[login.len()..])
            }
        }
    }
}

/// Whether a subscriber has said yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consent {
    /// A confirmation was sent; `token` is what its link carries.
    Pending {
        /// Secret of the confirmation link, hexadecimal.
        token: String,
        /// When it was sent: the token is good for three days.
        since: Timestamp,
    },
    /// Confirmed.
    Confirmed,
}

/// One subscriber of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// `<topic arn>:<uuid>`.
    pub arn: String,
    /// The topic's ARN.
    pub topic: String,
    /// Where messages go.
    pub endpoint: Endpoint,
    /// Whether the subscriber has agreed.
    pub consent: Consent,
    /// Attributes as they were set (`FilterPolicy`, …).
    #[serde(default)]
    pub attributes: std::collections::BTreeMap<String, String>,
    /// Who subscribed, by their ARN; `None` for subscriptions of earlier versions.
    #[serde(default)]
    pub principal: Option<String>,
    /// Whether it was confirmed by a signed request.
    #[serde(default)]
    pub authenticated: bool,
    /// Whether only a signed request may end it.
    #[serde(default)]
    pub keeps_strangers_out: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let rows = [
            ("https://user:secret@example.org/hook?a=b", "https://user:****@example.org/hook?a=b"),
            ("https://user:se@cret@example.org", "https://user:****@example.org"),
            ("https://:secret@example.org:8443/", "https://:****@example.org:8443/"),
            ("https://example.org/a@b", "https://example.org/a@b"),
            ("https://example.org", "https://example.org"),
        ];
        for (address, shown) in rows {
            assert_eq!(Endpoint::Https(address.to_owned()).shown(), shown);
        }
        assert_eq!(Endpoint::Email("a:b@example.org".to_owned()).shown(), "a:b@example.org");
    }

    #[test]
    fn a_record_of_an_earlier_version_is_read() {
        let text = r#"{"arn":"arn:t:1","topic":"arn:t","endpoint":{"Email":"a@b"},"consent":"Confirmed"}"#;
        let subscription: Subscription = serde_json::from_str(text).unwrap();
        assert_eq!(subscription.endpoint, Endpoint::Email("a@b".to_owned()));
        assert!(subscription.attributes.is_empty() && subscription.principal.is_none());
        assert!(!subscription.authenticated && !subscription.keeps_strangers_out);
    }
}
