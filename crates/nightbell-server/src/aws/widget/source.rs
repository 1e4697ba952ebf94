/*!
The description of a widget: JSON with metrics in shorthand, read into entries of GetMetricData and a plot without lines ("GetMetricWidgetImage:
Metric Widget Structure and Syntax", Amazon CloudWatch API Reference). What is not drawn here and would change the picture is refused.
*/

use std::collections::BTreeMap;

use nightbell_core::alarm::Measure;
use nightbell_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use nightbell_deliver::chart::{
    Axis, CURVES_MAX, Fill, LEVELS_MAX, Level, Moment, PALETTE, PLOT_SIDE_MAX_PX, PLOT_SIDE_MIN_PX, Plot,
    Side,
};
use serde::Deserialize;
use serde_json::Value;

use crate::aws::Cx;
use crate::aws::cloudwatch::{Dimension, dimensions, no, validation};
use crate::aws::error::ApiError;
use crate::aws::queries::{MetricDataQuery, MetricStat, NamedMetric};
use crate::manage::alarms;

/// Metrics and expressions of a widget.
pub(in crate::aws) const WIDGET_METRICS_MAX: usize = CURVES_MAX;
/// Elements of one metric: namespace, name, thirty dimensions, options.
const ELEMENTS_MAX: usize = 63;
/// Longest time that a widget shows.
const SPAN_MAX_MS: i64 = 455 * DAY_MS;

/// A widget, read.
pub(super) struct Widget {
    /// What is drawn, but for the lines.
    pub(super) plot: Plot,
    /// The entries that lines come from.
    pub(super) queries: Vec<MetricDataQuery>,
    /// How they look.
    pub(super) looks: Looks,
}

/// The look of entries, by id.
pub(super) type Looks = BTreeMap<String, Look>;

/// How the lines of an entry look.
pub(super) struct Look {
    /// The colour that it asks for.
    pub(super) colour: Option<(u8, u8, u8)>,
    /// Its axis.
    pub(super) side: Side,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    #[serde(default)]
    metrics: Vec<Vec<Value>>,
    title: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    start: Option<String>,
    end: Option<String>,
    period: Option<i64>,
    stat: Option<String>,
    view: Option<String>,
    stacked: Option<bool>,
    #[serde(default)]
    y_axis: YAxis,
    #[serde(default)]
    annotations: Annotations,
    legend: Option<Legend>,
    region: Option<String>,
}

#[derive(Default, Deserialize)]
struct YAxis {
    left: Option<AxisSource>,
    right: Option<AxisSource>,
}

#[derive(Deserialize)]
struct AxisSource {
    min: Option<f64>,
    max: Option<f64>,
    label: Option<String>,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(default)]
    horizontal: Vec<Value>,
    #[serde(default)]
    vertical: Vec<Value>,
    #[serde(default)]
    alarms: Vec<String>,
}

#[derive(Deserialize)]
struct Legend {
    position: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Horizontal {
    value: f64,
    label: Option<String>,
    color: Option<String>,
    fill: Option<String>,
    visible: Option<bool>,
    y_axis: Option<String>,
}

#[derive(Deserialize)]
struct Vertical {
    value: String,
    label: Option<String>,
    color: Option<String>,
    visible: Option<bool>,
}

/// What the last element of a metric may say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    id: Option<String>,
    expression: Option<String>,
    label: Option<String>,
    stat: Option<String>,
    period: Option<i64>,
    color: Option<String>,
    y_axis: Option<String>,
    visible: Option<bool>,
    region: Option<String>,
    account_id: Option<String>,
}

fn wrong(place: &str, text: impl std::fmt::Display) -> ApiError {
    validation(format!("MetricWidget: {place}: {text}"))
}

