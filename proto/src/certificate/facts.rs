//! What does a certificate say of itself? RFC 5280 section 4, read with x509-parser.

use std::net::IpAddr;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::CertificateError;

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
    /// The subject for people to read, its control characters escaped.
    pub subject: String,
    /// DER of the issuer's `Name`.
    pub issuer_der: Vec<u8>,
    /// The issuer for people to read, its control characters escaped.
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
    /// May agree on keys (Diffie-Hellman).
    pub key_agreement: bool,
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
    /// uniformResourceIdentifier entries; U+FFFD stands for octets that are no UTF-8.
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

impl SubjectAltName {
    /// Every URI, DNS name and IP address, as text.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let addresses = self.ip_addresses.iter().map(ToString::to_string);
        let names = self.uris.iter().chain(&self.dns_names).cloned();
        names.chain(addresses).collect()
    }
}

pub(super) fn facts(parsed: &X509Certificate<'_>) -> Result<Facts, CertificateError> {
    let tbs = &parsed.tbs_certificate;
    let mut facts = Facts {
        version: tbs.version.0 + 1,
        serial: tbs.raw_serial().to_vec(),
        subject_der: tbs.subject.as_raw().to_vec(),
        subject: readable(&tbs.subject.to_string()),
        issuer_der: tbs.issuer.as_raw().to_vec(),
        issuer: readable(&tbs.issuer.to_string()),
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
        if facts.extensions.iter().any(|seen| seen.oid == oid) {
            return Err(CertificateError::Repeated { oid });
        }
        let whole = Any::from_der(extension.value).is_ok_and(|(rest, _)| rest.is_empty());
        if is_read(extension.parsed_extension()) && !whole {
            return Err(CertificateError::Extension { oid });
        }
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

/// Whether the extension's content is read here, so that bytes behind it would be read by others only.
fn is_read(extension: &ParsedExtension<'_>) -> bool {
    !matches!(extension, ParsedExtension::UnsupportedExtension { .. })
}

/// `text` in one line: whoever writes a name into a certificate must not write lines into a log or colours onto a
/// terminal.
pub(crate) fn readable(text: &str) -> String {
    text.chars().fold(String::new(), |mut line, c| {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
        line
    })
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
                key_agreement: value.key_agreement(),
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

pub(crate) fn subject_alt_name(names: &[GeneralName<'_>], critical: bool) -> SubjectAltName {
    let mut san = SubjectAltName {
        critical,
        ..SubjectAltName::default()
    };
    for name in names {
        match name {
            GeneralName::URI(uri) => san.uris.push((*uri).to_owned()),
            GeneralName::DNSName(name) => san.dns_names.push((*name).to_owned()),
            // Whoever counts URIs must count those that are no text.
            GeneralName::Invalid(Tag(6), octets) => {
                san.uris.push(String::from_utf8_lossy(octets).into_owned());
            }
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

pub(crate) fn system_time(time: ASN1Time) -> SystemTime {
    match u64::try_from(time.timestamp()) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds),
        Err(_before_1970) => UNIX_EPOCH,
    }
}

/// id-kp-serverAuth (RFC 5280 section 4.2.1.12).
pub const OID_SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// id-kp-clientAuth (RFC 5280 section 4.2.1.12).
pub const OID_CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
