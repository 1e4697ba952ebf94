/*!
Messages: what a delivery looks like when a person reads it.

Pure: a [`Delivery`], an [`Origin`] and the time in, a [`Mail`] out. Knows neither SMTP nor MIME. All event text is hostile and is cleaned, cut and escaped here.
*/

use nightbell_core::alarm::{MetricAlarm, Transition};
use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::time::Timestamp;

pub(crate) use text::{line as clean_line, line_of_ends as clean_ends, number as clean_number};

pub use classic::{
    Before, CLASSIC_SUBJECT_CHARS_MAX, alarm_event, alarm_json, alarm_subject, composite_event,
    composite_json, composite_subject, region_name,
};
pub use enclosed::{Attachment, ENCLOSED_BYTES_MAX, ENCLOSED_EVENTS_MAX, RawEvent};
pub use pictures::{PICTURES_MAX, Pictures};
pub use template::{
    TEMPLATE_BYTES_MAX, TEMPLATE_DEPTH_MAX, TEMPLATE_FUEL_MAX, TEMPLATE_OUTPUT_BYTES_MAX, Template,
    TemplateError,
};
pub use verification::verification;

mod alarm;
mod classic;
mod composite;
mod course;
mod digest;
mod enclosed;
mod hops;
mod kind;
mod moment;
mod note;
mod page;
mod pictures;
mod story;
mod tables;
mod template;
mod text;
mod verification;
mod words;

/// Characters of a subject line.
pub const SUBJECT_CHARS_MAX: usize = 200;
/// Bytes of a link; longer ones are left out.
pub const URL_BYTES_MAX: usize = 900;
/// Characters of a published message; the service takes 262,144 bytes.
pub const PUBLISHED_CHARS_MAX: usize = 262_144;
/// Characters of a topic's ARN as it is shown.
pub const TOPIC_CHARS_MAX: usize = 400;
/// Characters of a name that a topic gives the sender.
pub const SENDER_NAME_CHARS_MAX: usize = 100;
/// Characters of a delivery's id inside names; an id is hexadecimal and shorter.
pub const ID_CHARS_MAX: usize = 80;
/// Bytes of the sender's address with its display name.
pub const FROM_BYTES_MAX: usize = 320;

/// Bytes of a header line (RFC 5322, 2.1.1); a link is never folded.
const HEADER_LINE_BYTES_MAX: usize = 998;
const _: () = assert!("List-Unsubscribe: <>".len() + URL_BYTES_MAX <= HEADER_LINE_BYTES_MAX);

/// The subject of a published message that has none.
const PUBLISHED_SUBJECT: &str = "Nightbell Notification Message";
/// The subject that asks a subscriber for consent.
const CONFIRMATION_SUBJECT: &str = "Nightbell - Subscription Confirmation";

/// Where mail comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    from: String,
    domain: String,
    public_url: Option<String>,
    endpoint: Option<String>,
}

/// Why an [`Origin`] was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// The sender is no mail address, or not one in ASCII.
    #[error(
        "the sender is no ASCII mail address: write `name@example.org` or `Nightbell <name@example.org>`"
    )]
    From,
    /// The product's own URL is no web address.
    #[error("the public URL is no http or https address")]
    PublicUrl,
    /// The address of the API is no web address.
    #[error("the address of the API is no http or https address")]
    Endpoint,
}

impl Origin {
    /// The sender `from` (`name@example.org` or `Nightbell <name@example.org>`) and, where people can reach one, the
    /// console's URL.
    ///
    /// # Errors
    ///
    /// Either part is not what it should be.
    pub fn new(from: &str, public_url: Option<&str>) -> Result<Self, InvalidOrigin> {
        let sender = crate::mime::sender(from).ok_or(InvalidOrigin::From)?;
        if public_url.is_some_and(|url| !text::is_web_url(url, URL_BYTES_MAX)) {
            return Err(InvalidOrigin::PublicUrl);
        }
        Ok(Self {
            from: from.to_owned(),
            domain: message_id_domain(sender.email.domain()),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            endpoint: None,
        })
    }

    /// The sender as it was configured: an address, or a name and an address.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The Message-ID of a mail by its id, held to letters, digits, `-` and `_`.
    pub fn message_id(&self, id: &str) -> String {
        format!("<{}@nightbell.{}>", safe_id(id), self.domain)
    }

