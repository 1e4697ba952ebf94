/*!
What a source sent: [`Batch`]es of [`Event`]s, kept as they came.

Fields are not here: they are a view, read only when a rule asks ([`crate::fields`]).
*/

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One log event: when it happened and the message as the source sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, by the source's word.
    pub time: Timestamp,
    /// The message, unchanged; never empty.
    pub message: String,
}

/// A log group: groups of one name in two regions are two groups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Group {
    /// The region of the request's signature; any name is a site.
    pub region: String,
    /// The group's name, 1 to 512 characters.
    pub name: String,
}

/// Events accepted together from one stream, in order of event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The log group they belong to.
    pub group: Group,
    /// The log stream inside the group.
    pub stream: String,
    /// When they arrived here.
    pub arrival: Timestamp,
    /// The events; never empty.
    pub events: Vec<Event>,
}

impl Batch {
    /// Bytes of message text, the measure of memory and admission.
    pub fn message_bytes(&self) -> usize {
        self.events.iter().map(|event| event.message.len()).sum()
    }
}
