/*!
Values of a policy: text with wildcards and policy variables such as `${aws:username}`.

Variables are read by "IAM policy elements: Variables and tags" (IAM User Guide): `${key}`, `${key, 'default'}`, and
`${*}`, `${?}`, `${$}` for the characters themselves. What a variable stands for is text: a `*` in it is no wildcard.
*/

use super::POLICY_PATTERN_BYTES_MAX;
use super::facts::Facts;
use crate::wildcard::{self, Case, Token};

/// What `*` and `?` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wildcards {
    /// Themselves.
    None,
    /// Anything.
    Free,
    /// Anything inside a segment; a `*` that ends a segment also reaches beyond ("Resource", IAM User Guide).
    Resource,
    /// Anything inside each of an ARN's first five parts, and anything in the sixth ("Condition operators").
    Arn,
}

/// A value, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Fixed(Box<[Token]>),
    Variable { key: String, default: Option<String> },
}

impl Template {
    /// Reads a value; `variables` says whether the document's version knows policy variables.
    pub(super) fn parse(text: &str, wildcards: Wildcards, variables: bool) -> Result<Self, String> {
        if text.len() > POLICY_PATTERN_BYTES_MAX {
            return Err(format!("has {} bytes; at most {POLICY_PATTERN_BYTES_MAX} are allowed", text.len()));
        }
        let (mut parts, mut tokens, mut colons) = (Vec::new(), Vec::new(), 0);
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if variables && let Some(inside) = rest.strip_prefix("${") {
                let (name, after) = inside.split_once('}').ok_or("has a \"${\" without its \"}\"")?;
                rest = after;
                match name {
                    "*" | "?" | "$" => tokens.push(Token::Byte(name.as_bytes()[0])),
                    _ => {
                        parts.push(Part::Fixed(std::mem::take(&mut tokens).into()));
                        parts.push(variable(name)?);
                    }
                }
                continue;
            }
            rest = &rest[character.len_utf8()..];
            let ends_segment = rest.is_empty() || rest.starts_with(':');
            colons += usize::from(character == ':');
            let free = match wildcards {
                Wildcards::None | Wildcards::Free => true,
                Wildcards::Resource => ends_segment && character == '*',
                Wildcards::Arn => colons >= 5,
            };
            match character {
                '*' if wildcards != Wildcards::None => {
                    tokens.push(if free { Token::Run } else { Token::RunInSegment });
                }
                '?' if wildcards != Wildcards::None => {
                    tokens.push(if free { Token::One } else { Token::OneInSegment });
                }
                _ => tokens.extend(character.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte)),
            }
        }
        parts.push(Part::Fixed(tokens.into()));
        Ok(Self { parts })
    }

    /// Whether the text is what the value says; `None` where a variable has neither value nor default.
    pub(super) fn matches(&self, text: &str, facts: &Facts<'_>, case: Case) -> Option<bool> {
        if let [Part::Fixed(tokens)] = self.parts.as_slice() {
            return Some(wildcard::matches(tokens, text, case));
        }
        let mut tokens = Vec::new();
        for part in &self.parts {
            match part {
                Part::Fixed(fixed) => tokens.extend_from_slice(fixed),
                Part::Variable { key, default } => {
                    let value = facts.variable(key).or_else(|| default.as_deref().map(Into::into))?;
                    match case {
                        Case::Exact => tokens.extend(value.bytes().map(Token::Byte)),
                        Case::Folded => tokens.extend(value.to_lowercase().bytes().map(Token::Byte)),
                    }
                }
            }
        }
        Some(wildcard::matches(&tokens, text, case))
    }
}

/// What stands between the braces: a key, perhaps a default in single quotes.
fn variable(inside: &str) -> Result<Part, String> {
    let (key, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((key, default)) => {
            let quoted = default.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            let text = quoted.ok_or_else(|| {
                format!("has the variable \"${{{inside}}}\" whose default does not stand in single quotes")
            })?;
            (key, Some(text.to_owned()))
        }
    };
    let key = key.trim();
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '*' | '?' | '$')) {
        return Err(format!("has the variable \"${{{inside}}}\", which names no condition key"));
    }
    Ok(Part::Variable { key: key.to_owned(), default })
}
