use super::*;

#[test]
fn matches_actions_and_resources() {
    let group = "arn:aws:logs:eu-central-1:123456789012:log-group:/win/files";
    let stream = format!("{group}:log-stream:fs01");
    let shipping = "{'Effect': 'Allow', 'Action': ['logs:PutLogEvents', 'LOGS:createlogstream'], \
                    'Resource': 'arn:aws:logs:*:123456789012:log-group:/win/files:*'}";
    let rows = [
        (shipping, "logs:PutLogEvents", stream.as_str(), true),
        (shipping, "logs:CreateLogStream", stream.as_str(), true),
        (
            shipping,
            "logs:PutLogEvents",
            "arn:aws:logs:eu-central-1:123456789012:log-group:/win/logons:log-stream:a",
            false,
        ),
        (shipping, "logs:DeleteLogGroup", group, false),
        (
            "{'Effect': 'Allow', 'Action': 'logs:*', 'Resource': 'arn:aws:logs:*'}",
            "logs:GetLogEvents",
            group,
            true,
        ),
        (
            "{'Effect': 'Allow', 'Action': 'logs:?etLogEvents', 'Resource': '*'}",
            "logs:GetLogEvents",
            group,
            true,
        ),
        ("{'Effect': 'Allow', 'Action': '*:Get*', 'Resource': '*'}", "s3:GetObject", "*", true),
        ("{'Effect': 'Allow', 'NotAction': 'iam:*', 'Resource': '*'}", "s3:GetObject", "*", true),
        ("{'Effect': 'Allow', 'NotAction': ['iam:*', 's3:*'], 'Resource': '*'}", "s3:GetObject", "*", false),
        (
            "{'Effect': 'Allow', 'Action': 's3:*', 'NotResource': 'arn:aws:s3:::secret/*'}",
            "s3:GetObject",
            "arn:aws:s3:::open/a",
            true,
        ),
        (
            "{'Effect': 'Allow', 'Action': 's3:*', 'NotResource': 'arn:aws:s3:::secret/*'}",
            "s3:GetObject",
            "arn:aws:s3:::secret/a",
            false,
        ),
        (
            "{'Effect': 'Allow', 'Action': 's3:*', 'Resource': 'arn:aws:s3:::home/${aws:username}/*'}",
            "s3:GetObject",
            "arn:aws:s3:::home/nina/a",
            true,
        ),
        (
            "{'Effect': 'Allow', 'Action': 's3:*', 'Resource': 'arn:aws:s3:::home/${aws:username}/*'}",
            "s3:GetObject",
            "arn:aws:s3:::home/otto/a",
            false,
        ),
        (
            "{'Effect': 'Allow', 'Action': 's3:*', 'Resource': 'arn:aws:s3:::${k:unknown}*'}",
            "s3:GetObject",
            "arn:aws:s3:::a",
            false,
        ),
        (
            "{'Effect': 'Allow', 'Action': 's3:*', 'NotResource': 'arn:aws:s3:::${k:unknown}*'}",
            "s3:GetObject",
            "arn:aws:s3:::a",
            false,
        ),
        // A wildcard inside a segment ends with it, one at its end goes on.
        (
            "{'Effect': 'Allow', 'Action': '*', 'Resource': 'arn:aws:logs:*:*:log-group:/w*s'}",
            "logs:x",
            group,
            true,
        ),
        (
            "{'Effect': 'Allow', 'Action': '*', 'Resource': 'arn:aws:logs:*:*:log-group:/w*1'}",
            "logs:x",
            stream.as_str(),
            false,
        ),
        (
            "{'Effect': 'Allow', 'Action': '*', 'Resource': 'arn:aws:logs:*:*:log-group:/w*'}",
            "logs:x",
            stream.as_str(),
            true,
        ),
        ("{'Effect': 'Allow', 'Action': '*', 'Resource': 'arn:aws:s3:::B'}", "s3:x", "arn:aws:s3:::b", false),
    ];
    for (statement, action, resource, expected) in rows {
        assert_eq!(
            lets_nina(&identity(statement), action, resource),
            expected,
            "{statement}: {action} on {resource}"
        );
    }
}

