/*!
A query as canonical text: keywords in capitals, one blank between words, quotes and brackets only where they are
needed. What is written reads as the same query.
*/

use std::fmt::{self, Display, Formatter, Write};

use super::parse::is_plain_name;
use super::{Condition, Direction, Query};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {}(", self.function.name())?;
        name(f, &self.metric)?;
        f.write_str(") FROM ")?;
        match &self.schema {
            None => quoted(f, &self.namespace, '"')?,
            Some(dimensions) => {
                f.write_str("SCHEMA(")?;
                quoted(f, &self.namespace, '"')?;
                for dimension in dimensions {
                    f.write_str(", ")?;
                    name(f, dimension)?;
                }
                f.write_char(')')?;
            }
        }
        if let Some(conditions) = &self.conditions {
            f.write_str(" WHERE ")?;
            condition(f, conditions)?;
        }
        for (i, dimension) in self.group_by.iter().enumerate() {
            f.write_str(if i == 0 { " GROUP BY " } else { ", " })?;
            name(f, dimension)?;
        }
        if let Some(after) = &self.after {
            write!(f, " AFTER {}(", after.function.name())?;
            name(f, &after.metric)?;
            write!(f, ") >= {}", after.at_least)?;
        }
        if let Some((function, direction)) = self.order_by {
            let direction = match direction {
                Direction::Ascending => "ASC",
                Direction::Descending => "DESC",
            };
            write!(f, " ORDER BY {}() {direction}", function.name())?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
    }
}

impl From<Query> for String {
    fn from(query: Query) -> Self {
        query.to_string()
    }
}

fn condition(f: &mut Formatter<'_>, of: &Condition) -> fmt::Result {
    match of {
        Condition::Equals(dimension, value) => comparison(f, dimension, " = ", value),
        Condition::Differs(dimension, value) => comparison(f, dimension, " != ", value),
        Condition::OneOf(dimension, values) => {
            name(f, dimension)?;
            f.write_str(" IN (")?;
            for (i, value) in values.iter().enumerate() {
                f.write_str(if i == 0 { "" } else { ", " })?;
                quoted(f, value, '\'')?;
            }
            f.write_char(')')
        }
        Condition::All(parts) => joined(f, parts, " AND "),
        Condition::Any(parts) => joined(f, parts, " OR "),
    }
}

fn comparison(f: &mut Formatter<'_>, dimension: &str, operator: &str, value: &str) -> fmt::Result {
    name(f, dimension)?;
    f.write_str(operator)?;
    quoted(f, value, '\'')
}

/// AND binds more tightly than OR, so only an OR inside an AND needs brackets.
fn joined(f: &mut Formatter<'_>, parts: &[Condition], word: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { word })?;
        if matches!(part, Condition::Any(_)) {
            f.write_char('(')?;
            condition(f, part)?;
            f.write_char(')')?;
        } else {
            condition(f, part)?;
        }
    }
    Ok(())
}

fn name(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    if is_plain_name(name) { f.write_str(name) } else { quoted(f, name, '"') }
}

fn quoted(f: &mut Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    f.write_char(quote)?;
    for c in text.chars() {
        if c == quote || c == '\\' {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char(quote)
}
