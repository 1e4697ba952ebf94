/*!
Events per CPU-second through the rule set, at 10, 1,000 and 10,000 patterns, beside a plain loop over the patterns.

The ratios are what counts: the cost of 10,000 patterns should be about that of 10. Text patterns run over Windows event
XML of about 1.5 KB; field patterns run over JSON of the same fields, for the reader of event XML is not in this crate.
*/
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)] // a bench reads clocks and prints

use std::time::Instant;

use nightbell_core::fields::Subject;
use nightbell_core::fields::json::JsonReader;
use nightbell_core::pattern::Pattern;
use nightbell_core::ruleset::{RuleSet, Scratch};

/// Messages made before measuring.
const MESSAGES: usize = 2_000;
/// Folders that events are spread over; one in ten belongs to a pattern when there are 10,000.
const FOLDERS: usize = 100_000;
/// Nanoseconds that one measurement takes at least.
const MEASURED_NS_MIN: u64 = 700_000_000;

/// A name, the messages, and the text of the pattern with a number.
type Form<'m> = (&'static str, &'m [String], fn(usize) -> String);

fn main() {
    let xml: Vec<String> = (0..MESSAGES).map(xml_event).collect();
    let json: Vec<String> = (0..MESSAGES).map(json_event).collect();
    let mean_bytes = |messages: &[String]| messages.iter().map(String::len).sum::<usize>() / messages.len();
    println!("mean message: XML {} bytes, JSON {} bytes", mean_bytes(&xml), mean_bytes(&json));
    println!(
        "{:<34} {:>8} {:>14} {:>14} {:>8} {:>9}",
        "patterns", "count", "set, events/s", "loop, events/s", "ratio", "hits/1000"
    );
    let forms: [Form<'_>; 4] = [
        ("\"4656\" \"secret-0042\"", &xml, |n| format!("\"4656\" \"secret-{n:05}\"")),
        ("{ ID = 4656 && User = \"…\" }", &json, |n| {
            format!("{{ $.EventID = 4656 && $.SubjectUserName = \"user-{n:05}\" }}")
        }),
        ("{ ID = 4656 && Object = \"*…*\" }", &json, |n| {
            format!("{{ $.EventID = 4656 && $.ObjectName = \"*\\\\secret-{n:05}\\\\*\" }}")
        }),
        ("mixed", &json, |n| match n % 3 {
            0 => format!("\"secret-{n:05}\" -\"SYSTEM\""),
            1 => format!("{{ $.SubjectUserName = \"user-{n:05}\" || $.IpAddress = \"10.0.{n}\" }}"),
            _ => format!("{{ $.ObjectName = \"*secret-{n:05}*\" && $.AccessMask != \"0x1\" }}"),
        }),
    ];
    for (name, messages, pattern) in forms {
        for count in [10, 1_000, 10_000] {
            let patterns: Vec<Pattern> =
                (0..count).map(|n| Pattern::parse(&pattern(n * FOLDERS / 10 / count)).unwrap()).collect();
            row(name, messages, &patterns);
        }
    }
}

fn row(name: &str, messages: &[String], patterns: &[Pattern]) {
    let rules = RuleSet::new((0..).zip(patterns.iter().cloned()));
    let mut scratch = Scratch::new();
    let mut hits = 0_u64;
    let (events, ns) = measure(messages, |subject| rules.hits(subject, &mut scratch, &mut |_| hits += 1));
    let mut loop_hits = 0_u64;
    let (loop_events, loop_ns) = measure(messages, |subject| {
        loop_hits += patterns.iter().filter(|pattern| pattern.matches(subject)).count() as u64;
    });
    let rate = |events: u64, ns: u64| events as f64 * 1e9 / ns as f64;
    let (set, plain) = (rate(events, ns), rate(loop_events, loop_ns));
    let per_thousand = hits as f64 * 1e3 / events as f64;
    println!(
        "{name:<34} {:>8} {set:>14.0} {plain:>14.0} {:>8.1} {per_thousand:>9.1}",
        patterns.len(),
        set / plain
    );
}