const ALL: &str = "{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alarms";

/// What `principal` may publish, with an identity policy, a boundary, a session policy and a topic's policy.
fn publish(
    principal: &Principal<'_>,
    account: &str,
    [own, boundary, session, topic]: [Option<&str>; 4],
) -> Result<(), String> {
    let own: Vec<_> = own.map(identity).into_iter().collect();
    let topic: Vec<_> = topic.map(resource).into_iter().collect();
    let boundary = boundary.map(identity);
    let session = session.map(|statements| [identity(statements)]);
    let facts = Facts::of(principal, NOW);
    let request = Request { principal, action: "sns:Publish", resource: TOPIC, facts: &facts };
    let policies = Policies {
        identity: &own,
        boundary: boundary.as_deref(),
        session: session.as_ref().map(|policies| policies.as_slice()),
        resource: &topic,
        resource_account: account,
        resource_must_allow: false,
    };
    let decision = evaluate(&policies, &request);
    assert_eq!(decision.is_allowed(), decision.message(&request).is_none());
    match decision.message(&request) {
        None => Ok(()),
        Some(message) => Err(message.split_once("alarms ").expect("it names the resource").1.to_owned()),
    }
}

fn named(principal: &str, effect: &str) -> String {
    format!(
        "{{'Sid': 'Named', 'Effect': '{effect}', 'Principal': {principal}, 'Action': 'SNS:Publish', 'Resource': '{TOPIC}'}}"
    )
}

const NONE: &str = "{'Effect': 'Allow', 'Action': 'iam:GetUser', 'Resource': '*'}";
const DENY: &str = "{'Sid': 'No', 'Effect': 'Deny', 'Action': 'sns:*', 'Resource': '*'}";
const USER: &str = "{'AWS': 'arn:aws:iam::123456789012:user/audit/nina'}";
const ROLE: &str = "{'AWS': 'arn:aws:iam::123456789012:role/agents/shipper'}";
const SESSION: &str = "{'AWS': 'arn:aws:sts::123456789012:assumed-role/shipper/agent-7'}";
const HOME: &str = "{'AWS': 'arn:aws:iam::123456789012:root'}";

#[test]
fn weighs_policies_inside_one_account() {
    let no = |kind: &str| Err(format!("because no {kind} allows the sns:Publish action"));
    let denied = |kind: &str| Err(format!("with an explicit deny in {kind}"));
    let allow = |principal: &str| named(principal, "Allow");
    let (user, role, session, home, all) =
        (allow(USER), allow(ROLE), allow(SESSION), allow(HOME), allow("'*'"));
    let (user, role, session) = (Some(user.as_str()), Some(role.as_str()), Some(session.as_str()));
    let (home, everyone) = (Some(home.as_str()), Some(all.as_str()));
    let (yes, none, deny) = (Some(ALL), Some(NONE), Some(DENY));
    let rows = [
        (&NINA, [None, None, None, None], no("identity-based policy")),
        (&NINA, [yes, None, None, None], Ok(())),
        (&NINA, [deny, None, None, user], denied("an identity-based policy")),
        (&NINA, [yes, none, None, None], no("permissions boundary")),
        (&NINA, [yes, deny, None, None], denied("a permissions boundary")),
        (&NINA, [None, yes, None, None], no("identity-based policy")),
        // The topic names the user itself: enough, whatever the boundary leaves out.
        (&NINA, [None, None, None, user], Ok(())),
        (&NINA, [None, none, None, user], Ok(())),
        (&NINA, [None, deny, None, user], denied("a permissions boundary")),
        (&NINA, [None, None, None, everyone], Ok(())),
        // It names the account: the account's own policies decide.
        (&NINA, [None, None, None, home], no("identity-based policy")),
        (&NINA, [yes, None, None, home], Ok(())),
        (&NINA, [None, None, None, role], no("identity-based policy")),
        (&SHIPPING, [yes, None, Some(ALL), None], Ok(())),
        (&SHIPPING, [yes, None, none, None], no("session policy")),
        (&SHIPPING, [yes, None, deny, None], denied("a session policy")),
        // The role is named: boundary and session policy still count. Its session is named: they do not.
        (&SHIPPING, [None, None, None, role], Ok(())),
        (&SHIPPING, [None, none, None, role], no("permissions boundary")),
        (&SHIPPING, [None, None, none, role], no("session policy")),
        (&SHIPPING, [None, none, none, session], Ok(())),
        (&SHIPPING, [None, None, none, everyone], no("session policy")),
        (&SHIPPING, [None, None, None, home], no("identity-based policy")),
    ];
    for (i, (principal, policies, expected)) in rows.into_iter().enumerate() {
        assert_eq!(publish(principal, ACCOUNT, policies), expected, "row {i}");
    }
}

