/*!
The few pages that people see in a browser: the welcome, and what follows a link of a mail.
*/

use axum::response::{Html, IntoResponse, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, StatusCode};

/// Whether the one who asks reads pages rather than XML.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// What stands at the root.
pub(crate) fn welcome() -> Response {
    page(
        StatusCode::OK,
        "Nightbell is listening",
        "Point AWS clients at this address: run <code>nightbell env</code> for the settings. \
         Health is at <a href=\"/healthz\">/healthz</a>, counters at <a href=\"/metrics\">/metrics</a>.",
    )
}

/// What is shown after a link of a mail was followed.
pub(crate) fn after_link(operation: &str, status: StatusCode) -> Response {
    let (title, text) = match (operation, status.is_success()) {
        ("ConfirmSubscription", true) => (
            "Subscription confirmed",
            "You will get the messages of this topic by mail. Each one has a link to unsubscribe.",
        ),
        ("Unsubscribe", true) => ("Unsubscribed", "You will get no more messages of this topic."),
        ("ConfirmVerification", true) => (
            "Address verified",
            "Mail may now be sent in the name of this address by the programs that use this server.",
        ),
        ("ConfirmVerification", false) => (
            "This link does not work any more",
            "It may be older than a day, or the address was taken out. Ask for a new verification.",
        ),
        ("ConfirmSubscription", false) => (
            "This link does not work any more",
            "It may be older than three days, or the topic is gone. Ask for a new subscription.",
        ),
        _ => ("That did not work", "The subscription is not known, or it may only be ended by its owner."),
    };
    page(status, title, text)
}

/// Asks whether the link of a mail was meant; the button sends the same address as POST.
pub(crate) fn ask(operation: &str) -> Response {
    let (title, text, button) = match operation {
        "Unsubscribe" => ("Unsubscribe?", "You will get no more messages of this topic.", "Unsubscribe"),
        "ConfirmVerification" => (
            "Verify this address?",
            "Programs that use this server may then send mail in its name.",
            "Verify",
        ),
        _ => ("Confirm the subscription?", "You will get the messages of this topic by mail.", "Confirm"),
    };
    page(
        StatusCode::OK,
        title,
        &format!("{text}</p><form method=\"post\"><button>{button}</button></form><p>"),
    )
}

/// `title` and `text` are ours; nothing from outside goes into a page.
fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem}}\
         h1{{font-size:1.5rem}}</style></head><body><h1>{title}</h1><p>{text}</p></body></html>"
    );
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}