/// Runs `each` over the messages in turn until enough time has passed: events, and nanoseconds of CPU.
fn measure(messages: &[String], mut each: impl FnMut(&Subject<'_>)) -> (u64, u64) {
    let origin = Instant::now();
    let start = cpu_ns(origin);
    let mut events = 0;
    for chunk in messages.chunks(50).cycle() {
        for message in chunk {
            each(&Subject::new(message, "stream", &JsonReader));
        }
        events += chunk.len() as u64;
        let ns = cpu_ns(origin) - start;
        if ns > MEASURED_NS_MIN {
            return (events, ns);
        }
    }
    unreachable!("the messages are cycled")
}

/// CPU time of this thread where Linux tells it, else time since `origin`.
fn cpu_ns(origin: Instant) -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    told.unwrap_or_else(|| origin.elapsed().as_nanos() as u64)
}

/// A number that looks random and is the same in every run.
fn spread(n: usize, modulus: usize) -> usize {
    (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17) % modulus
}

fn members(n: usize) -> Vec<(&'static str, String)> {
    let folder = spread(n, FOLDERS);
    vec![
        ("SubjectUserSid", format!("S-1-5-21-3457937927-2839227994-823803824-{}", 1_000 + n)),
        ("SubjectUserName", format!("user-{:05}", spread(n + 7, FOLDERS))),
        ("SubjectDomainName", "AWSCORP".to_owned()),
        ("SubjectLogonId", format!("0x{:x}", 0x3e7_0000 + n)),
        ("ObjectServer", "Security".to_owned()),
        ("ObjectType", "File".to_owned()),
        (
            "ObjectName",
            format!(r"\Device\HarddiskVolume16\share\secret-{folder:05}\roadmap_{n}_do_not_share.doc"),
        ),
        ("HandleId", format!("0x{n:x}")),
        ("TransactionId", "{00000000-0000-0000-0000-000000000000}".to_owned()),
        ("AccessList", "%%1541 %%4416 %%4423".to_owned()),
        (
            "AccessReason",
            "%%1541: %%1801 D:(A;;FA;;;BA) %%4416: %%1805 %%4423: %%1811 D:(A;OICI;FA;;;BA)".to_owned(),
        ),
        ("AccessMask", "0x120089".to_owned()),
        ("PrivilegeList", "-".to_owned()),
        ("RestrictedSidCount", "0".to_owned()),
        ("ProcessId", "0x4".to_owned()),
        ("ProcessName", r"C:\Windows\System32\svchost.exe".to_owned()),
        ("ResourceAttributes", "S:AI".to_owned()),
    ]
}

fn event_id(n: usize) -> usize {
    if n.is_multiple_of(4) { 4663 } else { 4656 }
}

fn xml_event(n: usize) -> String {
    let fields: String =
        members(n).iter().map(|(name, value)| format!("<Data Name='{name}'>{value}</Data>")).collect();
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-Security-Auditing' Guid='{{54849625-5478-4994-A5BA-3E3B0328C30D}}'/>\
         <EventID>{}</EventID><Version>1</Version><Level>0</Level><Task>12800</Task><Opcode>0</Opcode>\
         <Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2026-09-14T05:42:01.{n:07}Z'/>\
         <EventRecordID>{}</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='5304'/>\
         <Channel>Security</Channel><Computer>amznfsxgyzohmw8.awscorp.example</Computer><Security/></System>\
         <EventData>{fields}</EventData></Event>",
        event_id(n),
        294_054 + n,
    )
}

fn json_event(n: usize) -> String {
    let mut object = serde_json::Map::new();
    object.insert("EventID".to_owned(), event_id(n).into());
    object.insert("Channel".to_owned(), "Security".into());
    object.insert("Computer".to_owned(), "amznfsxgyzohmw8.awscorp.example".into());
    object.insert("Keywords".to_owned(), "0x8010000000000000".into());
    object.extend(members(n).into_iter().map(|(name, value)| (name.to_owned(), value.into())));
    object.insert("Message".to_owned(), "A handle to an object was requested. ".repeat(9).into());
    serde_json::Value::Object(object).to_string()
}
