/*!
Objects: put, got, copied, deleted.
*/

use std::ops::Range;

use axum::response::Response;
use http::StatusCode;
use nightbell_wire::{http_date, percent};
use serde_json::json;

use super::checksum::Algorithm;
use super::content::{Expected, Reading, Source, Stored, freed, store};
use super::xml::{Node, Xml};
use super::{Ask, S3Error, described, document, empty, judge, precondition, set, settings};
use crate::aws::Cx;
use crate::manage::buckets::objects::{self, Checksum, Described};
use crate::manage::buckets::{self, Condition, ObjectRecord, check_key};

/// Keys of one DeleteObjects.
pub(crate) const DELETED_MAX: usize = 1_000;

pub(in crate::aws) async fn put_object(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let described = described::read(&ask.headers)?;
    let condition = precondition::of_change(&ask.headers)?;
    let expected = Expected::read(&ask.headers)?;
    buckets::find(&cx.app.records, &ask.address.bucket)?;
    let stored = store(&cx.app, Source::Incoming(Box::new(ask.body)), &expected).await?;
    let object = object(&cx, ask.address.key, stored, described);
    let app = &cx.app;
    tokio::task::block_in_place(|| {
        objects::put_object(&app.buckets, &app.records, &ask.address.bucket, &object, &condition)
    })?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "etag", &quoted(&object.etag));
    show_checksum(object.checksum.as_ref(), &mut response);
    Ok(response)
}

fn object(cx: &Cx, key: String, stored: Stored, described: Described) -> ObjectRecord {
    ObjectRecord {
        key,
        bytes: stored.bytes,
        etag: stored.md5,
        modified: cx.now,
        content: stored.content,
        described,
        checksum: stored.checksum,
    }
}

/// An ETag as headers have it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// Says a checksum in an answer.
pub(super) fn show_checksum(checksum: Option<&Checksum>, response: &mut Response) {
    let Some(checksum) = checksum else { return };
    if let Some(algorithm) = Algorithm::named(&checksum.algorithm) {
        set(response, &algorithm.header(), &checksum.value);
        set(response, "x-amz-checksum-type", checksum_type(checksum));
    }
}

/// Whether a checksum is that of the content or of the checksums of its parts.
pub(super) fn checksum_type(checksum: &Checksum) -> &'static str {
    // Base64 has no hyphen; the number of parts follows one.
    if checksum.value.contains('-') { "COMPOSITE" } else { "FULL_OBJECT" }
}

pub(in crate::aws) async fn get_object(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let (object, range) = wanted(&cx, &ask)?;
    let whole = 0..object.bytes;
    let app = &cx.app;
    let taken = range.clone().unwrap_or_else(|| whole.clone());
    let reading = tokio::task::block_in_place(|| {
        Reading::open(&app.buckets.blobs, &app.records, &object, taken.clone())
    })?;
    let mut response = Response::new(reading.into_body());
    show(&ask, &object, range.as_ref(), &mut response)?;
    Ok(response)
}

pub(in crate::aws) async fn head_object(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let (object, range) = wanted(&cx, &ask)?;
    let mut response = empty(StatusCode::OK);
    show(&ask, &object, range.as_ref(), &mut response)?;
    Ok(response)
}

/// The object that is asked for, and the range of it.
fn wanted(cx: &Cx, ask: &Ask) -> Result<(ObjectRecord, Option<Range<u64>>), S3Error> {
    ask.only_version()?;
    if let Some(part) = ask.some_parameter("partNumber") {
        return Err(S3Error::not_implemented(format_args!("partNumber {part}")));
    }
    let object = objects::get(&cx.app.records, ask.bucket(), ask.key())
        .map_err(|refusal| S3Error::from(refusal).with("Key", ask.key()))?;
    precondition::check(&ask.headers, &object)?;
    let is_same = ask.header("if-range")?.is_none_or(|etag| etag.trim_matches('"') == object.etag);
    let range = match ask.header("range")?.filter(|_| is_same) {
        Some(text) => range(text, object.bytes)?,
        None => None,
    };
    Ok((object, range))
}

