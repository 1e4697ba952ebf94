# Pending until the link in the mail is followed. Terraform does not wait for that, and an address that is still pending
# when the stack goes is forgotten by itself.
resource "aws_sns_topic_subscription" "mail" {
  topic_arn = aws_sns_topic.security.arn
  protocol  = "email"
  endpoint  = var.mail
}
