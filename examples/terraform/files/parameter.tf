# The configuration of the CloudWatch agent, where agents look for it:
# `amazon-cloudwatch-agent-ctl -a fetch-config -m onPremise -c ssm:AmazonCloudWatch-files`.

resource "aws_ssm_parameter" "agent" {
  name        = "AmazonCloudWatch-${var.name}"
  description = "What the CloudWatch agent on the file servers ships."
  type        = "String"
  value = jsonencode({
    logs = {
      logs_collected = {
        windows_events = {
          collect_list = [{
            event_name      = "Security"
            event_levels    = ["INFORMATION", "WARNING", "ERROR", "CRITICAL"]
            event_format    = "xml"
            log_group_name  = aws_cloudwatch_log_group.files.name
            log_stream_name = "{hostname}"
          }]
        }
      }
    }
  })
}
