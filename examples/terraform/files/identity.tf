# The key that file servers ship with. It may write events into this one group, and nothing else: whoever steals it reads
# nothing and silences nothing.

resource "aws_iam_user" "shipper" {
  name = "${var.name}-shipper"
  path = "/nightbell/"
}

resource "aws_iam_policy" "ship" {
  name        = "${var.name}-ship"
  path        = "/nightbell/"
  description = "Write events into ${var.log_group}."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Ship"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.files.arn}", "${aws_cloudwatch_log_group.files.arn}:*"]
    }]
  })
}

resource "aws_iam_user_policy_attachment" "ship" {
  user       = aws_iam_user.shipper.name
  policy_arn = aws_iam_policy.ship.arn
}

# An inline policy of the user's own: the agent's configuration may be read.
resource "aws_iam_user_policy" "configuration" {
  name = "read-configuration"
  user = aws_iam_user.shipper.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "ssm:GetParameter"
      Resource = "arn:aws:ssm:*:*:parameter/AmazonCloudWatch-${var.name}"
    }]
  })
}

resource "aws_iam_access_key" "shipper" {
  user = aws_iam_user.shipper.name
}

output "shipper_key" {
  description = "The id of the key that file servers ship with."
  value       = aws_iam_access_key.shipper.id
}

# Printed by `terraform output -raw shipper_secret`. It stands in Terraform's state: keep that as you keep keys.
output "shipper_secret" {
  description = "The secret of that key."
  value       = aws_iam_access_key.shipper.secret
  sensitive   = true
}
