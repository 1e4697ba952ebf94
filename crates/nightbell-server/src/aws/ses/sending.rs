/*!
Sending mail, and what was sent: SES version 1.
*/

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::message::{Destination, Message, MessageId, RawMessage, Sending};
use super::{need, no};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::aws::service::Service;
use crate::manage::posts;

const SES: Service = Service::Ses;
/// What a quota says that there is none ("GetSendQuota").
pub(super) const UNLIMITED: f64 = -1.0;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct SendEmailRequest {
    source: Option<String>,
    destination: Option<Destination>,
    message: Option<Message>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    reply_to_addresses: Vec<String>,
    return_path: Option<String>,
    configuration_set_name: Option<String>,
}

pub(in crate::aws) async fn send_email(cx: Cx, request: SendEmailRequest) -> Result<MessageId, ApiError> {
    let message = need(SES, request.message, "message")?;
    let sending = Sending {
        service: SES,
        source: request.source,
        destination: need(SES, request.destination, "destination")?,
        reply_to: request.reply_to_addresses,
        return_path: request.return_path,
        configuration_set: request.configuration_set_name,
    };
    sending.message(&cx, message)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct SendRawEmailRequest {
    source: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    destinations: Vec<String>,
    raw_message: Option<RawMessage>,
    configuration_set_name: Option<String>,
}

pub(in crate::aws) async fn send_raw_email(
    cx: Cx,
    request: SendRawEmailRequest,
) -> Result<MessageId, ApiError> {
    let raw = need(SES, request.raw_message, "rawMessage")?;
    let sending = Sending {
        service: SES,
        source: request.source,
        destination: Destination::of(request.destinations),
        reply_to: Vec::new(),
        return_path: None,
        configuration_set: request.configuration_set_name,
    };
    sending.raw(&cx, raw)
}

#[derive(Deserialize)]
pub(in crate::aws) struct NothingAsked {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct SendQuota {
    #[serde(rename = "Max24HourSend")]
    max_24_hour_send: f64,
    max_send_rate: f64,
    #[serde(rename = "SentLast24Hours")]
    sent_last_24_hours: f64,
}

impl SendQuota {
    /// What was sent in the request's region.
    pub(super) fn of(cx: &Cx, service: Service) -> Result<Self, ApiError> {
        let sent = posts::sent_in_a_day(&cx.app.records, &cx.region, cx.now)
            .map_err(|failure| no(service, failure.into()))?;
        Ok(Self { max_24_hour_send: UNLIMITED, max_send_rate: UNLIMITED, sent_last_24_hours: sent as f64 })
    }
}

pub(in crate::aws) async fn get_send_quota(cx: Cx, _request: NothingAsked) -> Result<SendQuota, ApiError> {
    SendQuota::of(&cx, SES)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct SendStatistics {
    send_data_points: Vec<SendDataPoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendDataPoint {
    timestamp: Time,
    delivery_attempts: u64,
    bounces: u64,
    complaints: u64,
    rejects: u64,
}

pub(in crate::aws) async fn get_send_statistics(
    cx: Cx,
    _request: NothingAsked,
) -> Result<SendStatistics, ApiError> {
    let sent =
        posts::statistics(&cx.app.records, &cx.region, cx.now).map_err(|failure| no(SES, failure.into()))?;
    let point = |sent: posts::Sent| SendDataPoint {
        timestamp: Time(sent.start.as_millis()),
        delivery_attempts: sent.attempts,
        bounces: sent.bounces,
        // Nobody complains here, and nothing is looked through for what would be rejected.
        complaints: 0,
        rejects: 0,
    };
    Ok(SendStatistics { send_data_points: sent.into_iter().map(point).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct AccountSendingEnabled {
    enabled: bool,
}

pub(in crate::aws) async fn get_account_sending_enabled(
    _cx: Cx,
    _request: NothingAsked,
) -> Result<AccountSendingEnabled, ApiError> {
    Ok(AccountSendingEnabled { enabled: true })
}
