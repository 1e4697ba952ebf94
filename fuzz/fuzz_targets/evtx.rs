/*!
Recorded logs: whole EVTX files, damaged at will. Reading ends, and gives no more events than fit into the bytes.
*/
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use nightbell_winevt::evtx::Reader;

/// A record has a header and a copy of its size: no record is smaller.
const RECORD_BYTES_MIN: usize = 28;

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = Reader::new(Cursor::new(input)) else { return };
    let events = reader.by_ref().count();
    assert!(events <= input.len() / RECORD_BYTES_MIN);
    assert!(reader.counts().records <= events as u64);
});
