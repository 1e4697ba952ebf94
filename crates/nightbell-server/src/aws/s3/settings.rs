/*!
What is set for a bucket: its policy, its switches against public access, and for all that is not served the answer that it is not set,
which whoever manages buckets asks for each time.
*/

use axum::response::Response;
use http::StatusCode;
use nightbell_core::policy::{Policy, PolicyKind};

use super::xml::{Node, Xml};
use super::{Ask, S3Error, document, empty, owner, put_owner, set};
use crate::aws::Cx;
use crate::manage::buckets::{self, BUCKET_POLICY_BYTES_MAX, BucketRecord, PublicAccess};

/// Looks whether the bucket is there.
fn found(cx: &Cx, ask: &Ask) -> Result<BucketRecord, S3Error> {
    Ok(buckets::find(&cx.app.records, ask.bucket())?)
}

fn change(cx: &Cx, ask: &Ask, alter: impl FnOnce(&mut BucketRecord)) -> Result<(), S3Error> {
    let (app, name) = (&cx.app, ask.bucket());
    Ok(tokio::task::block_in_place(|| buckets::set(&app.buckets, &app.records, name, alter))?)
}

/// The answer of what is not set.
fn unset(cx: &Cx, ask: &Ask, code: &'static str, text: &'static str) -> Result<Response, S3Error> {
    let bucket = found(cx, ask)?;
    Err(S3Error::new(404, code, text).with("BucketName", bucket.name))
}

/// The answer of what has its first value.
fn plain(cx: &Cx, ask: &Ask, root: &'static str) -> Result<Response, S3Error> {
    found(cx, ask)?;
    Ok(document(Xml::answer(root)))
}

