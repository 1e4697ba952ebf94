//! Conditions on the fields of JSON messages.

use super::{Row, check_table, matches, parse};

const VALUES: [&str; 32] = [
    "{}",
    r#"{"v": null}"#,
    r#"{"v": "null"}"#,
    r#"{"v": true}"#,
    r#"{"v": false}"#,
    r#"{"v": "true"}"#,
    r#"{"v": "false"}"#,
    r#"{"v": 0}"#,
    r#"{"v": 1}"#,
    r#"{"v": 1.0}"#,
    r#"{"v": 1e0}"#,
    r#"{"v": "1"}"#,
    r#"{"v": "1.0"}"#,
    r#"{"v": -1}"#,
    r#"{"v": 1.5}"#,
    r#"{"v": 10}"#,
    r#"{"v": "10"}"#,
    r#"{"v": "Alpha"}"#,
    r#"{"v": "alpha"}"#,
    r#"{"v": "Alphabet"}"#,
    r#"{"v": "xAlpha"}"#,
    r#"{"v": ""}"#,
    r#"{"v": []}"#,
    r#"{"v": {}}"#,
    r#"{"v": [1,"Alpha",null]}"#,
    r#"{"v": "a*b"}"#,
    r#"{"v": "a?b"}"#,
    r#"{"v":1,"v":2}"#,
    r#"{"v":2,"v":1}"#,
    "not JSON",
    r#"[{"v":1}]"#,
    "{broken",
];

#[test]
fn values() {
    let rows: [Row; 26] = [
        ("V01", "{ $.v = 1 }", "9, 10, 11, 12, 29"),
        ("V02", "{ $.v != 1 }", "3, 6, 7, 8, 13-22, 26, 27, 28"),
        ("V03", "{ $.v > 1 }", "15, 16, 28"),
        ("V04", "{ $.v < 1 }", "8, 14"),
        ("V05", "{ $.v >= 1 }", "9, 10, 11, 15, 16, 28, 29"),
        ("V06", "{ $.v <= 1 }", "8, 9, 10, 11, 14, 29"),
        ("V07", "{ $.v = 1e+0 }", "9, 10, 11, 29"),
        ("V08", "{ $.v = -1 }", "14"),
        ("V09", "{ $.v = \"1\" }", "9, 12, 29"),
        ("V10", "{ $.v = \"Alpha\" }", "18"),
        ("V11", "{ $.v != \"Alpha\" }", "3, 6-17, 19-22, 26-29"),
        ("V12", "{ $.v = \"Alpha*\" }", "18, 20"),
        ("V13", "{ $.v = \"*Alpha\" }", "18, 21"),
        ("V14", "{ $.v = \"a?b\" }", "27"),
        ("V15", "{ $.v = \"\" }", "22"),
        ("V16", "{ $.v = %^Al.*% }", "18, 20"),
        ("V17", "{ $.v IS NULL }", "2, 25"),
        ("V18", "{ $.v NOT EXISTS }", "1"),
        ("V19", "{ $.v IS TRUE }", "4"),
        ("V20", "{ $.v IS FALSE }", "5"),
        ("V21", "{ $.v = true }", "6"),
        ("V22", "{ $.v = * }", "3, 6-22, 26-29"),
        ("order without blanks", "{$.v>=1.5}", "15, 16, 28"),
        ("minus zero is zero", "{ $.v = -0 }", "8"),
        ("a wildcard over the text of a number", "{ $.v = 1* }", "9-13, 15-17, 29"),
        ("regular expression, negated", "{ $.v != %.% }", "22"),
    ];
    check_table(&VALUES, &rows);
}

