/*!
The words of a query: numbers, names, texts and marks, each with its place.

Looks one word ahead and knows no grammar: whether `/` divides or opens a regular expression is the parser's word
([`Words::regex`]). `#` outside quotes opens a comment that ends with the line.
*/

use super::QueryError;

/// Characters of the text that an error shows.
const FOUND_CHARS_MAX: usize = 32;

/// Marks, longest first where one begins another.
const MARKS: [&str; 20] =
    ["=~", "==", "!=", "<=", ">=", "=", "<", ">", "!", "+", "-", "*", "/", "%", "^", "(", ")", "[", "]", ","];

/// Where a part of a query stands, in bytes. Does not make parts different.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A field's or column's name: `a.b`, `a.0`, `` `a b`.c ``, `a[0].b`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    /// Its parts; at least one, none empty.
    pub(super) parts: Vec<String>,
    /// As columns of results are named: without back-ticks.
    pub(super) text: String,
    /// Whether it may not be a keyword.
    pub(super) quoted: bool,
    pub(super) span: Span,
}

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'s> {
    Number(f64),
    /// Digits with letters behind them: `5m`.
    Count(&'s str),
    Name(Name),
    /// What stands in quotes, unescaped.
    Text(String),
    Mark(&'static str),
    /// `|`
    Pipe,
    End,
}

/// The words of one text.
pub(super) struct Words<'s> {
    source: &'s str,
    next: Token<'s>,
    span: Span,
    /// Where the word before `next` ended.
    last_end: usize,
}

impl<'s> Words<'s> {
    pub(super) fn new(source: &'s str) -> Result<Self, QueryError> {
        let mut words = Self { source, next: Token::End, span: Span::default(), last_end: 0 };
        words.advance()?;
        Ok(words)
    }

