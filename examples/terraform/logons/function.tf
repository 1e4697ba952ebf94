# A function of one's own between events and people. Its code is notify/index.mjs; `zip -j notify.zip notify/index.mjs`
# packs it.

locals {
  package = "${path.module}/notify.zip"
}

resource "aws_iam_role" "notify" {
  name        = "${var.name}-notify"
  description = "What the function may do."
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "notify" {
  name = "notify"
  role = aws_iam_role.notify.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.notify.arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = "ses:SendEmail"
        Resource = "*"
      },
    ]
  })
}

# The function's own lines, kept for a month and not for ever.
resource "aws_cloudwatch_log_group" "notify" {
  name              = "/aws/lambda/${var.name}-notify"
  retention_in_days = 30
}

resource "aws_lambda_function" "notify" {
  function_name    = "${var.name}-notify"
  description      = "Mails failed logons of administrators at once."
  role             = aws_iam_role.notify.arn
  runtime          = "nodejs20.x"
  handler          = "index.handler"
  filename         = local.package
  source_code_hash = filebase64sha256(local.package)
  timeout          = 30
  memory_size      = 256

  environment {
    variables = {
      SENDER    = var.sender
      RECIPIENT = var.recipient
    }
  }

  depends_on = [aws_cloudwatch_log_group.notify]
}

# The log group may call the function, and so may the topic.
resource "aws_lambda_permission" "events" {
  statement_id  = "events"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.notify.function_name
  principal     = "logs.amazonaws.com"
  source_arn    = "${aws_cloudwatch_log_group.security.arn}:*"
}

resource "aws_lambda_permission" "alarms" {
  statement_id  = "alarms"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.notify.function_name
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.operators.arn
}

resource "aws_cloudwatch_log_subscription_filter" "administrators" {
  name            = "${var.name}-administrators"
  log_group_name  = aws_cloudwatch_log_group.security.name
  filter_pattern  = "{ $.EventID = 4625 && $.Audit.User = \"*administrator\" }"
  destination_arn = aws_lambda_function.notify.arn
  depends_on      = [aws_lambda_permission.events]
}

resource "aws_sns_topic_subscription" "notify" {
  topic_arn  = aws_sns_topic.operators.arn
  protocol   = "lambda"
  endpoint   = aws_lambda_function.notify.arn
  depends_on = [aws_lambda_permission.alarms]
}
