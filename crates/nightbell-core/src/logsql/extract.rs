/*!
What `parse` takes out of a text: by a pattern with `*`, or by the groups of a regular expression.
*/

use super::regex::Regex;

/// How parts are taken out of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Extraction {
    /// The texts around the stars; each star takes as little as it can, the last one without a text behind it the rest.
    Glob(Vec<String>),
    /// The groups, counted from 0, of the first match.
    Regex { regex: Regex, groups: Vec<usize> },
}

impl Extraction {
    /// The pattern `user=*, ip=*`.
    pub(super) fn glob(pattern: &str) -> Self {
        Self::Glob(pattern.split('*').map(str::to_owned).collect())
    }

    /// How many columns it makes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Glob(literals) => literals.len() - 1,
            Self::Regex { groups, .. } => groups.len(),
        }
    }

    /// The parts of `text`, all of them nothing when it does not look as asked.
    pub(super) fn parts<'t>(&self, text: &'t str) -> Option<Vec<Option<&'t str>>> {
        match self {
            Self::Glob(literals) => glob_parts(literals, text),
            Self::Regex { regex, groups } => {
                let found = regex.capture(text)?;
                Some(groups.iter().map(|group| found.get(*group).copied().flatten()).collect())
            }
        }
    }
}

fn glob_parts<'t>(literals: &[String], text: &'t str) -> Option<Vec<Option<&'t str>>> {
    let (first, rest) = literals.split_first()?;
    let mut text = &text[text.find(first.as_str())? + first.len()..];
    let mut parts = Vec::with_capacity(rest.len());
    for (at, literal) in rest.iter().enumerate() {
        let is_last = at + 1 == rest.len();
        let end = if literal.is_empty() && is_last { text.len() } else { text.find(literal.as_str())? };
        parts.push(Some(&text[..end]));
        text = &text[end + literal.len()..];
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_take_as_little_as_they_can() {
        let rows: [(&str, &str, Option<&[&str]>); 8] = [
            ("plain * *", "plain 4656 secret", Some(&["4656", "secret"])),
            ("user=*,", "x user=ann, user=bob,", Some(&["ann"])),
            ("[*] *", "[ERROR] a [b] c", Some(&["ERROR", "a [b] c"])),
            ("*/*", "a/b/c", Some(&["a", "b/c"])),
            ("a**b", "aXb", Some(&["", "X"])),
            ("user=*,", "user=ann", None),
            ("x*", "abc", None),
            ("é*é", "äéßé", Some(&["ß"])),
        ];
        for (pattern, text, expected) in rows {
            let parts = Extraction::glob(pattern).parts(text);
            let parts: Option<Vec<&str>> = parts.map(|parts| parts.into_iter().flatten().collect());
            assert_eq!(parts.as_deref(), expected, "{pattern} on {text}");
        }
    }
}
