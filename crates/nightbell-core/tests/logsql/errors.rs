//! Every refusal: what it is about, and what it says.

use nightbell_core::logsql::{
    COLUMNS_MAX, COMMANDS_MAX, DEPTH_MAX, IN_VALUES_MAX, QUERY_CHARS_MAX, Query, QueryError, REGEXES_MAX,
};

fn error(text: &str) -> QueryError {
    match Query::parse(text) {
        Ok(_) => panic!("{text} is a query"),
        Err(error) => error,
    }
}

/// A name, a query, the part of it that the error is about, and the message.
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("I10", "filter (", "", "expected a field, a number, a text, a function or `(`, found the end"),
    ("I13", "dedup user | sort user", "sort user", "only `limit` may follow `dedup`"),
    ("join", "fields a | join b", "join", "the command `join` is not served"),
    ("SOURCE", "SOURCE logGroups()", "SOURCE", "the command `SOURCE` is not served"),
    ("unmask", "unmask(a)", "unmask", "the command `unmask` is not served"),
    ("unnest", "unnest a", "unnest", "the command `unnest` is not served"),
    ("pattern", "pattern @message", "pattern", "the command `pattern` is not served"),
    ("diff", "diff", "diff", "the command `diff` is not served"),
    ("filterIndex", "filterIndex a = 1", "filterIndex", "the command `filterIndex` is not served"),
    ("lookup", "lookup a", "lookup", "the command `lookup` is not served"),
    ("anomaly", "anomaly", "anomaly", "the command `anomaly` is not served"),
    (
        "no command",
        "select a",
        "select",
        "expected a command: fields, display, filter, parse, stats, sort, dedup or limit, found `select`",
    ),
    (
        "two bars",
        "fields a || limit 1",
        "|",
        "expected a command: fields, display, filter, parse, stats, sort, dedup or limit, found `|`",
    ),
    ("no bar", "fields a limit 1", "limit", "expected `|` or the end, found `limit`"),
    ("places count characters", "fields é, ü §", "§", "`§` has no meaning here"),
    ("open text", "fields 'a", "'a", "the ' that opens here is never closed"),
    ("open name", "fields `a", "`", "a name in back-ticks is empty or never closed"),
    ("empty name", "fields ``", "``", "a name in back-ticks is empty or never closed"),
    ("open regex", "filter a like /b", "/b", "the / that opens here is never closed"),
    (
        "bad regex",
        "filter a like /(b/",
        "/(b/",
        "the regular expression cannot be read; looking around and back-references are not supported",
    ),
    (
        "looking around",
        "filter a =~ /(?=b)/",
        "/(?=b)/",
        "the regular expression cannot be read; looking around and back-references are not supported",
    ),
    (
        "large regex",
        "filter a like /((a{1000}){1000}){1000}/",
        "/((a{1000}){1000}){1000}/",
        "compiled, the regular expression takes more than 262144 bytes",
    ),
    (
        "like a field",
        "filter a like b",
        "b",
        "expected a text in quotes or a regular expression between slashes, found `b`",
    ),
    ("not alone", "filter a not b", "b", "expected `like` or `in` behind `not`, found `b`"),
    ("in without list", "filter a in 1", "1", "expected `[`, found `1`"),
    ("open list", "filter a in [1 2]", "2", "expected `,` or `]`, found `2`"),
    (
        "keyword as field",
        "fields and",
        "and",
        "expected a field, a number, a text, a function or `(`, found `and`",
    ),
    (
        "name with digits in front",
        "fields 2x3",
        "2x3",
        "`2x3` is no number; a field of that name stands in back-ticks",
    ),
    (
        "a period as a value",
        "fields 5m",
        "5m",
        "expected a field, a number, a text, a function or `(`, found `5m`",
    ),
    ("no function", "fields nosuch(a)", "nosuch(a)", "there is no function `nosuch`"),
    ("arguments", "fields abs()", "abs()", "`abs` takes one argument"),
    ("arguments", "fields now(1)", "now(1)", "`now` takes no argument"),
    ("arguments", "fields trim(1, 2, 3)", "trim(1, 2, 3)", "`trim` takes one or two arguments"),
    ("arguments", "fields replace(a)", "replace(a)", "`replace` takes three arguments"),
    ("arguments", "fields substr(a)", "substr(a)", "`substr` takes two or three arguments"),
    ("arguments", "fields isIpInSubnet(a)", "isIpInSubnet(a)", "`isIpInSubnet` takes two arguments"),
    ("arguments", "fields concat()", "concat()", "`concat` takes one argument or more"),
    ("arguments", "fields case(a)", "case(a)", "`case` takes two arguments or more"),
    ("arguments", "stats pct(a, b)", "pct(a, b)", "`pct` takes a field and a number from 0 to 100"),
    ("arguments", "stats sum()", "sum()", "`sum` takes one argument"),
    ("arguments", "stats sum(*)", "*", "expected a field, a number, a text, a function or `(`, found `*`"),
    ("open call", "fields abs(a", "", "expected `,` or `)`, found the end"),
    ("count(* open", "stats count(* by a", "by", "expected `)`, found `by`"),
    ("open bracket", "filter (a = 1", "", "expected an operator or `)`, found the end"),
    ("period", "fields bin(a)", "a", "expected a period such as 5m, found `a`"),
    ("period", "fields bin(5x)", "5x", "expected a period such as 5m, with a unit from ms to y, found `5x`"),
    ("period", "fields bin(0s)", "0s", "expected a period such as 5m, with a unit from ms to y, found `0s`"),
    ("period", "fields bin(5m, a)", "5m", "expected `)` behind the period"),
    ("period", "fields datefloor(a)", ")", "expected `,` and a period such as 5m, found `)`"),
    ("alias", "fields a as 1", "1", "expected a name for the column, found `1`"),
    ("glob without stars", "parse a 'x' as b", "'x'", "each `*` needs one name behind `as`: 0 and 1"),
    ("glob with fewer names", "parse a '* *' as b", "'* *'", "each `*` needs one name behind `as`: 2 and 1"),
    ("glob without names", "parse a '*'", "'*'", "each `*` needs one name behind `as`: 1 and 0"),
    (
        "parse without text",
        "parse a b",
        "b",
        "expected a text with `*` or a regular expression between slashes, found `b`",
    ),
    (
        "regex without names",
        "parse a /(b)/",
        "/(b)/",
        "the regular expression has no group with a name: (?<name>…)",
    ),
    (
        "regex with fewer names",
        "parse a /(b)(c)/ as d",
        "/(b)(c)/",
        "each group needs one name behind `as`: 2 and 1",
    ),
    (
        "three stats",
        "stats count(*) | stats count(*) | stats count(*)",
        "stats count(*)",
        "a query has at most 2 `stats`",
    ),
    ("sort first", "sort a | stats count(*)", "sort a", "`sort` and `limit` stand behind the last `stats`"),
    (
        "limit first",
        "limit 5 | stats count(*)",
        "limit 5",
        "`sort` and `limit` stand behind the last `stats`",
    ),
    (
        "aggregate in filter",
        "filter count(*) > 1",
        "count(*)",
        "an aggregate function may stand in `stats` only, and not in another",
    ),
    (
        "aggregate in another",
        "stats sum(max(a))",
        "max(a)",
        "an aggregate function may stand in `stats` only, and not in another",
    ),
    (
        "aggregate in by",
        "stats count(*) by max(a)",
        "max(a)",
        "an aggregate function may stand in `stats` only, and not in another",
    ),
    (
        "bare field in stats",
        "stats count(*), user by ip",
        "user",
        "`user` stands neither in an aggregate function nor behind `by`",
    ),
    ("limit", "limit 0", "0", "expected a number of rows from 1 to 10000, found `0`"),
    ("limit", "limit 10001", "10001", "expected a number of rows from 1 to 10000, found `10001`"),
    ("limit", "limit 1.5", "1.5", "expected a number of rows from 1 to 10000, found `1.5`"),
    ("limit", "limit x", "x", "expected a number of rows from 1 to 10000, found `x`"),
    ("dedup of a value", "dedup 'x'", "'x'", "expected a field, found `'x'`"),
    ("compared twice", "filter 1 < a < 3", "<", "expected `|` or the end, found `<`"),
];

