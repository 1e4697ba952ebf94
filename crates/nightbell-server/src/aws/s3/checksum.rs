/*!
Checksums of contents: those that S3 knows, worked out while a content comes ("Checking object integrity", Amazon S3 User Guide).
*/

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc, checksum_combine};
use md5::{Digest as _, Md5};
use sha1::Digest as _;
use sha1::Sha1;
use sha2::Sha256;

use crate::manage::buckets::objects::Checksum;

/// What comes before an algorithm's name in headers.
const HEADER: &str = "x-amz-checksum-";

/// A way to work out a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32C,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(super) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32C, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// As requests and records name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32C => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header that carries such a checksum.
    pub(super) fn header(self) -> String {
        format!("{HEADER}{}", self.name().to_ascii_lowercase())
    }

    /// The algorithm of a header.
    pub(super) fn of_header(header: &str) -> Option<Self> {
        header.strip_prefix(HEADER).and_then(Self::named)
    }

    /// The element that carries such a checksum.
    pub(super) fn element(self) -> String {
        format!("Checksum{}", self.name())
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32C => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    fn in_base64(self, crc: u64) -> String {
        match self {
            Self::Crc64Nvme => STANDARD.encode(crc.to_be_bytes()),
            _ => STANDARD.encode((crc as u32).to_be_bytes()),
        }
    }

    /// The checksum of a whole from those of its parts and their lengths; nothing for algorithms that do not allow it, or where a part
    /// has another one.
    pub(super) fn of_whole(self, parts: &[(&Checksum, u64)]) -> Option<String> {
        let algorithm = self.crc()?;
        let mut whole = None;
        for (part, bytes) in parts {
            let sum = STANDARD.decode(&part.value).ok().filter(|_| part.algorithm == self.name())?;
            let sum = sum.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
            whole = Some(whole.map_or(sum, |whole| checksum_combine(algorithm, whole, sum, *bytes)));
        }
        whole.map(|whole| self.in_base64(whole))
    }

    /// The checksum of the checksums of parts, as answers have it: with their number.
    pub(super) fn of_sums(self, parts: &[&Checksum]) -> Option<String> {
        let mut sum = Sum::of(self);
        for part in parts {
            sum.update(&STANDARD.decode(&part.value).ok().filter(|_| part.algorithm == self.name())?);
        }
        Some(format!("{}-{}", sum.finish().value, parts.len()))
    }
}

/// A checksum that is worked out.
pub(super) struct Sum {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc(Box<Crc>),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Sum {
    pub(super) fn of(algorithm: Algorithm) -> Self {
        let state = match (algorithm.crc(), algorithm) {
            (Some(crc), _) => State::Crc(Box::new(Crc::new(crc))),
            (None, Algorithm::Sha1) => State::Sha1(Sha1::new()),
            (None, _) => State::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha1(sha1) => sha1::Digest::update(sha1, bytes),
            State::Sha256(sha256) => sha2::Digest::update(sha256, bytes),
        }
    }

    pub(super) fn finish(self) -> Checksum {
        let value = match self.state {
            State::Crc(crc) => self.algorithm.in_base64(crc.finalize()),
            State::Sha1(sha1) => STANDARD.encode(sha1.finalize()),
            State::Sha256(sha256) => STANDARD.encode(sha2::Digest::finalize(sha256)),
        };
        Checksum { algorithm: self.algorithm.name().to_owned(), value }
    }
}

/// The ETag of a content in parts: the MD5 of their MD5s, and how many they are.
pub(super) fn etag_of_parts<'a>(etags: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = etags.len();
    let mut md5 = Md5::new();
    for etag in etags {
        let digits = etag.as_bytes().chunks_exact(2);
        let bytes = digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        md5::Digest::update(&mut md5, bytes.collect::<Vec<u8>>());
    }
    format!("{}-{count}", hex(&md5::Digest::finalize(md5)))
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}"); // into a text
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, content: &[u8]) -> Checksum {
        let mut sum = Sum::of(algorithm);
        sum.update(content);
        sum.finish()
    }

    /// Check values of the catalogue of CRCs, of RFC 3174 and of FIPS 180.
    #[test]
    fn published_values() {
        for (algorithm, value) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32C, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            assert_eq!(sum(algorithm, b"123456789").value, value, "{algorithm:?}");
            assert_eq!(Algorithm::of_header(&algorithm.header()), Some(algorithm));
        }
    }

    #[test]
    fn parts_come_to_the_sum_of_the_whole() {
        let whole: Vec<u8> = (0..1_000_u32).flat_map(u32::to_le_bytes).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32C, Algorithm::Crc64Nvme] {
            let (a, b) = whole.split_at(1_234);
            let (first, second) = (sum(algorithm, a), sum(algorithm, b));
            let parts = [(&first, a.len() as u64), (&second, b.len() as u64)];
            assert_eq!(algorithm.of_whole(&parts), Some(sum(algorithm, &whole).value), "{algorithm:?}");
        }
        assert_eq!(Algorithm::Sha1.of_whole(&[]), None);
    }

    #[test]
    fn the_etag_of_parts() {
        // MD5 of the MD5s of "a" and "b", by md5sum.
        let etags = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"];
        assert_eq!(etag_of_parts(etags.into_iter()), "96e024ba2074fe77e8e965ba43a704be-2");
    }
}