/// The one range that a header asks for; nothing where it is to be read over.
fn range(text: &str, bytes: u64) -> Result<Option<Range<u64>>, S3Error> {
    let Some((from, to)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let found = match (number(from), number(to)) {
        (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(bytes),
        (Some(from), None) if to.is_empty() => from..bytes,
        (None, Some(last)) if from.is_empty() && last > 0 => bytes.saturating_sub(last)..bytes,
        (None, Some(0)) if from.is_empty() => bytes..bytes,
        _ => return Ok(None),
    };
    if found.start >= found.end {
        let error = S3Error::new(416, "InvalidRange", "The requested range is not satisfiable");
        let shown: String = text.chars().take(100).collect();
        return Err(error.with("RangeRequested", shown).with("ActualObjectSize", bytes.to_string()));
    }
    Ok(Some(found))
}

/// What the answer says of an object.
fn show(
    ask: &Ask,
    object: &ObjectRecord,
    range: Option<&Range<u64>>,
    response: &mut Response,
) -> Result<(), S3Error> {
    described::show(&object.described, response);
    for (parameter, header) in [
        ("response-content-type", "content-type"),
        ("response-content-language", "content-language"),
        ("response-expires", "expires"),
        ("response-cache-control", "cache-control"),
        ("response-content-disposition", "content-disposition"),
        ("response-content-encoding", "content-encoding"),
    ] {
        if let Some(value) = ask.some_parameter(parameter) {
            set(response, header, value);
        }
    }
    set(response, "etag", &quoted(&object.etag));
    set(response, "accept-ranges", "bytes");
    if let Some(modified) = http_date::format(object.modified.as_millis()) {
        set(response, "last-modified", &modified);
    }
    let bytes = match range {
        None => object.bytes,
        Some(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, object.bytes);
            set(response, "content-range", &text);
            range.end - range.start
        }
    };
    set(response, "content-length", &bytes.to_string());
    let asks = ask.header("x-amz-checksum-mode")?.is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    if asks && range.is_none() {
        show_checksum(object.checksum.as_ref(), response);
    }
    Ok(())
}

/// The object that a copy is of.
pub(super) fn source(cx: &Cx, ask: &Ask) -> Result<(String, ObjectRecord), S3Error> {
    let text = ask.header("x-amz-copy-source")?.unwrap_or_default();
    let wrong = || {
        let text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
        S3Error::argument("x-amz-copy-source", text, text)
    };
    let (path, version) = text.split_once("?versionId=").unwrap_or((text, "null"));
    if version != "null" {
        return Err(S3Error::new(404, "NoSuchVersion", "The specified version does not exist."));
    }
    let path = percent::decode_path(path.strip_prefix('/').unwrap_or(path)).ok_or_else(wrong)?;
    let path = String::from_utf8(path.into_owned()).map_err(|_| wrong())?;
    let (bucket, key) = path.split_once('/').filter(|(_, key)| !key.is_empty()).ok_or_else(wrong)?;
    judge(cx, "GetObject", &json!({"Bucket": bucket, "Key": key}))?;
    let object = objects::get(&cx.app.records, bucket, key)
        .map_err(|refusal| S3Error::from(refusal).with("Key", key))?;
    precondition::check_source(&ask.headers, &object)?;
    Ok((bucket.to_owned(), object))
}

pub(in crate::aws) async fn copy_object(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let (bucket, source) = source(&cx, &ask)?;
    let described = copied_description(&ask, &source)?;
    let is_same = bucket == ask.bucket() && source.key == ask.key();
    if is_same && described == source.described {
        let text = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(S3Error::new(400, "InvalidRequest", text));
    }
    let condition = precondition::of_change(&ask.headers)?;
    let app = &cx.app;
    buckets::find(&app.records, ask.bucket())?;
    let algorithm = ask.header("x-amz-checksum-algorithm")?.and_then(Algorithm::named);
    let kept = source.checksum.as_ref().and_then(|checksum| Algorithm::named(&checksum.algorithm));
    let reading = tokio::task::block_in_place(|| {
        Reading::open(&app.buckets.blobs, &app.records, &source, 0..source.bytes)
    })?;
    let expected = Expected::default().or_algorithm(algorithm.or(kept));
    let stored = store(app, Source::Own(reading), &expected).await?;
    let object = object(&cx, ask.address.key, stored, described);
    tokio::task::block_in_place(|| {
        objects::put_object(&app.buckets, &app.records, &ask.address.bucket, &object, &condition)
    })?;
    let mut xml = Xml::answer("CopyObjectResult");
    xml.text("ETag", &quoted(&object.etag));
    xml.put("LastModified", object.modified);
    put_checksum(object.checksum.as_ref(), &mut xml);
    Ok(document(xml))
}

/// Writes a checksum into a document.
pub(super) fn put_checksum(checksum: Option<&Checksum>, xml: &mut Xml) {
    if let Some((checksum, algorithm)) =
        checksum.and_then(|checksum| Some((checksum, Algorithm::named(&checksum.algorithm)?)))
    {
        xml.text(&algorithm.element(), &checksum.value);
        xml.text("ChecksumType", checksum_type(checksum));
    }
}

/// What is said of a copy: what was said of its source, unless the request says otherwise.
fn copied_description(ask: &Ask, source: &ObjectRecord) -> Result<Described, S3Error> {
    let given = described::read(&ask.headers)?;
    let replaces = |name: &str| match ask.header(name)? {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::argument(name, other, format!("{name} is COPY or REPLACE"))),
    };
    let mut described = source.described.clone();
    if replaces("x-amz-metadata-directive")? {
        (described.headers, described.metadata) = (given.headers, given.metadata);
    }
    if replaces("x-amz-tagging-directive")? {
        described.tags = given.tags;
    }
    Ok(described)
}

