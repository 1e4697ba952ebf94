/*!
Subscriptions: who gets a topic's messages, once they have agreed.

Rules and texts: Amazon SNS API reference, "Subscribe", "ConfirmSubscription", "Unsubscribe". What is sent to ask for consent goes
through the outbox like everything else.
*/

use std::collections::BTreeMap;

use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_core::topic::{Consent, Endpoint, Subscription};
use nightbell_deliver::web::check_url;
use nightbell_store::Write;

use super::outbox::{Lanes, Waiting, delivery_id};
use super::publish::as_uuid;
use super::subscription_attributes::{check_room, set_all};
use super::{Links, Refusal, Resource, arn, check_function, find};
use crate::catalog::{Failure, Key, Records, delete, put};

/// Most subscriptions of one topic; what a mail server can take at once is the bound, not the catalog.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 10_000;
/// How long the link of a confirmation is good.
pub(crate) const TOKEN_AGE_MAX_MS: i64 = 3 * DAY_MS;
/// Longest mail address (RFC 5321, "Path": 256 with its brackets).
pub(crate) const ADDRESS_BYTES_MAX: usize = 254;
/// Most characters of a token that are looked at.
const TOKEN_CHARS_MAX: usize = 256;

/// The subscriptions of one topic.
pub(crate) fn subscriptions(records: &Records, topic: &str) -> Result<Vec<Subscription>, Failure> {
    records.list(&Key::prefix(&["subscription", topic], ""))
}

/// The subscriptions of a region, by topic.
pub(crate) fn all_subscriptions(
    records: &Records,
    region: &str,
    account: &str,
) -> Result<Vec<Subscription>, Refusal> {
    Ok(records.list(&Key::prefix(&["subscription"], &arn(region, account, "")))?)
}

/// A subscription by its ARN.
pub(crate) fn subscription(records: &Records, arn: &str) -> Result<Subscription, Refusal> {
    let missing = Refusal::Missing(Resource::Subscription);
    match key(arn) {
        Some(key) => records.get(&key)?.ok_or(missing),
        None => Err(missing),
    }
}

/// Where the subscription with this ARN is kept.
pub(super) fn key(arn: &str) -> Option<Key> {
    let (topic, id) = arn.rsplit_once(':')?;
    (!arn.contains('\0')).then(|| Key::of(&["subscription", topic, id]))
}

/// What a new subscription needs besides the catalog.
pub(crate) struct Asking<'a> {
    /// Where links point to.
    pub(crate) links: Links<'a>,
    /// Where the question waits.
    pub(crate) lanes: &'a Lanes,
    /// A fresh random id.
    pub(crate) id: String,
    /// A fresh random token.
    pub(crate) token: String,
    /// Who asks, by their ARN.
    pub(crate) principal: Option<String>,
    /// When it is asked.
    pub(crate) now: Timestamp,
}

/// Subscribes `endpoint` and sends it a confirmation; an endpoint that is there already keeps its subscription. A function is asked
/// nothing: it belongs to the same account.
pub(crate) fn subscribe(
    records: &Records,
    topic: &str,
    endpoint: Endpoint,
    attributes: &BTreeMap<String, String>,
    asking: &Asking<'_>,
) -> Result<Subscription, Refusal> {
    check_endpoint(&endpoint)?;
    let _turn = records.turn();
    find(records, topic)?;
    let there = subscriptions(records, topic)?;
    let known = there.iter().find(|subscription| subscription.endpoint == endpoint);
    let mut wanted = Subscription {
        arn: known.map_or_else(|| format!("{topic}:{}", asking.id), |known| known.arn.clone()),
        topic: topic.to_owned(),
        endpoint,
        consent: Consent::Confirmed,
        attributes: BTreeMap::new(),
        principal: asking.principal.clone(),
        authenticated: true,
        keeps_strangers_out: false,
    };
    set_all(&mut wanted, attributes)?;
    if let Some(known) = known {
        let same = attributes.is_empty() || wanted.attributes == known.attributes;
        if !same {
            let text =
                "Invalid parameter: Attributes Reason: Subscription already exists with different attributes";
            return Err(Refusal::Invalid(text.into()));
        }
        if known.consent == Consent::Confirmed {
            return Ok(known.clone());
        }
        wanted.attributes.clone_from(&known.attributes);
    } else if there.len() >= SUBSCRIPTIONS_MAX {
        let text = format!("Subscription limit exceeded: a topic has at most {SUBSCRIPTIONS_MAX}");
        return Err(Refusal::Limit(text));
    }
    check_room(records, &wanted)?;
    let key = key(&wanted.arn).ok_or(Refusal::Missing(Resource::Topic))?;
    let mut change = Write::new();
    if !matches!(wanted.endpoint, Endpoint::Lambda(_)) {
        ask(&mut wanted, known, asking, &mut change);
    }
    put(&mut change, &key, &wanted);
    records.commit(change)?;
    Ok(wanted)
}

