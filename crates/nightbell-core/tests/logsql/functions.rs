//! Every function, with what it gives for values, for wrong values and for nothing.

use super::{ask, shown};

const MESSAGE: &str = r#"{"n":-2.5,"t":"  Ab é  ","e":"","b":" ","ip":"10.1.2.3","six":"2001:db8::1","ms":1789364521123,"j":"{\"a\":[1]}"}"#;

/// An expression and what it gives; nothing where that is empty.
const ROWS: &[(&str, &str)] = &[
    // Arithmetic: `*` before `+`, `^` before the sign and to the right; what is no number gives nothing.
    ("1 + 2 * 3 - 4 / 2", "5"),
    ("-2 ^ 2", "-4"),
    ("2 ^ 3 ^ 2", "512"),
    ("2 ^ -1", "0.5"),
    ("10 % 3", "1"),
    ("7 - 2 - 1", "4"),
    ("-(1 + n)", "1.5"),
    ("1 / 0", ""),
    ("t + 1", ""),
    ("nosuch + 1", ""),
    ("'2' + 1", "3"),
    ("1 = 1", "1"),
    ("not 1 = 1", "0"),
    ("abs(n)", "2.5"),
    ("abs(t)", ""),
    ("ceil(n)", "-2"),
    ("floor(n)", "-3"),
    ("greatest(1, n, 3)", "3"),
    ("greatest(t)", ""),
    ("least(1, n, nosuch)", "-2.5"),
    ("log(1)", "0"),
    ("log(0)", ""),
    ("sqrt(9)", "3"),
    ("sqrt(n)", ""),
    ("isempty(e)", "1"),
    ("isempty(nosuch)", "1"),
    ("isempty(b)", "0"),
    ("isblank(b)", "1"),
    ("isblank(nosuch)", "1"),
    ("isblank(t)", "0"),
    ("concat('a', 1, nosuch, 'b')", "a1b"),
    ("concat(nosuch)", ""),
    ("trim(t)", "Ab é"),
    ("concat('<', ltrim(t), '>')", "<Ab é  >"),
    ("concat('<', rtrim(t), '>')", "<  Ab é>"),
    ("trim('xxaxx', 'x')", "a"),
    ("ltrim('xya', 'yx')", "a"),
    ("rtrim('axy', 'yx')", "a"),
    ("trim(nosuch)", ""),
    ("strlen(t)", "8"),
    ("strlen(nosuch)", ""),
    ("toupper(trim(t))", "AB É"),
    ("tolower('ÄB')", "äb"),
    ("substr('abcdef', 2)", "cdef"),
    ("substr('aéc', 1, 1)", "é"),
    ("substr('abc', -5, 2)", "ab"),
    ("substr('abc', 9)", ""),
    ("substr('abc', t)", ""),
    ("replace('a.b.c', '.', '--')", "a--b--c"),
    ("replace('abc', '', 'x')", "abc"),
    ("replace('abc', 'z', 'x')", "abc"),
    ("strcontains('abc', 'bc')", "1"),
    ("strcontains('abc', 'BC')", "0"),
    ("strcontains('abc', 'BC', true)", "1"),
    ("strcontains(nosuch, 'a')", "0"),
    ("startsWith('abc', 'ab')", "1"),
    ("endsWith('abc', 'ab')", "0"),
    ("isValidIp(ip)", "1"),
    ("isValidIp('10.0.0')", "0"),
    ("isValidIpV4(six)", "0"),
    ("isValidIpV6(six)", "1"),
    ("isValidIpV4(nosuch)", "0"),
    ("isIpInSubnet(ip, '10.0.0.0/8')", "1"),
    ("isIpInSubnet(six, '2001:db8::/32')", "1"),
    ("isIpInSubnet(six, '10.0.0.0/8')", "0"),
    ("isIpv4InSubnet(ip, '10.2.0.0/16')", "0"),
    ("isIpv4InSubnet(ip, '0.0.0.0/0')", "1"),
    ("isIpv4InSubnet(ip, '10.1.2.3/32')", "1"),
    ("isIpv4InSubnet(ip, '10.1.2.3/33')", "0"),
    ("isIpv4InSubnet(ip, 'nonsense')", "0"),
    ("isIpv4InSubnet(six, '2001:db8::/32')", "0"),
    ("isIpv6InSubnet(six, '2001:db8::/127')", "1"),
    ("isIpv6InSubnet(six, '::/0')", "1"),
    ("ispresent(n)", "1"),
    ("ispresent(nosuch)", "0"),
    ("coalesce(nosuch, e, n)", ""),
    ("coalesce(nosuch, n)", "-2.5"),
    ("coalesce(nosuch)", ""),
    ("if(n < 0, 'minus', 'plus')", "minus"),
    ("if(n > 0, 'minus', 'plus')", "plus"),
    ("case(n > 0, 'plus', n < 0, 'minus', 'zero')", "minus"),
    ("case(n > 0, 'plus', n > 1, 'more', 'other')", "other"),
    ("case(n > 0, 'plus')", ""),
    ("isNumeric(n)", "1"),
    ("isNumeric(t)", "0"),
    ("fromMillis(ms)", "2026-09-14 05:42:01.123"),
    ("fromMillis(t)", ""),
    ("toMillis(@timestamp)", "1789364520000"),
    ("toMillis(fromMillis(ms)) - ms", "0"),
    ("now()", "1789368120"),
    ("bin(1h)", "2026-09-14 05:00:00.000"),
    ("bin(5 minutes)", "2026-09-14 05:40:00.000"),
    ("datefloor(@timestamp, 1mo)", "2026-09-01 00:00:00.000"),
    ("datefloor(ms, 1s)", "2026-09-14 05:42:01.000"),
    ("dateceil(@timestamp, 1h)", "2026-09-14 06:00:00.000"),
    ("dateceil(nosuch, 1h)", ""),
    ("jsonParse(j)", r#"{"a":[1]}"#),
    ("jsonParse(t)", ""),
    ("jsonParse('{}, {}')", ""),
    ("jsonStringify(jsonParse(j))", r#"{"a":[1]}"#),
    ("ABS(n)", "2.5"),
    (r#"'it\'s "so" C:\new\\x'"#, r#"it's "so" C:\new\x"#),
];

#[test]
fn every_function() {
    for (text, expected) in ROWS {
        let value = shown(&ask(&format!("fields {text} as x"), &[(0, MESSAGE)])).remove(0);
        let nothing = expected.is_empty() && value.is_empty();
        assert!(nothing || value == format!("x={expected}"), "{text}: {value} instead of {expected}");
    }
}

#[test]
fn computed_texts_are_cut() {
    use nightbell_core::logsql::TEXT_BYTES_MAX;
    let long = "é".repeat(TEXT_BYTES_MAX / 2);
    for text in
        ["concat(@message, @message)", "replace(@message, 'é', 'éé')", "toupper(concat(@message, 'a'))"]
    {
        let rows = ask(&format!("fields strlen({text}) as n"), &[(0, &long)]);
        assert_eq!(rows[0][0].1, (TEXT_BYTES_MAX / 2).to_string(), "{text}");
    }
}
