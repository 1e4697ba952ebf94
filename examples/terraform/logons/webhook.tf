# Messages go to a web hook as SNS sends them: signed, confirmed once, retried while it is away.

resource "aws_sns_topic_subscription" "webhook" {
  topic_arn = aws_sns_topic.operators.arn
  protocol  = startswith(var.webhook, "https:") ? "https" : "http"
  endpoint  = var.webhook

  # The hook follows the SubscribeURL by itself, and Terraform waits until it has.
  endpoint_auto_confirms          = true
  confirmation_timeout_in_minutes = 1

  # Alarms that end are not told to it.
  filter_policy_scope = "MessageBody"
  filter_policy       = jsonencode({ NewStateValue = ["ALARM"] })

  delivery_policy = jsonencode({
    healthyRetryPolicy = {
      minDelayTarget     = 5
      maxDelayTarget     = 60
      numRetries         = 10
      numNoDelayRetries  = 0
      numMinDelayRetries = 2
      numMaxDelayRetries = 3
      backoffFunction    = "exponential"
    }
  })
}