#[test]
fn weighs_policies_across_accounts_and_for_services() {
    let other = "210987654321";
    let no = |kind: &str| Err(format!("because no {kind} allows the sns:Publish action"));
    let (home, user) = (named(HOME, "Allow"), named(USER, "Allow"));
    let service = named("{'Service': ['cloudwatch.amazonaws.com', 'logs.amazonaws.com']}", "Allow");
    let everyone = named("{'AWS': '*'}", "Allow");
    let alarms = Principal::Service { names: &["cloudwatch.amazonaws.com"] };
    let root = Principal::Root { account: ACCOUNT };
    let rows = [
        (&NINA, other, [Some(ALL), None, None, None], no("resource-based policy")),
        (&NINA, other, [None, None, None, Some(user.as_str())], no("identity-based policy")),
        (&NINA, other, [Some(ALL), None, None, Some(user.as_str())], Ok(())),
        (&NINA, other, [Some(ALL), None, None, Some(home.as_str())], Ok(())),
        (&NINA, other, [Some(ALL), Some(NONE), None, Some(home.as_str())], no("permissions boundary")),
        (&alarms, ACCOUNT, [None, None, None, None], no("resource-based policy")),
        (&alarms, ACCOUNT, [None, None, None, Some(service.as_str())], Ok(())),
        (&alarms, ACCOUNT, [None, None, None, Some(everyone.as_str())], Ok(())),
        (&alarms, ACCOUNT, [None, None, None, Some(home.as_str())], no("resource-based policy")),
        (&Principal::Anonymous, ACCOUNT, [None, None, None, Some(everyone.as_str())], Ok(())),
        (
            &Principal::Anonymous,
            ACCOUNT,
            [None, None, None, Some(user.as_str())],
            no("resource-based policy"),
        ),
        (&root, ACCOUNT, [None, None, None, None], Ok(())),
        (&root, other, [None, None, None, None], no("resource-based policy")),
        (&root, other, [None, None, None, Some(home.as_str())], Ok(())),
    ];
    for (i, (principal, account, policies, expected)) in rows.into_iter().enumerate() {
        assert_eq!(publish(principal, account, policies), expected, "row {i}");
    }
}

#[test]
fn leaves_out_of_a_deny_whom_it_names() {
    let but = |who: &str| named(who, "Deny").replace("'Principal'", "'NotPrincipal'");
    let denied = || Err("with an explicit deny in a resource-based policy".to_owned());
    for (principal, who, expected) in [
        (&NINA, USER, Ok(())),
        (&SHIPPING, USER, denied()),
        (&SHIPPING, ROLE, Ok(())),
        (&SHIPPING, SESSION, Ok(())),
        (&NINA, HOME, denied()),
        (&Principal::Root { account: ACCOUNT }, HOME, Ok(())),
        (&Principal::Root { account: ACCOUNT }, USER, denied()),
    ] {
        assert_eq!(publish(principal, ACCOUNT, [Some(ALL), None, None, Some(&but(who))]), expected, "{who}");
    }
}

