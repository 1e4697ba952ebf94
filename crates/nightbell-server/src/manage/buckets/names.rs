/*!
What buckets and objects may be called ("General purpose bucket naming rules", "Naming Amazon S3 objects", Amazon S3 User Guide).
*/

/// Bytes of an object's key.
pub(crate) const KEY_BYTES_MAX: usize = 1_024;
/// Letters of a bucket's name, from and to.
const NAME_BYTES: std::ops::RangeInclusive<usize> = 3..=63;
/// How no name of a bucket may begin.
const STARTS_RESERVED: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
/// How none may end.
const ENDS_RESERVED: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Refuses what no bucket may be called.
///
/// # Errors
/// The rule that is broken.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    let ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    if !NAME_BYTES.contains(&name.len()) {
        return Err("a bucket's name has 3 to 63 letters");
    }
    if !bytes.iter().all(|&b| allowed(b)) {
        return Err("a bucket's name has small letters, digits, '.' and '-' only");
    }
    if !ends(bytes.first()) || !ends(bytes.last()) || name.contains("..") {
        return Err("a bucket's name begins and ends with a letter or digit and has no two dots in a row");
    }
    if name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok()) {
        return Err("a bucket's name is not written like an address");
    }
    let is_reserved = STARTS_RESERVED.iter().any(|start| name.starts_with(start))
        || ENDS_RESERVED.iter().any(|end| name.ends_with(end));
    if is_reserved { Err("this beginning or end of a bucket's name is reserved") } else { Ok(()) }
}

/// Refuses what no object may be called: any UTF-8 of the right length is a key, for it never names a file.
///
/// # Errors
/// The rule that is broken.
pub(crate) fn check_key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() { Err("A key has at least one letter") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets() {
        let long = "a".repeat(63);
        for name in ["abc", "a-b", "my.logs.2026", "1a2", "0--0", &long] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let over = "a".repeat(64);
        for name in [
            "",
            "ab",
            &over,
            "Abc",
            "a_b",
            "a b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "a..b",
            "192.168.5.4",
            "xn--abc",
            "abc-s3alias",
            "ä-b",
            "..",
            "a/b",
            "a\0b",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
