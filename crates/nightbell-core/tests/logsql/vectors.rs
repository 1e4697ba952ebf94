//! Queries over a few events, and their rows.

use nightbell_core::fields::{Audit, FieldReader, Fields, Selector, Step, Value};
use nightbell_core::logsql::Statistics;

use super::{Event, ask, feed, query, run_of, shown};

const E1: &str = r#"{"EventID":4625,"user":"ann","ip":"10.0.0.5"}"#;
const E2: &str = r#"{"EventID":4625,"user":"bob","ip":"10.0.0.5"}"#;
const E3: &str = r#"{"EventID":4624,"user":"ann","ip":"10.0.1.9"}"#;
const E4: &str = "plain 4656 secret";
/// 05:42, 05:43, 06:00 and 07:10.
const EVENTS: [Event<'static>; 4] = [(0, E1), (60_000, E2), (1_080_000, E3), (5_280_000, E4)];

/// A name, a query, and its rows.
type Row = (&'static str, &'static str, &'static [&'static str]);

fn check(events: &[Event<'_>], rows: &[Row]) {
    for (name, text, expected) in rows {
        assert_eq!(shown(&ask(text, events)), *expected, "{name}: {text}");
    }
}

#[test]
fn the_vectors_of_the_language() {
    check(
        &EVENTS,
        &[
            ("I01", "fields user | filter EventID = 4625 | sort user", &["user=ann", "user=bob"]),
            (
                "I02",
                "stats count(*) as n by ip | sort n desc",
                &["ip=10.0.0.5 n=2", "n=1", "ip=10.0.1.9 n=1"],
            ),
            ("I03", "filter @message like /4656/ | display @message", &["@message=plain 4656 secret"]),
            (
                "I04",
                r#"filter @message like "4625" | stats count_distinct(user)"#,
                &["count_distinct(user)=2"],
            ),
            (
                "I05",
                "filter EventID in [4624, 4625] | dedup user",
                &[
                    r#"@timestamp=2026-09-14 06:00:00.000 @message={"EventID":4624,"user":"ann","ip":"10.0.1.9"}"#,
                    r#"@timestamp=2026-09-14 05:43:00.000 @message={"EventID":4625,"user":"bob","ip":"10.0.0.5"}"#,
                ],
            ),
            (
                "I06",
                r#"parse @message "plain * *" as id, word | filter ispresent(id) | display id, word"#,
                &["id=4656 word=secret"],
            ),
            ("I07", r#"filter isIpv4InSubnet(ip, "10.0.0.0/24") | stats count(*)"#, &["count(*)=2"]),
            (
                "I08",
                "stats count(*) by bin(1h)",
                &[
                    "bin(1h)=2026-09-14 05:00:00.000 count(*)=2",
                    "bin(1h)=2026-09-14 06:00:00.000 count(*)=1",
                    "bin(1h)=2026-09-14 07:00:00.000 count(*)=1",
                ],
            ),
            ("I09", "fields nosuch", &["", "", "", ""]),
            ("I11, one key is missing and kept", "fields user | dedup user", &["", "user=ann", "user=bob"]),
        ],
    );
    let events = ["2345_", "5A", "111A", "0#", "A", "a12", "3", "01", "0", "#", "!", "@"];
    let events: Vec<Event<'_>> = events.into_iter().map(|text| (0, text)).collect();
    let texts: [String; 12] = ["!", "#", "0#", "5A", "111A", "2345_", "@", "A", "a12", "0", "01", "3"]
        .map(|text| format!("@message={text}"));
    assert_eq!(shown(&ask("fields @message | sort @message", &events)), texts, "I12");
    let down: Vec<String> = texts.iter().rev().cloned().collect();
    assert_eq!(shown(&ask("fields @message | sort @message desc", &events)), down, "I12 down");
}

#[test]
fn rows_are_shown_with_their_pointers() {
    let rows = ask("filter EventID = 4624", &EVENTS);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        rows,
        [vec![pair("@timestamp", "2026-09-14 06:00:00.000"), pair("@message", E3), pair("@ptr", "p000002")]]
    );
    assert_eq!(ask("filter EventID = 4624 | fields @ptr", &EVENTS), [vec![pair("@ptr", "p000002")]]);
    assert_eq!(ask("filter EventID = 4624 | stats count()", &EVENTS), [vec![pair("count()", "1")]]);
    assert_eq!(ask("", &EVENTS).len(), 4);
    assert_eq!(ask("filter EventID = 1 | stats count(*)", &EVENTS), Vec::<Vec<_>>::new());
}

#[test]
fn columns() {
    check(
        &EVENTS[2..3],
        &[
            ("fields of all commands", "fields user | fields ip", &["user=ann ip=10.0.1.9"]),
            ("the last display", "fields user | display ip | display EventID", &["EventID=4624"]),
            (
                "computed",
                "fields EventID + 1 as next, strlen(user) | fields next * 2 as twice",
                &["next=4625 strlen(user)=3 twice=9250"],
            ),
            (
                "the later name counts",
                "fields user as x | fields ip as x | filter x = '10.0.1.9'",
                &["x=10.0.1.9"],
            ),
            ("parsed ones are shown", r#"fields user | parse ip "*.*" as a, b"#, &["user=ann a=10 b=0.1.9"]),
            ("regex with names", r"parse @message /(?<last>\d+)\W*$/ | display last", &["last=9"]),
            (
                "regex with as",
                r#"parse @message /"user":"(\w)(x?)/ as first, second | display first, second"#,
                &["first=a second="],
            ),
            ("groups that are not there", "parse @message /(?<a>ann)|(?<b>bob)/ | display a, b", &["a=ann"]),
            (
                "no match",
                r#"parse @message "nothing *" as a | fields coalesce(a, "none") as b | display a, b"#,
                &["b=none"],
            ),
            ("without a field", r#"parse "*:4624" as a | display a"#, &[r#"a={"EventID""#]),
            (
                "what every event has",
                "fields @logStream, @log, @ingestionTime",
                &["@logStream=stream @log=000000000000:group @ingestionTime=2026-09-14 06:00:00.500"],
            ),
            (
                "comments",
                "# all\nfields user # one | fields ip\n | fields EventID",
                &["user=ann EventID=4624"],
            ),
            ("keywords in any case", "FIELDS user | SORT @timestamp DESC | Limit 1", &["user=ann"]),
            ("a bar in front", "| fields user", &["user=ann"]),
        ],
    );
}

#[test]
fn fields_of_json() {
    let message = r#"{"a":{"b":[{"c":1},{"c":"two"}],"0":"zero"},"x.y":5,"odd name":6,"@at":7,"t":true,"n":null,
        "list":[10,20],"text":"{\"k\":[1,{\"z\":9}]}","é":8}"#;
    check(
        &[(0, message)],
        &[
            ("dots and places", "fields a.b.0.c, a.b.1.c", &["a.b.0.c=1 a.b.1.c=two"]),
            ("brackets", "fields a.b[1].c, list[1]", &["a.b[1].c=two list[1]=20"]),
            ("a number as a name", "fields a.0", &["a.0=zero"]),
            ("a dot in a key", "fields x.y, `x.y` as z", &["x.y=5 z=5"]),
            ("back-ticks", "fields `odd name`, a.`b`.0.c", &["odd name=6 a.b.0.c=1"]),
            ("a key with @", "fields @@at", &["@@at=7"]),
            ("letters of all languages", "fields é", &["é=8"]),
            ("booleans", "filter t = 1 and t = true and t = 'true' and t | fields t", &["t=1"]),
            ("null, objects and lists are nothing", "fields n, a, list, ispresent(n) as p", &["p=0"]),
            (
                "JSON in a text",
                "fields jsonParse(text) as j | display j.k[0], j.k.1.z",
                &["j.k[0]=1 j.k.1.z=9"],
            ),
            ("a list in a text", "fields '[1,{\"a\":2}]' as l | display l[0], l.1.a", &["l[0]=1 l.1.a=2"]),
        ],
    );
}

#[test]
fn conditions() {
    let count = |condition: &str| {
        let rows = ask(&format!("filter {condition} | stats count(*) as n"), &EVENTS);
        rows.first().map_or("0", |row| &row[0].1).parse::<usize>().unwrap()
    };
    let rows = [
        (r#"EventID = "4625""#, 2),
        ("EventID == 4625.0", 2),
        ("EventID != 4625", 1),
        ("not EventID = 4625", 2),
        ("!(EventID = 4625) and user = 'ann'", 1),
        ("EventID < 4625", 1),
        ("EventID <= 4625 and EventID >= 4625", 2),
        ("4624 < EventID", 2),
        ("user > 'ann'", 1),
        ("user = ip", 0),
        ("nosuch = nosuch", 0),
        ("nosuch != 1", 0),
        ("EventID in ['4624', 9]", 1),
        ("EventID in []", 0),
        ("EventID not in [4624]", 2),
        ("nosuch not in [1]", 0),
        ("user like 'nn'", 2),
        ("user like 'ANN'", 0),
        ("user like /(?i)ANN/", 2),
        ("user =~ /^b/", 1),
        ("user =~ '^b'", 1),
        ("user not like /nn/", 1),
        ("nosuch not like /nn/", 0),
        ("@message not like /ann/", 2),
        ("user = 'ann' or user = 'bob' and EventID = 1", 2),
        ("(user = 'ann' or user = 'bob') and EventID = 4625", 2),
        ("EventID % 2 = 0", 1),
        ("@timestamp >= 1789365600000", 2),
        ("@timestamp >= '2026-09-14T06:00:00Z' and @timestamp < '2026-09-14 07:00:00'", 1),
        ("toMillis(@timestamp) >= now() * 1000 - 3600000", 4),
        ("toMillis(@timestamp) > now() * 1000 - 3540000", 2),
        ("@logStream = 'stream'", 4),
        (r"@message like /\/|secret/", 1),
        ("isempty(user)", 1),
    ];
    for (condition, expected) in rows {
        assert_eq!(count(condition), expected, "{condition}");
    }
}

#[test]
fn aggregates() {
    let events: Vec<Event<'_>> = vec![
        (0, r#"{"u":"ann","v":2}"#),
        (1_000, r#"{"u":"bob","v":4}"#),
        (2_000, r#"{"u":"ann","v":"4"}"#),
        (3_000, r#"{"u":"bob","v":5.5}"#),
        (4_000, r#"{"u":"ann","v":"none"}"#),
        (5_000, r#"{"u":"cyd"}"#),
    ];
    let rows: [(&str, &[&str]); 18] = [
        ("count(*) as a, count() as b, count(v) as c", &["a=6 b=6 c=5"]),
        ("count_distinct(v)", &["count_distinct(v)=4"]),
        ("sum(v), avg(v)", &["sum(v)=15.5 avg(v)=3.875"]),
        ("min(v), max(v)", &["min(v)=2 max(v)=5.5"]),
        ("min(u), max(u)", &["min(u)=ann max(u)=cyd"]),
        (
            "min(@timestamp), max(@timestamp)",
            &["min(@timestamp)=2026-09-14 05:42:00.000 max(@timestamp)=2026-09-14 05:42:05.000"],
        ),
        ("pct(v, 50), pct(v, 100)", &["pct(v, 50)=4 pct(v, 100)=5.5"]),
        ("stddev(v * 0)", &["stddev(v * 0)=0"]),
        ("earliest(v), latest(v)", &["earliest(v)=2 latest(v)=none"]),
        ("sortsFirst(v), sortsLast(v)", &["sortsFirst(v)=none sortsLast(v)=5.5"]),
        ("sum(nosuch) as s, count(nosuch) as c", &["c=0"]),
        ("max(v) - min(v) as spread, spread * 2 as twice", &["spread=3.5 twice=7"]),
        ("sum(v) / count(v) as mean by u", &["u=ann mean=2", "u=bob mean=4.75", "u=cyd"]),
        (
            "count(*) by toupper(u) as U | sort count(*) desc, U desc",
            &["U=ANN count(*)=3", "U=BOB count(*)=2", "U=CYD count(*)=1"],
        ),
        ("count(*) as n by bin(2s) | sort bin(2s) desc | limit 1", &["bin(2s)=2026-09-14 05:42:04.000 n=2"]),
        ("count(*) as n by u | filter n > 1 | stats max(n) as most, count(*) as users", &["most=3 users=2"]),
        (
            "count(*) as n by u, v | stats count(*) as values by u | sort values desc | dedup values | limit 5",
            &["u=ann values=3", "u=bob values=2", "u=cyd values=1"],
        ),
        ("count(*) as n by u | fields n * 10 as m | display u, m | sort m desc | limit 1", &["u=ann m=30"]),
    ];
    for (text, expected) in rows {
        assert_eq!(shown(&ask(&format!("stats {text}"), &events)), expected, "{text}");
    }
    let unknown = "stats count(*) as n by u | sort @timestamp desc | display u, @message";
    assert_eq!(shown(&ask(unknown, &events)), ["u=ann", "u=bob", "u=cyd"], "names that groups do not have");
}

#[test]
fn of_equal_values_the_order_of_events_chooses_none() {
    let values = ["1.0", "1", "1e0", "\"01\""].map(|value| format!("{{\"v\":{value}}}"));
    for turn in 0..values.len() {
        let events: Vec<Event<'_>> =
            (0..values.len()).map(|place| (0, values[(place + turn) % values.len()].as_str())).collect();
        let found = shown(&ask("stats min(v), max(v), sortsFirst(v), sortsLast(v)", &events));
        assert_eq!(found, ["min(v)=01 max(v)=01 sortsFirst(v)=01 sortsLast(v)=01"], "from {turn}");
    }
}

#[test]
fn order_and_limit() {
    let events: Vec<Event<'_>> =
        vec![(3, r#"{"a":1,"b":2}"#), (1, r#"{"a":1,"b":1}"#), (2, r#"{"a":2,"b":1}"#), (2, r#"{"b":3}"#)];
    let rows: [(&str, &[&str]); 8] = [
        ("", &["a=1 b=2", "b=3", "a=2 b=1", "a=1 b=1"]),
        ("| sort a, b", &["b=3", "a=1 b=1", "a=1 b=2", "a=2 b=1"]),
        ("| sort a desc, b desc", &["a=2 b=1", "a=1 b=2", "a=1 b=1", "b=3"]),
        ("| sort b | sort a asc", &["b=3", "a=1 b=1", "a=1 b=2", "a=2 b=1"]),
        // Both sums are 3: the newer event stands first.
        ("| sort a + b desc | limit 2", &["a=1 b=2", "a=2 b=1"]),
        ("| limit 1 | sort @timestamp asc", &["a=1 b=1"]),
        ("| limit 3 | limit 2", &["a=1 b=2", "b=3"]),
        ("| sort @timestamp asc | dedup a | limit 2", &["a=1 b=1", "b=3"]),
    ];
    for (text, expected) in rows {
        assert_eq!(shown(&ask(&format!("fields a, b {text}"), &events)), expected, "{text}");
    }
}

#[test]
fn statistics_and_parts_of_a_result() {
    let query = query("filter EventID = 4625 | stats count(*) as n");
    let mut run = run_of(&query);
    assert_eq!(run.rows().unwrap(), Vec::<Vec<_>>::new());
    for (place, event) in EVENTS.iter().enumerate() {
        feed(&mut run, place, *event, &nightbell_core::fields::json::JsonReader).unwrap();
        let seen = ["n=1", "n=2", "n=2", "n=2"][place];
        assert_eq!(shown(&run.rows().unwrap()), [seen]);
    }
    let bytes = EVENTS.iter().map(|(_, message)| message.len() as u64).sum();
    let expected = Statistics { records_matched: 2, records_scanned: 4, bytes_scanned: bytes };
    assert_eq!(run.statistics(), expected);
}

/// A dialect with an event number and an audit view, as readers of Windows events have.
struct Windows;

impl FieldReader for Windows {
    fn read<'m>(&self, _: &'m str) -> Option<Box<dyn Fields + 'm>> {
        let user = Some(r"awscorp\ann".to_owned());
        Some(Box::new(Event4656(Audit {
            user,
            path: vec!["share".into(), "secret".into()],
            ..Audit::default()
        })))
    }
}

struct Event4656(Audit);

impl Fields for Event4656 {
    fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>)) {
        match selector.steps.as_slice() {
            [Step::Name(name), ..] if name == "Audit" => self.0.visit(selector, visit),
            [Step::Name(name)] if name == "EventID" => visit(Value::Number { number: 4656.0, text: "4656" }),
            _ => {}
        }
    }

    fn audit(&self) -> Option<&Audit> {
        Some(&self.0)
    }
}

#[test]
fn windows_events_have_flat_names_and_audit_fields() {
    let query = query(
        "filter EventID = 4656 and Audit.Account = 'ann' | fields Audit.User, Audit.Path.1, Audit.File",
    );
    let mut run = run_of(&query);
    feed(&mut run, 0, (0, "<Event/>"), &Windows).unwrap();
    assert_eq!(shown(&run.rows().unwrap()), [r"Audit.User=awscorp\ann Audit.Path.1=secret"]);
    let subject = nightbell_core::fields::Subject::new("<Event/>", "stream", &Windows);
    let found = nightbell_core::logsql::discover(&subject);
    assert_eq!(found, [("Audit.User".to_owned(), r"awscorp\ann".to_owned())]);
}

#[test]
fn discovered_fields_are_flat_and_few() {
    use nightbell_core::fields::{Subject, json::JsonReader};
    use nightbell_core::logsql::{DISCOVERED_FIELDS_MAX, discover};
    let found = discover(&Subject::new(r#"{"a":{"b":[1,{"c":"x"}]},"@t":true,"n":null}"#, "s", &JsonReader));
    let expected = [("@@t", "1"), ("a.b.0", "1"), ("a.b.1.c", "x")];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let wide: Vec<String> = (0..5_000).map(|n| format!("\"k{n}\":[{n},{n}]")).collect();
    let wide = format!("{{{}}}", wide.join(","));
    assert_eq!(discover(&Subject::new(&wide, "s", &JsonReader)).len(), DISCOVERED_FIELDS_MAX);
    assert!(discover(&Subject::new(&"[".repeat(100_000), "s", &JsonReader)).is_empty());
}
