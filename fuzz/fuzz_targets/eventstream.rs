/*!
Messages of an event stream, in pieces: no bytes panic, and what was read is written as it was.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_wire::eventstream::Decoder;

fuzz_target!(|body: &[u8]| {
    let mut decoder = Decoder::default();
    for piece in body.chunks(7) {
        decoder.push(piece);
        while let Ok(Some(message)) = decoder.message() {
            let mut out = Vec::new();
            message.encode(&mut out).expect("what was read has room in a message");
            let mut again = Decoder::default();
            again.push(&out);
            assert_eq!(again.message(), Ok(Some(message)));
        }
    }
});
