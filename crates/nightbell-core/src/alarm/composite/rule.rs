/*!
The rule of a composite alarm: from text to a decision over the states of other alarms.

The grammar and the texts of its errors are those of PutCompositeAlarm (Amazon CloudWatch API Reference): keywords in
upper case, NOT binds closer than AND, AND closer than OR. Texts that no record of the service shows are of the same
form. Nesting costs elements, and there are at most [`ELEMENTS_MAX`], so that no rule can exhaust the stack.
*/

use std::collections::BTreeSet;

use super::super::State;
use crate::metric::NAME_CHARS_MAX;
use lex::{Lexer, Token};

mod lex;

/// Characters of a rule.
pub const RULE_CHARS_MAX: usize = 10_240;
/// Elements of a rule: references to alarms, `TRUE`, `FALSE` and each parenthesis that groups.
pub const ELEMENTS_MAX: usize = 500;
/// Different alarms that a rule may name.
pub const CHILDREN_MAX: usize = 100;

const OPERAND: &str = "'(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA";
const NEGATED: &str = "'(', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA";
const AFTER_RULE: &str = "<EOF>, 'AND', 'OR'";
const AFTER_GROUP: &str = "')', 'AND', 'OR'";
const CONDITION: &str = "'NOT', ALARM, OK, or INSUFFICIENT_DATA";
const NEGATED_CONDITION: &str = "ALARM, OK, or INSUFFICIENT_DATA";
const REFERENCE: &str = "an alarm name or ARN";
const QUORUM: &str = "a whole number from 1 or a percentage from 1% to 100%";

/// Where alarms live: names in a rule are names of this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site<'a> {
    /// The region's code.
    pub region: &'a str,
    /// 12 digits.
    pub account: &'a str,
}

impl Site<'_> {
    /// The ARN of the alarm with this name.
    pub fn alarm_arn(&self, name: &str) -> String {
        format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", self.region, self.account)
    }

    /// The ARN of the alarm that a name or an ARN stands for.
    ///
    /// # Errors
    /// An ARN of another account or region.
    pub fn resolve(&self, name_or_arn: &str) -> Result<String, RuleError> {
        let parts: Vec<&str> = name_or_arn.splitn(7, ':').collect();
        let ["arn", "aws", "cloudwatch", region, account, "alarm", _] = parts[..] else {
            return Ok(self.alarm_arn(name_or_arn));
        };
        if account != self.account {
            return Err(RuleError::OtherAccount);
        }
        if region != self.region {
            return Err(RuleError::OtherRegion { was: region.to_owned(), expected: self.region.to_owned() });
        }
        Ok(name_or_arn.to_owned())
    }
}

/// Why a rule cannot be used. The text is the API's message of a `ValidationError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It is empty or too long.
    #[error("AlarmRule must have 1 to {RULE_CHARS_MAX} characters")]
    Length,
    /// It does not follow the grammar.
    #[error("Error in AlarmRule [Unsupported token '{token}' at char {at}, must be: {expected}]")]
    Token {
        /// What stands there; `<EOF>` at the end.
        token: String,
        /// Characters before it.
        at: usize,
        /// What may stand there.
        expected: String,
    },
    /// It has too many elements.
    #[error("Error in AlarmRule [More than {ELEMENTS_MAX} elements]")]
    Elements,
    /// It names too many alarms.
    #[error("Error in AlarmRule [More than {CHILDREN_MAX} different alarms]")]
    Children,
    /// It names an alarm of another account.
    #[error("A composite alarm cannot have a child relation with alarms from another AWS account")]
    OtherAccount,
    /// It names an alarm of another region.
    #[error("Wrong ARN region, it was {was} but {expected} was expected instead")]
    OtherRegion {
        /// The region of the ARN.
        was: String,
        /// The region of the composite.
        expected: String,
    },
    /// It names alarms that do not exist.
    #[error("Could not save the composite alarm as alarms [{}] in the alarm rule do not exist", .0.join(", "))]
    UnknownChildren(Vec<String>),
}

/// A rule, ready to be weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmRule {
    root: Node,
    children: BTreeSet<String>,
}

/// What a rule says, and the children whose states say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed<'r> {
    /// Whether the rule holds: the composite is in ALARM, otherwise in OK.
    pub holds: bool,
    /// ARNs of the children that agree with the outcome wherever it was decided, sorted.
    pub deciding: BTreeSet<&'r str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Constant(bool),
    Is { state: State, arn: String },
    AtLeast { needed: usize, state: State, negated: bool, arns: Vec<String> },
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

