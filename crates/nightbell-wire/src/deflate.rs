/*!
gzip for what goes out: payloads of subscriptions, objects and bodies of delivery streams.
*/

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// `bytes` as one gzip member, with neither name nor time: equal bytes give equal members.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4 + 64), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes what is written to it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inflate::gunzip;

    #[test]
    fn what_is_compressed_comes_back() {
        let text = "event ".repeat(10_000);
        let packed = gzip(text.as_bytes());
        assert!(packed.len() < text.len() / 50);
        assert_eq!(gunzip(&packed, text.len()).unwrap(), text.as_bytes());
        assert_eq!(gunzip(&gzip(b""), 1).unwrap(), b"");
        assert_eq!(gzip(b"a"), gzip(b"a"));
    }
}
