/*!
Expressions: text to a tree and back.

Written by hand: the grammar is seven levels of operators over five kinds of operands, each level is one loop, and the
errors name the place and what could stand there. Operators of one level that follow each other are one node, so a
long sum is no deep tree, and the depth of the tree is bounded by what the text nests.
Which operands fit together is decided in `queries`, where the kinds of the entries are known.

From loosest to tightest: OR, AND, comparisons, `+ -`, `* /`, unary `-`, `^`. That `^` groups to the right and binds
tighter than the sign before it is *assumed*.
*/

use std::fmt;

use super::error::{Fault, MathError};
use super::function::{Function, Signature, Word};
use super::lex::{OPERAND, Token, Words};
use super::{EXPRESSION_CHARS_MAX, EXPRESSION_DEPTH_MAX};

/// An expression, read from its text. Displays as a text that reads as the same expression, without blanks.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    root: Node,
}

impl Expression {
    /// The expression that `text` spells.
    ///
    /// # Errors
    /// A [`MathError`] that names the character and what was expected there; never panics, whatever the text.
    pub fn parse(text: &str) -> Result<Self, MathError> {
        check_length(text)?;
        let mut parser = Parser { words: Words::new(text)?, depth: 0 };
        let root = parser.chain(0)?;
        match parser.words.peek() {
            Token::End => Ok(Self { root }),
            _ => Err(parser.words.wrong("an operator or the end")),
        }
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

/// Holds the text of an expression, or of a query that stands in its place, against its limit.
pub(super) fn check_length(text: &str) -> Result<(), MathError> {
    match text.chars().nth(EXPRESSION_CHARS_MAX) {
        Some(_) => Err(MathError::new(Fault::Length)),
        None => Ok(()),
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.write(f, 0)
    }
}

/// A part of an expression; `at` is the character it begins with, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Id {
        name: String,
        at: usize,
    },
    Text(String),
    Word(Word),
    Array {
        at: usize,
        items: Vec<Node>,
    },
    Negate(Box<Node>),
    Power {
        base: Box<Node>,
        at: usize,
        exponent: Box<Node>,
    },
    /// Operators of one level, worked out from the left.
    Chain {
        level: usize,
        first: Box<Node>,
        steps: Vec<Step>,
    },
    Call {
        signature: &'static Signature,
        at: usize,
        arguments: Vec<Node>,
    },
}

/// An operator and what stands right of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) operator: Operator,
    pub(super) at: usize,
    pub(super) node: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl Operator {
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Power => "^",
        }
    }
}

/// The levels of operators that group to the left, loosest first.
const LEVELS: [&[Operator]; 5] = [
    &[Operator::Or],
    &[Operator::And],
    &[
        Operator::Equal,
        Operator::NotEqual,
        Operator::LessOrEqual,
        Operator::GreaterOrEqual,
        Operator::Less,
        Operator::Greater,
    ],
    &[Operator::Add, Operator::Subtract],
    &[Operator::Multiply, Operator::Divide],
];
/// Ranks of what binds tighter than all levels.
const SIGN_RANK: usize = LEVELS.len();
const POWER_RANK: usize = SIGN_RANK + 1;
const ATOM_RANK: usize = POWER_RANK + 1;

struct Parser<'s> {
    words: Words<'s>,
    depth: usize,
}

