/*!
Text from outside made fit to be shown: cleaned, cut to a length, and numbers and spans in plain words.

Knows nothing of alarms or mail. Everything here bounds its work by its limit, not by its input.
*/

use nightbell_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// Stands where a character was that must not be shown: a control, a direction override, an invisible mark.
const UNSHOWABLE: char = '\u{fffd}';

/// One line of at most `chars_max` characters: line ends and tabs become blanks, unshowable characters `U+FFFD`.
/// What is too long ends in `…`.
pub(crate) fn line(text: &str, chars_max: usize) -> String {
    debug_assert!(chars_max > 0);
    let mut out = String::with_capacity(text.len().min(chars_max));
    for (taken, c) in text.trim().chars().enumerate() {
        if taken == chars_max {
            out.pop();
            out.push('…');
            break;
        }
        out.push(shown(c));
    }
    out
}

/// Like [`line`], but what is too long loses its middle: both ends of a path or a name tell more than its start.
pub(crate) fn line_of_ends(text: &str, chars_max: usize) -> String {
    debug_assert!(chars_max >= 8);
    let text = text.trim();
    let Some((cut, _)) = text.char_indices().nth(chars_max) else {
        return line(text, chars_max);
    };
    debug_assert!(cut < text.len());
    let tail_chars = (chars_max - 1) * 2 / 3;
    let mut out: String = text.chars().take(chars_max - 1 - tail_chars).map(shown).collect();
    out.push('…');
    let tail: Vec<char> = text.chars().rev().take(tail_chars).collect();
    out.extend(tail.into_iter().rev().map(shown));
    out
}

/// Several lines of at most `chars_max` characters: every line end becomes `\n`, tabs stay, unshowable characters
/// become `U+FFFD`.
pub(crate) fn lines(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max));
    let mut rest = text.chars().peekable();
    let mut taken = 0;
    while let Some(c) = rest.next() {
        if taken == chars_max {
            out.push('…');
            break;
        }
        taken += 1;
        match c {
            '\r' => {
                rest.next_if_eq(&'\n');
                out.push('\n');
            }
            '\n' | '\t' => out.push(c),
            _ => out.push(shown(c)),
        }
    }
    out
}

/// `c` as it may be shown in one line.
fn shown(c: char) -> char {
    match c {
        '\t' | '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        _ if unshowable(c) => UNSHOWABLE,
        _ => c,
    }
}

/// Characters that change what the reader sees without being seen: controls, direction overrides and isolates,
/// invisible separators, language tags. Joiners stay, because scripts need them.
fn unshowable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A number for people: `6`, `91.25`, `1e308`; at most three decimals.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return if value.is_nan() { "not a number".to_owned() } else { format!("{value}") };
    }
    if size >= 1e15 || (size < 0.001 && size > 0.0) {
        return format!("{value:e}");
    }
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The length of a window: `1 min`, `5 min`, `90 s`, `1 h`, `7 days`.
pub(crate) fn window(ms: i64) -> String {
    match ms {
        _ if ms == DAY_MS => "1 day".to_owned(),
        _ if ms > DAY_MS && ms % DAY_MS == 0 => format!("{} days", ms / DAY_MS),
        _ if ms >= HOUR_MS && ms % HOUR_MS == 0 => format!("{} h", ms / HOUR_MS),
        _ if ms >= MINUTE_MS && ms % MINUTE_MS == 0 => format!("{} min", ms / MINUTE_MS),
        _ => span(ms),
    }
}

/// How long something took, to the two largest parts: `350 ms`, `12.3 s`, `3 min 20 s`, `2 h 5 min`, `3 days 4 h`.
pub(crate) fn span(ms: i64) -> String {
    let two = |large: i64, large_name: &str, small: i64, small_name: &str| match small {
        0 => format!("{large} {large_name}"),
        _ => format!("{large} {large_name} {small} {small_name}"),
    };
    match ms {
        ..SECOND_MS => format!("{ms} ms"),
        SECOND_MS..MINUTE_MS => format!("{} s", number(((ms / 100) as f64) / 10.0)),
        MINUTE_MS..HOUR_MS => two(ms / MINUTE_MS, "min", ms % MINUTE_MS / SECOND_MS, "s"),
        HOUR_MS..DAY_MS => two(ms / HOUR_MS, "h", ms % HOUR_MS / MINUTE_MS, "min"),
        _ => {
            let days = ms / DAY_MS;
            two(days, if days == 1 { "day" } else { "days" }, ms % DAY_MS / HOUR_MS, "h")
        }
    }
}

