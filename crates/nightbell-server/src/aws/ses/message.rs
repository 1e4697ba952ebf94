/*!
What a mail is in both versions, and the one way by which each is checked and taken.
*/

use nightbell_deliver::Post;
use nightbell_deliver::post::{Correspondent, InvalidPost, Letter, Stamp, compose, correspondent, rewrite};
use nightbell_store::Write;
use nightbell_wire::value::Blob;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{here, invalid, need, no};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::aws::service::Service;
use crate::manage::Refusal;
use crate::manage::posts::{self, POST_BYTES_MAX, RECIPIENTS_MAX};

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Destination {
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    to_addresses: Vec<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    cc_addresses: Vec<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    bcc_addresses: Vec<String>,
}

/// A text; whatever `Charset` says, it goes out as UTF-8.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Text {
    data: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Body {
    text: Option<Text>,
    html: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Message {
    subject: Option<Text>,
    body: Option<Body>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    headers: Vec<Header>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    attachments: Vec<Attachment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Header {
    name: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Attachment {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct RawMessage {
    data: Option<Blob>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct MessageId {
    message_id: String,
}

/// Who a mail is from and to, beside what it says.
pub(super) struct Sending {
    /// Which version asks.
    pub(super) service: Service,
    /// Who writes; a mail that is whole may say it itself.
    pub(super) source: Option<String>,
    /// Who is written to; of a mail that is whole, its headers say it where nobody is named.
    pub(super) destination: Destination,
    /// Who gets answers.
    pub(super) reply_to: Vec<String>,
    /// Who is told of failures, if not who writes.
    pub(super) return_path: Option<String>,
    /// A set that says more about sending; there is none.
    pub(super) configuration_set: Option<String>,
}

impl Destination {
    /// Everybody in one list, as SendRawEmail gives them.
    pub(super) fn of(all: Vec<String>) -> Self {
        Self { to_addresses: all, ..Self::default() }
    }
}

impl Sending {
    fn wrong(&self, error: &InvalidPost) -> ApiError {
        invalid(self.service, error.to_string())
    }

    fn read(&self, all: &[String]) -> Result<Vec<Correspondent>, ApiError> {
        all.iter()
            .map(|text| correspondent(text))
            .collect::<Result<_, _>>()
            .map_err(|error| self.wrong(&error))
    }

    fn one(&self, text: Option<&String>) -> Result<Option<Correspondent>, ApiError> {
        text.map(|text| correspondent(text)).transpose().map_err(|error| self.wrong(&error))
    }

    /// Writes the mail of its parts and takes it.
    pub(super) fn message(self, cx: &Cx, message: Message) -> Result<MessageId, ApiError> {
        let service = self.service;
        let source = need(service, self.one(self.source.as_ref())?, self.source_member())?;
        if !message.attachments.is_empty() {
            return Err(invalid(
                service,
                "Attachments are not served by this version; send the message as Raw",
            ));
        }
        let body = need(service, message.body, "body")?;
        let data = |text: Option<Text>, member| text.map(|text| need(service, text.data, member)).transpose();
        let headers = message
            .headers
            .into_iter()
            .map(|header| Ok((need(service, header.name, "name")?, need(service, header.value, "value")?)));
        let letter = Letter {
            to: self.read(&self.destination.to_addresses)?,
            cc: self.read(&self.destination.cc_addresses)?,
            reply_to: self.read(&self.reply_to)?,
            subject: need(service, data(message.subject, "subject.data")?, "subject")?,
            text: data(body.text, "body.text.data")?,
            html: data(body.html, "body.html.data")?,
            headers: headers.collect::<Result<_, ApiError>>()?,
            from: source,
        };
        let mut recipients = letter.to.clone();
        recipients.extend(letter.cc.iter().cloned());
        recipients.extend(self.read(&self.destination.bcc_addresses)?);
        let id = Uuid::new_v4().to_string();
        let content = compose(&letter, &stamp(cx, &id)).map_err(|error| self.wrong(&error))?;
        let return_path = self.one(self.return_path.as_ref())?;
        let named = [Some(&letter.from), return_path.as_ref()];
        self.take(
            cx,
            id,
            &named.into_iter().flatten().collect::<Vec<_>>(),
            return_path.as_ref(),
            recipients,
            content,
        )
    }

    /// Takes a mail that is whole.
    pub(super) fn raw(self, cx: &Cx, raw: RawMessage) -> Result<MessageId, ApiError> {
        let raw = need(self.service, raw.data, "rawMessage.data")?;
        let id = Uuid::new_v4().to_string();
        let (head, content) = rewrite(&raw.0, &stamp(cx, &id)).map_err(|error| self.wrong(&error))?;
        let source = self.one(self.source.as_ref())?;
        let return_path = self.one(self.return_path.as_ref())?.or_else(|| head.return_path.first().cloned());
        let Destination { to_addresses, cc_addresses, bcc_addresses } = &self.destination;
        let named: Vec<String> =
            [to_addresses, cc_addresses, bcc_addresses].into_iter().flatten().cloned().collect();
        let recipients = if named.is_empty() { head.recipients } else { self.read(&named)? };
        let told = return_path.clone().or(source.clone());
        let names =
            source.iter().chain(&head.from).chain(&head.sender).chain(&return_path).collect::<Vec<_>>();
        self.take(cx, id, &names, told.as_ref(), recipients, content)
    }

    /// Checks who writes to whom, and puts the mail into the outbox: on disk when this returns.
    fn take(
        &self,
        cx: &Cx,
        id: String,
        names: &[&Correspondent],
        told: Option<&Correspondent>,
        recipients: Vec<Correspondent>,
        content: Vec<u8>,
    ) -> Result<MessageId, ApiError> {
        let service = self.service;
        self.check_set()?;
        if content.len() > POST_BYTES_MAX {
            let text =
                format!("Message length is more than {POST_BYTES_MAX} bytes long: '{}'.", content.len());
            return Err(invalid(service, text));
        }
        let recipients = distinct(recipients.into_iter().map(|one| one.address));
        if recipients.is_empty() {
            return Err(invalid(service, "At least one recipient is required: name one in To, Cc or Bcc"));
        }
        if recipients.len() > RECIPIENTS_MAX {
            return Err(invalid(service, format!("Recipient count exceeds {RECIPIENTS_MAX}.")));
        }
        check_verified(cx, service, names)?;
        let Some(sender) = told.or(names.first().copied()) else {
            return Err(invalid(service, "The message names nobody who sends it"));
        };
        let post = Post { id, date: cx.now, sender: sender.address.clone(), recipients, content };
        {
            let _turn = cx.app.records.turn();
            let mut change = Write::new();
            posts::add(&cx.app.records, &cx.app.lanes, Some(&cx.region), &post, &mut change)
                .map_err(|refusal| busy(service, refusal))?;
            cx.app.records.commit(change).map_err(|failure| no(service, failure.into()))?;
        }
        cx.app.outbox_bell.notify_one();
        Ok(MessageId { message_id: post.id })
    }

    fn source_member(&self) -> &'static str {
        if self.service == Service::Ses { "source" } else { "fromEmailAddress" }
    }

    fn check_set(&self) -> Result<(), ApiError> {
        let Some(set) = self.configuration_set.as_ref().filter(|set| !set.is_empty()) else { return Ok(()) };
        let text = format!("Configuration set <{set}> does not exist.");
        Err(match self.service {
            Service::Ses => ApiError::sender("ConfigurationSetDoesNotExist", text),
            _ => ApiError { status: 404, code: "NotFoundException", message: text },
        })
    }
}

/// Refuses a mail in the name of somebody who has not said yes.
fn check_verified(cx: &Cx, service: Service, names: &[&Correspondent]) -> Result<(), ApiError> {
    let identities = here(cx);
    let mut failed = Vec::new();
    for address in distinct(names.iter().map(|one| one.address.clone())) {
        if !identities.may_send(&address).map_err(|failure| no(service, failure.into()))? {
            failed.push(address);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let text = format!(
        "Email address is not verified. The following identities failed the check in region {}: {}",
        cx.region.to_uppercase(),
        failed.join(", ")
    );
    Err(ApiError::sender("MessageRejected", text))
}

/// Too much waits: worth another try.
fn busy(service: Service, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Limit(text) => ApiError::sender(service.traits().codes.throttled, text),
        other => no(service, other),
    }
}

fn stamp(cx: &Cx, id: &str) -> Stamp {
    Stamp { message_id: cx.app.origin.message_id(id), date: cx.now }
}

/// Each address once, in the order of its first place.
fn distinct(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for address in all {
        if seen.insert(address.clone()) {
            kept.push(address);
        }
    }
    kept
}