impl Parser<'_> {
    /// Operands joined by the operators of `level`.
    fn chain(&mut self, level: usize) -> Result<Node, MathError> {
        if level == LEVELS.len() {
            return self.signed();
        }
        let first = self.chain(level + 1)?;
        let mut steps = Vec::new();
        loop {
            let at = self.words.at();
            let Some(operator) = self.operator(level) else { break };
            self.words.next()?;
            steps.push(Step { operator, at, node: self.chain(level + 1)? });
        }
        if steps.is_empty() { Ok(first) } else { Ok(Node::Chain { level, first: Box::new(first), steps }) }
    }

    /// The operator of `level` that comes next.
    fn operator(&self, level: usize) -> Option<Operator> {
        let mark = match self.words.peek() {
            Token::Mark(mark) => mark,
            Token::Name("AND") => "&&",
            Token::Name("OR") => "||",
            _ => return None,
        };
        LEVELS[level].iter().copied().find(|operator| operator.mark() == mark)
    }

    fn signed(&mut self) -> Result<Node, MathError> {
        if self.words.take("-")? {
            return Ok(Node::Negate(Box::new(self.nested(Self::signed)?)));
        }
        let base = self.atom()?;
        let at = self.words.at();
        if !self.words.take("^")? {
            return Ok(base);
        }
        let exponent = Box::new(self.nested(Self::signed)?);
        Ok(Node::Power { base: Box::new(base), at, exponent })
    }

    fn atom(&mut self) -> Result<Node, MathError> {
        let at = self.words.at();
        match self.words.peek() {
            Token::Number(number) => {
                self.words.next()?;
                Ok(Node::Number(number))
            }
            Token::Name(name) if self.words.calls() && !matches!(name, "AND" | "OR") => self.call(name, at),
            Token::Name(name) if name.starts_with(|c: char| c.is_ascii_lowercase()) => {
                self.words.next()?;
                Ok(Node::Id { name: name.to_owned(), at })
            }
            Token::Mark("(") => {
                self.words.next()?;
                let inner = self.nested(|parser| parser.chain(0))?;
                if self.words.take(")")? { Ok(inner) } else { Err(self.words.wrong("an operator or ')'")) }
            }
            Token::Mark("[") => {
                self.words.next()?;
                if self.words.peek() == Token::Mark("]") {
                    return Err(self.words.wrong(OPERAND));
                }
                let items = self.nested(|parser| parser.list("]", |parser, _| parser.chain(0)))?;
                Ok(Node::Array { at, items })
            }
            _ => Err(self.words.wrong(OPERAND)),
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Node, MathError> {
        let Some(signature) = Signature::find(name) else {
            return Err(MathError::new(Fault::UnknownFunction(name.to_owned())).at(at));
        };
        self.words.next()?;
        self.words.next()?; // the parenthesis, which is why this is a call
        let arguments = self.nested(|parser| parser.list(")", |parser, i| parser.argument(signature, i)))?;
        if !(signature.least..=signature.most).contains(&arguments.len()) {
            return Err(wrong_arguments(signature).at(at));
        }
        Ok(Node::Call { signature, at, arguments })
    }

    /// Items with commas between them, up to and with the mark that closes the list.
    fn list(
        &mut self,
        close: &'static str,
        item: impl Fn(&mut Self, usize) -> Result<Node, MathError>,
    ) -> Result<Vec<Node>, MathError> {
        let mut items = Vec::new();
        if self.words.take(close)? {
            return Ok(items);
        }
        loop {
            items.push(item(self, items.len())?);
            if self.words.take(close)? {
                return Ok(items);
            }
            if !self.words.take(",")? {
                return Err(self.words.wrong(if close == "]" { "',' or ']'" } else { "',' or ')'" }));
            }
        }
    }

    fn argument(&mut self, signature: &'static Signature, index: usize) -> Result<Node, MathError> {
        let at = self.words.at();
        let (words, only) = signature.words(index);
        if let Token::Name(name) = self.words.peek()
            && !self.words.calls()
            && let Some(word) = words.iter().find(|word| word.name() == name)
        {
            self.words.next()?;
            return Ok(Node::Word(*word));
        }
        if only {
            return Err(wrong_arguments(signature).at(at));
        }
        let node = match (self.words.peek(), signature.function) {
            (Token::Text(text), Function::Metrics) => {
                self.words.next()?;
                Node::Text(text.to_owned())
            }
            (_, Function::Metrics) => return Err(wrong_arguments(signature).at(at)),
            _ => self.chain(0)?,
        };
        let fits = match &node {
            _ if signature.wants_id(index) => matches!(node, Node::Id { .. }),
            _ if signature.wants_number(index) => matches!(node, Node::Number(number) if number > 0.0),
            _ => true,
        };
        if fits { Ok(node) } else { Err(wrong_arguments(signature).at(at)) }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, MathError>) -> Result<T, MathError> {
        if self.depth == EXPRESSION_DEPTH_MAX {
            return Err(MathError::new(Fault::Depth).at(self.words.at()));
        }
        self.depth += 1;
        let inner = read(self)?;
        self.depth -= 1;
        Ok(inner)
    }
}

fn wrong_arguments(signature: &Signature) -> MathError {
    MathError::new(Fault::Arguments { function: signature.name, takes: signature.takes })
}

impl Node {
    /// The ids referred to, with their places.
    pub(super) fn ids<'n>(&'n self, found: &mut Vec<(&'n str, usize)>) {
        match self {
            Self::Id { name, at } => found.push((name, *at)),
            Self::Number(_) | Self::Text(_) | Self::Word(_) => {}
            Self::Array { items: nodes, .. } | Self::Call { arguments: nodes, .. } => {
                nodes.iter().for_each(|node| node.ids(found));
            }
            Self::Negate(node) => node.ids(found),
            Self::Power { base, exponent, .. } => {
                base.ids(found);
                exponent.ids(found);
            }
            Self::Chain { first, steps, .. } => {
                first.ids(found);
                steps.iter().for_each(|step| step.node.ids(found));
            }
        }
    }

    /// Whether a function is called anywhere in it.
    pub(super) fn calls(&self, function: Function) -> bool {
        match self {
            Self::Id { .. } | Self::Number(_) | Self::Text(_) | Self::Word(_) => false,
            Self::Call { signature, .. } if signature.function == function => true,
            Self::Array { items: nodes, .. } | Self::Call { arguments: nodes, .. } => {
                nodes.iter().any(|node| node.calls(function))
            }
            Self::Negate(node) => node.calls(function),
            Self::Power { base, exponent, .. } => base.calls(function) || exponent.calls(function),
            Self::Chain { first, steps, .. } => {
                first.calls(function) || steps.iter().any(|step| step.node.calls(function))
            }
        }
    }

    fn rank(&self) -> usize {
        match self {
            Self::Chain { level, .. } => *level,
            Self::Negate(_) => SIGN_RANK,
            Self::Power { .. } => POWER_RANK,
            _ => ATOM_RANK,
        }
    }

    /// Writes the node, in parentheses when it binds looser than `rank`.
    fn write(&self, f: &mut fmt::Formatter<'_>, rank: usize) -> fmt::Result {
        if self.rank() < rank {
            f.write_str("(")?;
            self.write(f, 0)?;
            return f.write_str(")");
        }
        match self {
            Self::Number(number) => {
                let (plain, scientific) = (format!("{number}"), format!("{number:e}"));
                f.write_str(if plain.len() <= scientific.len() { &plain } else { &scientific })
            }
            Self::Id { name, .. } => f.write_str(name),
            Self::Text(text) if text.contains('"') => write!(f, "'{text}'"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Word(word) => f.write_str(word.name()),
            Self::Array { items, .. } => write_list(f, "[", items, "]"),
            Self::Negate(node) => {
                f.write_str("-")?;
                node.write(f, SIGN_RANK)
            }
            Self::Power { base, exponent, .. } => {
                base.write(f, ATOM_RANK)?;
                f.write_str("^")?;
                exponent.write(f, SIGN_RANK)
            }
            Self::Chain { level, first, steps } => {
                first.write(f, level + 1)?;
                steps.iter().try_for_each(|step| {
                    f.write_str(step.operator.mark())?;
                    step.node.write(f, level + 1)
                })
            }
            Self::Call { signature, arguments, .. } => {
                f.write_str(signature.name)?;
                write_list(f, "(", arguments, ")")
            }
        }
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, open: &str, nodes: &[Node], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (i, node) in nodes.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { "," })?;
        node.write(f, 0)?;
    }
    f.write_str(close)
}
