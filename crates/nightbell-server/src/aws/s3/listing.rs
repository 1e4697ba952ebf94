/*!
Lists of objects, in the three forms that S3 has for them. All come from one list (`manage::buckets::list`).
*/

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nightbell_wire::percent;

use super::objects::{checksum_type, quoted};
use super::xml::Xml;
use super::{Ask, S3Error, document, put_owner};
use crate::aws::Cx;
use crate::manage::buckets::{self, KEY_BYTES_MAX, Listed, Listing, ObjectRecord};

/// Objects of one page.
pub(crate) const OBJECTS_PAGE_MAX: u32 = 1_000;

/// A list that is asked for.
pub(super) struct Page<'a> {
    ask: &'a Ask,
    /// Whether names are written percent-encoded.
    encoded: bool,
    lines_max: u32,
}

impl<'a> Page<'a> {
    /// Reads what all lists have in common; `most` names the parameter of the number of lines.
    pub(super) fn read(ask: &'a Ask, most: &'static str) -> Result<Self, S3Error> {
        let encoded = match ask.some_parameter("encoding-type") {
            None => false,
            Some("url") => true,
            Some(other) => {
                return Err(S3Error::argument(
                    "encoding-type",
                    other,
                    "Invalid Encoding Method specified in Request",
                ));
            }
        };
        let lines_max = ask.number(most, OBJECTS_PAGE_MAX)?.unwrap_or(OBJECTS_PAGE_MAX);
        Ok(Self { ask, encoded, lines_max })
    }

    /// Lines of a page.
    pub(super) fn lines_max(&self) -> usize {
        self.lines_max as usize
    }

    /// A parameter that is a part of a key.
    pub(super) fn part(&self, name: &str) -> Result<&'a str, S3Error> {
        let part = self.ask.some_parameter(name).unwrap_or_default();
        if part.len() > KEY_BYTES_MAX {
            return Err(S3Error::argument(name, part, format!("{name} has more than {KEY_BYTES_MAX} bytes")));
        }
        Ok(part)
    }

    /// Writes a name.
    pub(super) fn name(&self, xml: &mut Xml, element: &str, name: &str) {
        if self.encoded {
            let mut encoded = String::new();
            percent::encode_into(&mut encoded, name.as_bytes(), true);
            xml.text(element, &encoded);
        } else {
            xml.text(element, name);
        }
    }

    /// Writes a name where there is one.
    pub(super) fn name_if(&self, xml: &mut Xml, element: &str, name: &str) {
        if !name.is_empty() {
            self.name(xml, element, name);
        }
    }

    /// Writes what was asked for.
    pub(super) fn echo(&self, xml: &mut Xml, most: &str) -> Result<(), S3Error> {
        self.name(xml, "Prefix", self.part("prefix")?);
        self.name_if(xml, "Delimiter", self.part("delimiter")?);
        xml.put(most, self.lines_max);
        if self.encoded {
            xml.text("EncodingType", "url");
        }
        Ok(())
    }

    fn found(&self, cx: &Cx, after: &str) -> Result<(Vec<Listed>, bool), S3Error> {
        let listing = Listing {
            prefix: self.part("prefix")?.to_owned(),
            delimiter: self.part("delimiter")?.to_owned(),
            after: after.to_owned(),
            lines_max: self.lines_max(),
        };
        Ok(tokio::task::block_in_place(|| buckets::list(&cx.app.records, self.ask.bucket(), &listing))?)
    }

    fn object(&self, xml: &mut Xml, object: &ObjectRecord) {
        self.name(xml, "Key", &object.key);
        xml.put("LastModified", object.modified);
        xml.text("ETag", &quoted(&object.etag));
        if let Some(checksum) = &object.checksum {
            xml.text("ChecksumAlgorithm", &checksum.algorithm);
            xml.text("ChecksumType", checksum_type(checksum));
        }
        xml.put("Size", object.bytes);
        xml.text("StorageClass", "STANDARD");
    }

    /// Writes the names that lines are folded to.
    pub(super) fn prefixes<'l>(&self, xml: &mut Xml, prefixes: impl Iterator<Item = &'l str>) {
        for prefix in prefixes {
            xml.open("CommonPrefixes");
            self.name(xml, "Prefix", prefix);
            xml.close();
        }
    }
}