    /// Shows commands that speak to the API at `url`, whatever else the reader's command line is set up for.
    ///
    /// # Errors
    ///
    /// It is no web address.
    pub fn with_endpoint(mut self, url: &str) -> Result<Self, InvalidOrigin> {
        if !text::is_web_url(url, URL_BYTES_MAX) {
            return Err(InvalidOrigin::Endpoint);
        }
        self.endpoint = Some(url.trim_end_matches('/').to_owned());
        Ok(self)
    }

    /// Where an alarm can be looked at: `<public url>/console/alarms/<name>?region=<region>`; `None` without a public
    /// URL or when the link would pass [`URL_BYTES_MAX`].
    pub fn alarm_url(&self, transition: &Transition) -> Option<String> {
        self.url_of(&transition.alarm)
    }

    /// The sender under another name.
    fn sender_named(&self, name: Option<&str>) -> String {
        let address = crate::mime::sender(&self.from).map(|sender| sender.email);
        let named = name
            .zip(address)
            .map(|(name, address)| format!("{} <{address}>", text::line(name, SENDER_NAME_CHARS_MAX)));
        named.filter(|from| crate::mime::sender(from).is_some()).unwrap_or_else(|| self.from.clone())
    }

    fn url_of(&self, alarm: &MetricAlarm) -> Option<String> {
        self.link(&alarm.name, moment::region(alarm))
    }

    fn link(&self, name: &str, region: &str) -> Option<String> {
        let base = self.public_url.as_deref()?;
        let (name, region) = (text::percent_encoded(name), text::percent_encoded(region));
        let url = format!("{base}/console/alarms/{name}?region={region}");
        (url.len() <= URL_BYTES_MAX).then_some(url)
    }
}

/// A mail, ready to become MIME. Every part but the addresses is clean text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The delivery's id, held to letters, digits, `-` and `_`: names files and makes the Message-ID.
    pub id: String,
    /// `<id@nightbell.domain>`; the same on every attempt.
    pub message_id: String,
    /// The Date header: when the delivery was caused, so that a later attempt is the same mail.
    pub date: Timestamp,
    /// The sender, as configured.
    pub from: String,
    /// The recipient, as subscribed; checked when it is sent.
    pub to: String,
    /// One line, not yet encoded.
    pub subject: String,
    /// The plain-text part, lines ended by `\n`.
    pub text: String,
    /// The HTML part, where there is one.
    pub html: Option<String>,
    /// Pictures that the HTML part shows.
    pub inline: Vec<Attachment>,
    /// Files of their own.
    pub attachments: Vec<Attachment>,
    /// Further headers as name and value; values are printable ASCII on one line.
    pub headers: Vec<(&'static str, String)>,
}

/// What a mail is made of beside its delivery.
#[derive(Clone, Copy, Debug, Default)]
pub struct Enclosure<'a> {
    /// The topic's own template for the HTML part of alarms.
    pub template: Option<&'a Template>,
    /// The sample events as they came, earliest first; at most [`ENCLOSED_EVENTS_MAX`] are enclosed.
    pub events: &'a [RawEvent],
    /// Pictures drawn lately, which spare drawing the same again; without them each is drawn.
    pub pictures: Option<&'a Pictures>,
    /// What the sender is called instead of what the [`Origin`] says; one that cannot stand in a header is not used.
    pub sender_name: Option<&'a str>,
    /// Whether it is only shown what would have been sent: the mail says so, and offers nothing to do about an incident
    /// that never was.
    pub trial: bool,
}

/// Writes the mail that `delivery` stands for, at `now`. Equal arguments give an equal mail; of an attempt at another
/// time only the step that says when it was mailed differs.
pub fn render(delivery: &Delivery, origin: &Origin, enclosure: Enclosure<'_>, now: Timestamp) -> Mail {
    assemble(delivery, origin, enclosure, now, |setting| match &delivery.content {
        Content::Alarm(transition) => alarm::write(transition, setting),
        Content::Published { subject, message, .. } => published(subject.as_deref(), message, setting.reader),
        Content::Confirmation { confirm_url, .. } | Content::Farewell { confirm_url, .. } => {
            confirmation(confirm_url, setting.reader)
        }
        Content::Incident(message) => note::write(message, setting),
        Content::Digest(digest) => digest::write(digest, setting),
        Content::Composite(transition) => composite::write(transition, setting),
        // It goes out by `Channel::post`; what would show deliveries as messages says so.
        Content::Raw(_) => published(None, "A mail that goes out as it was written.", setting.reader),
    })
}