const SHAPES: [&str; 10] = [
    r#"{"nested":{"value":"hit"},"cluster.name":"flat","cluster":{"name":"nested"},"items":[{"a":1,"b":0},{"a":0,"b":2}],"arr":["miss","hit"],"matrix":[[0,1],[2,3]],"a":1,"b":0,"c":0}"#,
    r#"{"nested":{"value":"miss"},"cluster.name":"nested","cluster":{"name":"flat"},"items":[{"a":1,"b":2}],"arr":["hit","miss"],"matrix":[[1,0]],"a":0,"b":2,"c":3}"#,
    r#"{"nested":null,"arr":[null],"items":[],"a":0,"b":2,"c":0}"#,
    r#"{"nested":{},"arr":[],"a":1,"b":2,"c":3}"#,
    r#"{"nested":{"value":null},"arr":"hit","a":0,"b":0,"c":3}"#,
    r#"{"nested":{"value":"null"},"other":"hit"}"#,
    r#"{"nested.value":"hit","arr":[["hit"]]}"#,
    r#"{"arr":["hit","hit"],"items":[{"a":1},{"b":2}]}"#,
    r#"{"arr":{"0":"hit"},"nested":[{"value":"hit"}]}"#,
    "{}",
];

#[test]
fn selectors() {
    let rows: [Row; 17] = [
        ("P01", "{ $.nested.value = \"hit\" }", "1"),
        ("P02", "{ $.['cluster.name'] = \"flat\" }", "1"),
        ("P03", "{ $.cluster.name = \"flat\" }", "2"),
        ("P04", "{ $.arr[0] = \"hit\" }", "2, 8"),
        ("P05", "{ $.arr[*] = \"hit\" }", "1, 2, 8, 9"),
        ("P06", "{ $.* = \"hit\" }", "5, 6, 7"),
        ("P07", "{ $.matrix[0][1] = 1 }", "1"),
        ("P08", "{ $.items[*].a = 1 && $.items[*].b = 2 }", "1, 2, 8"),
        ("P09", "{ $.a = 1 && $.c = 3 }", "4"),
        ("P10", "{ $.a = 1 || $.b = 2 && $.c = 3 }", "1, 2, 4"),
        ("P11", "{ ($.a = 1 || $.b = 2) && $.c = 3 }", "2, 4"),
        ("P12", "{ $.nested.value NOT EXISTS }", "3, 4, 7, 8, 9, 10"),
        ("P13", "{ $.nested.value IS NULL }", "5"),
        ("absent or equal", "{ $.a NOT EXISTS || $.a = 1 }", "1, 4, 6-10"),
        ("parentheses in parentheses", "{ (($.a = 1) && ($.b = 2 || ($.b = 0))) }", "1, 4"),
        ("wildcard of an array that is absent", "{ $.arr[*] NOT EXISTS }", "4, 5, 6, 10"),
        ("any element differs", "{ $.arr[*] != \"hit\" }", "1, 2"),
    ];
    check_table(&SHAPES, &rows);
}

#[test]
fn trail_events() {
    let message = r#"{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"cluster.name":"c"}"#;
    let rows: [Row; 10] = [
        ("C01", "{ $.eventType = \"UpdateTrail\" }", "1"),
        ("C02", "{ $.eventType = \"Update*\" }", "1"),
        ("C03", "{ $.sourceIPAddress != 123.123.* }", "1"),
        ("C04", "{ $.arrayKey[0] = \"value\" }", "1"),
        ("C05", "{ $.objectList[1].id = 2 }", "1"),
        ("C06", "{ $.SomeObject IS NULL }", "1"),
        ("C07", "{ $.SomeOtherObject NOT EXISTS }", "1"),
        ("C08", "{ $.eventType = %Trail$% }", "1"),
        ("C09", "{ $.sourceIPAddress = 111.111.* && $.eventType != \"CreateTrail\" }", "1"),
        ("C10", "{ $.objectList[*].name = \"z\" }", ""),
    ];
    check_table(&[message], &rows);
}

#[test]
fn escapes_in_the_message_are_undone_before_comparing() {
    let pattern = parse("escaped", r#"{ $.path = "*\\secret\\*" && $.user = "ann" }"#);
    assert!(matches(&pattern, r#"{"path":"C:\\secret\\x","user":"\u0061nn"}"#));
    assert!(!matches(&pattern, r#"{"path":"C:/secret/x","user":"ann"}"#));
}
