/*!
Prefixes of objects: a line each for prefix, error prefix, time zone and an instant in milliseconds.

What is accepted makes keys whose prefixes stay inside their limit at any time.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::object_key::{EVALUATED_PREFIX_CHARS_MAX, ErrorOutput, Object, ObjectKeys};
use nightbell_core::time::Timestamp;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let (prefix, error_prefix, zone) = (lines.next(), lines.next(), lines.next());
    let arrived = lines.next().and_then(|ms| ms.parse().ok()).unwrap_or(1_790_000_000_000_i64);
    let Ok(keys) = ObjectKeys::parse(prefix, error_prefix, zone) else { return };
    for ms in [arrived, i64::MIN, i64::MAX] {
        let arrived = Timestamp::from_millis(ms);
        let object = Object {
            stream: "s",
            version: 1,
            arrived,
            id: "0f8fad5b-d9cb-469f-a165-70867728950e",
            extension: "",
        };
        let suffix = "s-1-2026-09-21-13-33-20-".len() + object.id.len();
        for key in [keys.delivered(&object), keys.failed(&object, ErrorOutput::OpenSearch)] {
            assert!(key.ends_with(object.id));
            assert!(key.chars().count() <= EVALUATED_PREFIX_CHARS_MAX + suffix);
        }
    }
});
