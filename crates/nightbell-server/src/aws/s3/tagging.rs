/*!
Tags of buckets and objects, which are always set all at once.
*/

use axum::response::Response;
use http::StatusCode;
use nightbell_wire::percent;

use super::xml::{Node, Xml};
use super::{Ask, S3Error, document, empty};
use crate::aws::Cx;
use crate::manage::buckets::{self, objects};
use crate::manage::tags::{self, Tags};

/// Tags of an object ("Categorizing your storage using tags", Amazon S3 User Guide).
pub(crate) const OBJECT_TAGS_MAX: usize = 10;

/// The tags of a `TagSet`.
pub(super) fn read_set(set: &Node) -> Result<Tags, S3Error> {
    let mut tags = Tags::new();
    for tag in set.children("Tag") {
        let (key, value) = (tag.need("Key")?, tag.need("Value")?);
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(S3Error::new(400, "InvalidTag", "Cannot provide multiple Tags with the same key"));
        }
    }
    tags::check(&tags)?;
    Ok(tags)
}

async fn read(ask: &mut Ask) -> Result<Tags, S3Error> {
    let given = Node::read(&ask.body.document().await?, "Tagging")?;
    let set = given.child("TagSet").ok_or_else(|| S3Error::malformed("TagSet is missing in Tagging"))?;
    read_set(set)
}

/// The tags of the header `x-amz-tagging`: a form.
pub(super) fn of_form(form: &str) -> Result<Tags, S3Error> {
    let wrong = || {
        let text = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.";
        S3Error::argument("x-amz-tagging", form, text)
    };
    let text = |part: &str| {
        percent::decode(part).and_then(|bytes| String::from_utf8(bytes.into_owned()).ok()).ok_or_else(wrong)
    };
    let mut tags = Tags::new();
    for pair in form.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if tags.insert(text(key)?, text(value)?).is_some() {
            return Err(wrong());
        }
    }
    check_object(tags)
}

/// Refuses what no object may have.
fn check_object(tags: Tags) -> Result<Tags, S3Error> {
    if tags.len() > OBJECT_TAGS_MAX {
        let text = format!("Object tags cannot be greater than {OBJECT_TAGS_MAX}");
        return Err(S3Error::new(400, "BadRequest", text));
    }
    tags::check(&tags)?;
    Ok(tags)
}

fn shown(tags: &Tags) -> Response {
    let mut xml = Xml::answer("Tagging");
    xml.open("TagSet");
    for (key, value) in tags {
        xml.open("Tag");
        xml.text("Key", key);
        xml.text("Value", value);
        xml.close();
    }
    document(xml)
}

pub(in crate::aws) async fn get_bucket_tagging(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    let bucket = buckets::find(&cx.app.records, ask.bucket())?;
    if bucket.tags.is_empty() {
        return Err(
            S3Error::new(404, "NoSuchTagSet", "The TagSet does not exist").with("BucketName", bucket.name)
        );
    }
    Ok(shown(&bucket.tags))
}

pub(in crate::aws) async fn put_bucket_tagging(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    let tags = read(&mut ask).await?;
    set_bucket(&cx, ask.bucket(), tags)
}

pub(in crate::aws) async fn delete_bucket_tagging(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    set_bucket(&cx, ask.bucket(), Tags::new())
}

fn set_bucket(cx: &Cx, name: &str, tags: Tags) -> Result<Response, S3Error> {
    let app = &cx.app;
    let set = || buckets::set(&app.buckets, &app.records, name, |bucket| bucket.tags = tags);
    tokio::task::block_in_place(set)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(in crate::aws) async fn get_object_tagging(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    ask.only_version()?;
    Ok(shown(&objects::get(&cx.app.records, ask.bucket(), ask.key())?.described.tags))
}

pub(in crate::aws) async fn put_object_tagging(cx: Cx, mut ask: Ask) -> Result<Response, S3Error> {
    ask.only_version()?;
    let tags = check_object(read(&mut ask).await?)?;
    set_object(&cx, &ask, tags)?;
    Ok(empty(StatusCode::OK))
}

pub(in crate::aws) async fn delete_object_tagging(cx: Cx, ask: Ask) -> Result<Response, S3Error> {
    ask.only_version()?;
    set_object(&cx, &ask, Tags::new())?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn set_object(cx: &Cx, ask: &Ask, tags: Tags) -> Result<(), S3Error> {
    let app = &cx.app;
    let set = || {
        objects::describe(&app.buckets, &app.records, ask.bucket(), ask.key(), |object| {
            object.described.tags = tags;
        })
    };
    Ok(tokio::task::block_in_place(set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_a_header() {
        let tags = of_form("a=1&b=x%20y+z&c").unwrap();
        assert_eq!(tags["b"], "x y z");
        assert_eq!(tags["c"], "");
        for wrong in ["a=1&a=2", "a=%zz", "=1", "a=1&b&c&d&e&f&g&h&i&j&k"] {
            assert!(of_form(wrong).is_err(), "{wrong}");
        }
    }
}
