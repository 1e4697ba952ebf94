/*!
`{ $.a = 1 && $.b = "x*" }`: conditions on fields.

Sees fields through [`Fields`] alone, so the same pattern serves JSON messages and Windows events. A message without
fields never matches, not even `NOT EXISTS`.
*/

use super::check::{Check, Operand};
use super::expr::Expr;
use super::lex::{Dialect, Token, Tokens};
use super::need::Need;
use super::{PATTERN_WILDCARD_SELECTORS_MAX, PatternError};
use crate::fields::{Fields, Selector};

/// A parsed `{ … }`.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    expr: Expr,
    tests: Vec<Test>,
}

/// One selector and what is asked of its values.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) selector: Selector,
    pub(crate) check: Check,
}

impl Json {
    /// The pattern and its number of regular expressions.
    pub(super) fn parse(source: &str) -> Result<(Self, usize), PatternError> {
        let mut tokens = Tokens::read(source, Dialect::Json)?;
        let mut tests = Vec::new();
        tokens.expect_mark('{')?;
        let expr = Expr::parse(&mut tokens, true, 0, &mut |tokens| {
            tests.push(parse_test(tokens)?);
            Ok(tests.len() - 1)
        })?;
        tokens.expect_mark('}')?;
        tokens.expect_end()?;
        if tests.iter().filter(|test| test.selector.has_wildcard()).count() > PATTERN_WILDCARD_SELECTORS_MAX {
            return Err(PatternError::WildcardSelectors);
        }
        Ok((Self { expr, tests }, tokens.regexes))
    }

    pub(crate) fn matches(&self, fields: &dyn Fields) -> bool {
        self.expr.holds(&mut |at| self.tests[at].holds(fields))
    }

    /// As [`Json::matches`], with the caller answering for each test by its position.
    pub(crate) fn matches_by(&self, mut holds: impl FnMut(usize, &Test) -> bool) -> bool {
        self.expr.holds(&mut |at| holds(at, &self.tests[at]))
    }

    pub(crate) fn tests(&self) -> &[Test] {
        &self.tests
    }

    pub(crate) fn need(&self) -> Need<'_> {
        self.expr.need(&|at| self.tests[at].check.field_need(&self.tests[at].selector))
    }
}

impl Test {
    fn holds(&self, fields: &dyn Fields) -> bool {
        let (mut any, mut holds) = (false, false);
        fields.visit(&self.selector, &mut |value| {
            any = true;
            holds = holds || self.check.holds_for(value);
        });
        if matches!(self.check, Check::NotExists) { !any } else { holds }
    }
}

fn parse_test(tokens: &mut Tokens<'_>) -> Result<Test, PatternError> {
    let Some(Token::Selector(selector)) = tokens.next() else {
        return Err(PatternError::Syntax);
    };
    let check = match tokens.next() {
        Some(Token::Op(op)) => Check::Compare(op, operand(tokens)?),
        Some(Token::Word("IS")) => match tokens.next() {
            Some(Token::Word("NULL")) => Check::Null,
            Some(Token::Word("TRUE")) => Check::True,
            Some(Token::Word("FALSE")) => Check::False,
            _ => return Err(PatternError::Syntax),
        },
        Some(Token::Word("NOT")) => match tokens.next() {
            Some(Token::Word("EXISTS")) => Check::NotExists,
            _ => return Err(PatternError::Syntax),
        },
        _ => return Err(PatternError::Syntax),
    };
    Ok(Test { selector, check })
}

/// Any value but the unquoted word `null`, for which there is `IS NULL`.
fn operand(tokens: &mut Tokens<'_>) -> Result<Operand, PatternError> {
    tokens.operand(|word| word.eq_ignore_ascii_case("null"))
}
