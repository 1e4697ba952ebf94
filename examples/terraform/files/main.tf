# The file server watch: who is denied files, and who deletes many.
#
#   events -> log group -> metric filters -> alarms -> topic -> mail

resource "aws_cloudwatch_log_group" "files" {
  name              = var.log_group
  retention_in_days = var.retention_days
}

resource "aws_cloudwatch_log_stream" "server" {
  for_each       = var.servers
  name           = each.key
  log_group_name = aws_cloudwatch_log_group.files.name
}

# --- what is counted -----------------------------------------------------------------------------------------------

# All denied reads. `$.Audit` is what the event means, whatever its number; see "Events and fields" in the book. The
# default of 0 says "looked, and there was none", so that the alarm goes back to OK by itself.
resource "aws_cloudwatch_log_metric_filter" "denied" {
  name           = "${var.name}-denied"
  log_group_name = aws_cloudwatch_log_group.files.name
  pattern        = "{ $.EventID = 4656 && $.Audit.Outcome = \"failure\" }"

  metric_transformation {
    namespace     = var.name
    name          = "Denied"
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

# The same per user. A metric with dimensions has a series for each value, and can have no default.
resource "aws_cloudwatch_log_metric_filter" "denied_by_user" {
  name           = "${var.name}-denied-by-user"
  log_group_name = aws_cloudwatch_log_group.files.name
  pattern        = "{ $.EventID = 4656 && $.Audit.Outcome = \"failure\" }"

  metric_transformation {
    namespace  = var.name
    name       = "DeniedByUser"
    value      = "1"
    dimensions = { User = "$.Audit.User" }
  }
}

# Deletions by people: machine accounts end with `$`.
resource "aws_cloudwatch_log_metric_filter" "deletions" {
  name           = "${var.name}-deletions"
  log_group_name = aws_cloudwatch_log_group.files.name
  pattern        = "{ $.Audit.Action = \"delete\" && $.Audit.File = \"*\" && $.Audit.User != \"*$\" }"

  metric_transformation {
    namespace  = var.name
    name       = "Deletions"
    value      = "1"
    unit       = "Count"
    dimensions = { User = "$.Audit.User" }
  }
}

# --- who is told ---------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "security" {
  name         = "${var.name}-security"
  display_name = "Security"
}

# Alarms of this account may publish, and nobody else's.
resource "aws_sns_topic_policy" "security" {
  arn = aws_sns_topic.security.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.security.arn
    }]
  })
}

# --- when ----------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_metric_alarm" "denied" {
  alarm_name          = "${var.name}-denied"
  alarm_description   = "Somebody is denied more files than a typing error explains."
  namespace           = var.name
  metric_name         = aws_cloudwatch_log_metric_filter.denied.metric_transformation[0].name
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  datapoints_to_alarm = 1
  threshold           = var.denied_max
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.security.arn]
}

# One alarm for all users: each is a contributor with a count and a message of its own.
resource "aws_cloudwatch_metric_alarm" "deletions" {
  alarm_name          = "${var.name}-deletions"
  alarm_description   = "One user deletes files in bulk."
  evaluation_periods  = 1
  threshold           = var.deletions_max
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.security.arn]

  metric_query {
    id          = "deletions"
    expression  = "SELECT SUM(${aws_cloudwatch_log_metric_filter.deletions.metric_transformation[0].name}) FROM SCHEMA(\"${var.name}\", User) GROUP BY User"
    period      = 300
    return_data = true
  }
}

# The average of denied reads a minute over a quarter of an hour: slow and steady is a pattern, too. It tells nobody by
# itself, the composite alarm below reads it.
resource "aws_cloudwatch_metric_alarm" "steady" {
  alarm_name          = "${var.name}-steady"
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "rate"
    expression  = "FILL(denied, 0) / 5"
    label       = "denied reads a minute"
    return_data = true
  }

  metric_query {
    id = "denied"
    metric {
      namespace   = var.name
      metric_name = aws_cloudwatch_log_metric_filter.denied.metric_transformation[0].name
      period      = 300
      stat        = "Sum"
      unit        = "Count"
    }
  }
}

# Raised by hand during moves (`aws cloudwatch set-alarm-state --alarm-name files-moving --state-value ALARM ...`): while
# it stands, the composite alarm says nothing.
resource "aws_cloudwatch_metric_alarm" "moving" {
  alarm_name          = "${var.name}-moving"
  alarm_description   = "A move of files is under way."
  namespace           = var.name
  metric_name         = "Moving"
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "ignore"
}

# Looked for and taken away: each alone is worth a mail, both at once are worth a night.
resource "aws_cloudwatch_composite_alarm" "theft" {
  alarm_name        = "${var.name}-theft"
  alarm_description = "Files are looked for and deleted at once."
  alarm_rule = join(" AND ", [
    "(ALARM(\"${aws_cloudwatch_metric_alarm.denied.alarm_name}\") OR ALARM(\"${aws_cloudwatch_metric_alarm.steady.alarm_name}\"))",
    "ALARM(\"${aws_cloudwatch_metric_alarm.deletions.alarm_name}\")",
  ])
  alarm_actions = [aws_sns_topic.security.arn]
  ok_actions    = [aws_sns_topic.security.arn]

  actions_suppressor {
    alarm            = aws_cloudwatch_metric_alarm.moving.arn
    wait_period      = 60
    extension_period = 120
  }
}

output "topic" {
  description = "Where further subscribers subscribe to."
  value       = aws_sns_topic.security.arn
}

output "log_group" {
  description = "Where the file servers write to."
  value       = aws_cloudwatch_log_group.files.name
}
