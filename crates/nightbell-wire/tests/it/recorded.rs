/*!
Reads the fixtures that `record.py` and `clients.py` of `tests/recorded` wrote.
*/

use base64::Engine as _;
use http::request::Parts;
use serde::Deserialize;

/// The instant at which `requests.json` was recorded: 2026-01-05T10:20:30Z.
pub(crate) const REQUESTS_NOW: i64 = 1_767_608_430_000;
/// The instant of `signatures.json`: 2015-08-30T12:36:00Z.
pub(crate) const SIGNATURES_NOW: i64 = 1_440_938_160_000;
/// The published example secret that both are signed with.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// One recorded request.
#[derive(Deserialize, Clone)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    #[serde(rename = "body")]
    pub(crate) body_base64: String,
}

impl Recorded {
    pub(crate) fn body(&self) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(&self.body_base64).unwrap()
    }

    pub(crate) fn parts(&self) -> Parts {
        let mut request = http::Request::builder().method(&*self.method).uri(&*self.uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }
}

pub(crate) fn requests() -> Vec<Recorded> {
    serde_json::from_str(include_str!("../recorded/requests.json")).unwrap()
}

pub(crate) fn signatures() -> Vec<Recorded> {
    serde_json::from_str(include_str!("../recorded/signatures.json")).unwrap()
}

/// What the AWS SDKs for JavaScript and Terraform's provider sent. Each was signed at the time it names itself.
pub(crate) fn clients() -> Vec<Recorded> {
    serde_json::from_str(include_str!("../recorded/clients.json")).unwrap()
}
