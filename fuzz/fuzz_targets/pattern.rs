/*!
Filter patterns: the first line of the input is a pattern, the rest a message it is held against.

Whatever is accepted must say the same twice, and a column pattern extracts something only from what it matches.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::fields::Subject;
use nightbell_core::pattern::{Caller, Pattern};
use nightbell_winevt::DialectReader;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (source, message) = text.split_once('\n').unwrap_or((text, text));
    match Pattern::parse(source) {
        Ok(pattern) => {
            assert_eq!(pattern.source(), source);
            let subject = Subject::new(message, "stream", &DialectReader);
            let matches = pattern.matches(&subject);
            let again = Pattern::parse(pattern.source()).expect("it was read a moment ago");
            assert_eq!(again.matches(&subject), matches);
            assert!(matches || pattern.extract(&subject).is_empty());
        }
        Err(error) => {
            assert!(!error.message(Caller::MetricFilter).is_empty());
            assert!(!error.message(Caller::LogEvents).is_empty());
        }
    }
});