    pub(super) fn peek(&self) -> &Token<'s> {
        &self.next
    }

    /// Where the next word stands.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// From `start` to the end of the last word taken.
    pub(super) fn since(&self, start: Span) -> Span {
        Span { start: start.start, end: self.last_end.max(start.start) }
    }

    /// The text at a place.
    pub(super) fn text(&self, span: Span) -> &'s str {
        &self.source[span.start..span.end]
    }

    pub(super) fn take(&mut self) -> Result<Token<'s>, QueryError> {
        let token = std::mem::replace(&mut self.next, Token::End);
        self.advance()?;
        Ok(token)
    }

    /// Whether `mark` comes next; takes it if so.
    pub(super) fn take_mark(&mut self, mark: &str) -> Result<bool, QueryError> {
        let there = matches!(self.next, Token::Mark(next) if next == mark);
        if there {
            self.take()?;
        }
        Ok(there)
    }

    /// Whether `keyword`, in any case, comes next.
    pub(super) fn at_keyword(&self, keyword: &str) -> bool {
        self.keyword().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    /// Whether `keyword`, in any case, comes next; takes it if so.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> Result<bool, QueryError> {
        let there = self.at_keyword(keyword);
        if there {
            self.take()?;
        }
        Ok(there)
    }

    /// The next word, where it can be a keyword.
    pub(super) fn keyword(&self) -> Option<&str> {
        match &self.next {
            Token::Name(name) if !name.quoted && name.parts.len() == 1 => Some(&name.text),
            _ => None,
        }
    }

    /// Whether a parenthesis opens behind the next word.
    pub(super) fn calls(&self) -> bool {
        self.source[self.span.end..].trim_start().starts_with('(')
    }

    /// The regular expression between slashes that comes next; `None` when something else does.
    pub(super) fn regex(&mut self) -> Result<Option<&'s str>, QueryError> {
        if self.next != Token::Mark("/") {
            return Ok(None);
        }
        let start = self.span.start;
        let mut rest = self.source[start..].char_indices().skip(1);
        while let Some((at, c)) = rest.next() {
            match c {
                '\\' => {
                    rest.next();
                }
                '/' => {
                    let inside = &self.source[start + 1..start + at];
                    self.span.end = start + at + 1;
                    self.advance()?;
                    return Ok(Some(inside));
                }
                _ => {}
            }
        }
        Err(self.error(Span { start, end: self.source.len() }, "the / that opens here is never closed"))
    }

    /// That the next word is not what was expected.
    pub(super) fn wrong(&self, expected: &str) -> QueryError {
        let found = self.text(self.span);
        let found = match found.chars().count() {
            0 => "the end".to_owned(),
            length => {
                let shown: String = found.chars().take(FOUND_CHARS_MAX).collect();
                format!("`{shown}{}`", if length > FOUND_CHARS_MAX { "…" } else { "" })
            }
        };
        self.error(self.span, format!("expected {expected}, found {found}"))
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> QueryError {
        QueryError::at(self.source, span, message)
    }

    fn advance(&mut self) -> Result<(), QueryError> {
        self.last_end = self.span.end;
        let mut start = self.span.end;
        loop {
            let rest = self.source[start..].trim_start();
            start = self.source.len() - rest.len();
            if !rest.starts_with('#') {
                break;
            }
            start += rest.find('\n').unwrap_or(rest.len());
        }
        let (token, length) = self.token(start)?;
        (self.next, self.span) = (token, Span { start, end: start + length });
        Ok(())
    }

    fn token(&self, start: usize) -> Result<(Token<'s>, usize), QueryError> {
        let rest = &self.source[start..];
        let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
        match first {
            '|' => Ok((Token::Pipe, 1)),
            '"' | '\'' => self.quoted(start, first),
            '0'..='9' => self.number(start),
            '`' => self.name(start),
            _ if is_name_char(first) => self.name(start),
            _ => {
                let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark));
                let end = start + first.len_utf8();
                let unknown = || {
                    self.error(Span { start, end }, format!("`{}` has no meaning here", first.escape_debug()))
                };
                mark.map(|mark| (Token::Mark(mark), mark.len())).ok_or_else(unknown)
            }
        }
    }

    /// In quotes a backslash before a quotation mark or a backslash takes its meaning away; before anything else it
    /// stands for itself.
    fn quoted(&self, start: usize, quote: char) -> Result<(Token<'s>, usize), QueryError> {
        let mut inside = String::new();
        let mut rest = self.source[start..].char_indices().skip(1).peekable();
        while let Some((at, c)) = rest.next() {
            if c == '\\' {
                let escaped = rest.next_if(|(_, next)| matches!(next, '\'' | '"' | '\\'));
                inside.push(escaped.map_or(c, |(_, next)| next));
            } else if c == quote {
                return Ok((Token::Text(inside), at + quote.len_utf8()));
            } else {
                inside.push(c);
            }
        }
        let span = Span { start, end: self.source.len() };
        Err(self.error(span, format!("the {quote} that opens here is never closed")))
    }

    fn number(&self, start: usize) -> Result<(Token<'s>, usize), QueryError> {
        let rest = &self.source[start..];
        let of_number = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        let text = &rest[..rest.find(|c| !of_number(c)).unwrap_or(rest.len())];
        if let Some(number) = crate::pattern::plain_number(text) {
            return Ok((Token::Number(number), text.len()));
        }
        let letters = text.trim_start_matches(|c: char| c.is_ascii_digit());
        if !letters.is_empty() && letters.chars().all(|c| c.is_ascii_alphabetic()) {
            return Ok((Token::Count(text), text.len()));
        }
        let message =
            format!("`{}` is no number; a field of that name stands in back-ticks", shortened(text));
        Err(self.error(Span { start, end: start + text.len() }, message))
    }

    fn name(&self, start: usize) -> Result<(Token<'s>, usize), QueryError> {
        let (mut parts, mut at, mut quoted) = (Vec::new(), start, false);
        loop {
            let rest = &self.source[at..];
            if let Some(inside) = rest.strip_prefix('`') {
                quoted = true;
                let closing = inside.find('`').filter(|closing| *closing > 0).ok_or_else(|| {
                    let end = at + 1 + usize::from(inside.starts_with('`'));
                    self.error(Span { start: at, end }, "a name in back-ticks is empty or never closed")
                })?;
                parts.push(inside[..closing].to_owned());
                at += closing + 2;
            } else {
                let length = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
                parts.push(rest[..length].to_owned());
                at += length;
            }
            while let Some(length) = self.index(at, &parts, quoted) {
                parts.push(self.source[at + 1..at + length - 1].to_owned());
                at += length;
            }
            let behind = self.source[at..].strip_prefix('.').and_then(|rest| rest.chars().next());
            if !behind.is_some_and(|c| c == '`' || is_name_char(c)) {
                break;
            }
            at += 1;
        }
        let text = self.source[start..at].replace('`', "");
        let span = Span { start, end: at };
        Ok((Token::Name(Name { parts, text, quoted, span }), at - start))
    }

    /// Bytes of the `[0]` at `at`. The list behind the word `in` is none.
    fn index(&self, at: usize, parts: &[String], quoted: bool) -> Option<usize> {
        if !quoted && parts.len() == 1 && parts[0].eq_ignore_ascii_case("in") {
            return None;
        }
        let inside = self.source[at..].strip_prefix('[')?;
        let digits = inside.find(|c: char| !c.is_ascii_digit())?;
        (digits > 0 && inside[digits..].starts_with(']')).then_some(digits + 2)
    }
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '@'
}

fn shortened(text: &str) -> String {
    text.chars().take(FOUND_CHARS_MAX).collect()
}
