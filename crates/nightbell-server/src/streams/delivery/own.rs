/*!
Objects in buckets of our own: put as any client puts them, in the role of the stream, judged by its policies.
*/

use std::sync::Arc;

use super::super::plan::Objects;
use super::Shipment;
use crate::app::App;
use crate::auth::Principal;
use crate::aws::Cx;
use crate::aws::s3::objects::put_whole;
use crate::manage::iam::IamError;
use crate::{clock, keys};

/// Whom a role must trust.
const SERVICE: &str = "firehose.amazonaws.com";

/// Puts an object.
///
/// # Errors
/// Where the role cannot be assumed or may not put it, or the disk refuses.
pub(super) async fn put(
    app: &Arc<App>,
    objects: &Objects,
    shipment: &Shipment,
    key: &str,
    body: Vec<u8>,
) -> Result<(), String> {
    let now = clock::now();
    let session =
        keys::role_session(app, SERVICE, &objects.role, &shipment.name, now).map_err(
            |error| match error {
                IamError::Denied(text) => text,
                IamError::Store(failure) => failure.to_string(),
                _ => format!("the role {} is not there", objects.role),
            },
        )?;
    let caller = Principal::AssumedRole { session: Arc::new(session), from: None };
    let cx = Cx { app: Arc::clone(app), region: shipment.region.clone(), now, caller };
    let content_type = "application/octet-stream";
    put_whole(&cx, &objects.bucket, key, body, content_type).await.map_err(|error| error.to_string())
}