/// Makes the subscription wait for an answer, and enqueues the question.
fn ask(wanted: &mut Subscription, known: Option<&Subscription>, asking: &Asking<'_>, change: &mut Write) {
    // Asking again sends the same link again: the one in an earlier message stays good.
    let token = match known.map(|known| &known.consent) {
        Some(Consent::Pending { token, since }) if asking.now.since(*since) <= TOKEN_AGE_MAX_MS => {
            token.clone()
        }
        _ => asking.token.clone(),
    };
    wanted.authenticated = false;
    wanted.consent = Consent::Pending { token: token.clone(), since: asking.now };
    let confirm_url = asking.links.confirm(&wanted.topic, &token);
    let content = Content::Confirmation { confirm_url, token };
    let waiting = to_stranger(wanted, content, &["confirmation", &wanted.arn, &asking.id], asking.now);
    asking.lanes.enqueue(change, asking.now, &waiting);
}

/// A delivery that goes out although the endpoint has no part in the topic, yet or any more.
fn to_stranger(subscription: &Subscription, content: Content, cause: &[&str], now: Timestamp) -> Waiting {
    let id = delivery_id(cause, subscription.endpoint.address());
    let delivery = Delivery {
        id: id.clone(),
        created: now,
        topic: subscription.topic.clone(),
        endpoint: subscription.endpoint.clone(),
        unsubscribe_url: None,
        content,
    };
    Waiting { message_id: as_uuid(&id), delivery, tries: 0, last_error: None, subscription: None }
}

/// An answer to the question whether an endpoint agrees.
pub(crate) struct Confirming<'a> {
    /// The secret that was sent to the endpoint.
    pub(crate) token: &'a str,
    /// Whether the answer is a signed request.
    pub(crate) is_signed: bool,
    /// Whether only signed requests may end the subscription.
    pub(crate) keep_strangers_out: bool,
    /// When it is given.
    pub(crate) now: Timestamp,
}

/// Confirms the subscription of `topic` that was sent the token; repeatable. The token of a farewell takes the subscription up again.
pub(crate) fn confirm(
    records: &Records,
    topic: &str,
    answer: &Confirming<'_>,
) -> Result<Subscription, Refusal> {
    let Confirming { token, now, .. } = *answer;
    let _turn = records.turn();
    find(records, topic)?;
    if token.is_empty() || token.len() > TOKEN_CHARS_MAX || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Refusal::Invalid("Invalid parameter: Token".into()));
    }
    let confirmed_key = Key::of(&["token", topic, token]);
    if let Some(arn) = records.get::<String>(&confirmed_key)? {
        return subscription(records, &arn);
    }
    let mut change = Write::new();
    let there = subscriptions(records, topic)?;
    let mut subscription = match there.iter().find(|subscription| is_good(&subscription.consent, token, now))
    {
        Some(asked) => asked.clone(),
        None => {
            let former_key = Key::of(&["former-subscription", topic, token]);
            let former: Option<Subscription> = records.get(&former_key)?;
            let former = former.filter(|former| is_good(&former.consent, token, now));
            let former = former.ok_or_else(|| Refusal::Invalid("Invalid token".into()))?;
            if there.len() >= SUBSCRIPTIONS_MAX || there.iter().any(|one| one.endpoint == former.endpoint) {
                return Err(Refusal::Invalid("Invalid token".into()));
            }
            delete(&mut change, &former_key);
            former
        }
    };
    subscription.consent = Consent::Confirmed;
    subscription.authenticated = answer.is_signed;
    subscription.keeps_strangers_out |= answer.keep_strangers_out;
    let key = key(&subscription.arn).ok_or(Refusal::Missing(Resource::Subscription))?;
    put(&mut change, &key, &subscription);
    put(&mut change, &confirmed_key, &subscription.arn);
    records.commit(change)?;
    Ok(subscription)
}

