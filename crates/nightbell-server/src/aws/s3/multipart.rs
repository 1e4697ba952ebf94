/*!
Objects that come in parts.
*/

use std::collections::BTreeSet;

use axum::response::Response;
use http::StatusCode;
use uuid::Uuid;

use super::checksum::{Algorithm, etag_of_parts};
use super::content::{Expected, Reading, Source, Stored, freed, store};
use super::listing::Page;
use super::objects::{put_checksum, quoted, show_checksum, source};
use super::xml::{Node, Xml};
use super::{Ask, S3Error, described, document, empty, precondition, put_owner, set};
use crate::aws::Cx;
use crate::manage::buckets::objects::Checksum;
use crate::manage::buckets::uploads::{self, Completing, NamedPart, PARTS_MAX, PartRecord, UploadRecord};
use crate::manage::buckets::{BucketRefusal, Content, ObjectRecord};

pub(in crate::aws) async fn create_multipart_upload(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let algorithm = match ask.header("x-amz-checksum-algorithm")? {
        None => None,
        Some(name) => Some(Algorithm::named(name).ok_or_else(|| {
            S3Error::argument("x-amz-checksum-algorithm", name, "Checksum algorithm provided is unsupported")
        })?),
    };
    let is_full = match ask.header("x-amz-checksum-type")? {
        Some(text) => text.eq_ignore_ascii_case("FULL_OBJECT"),
        None => algorithm == Some(Algorithm::Crc64Nvme),
    };
    let upload = UploadRecord {
        id: Uuid::new_v4().simple().to_string(),
        key: ask.key().to_owned(),
        started: cx.now,
        described: described::read(&ask.headers)?,
        algorithm: algorithm.map(|algorithm| algorithm.name().to_owned()),
        is_full,
    };
    let app = &cx.app;
    tokio::task::block_in_place(|| uploads::begin(&app.buckets, &app.records, ask.bucket(), &upload))?;
    let mut xml = Xml::answer("InitiateMultipartUploadResult");
    xml.text("Bucket", ask.bucket());
    xml.text("Key", ask.key());
    xml.text("UploadId", &upload.id);
    let mut response = document(xml);
    if let Some(algorithm) = &upload.algorithm {
        set(&mut response, "x-amz-checksum-algorithm", algorithm);
        set(&mut response, "x-amz-checksum-type", if is_full { "FULL_OBJECT" } else { "COMPOSITE" });
    }
    Ok(response)
}

fn upload_id(ask: &Ask) -> Result<String, S3Error> {
    let id = ask.some_parameter("uploadId").unwrap_or_default();
    let sound = id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if sound { Ok(id.to_owned()) } else { Err(BucketRefusal::NoUpload.into()) }
}

fn part_number(ask: &Ask) -> Result<u32, S3Error> {
    let number = ask.number("partNumber", u32::MAX)?.filter(|number| (1..=PARTS_MAX).contains(number));
    number.ok_or_else(|| {
        let given = ask.parameter("partNumber").unwrap_or_default();
        let text = format!("Part number must be an integer between 1 and {PARTS_MAX}, inclusive");
        S3Error::argument("partNumber", given, text)
    })
}

pub(in crate::aws) async fn upload_part(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let (id, number) = (upload_id(&ask)?, part_number(&ask)?);
    let upload = uploads::get(&cx.app.records, ask.bucket(), ask.key(), &id)?;
    let announced = upload.algorithm.as_deref().and_then(Algorithm::named);
    let expected = Expected::read(&ask.headers)?.or_algorithm(announced);
    let stored = store(&cx.app, Source::Incoming(Box::new(ask.body)), &expected).await?;
    let place = (&*ask.address.bucket, &*ask.address.key, &*id);
    let part = keep(&cx, place, number, stored)?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "etag", &quoted(&part.etag));
    show_checksum(part.checksum.as_ref(), &mut response);
    Ok(response)
}

fn keep(cx: &Cx, place: (&str, &str, &str), number: u32, stored: Stored) -> Result<PartRecord, S3Error> {
    let part = PartRecord {
        number,
        bytes: stored.bytes,
        etag: stored.md5,
        modified: cx.now,
        content: stored.content,
        checksum: stored.checksum,
    };
    let app = &cx.app;
    tokio::task::block_in_place(|| uploads::put_part(&app.buckets, &app.records, place, &part))?;
    Ok(part)
}

