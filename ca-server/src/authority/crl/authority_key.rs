//! Which key does a list say that it is signed with? (RFC 5280 section 5.2.1)
//!
//! OpenSSL and Envoy use a list only with a CA certificate that is all that this extension says. A list of the right
//! key that says another thing is as good as none to them, so that they refuse everybody.

use std::fmt;

use proto::certificate::Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER;
use x509_parser::revocation_list::CertificateRevocationList;

use super::CrlError;

/// What the extension says of the CA's certificate; nothing where it is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AuthorityKey {
    key_id: Option<Vec<u8>>,
    /// DER of the name.
    issuer: Option<Vec<u8>>,
    /// Content octets of the INTEGER.
    serial: Option<Vec<u8>>,
}

impl AuthorityKey {
    pub(super) fn of(list: &CertificateRevocationList<'_>) -> Result<Self, CrlError> {
        let mut extensions = list.extensions().iter();
        let extension = extensions.find(|one| one.oid == OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER);
        let Some(extension) = extension else {
            return Ok(Self::default());
        };
        let ParsedExtension::AuthorityKeyIdentifier(said) = extension.parsed_extension() else {
            return Err(CrlError::AuthorityKey);
        };
        let names = said.authority_cert_issuer.iter().flatten();
        let mut names = names.filter_map(|name| match name {
            GeneralName::DirectoryName(name) => Some(name.as_raw().to_vec()),
            _ => None,
        });
        Ok(Self {
            key_id: said.key_identifier.as_ref().map(|id| id.0.to_vec()),
            issuer: names.next(),
            serial: said.authority_cert_serial.map(<[u8]>::to_vec),
        })
    }

    /// What of it is not so of `ca`. A certificate without a key identifier has any.
    pub(super) fn mismatch(&self, ca: &Certificate) -> Option<Mismatch> {
        let facts = ca.facts();
        let other = |said: &Option<Vec<u8>>, real: &[u8]| said.clone().filter(|it| it != real);
        let key_id = facts.subject_key_id.as_deref();
        let key_id = key_id.and_then(|real| other(&self.key_id, real));
        let serial = other(&self.serial, &facts.serial);
        let issuer = other(&self.issuer, &facts.issuer_der);
        key_id
            .map(Mismatch::KeyId)
            .or_else(|| serial.map(Mismatch::Serial))
            .or_else(|| issuer.map(|_name| Mismatch::Issuer))
    }
}

/// The first thing that a list says of its CA's certificate, and that is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Its subject key identifier would be this.
    KeyId(Vec<u8>),
    /// Its serial number would be this.
    Serial(Vec<u8>),
    /// Another CA would have issued it.
    Issuer,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyId(said) => write!(f, "has the key {}", colons(said)),
            Self::Serial(said) => write!(f, "has the serial number {}", colons(said)),
            Self::Issuer => f.write_str("was issued by another CA"),
        }
    }
}

fn colons(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
