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
}
