use super::*;

fn refused(text: &str, kind: PolicyKind) -> PolicyError {
    match Policy::parse(&text.replace('\'', "\""), kind) {
        Ok(_) => panic!("it is taken: {text}"),
        Err(error) => error,
    }
}

const SYNTAX: &str = "Syntax errors in policy.";
const VENDOR: &str = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";

/// A document, the message, and a word of the detail.
const DOCUMENTS: &[(&str, &str, &str)] = &[
    ("", SYNTAX, "no JSON"),
    ("[]", SYNTAX, "must be an object"),
    ("{'Version': '2012-10-17'}", SYNTAX, "Statement is required"),
    ("{'Version': '2012-10-17', 'Statement': []}", SYNTAX, "at least one member"),
    ("{'Version': '2012-10-17', 'Statement': [1]}", SYNTAX, "Statement[0] must be an object"),
    ("{'Version': '2012-10-17', 'Statements': []}", SYNTAX, "no element \"Statements\""),
    ("{'Version': '2013-10-17', 'Statement': []}", SYNTAX, "Version must be"),
    ("{'Version': '2012-10-17', 'Id': 1, 'Statement': []}", SYNTAX, "Id must be a string"),
    ("{'Version': '2012-10-17', 'Version': '2008-10-17'}", SYNTAX, "stands twice"),
    (
        "{'Statement': {'Effect': 'Allow', 'Action': '*', 'Resource': '*'}}",
        "Policy document must be version 2012-10-17 or greater.",
        "2012-10-17",
    ),
];

/// The same for what stands in one statement.
const STATEMENTS: &[(&str, &str, &str)] = &[
    ("'Action': '*', 'Resource': '*'", SYNTAX, ".Effect"),
    ("'Effect': 'allow', 'Action': '*', 'Resource': '*'", SYNTAX, ".Effect"),
    ("'Effect': 'Allow', 'Effect': 'Deny', 'Action': '*', 'Resource': '*'", SYNTAX, "stands twice"),
    ("'Effect': 'Allow', 'Resource': '*'", "Policy statement must contain actions.", "Action"),
    ("'Effect': 'Allow', 'Action': [], 'Resource': '*'", "Policy statement must contain actions.", "Action"),
    ("'Effect': 'Allow', 'Action': 's3:Get*'", "Policy statement must contain resources.", "Resource"),
    (
        "'Effect': 'Allow', 'Action': '*', 'NotAction': '*', 'Resource': '*'",
        SYNTAX,
        "both Action and NotAction",
    ),
    ("'Effect': 'Allow', 'Action': [1], 'Resource': '*'", SYNTAX, "list of strings"),
    ("'Effect': 'Allow', 'Action': 'GetObject', 'Resource': '*'", VENDOR, "GetObject"),
    (
        "'Effect': 'Allow', 'Action': 's3:a:b', 'Resource': '*'",
        "Actions/Condition can contain only one colon.",
        "",
    ),
    ("'Effect': 'Allow', 'Action': 's_3:Get', 'Resource': '*'", "Vendor s_3 is not valid", ""),
    (
        "'Effect': 'Allow', 'Action': '*', 'Resource': 'bucket'",
        "Resource bucket must be in ARN format or \"*\".",
        "bucket",
    ),
    (
        "'Effect': 'Allow', 'Action': '*', 'Resource': 'arn:moon:s3:::b'",
        "Partition \"moon\" is not valid for resource \"arn:moon:s3:::b\".",
        "",
    ),
    (
        "'Effect': 'Allow', 'Action': '*', 'Resource': 'arn:aws:s*:::b'",
        "Resource vendor must be fully qualified and cannot contain regexes.",
        "",
    ),
    (
        "'Effect': 'Allow', 'Action': '*', 'Resource': 'arn:aws:iam:x:123456789012:user/a'",
        "IAM resource arn:aws:iam:x:123456789012:user/a cannot contain region information.",
        "",
    ),
    (
        "'Effect': 'Allow', 'Principal': '*', 'Action': '*', 'Resource': '*'",
        "Policy document should not specify a principal.",
        "",
    ),
    (
        "'Sid': 'a b', 'Effect': 'Allow', 'Action': '*', 'Resource': '*'",
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
        "a b",
    ),
];

