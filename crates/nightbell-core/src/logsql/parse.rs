/*!
Reads the commands of a query. What names stand for is not known here; see `plan`.
*/

use super::expression::{Expr, Reader};
use super::extract::Extraction;
use super::lex::{Name, Span, Token, Words};
use super::{COMMANDS_MAX, QUERY_CHARS_MAX, QueryError, ROWS_MAX};

/// Commands of the language that are not served.
const NOT_SERVED: [&str; 14] = [
    "anomaly",
    "diff",
    "expand",
    "filterindex",
    "join",
    "lookup",
    "makeseries",
    "pattern",
    "relevantfields",
    "source",
    "subquery",
    "unmask",
    "unnest",
    "union",
];
const COMMAND: &str = "a command: fields, display, filter, parse, stats, sort, dedup or limit";

/// A command with its place.
pub(super) struct Placed {
    pub(super) span: Span,
    pub(super) command: Command,
}

pub(super) enum Command {
    Fields(Vec<Item>),
    Display(Vec<Item>),
    Filter(Expr),
    Parse {
        of: Expr,
        how: Extraction,
        names: Vec<String>,
    },
    Stats {
        items: Vec<Item>,
        by: Vec<Item>,
    },
    /// Keys, each with whether it goes down.
    Sort(Vec<(Expr, bool)>),
    Dedup(Vec<Expr>),
    Limit(usize),
}

/// An expression that makes a column.
pub(super) struct Item {
    pub(super) expr: Expr,
    /// What stands behind `as`.
    pub(super) alias: Option<String>,
    /// The expression as it is written.
    pub(super) source: String,
    pub(super) span: Span,
}

/// Reads a whole query.
pub(super) fn commands(text: &str) -> Result<Vec<Placed>, QueryError> {
    if let Some((byte, _)) = text.char_indices().nth(QUERY_CHARS_MAX) {
        let message = format!("a query has at most {QUERY_CHARS_MAX} characters");
        return Err(QueryError::at(text, Span { start: byte, end: text.len() }, message));
    }
    let mut reader = Reader::new(Words::new(text)?);
    let mut commands = Vec::new();
    // An empty query shows what there is, and a bar may stand in front of the first command.
    if *reader.words.peek() == Token::Pipe {
        reader.words.take()?;
    }
    if *reader.words.peek() == Token::End {
        return Ok(commands);
    }
    loop {
        let start = reader.words.span();
        if commands.len() == COMMANDS_MAX {
            return Err(reader.words.error(start, format!("a query has at most {COMMANDS_MAX} commands")));
        }
        let command = command(&mut reader)?;
        commands.push(Placed { span: reader.words.since(start), command });
        match reader.words.peek() {
            Token::End => return Ok(commands),
            Token::Pipe => reader.words.take()?,
            _ => return Err(reader.words.wrong("`|` or the end")),
        };
    }
}

fn command(reader: &mut Reader<'_>) -> Result<Command, QueryError> {
    let name = reader.words.keyword().map(str::to_ascii_lowercase).unwrap_or_default();
    let read: fn(&mut Reader<'_>) -> Result<Command, QueryError> = match name.as_str() {
        "fields" => |reader| items(reader).map(Command::Fields),
        "display" => |reader| items(reader).map(Command::Display),
        "filter" => |reader| reader.expression().map(Command::Filter),
        "parse" => parse,
        "stats" => stats,
        "sort" => sort,
        "dedup" => dedup,
        "limit" => limit,
        name if NOT_SERVED.contains(&name) => {
            let span = reader.words.span();
            let message = format!("the command `{}` is not served", reader.words.text(span));
            return Err(reader.words.error(span, message));
        }
        _ => return Err(reader.words.wrong(COMMAND)),
    };
    reader.words.take()?;
    read(reader)
}

/// Items with commas between them.
fn items(reader: &mut Reader<'_>) -> Result<Vec<Item>, QueryError> {
    let mut items = Vec::new();
    loop {
        let start = reader.words.span();
        let expr = reader.expression()?;
        let source = reader.words.text(reader.words.since(start)).to_owned();
        let alias = if reader.words.take_keyword("as")? { Some(column_name(reader)?) } else { None };
        items.push(Item { expr, alias, source, span: reader.words.since(start) });
        if !reader.words.take_mark(",")? {
            return Ok(items);
        }
    }
}

fn column_name(reader: &mut Reader<'_>) -> Result<String, QueryError> {
    Ok(name(reader, "a name for the column")?.text)
}

