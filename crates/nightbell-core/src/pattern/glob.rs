/*!
Text with `*` for any run of characters. Nothing else is special.
*/

/// A text value of a pattern: exact, or with wildcards.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    /// The texts between the wildcards; one text means no wildcard.
    parts: Box<[Box<str>]>,
}

impl Glob {
    pub(crate) fn new(text: &str) -> Self {
        Self { parts: text.split('*').map(Into::into).collect() }
    }

    /// The whole text, when it has no wildcard.
    pub(crate) fn exact(&self) -> Option<&str> {
        match &*self.parts {
            [text] => Some(text),
            _ => None,
        }
    }

    /// The longest text that every match contains; `None` when it is only wildcards.
    pub(crate) fn longest_part(&self) -> Option<&str> {
        self.parts
            .iter()
            .map(AsRef::as_ref)
            .filter(|part: &&str| !part.is_empty())
            .max_by_key(|part| part.len())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, between @ .., last] = &*self.parts else {
            return self.exact() == Some(text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_ref()) else { return false };
        for part in between {
            // The leftmost place leaves the most for the parts that follow.
            let Some(at) = rest.find(part.as_ref()) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_any_run_and_parts_never_overlap() {
        let rows: [(&str, &[&str], &[&str]); 7] = [
            ("Alpha", &["Alpha"], &["alpha", "Alphabet", ""]),
            ("Alpha*", &["Alpha", "Alphabet"], &["xAlpha"]),
            ("*Alpha", &["Alpha", "xAlpha"], &["Alphabet"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("*b*b*", &["bb", "abab"], &["ab"]),
            ("*", &["", "x"], &[]),
            ("", &[""], &["x"]),
        ];
        for (glob, yes, no) in rows {
            let parsed = Glob::new(glob);
            assert!(yes.iter().all(|text| parsed.matches(text)), "{glob}");
            assert!(!no.iter().any(|text| parsed.matches(text)), "{glob}");
        }
        assert_eq!(Glob::new("*.html*").longest_part(), Some(".html"));
        assert_eq!(Glob::new("**").longest_part(), None);
    }
}
