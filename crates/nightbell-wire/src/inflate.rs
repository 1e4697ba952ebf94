/*!
Gzip, inflated no further than a cap.

The one way into a compressed body: the size is checked while inflating, so that a small body cannot become a large one.
*/

use flate2::bufread::MultiGzDecoder;
use std::io::Read as _;

/// How much is inflated between two looks at the cap, in bytes.
const CHUNK_BYTES: usize = 32 * 1024;

/// Why a body was not inflated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InflateError {
    /// The body is larger than `limit` bytes once inflated.
    #[error("inflated body is too large. limit_bytes={limit}")]
    TooLarge {
        /// The cap, in bytes.
        limit: usize,
    },
    /// The body is not gzip, is cut short, or its checksum differs.
    #[error("body is not valid gzip")]
    Broken,
}

/// Inflates gzip (all its members, RFC 1952) into at most `max_bytes` bytes.
///
/// # Errors
/// [`InflateError::TooLarge`] as soon as one byte more comes out, [`InflateError::Broken`] where the input is no gzip.
pub fn gunzip(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, InflateError> {
    let mut decoder = MultiGzDecoder::new(body);
    let mut out = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(out),
            Ok(count) if count > max_bytes - out.len() => {
                return Err(InflateError::TooLarge { limit: max_bytes });
            }
            Ok(count) => out.extend_from_slice(&chunk[..count]),
            Err(_) => return Err(InflateError::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn inflates_up_to_the_cap_and_not_one_byte_more() {
        let plain: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let packed = gzip(&plain);
        assert_eq!(gunzip(&packed, plain.len()).unwrap(), plain);
        let limit = plain.len() - 1;
        assert_eq!(gunzip(&packed, limit), Err(InflateError::TooLarge { limit }));
        assert_eq!(gunzip(&gzip(b""), 0).unwrap(), b"");
        assert_eq!(gunzip(&gzip(b"x"), 0), Err(InflateError::TooLarge { limit: 0 }));
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let packed = gzip(&vec![0; 50_000_000]);
        assert!(packed.len() < 60_000);
        assert_eq!(gunzip(&packed, 1_000_000), Err(InflateError::TooLarge { limit: 1_000_000 }));
    }

    #[test]
    fn several_members_are_one_body() {
        let packed = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(gunzip(&packed, 100).unwrap(), b"one two");
    }

    #[test]
    fn broken_input_is_refused() {
        let packed = gzip(b"a body of some length, to be cut and bent");
        for cut in 0..packed.len() {
            assert_eq!(gunzip(&packed[..cut], 100), Err(InflateError::Broken), "cut at {cut}");
        }
        let mut bent = packed.clone();
        let at = bent.len() - 6;
        bent[at] ^= 1;
        assert_eq!(gunzip(&bent, 100), Err(InflateError::Broken));
        assert_eq!(gunzip(b"plain text", 100), Err(InflateError::Broken));
        assert_eq!(gunzip(&[packed, b"garbage".to_vec()].concat(), 100), Err(InflateError::Broken));
    }
}