/// Reads a description.
pub(super) fn read(cx: &Cx, text: &str) -> Result<Widget, ApiError> {
    let source: Source =
        serde_json::from_str(text).map_err(|error| validation(format!("MetricWidget: {error}")))?;
    match source.view.as_deref() {
        None | Some("timeSeries") => {}
        Some(other) => {
            let shown: String = other.chars().take(50).collect();
            return Err(wrong("view", format!("{shown} is not served by this version; use timeSeries")));
        }
    }
    check_region(cx, "region", source.region.as_deref())?;
    let mut widget = Widget::new(plot(cx, &source)?);
    let period_s = source.period.unwrap_or(300);
    let stat = source.stat.as_deref().unwrap_or("Average");
    if source.metrics.len() > WIDGET_METRICS_MAX {
        let count = source.metrics.len();
        return Err(wrong("metrics", format!("{count} are more than the limit of {WIDGET_METRICS_MAX}")));
    }
    let mut before: Vec<String> = Vec::new();
    for (at, elements) in source.metrics.iter().enumerate() {
        let entry = Entry { cx, place: &format!("metrics[{at}]"), at, period_s, stat };
        let (query, look) = entry.read(elements, &mut before)?;
        widget.looks.insert(query.id.clone(), look);
        widget.queries.push(query);
    }
    for arn in &source.annotations.alarms {
        add_alarm(cx, arn, &mut widget)?;
    }
    widget.plot.period_s = widget.queries.iter().filter_map(period_of).max().unwrap_or(period_s);
    Ok(widget)
}

fn period_of(query: &MetricDataQuery) -> Option<i64> {
    query.metric_stat.as_ref().map(|stat| stat.period).or(query.period)
}

fn check_region(cx: &Cx, place: &str, region: Option<&str>) -> Result<(), ApiError> {
    match region {
        Some(other) if other != cx.region => {
            let shown: String = other.chars().take(64).collect();
            Err(wrong(
                place,
                format!("{shown}: only metrics of the region that is asked, {}, are drawn", cx.region),
            ))
        }
        _ => Ok(()),
    }
}

/// All of the plot but its lines.
fn plot(cx: &Cx, source: &Source) -> Result<Plot, ApiError> {
    let side = |name: &str, value: Option<u32>, default: u32| {
        let value = value.unwrap_or(default);
        if !(PLOT_SIDE_MIN_PX..=PLOT_SIDE_MAX_PX).contains(&value) {
            let text = format!("{value} is not between {PLOT_SIDE_MIN_PX} and {PLOT_SIDE_MAX_PX}");
            return Err(wrong(name, text));
        }
        Ok(value)
    };
    let axis = |name: &str, given: Option<&AxisSource>| {
        let Some(AxisSource { min, max, label }) = given else { return Ok(Axis::default()) };
        if let (Some(min), Some(max)) = (min, max)
            && min >= max
        {
            return Err(wrong(name, format!("min {min} must be less than max {max}")));
        }
        Ok(Axis { min: *min, max: *max, label: label.clone().unwrap_or_default() })
    };
    let position = source.legend.as_ref().and_then(|legend| legend.position.as_deref());
    if !matches!(position, None | Some("bottom" | "right" | "hidden")) {
        return Err(wrong("legend.position", "it is bottom, right or hidden"));
    }
    Ok(Plot {
        title: source.title.clone().unwrap_or_default(),
        size_px: (side("width", source.width, 600)?, side("height", source.height, 400)?),
        times: times(source, cx.now)?,
        period_s: source.period.unwrap_or(300),
        curves: Vec::new(),
        stacked: source.stacked.unwrap_or(false),
        axes: (
            axis("yAxis.left", source.y_axis.left.as_ref())?,
            axis("yAxis.right", source.y_axis.right.as_ref())?,
        ),
        levels: levels(&source.annotations.horizontal)?,
        moments: moments(&source.annotations.vertical)?,
        legend: position != Some("hidden"),
    })
}

/// From when to when: three hours up to now unless told otherwise.
fn times(source: &Source, now: Timestamp) -> Result<(Timestamp, Timestamp), ApiError> {
    let instant = |name: &str, text: Option<&String>, default_ms: i64| {
        let Some(text) = text else { return Ok(now.plus_millis(-default_ms)) };
        let ago = text.strip_prefix('-').and_then(duration_ms).map(|ms| now.plus_millis(-ms));
        let read = ago.or_else(|| Timestamp::parse_iso(text));
        read.ok_or_else(|| {
            wrong(name, "it is neither a time like 2026-01-31T12:00:00Z nor one ago like -PT3H")
        })
    };
    let start = instant("start", source.start.as_ref(), 3 * HOUR_MS)?;
    let end = instant("end", source.end.as_ref(), 0)?;
    let span = end.since(start);
    if !(1..=SPAN_MAX_MS).contains(&span) {
        return Err(wrong(
            "start",
            format!("it must be before end, by at most {} days", SPAN_MAX_MS / DAY_MS),
        ));
    }
    Ok((start, end))
}

