//! What does this certificate say? X.509 certificates (RFC 5280) as plain facts.
//!
//! Reading only: nothing here judges a certificate, [`crate::chain`] does.

mod facts;
mod fingerprint;

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub use self::facts::BasicConstraints;
pub use self::facts::Extension;
pub use self::facts::Facts;
pub use self::facts::KeyUsage;
pub use self::facts::OID_CLIENT_AUTH;
pub use self::facts::OID_SERVER_AUTH;
pub use self::facts::SubjectAltName;
pub(crate) use self::facts::readable;
pub(crate) use self::facts::subject_alt_name;
pub(crate) use self::facts::system_time;
pub use self::fingerprint::Fingerprint;
pub use self::fingerprint::FingerprintError;

/// One certificate: its exact bytes and what they say.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    facts: Facts,
}

impl Certificate {
    /// Reads one DER certificate with nothing behind it.
    ///
    /// # Errors
    /// When `der` is not one whole X.509 certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (certificate, rest) = Self::first_of(der)?;
        match rest.len() {
            0 => Ok(certificate),
            len => Err(CertificateError::TrailingBytes { len }),
        }
    }

    /// The certificate at the start of `der`, and what follows it.
    fn first_of(der: &[u8]) -> Result<(Self, &[u8]), CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|error| CertificateError::NotX509 {
                reason: error.to_string(),
            })?;
        let facts = facts::facts(&parsed)?;
        let own = der.get(..der.len() - rest.len()).unwrap_or(der);
        let certificate = Self {
            der: own.to_vec(),
            fingerprint: Fingerprint::of(own),
            facts,
        };
        Ok((certificate, rest))
    }

    /// Reads every certificate of a file that is PEM, as [`Self::all_from_pem`] does, or DER: one certificate after
    /// the other, as the SPIFFE Workload API writes them.
    ///
    /// # Errors
    /// Names the first certificate (counting from 1) that is none.
    pub fn all_from_pem_or_der(bytes: &[u8]) -> Result<Vec<Self>, CertificateError> {
        if !is_der(bytes) {
            return Self::all_from_pem(bytes);
        }
        let mut certificates = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (certificate, after) =
                Self::first_of(rest).map_err(|error| CertificateError::Block {
                    number: certificates.len() + 1,
                    source: Box::new(error),
                })?;
            certificates.push(certificate);
            rest = after;
        }
        Ok(certificates)
    }

    /// Reads every `CERTIFICATE` block of `pem`, in order. Text between blocks, CRLF and trailing
    /// white space are fine; other kinds of blocks are skipped. No block at all is an empty list.
    ///
    /// # Errors
    /// Names the first block (counting from 1) that does not hold one certificate, or the line where one starts that
    /// does not end: what is missing may be what matters.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let blocks = pem::parse_many(pem).map_err(|error| CertificateError::NotPem {
            reason: error.to_string(),
        })?;
        if let Some(line) = cut_off(pem) {
            return Err(CertificateError::CutOff { line });
        }
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

/// Whether `bytes` start as DER of more than 127 octets does: no text has such a second octet.
pub(crate) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0xff, ..])
}

/// The line of the first `-----BEGIN` behind all `-----END`; blocks further up that have none are no PEM at all.
fn cut_off(pem: &[u8]) -> Option<usize> {
    let mut markers = pem.windows(END.len());
    let behind = markers.rposition(|part| part == END).unwrap_or(0);
    let mut markers = pem.get(behind..)?.windows(BEGIN.len());
    let begin = behind + markers.position(|part| part == BEGIN)?;
    let above = pem.get(..begin).unwrap_or_default();
    Some(1 + above.iter().filter(|octet| **octet == b'\n').count())
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

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
    /// A PEM file ends in the middle of a block.
    #[error("the block that starts in line {line} has no end")]
    CutOff {
        /// The line of its `-----BEGIN`, counting from 1.
        line: usize,
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
    /// An extension is there more than once (RFC 5280 section 4.2): readers would disagree on which counts.
    #[error("extension {oid} is there more than once (RFC 5280 section 4.2)")]
    Repeated {
        /// Dotted object identifier.
        oid: String,
    },
    /// More bytes follow the certificate.
    #[error("{len} bytes follow the certificate")]
    TrailingBytes {
        /// How many.
        len: usize,
    },
}

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
    fn control_characters_of_names_are_escaped_and_times_before_1970_are_its_start() {
        let mut params = rcgen::CertificateParams::default();
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::CommonName, "a\u{1b}[2J\nb");
        params.not_before = rcgen::date_time_ymd(1960, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let certificate = Certificate::from_der(made.der()).unwrap();
        let facts = certificate.facts();
        assert!(facts.subject.contains("a\\u{1b}[2J\\nb"), "{facts:?}");
        assert_eq!(facts.subject, facts.issuer);
        assert_eq!(facts.not_before, std::time::UNIX_EPOCH);
    }

    #[test]
    fn older_labels_of_certificates_are_known() {
        let pem = root_pem();
        let expected = Certificate::all_from_pem(pem.as_bytes()).unwrap();
        for label in ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
            let pem = pem.replace("CERTIFICATE", label);
            assert_eq!(Certificate::all_from_pem(pem.as_bytes()).unwrap(), expected);
        }
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
    fn a_file_that_ends_in_the_middle_of_a_block_is_refused() {
        let pem = root_pem();
        let cut = pem.split("-----END").next().unwrap();
        for (file, line) in [(cut.to_owned(), 1), (format!("a\n\n{cut}"), 3)] {
            let error = Certificate::all_from_pem(file.as_bytes()).unwrap_err();
            assert_eq!(error, CertificateError::CutOff { line });
        }
        let torn = format!("{pem}{cut}");
        let error = Certificate::all_from_pem(torn.as_bytes()).unwrap_err();
        let line = pem.lines().count() + 1;
        assert_eq!(error, CertificateError::CutOff { line });
        assert!(Certificate::all_from_pem(format!("{cut}{pem}").as_bytes()).is_err());
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
    fn der_certificates_in_a_row_are_read_and_a_bad_one_is_numbered() {
        let one = Certificate::all_from_pem(root_pem().as_bytes())
            .unwrap()
            .remove(0);
        let two = [one.der(), one.der()].concat();
        let read = Certificate::all_from_pem_or_der(&two).unwrap();
        assert_eq!(read, [one.clone(), one.clone()]);
        let cut = &two[..two.len() - 1];
        let error = Certificate::all_from_pem_or_der(cut).unwrap_err();
        assert!(
            matches!(error, CertificateError::Block { number: 2, .. }),
            "{error:?}"
        );
        let pem = format!("0 first\n{}", one.to_pem());
        assert_eq!(
            Certificate::all_from_pem_or_der(pem.as_bytes()).unwrap(),
            [one]
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
}
