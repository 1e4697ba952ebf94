/*!
Reads the text of a query: first its words, then clause by clause.

Keywords may be written in any case. A name is a word of letters, digits and `_`, or stands in double quotes; values
stand in single quotes. In quotes a backslash before a quotation mark or a backslash takes its meaning away, before
anything else it stands for itself (the documentation knows it before quotation marks only).
*/

use super::{
    After, CONDITION_DEPTH_MAX, Condition, Direction, Function, GROUPS_MAX, IN_VALUES_MAX, QUERY_CHARS_MAX,
    Query, QueryError,
};
use crate::metric::{DIMENSION_VALUE_CHARS_MAX, DIMENSIONS_MAX, NAME_CHARS_MAX};

/// Words that are no names unless quoted. The service reserves many more; whatever it takes is taken here.
const KEYWORDS: [&str; 15] = [
    "SELECT", "FROM", "SCHEMA", "WHERE", "AND", "OR", "NOT", "IN", "GROUP", "BY", "AFTER", "ORDER", "ASC",
    "DESC", "LIMIT",
];

/// Reads a whole query.
pub(super) fn query(text: &str) -> Result<Query, QueryError> {
    if let Some((byte, _)) = text.char_indices().nth(QUERY_CHARS_MAX) {
        return Err(error(text, byte, format!("a query has at most {QUERY_CHARS_MAX} characters")));
    }
    let mut parser = Parser { text, words: words(text)?, next: 0, depth: 0 };
    let query = parser.query()?;
    if query.to_string().chars().nth(QUERY_CHARS_MAX).is_some() {
        let message = format!("written out, the query has more than {QUERY_CHARS_MAX} characters");
        return Err(error(text, text.len(), message));
    }
    Ok(query)
}

impl TryFrom<String> for Query {
    type Error = QueryError;

    fn try_from(text: String) -> Result<Self, QueryError> {
        query(&text)
    }
}

/// Whether a name needs no quotes.
pub(super) fn is_plain_name(name: &str) -> bool {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(of_word) && !is_keyword(name)
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

fn error(text: &str, byte: usize, message: impl Into<String>) -> QueryError {
    QueryError { at: text[..byte].chars().count() + 1, message: message.into() }
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq)]
enum Word<'t> {
    /// Letters, digits, `_` and `.`: a keyword, a function, a name or a number.
    Bare(&'t str),
    /// What stands in double quotes, unescaped.
    Name(String),
    /// What stands in single quotes, unescaped.
    Value(String),
    /// One of `( ) , = != >=`.
    Mark(&'static str),
}

/// All words with the byte each starts at.
fn words(text: &str) -> Result<Vec<(usize, Word<'_>)>, QueryError> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (word, length) = match c {
            _ if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '\'' => {
                let (inside, length) = quoted(text, at, c)?;
                (if c == '"' { Word::Name(inside) } else { Word::Value(inside) }, length)
            }
            _ if of_word(c) => {
                let length = rest.find(|c| !of_word(c)).unwrap_or(rest.len());
                (Word::Bare(&rest[..length]), length)
            }
            _ => {
                let mark = ["(", ")", ",", "=", "!=", ">="].into_iter().find(|mark| rest.starts_with(mark));
                let unknown = || error(text, at, format!("`{}` has no meaning here", c.escape_debug()));
                let mark = mark.ok_or_else(unknown)?;
                (Word::Mark(mark), mark.len())
            }
        };
        words.push((at, word));
        at += length;
    }
    Ok(words)
}

/// The text inside the quotes that open at byte `start`, and the bytes it took with them.
fn quoted(text: &str, start: usize, quote: char) -> Result<(String, usize), QueryError> {
    let mut inside = String::new();
    let mut rest = text[start..].char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if c == '\\' {
            let escaped = rest.next_if(|(_, next)| matches!(next, '\'' | '"' | '\\'));
            inside.push(escaped.map_or(c, |(_, next)| next));
        } else if c != quote {
            inside.push(c);
        } else if rest.peek().is_some_and(|(_, next)| *next == quote) {
            let message = format!("inside quotes a quotation mark is written \\{quote}");
            return Err(error(text, start + at, message));
        } else {
            return Ok((inside, at + quote.len_utf8()));
        }
    }
    Err(error(text, start, format!("the {quote} that opens here is never closed")))
}

struct Parser<'t> {
    text: &'t str,
    words: Vec<(usize, Word<'t>)>,
    /// The word that is read next.
    next: usize,
    /// Open brackets of the WHERE clause.
    depth: usize,
}