/// An ISO 8601 duration of weeks, days, hours, minutes and seconds (and months of 30 days), in milliseconds.
fn duration_ms(text: &str) -> Option<i64> {
    let rest = text.strip_prefix('P')?;
    let (days, clock) = rest.split_once('T').unwrap_or((rest, ""));
    if days.is_empty() && clock.is_empty() {
        return None;
    }
    let days = parts_ms(days, &[('M', 30 * DAY_MS), ('W', 7 * DAY_MS), ('D', DAY_MS)])?;
    let clock = parts_ms(clock, &[('H', HOUR_MS), ('M', MINUTE_MS), ('S', SECOND_MS)])?;
    days.checked_add(clock).filter(|ms| *ms <= SPAN_MAX_MS * 10)
}

fn parts_ms(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total: i64 = 0;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let unit = text[end..].chars().next()?;
        let (_, unit_ms) = units.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(text[..end].parse::<i64>().ok()?.checked_mul(*unit_ms)?)?;
        text = &text[end + unit.len_utf8()..];
    }
    Some(total)
}

fn side(place: &str, name: Option<&str>) -> Result<Side, ApiError> {
    match name {
        None | Some("left") => Ok(Side::Left),
        Some("right") => Ok(Side::Right),
        Some(_) => Err(wrong(place, "yAxis is left or right")),
    }
}

/// `#1f77b4`, or `#17b`.
fn colour(place: &str, text: Option<&str>) -> Result<Option<(u8, u8, u8)>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let digits: Option<Vec<u8>> = text
        .strip_prefix('#')
        .map(|hex| hex.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect())
        .unwrap_or_default();
    match digits.as_deref() {
        Some([a, b, c, d, e, f]) => Ok(Some((a * 16 + b, c * 16 + d, e * 16 + f))),
        Some([r, g, b]) => Ok(Some((r * 17, g * 17, b * 17))),
        _ => Err(wrong(place, "color is six hexadecimal digits after #")),
    }
}

fn levels(given: &[Value]) -> Result<Vec<Level>, ApiError> {
    let mut levels = Vec::new();
    if given.len() > LEVELS_MAX {
        let text = format!("{} are more than the limit of {LEVELS_MAX}", given.len());
        return Err(wrong("annotations.horizontal", text));
    }
    for (at, value) in given.iter().enumerate() {
        let place = format!("annotations.horizontal[{at}]");
        let read = |value: &Value| Horizontal::deserialize(value).map_err(|error| wrong(&place, error));
        let (one, other) = match value {
            Value::Array(band) => match band.as_slice() {
                [one, other] => (read(one)?, Some(read(other)?)),
                _ => return Err(wrong(&place, "a band is a list of two annotations")),
            },
            one => (read(one)?, None),
        };
        if one.visible == Some(false) {
            continue;
        }
        let own = colour(&place, one.color.as_deref())?.unwrap_or(PALETTE[3]);
        let fill = match (&other, one.fill.as_deref()) {
            (Some(other), _) => Fill::To(other.value),
            (None, None | Some("none")) => Fill::Nothing,
            (None, Some("above")) => Fill::Above,
            (None, Some("below")) => Fill::Below,
            (None, Some(_)) => return Err(wrong(&place, "fill is above, below or none")),
        };
        let axis = side(&place, one.y_axis.as_deref())?;
        levels.push(Level {
            value: one.value,
            label: one.label.unwrap_or_default(),
            colour: own,
            fill,
            side: axis,
        });
        if let Some(other) = other {
            let label = other.label.unwrap_or_default();
            levels.push(Level { value: other.value, label, colour: own, fill: Fill::Nothing, side: axis });
        }
    }
    Ok(levels)
}

