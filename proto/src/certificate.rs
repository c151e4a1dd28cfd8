//! What does this certificate say? X.509 certificates (RFC 5280) as plain facts.
//!
//! Reading only: nothing here judges a certificate, [`crate::chain`] does.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// SHA-256 of some DER: a certificate's, or a public key's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Hashes `der`.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As `openssl x509 -fingerprint` prints it: upper-case hex with colons.
    #[must_use]
    pub fn with_colons(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }
}

impl From<[u8; 32]> for Fingerprint {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Accepts 64 hex digits in either case, with or without colons.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u32> = text
            .trim()
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).ok_or(FingerprintError))
            .collect::<Result<_, _>>()?;
        if digits.len() != 64 {
            return Err(FingerprintError);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = pair.iter().fold(0, |value, digit| value * 16 + digit);
            *byte = u8::try_from(value).map_err(|_out_of_range| FingerprintError)?;
        }
        Ok(Self(bytes))
    }
}

/// The text is not a SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint is 64 hex digits, with or without colons")]
pub struct FingerprintError;

/// One certificate: its exact bytes and what they say.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    facts: Facts,
}

/// What a certificate says of itself (RFC 5280 section 4). Names and keys are raw DER, so that they
/// can be copied and compared byte for byte.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// The X.509 version as people count it: 3 for everything of use here.
    pub version: u32,
    /// Content octets of the serial number's INTEGER.
    pub serial: Vec<u8>,
    /// DER of the subject's `Name`.
    pub subject_der: Vec<u8>,
    /// The subject for people to read.
    pub subject: String,
    /// DER of the issuer's `Name`.
    pub issuer_der: Vec<u8>,
    /// The issuer for people to read.
    pub issuer: String,
    /// DER of the `SubjectPublicKeyInfo`.
    pub spki_der: Vec<u8>,
    /// First second of validity.
    pub not_before: SystemTime,
    /// Last second of validity.
    pub not_after: SystemTime,
    /// Object identifier of the signature's algorithm, dotted.
    pub signature_algorithm: String,
    /// basicConstraints, where present.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage, where present.
    pub key_usage: Option<KeyUsage>,
    /// Dotted object identifiers of extendedKeyUsage, where present.
    pub extended_key_usage: Option<Vec<String>>,
    /// subjectKeyIdentifier's value, where present.
    pub subject_key_id: Option<Vec<u8>>,
    /// authorityKeyIdentifier's keyIdentifier, where present.
    pub authority_key_id: Option<Vec<u8>>,
    /// subjectAltName, where present.
    pub subject_alt_name: Option<SubjectAltName>,
    /// Whether nameConstraints is present.
    pub has_name_constraints: bool,
    /// Dotted object identifiers of all extensions with their criticality, in order.
    pub extensions: Vec<Extension>,
}

/// One extension, as far as every extension goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Dotted object identifier.
    pub oid: String,
    /// Whether a reader who does not know it must refuse the certificate.
    pub critical: bool,
}

/// basicConstraints (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether the subject is a CA.
    pub ca: bool,
    /// How many CA certificates may follow before the leaf.
    pub path_len: Option<u32>,
    /// Whether the extension is critical.
    pub critical: bool,
}

/// keyUsage (RFC 5280 section 4.2.1.3), as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// May sign what is not a certificate or CRL: TLS handshakes.
    pub digital_signature: bool,
    /// May carry keys (RSA key exchange).
    pub key_encipherment: bool,
    /// May sign certificates.
    pub key_cert_sign: bool,
    /// May sign CRLs.
    pub crl_sign: bool,
    /// Whether the extension is critical.
    pub critical: bool,
}

/// subjectAltName (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectAltName {
    /// uniformResourceIdentifier entries.
    pub uris: Vec<String>,
    /// dNSName entries.
    pub dns_names: Vec<String>,
    /// iPAddress entries.
    pub ip_addresses: Vec<IpAddr>,
    /// How many entries are of other kinds.
    pub others: usize,
    /// Whether the extension is critical.
    pub critical: bool,
}

