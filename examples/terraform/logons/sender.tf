# The address the function sends from: pending until the link in the mail to it is followed.

resource "aws_ses_email_identity" "sender" {
  email = var.sender
}
