/*!
When a certificate ends: the one field of X.509 that people forget about. Whether it is to be trusted, TLS decides.

RFC 5280: a certificate is SEQUENCE { SEQUENCE { [0] version, serial, algorithm, issuer, validity, … }, … } in DER, and the
validity SEQUENCE { notBefore, notAfter }, each a UTCTime or a GeneralizedTime. Any bytes may come in.
*/

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::time::Timestamp;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// When the first of some certificates in PEM ends; those that cannot be read are passed over.
pub(super) fn first_end(pem: &[u8]) -> Option<Timestamp> {
    let text = String::from_utf8_lossy(pem);
    let bodies = text.split(BEGIN).skip(1).filter_map(|rest| Some(rest.split_once(END)?.0));
    let ders = bodies.filter_map(|body| {
        STANDARD.decode(body.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>()).ok()
    });
    ders.filter_map(|der| not_after(&der)).min()
}

/// When a certificate in DER ends.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let mut certificate = Der(Der(der).take(SEQUENCE)?);
    let mut signed = Der(certificate.take(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        signed.take(tag)?;
    }
    let mut validity = Der(signed.take(SEQUENCE)?);
    validity.time()?;
    validity.time()
}

/// Values of DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value, if it is of this kind.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&first, rest) = self.0.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7F => (usize::from(length), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7F))?;
                (digits.iter().fold(0_usize, |length, &digit| (length << 8) | usize::from(digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (first == tag).then_some(content)
    }

    fn time(&mut self) -> Option<Timestamp> {
        let tag = *self.0.first()?;
        let text = std::str::from_utf8(self.take(tag)?).ok()?;
        let digits =
            text.strip_suffix('Z').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        // RFC 5280, 4.1.2.5.1: years of two digits from 50 on are of the last century.
        let whole = match (tag, digits.len()) {
            (UTC_TIME, 12) if digits < "50" => format!("20{digits}"),
            (UTC_TIME, 12) => format!("19{digits}"),
            (GENERALIZED_TIME, 14) => digits.to_owned(),
            _ => return None,
        };
        let at = |from: usize, to: usize| &whole[from..to];
        let (day, time) = ((at(0, 4), at(4, 6), at(6, 8)), (at(8, 10), at(10, 12), at(12, 14)));
        Timestamp::parse_iso(&format!("{}-{}-{}T{}:{}:{}Z", day.0, day.1, day.2, time.0, time.1, time.2))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of a throw-away authority, as `openssl req -x509` writes it.
    const PEM: &str = include_str!("../../testdata/authority.pem");

    #[test]
    fn the_end_is_what_openssl_says() {
        let end = Timestamp::parse_iso("2048-10-17T15:59:17Z");
        assert!(end.is_some());
        assert_eq!(first_end(PEM.as_bytes()), end);
        let two = format!("{BEGIN}\nbm90aGluZw==\n{END}\n{PEM}");
        assert_eq!(first_end(two.as_bytes()), end, "what is no certificate is passed over");
        assert_eq!(first_end(b"nothing"), None);
    }

    #[test]
    fn times_are_of_both_kinds() {
        let time = |tag, text: &[u8]| Der(&[&[tag, text.len() as u8], text].concat()).time();
        assert_eq!(time(UTC_TIME, b"491231235959Z"), Timestamp::parse_iso("2049-12-31T23:59:59Z"));
        assert_eq!(time(UTC_TIME, b"500101000000Z"), Timestamp::parse_iso("1950-01-01T00:00:00Z"));
        assert_eq!(time(GENERALIZED_TIME, b"20500101000000Z"), Timestamp::parse_iso("2050-01-01T00:00:00Z"));
        for bad in [&b"491331235959Z"[..], b"49123123595Z", b"4912312359590", b"", b"+91231235959Z"] {
            assert_eq!(time(UTC_TIME, bad), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<usize>()) {
            not_after(&bytes);
            first_end(&bytes);
            let body: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
            let mut der = STANDARD.decode(body).unwrap();
            let at = at % der.len();
            der.splice(at..at, bytes);
            not_after(&der);
        }
    }
}