impl Certificate {
    /// Reads one DER certificate with nothing behind it.
    ///
    /// # Errors
    /// When `der` is not one whole X.509 certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|error| CertificateError::NotX509 {
                reason: error.to_string(),
            })?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes { len: rest.len() });
        }
        Ok(Self {
            der: der.to_vec(),
            fingerprint: Fingerprint::of(der),
            facts: facts(&parsed)?,
        })
    }

    /// Reads every `CERTIFICATE` block of `pem`, in order. Text between blocks, CRLF and trailing
    /// white space are fine; other kinds of blocks are skipped. No block at all is an empty list.
    ///
    /// # Errors
    /// Names the first block (counting from 1) that does not hold one certificate.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let blocks = pem::parse_many(pem).map_err(|error| CertificateError::NotPem {
            reason: error.to_string(),
        })?;
        blocks
            .iter()
            .filter(|block| {
                matches!(
                    block.tag(),
                    "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE"
                )
            })
            .enumerate()
            .map(|(index, block)| {
                Self::from_der(block.contents()).map_err(|error| CertificateError::Block {
                    number: index + 1,
                    source: Box::new(error),
                })
            })
            .collect()
    }

    /// The exact bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// One PEM block: LF line ends, 64 columns, a newline at the end, as openssl writes it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.clone()), config)
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What the certificate says.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether subject and issuer are the same name; says nothing of the signature.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.facts.subject_der == self.facts.issuer_der
    }

    /// Whether basicConstraints says CA:TRUE.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.facts
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// Whether `now` is within the validity, both ends included (RFC 5280 section 4.1.2.5).
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        // A certificate is good during the whole of its last second.
        self.facts.not_before <= now && now < self.facts.not_after + Duration::from_secs(1)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.facts.subject)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Why some bytes are not a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// One block of a PEM file is bad.
    #[error("certificate {number} of the file")]
    Block {
        /// Position among the file's certificates, counting from 1.
        number: usize,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// An extension's content is not what its identifier promises.
    #[error("extension {oid} does not parse")]
    Extension {
        /// Dotted object identifier.
        oid: String,
    },
    /// The file is not PEM.
    #[error("not PEM: {reason}")]
    NotPem {
        /// The PEM reader's words.
        reason: String,
    },
    /// The bytes are not a DER certificate.
    #[error("not an X.509 certificate: {reason}")]
    NotX509 {
        /// The DER reader's words.
        reason: String,
    },
    /// More bytes follow the certificate.
    #[error("{len} bytes follow the certificate")]
    TrailingBytes {
        /// How many.
        len: usize,
    },
}

fn facts(parsed: &X509Certificate<'_>) -> Result<Facts, CertificateError> {
    let tbs = &parsed.tbs_certificate;
    let mut facts = Facts {
        version: tbs.version.0 + 1,
        serial: tbs.raw_serial().to_vec(),
        subject_der: tbs.subject.as_raw().to_vec(),
        subject: tbs.subject.to_string(),
        issuer_der: tbs.issuer.as_raw().to_vec(),
        issuer: tbs.issuer.to_string(),
        spki_der: tbs.subject_pki.raw.to_vec(),
        not_before: system_time(tbs.validity.not_before),
        not_after: system_time(tbs.validity.not_after),
        signature_algorithm: parsed.signature_algorithm.algorithm.to_id_string(),
        basic_constraints: None,
        key_usage: None,
        extended_key_usage: None,
        subject_key_id: None,
        authority_key_id: None,
        subject_alt_name: None,
        has_name_constraints: false,
        extensions: Vec::new(),
    };
    for extension in tbs.extensions() {
        let oid = extension.oid.to_id_string();
        note_extension(
            &mut facts,
            extension.parsed_extension(),
            extension.critical,
            &oid,
        )?;
        facts.extensions.push(Extension {
            oid,
            critical: extension.critical,
        });
    }
    Ok(facts)
}

fn note_extension(
    facts: &mut Facts,
    extension: &ParsedExtension<'_>,
    critical: bool,
    oid: &str,
) -> Result<(), CertificateError> {
    match extension {
        ParsedExtension::BasicConstraints(value) => {
            facts.basic_constraints = Some(BasicConstraints {
                ca: value.ca,
                path_len: value.path_len_constraint,
                critical,
            });
        }
        ParsedExtension::KeyUsage(value) => {
            facts.key_usage = Some(KeyUsage {
                digital_signature: value.digital_signature(),
                key_encipherment: value.key_encipherment(),
                key_cert_sign: value.key_cert_sign(),
                crl_sign: value.crl_sign(),
                critical,
            });
        }
        ParsedExtension::ExtendedKeyUsage(value) => {
            facts.extended_key_usage = Some(extended_key_usage(value));
        }
        ParsedExtension::SubjectKeyIdentifier(value) => {
            facts.subject_key_id = Some(value.0.to_vec());
        }
        ParsedExtension::AuthorityKeyIdentifier(value) => {
            facts.authority_key_id = value.key_identifier.as_ref().map(|id| id.0.to_vec());
        }
        ParsedExtension::SubjectAlternativeName(value) => {
            facts.subject_alt_name = Some(subject_alt_name(&value.general_names, critical));
        }
        ParsedExtension::NameConstraints(_) => facts.has_name_constraints = true,
        ParsedExtension::ParseError { .. } => {
            return Err(CertificateError::Extension {
                oid: oid.to_owned(),
            });
        }
        _ => {}
    }
    Ok(())
}

