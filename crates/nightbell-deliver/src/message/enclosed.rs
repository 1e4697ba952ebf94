/*!
What travels with a mail beside its words: pictures shown in it and the events as they came.

Events are hostile bytes. They are enclosed as XML only where nothing in them can act when the file is opened, else as
plain text.
*/

use nightbell_core::time::Timestamp;

use super::text;

/// Events enclosed; more say no more.
pub const ENCLOSED_EVENTS_MAX: usize = 10;
/// Bytes of all enclosed events together; an event that does not fit is left out whole.
pub const ENCLOSED_BYTES_MAX: usize = 262_144;

/// The only names that elements of an event may belong to.
const EVENT_NAMESPACES: &str = "http://schemas.microsoft.com/";

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// When it happened.
    pub time: Timestamp,
    /// The message, byte for byte.
    pub message: String,
}

/// A file that travels with a mail. Names and types are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name.
    pub name: &'static str,
    /// `image/png`, `application/xml`, `text/plain; charset=utf-8`.
    pub media_type: &'static str,
    /// What the HTML part names as `cid:` where it is shown in the mail; empty for a file of its own.
    pub content_id: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl Attachment {
    /// The picture of a mail.
    pub(super) fn picture(content_id: &str, png: Vec<u8>) -> Self {
        let content_id = content_id.to_owned();
        Self { name: "chart.png", media_type: "image/png", content_id, content: png }
    }

    /// The events as they came, as one file; `None` without any.
    pub(super) fn events(events: &[RawEvent]) -> Option<Self> {
        let mut room = ENCLOSED_BYTES_MAX;
        let fitting = |event: &&RawEvent| {
            let fits = event.message.len() <= room;
            room -= if fits { event.message.len() } else { 0 };
            fits
        };
        let events: Vec<&RawEvent> = events.iter().take(ENCLOSED_EVENTS_MAX).filter(fitting).collect();
        if events.is_empty() {
            return None;
        }
        let all_xml: Option<Vec<&str>> = events.iter().map(|event| inert_xml(&event.message)).collect();
        Some(match all_xml {
            Some(messages) => Self {
                name: "events.xml",
                media_type: "application/xml; charset=utf-8",
                content_id: String::new(),
                content: format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Events>\n{}\n</Events>\n",
                    messages.join("\n")
                )
                .into_bytes(),
            },
            None => Self {
                name: "events.txt",
                media_type: "text/plain; charset=utf-8",
                content_id: String::new(),
                content: plain(&events).into_bytes(),
            },
        })
    }
}

fn plain(events: &[&RawEvent]) -> String {
    let event = |event: &&RawEvent| {
        format!("# {}\n{}\n", event.time.iso(), text::lines(&event.message, ENCLOSED_BYTES_MAX))
    };
    events.iter().map(event).collect::<Vec<_>>().join("\n")
}

/// The event without its declaration, where it is one `<Event>` of plain elements in Microsoft's namespaces: no
/// instructions, no declarations, no prefixes, so that no program finds anything to run in it.
fn inert_xml(message: &str) -> Option<&str> {
    let mut event = message.trim();
    if let Some(rest) = event.strip_prefix("<?xml ") {
        event = rest.split_once("?>")?.1.trim_start();
    }
    let whole = event.starts_with("<Event") && event.ends_with("</Event>");
    let shown = event.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    (whole && shown && elements_are_plain(event) && namespaces_are_known(event)).then_some(event)
}

fn elements_are_plain(event: &str) -> bool {
    event.split('<').skip(1).all(|element| {
        let name = element.strip_prefix('/').unwrap_or(element);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        end > 0 && name[end..].starts_with([' ', '\t', '\r', '\n', '/', '>'])
    })
}

fn namespaces_are_known(event: &str) -> bool {
    event.split("xmlns").skip(1).all(|rest| {
        let value = rest.strip_prefix("='").or_else(|| rest.strip_prefix("=\""));
        value.is_some_and(|value| value.starts_with(EVENT_NAMESPACES))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>4656\
                         </EventID></System><EventData><Data Name='ObjectName'>\\x &lt;b&gt;</Data></EventData></Event>";

    fn enclosed(messages: &[&str]) -> Option<(&'static str, String)> {
        let events: Vec<RawEvent> = messages
            .iter()
            .map(|message| RawEvent { time: Timestamp::from_seconds(0), message: (*message).to_owned() })
            .collect();
        let file = Attachment::events(&events)?;
        Some((file.name, String::from_utf8(file.content).unwrap()))
    }

    #[test]
    fn windows_events_are_one_document() {
        let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{EVENT}\n");
        let (name, text) = enclosed(&[EVENT, &declared]).unwrap();
        assert_eq!(name, "events.xml");
        assert_eq!(text.matches("<?xml").count(), 1);
        assert_eq!(text.matches("<EventID>").count(), 2);
        assert!(text.ends_with("</Event>\n</Events>\n"));
    }

    #[test]
    fn what_could_act_or_is_no_xml_is_text() {
        let rows = [
            "{\"a\":1}",
            "<Event><?xml-stylesheet href='http://x/'?></Event>",
            "<Event><!DOCTYPE x></Event>",
            "<Event><script xmlns='http://www.w3.org/1999/xhtml'>alert(1)</script></Event>",
            "<Event xmlns:h = 'http://www.w3.org/1999/xhtml'><h:script/></Event>",
            "<Event><h:script/></Event>",
            "<Event>\u{1b}[2J</Event>",
            "<Event>",
        ];
        for message in rows {
            let (name, text) = enclosed(&[EVENT, message]).unwrap();
            assert_eq!(name, "events.txt", "{message}");
            assert!(!text.contains('\u{1b}'));
            assert!(text.starts_with("# 1970-01-01T00:00:00.000Z\n<Event"), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        assert_eq!(enclosed(&[]), None);
        assert_eq!(enclosed(&["x".repeat(ENCLOSED_BYTES_MAX + 1).as_str()]), None);
        let half = "y".repeat(ENCLOSED_BYTES_MAX / 2);
        let (_, text) = enclosed(&[&half, &half, "left out", &half]).unwrap();
        assert!(!text.contains("left out") && text.len() < ENCLOSED_BYTES_MAX + 200);
        let many = vec!["z"; 30];
        assert_eq!(enclosed(&many).unwrap().1.matches("\nz\n").count(), ENCLOSED_EVENTS_MAX);
    }
}
