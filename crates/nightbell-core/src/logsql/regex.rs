/*!
Regular expressions of a query, compiled under a limit, with the texts that a match cannot do without.

The classes `\d`, `\w` and `\s` are those of ASCII, as in patterns. Searching is linear in the text.
*/

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::primitives::PatternID;
use regex_automata::util::syntax;

use super::REGEX_BYTES_MAX;
use crate::pattern::regex::{required, translate};

/// A compiled regular expression, searched for anywhere in a text.
#[derive(Clone, Debug)]
pub(super) struct Regex {
    source: String,
    program: meta::Regex,
    required: Option<Vec<String>>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Regex {
    /// Compiles `source`, with its groups when `captures` says so; else says why not.
    pub(super) fn compile(source: &str, captures: bool) -> Result<Self, String> {
        let hir = syntax::parse(&translate(source)).map_err(
            |_| "the regular expression cannot be read; looking around and back-references are not supported",
        )?;
        let captured = if captures { WhichCaptures::All } else { WhichCaptures::None };
        let config = meta::Config::new()
            .nfa_size_limit(Some(REGEX_BYTES_MAX))
            .hybrid_cache_capacity(REGEX_BYTES_MAX)
            .which_captures(captured);
        let program = meta::Builder::new().configure(config).build_from_hir(&hir).map_err(|_| {
            format!("compiled, the regular expression takes more than {REGEX_BYTES_MAX} bytes")
        })?;
        Ok(Self { source: source.to_owned(), program, required: required(&hir) })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.program.is_match(text)
    }

    /// Names of the groups, in order; `None` for those without.
    pub(super) fn groups(&self) -> Vec<Option<String>> {
        let names = self.program.group_info().pattern_names(PatternID::ZERO);
        names.skip(1).map(|name| name.map(str::to_owned)).collect()
    }

    /// What the groups, counted from 0, hold in the first match; `None` when there is no match.
    pub(super) fn capture<'t>(&self, text: &'t str) -> Option<Vec<Option<&'t str>>> {
        let mut captures = self.program.create_captures();
        self.program.captures(text, &mut captures);
        captures.is_match().then(|| {
            (1..captures.group_len()).map(|group| Some(&text[captures.get_group(group)?.range()])).collect()
        })
    }

    /// Texts of which every match contains at least one; `None` when nothing is sure.
    pub(super) fn required(&self) -> Option<&[String]> {
        self.required.as_deref()
    }
}