fn extended_key_usage(value: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> Vec<String> {
    let named = [
        (value.any, "2.5.29.37.0"),
        (value.server_auth, OID_SERVER_AUTH),
        (value.client_auth, OID_CLIENT_AUTH),
        (value.code_signing, "1.3.6.1.5.5.7.3.3"),
        (value.email_protection, "1.3.6.1.5.5.7.3.4"),
        (value.time_stamping, "1.3.6.1.5.5.7.3.8"),
        (value.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let named = named
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, oid)| oid.to_owned());
    named
        .chain(
            value
                .other
                .iter()
                .map(x509_parser::der_parser::Oid::to_id_string),
        )
        .collect()
}

fn subject_alt_name(names: &[GeneralName<'_>], critical: bool) -> SubjectAltName {
    let mut san = SubjectAltName {
        critical,
        ..SubjectAltName::default()
    };
    for name in names {
        match name {
            GeneralName::URI(uri) => san.uris.push((*uri).to_owned()),
            GeneralName::DNSName(name) => san.dns_names.push((*name).to_owned()),
            GeneralName::IPAddress(octets) => match ip_address(octets) {
                Some(address) => san.ip_addresses.push(address),
                None => san.others += 1,
            },
            _ => san.others += 1,
        }
    }
    san
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_not_v4| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn system_time(time: ASN1Time) -> SystemTime {
    match u64::try_from(time.timestamp()) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds),
        Err(_before_1970) => UNIX_EPOCH,
    }
}

/// id-kp-serverAuth (RFC 5280 section 4.2.1.12).
pub const OID_SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// id-kp-clientAuth (RFC 5280 section 4.2.1.12).
pub const OID_CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

#[cfg(test)]
mod tests {
    use super::*;

    fn root_pem() -> String {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_certificate_says_what_was_put_in() {
        let certificate = Certificate::all_from_pem(root_pem().as_bytes())
            .unwrap()
            .remove(0);
        let facts = certificate.facts();
        assert_eq!(facts.version, 3);
        assert!(certificate.is_ca() && certificate.is_self_issued());
        assert_eq!(facts.basic_constraints.unwrap().path_len, Some(0));
        assert!(facts.key_usage.unwrap().key_cert_sign);
        assert!(!facts.key_usage.unwrap().crl_sign);
    }

    #[test]
    fn crlf_comments_and_white_space_between_blocks_are_fine() {
        let pem = root_pem();
        let messy = format!(
            "# a comment\r\n{}\r\n \t\nsubject=CN\n{pem}\n\n",
            pem.replace('\n', "\r\n")
        );
        let certificates = Certificate::all_from_pem(messy.as_bytes()).unwrap();
        assert_eq!(certificates.len(), 2);
        assert_eq!(certificates[0], certificates[1]);
    }

    #[test]
    fn a_bad_block_is_named_by_its_number() {
        let bad = pem::encode(&pem::Pem::new("CERTIFICATE", vec![0x30, 0x00]));
        let error =
            Certificate::all_from_pem(format!("{}{bad}", root_pem()).as_bytes()).unwrap_err();
        assert!(
            matches!(error, CertificateError::Block { number: 2, .. }),
            "{error:?}"
        );
    }

    #[test]
    fn bytes_behind_a_certificate_are_refused() {
        let mut der = Certificate::all_from_pem(root_pem().as_bytes()).unwrap()[0]
            .der()
            .to_vec();
        der.push(0);
        let error = Certificate::from_der(&der).unwrap_err();
        assert_eq!(error, CertificateError::TrailingBytes { len: 1 });
    }

    #[test]
    fn a_fingerprint_reads_back_in_both_of_its_forms() {
        let fingerprint = Fingerprint::of(b"abc");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(fingerprint.with_colons().parse(), Ok(fingerprint));
        assert_eq!("ab".parse::<Fingerprint>(), Err(FingerprintError));
        assert_eq!(
            "zz".repeat(32).parse::<Fingerprint>(),
            Err(FingerprintError)
        );
    }
}
