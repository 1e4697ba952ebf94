/*!
What is known of a set of events without reading them, and what a pattern makes of it.

[`Facts`] are answered by the summaries of stored blocks and by rows of which only some columns have been read. The
pattern asks about its need alone, so it can rule a set out and can never prove a match.
*/

use super::need::{FieldKey, Key, Need};
use crate::fields::Selector;

/// What a set of events may hold. Every answer may be `true`; `false` is a promise about each event of the set.
pub trait Facts {
    /// Whether the message of some event may contain `text`.
    fn may_hold_text(&self, text: &str) -> bool;

    /// Whether `selector` may reach, in some event, a text or number that is written `text`.
    ///
    /// Where `text` is a plain number, it stands for every way of writing that number; `true` and `false` stand for the
    /// JSON words, too.
    fn may_hold_value(&self, selector: &Selector, text: &str) -> bool;

    /// Whether `selector` may reach, in some event, a text or number whose writing contains `part`.
    fn may_hold_part(&self, _selector: &Selector, _part: &str) -> bool {
        true
    }
}

/// Whether an event of the set may hold what is needed. Asks about every key, so that a caller can learn which ones.
pub(crate) fn may_meet(need: &Need<'_>, facts: &dyn Facts) -> bool {
    match need {
        Need::Nothing => true,
        Need::OneOf(keys) => keys.is_empty() | any(keys, |key| may_hold(*key, facts)),
        Need::All(needs) => needs.iter().fold(true, |all, need| all & may_meet(need, facts)),
        Need::Any(needs) => needs.is_empty() | any(needs, |need| may_meet(need, facts)),
    }
}

/// As `Iterator::any`, over all of them.
fn any<T>(items: &[T], mut holds: impl FnMut(&T) -> bool) -> bool {
    items.iter().fold(false, |any, item| any | holds(item))
}

fn may_hold(key: Key<'_>, facts: &dyn Facts) -> bool {
    match key {
        Key::Text(text) => facts.may_hold_text(text),
        Key::Field(selector, FieldKey::Text(text)) => facts.may_hold_value(selector, text),
        Key::Field(selector, FieldKey::Number(bits)) => {
            facts.may_hold_value(selector, &f64::from_bits(bits).to_string())
        }
        Key::Field(selector, FieldKey::Part(part)) => facts.may_hold_part(selector, part),
        Key::Field(selector, FieldKey::True) => facts.may_hold_value(selector, "true"),
        Key::Field(selector, FieldKey::False) => facts.may_hold_value(selector, "false"),
        Key::Field(_, FieldKey::Null | FieldKey::Present) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    /// Events that hold these texts and these values, and nothing else.
    struct Known(&'static [&'static str], &'static [(&'static str, &'static str)]);

    impl Facts for Known {
        fn may_hold_text(&self, text: &str) -> bool {
            self.0.iter().any(|held| held.contains(text))
        }

        fn may_hold_value(&self, selector: &Selector, text: &str) -> bool {
            self.1.contains(&(selector.to_string().as_str(), text))
        }

        fn may_hold_part(&self, selector: &Selector, part: &str) -> bool {
            let selector = selector.to_string();
            self.1.iter().any(|(name, held)| *name == selector && held.contains(part))
        }
    }

    #[test]
    fn a_pattern_is_ruled_out_by_what_it_needs() {
        let facts = Known(
            &["one 4625 two"],
            &[("$.EventID", "4625"), ("$.Audit.User", r"corp\ann"), ("$.Flag", "true")],
        );
        let rows = [
            ("", true),
            ("4625", true),
            ("4625 three", false),
            ("?three ?two", true),
            ("?three ?four", false),
            ("-one", true),
            ("%tw[o0]%", true),
            ("{ $.EventID = 4625 }", true),
            ("{ $.EventID = 4625.0 }", true),
            ("{ $.EventID = 4624 }", false),
            ("{ $.EventID != 4625 }", true),
            ("{ $.EventID > 9000 }", true),
            ("{ $.EventID NOT EXISTS }", true),
            (r#"{ $.Audit.User = "corp\\ann" }"#, true),
            (r#"{ $.Audit.User = "*ann" }"#, true),
            (r#"{ $.Audit.User = "*bob" }"#, false),
            (r#"{ $.Audit.User = "*bob" || $.EventID = 4625 }"#, true),
            (r#"{ $.Audit.User = "*bob" && $.EventID = 4625 }"#, false),
            ("{ $.Audit.Flag IS TRUE }", false),
            ("{ $.Flag IS TRUE }", true),
            ("{ $.Flag IS FALSE }", false),
            ("{ $.Flag IS NULL }", true),
            ("[a = one, b, c = two]", true),
            ("[a = one, b, c = three]", false),
            ("[a, b = 4625]", true),
        ];
        for (pattern, may) in rows {
            assert_eq!(Pattern::parse(pattern).expect(pattern).may_match(&facts), may, "{pattern}");
        }
    }
}