fn is_good(consent: &Consent, token: &str, now: Timestamp) -> bool {
    match consent {
        Consent::Pending { token: sent, since } => sent == token && now.since(*since) <= TOKEN_AGE_MAX_MS,
        Consent::Confirmed => false,
    }
}

/// Ends a subscription; a missing one is fine, and costs no write: the link needs no signature. A web endpoint that had agreed is told,
/// with a token that takes the subscription up again.
pub(crate) fn unsubscribe(records: &Records, arn: &str, asking: &Asking<'_>) -> Result<(), Refusal> {
    let Some(key) = key(arn) else { return Ok(()) };
    let _turn = records.turn();
    let Some(mut gone) = records.get::<Subscription>(&key)? else { return Ok(()) };
    let mut change = Write::new();
    delete(&mut change, &key);
    if gone.endpoint.is_web() && gone.consent == Consent::Confirmed {
        let former = Key::prefix(&["former-subscription", &gone.topic], "");
        for (key, old) in records.list_with_keys::<Subscription>(&former)? {
            if !matches!(&old.consent, Consent::Pending { token, .. } if is_good(&old.consent, token, asking.now))
            {
                change.delete(nightbell_store::Space::Catalog, key);
            }
        }
        let token = asking.token.clone();
        gone.consent = Consent::Pending { token: token.clone(), since: asking.now };
        put(&mut change, &Key::of(&["former-subscription", &gone.topic, &token]), &gone);
        let confirm_url = asking.links.confirm(&gone.topic, &token);
        let content = Content::Farewell { confirm_url, token, subscription: gone.arn.clone() };
        let waiting = to_stranger(&gone, content, &["farewell", &gone.arn, &asking.id], asking.now);
        asking.lanes.enqueue(&mut change, asking.now, &waiting);
    }
    Ok(records.commit(change)?)
}

fn check_endpoint(endpoint: &Endpoint) -> Result<(), Refusal> {
    match endpoint {
        Endpoint::Email(address) | Endpoint::EmailJson(address) => {
            let sound = address.len() <= ADDRESS_BYTES_MAX
                && address
                    .split_once('@')
                    .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
                && !address.chars().any(|c| c.is_control() || c.is_whitespace() || "<>,;".contains(c));
            let text = "Invalid parameter: Email address";
            if sound { Ok(()) } else { Err(Refusal::Invalid(text.into())) }
        }
        Endpoint::Http(url) | Endpoint::Https(url) => check_url(url, endpoint.protocol())
            .map_err(|error| Refusal::Invalid(format!("Invalid parameter: Endpoint Reason: {error}"))),
        Endpoint::Lambda(arn) => check_function(arn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_could_inject_a_header_are_refused() {
        for bad in ["", "@", "a@", "@b", "a@b@c", "a@b\r\nBcc: c@d", "a b@c", "<a@b>", "a@b,c@d"] {
            assert!(check_endpoint(&Endpoint::Email(bad.into())).is_err(), "{bad:?}");
            assert!(check_endpoint(&Endpoint::EmailJson(bad.into())).is_err(), "{bad:?}");
        }
        assert!(check_endpoint(&Endpoint::Email("security@example.org".into())).is_ok());
    }
}