fn prefixes(lines: &[Listed]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| match line {
        Listed::Prefix(prefix) => Some(prefix.as_str()),
        Listed::Object(_) => None,
    })
}

fn objects(lines: &[Listed]) -> impl Iterator<Item = &ObjectRecord> {
    lines.iter().filter_map(|line| match line {
        Listed::Object(object) => Some(&**object),
        Listed::Prefix(_) => None,
    })
}

pub(in crate::aws) async fn list_objects(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let page = Page::read(&ask, "max-keys")?;
    let marker = page.part("marker")?;
    let (lines, more) = page.found(&cx, marker)?;
    let mut xml = Xml::answer("ListBucketResult");
    xml.text("Name", ask.bucket());
    page.echo(&mut xml, "MaxKeys")?;
    page.name(&mut xml, "Marker", marker);
    xml.put("IsTruncated", more);
    if let Some(last) = lines.last().filter(|_| more) {
        page.name(&mut xml, "NextMarker", last.name());
    }
    for object in objects(&lines) {
        xml.open("Contents");
        page.object(&mut xml, object);
        put_owner(&mut xml, &cx.app);
        xml.close();
    }
    page.prefixes(&mut xml, prefixes(&lines));
    Ok(document(xml))
}

pub(in crate::aws) async fn list_objects_v2(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let page = Page::read(&ask, "max-keys")?;
    let start = page.part("start-after")?;
    let token = ask.some_parameter("continuation-token");
    let after = match token {
        Some(token) => read_token(token)?,
        None => start.to_owned(),
    };
    let (lines, more) = page.found(&cx, &after)?;
    let mut xml = Xml::answer("ListBucketResult");
    xml.text("Name", ask.bucket());
    page.echo(&mut xml, "MaxKeys")?;
    page.name_if(&mut xml, "StartAfter", start);
    xml.put("KeyCount", lines.len());
    xml.put("IsTruncated", more);
    if let Some(token) = token {
        xml.text("ContinuationToken", token);
    }
    if let Some(last) = lines.last().filter(|_| more) {
        xml.text("NextContinuationToken", &URL_SAFE_NO_PAD.encode(last.name()));
    }
    let with_owner = ask.some_parameter("fetch-owner") == Some("true");
    for object in objects(&lines) {
        xml.open("Contents");
        page.object(&mut xml, object);
        if with_owner {
            put_owner(&mut xml, &cx.app);
        }
        xml.close();
    }
    page.prefixes(&mut xml, prefixes(&lines));
    Ok(document(xml))
}

fn read_token(token: &str) -> Result<String, S3Error> {
    let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.filter(|name| name.len() <= KEY_BYTES_MAX).ok_or_else(|| {
        S3Error::argument("continuation-token", token, "The continuation token provided is incorrect")
    })
}

/// Each object has one version, which has no id.
pub(in crate::aws) async fn list_object_versions(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let page = Page::read(&ask, "max-keys")?;
    let marker = page.part("key-marker")?;
    let (lines, more) = page.found(&cx, marker)?;
    let mut xml = Xml::answer("ListVersionsResult");
    xml.text("Name", ask.bucket());
    page.echo(&mut xml, "MaxKeys")?;
    page.name(&mut xml, "KeyMarker", marker);
    xml.text("VersionIdMarker", ask.some_parameter("version-id-marker").unwrap_or_default());
    xml.put("IsTruncated", more);
    if let Some(last) = lines.last().filter(|_| more) {
        page.name(&mut xml, "NextKeyMarker", last.name());
        xml.text("NextVersionIdMarker", "null");
    }
    for object in objects(&lines) {
        xml.open("Version");
        page.object(&mut xml, object);
        xml.text("VersionId", "null");
        xml.put("IsLatest", true);
        put_owner(&mut xml, &cx.app);
        xml.close();
    }
    page.prefixes(&mut xml, prefixes(&lines));
    Ok(document(xml))
}
