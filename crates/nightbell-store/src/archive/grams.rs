/*!
[`Grams`]: which runs of four bytes occur in some texts, as a bitmap.

A text can only stand in messages that hold each of its runs. Letters are taken in lower case, because `$.Audit.*` is
lower-case and most of it stands in the message in whatever case; texts are compared byte by byte elsewhere.
*/

use serde::{Deserialize, Serialize};

/// Bytes of a run.
const GRAM_BYTES: usize = 4;

/// Bits of the bitmap while it is filled, as a power of two.
const DRAFT_BITS_LOG2: u32 = 22;

/// Bits of the smallest bitmap, as a power of two.
const BITS_MIN_LOG2: u32 = 9;

/// The share of bits that may be set, in percent: the bitmap is folded as long as it stays below.
const DENSITY_MAX_PERCENT: u64 = 12;

/// Runs of four bytes that occur.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grams {
    /// A power of two of bytes.
    #[serde(with = "serde_bytes")]
    bits: Vec<u8>,
}

impl Grams {
    /// Whether a text with `part` in it may be among them; short parts always may.
    pub(super) fn may_hold(&self, part: &str) -> bool {
        let mask = self.bits.len() * 8 - 1;
        let mut gram = 0;
        for (at, byte) in part.bytes().enumerate() {
            gram = gram << 8 | u32::from(byte.to_ascii_lowercase());
            let place = hash(gram) as usize & mask;
            if at + 1 >= GRAM_BYTES && self.bits[place / 8] & 1 << (place % 8) == 0 {
                return false;
            }
        }
        true
    }

    /// Whether it can be asked.
    pub(super) fn is_sound(&self) -> bool {
        self.bits.len().is_power_of_two()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bits.len()
    }
}

/// The place of a run before it is cut to the bitmap's size; part of the format.
fn hash(gram: u32) -> u32 {
    let mixed = gram.wrapping_mul(0x9E37_79B1);
    mixed ^ mixed >> 15
}

/// A bitmap while it is filled.
pub(super) struct GramDraft {
    words: Vec<u64>,
    /// The message before this one: messages of one kind begin alike.
    before: String,
}

impl GramDraft {
    pub(super) fn new() -> Self {
        Self { words: vec![0; (1 << DRAFT_BITS_LOG2) / 64], before: String::new() }
    }

    /// Takes in a message; what it begins with like the one before is there already.
    pub(super) fn add_message(&mut self, message: &str) {
        let pairs = message.as_bytes().chunks(64).zip(self.before.as_bytes().chunks(64));
        let alike = 64 * pairs.take_while(|(one, other)| one == other).count();
        self.add_bytes(&message.as_bytes()[alike.min(message.len()).saturating_sub(GRAM_BYTES - 1)..]);
        self.before.clear();
        self.before.push_str(message);
    }

    /// Takes in a text.
    pub(super) fn add(&mut self, text: &str) {
        self.add_bytes(text.as_bytes());
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        let Some((head, rest)) = bytes.split_at_checked(GRAM_BYTES - 1) else { return };
        let mut gram = head.iter().fold(0, |gram, byte| gram << 8 | u32::from(byte.to_ascii_lowercase()));
        for byte in rest {
            gram = gram << 8 | u32::from(byte.to_ascii_lowercase());
            let place = hash(gram) as usize & ((1 << DRAFT_BITS_LOG2) - 1);
            self.words[place / 64] |= 1 << (place % 64);
        }
    }

    /// The bitmap, folded to the size that its content needs.
    pub(super) fn finish(self) -> Grams {
        let mut words = self.words;
        while words.len() * 64 > 1 << BITS_MIN_LOG2 {
            let (low, high) = words.split_at(words.len() / 2);
            let folded: Vec<u64> = low.iter().zip(high).map(|(low, high)| low | high).collect();
            let set: u64 = folded.iter().map(|word| u64::from(word.count_ones())).sum();
            if set * 100 > folded.len() as u64 * 64 * DENSITY_MAX_PERCENT {
                break;
            }
            words = folded;
        }
        Grams { bits: words.iter().flat_map(|word| word.to_le_bytes()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_stored_as_a_list_of_numbers() {
        let bits = vec![1_u8, 200, 3];
        let stored = postcard::to_stdvec(&Grams { bits: bits.clone() }).unwrap();
        assert_eq!(stored, postcard::to_stdvec(&bits).unwrap(), "older files hold such a list");
        assert_eq!(postcard::from_bytes::<Grams>(&stored).unwrap().bits, bits);
    }

    #[test]
    fn what_was_added_is_held_and_most_else_is_not() {
        let mut draft = GramDraft::new();
        let messages: Vec<String> = (0..500)
            .map(|n| format!("<Event><Common>{}</Common><User>Person{n}</User></Event>", "x".repeat(100)))
            .collect();
        messages.iter().for_each(|message| draft.add_message(message));
        draft.add("ab");
        draft.add("äöüß");
        let grams = draft.finish();
        assert!(messages.iter().all(|message| grams.may_hold(message)));
        for (part, held) in [
            ("PERSON499", true),
            ("son499</u", true),
            ("xy", true),
            ("", true),
            ("äöü", true),
            ("somebody", false),
            ("qxzvwk", false),
        ] {
            assert_eq!(grams.may_hold(part), held, "{part}");
        }
        assert!(grams.is_sound() && grams.bytes() < 4_096, "{}", grams.bytes());
        let postcard = postcard::to_stdvec(&grams).unwrap();
        assert_eq!(postcard::from_bytes::<Grams>(&postcard).unwrap(), grams);
    }

    #[test]
    fn messages_that_begin_alike_are_held_across_the_seam() {
        for common in [0, 1, 3, 63, 64, 65, 127, 128] {
            let mut draft = GramDraft::new();
            let common = "k".repeat(common);
            let messages =
                [format!("{common}first"), format!("{common}other"), common.clone(), common + "last"];
            messages.iter().for_each(|message| draft.add_message(message));
            let grams = draft.finish();
            assert!(messages.iter().all(|message| grams.may_hold(message)), "{messages:?}");
        }
    }

    #[test]
    fn few_texts_need_few_bits_and_many_get_many() {
        assert_eq!(GramDraft::new().finish().bytes() * 8, 1 << BITS_MIN_LOG2);
        let mut draft = GramDraft::new();
        (0..400_000_u32).for_each(|n| draft.add(&format!("{:x}", n.wrapping_mul(0x9E37_79B1))));
        assert!(draft.finish().bytes() > 50_000);
    }
}