impl<'t> Parser<'t> {
    fn query(&mut self) -> Result<Query, QueryError> {
        self.keyword("SELECT", "SELECT")?;
        let function = self.function(&Function::ALL)?;
        let metric = self.in_brackets("a metric name")?;
        self.keyword("FROM", "FROM")?;
        let (namespace, schema) = self.source()?;
        // What may still follow, said when something else does.
        let mut expected = "WHERE, GROUP BY, AFTER, ORDER BY, LIMIT or the end";
        let mut conditions = None;
        if self.take_keyword("WHERE") {
            conditions = Some(self.any()?);
            expected = "AND, OR, GROUP BY, AFTER, ORDER BY, LIMIT or the end";
        }
        let mut group_by = Vec::new();
        if self.take_keyword("GROUP") {
            self.keyword("BY", "BY")?;
            group_by = self.dimensions()?;
            expected = "a comma, AFTER, ORDER BY, LIMIT or the end";
        }
        let mut after = None;
        if self.take_keyword("AFTER") {
            after = Some(self.after()?);
            expected = "ORDER BY, LIMIT or the end";
        }
        let mut order_by = None;
        if self.take_keyword("ORDER") {
            self.keyword("BY", "BY")?;
            order_by = Some(self.order()?);
            expected = "LIMIT or the end";
        }
        let mut limit = None;
        if self.take_keyword("LIMIT") {
            limit = Some(self.limit()?);
            expected = "the end";
        }
        if self.next < self.words.len() {
            return Err(self.unexpected(expected));
        }
        Ok(Query { function, metric, namespace, schema, conditions, group_by, after, order_by, limit })
    }

    /// `"namespace"` or `SCHEMA("namespace", dimension, …)`.
    fn source(&mut self) -> Result<(String, Option<Vec<String>>), QueryError> {
        if !self.take_keyword("SCHEMA") {
            return Ok((self.name("a namespace or SCHEMA")?, None));
        }
        self.mark("(", "`(`")?;
        let namespace = self.name("a namespace")?;
        let mut schema = if self.take_mark(",") { self.dimensions()? } else { Vec::new() };
        self.mark(")", "a comma or `)`")?;
        schema.sort();
        Ok((namespace, Some(schema)))
    }

    /// Dimension names, at least one, each once.
    fn dimensions(&mut self) -> Result<Vec<String>, QueryError> {
        let mut names = Vec::new();
        loop {
            let byte = self.byte();
            let name = self.name("a dimension name")?;
            if names.contains(&name) {
                return Err(error(self.text, byte, format!("the dimension {name:?} is named twice")));
            }
            if names.len() == DIMENSIONS_MAX {
                return Err(error(
                    self.text,
                    byte,
                    format!("at most {DIMENSIONS_MAX} dimensions can be named"),
                ));
            }
            names.push(name);
            if !self.take_mark(",") {
                return Ok(names);
            }
        }
    }

    /// `SUM(metric) >= n`, AFTER being read.
    fn after(&mut self) -> Result<After, QueryError> {
        let function = self.function(&[Function::Count, Function::Sum])?;
        let metric = self.in_brackets("a metric name")?;
        self.mark(">=", "`>=`")?;
        let number = match self.peek() {
            Some(Word::Bare(word)) if word.chars().all(|c| c.is_ascii_digit() || c == '.') => {
                word.parse().ok()
            }
            _ => None,
        };
        match number {
            Some(at_least) if f64::is_finite(at_least) && at_least > 0.0 => {
                self.next += 1;
                Ok(After { function, metric, at_least })
            }
            _ => Err(self.unexpected("a number above 0")),
        }
    }

    /// `MAX() DESC`, ORDER BY being read.
    fn order(&mut self) -> Result<(Function, Direction), QueryError> {
        let plain = [Function::Avg, Function::Count, Function::Max, Function::Min, Function::Sum];
        let function = self.function(&plain)?;
        self.mark("(", "`(`")?;
        self.mark(")", "`)`; ORDER BY takes its function without a name")?;
        let descending = self.take_keyword("DESC");
        if !descending {
            self.take_keyword("ASC");
        }
        Ok((function, if descending { Direction::Descending } else { Direction::Ascending }))
    }

    fn limit(&mut self) -> Result<u32, QueryError> {
        let number = match self.peek() {
            Some(Word::Bare(word)) => word.parse().ok(),
            _ => None,
        };
        let limit = number.filter(|limit| (1..=GROUPS_MAX).contains(limit));
        let limit =
            limit.ok_or_else(|| self.unexpected(&format!("a whole number from 1 to {GROUPS_MAX}")))?;
        self.next += 1;
        Ok(limit)
    }

