/*!
In whose name mail may be sent: addresses whose owner has said yes, and what the operator vouches for.

Rules: "Verified identities in Amazon SES". No DNS is asked here, so a domain is verified by the setting `ses_verified` alone; a name in
it counts in every region and is shown like one that was asked for.
*/

use std::collections::BTreeMap;

use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_deliver::post::correspondent;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::catalog::{Failure, Key, Records, delete, put};

/// Identities of one region ("Service quotas in Amazon SES").
pub(crate) const IDENTITIES_MAX: usize = 10_000;
/// Tags of an identity.
pub(crate) const IDENTITY_TAGS_MAX: usize = 50;
/// How long the link of a verification is good ("Creating an email address identity").
pub(crate) const VERIFICATION_AGE_MAX_MS: i64 = DAY_MS;
/// Bytes of a domain's name (RFC 1035, 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;

/// An address or a domain that somebody wants to send in the name of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The address, or the domain in small letters.
    pub(crate) name: String,
    /// Secret of the link of an address; of a domain what its owner would publish.
    pub(crate) token: String,
    /// When it was last asked for.
    pub(crate) asked: Timestamp,
    /// Whether its owner has said yes.
    pub(crate) confirmed: bool,
    /// Tags as they were set.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// Where an identity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Mail may be sent in its name.
    Verified,
    /// Its owner is asked.
    Pending,
    /// Its owner did not answer in time.
    Failed,
}

impl Identity {
    /// Whether it is a domain.
    pub(crate) fn is_domain(&self) -> bool {
        !self.name.contains('@')
    }

    fn vouched(name: &str) -> Self {
        let asked = Timestamp::from_millis(0);
        Self { name: name.to_owned(), token: String::new(), asked, confirmed: true, tags: BTreeMap::new() }
    }
}

/// The identities of one region, with what the operator vouches for.
pub(crate) struct Identities<'a> {
    /// The catalog.
    pub(crate) records: &'a Records,
    /// The region.
    pub(crate) region: &'a str,
    /// Names of the setting `ses_verified`.
    pub(crate) vouched: &'a [String],
}

/// A link that was sent: which identity it confirms.
#[derive(Serialize, Deserialize)]
struct Asked {
    region: String,
    name: String,
}

