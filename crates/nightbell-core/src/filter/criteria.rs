/*!
Field selection criteria: `@aws.account = "1" AND @aws.region IN ["a", "b"]`.

They look at where a batch came from, never at an event. Operators are those of "PutMetricFilter" (CloudWatch Logs API
Reference): `=`, `!=`, `IN`, `NOT IN`, `AND`, `OR`; parentheses are *assumed*.
*/

/// Parentheses inside each other.
const NESTING_MAX: usize = 32;

/// Parsed criteria.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Criteria {
    All(Vec<Criteria>),
    Any(Vec<Criteria>),
    In { field: Field, values: Vec<String>, negated: bool },
}

/// Which part of an origin is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Account,
    Region,
    Group,
}

/// Where a batch came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) group: &'a str,
}

impl<'a> Origin<'a> {
    pub(super) fn get(self, field: Field) -> &'a str {
        match field {
            Field::Account => self.account,
            Field::Region => self.region,
            Field::Group => self.group,
        }
    }
}

impl Field {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "@aws.account" => Some(Self::Account),
            "@aws.region" => Some(Self::Region),
            "@source.log" => Some(Self::Group),
            _ => None,
        }
    }
}

impl Criteria {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text };
        let criteria = parser.any(0)?;
        parser.rest.trim_start().is_empty().then_some(criteria)
    }

    pub(super) fn hold(&self, origin: Origin<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.hold(origin)),
            Self::Any(parts) => parts.iter().any(|part| part.hold(origin)),
            Self::In { field, values, negated } => {
                values.iter().any(|value| value == origin.get(*field)) != *negated
            }
        }
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn any(&mut self, depth: usize) -> Option<Criteria> {
        let mut parts = vec![self.all(depth)?];
        while self.take_word("OR") {
            parts.push(self.all(depth)?);
        }
        Some(Criteria::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Option<Criteria> {
        let mut parts = vec![self.prim(depth)?];
        while self.take_word("AND") {
            parts.push(self.prim(depth)?);
        }
        Some(Criteria::All(parts))
    }

    fn prim(&mut self, depth: usize) -> Option<Criteria> {
        if self.take("(") {
            if depth == NESTING_MAX {
                return None;
            }
            let inner = self.any(depth + 1)?;
            return self.take(")").then_some(inner);
        }
        let field = Field::named(self.word())?;
        if self.take("!=") {
            return Some(Criteria::In { field, values: vec![self.quoted()?], negated: true });
        }
        if self.take("=") {
            return Some(Criteria::In { field, values: vec![self.quoted()?], negated: false });
        }
        let negated = self.take_word("NOT");
        if !self.take_word("IN") || !self.take("[") {
            return None;
        }
        let mut values = vec![self.quoted()?];
        while self.take(",") {
            values.push(self.quoted()?);
        }
        self.take("]").then_some(Criteria::In { field, values, negated })
    }

    fn take(&mut self, mark: &str) -> bool {
        let after = self.rest.trim_start().strip_prefix(mark);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn word(&mut self) -> &'t str {
        let rest = self.rest.trim_start();
        let length =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "@._".contains(c))).unwrap_or(rest.len());
        self.rest = &rest[length..];
        &rest[..length]
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let before = self.rest;
        let taken = self.word() == wanted;
        if !taken {
            self.rest = before;
        }
        taken
    }

    fn quoted(&mut self) -> Option<String> {
        let (value, rest) = self.rest.trim_start().strip_prefix('"')?.split_once('"')?;
        self.rest = rest;
        Some(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_look_at_account_region_and_group() {
        let origin = Origin { account: "1", region: "home", group: "audit" };
        let rows = [
            (r#"@aws.account = "1" AND @aws.region = "home""#, true),
            (r#"@aws.account = "1" AND @aws.region = "us-east-1""#, false),
            (r#"@aws.account = "2" OR @aws.region = "home" AND @source.log = "audit""#, true),
            (r#"(@aws.account = "1" OR @aws.region = "x") AND @source.log != "audit""#, false),
            (r#"@aws.account IN ["2", "1"]"#, true),
            (r#"@aws.account NOT IN ["2","1"]"#, false),
        ];
        for (text, holds) in rows {
            assert_eq!(Criteria::parse(text).map(|criteria| criteria.hold(origin)), Some(holds), "{text}");
        }
    }

    #[test]
    fn broken_criteria_are_refused() {
        let deep = format!("{}@aws.account = \"1\"", "(".repeat(10_000));
        for text in
            ["x", "@aws.account", "@aws.account = 1", "@aws.x = \"1\"", "@aws.account = \"1\" AND", &deep]
        {
            assert_eq!(Criteria::parse(text), None, "{text}");
        }
    }
}