/// The same for the conditions of one.
const CONDITIONS: &[(&str, &str, &str)] = &[
    ("[]", SYNTAX, "Condition must be an object"),
    ("{'Equals': {}}", SYNTAX, "no condition operator"),
    ("{'Bool': {'secure': true}}", VENDOR, "secure"),
    ("{'Bool': {'aws:s': 'yes'}}", SYNTAX, "neither true nor false"),
    ("{'BinaryEquals': {'k:k': 'QQ=='}}", SYNTAX, "binary values"),
    ("{'IpAddress': {'aws:SourceIp': '10.0.0.0/33'}}", SYNTAX, "no IP address"),
    ("{'NumericEquals': {'k:k': 'inf'}}", SYNTAX, "no number"),
    ("{'DateLessThan': {'k:k': 'soon'}}", SYNTAX, "no date"),
    ("{'ArnLike': {'k:k': 'arn:aws:s3'}}", SYNTAX, "six parts"),
    ("{'StringLike': {'k:k': '${aws:x'}}", SYNTAX, "without its"),
    ("{'StringLike': {'k:k': '${aws:x, d}'}}", SYNTAX, "single quotes"),
    ("{'StringLike': {'k:k': null}}", SYNTAX, "list of these"),
    ("{'NullIfExists': {'k:k': true}}", SYNTAX, "Null"),
];

#[test]
fn says_in_the_words_of_iam_what_is_wrong() {
    let check = |text: &str, message: &str, detail: &str| {
        let error = refused(text, PolicyKind::Identity);
        assert_eq!(error.message, message, "{text}");
        assert!(error.detail.contains(detail), "{text}: {error}");
    };
    for (text, message, detail) in DOCUMENTS {
        check(text, message, detail);
    }
    let document = |statement: &str| format!("{{'Version': '2012-10-17', 'Statement': {{{statement}}}}}");
    for (statement, message, detail) in STATEMENTS {
        check(&document(statement), message, detail);
    }
    for (condition, message, detail) in CONDITIONS {
        let statement =
            format!("'Effect': 'Allow', 'Action': '*', 'Resource': '*', 'Condition': {condition}");
        check(&document(&statement), message, detail);
    }
}

#[test]
fn knows_what_each_kind_must_have() {
    let trust =
        |rest: &str| format!("{{'Version': '2008-10-17', 'Statement': [{{'Effect': 'Allow', {rest}}}]}}");
    let good = trust("'Principal': {'Service': 'lambda.amazonaws.com'}, 'Action': 'sts:AssumeRole'");
    assert!(Policy::parse(&good.replace('\'', "\""), PolicyKind::Trust).is_ok());
    let rows = [
        ("'Action': 'sts:AssumeRole'", PolicyKind::Trust, "Missing required field Principal"),
        (
            "'Principal': '*', 'Action': 's3:GetObject'",
            PolicyKind::Trust,
            "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and \
             sts:AssumeRoleWithWebIdentity",
        ),
        (
            "'Principal': '*', 'Action': 'sts:AssumeRole', 'Resource': '*'",
            PolicyKind::Trust,
            "Has prohibited field Resource.",
        ),
        (
            "'Principal': {'AWS': 'nina'}, 'Action': 'sts:AssumeRole'",
            PolicyKind::Trust,
            "Invalid principal in policy: \"AWS\":\"nina\"",
        ),
        (
            "'Principal': {'AWS': 'arn:aws:iam::123456789012:user/*'}, 'Action': 'SNS:Publish'",
            PolicyKind::Resource,
            "Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:user/*\"",
        ),
        ("'Principal': 'me', 'Action': 'SNS:Publish'", PolicyKind::Resource, "Syntax errors in policy."),
        (
            "'Principal': {'Robot': 'me'}, 'Action': 'SNS:Publish'",
            PolicyKind::Resource,
            "Syntax errors in policy.",
        ),
        (
            "'NotPrincipal': {'AWS': '123456789012'}, 'Action': 'SNS:Publish'",
            PolicyKind::Resource,
            "Allow with NotPrincipal is not allowed.",
        ),
    ];
    for (rest, kind, message) in rows {
        assert_eq!(refused(&trust(rest), kind).message, message, "{rest}");
    }
}

#[test]
fn has_limits() {
    let padded = |bytes: usize| {
        let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    assert!(Policy::parse(&padded(POLICY_BYTES_MAX), PolicyKind::Identity).is_ok());
    assert!(Policy::parse(&padded(POLICY_BYTES_MAX + 1), PolicyKind::Identity).is_err());
    let long = |bytes: usize| {
        let action = format!("logs:{}", "x".repeat(bytes - 5));
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#
        )
    };
    assert!(Policy::parse(&long(POLICY_PATTERN_BYTES_MAX), PolicyKind::Identity).is_ok());
    let error = Policy::parse(&long(POLICY_PATTERN_BYTES_MAX + 1), PolicyKind::Identity).unwrap_err();
    assert!(error.detail.contains("2048"), "{error}");
    assert_eq!(counted_chars(" { \"a\" :\n\t1 } "), 7);
    let all = identity("{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}");
    assert!(lets_nina(&all, "s3:GetObject", &"r".repeat(POLICY_SUBJECT_BYTES_MAX)));
    assert!(!lets_nina(&all, "s3:GetObject", &"r".repeat(POLICY_SUBJECT_BYTES_MAX + 1)));
}
