/*!
The facts of a request: the condition keys that policies ask for, with their values.

Keys are compared without case ("IAM JSON policy elements: Condition", IAM User Guide). Values keep their type, so that
a time is formatted only when a policy compares it as text. Who asks and when is put in by [`Facts::of`]; addresses, tags
and the keys of a service come from whoever knows the request.
*/

use std::borrow::Cow;
use std::net::IpAddr;

use super::principals::Principal;
use crate::time::{SECOND_MS, Timestamp};

/// The value of a condition key.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// Text, an ARN among others.
    Text(Cow<'a, str>),
    /// The values of a multivalued key, as `aws:TagKeys`.
    Texts(Vec<Cow<'a, str>>),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// An instant.
    Time(Timestamp),
    /// An address of a network.
    Address(IpAddr),
}

/// All facts of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts<'a> {
    entries: Vec<(Cow<'a, str>, Fact<'a>)>,
}

/// One value of a fact.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Bool(bool),
    Number(f64),
    Time(Timestamp),
    Address(IpAddr),
}

impl<'a> Facts<'a> {
    /// What follows from who asks and when: `aws:PrincipalArn`, `aws:userid`, `aws:username`, `aws:CurrentTime` and
    /// their kind ("AWS global condition context keys", IAM User Guide).
    pub fn of(principal: &Principal<'a>, now: Timestamp) -> Self {
        let mut facts = Self::default();
        facts.put("aws:CurrentTime", Fact::Time(now));
        facts.put("aws:EpochTime", Fact::Number(now.second() as f64));
        principal.tell(&mut facts);
        facts
    }

    /// Sets a key; an earlier value of it is gone.
    pub fn put(&mut self, key: impl Into<Cow<'a, str>>, fact: Fact<'a>) {
        let key = key.into();
        match self.entries.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(&key)) {
            Some(entry) => entry.1 = fact,
            None => self.entries.push((key, fact)),
        }
    }

    /// The value of a key; a list without members is none.
    pub fn get(&self, key: &str) -> Option<&Fact<'a>> {
        let (_, fact) = self.entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        (!matches!(fact, Fact::Texts(texts) if texts.is_empty())).then_some(fact)
    }

    /// Bytes of the longest text among the values.
    pub(super) fn text_bytes_max(&self) -> usize {
        let bytes = |value: Value<'_>| if let Value::Text(text) = value { text.len() } else { 0 };
        self.entries.iter().flat_map(|(_, fact)| fact.values()).map(bytes).max().unwrap_or(0)
    }

    /// What a policy variable stands for; keys with many values cannot be variables.
    pub(super) fn variable(&self, key: &str) -> Option<Cow<'_, str>> {
        match self.get(key)? {
            Fact::Texts(_) => None,
            fact => fact.values().next().map(Value::text),
        }
    }
}

impl Fact<'_> {
    /// Its values, one after the other.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'_>> {
        let (one, many): (Option<Value<'_>>, &[Cow<'_, str>]) = match self {
            Self::Text(text) => (Some(Value::Text(text)), &[]),
            Self::Texts(texts) => (None, texts),
            Self::Bool(value) => (Some(Value::Bool(*value)), &[]),
            Self::Number(number) => (Some(Value::Number(*number)), &[]),
            Self::Time(at) => (Some(Value::Time(*at)), &[]),
            Self::Address(address) => (Some(Value::Address(*address)), &[]),
        };
        one.into_iter().chain(many.iter().map(|text| Value::Text(text)))
    }
}

impl<'a> Value<'a> {
    pub(super) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Bool(value) => value.to_string().into(),
            Self::Number(number) => number.to_string().into(),
            Self::Time(at) => at.iso().into(),
            Self::Address(address) => address.to_string().into(),
        }
    }

    pub(super) fn bool(self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            Self::Text(text) => truth(text),
            _ => None,
        }
    }

    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => number(text),
            _ => None,
        }
    }

    /// Milliseconds since 1970; numbers are seconds.
    pub(super) fn time(self) -> Option<i64> {
        match self {
            Self::Time(at) => Some(at.as_millis()),
            Self::Number(seconds) => Some((seconds * SECOND_MS as f64) as i64),
            Self::Text(text) => time(text),
            _ => None,
        }
    }

    pub(super) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// `true` or `false` in any case.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A decimal number; no `inf`, no `nan`.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse::<f64>().ok().filter(|number| plain && number.is_finite())
}

/// Milliseconds since 1970 of a date in ISO 8601 (year and month suffice, UTC where no zone is named) or of seconds.
pub(super) fn time(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<i64>().ok().map(|seconds| Timestamp::from_seconds(seconds).as_millis());
    }
    let upper = text.to_ascii_uppercase();
    let whole = match upper.split_once('T') {
        Some((_, time)) if time.contains(['Z', '+', '-']) => upper,
        Some(_) => upper + "Z",
        None if upper.len() == "YYYY-MM".len() => upper + "-01T00:00:00Z",
        None => upper + "T00:00:00Z",
    };
    Timestamp::parse_iso(&whole).map(Timestamp::as_millis)
}
