# The logon watch: failed logons per account and machine, and more of them than this hour of the week explains.
#
#   events -> log group -> metric filters -> alarms -> topic -> web hook (webhook.tf), function (function.tf)
#                       -> delivery stream -> bucket (archive.tf)

resource "aws_cloudwatch_log_group" "security" {
  name              = var.log_group
  retention_in_days = var.retention_days
}

# --- what is counted -----------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_metric_filter" "failed" {
  name           = "${var.name}-failed"
  log_group_name = aws_cloudwatch_log_group.security.name
  pattern        = "{ $.EventID = 4625 }"

  metric_transformation {
    namespace     = var.name
    name          = "Failed"
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

# A series for each account on each machine, made as events name them.
resource "aws_cloudwatch_log_metric_filter" "failed_by_account" {
  name           = "${var.name}-failed-by-account"
  log_group_name = aws_cloudwatch_log_group.security.name
  pattern        = "{ $.EventID = 4625 }"

  metric_transformation {
    namespace = var.name
    name      = "FailedByAccount"
    value     = "1"
    dimensions = {
      Account = "$.Audit.User"
      Host    = "$.Audit.Instance"
    }
  }
}

# --- who is told ---------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "operators" {
  name         = "${var.name}-operators"
  display_name = "Logons"
}

# --- when ----------------------------------------------------------------------------------------------------------

# Guessing one account's password on one machine.
resource "aws_cloudwatch_metric_alarm" "guessing" {
  alarm_name          = "${var.name}-guessing"
  alarm_description   = "The password of one account is guessed on one machine."
  evaluation_periods  = 1
  threshold           = var.failures_max
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.operators.arn]

  metric_query {
    id          = "failed"
    expression  = "SELECT SUM(${aws_cloudwatch_log_metric_filter.failed_by_account.metric_transformation[0].name}) FROM SCHEMA(\"${var.name}\", Account, Host) GROUP BY Account, Host"
    period      = 300
    return_data = true
  }
}

# More failures than this hour of the week has had before. The band is learned; until there is enough to learn from, the
# alarm has no opinion.
resource "aws_cloudwatch_metric_alarm" "unusual" {
  alarm_name          = "${var.name}-unusual"
  alarm_description   = "More failed logons than usual at this time."
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanUpperThreshold"
  threshold_metric_id = "band"
  treat_missing_data  = "missing"

  metric_query {
    id          = "band"
    expression  = "ANOMALY_DETECTION_BAND(failed, 3)"
    label       = "usual"
    return_data = true
  }

  metric_query {
    id          = "failed"
    return_data = true
    metric {
      namespace   = var.name
      metric_name = aws_cloudwatch_log_metric_filter.failed.metric_transformation[0].name
      period      = 300
      stat        = "Sum"
    }
  }
}

# Nobody has failed for an hour where somebody always does: then no events arrive.
resource "aws_cloudwatch_metric_alarm" "silent" {
  alarm_name          = "${var.name}-silent"
  alarm_description   = "No machine sends events."
  namespace           = "AWS/Logs"
  metric_name         = "IncomingLogEvents"
  dimensions          = { LogGroupName = aws_cloudwatch_log_group.security.name }
  extended_statistic  = "p90"
  period              = 3600
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  actions_enabled     = false

  evaluate_low_sample_count_percentiles = "evaluate"
}

# One line for the people on duty.
resource "aws_cloudwatch_composite_alarm" "attack" {
  alarm_name        = "${var.name}-attack"
  alarm_description = "Passwords are guessed, and events do arrive."
  alarm_rule = format("(ALARM(%q) OR ALARM(%q)) AND NOT ALARM(%q)",
    aws_cloudwatch_metric_alarm.guessing.alarm_name,
    aws_cloudwatch_metric_alarm.unusual.alarm_name,
    aws_cloudwatch_metric_alarm.silent.alarm_name,
  )
  alarm_actions             = [aws_sns_topic.operators.arn]
  insufficient_data_actions = [aws_sns_topic.operators.arn]
}

output "topic" {
  description = "Where further subscribers subscribe to."
  value       = aws_sns_topic.operators.arn
}
