/*!
Windows event XML as hostile text: fields, meaning and the line of words.

The quick reading must give what the slow, obvious one gives, wherever both call the message whole.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::fields::FieldReader;
use nightbell_winevt::xml::Document;
use nightbell_winevt::{DialectReader, WindowsEvent};

fn told<'m>(document: &Document<'m>) -> Vec<(&'m str, &'m str, String)> {
    document.fields().iter().map(|field| (field.name, field.attribute, field.text().into_owned())).collect()
}

fuzz_target!(|input: &[u8]| {
    let Ok(message) = std::str::from_utf8(input) else { return };
    if let Some(event) = WindowsEvent::read(message) {
        let _ = (event.event_id(), event.record_id(), event.computer(), event.channel(), event.time());
    }
    if let Some(fields) = DialectReader.read(message) {
        let _ = (fields.audit().cloned(), fields.describe());
    }
    if let (Some(quick), Some(slow)) = (Document::read(message), Document::read_slowly(message))
        && !quick.is_damaged()
        && !slow.is_damaged()
    {
        assert_eq!(told(&quick), told(&slow));
    }
});
