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

impl Group {
    /// A small number that few other groups share, to narrow a search by. It is stored, so it never changes: FNV-1a with
    /// 32 bits over region, a zero byte and name.
    pub fn digest(&self) -> u32 {
        const OFFSET: u32 = 0x811c_9dc5;
        const PRIME: u32 = 0x0100_0193;
        let bytes = self.region.bytes().chain([0]).chain(self.name.bytes());
        bytes.fold(OFFSET, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(PRIME))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_published_function_and_tells_region_from_name() {
        let digest =
            |region: &str, name: &str| Group { region: region.to_owned(), name: name.to_owned() }.digest();
        // FNV-1a of the byte 0 and of "a", 0, "b", by the reference implementation.
        assert_eq!((digest("", ""), digest("a", "b")), (0x050c_5d1f, 0x10f3_abd2));
        assert_ne!(digest("ab", "c"), digest("a", "bc"));
    }
}
