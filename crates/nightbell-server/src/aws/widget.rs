/*!
GetMetricWidgetImage ("Amazon CloudWatch API Reference"): a picture of metrics, as a widget of a dashboard describes them.

`widget/source` reads the description; the values come from the code of GetMetricData; `nightbell_deliver::chart` draws.
*/

use nightbell_core::time::{SECOND_MS, Timestamp};
use nightbell_deliver::chart::{Curve, PALETTE, Plot};
use nightbell_wire::value::{Blob, Time};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::Cx;
use super::cloudwatch::{missing, validation};
use super::error::ApiError;
use super::metricdata::{self, GetMetricDataRequest, Worked};
use source::Widget;

mod source;

/// Bytes of a widget's description.
pub(super) const WIDGET_BYTES_MAX: usize = 65_536;
/// Pixels of a picture for each pixel asked for.
const SCALE: f32 = 1.0;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricWidgetImageRequest {
    metric_widget: Option<String>,
    output_format: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricWidgetImageResponse {
    metric_widget_image: Blob,
}

pub(super) async fn get_metric_widget_image(
    cx: Cx,
    request: GetMetricWidgetImageRequest,
) -> Result<GetMetricWidgetImageResponse, ApiError> {
    let text = request.metric_widget.ok_or_else(|| missing("MetricWidget"))?;
    if text.len() > WIDGET_BYTES_MAX {
        let text =
            format!("MetricWidget: {} bytes are more than the limit of {WIDGET_BYTES_MAX}", text.len());
        return Err(validation(text));
    }
    if !matches!(request.output_format.as_deref(), None | Some("png")) {
        return Err(validation("OutputFormat: only png is served by this version; leave it out"));
    }
    let widget = source::read(&cx, &text)?;
    let Ok(_turn) = cx.app.studies.acquire().await else {
        return Err(metricdata::stopping());
    };
    let worker = cx.clone();
    let work = tokio::task::spawn_blocking(move || draw(&worker, widget));
    let image = work.await.map_err(|_| metricdata::stopping())??;
    Ok(GetMetricWidgetImageResponse { metric_widget_image: Blob(image) })
}

/// The picture as PNG.
fn draw(cx: &Cx, widget: Widget) -> Result<Vec<u8>, ApiError> {
    let Widget { mut plot, queries, looks } = widget;
    if !queries.is_empty() {
        let request = GetMetricDataRequest::between(queries, time(plot.times.0), time(plot.times.1));
        plot.curves = curves(metricdata::worked(cx, request)?, &looks);
    }
    plot.png(SCALE).map_err(|error| {
        error!(%error, "a widget could not be drawn");
        ApiError::inside()
    })
}

fn time(at: Timestamp) -> Time {
    Time(at.as_millis())
}

/// The lines of what was worked out, each in the look of its entry. Of an entry with several lines only the first has a colour of its own.
fn curves(worked: Vec<Worked>, looks: &source::Looks) -> Vec<Curve> {
    let mut coloured: Vec<String> = Vec::new();
    let mut lines = Vec::with_capacity(worked.len());
    for (at, one) in worked.into_iter().enumerate() {
        let look = looks.get(&one.id);
        let own = look.and_then(|look| look.colour).filter(|_| !coloured.contains(&one.id));
        coloured.push(one.id);
        let place =
            |(second, value): (i64, f64)| (Timestamp::from_millis(second.saturating_mul(SECOND_MS)), value);
        lines.push(Curve {
            label: one.label,
            colour: own.unwrap_or(PALETTE[at % PALETTE.len()]),
            side: look.map(|look| look.side).unwrap_or_default(),
            points: one.points.into_iter().map(place).collect(),
        });
    }
    lines
}

impl Widget {
    fn new(plot: Plot) -> Self {
        Self { plot, queries: Vec::new(), looks: source::Looks::new() }
    }
}
