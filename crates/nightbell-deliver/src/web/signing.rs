/*!
The key that signs notifications, and the certificate by which receivers check them.

RSASSA-PKCS1-v1_5 with SHA-1 (version 1) and SHA-256 (version 2), as "Verifying the signatures of Amazon SNS messages" (Amazon SNS
Developer Guide) has it. Where the key is kept is the caller's matter; it signs nothing but notifications, and no `Debug` text shows it.
*/

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::time::Timestamp;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::{self, Signature};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::sha2::{Digest, Sha256};
use rsa::signature::{SignatureEncoding, Signer};
use sha1::Sha1;
use x509_cert::Certificate;
use x509_cert::builder::{Builder, CertificateBuilder, Profile};
use x509_cert::der::asn1::UtcTime;
use x509_cert::der::{DecodePem, Encode, EncodePem};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::{Time, Validity};

/// Bits of the key.
const KEY_BITS: usize = 2_048;
/// What certificate and key are called.
const SUBJECT: &str = "CN=Nightbell notifications";
/// The end of 2049: the last second that a certificate's short form of time can name.
const VALID_UNTIL_S: u64 = 2_524_607_999;

/// How a notification is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureVersion {
    /// With SHA-1, which is what receivers expect of a topic that says nothing.
    #[default]
    One,
    /// With SHA-256.
    Two,
}

impl SignatureVersion {
    /// `1` or `2`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
        }
    }
}

/// Why a key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("the key that signs notifications {0}")]
pub struct SigningError(String);

/// A key with its certificate.
pub struct SigningKey {
    one: pkcs1v15::SigningKey<Sha1>,
    two: pkcs1v15::SigningKey<Sha256>,
    private_pem: String,
    certificate_pem: String,
    path: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, key withheld)", self.path)
    }
}

impl SigningKey {
    /// A new key with a certificate that is good from `now` on. Takes a moment of computing, so it belongs where blocking is allowed.
    ///
    /// # Errors
    ///
    /// The system's random source fails.
    pub fn generate(now: Timestamp) -> Result<Self, SigningError> {
        let failed = |error: &dyn fmt::Display| SigningError(format!("cannot be made: {error}"));
        let key = RsaPrivateKey::new(&mut OsRng, KEY_BITS).map_err(|error| failed(&error))?;
        let certificate = certificate(&key, now).map_err(|error| failed(&error))?;
        Self::of(key, &certificate).map_err(|error| failed(&error))
    }

    /// A key that [`SigningKey::to_pem`] wrote.
    ///
    /// # Errors
    ///
    /// The text is not that, or the certificate is another key's. No error quotes it.
    pub fn from_pem(text: &str) -> Result<Self, SigningError> {
        let damaged =
            || SigningError("is damaged: restore its file, or remove it to have a new key made".to_owned());
        let start = text.find("-----BEGIN CERTIFICATE-----").ok_or_else(damaged)?;
        let (private, certificate) = text.split_at(start);
        let key = RsaPrivateKey::from_pkcs8_pem(private.trim()).map_err(|_| damaged())?;
        let certificate = Certificate::from_pem(certificate.trim()).map_err(|_| damaged())?;
        let public = key.to_public_key().to_public_key_der().map_err(|_| damaged())?;
        let certified =
            certificate.tbs_certificate.subject_public_key_info.to_der().map_err(|_| damaged())?;
        if certified != public.as_bytes() {
            return Err(damaged());
        }
        Self::of(key, &certificate).map_err(|_| damaged())
    }

    /// Key and certificate as PEM, for [`SigningKey::from_pem`]: a secret.
    pub fn to_pem(&self) -> String {
        format!("{}\n{}", self.private_pem.trim_end(), self.certificate_pem)
    }

    /// The certificate as PEM, for everybody.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Where receivers find the certificate: `/SimpleNotificationService-<32 hexadecimal digits>.pem`.
    pub fn certificate_path(&self) -> &str {
        &self.path
    }

