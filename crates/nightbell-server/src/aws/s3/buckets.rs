/*!
Buckets: made, found, removed.
*/

use axum::response::Response;
use http::StatusCode;

use super::tagging;
use super::xml::{Node, Xml};
use super::{Ask, S3Error, document, empty, put_owner, set};
use crate::auth::is_region;
use crate::aws::Cx;
use crate::manage::buckets::{self, BucketRecord, PublicAccess, check_name};
use crate::manage::tags::Tags;

/// Buckets of one page ("ListBuckets").
const BUCKETS_PAGE_MAX: u32 = 10_000;
/// The region whose buckets have no location.
const NAMELESS_REGION: &str = "us-east-1";

pub(in crate::aws) async fn create_bucket(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    let name = ask.bucket().to_owned();
    for (header, wanted) in [
        ("x-amz-acl", "private"),
        ("x-amz-object-ownership", "BucketOwnerEnforced"),
        ("x-amz-bucket-object-lock-enabled", "false"),
    ] {
        if let Some(given) = ask.header(header)?.filter(|given| !given.eq_ignore_ascii_case(wanted)) {
            return Err(S3Error::not_implemented(format_args!("{header}: {given}")));
        }
    }
    if let Some(grant) = ask.headers.keys().find(|name| name.as_str().starts_with("x-amz-grant-")) {
        return Err(S3Error::not_implemented(grant));
    }
    let body = ask.body.document().await?;
    let configuration =
        if body.is_empty() { None } else { Some(Node::read(&body, "CreateBucketConfiguration")?) };
    let location = configuration.as_ref().and_then(|given| given.text_of("LocationConstraint"));
    let tags = match configuration.as_ref().and_then(|given| given.child("Tags")) {
        Some(tags) => tagging::read_set(tags)?,
        None => Tags::new(),
    };
    create(&cx, &name, location.filter(|location| !location.is_empty()), tags)?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "location", &format!("/{name}"));
    Ok(response)
}

/// Makes a bucket in a region, or in that of the request.
pub(in crate::aws) fn create(cx: &Cx, name: &str, region: Option<&str>, tags: Tags) -> Result<(), S3Error> {
    check_name(name).map_err(|rule| {
        let text = format!("The specified bucket is not valid: {rule}");
        S3Error::new(400, "InvalidBucketName", text).with("BucketName", name)
    })?;
    let region = region.unwrap_or(&cx.region);
    if !is_region(region) {
        let text = "The specified location-constraint is not valid";
        return Err(S3Error::new(400, "InvalidLocationConstraint", text));
    }
    let bucket = BucketRecord {
        name: name.to_owned(),
        region: region.to_owned(),
        created: cx.now,
        tags,
        policy: None,
        public_access: Some(PublicAccess::ALL),
    };
    Ok(tokio::task::block_in_place(|| buckets::create(&cx.app.buckets, &cx.app.records, &bucket))?)
}

pub(in crate::aws) async fn head_bucket(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let bucket = buckets::find(&cx.app.records, ask.bucket())?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "x-amz-access-point-alias", "false");
    set(&mut response, "x-amz-bucket-arn", &buckets::arn(&bucket.name));
    Ok(response)
}

pub(in crate::aws) async fn delete_bucket(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    delete(&cx, ask.bucket())?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Removes a bucket.
pub(in crate::aws) fn delete(cx: &Cx, name: &str) -> Result<(), S3Error> {
    Ok(tokio::task::block_in_place(|| buckets::remove(&cx.app.buckets, &cx.app.records, name))?)
}

pub(in crate::aws) async fn list_buckets(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let most = ask.number("max-buckets", BUCKETS_PAGE_MAX)?.unwrap_or(BUCKETS_PAGE_MAX) as usize;
    let prefix = ask.some_parameter("prefix").unwrap_or_default();
    let region = ask.some_parameter("bucket-region");
    let after = ask.some_parameter("continuation-token").unwrap_or_default();
    let mut xml = Xml::answer("ListAllMyBucketsResult");
    put_owner(&mut xml, &cx.app);
    xml.open("Buckets");
    let mut last = None;
    let mut more = false;
    let found = buckets::all(&cx.app.records)?.into_iter().filter(|bucket| {
        bucket.name.starts_with(prefix)
            && region.is_none_or(|region| region == bucket.region)
            && *bucket.name > *after
    });
    for (at, bucket) in found.enumerate() {
        if at >= most {
            more = true;
            break;
        }
        xml.open("Bucket");
        xml.text("Name", &bucket.name);
        xml.put("CreationDate", bucket.created);
        xml.text("BucketRegion", &bucket.region);
        xml.close();
        last = Some(bucket.name);
    }
    xml.close();
    if !prefix.is_empty() {
        xml.text("Prefix", prefix);
    }
    if let Some(last) = last.filter(|_| more) {
        xml.text("ContinuationToken", &last);
    }
    Ok(document(xml))
}

pub(in crate::aws) async fn get_bucket_location(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let bucket = buckets::find(&cx.app.records, ask.bucket())?;
    let region = if bucket.region == NAMELESS_REGION { "" } else { &bucket.region };
    // The one document whose first element holds the text itself.
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"{}\">",
        super::xml::XMLNS
    );
    nightbell_wire::escape_xml(&mut body, region);
    body.push_str("</LocationConstraint>");
    let mut response = Response::new(body.into());
    set(&mut response, "content-type", "application/xml");
    Ok(response)
}
