/*!
What a request says of an object beside its content: headers and metadata to keep, and what is refused because it is not served.
*/

use std::collections::BTreeMap;

use axum::response::Response;
use http::HeaderMap;

use super::{S3Error, set, tagging, text_of};
use crate::manage::buckets::objects::Described;

/// Bytes of names and values of an object's metadata ("Working with object metadata", Amazon S3 User Guide).
pub(crate) const METADATA_BYTES_MAX: usize = 2 * 1_024;
/// Bytes of the headers of an object that go with each answer.
pub(crate) const HEADERS_BYTES_MAX: usize = 8 * 1_024;
/// What comes before a name of metadata.
const METADATA: &str = "x-amz-meta-";
/// Headers that are kept, besides the type of the content.
const KEPT: [&str; 4] = ["cache-control", "content-disposition", "content-language", "expires"];
/// The type of a content of which nothing is said.
const TYPE_DEFAULT: &str = "binary/octet-stream";

/// What the headers of a request say of an object.
pub(super) fn read(headers: &HeaderMap) -> Result<Described, S3Error> {
    refuse_what_is_not_served(headers)?;
    let mut kept = BTreeMap::new();
    let given = text_of(headers, "content-type")?.unwrap_or(TYPE_DEFAULT);
    kept.insert("content-type".to_owned(), given.to_owned());
    for name in KEPT {
        if let Some(value) = text_of(headers, name)? {
            kept.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(encoding) = text_of(headers, "content-encoding")? {
        // This one is of the way here, not of the content.
        let parts =
            encoding.split(',').map(str::trim).filter(|part| !part.eq_ignore_ascii_case("aws-chunked"));
        let rest = parts.collect::<Vec<_>>().join(", ");
        if !rest.is_empty() {
            kept.insert("content-encoding".to_owned(), rest);
        }
    }
    let bytes_of = |map: &BTreeMap<String, String>| map.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
    if bytes_of(&kept) > HEADERS_BYTES_MAX {
        let text = format!("The headers of an object have at most {HEADERS_BYTES_MAX} bytes");
        return Err(S3Error::new(400, "MetadataTooLarge", text));
    }
    let mut metadata = BTreeMap::new();
    for name in headers.keys() {
        if let Some(rest) = name.as_str().strip_prefix(METADATA) {
            let values: Result<Vec<&str>, S3Error> = headers
                .get_all(name)
                .iter()
                .map(|value| {
                    let wrong =
                        || S3Error::argument(name.as_str(), "", "Metadata has letters that are not ASCII");
                    value.to_str().map_err(|_| wrong())
                })
                .collect();
            metadata.insert(rest.to_owned(), values?.join(","));
        }
    }
    let bytes = bytes_of(&metadata);
    if bytes > METADATA_BYTES_MAX {
        let text = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(S3Error::new(400, "MetadataTooLarge", text)
            .with("Size", bytes.to_string())
            .with("MaxSizeAllowed", METADATA_BYTES_MAX.to_string()));
    }
    let tags = text_of(headers, "x-amz-tagging")?.map(tagging::of_form).transpose()?.unwrap_or_default();
    Ok(Described { headers: kept, metadata, tags })
}

/// Refuses headers that ask for what is not served, rather than reading them over.
fn refuse_what_is_not_served(headers: &HeaderMap) -> Result<(), S3Error> {
    let not_served = ["x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-grant-"];
    let others = ["x-amz-website-redirect-location", "x-amz-write-offset-bytes"];
    for name in headers.keys().map(http::HeaderName::as_str) {
        if not_served.iter().any(|start| name.starts_with(start)) || others.contains(&name) {
            return Err(S3Error::not_implemented(format_args!("The header {name}")));
        }
    }
    if let Some(list) = text_of(headers, "x-amz-acl")?
        && !matches!(list, "private" | "bucket-owner-full-control")
    {
        return Err(S3Error::new(400, "AccessControlListNotSupported", "The bucket does not allow ACLs"));
    }
    match text_of(headers, "x-amz-storage-class")? {
        None | Some("STANDARD") => Ok(()),
        Some(class) => {
            let text = "The storage class you specified is not valid: this version has STANDARD";
            Err(S3Error::new(400, "InvalidStorageClass", text).with("StorageClassRequested", class))
        }
    }
}

/// Says the same in an answer.
pub(super) fn show(described: &Described, response: &mut Response) {
    for (name, value) in &described.headers {
        set(response, name, value);
    }
    for (name, value) in &described.metadata {
        set(response, &format!("{METADATA}{name}"), value);
    }
    if !described.tags.is_empty() {
        set(response, "x-amz-tagging-count", &described.tags.len().to_string());
    }
}
