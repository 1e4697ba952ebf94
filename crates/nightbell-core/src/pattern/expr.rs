/*!
Conditions joined by `&&` and `||`. Leaves are numbered; what they ask is kept by the form of pattern they belong to.
*/

use super::PatternError;
use super::lex::Tokens;
use super::need::Need;

/// Parentheses inside each other.
const NESTING_MAX: usize = 64;

/// A condition; leaves are positions in the owner's list of tests.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Leaf(usize),
    All(Vec<Expr>),
    Any(Vec<Expr>),
}

impl Expr {
    /// Whether the condition holds, given which leaves do.
    pub(crate) fn holds(&self, leaf: &mut impl FnMut(usize) -> bool) -> bool {
        match self {
            Self::Leaf(at) => leaf(*at),
            Self::All(parts) => parts.iter().all(|part| part.holds(leaf)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(leaf)),
        }
    }

    /// What must be there for the condition to hold, given what each leaf needs.
    pub(crate) fn need<'p>(&self, leaf: &impl Fn(usize) -> Need<'p>) -> Need<'p> {
        match self {
            Self::Leaf(at) => leaf(*at),
            Self::All(parts) => Need::All(parts.iter().map(|part| part.need(leaf)).collect()),
            Self::Any(parts) => Need::Any(parts.iter().map(|part| part.need(leaf)).collect()),
        }
    }

    /// `and *( "||" and )`, `and = prim *( "&&" prim )`: `&&` binds tighter. `prim` reads one leaf; with `parentheses`
    /// a condition in parentheses is one too.
    pub(super) fn parse<'p>(
        tokens: &mut Tokens<'p>,
        parentheses: bool,
        depth: usize,
        prim: &mut dyn FnMut(&mut Tokens<'p>) -> Result<usize, PatternError>,
    ) -> Result<Self, PatternError> {
        let mut any = Vec::new();
        loop {
            let mut all = Vec::new();
            loop {
                all.push(Self::parse_prim(tokens, parentheses, depth, prim)?);
                if !tokens.take_and() {
                    break;
                }
            }
            any.push(single(all, Self::All));
            if !tokens.take_or() {
                return Ok(single(any, Self::Any));
            }
        }
    }

    fn parse_prim<'p>(
        tokens: &mut Tokens<'p>,
        parentheses: bool,
        depth: usize,
        prim: &mut dyn FnMut(&mut Tokens<'p>) -> Result<usize, PatternError>,
    ) -> Result<Self, PatternError> {
        if !parentheses || !tokens.take_mark('(') {
            return prim(tokens).map(Self::Leaf);
        }
        if depth == NESTING_MAX {
            return Err(PatternError::Syntax);
        }
        let inner = Self::parse(tokens, parentheses, depth + 1, prim)?;
        tokens.expect_mark(')')?;
        Ok(inner)
    }
}

fn single(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}
