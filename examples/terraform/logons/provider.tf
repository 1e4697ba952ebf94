# The provider that everybody has, unchanged. Endpoint, region and keys come from the environment
# (`eval "$(nightbell env)"` sets AWS_ENDPOINT_URL, AWS_REGION and the keys) unless the variables name them.
# Without an endpoint the same stack is built on AWS.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.40"
    }
  }
}

provider "aws" {
  region     = var.region
  access_key = var.access_key
  secret_key = var.secret_key

  # There is no machine of AWS's around us that would know credentials.
  skip_metadata_api_check = true

  # Buckets are named in the path: `logons.localhost` would have to be found by DNS.
  s3_use_path_style = true

  endpoints {
    cloudwatch = var.endpoint
    firehose   = var.endpoint
    iam        = var.endpoint
    lambda     = var.endpoint
    logs       = var.endpoint
    s3         = var.endpoint
    ses        = var.endpoint
    sns        = var.endpoint
    sts        = var.endpoint
  }

  # Every resource that can have tags gets these.
  default_tags {
    tags = var.tags
  }
}
