/*!
The restricted regular expressions `%…%`: their characters, their translation, and the texts they cannot do without.

The lexer here decides what is allowed; regex-automata decides what it means. Classes are those of ASCII (`\d` is
`[0-9]`), everything else counts whole characters. There are no groups, so no pattern backtracks or captures.
*/

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;
use regex_syntax::hir::{Hir, HirKind};

use super::PatternError;

/// Bytes of one compiled automaton; a pattern that needs more is refused.
const AUTOMATON_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the states kept while searching, for each thread that searches.
const CACHE_BYTES_MAX: usize = 256 * 1024;
/// Alternatives of a required text; past it the regular expression is held to require nothing.
const ALTERNATIVES_MAX: usize = 32;

/// A compiled `%…%`, searched for anywhere in a text.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    program: meta::Regex,
    required: Option<Vec<String>>,
}

impl Regex {
    /// Compiles what stands between the percent signs; [`length`] must have accepted it.
    pub(crate) fn compile(body: &str) -> Result<Self, PatternError> {
        let hir = syntax::parse(&translate(body)).map_err(|_| PatternError::Regex)?;
        let config = meta::Config::new()
            .nfa_size_limit(Some(AUTOMATON_BYTES_MAX))
            .hybrid_cache_capacity(CACHE_BYTES_MAX)
            .which_captures(WhichCaptures::None);
        let program =
            meta::Builder::new().configure(config).build_from_hir(&hir).map_err(|_| PatternError::Regex)?;
        Ok(Self { program, required: required(&hir) })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.program.is_match(text)
    }

    /// Texts of which every match contains at least one; `None` when nothing is sure.
    pub(crate) fn required(&self) -> Option<&[String]> {
        self.required.as_deref()
    }
}

/// The bytes from the `%` that `text` begins with to the one that closes it, both included.
pub(super) fn length(text: &str) -> Result<usize, PatternError> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        let wrong = match c {
            '%' => return Ok(at + 1),
            '\\' => match chars.next() {
                Some((_, escaped)) if is_escapable(escaped) => None,
                Some((at, escaped)) => Some(at + escaped.len_utf8()),
                None => Some(text.len()),
            },
            _ if is_allowed(c) => None,
            _ => Some(at + c.len_utf8()),
        };
        if let Some(end) = wrong {
            return Err(PatternError::Term(text[..end].to_owned()));
        }
    }
    Err(PatternError::Term(text.to_owned()))
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || ":_#=@/;,- ".contains(c) || is_operator(c)
}

fn is_operator(c: char) -> bool {
    r"^$?[]{}|\*+.".contains(c)
}

fn is_escapable(c: char) -> bool {
    is_operator(c) || "dDsSwWx/".contains(c)
}

/// Writes the expression in regex-automata's syntax.
pub(crate) fn translate(body: &str) -> String {
    let mut out = String::with_capacity(body.len() + 16);
    let mut depth = 0_usize;
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str(r"[\t\n\x0B\f\r ]"),
                Some('S') => out.push_str(r"[^\t\n\x0B\f\r ]"),
                escaped => {
                    out.push('\\');
                    out.extend(escaped);
                }
            },
            '{' if depth == 0 && chars.peek() == Some(&',') => out.push_str("{0"),
            _ => {
                match c {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                out.push(c);
            }
        }
    }
    out
}

/// Texts of which every match of `hir` contains at least one.
pub(crate) fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(|text| vec![text.to_owned()]),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(|texts| strength(texts)),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(required(branch)?);
                if all.len() > ALTERNATIVES_MAX {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// A longer shortest text rules out more; of equals, fewer texts are better.
fn strength(texts: &[String]) -> (usize, std::cmp::Reverse<usize>) {
    (texts.iter().map(String::len).min().unwrap_or(0), std::cmp::Reverse(texts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_without_lower_bound_and_ascii_classes() {
        let regex = |body: &str| Regex::compile(body).unwrap();
        assert!(regex("^a{,2}$").matches("aa"));
        assert!(regex("^a{,2}$").matches(""));
        assert!(!regex("^a{,2}$").matches("aaa"));
        assert!(regex("^[{,]$").matches(","));
        assert!(!regex(r"^\d$").matches("٣"));
        assert!(regex(r"^\W$").matches("é"));
        assert!(regex(r"^[\d\s]+$").matches("1 2"));
        assert!(regex(r"^\x2e\/\.$").matches("./."));
    }

    #[test]
    fn oversized_and_broken_expressions_are_refused() {
        for body in ["[abc", "*a", "a{2,1}", "a{1000}{1000}{1000}", r"\x2", r"[^a]{9999}", "a{", "[b-a]"] {
            assert_eq!(Regex::compile(body).err(), Some(PatternError::Regex), "{body}");
        }
    }

    #[test]
    fn required_texts() {
        let required = |body: &str| Regex::compile(body).unwrap().required().map(<[String]>::to_vec);
        assert_eq!(required(r"^ERROR\s[0-9]{3}$").unwrap(), ["ERROR"]);
        assert_eq!(required("ERROR|WARN").unwrap(), ["ERROR", "WARN"]);
        assert_eq!(required("colou?r").unwrap(), ["colo"]);
        assert_eq!(required("[^a-z]+"), None);
        assert_eq!(required("a|b*"), None);
        assert_eq!(required(""), None);
    }
}
