# One look: how many were denied, who deletes.

resource "aws_cloudwatch_dashboard" "files" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      {
        type = "metric", x = 0, y = 0, width = 12, height = 6
        properties = {
          title   = "Denied reads"
          region  = coalesce(var.region, data.aws_region.here.name)
          view    = "timeSeries"
          stat    = "Sum"
          period  = 60
          metrics = [[var.name, aws_cloudwatch_log_metric_filter.denied.metric_transformation[0].name]]
          annotations = {
            horizontal = [{ label = "alarm", value = var.denied_max }]
          }
        }
      },
      {
        type = "metric", x = 12, y = 0, width = 12, height = 6
        properties = {
          title   = "Deletions by user"
          region  = coalesce(var.region, data.aws_region.here.name)
          view    = "timeSeries"
          stacked = true
          period  = 300
          metrics = [[{ expression = "SELECT SUM(Deletions) FROM SCHEMA(\"${var.name}\", User) GROUP BY User" }]]
        }
      },
      {
        type = "alarm", x = 0, y = 6, width = 24, height = 2
        properties = {
          title  = "Alarms"
          alarms = [aws_cloudwatch_metric_alarm.denied.arn, aws_cloudwatch_composite_alarm.theft.arn]
        }
      },
    ]
  })
}

data "aws_region" "here" {}
