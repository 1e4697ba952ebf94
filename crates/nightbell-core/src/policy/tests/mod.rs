//! Tables after the examples of the IAM User Guide, and properties of the evaluation.

use std::sync::Arc;

use super::*;
use crate::time::Timestamp;

mod conditions;
mod decisions;
mod documents;
mod properties;

const ACCOUNT: &str = "123456789012";
const NINA: Principal<'_> = Principal::User {
    arn: "arn:aws:iam::123456789012:user/audit/nina",
    id: "AIDA0123456789ABCDEF0",
    name: "nina",
};
const SHIPPING: Principal<'_> = Principal::Session {
    arn: "arn:aws:sts::123456789012:assumed-role/shipper/agent-7",
    role_arn: "arn:aws:iam::123456789012:role/agents/shipper",
    role_id: "AROA0123456789ABCDEF0",
    name: "agent-7",
};

/// 2026-09-14T05:42:01Z
const NOW: Timestamp = Timestamp::from_seconds(1_789_364_521);

fn identity(statements: &str) -> Arc<Policy> {
    policy(PolicyKind::Identity, statements)
}

fn resource(statements: &str) -> Arc<Policy> {
    policy(PolicyKind::Resource, statements)
}

/// A policy of these statements, written with single quotes.
fn policy(kind: PolicyKind, statements: &str) -> Arc<Policy> {
    let text = format!("{{'Version': '2012-10-17', 'Statement': [{statements}]}}").replace('\'', "\"");
    Arc::new(Policy::parse(&text, kind).unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// Whether an identity policy lets `nina` do it.
fn lets_nina(policy: &Arc<Policy>, action: &str, resource: &str) -> bool {
    let facts = Facts::of(&NINA, NOW);
    let request = Request { principal: &NINA, action, resource, facts: &facts };
    let identity = std::slice::from_ref(policy);
    evaluate(&Policies { identity, resource_account: ACCOUNT, ..Policies::default() }, &request).is_allowed()
}