pub(in crate::aws) async fn get_bucket_cors(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    unset(&cx, &ask, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
}

pub(in crate::aws) async fn get_bucket_website(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    unset(
        &cx,
        &ask,
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    )
}

pub(in crate::aws) async fn get_bucket_lifecycle_configuration(
    cx: Cx,
    ask: Ask,
) -> Result<Response, S3Error> {
    unset(&cx, &ask, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
}

pub(in crate::aws) async fn get_bucket_replication(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let text = "The replication configuration was not found";
    unset(&cx, &ask, "ReplicationConfigurationNotFoundError", text)
}

pub(in crate::aws) async fn get_bucket_encryption(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let text = "The server side encryption configuration was not found";
    unset(&cx, &ask, "ServerSideEncryptionConfigurationNotFoundError", text)
}

pub(in crate::aws) async fn get_object_lock_configuration(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let text = "Object Lock configuration does not exist for this bucket";
    unset(&cx, &ask, "ObjectLockConfigurationNotFoundError", text)
}

pub(in crate::aws) async fn get_bucket_versioning(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    plain(&cx, &ask, "VersioningConfiguration")
}

pub(in crate::aws) async fn get_bucket_accelerate_configuration(
    cx: Cx,
    ask: Ask,
) -> Result<Response, S3Error> {
    plain(&cx, &ask, "AccelerateConfiguration")
}

pub(in crate::aws) async fn get_bucket_logging(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    plain(&cx, &ask, "BucketLoggingStatus")
}

pub(in crate::aws) async fn get_bucket_notification(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    plain(&cx, &ask, "NotificationConfiguration")
}

pub(in crate::aws) async fn get_bucket_request_payment(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    found(&cx, &ask)?;
    let mut xml = Xml::answer("RequestPaymentConfiguration");
    xml.text("Payer", "BucketOwner");
    Ok(document(xml))
}

pub(in crate::aws) async fn get_bucket_acl(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    found(&cx, &ask)?;
    Ok(acl(&cx))
}

/// The list that all buckets and objects have: the account may do everything.
pub(super) fn acl(cx: &Cx) -> Response {
    let mut xml = Xml::answer("AccessControlPolicy");
    put_owner(&mut xml, &cx.app);
    xml.open("AccessControlList");
    xml.open("Grant");
    xml.open_as(
        "Grantee",
        "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"",
    );
    xml.text("ID", &owner(&cx.app));
    xml.text("DisplayName", &cx.app.account);
    xml.close();
    xml.text("Permission", "FULL_CONTROL");
    document(xml)
}

/// Lists of who may what are not served, as for every new bucket at AWS; the list that all have may be put again.
pub(in crate::aws) async fn put_bucket_acl(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    found(&cx, &ask)?;
    only_own(&ask)
}

/// Accepts the lists that say what holds anyway.
pub(super) fn only_own(ask: &Ask) -> Result<Response, S3Error> {
    match ask.header("x-amz-acl")? {
        Some("private" | "bucket-owner-full-control") => Ok(empty(StatusCode::OK)),
        _ => Err(S3Error::new(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")),
    }
}

pub(in crate::aws) async fn get_bucket_ownership_controls(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    found(&cx, &ask)?;
    let mut xml = Xml::answer("OwnershipControls");
    xml.open("Rule");
    xml.text("ObjectOwnership", "BucketOwnerEnforced");
    Ok(document(xml))
}

pub(in crate::aws) async fn put_bucket_ownership_controls(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    let given = Node::read(&ask.body.document().await?, "OwnershipControls")?;
    found(&cx, &ask)?;
    match given.child("Rule").and_then(|rule| rule.text_of("ObjectOwnership")) {
        Some("BucketOwnerEnforced") => Ok(empty(StatusCode::OK)),
        other => Err(S3Error::not_implemented(format_args!("ObjectOwnership {}", other.unwrap_or_default()))),
    }
}

pub(in crate::aws) async fn get_public_access_block(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let Some(switches) = found(&cx, &ask)?.public_access else {
        let text = "The public access block configuration was not found";
        return unset(&cx, &ask, "NoSuchPublicAccessBlockConfiguration", text);
    };
    let mut xml = Xml::answer("PublicAccessBlockConfiguration");
    xml.put("BlockPublicAcls", switches.block_public_acls);
    xml.put("IgnorePublicAcls", switches.ignore_public_acls);
    xml.put("BlockPublicPolicy", switches.block_public_policy);
    xml.put("RestrictPublicBuckets", switches.restrict_public_buckets);
    Ok(document(xml))
}

pub(in crate::aws) async fn put_public_access_block(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    let given = Node::read(&ask.body.document().await?, "PublicAccessBlockConfiguration")?;
    let switch = |name: &str| match given.text_of(name).map(str::trim) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(S3Error::malformed(&format!("{name} is neither true nor false"))),
    };
    let switches = PublicAccess {
        block_public_acls: switch("BlockPublicAcls")?,
        ignore_public_acls: switch("IgnorePublicAcls")?,
        block_public_policy: switch("BlockPublicPolicy")?,
        restrict_public_buckets: switch("RestrictPublicBuckets")?,
    };
    change(&cx, &ask, |bucket| bucket.public_access = Some(switches))?;
    Ok(empty(StatusCode::OK))
}

pub(in crate::aws) async fn delete_public_access_block(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    change(&cx, &ask, |bucket| bucket.public_access = None)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(in crate::aws) async fn get_bucket_policy(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let Some(policy) = found(&cx, &ask)?.policy else {
        return unset(&cx, &ask, "NoSuchBucketPolicy", "The bucket policy does not exist");
    };
    let mut response = Response::new(policy.into());
    set(&mut response, "content-type", "application/json");
    Ok(response)
}

/// Nobody is let in without a signature, whatever a policy says.
pub(in crate::aws) async fn get_bucket_policy_status(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    if found(&cx, &ask)?.policy.is_none() {
        return unset(&cx, &ask, "NoSuchBucketPolicy", "The bucket policy does not exist");
    }
    let mut xml = Xml::answer("PolicyStatus");
    xml.put("IsPublic", false);
    Ok(document(xml))
}

pub(in crate::aws) async fn put_bucket_policy(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    let body = ask.body.document().await?;
    let malformed = |text: String| S3Error::new(400, "MalformedPolicy", text);
    if body.len() > BUCKET_POLICY_BYTES_MAX {
        let text = format!("The policy has {} bytes; the limit is {BUCKET_POLICY_BYTES_MAX}", body.len());
        return Err(malformed(text));
    }
    let policy = String::from_utf8(body.to_vec()).map_err(|_| malformed("It is not UTF-8".to_owned()))?;
    Policy::parse(&policy, PolicyKind::Resource).map_err(|error| malformed(error.to_string()))?;
    change(&cx, &ask, |bucket| bucket.policy = Some(policy))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(in crate::aws) async fn delete_bucket_policy(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    change(&cx, &ask, |bucket| bucket.policy = None)?;
    Ok(empty(StatusCode::NO_CONTENT))
}
