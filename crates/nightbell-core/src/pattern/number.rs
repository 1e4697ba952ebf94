/*!
Plain decimal numbers as they stand in patterns, words and strings.

One grammar for all of them, so that a literal, a column and a metric value agree on what a number is.
*/

/// Bytes of a text that is still read as a number.
const NUMBER_BYTES_MAX: usize = 400;

/// The number that `text` writes in decimal (`-1`, `11.5`, `1e+0`), or `None`: no blanks, no hexadecimal, no
/// infinities.
pub fn plain_number(text: &str) -> Option<f64> {
    if text.len() > NUMBER_BYTES_MAX || !has_shape(text.as_bytes()) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn has_shape(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let Some(rest) = digits(rest) else { return false };
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => match digits(fraction) {
            Some(rest) => rest,
            None => return false,
        },
        None => rest,
    };
    let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) else {
        return rest.is_empty();
    };
    let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
    digits(exponent).is_some_and(<[u8]>::is_empty)
}

/// What follows one or more digits.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| &text[count..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_decimals_only() {
        for (text, number) in
            [("0", 0.0), ("-1", -1.0), ("11.5", 11.5), ("1e+0", 1.0), ("2E3", 2000.0), ("007", 7.0)]
        {
            assert_eq!(plain_number(text), Some(number), "{text}");
        }
        for text in
            ["", "-", "+1", ".5", "5.", "1e", "1e+", "0x10", "inf", "NaN", "1 ", "1_0", "1e999", "--1"]
        {
            assert_eq!(plain_number(text), None, "{text}");
        }
    }
}
