/*!
What must hold of an object for a request to be served ("Conditional requests", Amazon S3 User Guide; RFC 9110, 13).
*/

use http::HeaderMap;
use nightbell_wire::http_date;

use super::{S3Error, text_of};
use crate::manage::buckets::{BucketRefusal, Condition, ObjectRecord};

/// The ETags of a header.
fn etags(headers: &HeaderMap, name: &str) -> Result<Option<Vec<String>>, S3Error> {
    let text = text_of(headers, name)?;
    let plain = |etag: &str| etag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    Ok(text.map(|text| text.split(',').map(plain).collect()))
}

/// What must hold of what is there, for a change.
pub(super) fn of_change(headers: &HeaderMap) -> Result<Condition, S3Error> {
    Ok(Condition { is: etags(headers, "if-match")?, is_not: etags(headers, "if-none-match")? })
}

/// Looks whether what must hold for an object to be read does.
pub(super) fn check(headers: &HeaderMap, object: &ObjectRecord) -> Result<(), S3Error> {
    check_under(headers, object, "")
}

/// The same for the source of a copy; one that was not changed is refused, too.
pub(super) fn check_source(headers: &HeaderMap, object: &ObjectRecord) -> Result<(), S3Error> {
    check_under(headers, object, "x-amz-copy-source-").map_err(|error| match error.status {
        304 => BucketRefusal::Precondition.into(),
        _ => error,
    })
}

fn check_under(headers: &HeaderMap, object: &ObjectRecord, prefix: &str) -> Result<(), S3Error> {
    let name = |rest: &str| format!("{prefix}{rest}");
    let time = |name: &str| -> Result<Option<i64>, S3Error> {
        Ok(text_of(headers, name)?.and_then(http_date::parse))
    };
    // Headers have whole seconds.
    let modified = object.modified.as_millis().div_euclid(1_000) * 1_000;
    let is = etags(headers, &name("if-match"))?;
    let is_not = etags(headers, &name("if-none-match"))?;
    let holds = match &is {
        Some(_) => Condition { is: is.clone(), is_not: None }.holds(Some(object)),
        None => time(&name("if-unmodified-since"))?.is_none_or(|since| modified <= since),
    };
    if !holds {
        return Err(BucketRefusal::Precondition.into());
    }
    let is_new = match &is_not {
        Some(_) => Condition { is: None, is_not: is_not.clone() }.holds(Some(object)),
        None => time(&name("if-modified-since"))?.is_none_or(|since| modified > since),
    };
    if is_new { Ok(()) } else { Err(S3Error::new(304, "NotModified", "Not Modified")) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use nightbell_core::time::Timestamp;

    use super::*;
    use crate::manage::buckets::Content;
    use crate::manage::buckets::objects::Described;

    #[test]
    fn etags_count_before_times() {
        let object = ObjectRecord {
            key: "k".into(),
            bytes: 0,
            etag: "abc".into(),
            modified: Timestamp::from_millis(784_111_777_500),
            content: Content::Empty,
            described: Described::default(),
            checksum: None,
        };
        let (then, before) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT");
        for (given, status) in [
            (&[][..], 0),
            (&[("if-match", "\"abc\"")], 0),
            (&[("if-match", "*")], 0),
            (&[("if-match", "\"x\", \"y\"")], 412),
            (&[("if-match", "\"abc\""), ("if-unmodified-since", before)], 0),
            (&[("if-unmodified-since", before)], 412),
            (&[("if-unmodified-since", then)], 0),
            (&[("if-none-match", "\"abc\"")], 304),
            (&[("if-none-match", "W/\"abc\"")], 304),
            (&[("if-none-match", "\"x\""), ("if-modified-since", then)], 0),
            (&[("if-modified-since", then)], 304),
            (&[("if-modified-since", before)], 0),
            (&[("if-modified-since", "yesterday")], 0),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(
                check(&headers, &object).map_or_else(|error| error.status, |()| 0),
                status,
                "{given:?}"
            );
        }
    }
}