/// `text` with everything but unreserved characters as `%XX`, for a path segment or query value (RFC 3986).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Whether `url` may stand in a link and in a header: `http` or `https`, printable ASCII without quotes, blanks or
/// angle brackets, at most `bytes_max` long.
pub(crate) fn is_web_url(url: &str, bytes_max: usize) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.len() <= bytes_max
        && url
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'\'' | b'\\' | b'`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cleaned_and_cut() {
        let rows = [
            ("plain", 10, "plain"),
            ("Zugriff auf Übersicht", 30, "Zugriff auf Übersicht"),
            ("a\r\nBcc: x", 30, "a  Bcc: x"),
            ("a\u{0}b\u{1b}[31m", 30, "a\u{fffd}b\u{fffd}[31m"),
            ("user\u{202e}gpj.exe", 30, "user\u{fffd}gpj.exe"),
            ("a\u{200b}b\u{2066}c\u{feff}", 30, "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("می\u{200c}روم", 30, "می\u{200c}روم"),
            ("12345678", 8, "12345678"),
            ("123456789", 8, "1234567…"),
            ("", 8, ""),
        ];
        for (text, chars_max, expected) in rows {
            assert_eq!(line(text, chars_max), expected, "{text:?}");
        }
    }

    #[test]
    fn long_paths_keep_both_ends() {
        assert_eq!(line_of_ends(r"\share\secret", 20), r"\share\secret");
        let cut = line_of_ends(r"\share\a very long way down to the\secret", 20);
        assert_eq!(cut, r"\share\…o the\secret");
        assert_eq!(cut.chars().count(), 20);
    }

    #[test]
    fn several_lines_stay_several_lines() {
        assert_eq!(lines("a\r\nb\rc\nd\te\u{7}", 50), "a\nb\nc\nd\te\u{fffd}");
        assert_eq!(lines("abcdef", 3), "abc…");
    }

    #[test]
    fn numbers_for_people() {
        let rows = [
            (6.0, "6"),
            (0.0, "0"),
            (-0.0, "0"),
            (91.25, "91.25"),
            (0.1 + 0.2, "0.3"),
            (-3.5, "-3.5"),
            (1e308, "1e308"),
            (0.000_01, "1e-5"),
            (123_456_789.0, "123456789"),
            (f64::NAN, "not a number"),
            (f64::INFINITY, "inf"),
        ];
        for (value, expected) in rows {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn windows_and_spans() {
        let rows = [
            (10_000, "10 s"),
            (60_000, "1 min"),
            (90_000, "1 min 30 s"),
            (300_000, "5 min"),
            (3_600_000, "1 h"),
            (DAY_MS, "1 day"),
            (7 * DAY_MS, "7 days"),
        ];
        for (ms, expected) in rows {
            assert_eq!(window(ms), expected);
        }
        let rows = [
            (0, "0 ms"),
            (350, "350 ms"),
            (12_345, "12.3 s"),
            (42_000, "42 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (DAY_MS + HOUR_MS, "1 day 1 h"),
        ];
        for (ms, expected) in rows {
            assert_eq!(span(ms), expected);
        }
        assert!(!span(i64::MAX).is_empty());
        assert!(!window(i64::MIN).is_empty());
    }

    #[test]
    fn only_web_urls_become_links() {
        for url in ["https://a.example/x?y=1&z=%20", "http://127.0.0.1:8080/"] {
            assert!(is_web_url(url, 100), "{url}");
        }
        for url in [
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://a/\r\nBcc: x",
            "https://a/\"x",
            "ftp://a/",
        ] {
            assert!(!is_web_url(url, 100), "{url}");
        }
        assert!(!is_web_url("https://a.example/", 10));
        assert_eq!(percent_encoded("a b/ä'"), "a%20b%2F%C3%A4%27");
    }
}
