use std::sync::Arc;

use nightbell_store::MemoryStore;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn function() -> Function {
    Function {
        region: "site".into(),
        name: "f".into(),
        version: LATEST.into(),
        runtime: "python3.11".into(),
        handler: "h.handler".into(),
        role: "arn:aws:iam::123456789012:role/r".into(),
        description: String::new(),
        timeout_s: 3,
        memory_mib: 128,
        ephemeral_mib: 512,
        environment: BTreeMap::new(),
        architecture: "x86_64".into(),
        tracing: "PassThrough".into(),
        log_group: None,
        code_sha256: String::new(),
        code_bytes: 0,
        modified: NOW,
        revision: "1".into(),
        tags: BTreeMap::new(),
        reserved: None,
        statements: Vec::new(),
        events: None,
        versions: 0,
    }
}

fn records() -> Records {
    Records::new(Arc::new(MemoryStore::default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn code_goes_when_nothing_runs_on_it() {
    let records = records();
    let there = |function: &Function| code(&records, function).is_ok();
    let first = create(&records, function(), b"one").unwrap();
    let version = publish(&records, "site", "f", None, None).unwrap();
    assert_eq!(version.version, "1");
    assert_eq!(publish(&records, "site", "f", None, None).unwrap().version, "1", "nothing has changed");
    let second = replace_code(&records, "site", "f", None, b"two", NOW).unwrap();
    assert!(there(&first) && there(&second), "version 1 runs on the first");
    let third = replace_code(&records, "site", "f", None, b"three", NOW).unwrap();
    assert!(!there(&second) && there(&third));
    remove(&records, "site", "f", Some("1")).unwrap();
    assert!(!there(&first) && there(&third));
    remove(&records, "site", "f", None).unwrap();
    assert!(!there(&third));
    assert!(all(&records).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_the_revision_it_is_made_to() {
    let records = records();
    let made = create(&records, function(), b"one").unwrap();
    let change = |revision: &str| {
        update(&records, "site", "f", Some(revision), NOW, |function| {
            function.timeout_s = 9;
            Ok(())
        })
    };
    assert!(matches!(change("other"), Err(Refusal::Conflict(_))));
    let changed = change(&made.revision).unwrap_or_else(|_| panic!("the revision is right"));
    assert!(changed.timeout_s == 9 && changed.revision != made.revision);
}

#[test]
fn wrong_configurations_name_the_field() {
    type Change = fn(&mut Function);
    let rows: [(&str, Change); 12] = [
        ("functionName", |f| f.name = "a b".into()),
        ("functionName", |f| f.name = "x".repeat(65)),
        ("runtime", |f| f.runtime = "ruby3.3".into()),
        ("runtime", |f| f.runtime = "nodejs.x".into()),
        ("role", |f| f.role = "arn:aws:iam::1:role/r".into()),
        ("handler", |f| f.handler = String::new()),
        ("timeout", |f| f.timeout_s = 901),
        ("memorySize", |f| f.memory_mib = 127),
        ("architectures", |f| f.architecture = "mips".into()),
        ("environment", |f| {
            f.environment.insert("1A".into(), String::new());
        }),
        ("AWS_REGION", |f| {
            f.environment.insert("AWS_REGION".into(), "x".into());
        }),
        ("environment", |f| {
            f.environment.insert("LONG".into(), "x".repeat(4_096));
        }),
    ];
    assert!(check(&function()).is_ok());
    for (field, change) in rows {
        let mut wrong = function();
        change(&mut wrong);
        match check(&wrong) {
            Err(Refusal::Invalid(text)) => assert!(text.contains(field), "{text}"),
            _ => panic!("{field} is taken"),
        }
    }
}

#[test]
fn an_arn_leads_to_its_function() {
    let arn = "arn:aws:lambda:site:123456789012:function:f";
    assert_eq!(of_arn(arn), Some(("site", "f", None)));
    assert_eq!(of_arn(&format!("{arn}:2")), Some(("site", "f", Some("2"))));
    for wrong in ["f", "arn:aws:sns:site:1:t", &format!("{arn}:2:3"), "arn:aws:lambda:site:1:function:a/b"] {
        assert_eq!(of_arn(wrong), None, "{wrong}");
    }
}