    /// Conditions joined by OR.
    fn any(&mut self) -> Result<Condition, QueryError> {
        let mut parts = Vec::new();
        loop {
            match self.all()? {
                Condition::Any(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.take_keyword("OR") {
                break;
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    /// Conditions joined by AND.
    fn all(&mut self) -> Result<Condition, QueryError> {
        let mut parts = Vec::new();
        loop {
            match self.condition()? {
                Condition::All(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.take_keyword("AND") {
                break;
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn condition(&mut self) -> Result<Condition, QueryError> {
        let byte = self.byte();
        if self.take_mark("(") {
            self.depth += 1;
            if self.depth > CONDITION_DEPTH_MAX {
                let message = format!("at most {CONDITION_DEPTH_MAX} brackets stand inside each other");
                return Err(error(self.text, byte, message));
            }
            let inside = self.any()?;
            self.mark(")", "AND, OR or `)`")?;
            self.depth -= 1;
            return Ok(inside);
        }
        let name = self.name("a dimension name or `(`")?;
        if self.take_mark("=") {
            Ok(Condition::Equals(name, self.value()?))
        } else if self.take_mark("!=") {
            Ok(Condition::Differs(name, self.value()?))
        } else if self.take_keyword("IN") {
            Ok(Condition::OneOf(name, self.values()?))
        } else {
            Err(self.unexpected("`=`, `!=` or IN"))
        }
    }

    /// `('value', …)`, IN being read.
    fn values(&mut self) -> Result<Vec<String>, QueryError> {
        self.mark("(", "`(`")?;
        let mut values = Vec::new();
        loop {
            if values.len() == IN_VALUES_MAX {
                return Err(error(
                    self.text,
                    self.byte(),
                    format!("IN takes at most {IN_VALUES_MAX} values"),
                ));
            }
            values.push(self.value()?);
            if !self.take_mark(",") {
                break;
            }
        }
        self.mark(")", "a comma or `)`")?;
        Ok(values)
    }

    fn value(&mut self) -> Result<String, QueryError> {
        let Some(Word::Value(value)) = self.peek() else {
            return Err(self.unexpected("a value in single quotes"));
        };
        let value = value.clone();
        if value.chars().nth(DIMENSION_VALUE_CHARS_MAX).is_some() {
            let message = format!("a value has at most {DIMENSION_VALUE_CHARS_MAX} characters");
            return Err(error(self.text, self.byte(), message));
        }
        self.next += 1;
        Ok(value)
    }

    fn in_brackets(&mut self, what: &str) -> Result<String, QueryError> {
        self.mark("(", "`(`")?;
        let name = self.name(what)?;
        self.mark(")", "`)`")?;
        Ok(name)
    }

    fn name(&mut self, what: &str) -> Result<String, QueryError> {
        let name = match self.peek() {
            Some(Word::Name(name)) => name.clone(),
            Some(Word::Bare(word)) if is_plain_name(word) => (*word).to_owned(),
            Some(Word::Bare(word)) => return Err(error(self.text, self.byte(), no_name(word, what))),
            _ => return Err(self.unexpected(what)),
        };
        if name.is_empty() || name.chars().nth(NAME_CHARS_MAX).is_some() {
            return Err(error(
                self.text,
                self.byte(),
                format!("a name has 1 to {NAME_CHARS_MAX} characters"),
            ));
        }
        self.next += 1;
        Ok(name)
    }

    fn function(&mut self, allowed: &[Function]) -> Result<Function, QueryError> {
        let function = match self.peek() {
            Some(Word::Bare(word)) => allowed.iter().find(|it| it.name().eq_ignore_ascii_case(word)).copied(),
            _ => None,
        };
        let names = || allowed.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
        let function =
            function.ok_or_else(|| self.unexpected(&format!("one of the functions {}", names())))?;
        self.next += 1;
        Ok(function)
    }

    fn keyword(&mut self, keyword: &str, expected: &str) -> Result<(), QueryError> {
        if self.take_keyword(keyword) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn mark(&mut self, mark: &'static str, expected: &str) -> Result<(), QueryError> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        self.take(|word| matches!(word, Word::Bare(word) if word.eq_ignore_ascii_case(keyword)))
    }

    fn take_mark(&mut self, mark: &'static str) -> bool {
        self.take(|word| *word == Word::Mark(mark))
    }

    fn take(&mut self, is_it: impl Fn(&Word<'_>) -> bool) -> bool {
        let taken = self.peek().is_some_and(is_it);
        self.next += usize::from(taken);
        taken
    }

    fn peek(&self) -> Option<&Word<'t>> {
        self.words.get(self.next).map(|(_, word)| word)
    }

    /// Where the next word starts, or the text ends.
    fn byte(&self) -> usize {
        self.words.get(self.next).map_or(self.text.len(), |(byte, _)| *byte)
    }

    fn unexpected(&self, expected: &str) -> QueryError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Word::Bare(word)) => format!("`{}`", cut(word)),
            Some(Word::Mark(mark)) => format!("`{mark}`"),
            Some(Word::Name(name)) => format!("the name \"{}\"", cut(name)),
            Some(Word::Value(value)) => format!("the value '{}'", cut(value)),
        };
        error(self.text, self.byte(), format!("expected {expected}, found {found}"))
    }
}

/// Why an unquoted word is no name.
fn no_name(word: &str, what: &str) -> String {
    let starts =
        |prefix: &str| word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if is_keyword(word) {
        format!("expected {what}, found the keyword `{word}`; as a name it stands in double quotes")
    } else if starts("tag.") {
        "tags cannot be asked for: a query sees dimensions only".to_owned()
    } else if starts("AWS.") {
        format!("`{}` cannot be asked for: all series belong to one account", cut(word))
    } else {
        format!("`{}` has more than letters, digits and `_`; such a name stands in double quotes", cut(word))
    }
}

/// Characters of a word that an error shows.
const SHOWN_CHARS_MAX: usize = 40;

fn cut(word: &str) -> String {
    let shown: String = word.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if word.chars().nth(SHOWN_CHARS_MAX).is_some() { shown + "…" } else { shown }
}