pub(in crate::aws) async fn upload_part_copy(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let (id, number) = (upload_id(&ask)?, part_number(&ask)?);
    let app = &cx.app;
    let upload = uploads::get(&app.records, ask.bucket(), ask.key(), &id)?;
    let (_, source) = source(&cx, &ask)?;
    let range = match ask.header("x-amz-copy-source-range")? {
        None => 0..source.bytes,
        Some(text) => {
            let wrong = || {
                let rule = format!(
                    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are within the {} bytes of the source",
                    source.bytes
                );
                S3Error::argument("x-amz-copy-source-range", text, rule)
            };
            let (first, last) =
                text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(wrong)?;
            let (first, last): (u64, u64) =
                (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
            if first > last || last >= source.bytes {
                return Err(wrong());
            }
            first..last + 1
        }
    };
    let reading =
        tokio::task::block_in_place(|| Reading::open(&app.buckets.blobs, &app.records, &source, range))?;
    let announced = upload.algorithm.as_deref().and_then(Algorithm::named);
    let stored = store(app, Source::Own(reading), &Expected::default().or_algorithm(announced)).await?;
    let part = keep(&cx, (ask.bucket(), ask.key(), &id), number, stored)?;
    let mut xml = Xml::answer("CopyPartResult");
    xml.text("ETag", &quoted(&part.etag));
    xml.put("LastModified", part.modified);
    put_checksum(part.checksum.as_ref(), &mut xml);
    Ok(document(xml))
}

pub(in crate::aws) async fn complete_multipart_upload(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    let id = upload_id(&ask)?;
    let given = Node::read(&ask.body.document().await?, "CompleteMultipartUpload")?;
    let named = named_parts(&given)?;
    let condition = precondition::of_change(&ask.headers)?;
    let told = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let value = ask.header(&algorithm.header()).ok()??.to_owned();
        Some(Checksum { algorithm: algorithm.name().to_owned(), value })
    });
    let (app, now) = (&cx.app, cx.now);
    let place = (ask.bucket(), ask.key(), &*id);
    let object = tokio::task::block_in_place(|| {
        uploads::complete(&app.buckets, &app.records, place, &named, &condition, |completing, content| {
            let object = whole(completing, content, now);
            match (&told, &object.checksum) {
                (Some(told), Some(found))
                    if told.algorithm == found.algorithm && told.value != found.value =>
                {
                    Err(BucketRefusal::Checksum)
                }
                _ => Ok(object),
            }
        })
    })?;
    let mut xml = Xml::answer("CompleteMultipartUploadResult");
    let host = ask.header("host")?.unwrap_or_default();
    xml.text("Location", &format!("http://{host}{}", ask.address.resource()));
    xml.text("Bucket", ask.bucket());
    xml.text("Key", ask.key());
    xml.text("ETag", &quoted(&object.etag));
    put_checksum(object.checksum.as_ref(), &mut xml);
    Ok(document(xml))
}

fn named_parts(given: &Node) -> Result<Vec<NamedPart>, S3Error> {
    let mut named = Vec::new();
    for part in given.children("Part") {
        let number = part.need("PartNumber")?.trim().parse::<u32>().ok();
        let number = number.filter(|number| (1..=PARTS_MAX).contains(number));
        let number = number.ok_or_else(|| S3Error::malformed("PartNumber is none"))?;
        let checksum = Algorithm::ALL.into_iter().find_map(|algorithm| {
            let value = part.text_of(&algorithm.element())?.to_owned();
            Some(Checksum { algorithm: algorithm.name().to_owned(), value })
        });
        let etag = part.need("ETag")?.trim().trim_matches('"').to_owned();
        named.push(NamedPart { number, etag, checksum });
    }
    if named.is_empty() || named.len() > PARTS_MAX as usize {
        return Err(S3Error::malformed(&format!("CompleteMultipartUpload names 1 to {PARTS_MAX} parts")));
    }
    Ok(named)
}

