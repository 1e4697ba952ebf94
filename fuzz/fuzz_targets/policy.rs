/*!
Policy documents: action and resource on the first two lines, then a document that is read as each kind of policy.

What is taken answers the same twice, says why it refuses, and never outweighs a Deny of everything.
*/
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use nightbell_core::policy::{Facts, Policies, Policy, PolicyKind, Principal, Request, evaluate};
use nightbell_core::time::Timestamp;

const DENY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
const USER: Principal<'_> =
    Principal::User { arn: "arn:aws:iam::123456789012:user/nina", id: "AIDA0123456789ABCDEF0", name: "nina" };

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let (Some(action), Some(resource), Some(document)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let read = |kind| match Policy::parse(document, kind) {
        Ok(policy) => vec![Arc::new(policy)],
        Err(error) => {
            assert!(!error.message.is_empty() && !error.detail.is_empty());
            Vec::new()
        }
    };
    let identity = read(PolicyKind::Identity);
    let on_resource = [read(PolicyKind::Resource), read(PolicyKind::Trust)].concat();
    let service = Principal::Service { names: &["lambda.amazonaws.com"] };
    for principal in [USER, service, Principal::Anonymous, Principal::Root { account: "123456789012" }] {
        let facts = Facts::of(&principal, Timestamp::from_seconds(1_790_000_000));
        let request = Request { principal: &principal, action, resource, facts: &facts };
        let mut policies = Policies {
            identity: &identity,
            resource: &on_resource,
            boundary: identity.first().map(Arc::as_ref),
            resource_account: "123456789012",
            ..Policies::default()
        };
        let decision = evaluate(&policies, &request);
        assert_eq!(decision, evaluate(&policies, &request));
        assert_eq!(decision.is_allowed(), decision.message(&request).is_none());
        let deny = Policy::parse(DENY, PolicyKind::Identity).expect("it is a policy");
        policies.boundary = Some(&deny);
        assert!(!evaluate(&policies, &request).is_allowed());
    }
});