fn name(reader: &mut Reader<'_>, expected: &str) -> Result<Name, QueryError> {
    if !matches!(reader.words.peek(), Token::Name(_)) {
        return Err(reader.words.wrong(expected));
    }
    match reader.words.take()? {
        Token::Name(name) => Ok(name),
        _ => Err(reader.words.wrong(expected)),
    }
}

/// `parse [field] "glob * *" as a, b`, or a regular expression whose named groups make the columns.
fn parse(reader: &mut Reader<'_>) -> Result<Command, QueryError> {
    let of = match reader.words.peek() {
        Token::Name(_) => Expr::Name(name(reader, "a field")?),
        _ => {
            let (parts, text) = (vec!["@message".to_owned()], "@message".to_owned());
            Expr::Name(Name { parts, text, quoted: false, span: reader.words.span() })
        }
    };
    let start = reader.words.span();
    let (how, groups) = match reader.regex(true)? {
        Some(regex) => {
            let groups = regex.groups();
            (Extraction::Regex { regex, groups: Vec::new() }, Some(groups))
        }
        None => {
            if !matches!(reader.words.peek(), Token::Text(_)) {
                return Err(reader.words.wrong("a text with `*` or a regular expression between slashes"));
            }
            let Token::Text(glob) = reader.words.take()? else { return Err(reader.words.wrong("a text")) };
            (Extraction::glob(&glob), None)
        }
    };
    let span = reader.words.since(start);
    let mut names = Vec::new();
    if reader.words.take_keyword("as")? {
        names.push(column_name(reader)?);
        while reader.words.take_mark(",")? {
            names.push(column_name(reader)?);
        }
    }
    let (how, names) = match how {
        Extraction::Regex { regex, .. } => {
            let groups = groups.unwrap_or_default();
            let (groups, names) =
                named_groups(&groups, names).map_err(|message| reader.words.error(span, message))?;
            (Extraction::Regex { regex, groups }, names)
        }
        Extraction::Glob(literals) => {
            let stars = literals.len() - 1;
            if stars == 0 || stars != names.len() {
                let message = format!("each `*` needs one name behind `as`: {stars} and {}", names.len());
                return Err(reader.words.error(span, message));
            }
            (Extraction::Glob(literals), names)
        }
    };
    Ok(Command::Parse { of, how, names })
}

/// Which groups make columns, and how the columns are named: by their own names, or in order by those behind `as`.
fn named_groups(groups: &[Option<String>], names: Vec<String>) -> Result<(Vec<usize>, Vec<String>), String> {
    if names.is_empty() {
        let named: (Vec<usize>, Vec<String>) =
            groups.iter().enumerate().filter_map(|(at, name)| Some((at, name.clone()?))).unzip();
        let none = || "the regular expression has no group with a name: (?<name>…)".to_owned();
        return if named.0.is_empty() { Err(none()) } else { Ok(named) };
    }
    if names.len() != groups.len() {
        return Err(format!("each group needs one name behind `as`: {} and {}", groups.len(), names.len()));
    }
    Ok(((0..groups.len()).collect(), names))
}

fn stats(reader: &mut Reader<'_>) -> Result<Command, QueryError> {
    let computed = items(reader)?;
    let by = if reader.words.take_keyword("by")? { items(reader)? } else { Vec::new() };
    Ok(Command::Stats { items: computed, by })
}

fn sort(reader: &mut Reader<'_>) -> Result<Command, QueryError> {
    let mut keys = Vec::new();
    loop {
        let key = reader.expression()?;
        let down = reader.words.take_keyword("desc")?;
        if !down {
            reader.words.take_keyword("asc")?;
        }
        keys.push((key, down));
        if !reader.words.take_mark(",")? {
            return Ok(Command::Sort(keys));
        }
    }
}

fn dedup(reader: &mut Reader<'_>) -> Result<Command, QueryError> {
    let mut fields = Vec::new();
    loop {
        fields.push(Expr::Name(name(reader, "a field")?));
        if !reader.words.take_mark(",")? {
            return Ok(Command::Dedup(fields));
        }
    }
}

fn limit(reader: &mut Reader<'_>) -> Result<Command, QueryError> {
    match *reader.words.peek() {
        Token::Number(rows) if rows.fract() == 0.0 && (1.0..=ROWS_MAX as f64).contains(&rows) => {
            reader.words.take()?;
            Ok(Command::Limit(rows as usize))
        }
        _ => Err(reader.words.wrong(&format!("a number of rows from 1 to {ROWS_MAX}"))),
    }
}