#[test]
fn says_where_and_why() {
    for (name, text, about, message) in ROWS {
        let error = error(text);
        let found: String = text.chars().skip(error.start).take(error.end - error.start).collect();
        assert_eq!((found.as_str(), error.message.as_str()), (*about, *message), "{name}: {text}");
    }
    assert_eq!(error("fields é, ü §").start, 12);
}

/// What an error says, how much there may be, and a query with so much.
type Limit<'t> = (&'t str, usize, &'t dyn Fn(usize) -> String);

#[test]
fn limits_hold() {
    let nested = |depth: usize| format!("fields {}a{}", "(".repeat(depth), ")".repeat(depth));
    let list = |values: usize| format!("filter a in [{}]", vec!["1"; values].join(","));
    let commands = |count: usize| vec!["limit 1"; count].join("|");
    let columns = |count: usize| format!("fields {}", vec!["a as b"; count].join(","));
    let regexes = |count: usize| format!("filter {}", vec!["a =~ /x/"; count].join(" or "));
    let long = |chars: usize| format!("fields a #{}", "é".repeat(chars - 10));
    let parts = |count: usize| format!("fields {}", vec!["a"; count].join("."));
    let limits: [Limit<'_>; 7] = [
        ("expressions nest at most 32 deep", DEPTH_MAX, &nested),
        ("a list has at most 1000 values", IN_VALUES_MAX, &list),
        ("a query has at most 64 commands", COMMANDS_MAX, &commands),
        ("a query computes at most 100 columns", COLUMNS_MAX, &columns),
        ("a query has at most 20 regular expressions", REGEXES_MAX, &regexes),
        ("a query has at most 10000 characters", QUERY_CHARS_MAX, &long),
        ("a name has at most 64 parts", 64, &parts),
    ];
    for (message, most, text) in limits {
        assert!(Query::parse(&text(most)).is_ok(), "{message}: {:?}", Query::parse(&text(most)));
        assert_eq!(error(&text(most + 1)).message, message);
    }
    for open in ["(", "-", "not ", "!", "abs(", "2^", "a in [", "[", "{"] {
        assert!(Query::parse(&format!("filter {}", open.repeat(9_000 / open.len()))).is_err(), "{open}");
    }
    let chain = format!("filter {}1", "1+".repeat(4_000));
    assert!(Query::parse(&chain).is_ok());
    let parts = format!("stats count(*) by {}", vec!["a"; COLUMNS_MAX].join(","));
    assert_eq!(error(&parts).message, "a query computes at most 100 columns");
}
