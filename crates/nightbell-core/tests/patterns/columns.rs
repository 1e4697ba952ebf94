//! Words separated by blanks.

use nightbell_core::fields::Subject;
use nightbell_core::fields::json::JsonReader;

use super::{Row, check_table, parse};

const LINES: [&str; 12] = [
    r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html?a=1 HTTP/1.0" 404 1534"#,
    r#"127.0.0.2 - jane [10/Oct/2000:13:25:15 -0700] "GET /gone.html HTTP/1.0" 410 0"#,
    r#"127.0.0.3 - bob [10/Oct/2000:13:25:15 -0700] "POST /api HTTP/1.0" 500 2048"#,
    r#"127.0.0.4 - amy [10/Oct/2000:13:25:15 -0700] "GET /ok HTTP/1.0" 200 100"#,
    r#"127.0.0.5 - frank [10/Oct/2000:13:25:15 -0700]  "GET /index.html HTTP/1.0"  404 1534 extra"#,
    "127.0.0.6\t-\tfrank\t[10/Oct/2000:13:25:15 -0700]\t\"GET /index.html HTTP/1.0\"\t404\t1534",
    "ERROR request failed",
    "WARNING request",
    "INFO request accepted",
    "ERROR",
    "ERROR \"two words\"",
    "ERROR \"unterminated words",
];

#[test]
fn columns() {
    let rows: [Row; 17] = [
        ("S01", "[ip, identity, user, timestamp, request, status, bytes]", "1-6"),
        ("S02", "[ip, identity, user, timestamp, request, status >= 400, bytes > 1000]", "1, 3, 6"),
        ("S03", "[..., request = *.html*, status = 4*, bytes]", "1, 2, 6"),
        ("S04", "[..., status = 404 || status = 410, bytes]", "1, 2, 6"),
        ("S05", r"[ip = %127\.0\.0\.[1-3]%, identity, user, timestamp, request, status, bytes]", "1, 2, 3"),
        ("S06", "[..., bytes]", "1-12"),
        ("S07", "[ip, ..., status, bytes]", "1-7, 9, 12"),
        ("S08", "[w1 = ERROR, w2]", "7, 11, 12"),
        ("S09", "[w1 != ERROR && w1 != WARNING, w2]", "1-6, 9"),
        ("S10", "[]", "1-12"),
        ("S12", "[kind = \"SPACE\", value, bucket]", ""),
        ("the last item takes the rest", "[w1, w2 = \"request failed\"]", "7"),
        ("after ... the last item is one word", "[..., w2 = \"two words\"]", "11"),
        ("names left out", "[, , w3 = failed]", "7"),
        ("... alone", "[...]", "1-12"),
        ("... at the end", "[w1 = ERROR, ...]", "7, 10, 11, 12"),
        ("&& binds tighter than ||", "[w = ERROR || w = INFO && w != INFO, ...]", "7, 10, 11, 12"),
    ];
    check_table(&LINES, &rows);
}

fn extract(pattern: &str, message: &str) -> Vec<(String, String)> {
    parse("extract", pattern).extract(&Subject::new(message, "stream", &JsonReader))
}

fn pairs(values: &[(&str, &str)]) -> Vec<(String, String)> {
    values.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn extracts_every_item() {
    let values = extract("[ip, id, user, ts, request, status = 4*, bytes]", LINES[0]);
    let expected = [
        ("$ip", "127.0.0.1"),
        ("$id", "-"),
        ("$user", "frank"),
        ("$ts", "10/Oct/2000:13:25:15 -0700"),
        ("$request", "GET /index.html?a=1 HTTP/1.0"),
        ("$status", "404"),
        ("$bytes", "1534"),
    ];
    assert_eq!(values, pairs(&expected));
    assert_eq!(extract("[ip, id, user, ts, request, status = 4*, bytes]", LINES[3]), []);
}

#[test]
fn extracts_the_rest_into_the_last_item() {
    let values = extract("[ip, identity, user, timestamp, request, status, bytes]", LINES[4]);
    assert_eq!(values.last(), Some(&("$bytes".to_owned(), "1534 extra".to_owned())));
    let rest = r#"- frank [10/Oct/2000:13:25:15 -0700] "GET /index.html?a=1 HTTP/1.0" 404 1534"#;
    assert_eq!(extract("[w1, w2]", LINES[0]), pairs(&[("$w1", "127.0.0.1"), ("$w2", rest)]));
}

#[test]
fn words_without_a_name_are_numbered() {
    assert_eq!(extract("[..., bytes]", "ERROR"), pairs(&[("$bytes", "ERROR")]));
    assert_eq!(extract("[]", "a \"b c\""), pairs(&[("$1", "a"), ("$2", "b c")]));
    assert_eq!(
        extract("[x, ..., y]", "a b c d"),
        pairs(&[("$x", "a"), ("$2", "b"), ("$3", "c"), ("$y", "d")])
    );
    assert_eq!(extract("[x, , z]", "a b c"), pairs(&[("$x", "a"), ("$2", "b"), ("$z", "c")]));
}

#[test]
fn other_patterns_extract_nothing() {
    assert_eq!(extract("ERROR", "ERROR"), []);
    assert_eq!(extract("{ $.a = 1 }", r#"{"a":1}"#), []);
}