fn moments(given: &[Value]) -> Result<Vec<Moment>, ApiError> {
    let mut moments = Vec::new();
    if given.len() > LEVELS_MAX {
        let text = format!("{} are more than the limit of {LEVELS_MAX}", given.len());
        return Err(wrong("annotations.vertical", text));
    }
    for (at, value) in given.iter().enumerate() {
        let place = format!("annotations.vertical[{at}]");
        let bounds = match value {
            Value::Array(band) if band.len() == 2 => band.as_slice(),
            Value::Array(_) => return Err(wrong(&place, "a band is a list of two annotations")),
            one => std::slice::from_ref(one),
        };
        for one in bounds {
            let one = Vertical::deserialize(one).map_err(|error| wrong(&place, error))?;
            let at = Timestamp::parse_iso(&one.value)
                .ok_or_else(|| wrong(&place, "value is a time like 2026-01-31T12:00:00Z"))?;
            let own = colour(&place, one.color.as_deref())?.unwrap_or(PALETTE[5]);
            if one.visible != Some(false) {
                moments.push(Moment { at, label: one.label.unwrap_or_default(), colour: own });
            }
        }
    }
    Ok(moments)
}

/// An entry of `metrics`, and what holds for all that say nothing themselves.
struct Entry<'a> {
    cx: &'a Cx,
    place: &'a str,
    at: usize,
    period_s: i64,
    stat: &'a str,
}

impl Entry<'_> {
    /// The query of one metric or expression. `before`: the namespace, name and dimensions of the metric before, for the shorthand.
    fn read(
        &self,
        elements: &[Value],
        before: &mut Vec<String>,
    ) -> Result<(MetricDataQuery, Look), ApiError> {
        if elements.len() > ELEMENTS_MAX {
            return Err(wrong(self.place, format!("more than {ELEMENTS_MAX} elements")));
        }
        let (options, named) = match elements.split_last() {
            Some((Value::Object(options), named)) => {
                let options = Options::deserialize(options).map_err(|error| wrong(self.place, error))?;
                (options, named)
            }
            _ => (Options::default(), elements),
        };
        check_region(self.cx, self.place, options.region.as_deref())?;
        let look = Look {
            colour: colour(self.place, options.color.as_deref())?,
            side: side(self.place, options.y_axis.as_deref())?,
        };
        let period = options.period.unwrap_or(self.period_s);
        let mut query = MetricDataQuery {
            id: options.id.unwrap_or_else(|| format!("widget_{}", self.at)),
            label: options.label,
            return_data: Some(options.visible.unwrap_or(true)),
            account_id: options.account_id,
            ..MetricDataQuery::default()
        };
        if let Some(expression) = options.expression {
            if !named.is_empty() {
                return Err(wrong(self.place, "an expression stands alone, without a metric"));
            }
            query.expression = Some(expression);
            query.period = Some(period);
            return Ok((query, look));
        }
        *before = expand(named, before).map_err(|text| wrong(self.place, text))?;
        query.metric_stat = Some(MetricStat {
            metric: metric(before).ok_or_else(|| {
                wrong(self.place, "a metric is namespace, name, and pairs of dimension and value")
            })?,
            period,
            stat: options.stat.unwrap_or_else(|| self.stat.to_owned()),
            unit: None,
        });
        Ok((query, look))
    }
}

/// The texts of a metric in full: `.` stands for the text at this place of the metric before, `...` for as many as are missing at the front.
fn expand(named: &[Value], before: &[String]) -> Result<Vec<String>, &'static str> {
    let mut texts = Vec::new();
    for value in named {
        let text = value.as_str().ok_or("its elements are texts, and at the end options")?;
        match text {
            "." => {
                let same =
                    before.get(texts.len()).ok_or("a '.' has no element of a metric before to stand for")?;
                texts.push(same.clone());
            }
            "..." if texts.is_empty() => {
                let missing = before.len().checked_sub(named.len() - 1);
                let missing = missing.ok_or("a '...' has no metric before that is as long")?;
                texts.extend_from_slice(&before[..missing]);
            }
            "..." => return Err("'...' stands at the front"),
            text => texts.push(text.to_owned()),
        }
    }
    Ok(texts)
}

