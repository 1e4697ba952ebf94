/*!
restJson1's requests: method and path name the operation, and its members stand in path, parameters, headers and body.

A service hands in a table of [`Route`]s; this file knows no operation. What [`read`] takes off the address and the headers waits in the
[`Call`] until [`crate::decode`] reads it together with the body (`input`). Paths are compared as they were signed: what a signature
cleans away (`.`, `..`, empty segments) leads nowhere here.
*/

use crate::call::{Call, CallError, CallErrorKind, Protocol};
use crate::percent;
use http::{HeaderMap, Method, StatusCode, Uri};
use std::borrow::Cow;

mod input;

pub(crate) use input::decode;

/// How many parameters an address may have.
pub const REST_PARAMETERS_MAX: usize = 1_000;

/// Where one operation is asked for, and which of its members stand outside the body.
///
/// Parameters of the address are members of the same name unless `query` says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path; `{Member}` stands for one segment, which is that member's value. A slash at the end makes no difference.
    pub path: &'static str,
    /// The operation's name.
    pub operation: &'static str,
    /// The status of an answer that is no error.
    pub status: StatusCode,
    /// Parameters whose name is not their member's: (parameter, member).
    pub query: &'static [(&'static str, &'static str)],
    /// Headers that hold members: (header, member).
    pub headers: &'static [(&'static str, &'static str)],
    /// The member that the body is as it stands; without it the body is a JSON object of members.
    pub payload: Option<&'static str>,
}

impl Route {
    /// An operation that answers with 200 and has no members in headers; the rest by struct update.
    pub const fn new(method: &'static str, path: &'static str, operation: &'static str) -> Route {
        Route { method, path, operation, status: StatusCode::OK, query: &[], headers: &[], payload: None }
    }
}

/// A member's name and its values: one, or several where a parameter is repeated.
pub(crate) type Member = (Cow<'static, str>, Vec<String>);

/// The members of a call that stand outside its body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outside {
    /// In the order of path, parameters, headers.
    members: Vec<Member>,
    /// The member that the body is.
    payload: Option<&'static str>,
}

/// Finds the operation that method and path ask for: the first line of the table that fits.
///
/// # Errors
/// Where no line fits, or the address is not percent-encoded UTF-8 or has more than [`REST_PARAMETERS_MAX`] parameters.
pub fn read(table: &[Route], method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Call, CallError> {
    let error = |kind, message| CallError { kind, protocol: Protocol::RestJson, message };
    let lines = table.iter().filter(|route| route.method == method.as_str());
    let mut found = lines.filter_map(|route| Some((route, labels(route.path, uri.path())?)));
    let Some((route, mut members)) = found.next() else {
        return Err(error(CallErrorKind::NoOperation, "No operation is served at this method and path."));
    };
    if !parameters(route, uri.query().unwrap_or_default(), &mut members)? {
        return Err(error(CallErrorKind::BadForm, "The address is not percent-encoded UTF-8."));
    }
    for (name, member) in route.headers {
        if let Some(value) = headers.get(*name).and_then(|value| value.to_str().ok()) {
            members.push((Cow::Borrowed(member), vec![value.to_owned()]));
        }
    }
    let mut call = Call::new(Protocol::RestJson, String::new(), route.operation.to_owned());
    call.status = route.status;
    call.outside = Outside { members, payload: route.payload };
    Ok(call)
}

/// The members in the path; nothing where it is not of the template's form.
fn labels(template: &'static str, path: &str) -> Option<Vec<Member>> {
    let segments = |text: &'static str| text.trim_end_matches('/').split('/');
    let mut sent = path.strip_suffix('/').unwrap_or(path).split('/');
    let mut members = Vec::new();
    for expected in segments(template) {
        let segment = sent.next()?;
        match expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            None if expected == segment => {}
            None => return None,
            Some(_) if matches!(segment, "" | "." | "..") => return None,
            Some(member) => {
                let value = String::from_utf8(percent::decode_path(segment)?.into_owned()).ok()?;
                members.push((Cow::Borrowed(member), vec![value]));
            }
        }
    }
    sent.next().is_none().then_some(members)
}

/// Adds the members in the address's parameters; `false` where these cannot be read.
fn parameters(route: &Route, query: &str, members: &mut Vec<Member>) -> Result<bool, CallError> {
    let in_path = members.len();
    for (index, piece) in query.split('&').filter(|piece| !piece.is_empty()).enumerate() {
        if index == REST_PARAMETERS_MAX {
            let (kind, protocol) = (CallErrorKind::BadForm, Protocol::RestJson);
            return Err(CallError { kind, protocol, message: "The address has more than 1000 parameters." });
        }
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let text = |text| String::from_utf8(percent::decode(text)?.into_owned()).ok();
        let (Some(name), Some(value)) = (text(name), text(value)) else { return Ok(false) };
        let renamed = route.query.iter().find(|(parameter, _)| *parameter == name);
        let member = renamed.map_or(Cow::Owned(name), |(_, member)| Cow::Borrowed(*member));
        // A member of the path stays apart: given twice, it is refused when it is decoded.
        match members[in_path..].iter_mut().find(|(known, _)| *known == member) {
            Some((_, values)) => values.push(value),
            None => members.push((member, vec![value])),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
