/*!
The policies of AWS's own that guides name: they can be attached by their ARN and read, and cannot be changed.

What each gives is said in the "AWS Managed Policy Reference"; the documents are written here in few words, for the services
that there are.
*/

use nightbell_core::time::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::policies::{ManagedPolicy, Version};
use super::{Tags, path_and_name};
use crate::credentials::ID_LETTERS;

/// What their ARNs start with.
const ARN_PREFIX: &str = "arn:aws:iam::aws:policy/";

/// A policy of AWS's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwsPolicy {
    /// Path and name, as in the ARN.
    resource: &'static str,
    /// What it is for.
    description: &'static str,
    /// What it allows, on all resources.
    actions: &'static [&'static str],
}

static TABLE: [AwsPolicy; 16] = [
    AwsPolicy { resource: "AdministratorAccess", description: "Everything.", actions: &["*"] },
    AwsPolicy {
        resource: "ReadOnlyAccess",
        description: "Reads everything.",
        actions: &[
            "cloudformation:Describe*",
            "cloudformation:Get*",
            "cloudformation:List*",
            "cloudwatch:Describe*",
            "cloudwatch:Get*",
            "cloudwatch:List*",
            "firehose:Describe*",
            "firehose:List*",
            "iam:Get*",
            "iam:List*",
            "lambda:Get*",
            "lambda:List*",
            "logs:Describe*",
            "logs:FilterLogEvents",
            "logs:Get*",
            "logs:List*",
            "logs:StartLiveTail",
            "logs:StartQuery",
            "logs:StopQuery",
            "logs:TestMetricFilter",
            "s3:Get*",
            "s3:List*",
            "ses:Describe*",
            "ses:Get*",
            "ses:List*",
            "sns:Check*",
            "sns:Get*",
            "sns:List*",
            "ssm:Describe*",
            "ssm:Get*",
            "ssm:List*",
            "sts:GetAccessKeyInfo",
            "sts:GetCallerIdentity",
        ],
    },
    AwsPolicy {
        resource: "CloudWatchLogsFullAccess",
        description: "Everything of CloudWatch Logs.",
        actions: &["logs:*", "cloudwatch:GenerateQuery", "cloudwatch:GenerateQueryResultsSummary"],
    },
    AwsPolicy {
        resource: "CloudWatchLogsReadOnlyAccess",
        description: "Reads CloudWatch Logs.",
        actions: &[
            "logs:Describe*",
            "logs:Get*",
            "logs:List*",
            "logs:StartQuery",
            "logs:StopQuery",
            "logs:TestMetricFilter",
            "logs:FilterLogEvents",
            "logs:StartLiveTail",
            "logs:StopLiveTail",
            "cloudwatch:GenerateQuery",
            "cloudwatch:GenerateQueryResultsSummary",
        ],
    },
    AwsPolicy {
        resource: "CloudWatchFullAccess",
        description: "Everything of CloudWatch and CloudWatch Logs.",
        actions: &["cloudwatch:*", "logs:*", "sns:*", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole"],
    },
    AwsPolicy {
        resource: "CloudWatchFullAccessV2",
        description: "Everything of CloudWatch and CloudWatch Logs.",
        actions: &[
            "cloudwatch:*",
            "logs:*",
            "sns:CreateTopic",
            "sns:ListSubscriptions",
            "sns:ListSubscriptionsByTopic",
            "sns:ListTopics",
            "sns:Subscribe",
            "iam:GetPolicy",
            "iam:GetPolicyVersion",
            "iam:GetRole",
        ],
    },
    AwsPolicy {
        resource: "CloudWatchReadOnlyAccess",
        description: "Reads CloudWatch and CloudWatch Logs.",
        actions: &[
            "cloudwatch:BatchGet*",
            "cloudwatch:Describe*",
            "cloudwatch:GenerateQuery",
            "cloudwatch:Get*",
            "cloudwatch:List*",
            "logs:Get*",
            "logs:List*",
            "logs:StartQuery",
            "logs:StopQuery",
            "logs:Describe*",
            "logs:TestMetricFilter",
            "logs:FilterLogEvents",
            "logs:StartLiveTail",
            "logs:StopLiveTail",
            "sns:Get*",
            "sns:List*",
        ],
    },
    AwsPolicy {
        resource: "CloudWatchAgentServerPolicy",
        description: "What the CloudWatch agent of a server needs.",
        actions: &[
            "cloudwatch:PutMetricData",
            "logs:PutLogEvents",
            "logs:PutRetentionPolicy",
            "logs:DescribeLogStreams",
            "logs:DescribeLogGroups",
            "logs:CreateLogStream",
            "logs:CreateLogGroup",
        ],
    },
    AwsPolicy { resource: "AmazonSNSFullAccess", description: "Everything of SNS.", actions: &["sns:*"] },
    AwsPolicy {
        resource: "AmazonSNSReadOnlyAccess",
        description: "Reads SNS.",
        actions: &["sns:GetTopicAttributes", "sns:List*", "sns:CheckIfPhoneNumberIsOptedOut"],
    },
    AwsPolicy {
        resource: "AmazonSSMReadOnlyAccess",
        description: "Reads parameters.",
        actions: &["ssm:Describe*", "ssm:Get*", "ssm:List*"],
    },
    AwsPolicy { resource: "AmazonSESFullAccess", description: "Everything of SES.", actions: &["ses:*"] },
    AwsPolicy {
        resource: "AmazonKinesisFirehoseFullAccess",
        description: "Everything of Firehose.",
        actions: &["firehose:*"],
    },
    AwsPolicy {
        resource: "IAMReadOnlyAccess",
        description: "Reads users, roles and policies.",
        actions: &["iam:Get*", "iam:List*"],
    },
    AwsPolicy {
        resource: "service-role/AWSLambdaBasicExecutionRole",
        description: "What a function needs to write its log.",
        actions: &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    },
    AwsPolicy {
        resource: "AWSLambda_FullAccess",
        description: "Everything of Lambda, and what goes with it.",
        actions: &[
            "lambda:*",
            "iam:GetPolicy",
            "iam:GetPolicyVersion",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListRoles",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:FilterLogEvents",
            "logs:GetLogEvents",
            "logs:StartLiveTail",
        ],
    },
];

/// The policy of an ARN.
pub(crate) fn find(arn: &str) -> Option<&'static AwsPolicy> {
    let resource = arn.strip_prefix(ARN_PREFIX)?;
    TABLE.iter().find(|policy| policy.resource == resource)
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static AwsPolicy> {
    TABLE.iter()
}

impl AwsPolicy {
    /// Its ARN.
    pub(crate) fn arn(&self) -> String {
        format!("{ARN_PREFIX}{}", self.resource)
    }

    /// The policy's text.
    pub(crate) fn document(&self) -> String {
        let action = match self.actions {
            [one] => json!(one),
            many => json!(many),
        };
        let statement: Value = json!([{ "Effect": "Allow", "Action": action, "Resource": "*" }]);
        json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
    }

    /// As if it were one of the account's.
    pub(crate) fn as_managed(&self) -> ManagedPolicy {
        let (path, name) = path_and_name(self.resource);
        // None of them was ever made or changed here.
        let made = Timestamp::from_seconds(0);
        ManagedPolicy {
            name: name.to_owned(),
            path,
            id: unique_id(self.resource),
            description: Some(self.description.to_owned()),
            created: made,
            updated: made,
            versions: vec![Version { number: 1, document: self.document(), created: made }],
            default_version: 1,
            next_version: 2,
            tags: Tags::new(),
        }
    }
}

/// An id that stays the same: nothing of these is kept.
fn unique_id(resource: &str) -> String {
    let digest = Sha256::digest(resource.as_bytes());
    let letter = |byte: &u8| char::from(ID_LETTERS[usize::from(*byte) % ID_LETTERS.len()]);
    std::iter::once("ANPA".to_owned()).chain([digest.iter().take(17).map(letter).collect()]).collect()
}
