/*!
One try at one delivery: by mail, over the web, or into a function's hands.

What is written is made here and not earlier, so that it is the topic's template, key and policy of this moment that count.
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::delivery::Content;
use nightbell_core::filter_policy::MessageAttribute;
use nightbell_core::topic::Endpoint;
use nightbell_deliver::message::{alarm_json, alarm_subject, composite_json, composite_subject};
use nightbell_deliver::web::{Bearer, Document, Post, Spoken, function_event};
use nightbell_deliver::{Mail, Receipt, SendError};
use nightbell_store::Write;

use super::super::writing::Writing;
use super::Addressee;
use crate::app::App;
use crate::clock;
use crate::manage::Refusal;
use crate::manage::topics::{self, Waiting};

/// The longest subject line of a document.
const SUBJECT_CHARS_MAX: usize = topics::SUBJECT_CHARS_MAX;

/// What is sent, written.
enum Written {
    Mail(Box<Mail>),
    Web { headers: Vec<(&'static str, String)>, body: String },
    Event(Vec<u8>),
}

/// Writes what is to be sent, where that may take its time, and sends it once. What a function is handed becomes part of `change`.
pub(super) async fn attempt(
    app: &Arc<App>,
    writing: Arc<Writing>,
    waiting: &Waiting,
    addressee: &Addressee,
    change: &mut Write,
) -> Result<Receipt, SendError> {
    let later = |reason: String| SendError::Later { reason, not_before: None };
    let writer = Writer {
        app: Arc::clone(app),
        writing,
        waiting: waiting.clone(),
        version: addressee.topic.as_ref().map(topics::signature_version).unwrap_or_default(),
        is_raw: addressee.subscription.as_ref().is_some_and(topics::is_raw),
    };
    let written = tokio::task::spawn_blocking(move || writer.write()).await;
    let written = written
        .map_err(|failure| later(format!("the message could not be written: {failure}")))?
        .map_err(|failure| later(format!("the message could not be signed: {failure:#}")))?;
    match written {
        Written::Mail(mail) => app.channel.send(&mail, clock::now()).await,
        Written::Web { headers, body } => {
            let policy = addressee.policy();
            let url = waiting.delivery.endpoint.address();
            app.web.post(Post { url, headers, content_type: &policy.content_type, body }).await
        }
        Written::Event(event) => {
            let arn = waiting.delivery.endpoint.address();
            match topics::hand_to_function(change, arn, &event, clock::now()) {
                Ok(()) => Ok(Receipt { detail: "handed to the function".to_owned() }),
                Err(Refusal::Store(failure)) => Err(later(failure.to_string())),
                Err(refusal) => {
                    Err(SendError::Never { reason: format!("the function took nothing: {refusal:?}") })
                }
            }
        }
    }
}

/// What writes one delivery.
struct Writer {
    app: Arc<App>,
    writing: Arc<Writing>,
    waiting: Waiting,
    version: nightbell_deliver::web::SignatureVersion,
    is_raw: bool,
}

/// A message in words for programs.
struct Words<'a> {
    subject: Option<String>,
    message: String,
    attributes: Option<&'a BTreeMap<String, MessageAttribute>>,
}

impl Writer {
    fn write(&self) -> anyhow::Result<Written> {
        let delivery = &self.waiting.delivery;
        match &delivery.endpoint {
            Endpoint::Email(_) => Ok(Written::Mail(Box::new(self.mail()))),
            Endpoint::EmailJson(_) => {
                let mut mail = self.mail();
                if self.stranger().is_none() {
                    let words = self.words();
                    mail.text = self.document(&self.notification(&words))?.body;
                    mail.html = None;
                    mail.inline.clear();
                    mail.attachments.clear();
                }
                Ok(Written::Mail(Box::new(mail)))
            }
            Endpoint::Http(_) | Endpoint::Https(_) => self.web(),
            Endpoint::Lambda(_) => {
                let words = self.words();
                let (none, key) = (BTreeMap::new(), self.app.signing.key(clock::now())?);
                let event = function_event(
                    self.waiting.subscription.as_deref().unwrap_or_default(),
                    words.subject.as_deref(),
                    &words.message,
                    words.attributes.unwrap_or(&none),
                    delivery.unsubscribe_url.as_deref().unwrap_or_default(),
                    &self.bearer(&key),
                );
                Ok(Written::Event(serde_json::to_vec(&event)?))
            }
        }
    }

    fn mail(&self) -> Mail {
        self.writing.write(&self.app, &self.waiting.delivery, clock::now())
    }

    fn web(&self) -> anyhow::Result<Written> {
        let delivery = &self.waiting.delivery;
        let mut headers = vec![
            ("x-amz-sns-message-id", self.waiting.message_id.clone()),
            ("x-amz-sns-topic-arn", delivery.topic.clone()),
        ];
        let farewell = match &delivery.content {
            Content::Farewell { subscription, .. } => Some(subscription),
            _ => None,
        };
        headers.extend(
            self.waiting
                .subscription
                .as_ref()
                .or(farewell)
                .map(|arn| ("x-amz-sns-subscription-arn", arn.clone())),
        );
        let (kind, body) = match self.stranger() {
            Some(spoken) => {
                let document = self.document(&spoken)?;
                (document.kind, document.body)
            }
            None => {
                let words = self.words();
                if self.is_raw {
                    headers.push(("x-amz-sns-rawdelivery", "true".to_owned()));
                    ("Notification", words.message)
                } else {
                    let document = self.document(&self.notification(&words))?;
                    (document.kind, document.body)
                }
            }
        };
        headers.push(("x-amz-sns-message-type", kind.to_owned()));
        Ok(Written::Web { headers, body })
    }

    /// What is said to an endpoint that has no part in the topic, yet or any more.
    fn stranger(&self) -> Option<Spoken<'_>> {
        match &self.waiting.delivery.content {
            Content::Confirmation { confirm_url, token } => {
                Some(Spoken::Confirmation { token, subscribe_url: confirm_url })
            }
            Content::Farewell { confirm_url, token, subscription } => {
                Some(Spoken::Farewell { subscription, token, subscribe_url: confirm_url })
            }
            _ => None,
        }
    }

    fn notification<'a>(&'a self, words: &'a Words<'_>) -> Spoken<'a> {
        static NONE: BTreeMap<String, MessageAttribute> = BTreeMap::new();
        Spoken::Notification {
            subject: words.subject.as_deref(),
            message: &words.message,
            attributes: words.attributes.unwrap_or(&NONE),
            unsubscribe_url: self.waiting.delivery.unsubscribe_url.as_deref().unwrap_or_default(),
        }
    }

    /// What a notification says: of an alarm, what CloudWatch says; of what CloudWatch does not know, the words of the mail.
    fn words(&self) -> Words<'_> {
        let words = |subject: String, message| Words {
            subject: Some(subject.chars().take(SUBJECT_CHARS_MAX).collect()),
            message,
            attributes: None,
        };
        match &self.waiting.delivery.content {
            Content::Published { subject, message, attributes } => {
                Words { subject: subject.clone(), message: message.clone(), attributes: Some(attributes) }
            }
            Content::Alarm(transition) => words(alarm_subject(transition), alarm_json(transition)),
            Content::Composite(transition) => {
                words(composite_subject(transition), composite_json(transition))
            }
            Content::Incident(_)
            | Content::Digest(_)
            | Content::Confirmation { .. }
            | Content::Farewell { .. } => {
                let mail = self.mail();
                words(mail.subject, mail.text)
            }
        }
    }

    fn document(&self, spoken: &Spoken<'_>) -> anyhow::Result<Document> {
        let key = self.app.signing.key(clock::now())?;
        Ok(Document::of(spoken, &self.bearer(&key)))
    }

    fn bearer<'a>(&'a self, key: &'a nightbell_deliver::web::SigningKey) -> Bearer<'a> {
        Bearer {
            message_id: &self.waiting.message_id,
            topic: &self.waiting.delivery.topic,
            at: self.waiting.delivery.created,
            key,
            version: self.version,
            public_url: &self.app.public_url,
        }
    }
}
