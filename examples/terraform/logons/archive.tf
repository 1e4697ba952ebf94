# Every event once more, compressed, in a bucket: what auditors ask for years later.

resource "aws_s3_bucket" "archive" {
  bucket        = var.bucket
  force_destroy = true
}

resource "aws_iam_role" "archive" {
  name = "${var.name}-archive"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["firehose.amazonaws.com", "logs.amazonaws.com"] }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_policy" "archive" {
  name = "${var.name}-archive"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:ListBucket", "s3:PutObject"]
        Resource = [aws_s3_bucket.archive.arn, "${aws_s3_bucket.archive.arn}/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
        Resource = "*"
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "archive" {
  role       = aws_iam_role.archive.name
  policy_arn = aws_iam_policy.archive.arn
}

resource "aws_kinesis_firehose_delivery_stream" "archive" {
  name        = "${var.name}-archive"
  destination = "extended_s3"

  extended_s3_configuration {
    role_arn            = aws_iam_role.archive.arn
    bucket_arn          = aws_s3_bucket.archive.arn
    prefix              = "logons/!{timestamp:yyyy/MM/dd}/"
    error_output_prefix = "failed/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
    buffering_size      = 5
    buffering_interval  = 60
    compression_format  = "GZIP"
  }
}

resource "aws_cloudwatch_log_subscription_filter" "archive" {
  name            = "${var.name}-archive"
  log_group_name  = aws_cloudwatch_log_group.security.name
  filter_pattern  = ""
  destination_arn = aws_kinesis_firehose_delivery_stream.archive.arn
  role_arn        = aws_iam_role.archive.arn
  depends_on      = [aws_iam_role_policy_attachment.archive]
}
