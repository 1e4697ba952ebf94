/*!
One message on its way to one endpoint, and when to try again.

A delivery's id is made from what caused it, so a repeated delivery is known as such; mail carries it as Message-ID.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alarm::composite::CompositeTransition;
use crate::alarm::{MetricAlarm, Transition};
use crate::budget::Digest;
use crate::filter_policy::MessageAttribute;
use crate::incident::Note;
use crate::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use crate::topic::Endpoint;

/// What a delivery says; rendered only when it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// An alarm changed its state.
    Alarm(Box<Transition>),
    /// Somebody called Publish.
    Published {
        /// Subject line, if one was given.
        subject: Option<String>,
        /// The text for this endpoint.
        message: String,
        /// What the publisher said about the message, by name.
        #[serde(default)]
        attributes: BTreeMap<String, MessageAttribute>,
    },
    /// Asks a subscriber whether they want this topic's messages.
    Confirmation {
        /// The link that says yes.
        confirm_url: String,
        /// The secret in the link, for programs that say yes by a call.
        #[serde(default)]
        token: String,
    },
    /// Tells a web endpoint that its subscription is over.
    Farewell {
        /// The link that takes the subscription up again.
        confirm_url: String,
        /// The secret in the link.
        token: String,
        /// The subscription's ARN.
        subscription: String,
    },
    /// An incident goes on, or is over.
    Incident(Box<IncidentMessage>),
    /// Many messages about incidents, a line each.
    Digest(Box<Digest>),
    /// A composite alarm changed its state.
    Composite(Box<CompositeTransition>),
}

/// A message about an incident after its first one, which is the alarm's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentMessage {
    /// The alarm as it was configured at that moment.
    pub alarm: MetricAlarm,
    /// 12 digits.
    pub account: String,
    /// What is to be said.
    pub note: Note,
}

/// One message to one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Stable over retries and replays; hexadecimal, unique per message and endpoint.
    pub id: String,
    /// When it was caused.
    pub created: Timestamp,
    /// The topic it was published to.
    pub topic: String,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The link that ends the subscription; absent on confirmations.
    pub unsubscribe_url: Option<String>,
    /// What it says.
    pub content: Content,
}

/// How long a delivery is tried before it is given up.
pub const DELIVERY_AGE_MAX_MS: i64 = 24 * HOUR_MS;

/// When to try a mail again after `tries` failed attempts, the last of them at `now`; `None` when it is given up.
///
/// One second at first, doubling to ten minutes, until the delivery is [`DELIVERY_AGE_MAX_MS`] old.
pub fn next_attempt(created: Timestamp, now: Timestamp, tries: u32) -> Option<Timestamp> {
    let wait_ms = (SECOND_MS << tries.saturating_sub(1).min(16)).min(10 * MINUTE_MS);
    let next = now.plus_millis(wait_ms);
    (next.since(created) <= DELIVERY_AGE_MAX_MS).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let t = Timestamp::from_millis(0);
        let wait = |tries| next_attempt(t, t, tries).map(Timestamp::as_millis);
        assert_eq!([wait(1), wait(2), wait(3)], [Some(1_000), Some(2_000), Some(4_000)]);
        assert_eq!(wait(40), Some(600_000));
        assert_eq!(next_attempt(t, Timestamp::from_millis(DELIVERY_AGE_MAX_MS), 40), None);
    }
}