    /// The signature over `text`, in base64.
    pub fn sign(&self, version: SignatureVersion, text: &str) -> String {
        let signature = match version {
            SignatureVersion::One => self.one.sign(text.as_bytes()),
            SignatureVersion::Two => self.two.sign(text.as_bytes()),
        };
        STANDARD.encode(signature.to_bytes())
    }

    fn of(key: RsaPrivateKey, certificate: &Certificate) -> Result<Self, x509_cert::der::Error> {
        let private_pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| x509_cert::der::ErrorKind::Failed)?;
        let digest = Sha256::digest(certificate.to_der()?);
        let hash: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            one: pkcs1v15::SigningKey::new(key.clone()),
            two: pkcs1v15::SigningKey::new(key),
            private_pem: private_pem.to_string(),
            certificate_pem: certificate.to_pem(LineEnding::LF)?,
            path: format!("/SimpleNotificationService-{hash}.pem"),
        })
    }
}

/// A certificate of the key for itself.
fn certificate(key: &RsaPrivateKey, now: Timestamp) -> Result<Certificate, Box<dyn std::error::Error>> {
    let signer = pkcs1v15::SigningKey::<Sha256>::new(key.clone());
    let public = key.to_public_key().to_public_key_der()?;
    let since = Duration::from_secs(now.second().max(0).unsigned_abs().min(VALID_UNTIL_S));
    let validity = Validity {
        not_before: Time::UtcTime(UtcTime::from_unix_duration(since)?),
        not_after: Time::UtcTime(UtcTime::from_unix_duration(Duration::from_secs(VALID_UNTIL_S))?),
    };
    let digest = Sha256::digest(public.as_bytes());
    let serial = SerialNumber::new(&[&[1], &digest[..15]].concat())?;
    let subject = Name::from_str(SUBJECT)?;
    let profile = Profile::Leaf {
        issuer: subject.clone(),
        enable_key_agreement: false,
        enable_key_encipherment: false,
    };
    let key_info = SubjectPublicKeyInfoOwned::try_from(public.as_bytes())?;
    let builder = CertificateBuilder::new(profile, serial, validity, subject, key_info, &signer)?;
    Ok(builder.build::<Signature>()?)
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1v15::VerifyingKey;
    use rsa::signature::Verifier;

    use super::*;

    #[test]
    fn a_key_outlives_its_file_and_signs_in_both_versions() {
        let now = Timestamp::from_millis(1_789_364_521_123);
        let made = SigningKey::generate(now).unwrap();
        let key = SigningKey::from_pem(&made.to_pem()).unwrap();
        assert_eq!(key.certificate_path(), made.certificate_path());
        assert_eq!(key.certificate_pem(), made.certificate_pem());
        let hash = key.certificate_path().strip_prefix("/SimpleNotificationService-").unwrap();
        let hash = hash.strip_suffix(".pem").unwrap();
        assert!(hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
        let bytes = |version| {
            let signed = STANDARD.decode(key.sign(version, "text")).unwrap();
            Signature::try_from(signed.as_slice()).unwrap()
        };
        let (one, two) = (bytes(SignatureVersion::One), bytes(SignatureVersion::Two));
        let public = RsaPrivateKey::from_pkcs8_pem(&made.private_pem).unwrap().to_public_key();
        VerifyingKey::<Sha1>::new(public.clone()).verify(b"text", &one).unwrap();
        VerifyingKey::<Sha256>::new(public.clone()).verify(b"text", &two).unwrap();
        assert!(VerifyingKey::<Sha256>::new(public).verify(b"texts", &two).is_err());
        let shown = format!("{key:?}");
        assert!(shown.contains(hash) && !shown.contains("BEGIN"), "{shown}");

        let other = SigningKey::generate(now).unwrap();
        let mixed = format!("{}\n{}", made.private_pem, other.certificate_pem);
        for bad in ["", "-----BEGIN CERTIFICATE-----", made.certificate_pem(), &mixed] {
            let error = SigningKey::from_pem(bad).unwrap_err().to_string();
            assert!(error.contains("is damaged") && !error.contains("BEGIN"), "{error}");
        }
    }
}
