# What leads somewhere: a function, and delivery streams to an endpoint and to Splunk. Built only to be recorded.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  skip_metadata_api_check = true
  skip_region_validation  = true
}

resource "aws_iam_role" "worker" {
  name = "worker"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["firehose.amazonaws.com", "lambda.amazonaws.com"] }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_lambda_function" "notify" {
  function_name = "notify"
  role          = aws_iam_role.worker.arn
  runtime       = "nodejs20.x"
  handler       = "index.handler"
  filename      = "${path.module}/notify.zip"
  environment {
    variables = { READER = "ops@example.org" }
  }
}

resource "aws_lambda_permission" "alarms" {
  statement_id   = "alarms"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.notify.function_name
  principal      = "lambda.alarms.cloudwatch.amazonaws.com"
  source_account = "000000000000"
}

resource "aws_kinesis_firehose_delivery_stream" "splunk" {
  name        = "to-splunk"
  destination = "splunk"
  splunk_configuration {
    hec_endpoint      = "https://splunk.example.org:8088"
    hec_token         = "00000000-0000-4000-8000-000000000000"
    hec_endpoint_type = "Raw"
    retry_duration    = 400
    s3_configuration {
      role_arn   = aws_iam_role.worker.arn
      bucket_arn = "arn:aws:s3:::audit"
    }
  }
  tags = { team = "sec=ops" }
}
