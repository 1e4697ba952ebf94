/*!
How many events a second are read: all fields, five known fields, the number alone, and the whole meaning, against
quick-xml on the same messages. `cargo bench -p nightbell-winevt`; ratios within one run count, not the clock.
*/
#![allow(missing_docs)]
#![allow(clippy::print_stdout, reason = "a benchmark speaks to the terminal")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nightbell_core::fields::{Fields, Selector, Step};
use nightbell_winevt::WindowsEvent;
use nightbell_winevt::evtx::Reader;
use nightbell_winevt::xml::Document;

/// How long each case runs.
const RUN: Duration = Duration::from_secs(1);

fn main() {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/evtx/mixed-server-security.evtx");
    let open = || Reader::open(&file).expect("the file is there");
    let messages: Vec<String> = open().map(|record| record.xml).collect();
    let bytes: usize = messages.iter().map(String::len).sum();
    println!("{} events, {} bytes on average", messages.len(), bytes / messages.len());

    let five = ["EventID", "Keywords", "Computer", "TargetUserName", "IpAddress"];
    let five = five.map(|name| Selector { steps: vec![Step::Name(name.to_owned())] });
    measure("quick-xml, all fields", &messages, |message| {
        Document::read_slowly(message).map_or(0, |document| document.fields().len())
    });
    measure("all fields", &messages, |message| {
        Document::read(message).map_or(0, |document| document.fields().len())
    });
    measure("five fields", &messages, |message| visited(message, &five));
    measure("EventID alone", &messages, |message| visited(message, &five[..1]));
    measure("meaning ($.Audit)", &messages, |message| {
        WindowsEvent::read(message)
            .and_then(|event| event.audit().map(|audit| audit.access.len()))
            .unwrap_or(0)
    });
    measure("line of plain words", &messages, |message| {
        WindowsEvent::read(message).and_then(|event| event.describe()).map_or(0, |line| line.len())
    });
    let began = Instant::now();
    let mut events = 0_u64;
    while began.elapsed() < RUN {
        events += open().map(|record| black_box(record).xml.len().min(1) as u64).sum::<u64>();
    }
    report("EVTX to XML", events, began.elapsed());
}

fn visited(message: &str, selectors: &[Selector]) -> usize {
    let mut found = 0;
    if let Some(event) = WindowsEvent::read(message) {
        for selector in selectors {
            event.visit(selector, &mut |value| {
                black_box(value);
                found += 1;
            });
        }
    }
    found
}

fn measure(name: &str, messages: &[String], mut read: impl FnMut(&str) -> usize) {
    let began = Instant::now();
    let mut events = 0;
    while began.elapsed() < RUN {
        for message in messages {
            black_box(read(black_box(message)));
        }
        events += messages.len() as u64;
    }
    report(name, events, began.elapsed());
}

fn report(name: &str, events: u64, took: Duration) {
    println!("{name:24} {:>10.0} events/s", events as f64 / took.as_secs_f64());
}