impl Identities<'_> {
    fn key(&self, name: &str) -> Key {
        Key::of(&["identity", self.region, name])
    }

    /// Adds `name`, or asks again for one that is there. What is confirmed stays so, and tags stay beside those of `tags`.
    pub(crate) fn ask(
        &self,
        name: &str,
        token: String,
        now: Timestamp,
        tags: BTreeMap<String, String>,
        change: &mut Write,
    ) -> Result<Identity, Refusal> {
        let known = self.records.get::<Identity>(&self.key(name))?;
        if known.is_none()
            && self.records.keys(&Key::prefix(&["identity", self.region], ""))?.len() >= IDENTITIES_MAX
        {
            return Err(Refusal::Limit(format!(
                "There are {IDENTITIES_MAX} identities in the region; that is the limit"
            )));
        }
        let mut identity = known.unwrap_or_else(|| Identity {
            name: name.to_owned(),
            token: String::new(),
            asked: now,
            confirmed: false,
            tags: BTreeMap::new(),
        });
        // Asking again sends the same link again: the one in an earlier mail stays good.
        if identity.token.is_empty()
            || (!identity.is_domain() && now.since(identity.asked) > VERIFICATION_AGE_MAX_MS)
        {
            identity.token = token;
        }
        identity.asked = now;
        identity.tags.extend(tags);
        put(change, &self.key(name), &identity);
        if !identity.is_domain() {
            let asked = Asked { region: self.region.to_owned(), name: name.to_owned() };
            put(change, &Key::of(&["identity-token", &identity.token]), &asked);
        }
        Ok(identity)
    }

    /// The identity; nothing where nobody asked for it and nobody vouches for it by this name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Identity>, Failure> {
        let known = self.records.get::<Identity>(&self.key(name))?;
        Ok(known.or_else(|| self.vouched.iter().any(|one| one == name).then(|| Identity::vouched(name))))
    }

    /// Whether somebody asked for it, rather than that the operator vouches for it.
    pub(crate) fn is_kept(&self, name: &str) -> Result<bool, Failure> {
        Ok(self.records.get::<Identity>(&self.key(name))?.is_some())
    }

    /// All identities, by name.
    pub(crate) fn list(&self) -> Result<Vec<Identity>, Failure> {
        let mut all: Vec<Identity> = self.records.list(&Key::prefix(&["identity", self.region], ""))?;
        for name in self.vouched {
            if !all.iter().any(|identity| identity.name == *name) {
                all.push(Identity::vouched(name));
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// Where `identity` stands at `now`.
    pub(crate) fn status(&self, identity: &Identity, now: Timestamp) -> Status {
        if identity.confirmed || self.vouches_for(&identity.name) {
            Status::Verified
        } else if !identity.is_domain() && now.since(identity.asked) > VERIFICATION_AGE_MAX_MS {
            Status::Failed
        } else {
            Status::Pending
        }
    }

    /// Whether mail may be sent in the name of `address`; a label (`name+label@…`) is its owner's.
    pub(crate) fn may_send(&self, address: &str) -> Result<bool, Failure> {
        let Some(name) = normal(address) else { return Ok(false) };
        if self.vouches_for(&name) {
            return Ok(true);
        }
        for name in std::iter::once(name.clone()).chain(without_label(&name)) {
            if self.records.get::<Identity>(&self.key(&name))?.is_some_and(|identity| identity.confirmed) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes `name` out; a missing one is fine.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Refusal> {
        let _turn = self.records.turn();
        let Some(identity) = self.records.get::<Identity>(&self.key(name))? else { return Ok(()) };
        let mut change = Write::new();
        delete(&mut change, &self.key(name));
        if !identity.is_domain() {
            delete(&mut change, &Key::of(&["identity-token", &identity.token]));
        }
        Ok(self.records.commit(change)?)
    }

    /// Changes the tags of `name` by `edit`; `false` where it is not there.
    pub(crate) fn retag(
        &self,
        name: &str,
        edit: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<bool, Refusal> {
        let _turn = self.records.turn();
        let Some(mut identity) = self.records.get::<Identity>(&self.key(name))? else { return Ok(false) };
        edit(&mut identity.tags);
        check_tags(&identity.tags)?;
        let mut change = Write::new();
        put(&mut change, &self.key(name), &identity);
        self.records.commit(change)?;
        Ok(true)
    }

    /// Whether the setting names `name`, its domain, or a domain above that.
    pub(crate) fn vouches_for(&self, name: &str) -> bool {
        let domain = name.rsplit_once('@').map_or(name, |(_, domain)| domain);
        let below = |above: &str| {
            domain.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.vouched.iter().any(|one| one == name || (!one.contains('@') && below(one)))
    }
}

/// Confirms the address that was sent `token`; repeatable. `false` where there is no such link, or it is too old.
pub(crate) fn confirm(records: &Records, token: &str, now: Timestamp) -> Result<bool, Refusal> {
    if token.is_empty() || token.len() > 256 || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(false);
    }
    let _turn = records.turn();
    let Some(asked) = records.get::<Asked>(&Key::of(&["identity-token", token]))? else { return Ok(false) };
    let key = Key::of(&["identity", &asked.region, &asked.name]);
    let Some(mut identity) = records.get::<Identity>(&key)?.filter(|identity| identity.token == token) else {
        return Ok(false);
    };
    if identity.confirmed {
        return Ok(true);
    }
    if now.since(identity.asked) > VERIFICATION_AGE_MAX_MS {
        return Ok(false);
    }
    identity.confirmed = true;
    let mut change = Write::new();
    put(&mut change, &key, &identity);
    records.commit(change)?;
    Ok(true)
}

/// Refuses tags that are too many or too long ("Tag", SES v2 API).
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let sound = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256
    };
    if tags.len() > IDENTITY_TAGS_MAX || !tags.iter().all(sound) {
        let text = format!(
            "An identity has at most {IDENTITY_TAGS_MAX} tags, of 1 to 128 and at most 256 characters"
        );
        return Err(Refusal::Invalid(text));
    }
    Ok(())
}

/// An address with its domain in small letters, or a domain in small letters; nothing where it is neither.
pub(crate) fn normal(name: &str) -> Option<String> {
    match name.rsplit_once('@') {
        Some((local, host)) => {
            let address = correspondent(name).ok().filter(|one| one.address == name)?.address;
            debug_assert_eq!(address.len(), local.len() + host.len() + 1);
            Some(format!("{local}@{}", host.to_ascii_lowercase()))
        }
        None => {
            let label = |label: &str| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            let sound = name.len() <= DOMAIN_BYTES_MAX && name.split('.').all(label);
            sound.then(|| name.to_ascii_lowercase())
        }
    }
}

/// The address without its label, where it has one.
fn without_label(address: &str) -> Option<String> {
    let (local, host) = address.rsplit_once('@')?;
    let (name, _) = local.split_once('+')?;
    (!name.is_empty()).then(|| format!("{name}@{host}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightbell_store::{Catalog, Durability, MemoryStore};

    use super::*;

    #[test]
    fn names_are_addresses_or_domains() {
        for (given, kept) in [
            ("Ann@Example.ORG", Some("Ann@example.org")),
            ("Example.ORG", Some("example.org")),
            ("localhost", Some("localhost")),
            ("Ann <ann@example.org>", None),
            ("a b", None),
            ("a..b", None),
            ("", None),
            ("@b", None),
        ] {
            assert_eq!(normal(given).as_deref(), kept, "{given:?}");
        }
    }

    #[test]
    fn the_owner_or_the_operator_says_yes() {
        let store = Arc::new(MemoryStore::default()) as Arc<dyn Catalog>;
        let records = Records::new(Arc::clone(&store));
        let vouched = ["example.com".to_owned(), "one@example.net".to_owned()];
        let here = Identities { records: &records, region: "r", vouched: &vouched };
        let now = Timestamp::from_seconds(1_000_000);
        let mut change = Write::new();
        here.ask("ann@example.org", "ab12".into(), now, BTreeMap::new(), &mut change).unwrap();
        store.commit(change, Durability::Disk).unwrap();
        let ann = || here.find("ann@example.org").unwrap().unwrap();
        assert_eq!(here.status(&ann(), now), Status::Pending);
        assert_eq!(here.status(&ann(), now.plus_millis(VERIFICATION_AGE_MAX_MS + 1)), Status::Failed);
        let may = |address| here.may_send(address).unwrap();
        assert!(!may("ann@example.org"));
        let mut confirmed = ann();
        confirmed.confirmed = true;
        let mut change = Write::new();
        put(&mut change, &here.key("ann@example.org"), &confirmed);
        store.commit(change, Durability::Disk).unwrap();
        for (address, expected) in [
            ("ann@example.org", true),
            ("ann+alarm@EXAMPLE.org", true),
            ("bob@example.org", false),
            ("x@example.com", true),
            ("x@a.b.example.com", true),
            ("x@notexample.com", false),
            ("one@example.net", true),
            ("two@example.net", false),
        ] {
            assert_eq!(may(address), expected, "{address}");
        }
        let elsewhere = Identities { region: "s", ..here };
        assert!(!elsewhere.may_send("ann@example.org").unwrap(), "identities belong to a region");
        let names: Vec<String> =
            elsewhere.list().unwrap().into_iter().map(|identity| identity.name).collect();
        assert_eq!(names, ["example.com", "one@example.net"]);
    }
}