impl AlarmRule {
    /// Reads a rule whose names are those of `site`.
    ///
    /// # Errors
    /// The first rule of grammar, reference or size that is broken.
    pub fn parse(text: &str, site: &Site<'_>) -> Result<Self, RuleError> {
        if text.is_empty() || text.chars().nth(RULE_CHARS_MAX).is_some() {
            return Err(RuleError::Length);
        }
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token();
        let mut parser = Parser { lexer, token, site: *site, elements: 0, children: BTreeSet::new() };
        let root = parser.alternatives()?;
        if !parser.token.is_end() {
            return Err(parser.unsupported(AFTER_RULE));
        }
        Ok(Self { root, children: parser.children })
    }

    /// ARNs of the alarms it names.
    pub fn children(&self) -> &BTreeSet<String> {
        &self.children
    }

    /// Whether all alarms it names exist.
    ///
    /// # Errors
    /// [`RuleError::UnknownChildren`] with those that do not.
    pub fn check_children(&self, exists: &dyn Fn(&str) -> bool) -> Result<(), RuleError> {
        let unknown: Vec<String> = self.children.iter().filter(|arn| !exists(arn)).cloned().collect();
        if unknown.is_empty() { Ok(()) } else { Err(RuleError::UnknownChildren(unknown)) }
    }

    /// Whether the rule holds. An alarm without a state, such as a deleted one, counts as INSUFFICIENT_DATA: nothing is
    /// known of it.
    pub fn evaluate(&self, states: &dyn Fn(&str) -> Option<State>) -> bool {
        self.weigh(states).holds
    }

    /// As [`AlarmRule::evaluate`], with the children that decided.
    pub fn weigh(&self, states: &dyn Fn(&str) -> Option<State>) -> Weighed<'_> {
        let mut deciding = Vec::new();
        let holds = self.root.weigh(states, &mut deciding);
        Weighed { holds, deciding: deciding.into_iter().collect() }
    }
}

impl Node {
    /// Appends to `deciding` the alarms that agree with the outcome.
    fn weigh<'r>(&'r self, states: &dyn Fn(&str) -> Option<State>, deciding: &mut Vec<&'r str>) -> bool {
        let is = |arn: &str, state: State| states(arn).unwrap_or(State::InsufficientData) == state;
        match self {
            Self::Constant(holds) => *holds,
            Self::Is { state, arn } => {
                deciding.push(arn);
                is(arn, *state)
            }
            Self::AtLeast { needed, state, negated, arns } => {
                let (matching, others): (Vec<&str>, Vec<&str>) =
                    arns.iter().map(String::as_str).partition(|arn| is(arn, *state) != *negated);
                let holds = matching.len() >= *needed;
                deciding.extend(if holds { matching } else { others });
                holds
            }
            Self::Not(inner) => !inner.weigh(states, deciding),
            Self::All(operands) => !weigh_until(operands, false, states, deciding),
            Self::Any(operands) => weigh_until(operands, true, states, deciding),
        }
    }
}

/// Whether some operand is `decisive`; then only such operands decided, otherwise all did.
fn weigh_until<'r>(
    operands: &'r [Node],
    decisive: bool,
    states: &dyn Fn(&str) -> Option<State>,
    deciding: &mut Vec<&'r str>,
) -> bool {
    let start = deciding.len();
    let mut found = false;
    for operand in operands {
        let before = deciding.len();
        let is_decisive = operand.weigh(states, deciding) == decisive;
        if is_decisive && !found {
            found = true;
            deciding.drain(start..before);
        } else if !is_decisive && found {
            deciding.truncate(before);
        }
    }
    found
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    site: Site<'a>,
    elements: usize,
    children: BTreeSet<String>,
}

impl<'a> Parser<'a> {
    fn alternatives(&mut self) -> Result<Node, RuleError> {
        let mut operands = vec![self.conjunction()?];
        while self.skip("OR") {
            operands.push(self.conjunction()?);
        }
        Ok(one_or(operands, Node::Any))
    }

    fn conjunction(&mut self) -> Result<Node, RuleError> {
        let mut operands = vec![self.operand()?];
        while self.skip("AND") {
            operands.push(self.operand()?);
        }
        Ok(one_or(operands, Node::All))
    }

