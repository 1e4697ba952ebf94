//! Terms and regular expressions over the message text.

use super::{Row, check_table};

const TERMS: [&str; 18] = [
    "ERROR ARGUMENTS REQUEST",
    "ERROR BAD REQUEST",
    "INFO ARGUMENTS",
    "INFO REQUEST",
    "error arguments request",
    "ERROR INTERNAL SERVER ERROR",
    "ERROR INTERNAL  SERVER ERROR",
    "INTERNAL SERVER error",
    "TERROR REQUEST",
    "[ERROR] REQUEST",
    "ERROR-REQUEST",
    "ERROR_ARGUMENTS",
    "ERROR\nARGUMENTS",
    "ARGUMENTS ERROR",
    "plain",
    "say \"hello world\" now",
    "hello-world",
    " ",
];

#[test]
fn terms() {
    let rows: [Row; 20] = [
        ("U01", "", "1-18"),
        ("U02", "\" \"", "1-10, 14, 16, 18"),
        ("U03", "ERROR", "1, 2, 6, 7, 9-14"),
        ("U04", "ERROR ARGUMENTS", "1, 12, 13, 14"),
        ("U05", "?ERROR ?ARGUMENTS", "1, 2, 3, 6, 7, 9-14"),
        ("U06", "?ERROR ?ARGUMENTS REQUEST", "1, 2, 4, 9, 10, 11"),
        ("U07", "?ERROR ?ARGUMENTS -REQUEST", "3, 5, 6, 7, 8, 12-18"),
        ("U08", "ERROR -ARGUMENTS", "2, 6, 7, 9, 10, 11"),
        ("U09", "-ERROR", "3, 4, 5, 8, 15-18"),
        ("U10", "\"INTERNAL SERVER ERROR\"", "6"),
        ("U11", "error", "5, 8"),
        ("U12", "\"hello-world\"", "17"),
        ("U13", "ERROR -\"BAD REQUEST\"", "1, 6, 7, 9-14"),
        ("U14", r#""\"hello world\"""#, "16"),
        ("blanks only, assumed to match everything", " \t ", "1-18"),
        ("an empty text is in every message, assumed", "\"\"", "1-18"),
        ("an empty alternative, assumed", "?\"\" ?ERROR", "1-18"),
        ("nothing lacks the empty text, assumed", "-\"\"", ""),
        ("blanks around terms", "  ERROR \t BAD\n", "2"),
        ("regular expression among terms, assumed", "%^ERR% -%BAD|INT%", "1, 11, 12, 13"),
    ];
    check_table(&TERMS, &rows);
}

#[test]
fn a_backslash_in_quotes_may_be_doubled_or_not() {
    let messages = [r"\share\secret\x.doc", r#"a\"b"#, "a\"b"];
    let rows: [Row; 4] = [
        ("doubled", r#""\\share\\secret""#, "1"),
        ("pasted", r#""\share\secret""#, "1"),
        ("backslash and quote", r#""a\\\"b""#, "2"),
        ("quote", r#""a\"b""#, "3"),
    ];
    check_table(&messages, &rows);
}

const LINES: [&str; 17] = [
    "ERROR 500",
    "ERROR 50",
    "ERROR 5000",
    "WARN 404",
    "xERROR 500",
    "error 500",
    "color",
    "colour",
    "colouur",
    "10.10.0.1",
    "10010,051",
    "hello!",
    "hello(",
    "café",
    "aaab",
    "abab",
    "ERROR\n500",
];

#[test]
fn regular_expressions() {
    let rows: [Row; 16] = [
        ("G01", r"%^ERROR\s[0-9]{3}$%", "1, 17"),
        ("G02", "%ERROR|WARN%", "1-5, 17"),
        ("G03", "%^colou?r$%", "7, 8"),
        ("G04", r"%10\.10\.0\.1%", "10"),
        ("G05", "%10.10.0.1%", "10, 11"),
        ("G06", r"%\x21%", "12"),
        ("G07", "%^[^a-z]+$%", "1, 2, 3, 4, 10, 11, 17"),
        ("G08", "%^a*b$%", "15"),
        ("no lower bound", "%^colou{,2}r$%", "7, 8, 9"),
        ("lower bound", "%colou{2,}r%", "9"),
        ("a character, not a byte", "%^caf.$%", "14"),
        ("classes of ASCII", r"%^\w+$%", "7, 8, 9, 15, 16"),
        ("negated class", r"%\W%", "1-6, 10-14, 17"),
        ("blank inside, tolerated", "%ERROR 5%", "1, 2, 3, 5"),
        ("two terms", "%^ERR% %00$%", "1, 3, 17"),
        ("one of two", "?%^WARN% ?%^col%", "4, 7, 8, 9"),
    ];
    check_table(&LINES, &rows);
}
