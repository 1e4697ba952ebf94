/*!
The operations of CloudWatch: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::tags::cloudwatch as tags;
use crate::aws::{
    alarmlist, anomaly, cloudwatch, composite, contributors, dashboards, metricdata, metrics, mute, widget,
};

/// Serves a call of CloudWatch.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "PutMetricAlarm" => asked.by(cloudwatch::put_metric_alarm).await,
        "PutCompositeAlarm" => asked.by(composite::put_composite_alarm).await,
        "PutAlarmMuteRule" => asked.by(mute::put_alarm_mute_rule).await,
        "GetAlarmMuteRule" => asked.by(mute::get_alarm_mute_rule).await,
        "ListAlarmMuteRules" => asked.by(mute::list_alarm_mute_rules).await,
        "DeleteAlarmMuteRule" => asked.by(mute::delete_alarm_mute_rule).await,
        "DescribeAlarms" => asked.by(alarmlist::describe_alarms).await,
        "DescribeAlarmsForMetric" => asked.by(cloudwatch::describe_alarms_for_metric).await,
        "DescribeAlarmContributors" => asked.by(contributors::describe_alarm_contributors).await,
        "DescribeAlarmHistory" => asked.by(cloudwatch::describe_alarm_history).await,
        "DeleteAlarms" => asked.by(cloudwatch::delete_alarms).await,
        "SetAlarmState" => asked.by(cloudwatch::set_alarm_state).await,
        "EnableAlarmActions" => asked.by(cloudwatch::enable_alarm_actions).await,
        "DisableAlarmActions" => asked.by(cloudwatch::disable_alarm_actions).await,
        "PutMetricData" => asked.by(metrics::put_metric_data).await,
        "GetMetricStatistics" => asked.by(metrics::get_metric_statistics).await,
        "GetMetricData" => asked.by(metricdata::get_metric_data).await,
        "PutAnomalyDetector" => asked.by(anomaly::put_anomaly_detector).await,
        "DescribeAnomalyDetectors" => asked.by(anomaly::describe_anomaly_detectors).await,
        "DeleteAnomalyDetector" => asked.by(anomaly::delete_anomaly_detector).await,
        "PutDashboard" => asked.by(dashboards::put_dashboard).await,
        "GetDashboard" => asked.by(dashboards::get_dashboard).await,
        "ListDashboards" => asked.by(dashboards::list_dashboards).await,
        "DeleteDashboards" => asked.by(dashboards::delete_dashboards).await,
        "GetMetricWidgetImage" => asked.by(widget::get_metric_widget_image).await,
        "ListMetrics" => asked.by(metrics::list_metrics).await,
        "TagResource" => asked.by(tags::tag_resource).await,
        "UntagResource" => asked.by(tags::untag_resource).await,
        "ListTagsForResource" => asked.by(tags::list_tags_for_resource).await,
        _ => asked.unknown(),
    }
}