    fn operand(&mut self) -> Result<Node, RuleError> {
        if self.skip("NOT") {
            return Ok(Node::Not(Box::new(self.primary(NEGATED)?)));
        }
        self.primary(OPERAND)
    }

    fn primary(&mut self, expected: &str) -> Result<Node, RuleError> {
        if self.skip("(") {
            self.count(2)?; // with the parenthesis that closes, and before anything nests in it
            let inner = self.alternatives()?;
            self.expect(")", AFTER_GROUP)?;
            return Ok(inner);
        }
        if self.skip("AT_LEAST") {
            return self.at_least();
        }
        for constant in [true, false] {
            if self.skip(if constant { "TRUE" } else { "FALSE" }) {
                self.count(1)?;
                return Ok(Node::Constant(constant));
            }
        }
        let Some(state) = self.state() else { return Err(self.unsupported(expected)) };
        self.expect("(", "'('")?;
        let arn = self.reference()?;
        self.expect(")", "')'")?;
        Ok(Node::Is { state, arn })
    }

    fn at_least(&mut self) -> Result<Node, RuleError> {
        self.expect("(", "'('")?;
        let quorum = self.advance();
        let (digits, percent) = match quorum.text.strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (quorum.text, false),
        };
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse::<usize>().ok().filter(|&n| all_digits && n > 0 && !(percent && n > 100));
        let Some(number) = number else { return Err(quorum.unsupported(QUORUM)) };
        self.expect(",", "','")?;
        let negated = self.skip("NOT");
        let expected = if negated { NEGATED_CONDITION } else { CONDITION };
        let Some(state) = self.state() else { return Err(self.unsupported(expected)) };
        self.expect(",", "','")?;
        self.expect("(", "'('")?;
        let mut arns = vec![self.reference()?];
        while self.skip(",") {
            arns.push(self.reference()?);
        }
        self.expect(")", "',', ')'")?;
        self.expect(")", "')'")?;
        if !percent && number > arns.len() {
            return Err(quorum.unsupported(&format!("1 to {} or a percentage from 1% to 100%", arns.len())));
        }
        // There are at most ELEMENTS_MAX references. A share that is no whole number of alarms is rounded up.
        let needed = if percent { (number * arns.len()).div_ceil(100) } else { number };
        Ok(Node::AtLeast { needed, state, negated, arns })
    }

    /// Takes one of the three states, if one stands here.
    fn state(&mut self) -> Option<State> {
        let states = [State::Alarm, State::Ok, State::InsufficientData];
        states.into_iter().find(|state| self.skip(state.name()))
    }

    fn reference(&mut self) -> Result<String, RuleError> {
        let token = self.advance();
        let Some(name) = token.name() else { return Err(token.unsupported(REFERENCE)) };
        let arn = self.site.resolve(&name)?;
        // A name that no alarm can have is shown as a mistake of the rule rather than as an alarm that is missing.
        let own_name = &arn[self.site.alarm_arn("").len()..];
        if own_name.is_empty() || own_name.chars().nth(NAME_CHARS_MAX).is_some() {
            return Err(token.unsupported(REFERENCE));
        }
        self.count(1)?;
        self.children.insert(arn.clone());
        if self.children.len() > CHILDREN_MAX {
            return Err(RuleError::Children);
        }
        Ok(arn)
    }

    fn count(&mut self, elements: usize) -> Result<(), RuleError> {
        self.elements += elements;
        if self.elements > ELEMENTS_MAX { Err(RuleError::Elements) } else { Ok(()) }
    }

    fn expect(&mut self, text: &str, expected: &str) -> Result<(), RuleError> {
        if self.skip(text) { Ok(()) } else { Err(self.unsupported(expected)) }
    }

    /// Takes the token if it reads so. A quoted name never does: its quotes are part of the token.
    fn skip(&mut self, text: &str) -> bool {
        let found = self.token.text == text;
        if found {
            self.advance();
        }
        found
    }

    fn advance(&mut self) -> Token<'a> {
        std::mem::replace(&mut self.token, self.lexer.next_token())
    }

    fn unsupported(&self, expected: &str) -> RuleError {
        self.token.unsupported(expected)
    }
}

fn one_or(mut operands: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match operands.pop() {
        Some(only) if operands.is_empty() => only,
        Some(last) => {
            operands.push(last);
            many(operands)
        }
        None => many(operands),
    }
}

#[cfg(test)]
mod tests;