pub(in crate::aws) async fn delete_object(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    ask.only_version()?;
    let condition = precondition::of_change(&ask.headers)?;
    let (app, keys) = (&cx.app, [ask.key().to_owned()]);
    tokio::task::block_in_place(|| {
        objects::remove(&app.buckets, &app.records, ask.bucket(), &keys, &condition)?;
        freed(app);
        Ok::<_, S3Error>(())
    })?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(in crate::aws) async fn delete_objects(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    let given = Node::read(&ask.body.document().await?, "Delete")?;
    let app = &cx.app;
    buckets::find(&app.records, ask.bucket())?;
    let asked: Vec<&Node> = given.children("Object").collect();
    if asked.is_empty() || asked.len() > DELETED_MAX {
        return Err(S3Error::malformed(&format!("Delete names 1 to {DELETED_MAX} objects")));
    }
    let (mut keys, mut refused) = (Vec::new(), Vec::new());
    for object in asked {
        let key = object.need("Key")?.to_owned();
        let allowed = match object.text_of("VersionId") {
            None | Some("" | "null") => {
                check_key(&key).map_err(S3Error::malformed)?;
                judge(&cx, "DeleteObject", &json!({"Bucket": ask.bucket(), "Key": key}))
            }
            Some(_) => Err(S3Error::new(404, "NoSuchVersion", "The specified version does not exist.")),
        };
        match allowed {
            Ok(()) => keys.push(key),
            Err(error) => refused.push((key, error)),
        }
    }
    let condition = Condition::default();
    tokio::task::block_in_place(|| {
        objects::remove(&app.buckets, &app.records, ask.bucket(), &keys, &condition)?;
        freed(app);
        Ok::<_, S3Error>(())
    })?;
    let is_quiet = given.text_of("Quiet").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    let mut xml = Xml::answer("DeleteResult");
    for key in keys.iter().filter(|_| !is_quiet) {
        xml.open("Deleted");
        xml.text("Key", key);
        xml.close();
    }
    for (key, error) in &refused {
        xml.open("Error");
        xml.text("Key", key);
        xml.text("Code", error.code);
        xml.text("Message", &error.message);
        xml.close();
    }
    Ok(document(xml))
}

pub(in crate::aws) async fn get_object_acl(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    ask.only_version()?;
    objects::get(&cx.app.records, ask.bucket(), ask.key())?;
    Ok(settings::acl(&cx))
}

pub(in crate::aws) async fn put_object_acl(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    ask.only_version()?;
    objects::get(&cx.app.records, ask.bucket(), ask.key())?;
    settings::only_own(&ask)
}

/// Puts an object for a part of the server that has its content in memory.
pub(crate) async fn put_whole(
    cx: &Cx,
    bucket: &str,
    key: &str,
    content: Vec<u8>,
    content_type: &str,
) -> Result<(), S3Error> {
    judge(cx, "PutObject", &json!({"Bucket": bucket, "Key": key}))?;
    let app = &cx.app;
    buckets::find(&app.records, bucket)?;
    let stored = store(app, Source::Whole(Some(content.into())), &Expected::default()).await?;
    let headers = [("content-type".to_owned(), content_type.to_owned())].into();
    let object = object(cx, key.to_owned(), stored, Described { headers, ..Described::default() });
    let condition = Condition::default();
    let put = || objects::put_object(&app.buckets, &app.records, bucket, &object, &condition);
    Ok(tokio::task::block_in_place(put)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, found) in [
            ("bytes=0-4", Some(0..5)),
            ("bytes=5-", Some(5..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("bytes=9-99999999999999999999999", Some(9..10)),
            ("bytes=4-2", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
        ] {
            assert_eq!(range(text, 10), Ok(found), "{text}");
        }
        for text in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(range(text, 10).unwrap_err().status, 416, "{text}");
        }
        assert_eq!(range("bytes=0-", 0).unwrap_err().status, 416);
    }
}