fn metric(texts: &[String]) -> Option<NamedMetric> {
    let (namespace, rest) = texts.split_first()?;
    let (name, rest) = rest.split_first()?;
    if rest.len() % 2 != 0 {
        return None;
    }
    let pairs = rest.chunks_exact(2);
    let dimensions =
        pairs.map(|pair| Dimension { name: pair[0].clone(), value: Some(pair[1].clone()) }).collect();
    Some(NamedMetric { namespace: Some(namespace.clone()), metric_name: Some(name.clone()), dimensions })
}

/// The metric of an alarm and the line it is held against.
fn add_alarm(cx: &Cx, arn: &str, widget: &mut Widget) -> Result<(), ApiError> {
    let prefix = alarms::arn(&cx.region, &cx.app.account, "");
    let name = arn.strip_prefix(&prefix).ok_or_else(|| {
        wrong("annotations.alarms", format!("give ARNs of alarms of this region: {prefix}NAME"))
    })?;
    let alarm = alarms::find(&cx.app.records, &cx.region, name).map_err(no)?;
    let Measure::Series(measured) = &alarm.measure else {
        let text = "only alarms on one metric are drawn; give the metrics of others by themselves";
        return Err(wrong("annotations.alarms", text));
    };
    if widget.queries.is_empty() {
        let query = MetricDataQuery {
            id: "widget_alarm".to_owned(),
            metric_stat: Some(MetricStat {
                metric: NamedMetric {
                    namespace: Some(measured.series.namespace.clone()),
                    metric_name: Some(measured.series.name.clone()),
                    dimensions: dimensions(&measured.series),
                },
                period: alarm.period_s,
                stat: measured.statistic.clone(),
                unit: measured.unit.clone(),
            }),
            ..MetricDataQuery::default()
        };
        widget.queries.push(query);
    }
    let label = format!("{} {}", alarm.name, alarm.threshold);
    let level =
        Level { value: alarm.threshold, label, colour: PALETTE[3], fill: Fill::Nothing, side: Side::Left };
    widget.plot.levels.push(level);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shorthand_stands_for_the_metric_before() {
        let before: Vec<String> = ["files", "Denied", "Share", "a"].map(str::to_owned).to_vec();
        let texts = |values: Value| expand(values.as_array().unwrap(), &before);
        let full = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(texts(json!(["...", "b"])), full(&["files", "Denied", "Share", "b"]));
        assert_eq!(texts(json!([".", "Deleted", ".", "."])), full(&["files", "Deleted", "Share", "a"]));
        assert_eq!(texts(json!(["..."])), full(&["files", "Denied", "Share", "a"]));
        assert_eq!(texts(json!(["other", "Name"])), full(&["other", "Name"]));
        for bad in [
            json!(["a", "b", "c", "d", "."]),
            json!(["a", "..."]),
            json!(["...", "1", "2", "3", "4", "5"]),
            json!([1]),
        ] {
            assert!(texts(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, expected) in [
            ("PT3H", Some(3 * HOUR_MS)),
            ("P1DT30M", Some(DAY_MS + 30 * MINUTE_MS)),
            ("P2W", Some(14 * DAY_MS)),
            ("PT90S", Some(90 * SECOND_MS)),
            ("P", None),
            ("PT", None),
            ("3H", None),
            ("P3H", None),
            ("PT3", None),
            ("PT99999999999999999999H", None),
            ("P9223372036854775807D", None),
            ("PTéH", None),
        ] {
            assert_eq!(duration_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn colours_are_hexadecimal() {
        assert_eq!(colour("", Some("#1f77b4")).unwrap(), Some((0x1f, 0x77, 0xb4)));
        assert_eq!(colour("", Some("#fff")).unwrap(), Some((255, 255, 255)));
        assert_eq!(colour("", None).unwrap(), None);
        for bad in ["red", "#12", "#gggggg", "#1234567", "1f77b4", "#éé"] {
            assert!(colour("", Some(bad)).is_err(), "{bad}");
        }
    }
}
