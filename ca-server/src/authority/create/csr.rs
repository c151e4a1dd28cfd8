//! How is a corporate CA asked for an issuing CA? A key and a PKCS#10 request (RFC 2986), and what to tell its people.

use std::path::Path;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::KeyUsagePurpose;
use serde::Serialize;
use zeroize::Zeroizing;

use super::CreateError;
use super::KEY_FILE;
use super::KeyType;
use super::Subject;
use super::place::Place;
use crate::authority::ca_certificate::MakeError;
use crate::authority::ca_certificate::distinguished_name;
use crate::x509::Csr;

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeCsr {
    /// Kind and size of the key.
    pub key: String,
    /// The request itself.
    pub pem: String,
}

/// Makes a key and a request for a CA certificate in `out`: [`CSR_FILE`] and [`KEY_FILE`] (mode 0600).
///
/// # Errors
/// `out` is as it was.
pub fn csr(out: &Path, subject: &Subject, key_type: KeyType) -> Result<MadeCsr, CreateError> {
    let place = Place::begin(out)?;
    let key = key_type.generate().map_err(MakeError::Encode)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(subject.organization(), subject.common_name());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let request = params.serialize_request(&key).map_err(MakeError::Encode)?;
    let pem = request.pem().map_err(MakeError::Encode)?;
    let pem = pem.replace("\r\n", "\n");
    let read_back = Csr::from_pem(&pem)?;
    let key_pem = Zeroizing::new(key.serialize_pem());
    place.write(KEY_FILE, key_pem.as_bytes(), 0o600)?;
    place.write(CSR_FILE, &pem, 0o644)?;
    place.put()?;
    Ok(MadeCsr {
        key: read_back.public_key().kind().to_string(),
        pem,
    })
}

/// One thing that a CA has to put into the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// The field.
    pub field: &'static str,
    /// What it must say.
    pub value: &'static str,
}

/// What the corporate CA must set, since many ignore what a request asks for.
pub const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        field: "basicConstraints",
        value: "critical, CA:TRUE, pathlen:0",
    },
    Requirement {
        field: "keyUsage",
        value: "critical, keyCertSign and cRLSign",
    },
    Requirement {
        field: "subjectKeyIdentifier",
        value: "present",
    },
    Requirement {
        field: "authorityKeyIdentifier",
        value: "present, the key identifier of the CA that signs",
    },
    Requirement {
        field: "extendedKeyUsage",
        value: "absent, or both serverAuth and clientAuth",
    },
    Requirement {
        field: "nameConstraints",
        value: "absent: leaves carry spiffe:// URIs, and rustls-based peers refuse constraints on them",
    },
    Requirement {
        field: "signature",
        value: "SHA-256 or SHA-384, by RSA of 2048 bits or more, P-256 or P-384",
    },
    Requirement {
        field: "validity",
        value: "a year or more: no leaf outlives it",
    },
];

/// The file with the request.
pub const CSR_FILE: &str = "ca.csr";