/// The object that parts come to.
fn whole(completing: &Completing, content: Content, now: nightbell_core::time::Timestamp) -> ObjectRecord {
    let (upload, parts) = (&completing.upload, &completing.parts);
    let algorithm = upload.algorithm.as_deref().and_then(Algorithm::named);
    let sums: Option<Vec<(&Checksum, u64)>> =
        parts.iter().map(|part| Some((part.checksum.as_ref()?, part.bytes))).collect();
    let checksum = algorithm.zip(sums).and_then(|(algorithm, sums)| {
        let value = if upload.is_full {
            algorithm.of_whole(&sums)?
        } else {
            algorithm.of_sums(&sums.iter().map(|(sum, _)| *sum).collect::<Vec<_>>())?
        };
        Some(Checksum { algorithm: algorithm.name().to_owned(), value })
    });
    ObjectRecord {
        key: upload.key.clone(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        etag: etag_of_parts(parts.iter().map(|part| part.etag.as_str())),
        modified: now,
        content,
        described: upload.described.clone(),
        checksum,
    }
}

pub(in crate::aws) async fn abort_multipart_upload(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let id = upload_id(&ask)?;
    let app = &cx.app;
    tokio::task::block_in_place(|| {
        uploads::abort(&app.buckets, &app.records, ask.bucket(), ask.key(), &id)?;
        freed(app);
        Ok::<_, S3Error>(())
    })?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(in crate::aws) async fn list_parts(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let id = upload_id(&ask)?;
    let page = Page::read(&ask, "max-parts")?;
    let after = ask.number("part-number-marker", u32::MAX)?.unwrap_or(0);
    let upload = uploads::get(&cx.app.records, ask.bucket(), ask.key(), &id)?;
    let mut parts = uploads::parts(&cx.app.records, ask.bucket(), &id)?;
    parts.retain(|part| part.number > after);
    let more = parts.len() > page.lines_max();
    parts.truncate(page.lines_max());
    let mut xml = Xml::answer("ListPartsResult");
    xml.text("Bucket", ask.bucket());
    page.name(&mut xml, "Key", ask.key());
    xml.text("UploadId", &id);
    xml.put("PartNumberMarker", after);
    if let Some(last) = parts.last().filter(|_| more) {
        xml.put("NextPartNumberMarker", last.number);
    }
    xml.put("MaxParts", page.lines_max());
    xml.put("IsTruncated", more);
    put_owner(&mut xml, &cx.app);
    xml.text("StorageClass", "STANDARD");
    if let Some(algorithm) = &upload.algorithm {
        xml.text("ChecksumAlgorithm", algorithm);
    }
    for part in &parts {
        xml.open("Part");
        xml.put("PartNumber", part.number);
        xml.put("LastModified", part.modified);
        xml.text("ETag", &quoted(&part.etag));
        xml.put("Size", part.bytes);
        if let Some((sum, algorithm)) =
            part.checksum.as_ref().and_then(|sum| Some((sum, Algorithm::named(&sum.algorithm)?)))
        {
            xml.text(&algorithm.element(), &sum.value);
        }
        xml.close();
    }
    Ok(document(xml))
}

pub(in crate::aws) async fn list_multipart_uploads(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let page = Page::read(&ask, "max-uploads")?;
    let (prefix, delimiter) = (page.part("prefix")?, page.part("delimiter")?);
    let (key_marker, id_marker) = (page.part("key-marker")?, page.part("upload-id-marker")?);
    let found = uploads::list(&cx.app.records, ask.bucket(), prefix)?;
    let is_after = |upload: &UploadRecord| {
        (&*upload.key, &*upload.id) > (key_marker, id_marker)
            && !(upload.key == key_marker && id_marker.is_empty())
    };
    let (mut shown, mut folded) = (Vec::new(), BTreeSet::new());
    let mut more = false;
    for upload in found.into_iter().filter(|upload| key_marker.is_empty() || is_after(upload)) {
        if shown.len() + folded.len() == page.lines_max() {
            more = true;
            break;
        }
        let at = upload.key[prefix.len()..].find(delimiter).filter(|_| !delimiter.is_empty());
        match at {
            Some(at) => {
                folded.insert(upload.key[..prefix.len() + at + delimiter.len()].to_owned());
            }
            None => shown.push(upload),
        }
    }
    let mut xml = Xml::answer("ListMultipartUploadsResult");
    xml.text("Bucket", ask.bucket());
    page.name(&mut xml, "KeyMarker", key_marker);
    xml.text("UploadIdMarker", id_marker);
    if let Some(last) = shown.last().filter(|_| more) {
        page.name(&mut xml, "NextKeyMarker", &last.key);
        xml.text("NextUploadIdMarker", &last.id);
    }
    page.echo(&mut xml, "MaxUploads")?;
    xml.put("IsTruncated", more);
    for upload in &shown {
        xml.open("Upload");
        page.name(&mut xml, "Key", &upload.key);
        xml.text("UploadId", &upload.id);
        put_owner(&mut xml, &cx.app);
        xml.text("StorageClass", "STANDARD");
        xml.put("Initiated", upload.started);
        xml.close();
    }
    page.prefixes(&mut xml, folded.iter().map(String::as_str));
    Ok(document(xml))
}