/// Puts what `write` says between the delivery's headers and what is enclosed.
fn assemble(
    delivery: &Delivery,
    origin: &Origin,
    enclosure: Enclosure<'_>,
    now: Timestamp,
    write: impl FnOnce(&alarm::Setting<'_>) -> Written,
) -> Mail {
    let to = delivery.endpoint.shown();
    let unsubscribe_url =
        delivery.unsubscribe_url.as_deref().filter(|url| text::is_web_url(url, URL_BYTES_MAX));
    let reader = Reader {
        to: text::line(&to, 254),
        topic: text::line(&delivery.topic, TOPIC_CHARS_MAX),
        unsubscribe_url,
    };
    let id = safe_id(&delivery.id);
    let content_id = format!("chart.{id}@nightbell.{}", origin.domain);
    let Enclosure { template, pictures, trial, .. } = enclosure;
    let reader_ref = &reader;
    let written = write(&alarm::Setting {
        origin,
        reader: reader_ref,
        template,
        pictures,
        now,
        content_id: &content_id,
        trial,
    });
    Mail {
        message_id: format!("<{id}@nightbell.{}>", origin.domain),
        id,
        date: delivery.created,
        from: origin.sender_named(enclosure.sender_name),
        to,
        subject: text::line(&written.subject, SUBJECT_CHARS_MAX),
        text: written.text,
        html: written.html,
        inline: written.inline,
        attachments: Attachment::events(enclosure.events).into_iter().collect(),
        headers: headers(written.state, &reader),
    }
}

/// Who reads the mail and how they came to it.
struct Reader<'a> {
    to: String,
    topic: String,
    unsubscribe_url: Option<&'a str>,
}

/// What the content of a mail is written as.
struct Written {
    subject: String,
    text: String,
    html: Option<String>,
    state: Option<&'static str>,
    inline: Vec<Attachment>,
}

fn published(subject: Option<&str>, message: &str, reader: &Reader<'_>) -> Written {
    let mut text = text::lines(message, PUBLISHED_CHARS_MAX);
    text += "\n\n----------------------------------------\n";
    if let Some(url) = reader.unsubscribe_url {
        text += &format!(
            "You receive this because {} is subscribed to the topic {}.\nTo stop these messages, open:\n{url}\n\n",
            reader.to, reader.topic
        );
    }
    text += "Please do not reply to this message: nobody reads the answers.\n";
    let subject = subject.filter(|subject| !subject.trim().is_empty()).unwrap_or(PUBLISHED_SUBJECT);
    Written { subject: subject.to_owned(), text, html: None, state: None, inline: Vec::new() }
}

fn confirmation(confirm_url: &str, reader: &Reader<'_>) -> Written {
    let url = text::is_web_url(confirm_url, URL_BYTES_MAX).then_some(confirm_url);
    let link = url.unwrap_or("(the link could not be written: ask whoever runs this server)");
    let text = format!(
        "{} was subscribed to the topic\n{}\n\nTo receive its messages, confirm the subscription within three days:\n\
         {link}\n\nIf you did not ask for this, do nothing: without your confirmation nothing is sent.\n",
        reader.to, reader.topic
    );
    let html = page::confirmation(&page::Confirmation {
        subject: CONFIRMATION_SUBJECT,
        to: &reader.to,
        topic: &reader.topic,
        confirm_url: url,
    });
    Written {
        subject: CONFIRMATION_SUBJECT.to_owned(),
        text,
        html: Some(html),
        state: None,
        inline: Vec::new(),
    }
}

/// Headers by which mail programs and filters know what this is. `Auto-Submitted` (RFC 3834) keeps holiday replies
/// away; one-click unsubscription (RFC 8058) is offered where the link is `https`, as that standard demands.
fn headers(state: Option<&'static str>, reader: &Reader<'_>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Auto-Submitted", "auto-generated".to_owned())];
    if reader.topic.is_ascii() && !reader.topic.is_empty() {
        headers.push(("X-Nightbell-Topic", reader.topic.clone()));
    }
    if let Some(state) = state {
        headers.push(("X-Nightbell-State", state.to_owned()));
    }
    if let Some(url) = reader.unsubscribe_url {
        headers.push(("List-Unsubscribe", format!("<{url}>")));
        if url.starts_with("https://") {
            headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
    }
    headers
}

/// What stands after `@nightbell.` in a Message-ID: the sender's domain, unless that is an address in brackets.
fn message_id_domain(domain: &str) -> String {
    let plain = domain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if plain { domain.to_owned() } else { "localhost".to_owned() }
}

/// An id fit for file names and Message-IDs.
fn safe_id(id: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let safe: String = id.chars().take(ID_CHARS_MAX).map(keep).collect();
    if safe.is_empty() { "none".to_owned() } else { safe }
}

#[cfg(test)]
pub(crate) mod tests;