#[test]
fn a_role_is_assumed_by_whom_its_trust_policy_names() {
    let role = "arn:aws:iam::123456789012:role/agents/shipper";
    let trust = |who: &str| {
        policy(
            PolicyKind::Trust,
            &format!("{{'Effect': 'Allow', 'Principal': {who}, 'Action': 'sts:AssumeRole'}}"),
        )
    };
    let assume = "{'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Resource': '*'}";
    let lambda = Principal::Service { names: &["lambda.amazonaws.com"] };
    for (principal, own, who, expected) in [
        (&NINA, None, USER, true),
        (&NINA, None, HOME, false),
        (&NINA, Some(assume), HOME, true),
        (&NINA, Some(assume), "{'Service': 'lambda.amazonaws.com'}", false),
        (&lambda, None, "{'Service': 'lambda.amazonaws.com'}", true),
    ] {
        let own: Vec<_> = own.map(identity).into_iter().collect();
        let facts = Facts::of(principal, NOW);
        let request = Request { principal, action: "sts:AssumeRole", resource: role, facts: &facts };
        let policies = Policies {
            identity: &own,
            resource: &[trust(who)],
            resource_account: ACCOUNT,
            resource_must_allow: true,
            ..Policies::default()
        };
        assert_eq!(evaluate(&policies, &request).is_allowed(), expected, "{who}");
    }
}

#[test]
fn says_who_may_not_do_what_and_why() {
    let policies = [identity(ALL), identity(&format!("{NONE}, {DENY}"))];
    let facts = Facts::of(&NINA, NOW);
    let request = Request { principal: &NINA, action: "sns:Publish", resource: TOPIC, facts: &facts };
    let all = Policies { identity: &policies, resource_account: ACCOUNT, ..Policies::default() };
    let decision = evaluate(&all, &request);
    let place = StatementPlace { policy: 1, statement: 1, sid: Some("No") };
    assert_eq!(decision, Decision::ExplicitDeny(PolicyType::Identity, place));
    assert_eq!(
        decision.message(&request).unwrap(),
        "User: arn:aws:iam::123456789012:user/audit/nina is not authorized to perform: sns:Publish on resource: \
         arn:aws:sns:us-east-1:123456789012:alarms with an explicit deny in an identity-based policy"
    );
    let none = Policies { resource_account: ACCOUNT, ..Policies::default() };
    assert_eq!(
        evaluate(&none, &request).message(&request).unwrap(),
        "User: arn:aws:iam::123456789012:user/audit/nina is not authorized to perform: sns:Publish on resource: \
         arn:aws:sns:us-east-1:123456789012:alarms because no identity-based policy allows the sns:Publish action"
    );
}

#[test]
fn no_deny_is_escaped_by_length() {
    let deny = "{'Effect': 'Deny', 'Action': '*', 'Resource': '*', 'Condition': {'StringLike': {'k:agent': 'bad*'}}}";
    let policies = [identity(&format!("{ALL}, {deny}"))];
    let all = Policies { identity: &policies, resource_account: ACCOUNT, ..Policies::default() };
    for (agent, expected) in [
        ("good".to_owned(), true),
        ("bad".to_owned(), false),
        (format!("bad{}", "x".repeat(POLICY_SUBJECT_BYTES_MAX)), false),
        ("g".repeat(POLICY_SUBJECT_BYTES_MAX), true),
        ("g".repeat(POLICY_SUBJECT_BYTES_MAX + 1), false),
    ] {
        let mut facts = Facts::of(&NINA, NOW);
        facts.put("k:agent", Fact::Texts(vec!["x".into(), agent.as_str().into()]));
        let request = Request { principal: &NINA, action: "sns:Publish", resource: TOPIC, facts: &facts };
        assert_eq!(evaluate(&all, &request).is_allowed(), expected, "{} bytes", agent.len());
    }
}
