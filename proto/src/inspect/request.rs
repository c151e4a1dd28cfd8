//! What does a certificate signing request ask for? (RFC 2986)

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::KeyKind;
use super::key;
use crate::certificate::subject_alt_name;
use crate::chain;
use crate::chain::Signature;

/// A certificate signing request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The subject asked for; often empty.
    pub subject: String,
    /// The URI, DNS and IP names asked for.
    pub names: Vec<String>,
    /// Kind of its key.
    pub key: KeyKind,
    /// Whether the key itself signed the request: who made it holds the key, and nothing was changed since (section 4.2).
    pub possession: Signature,
}

impl Request {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509CertificationRequest::from_der(der).ok()?;
        let info = &parsed.certification_request_info;
        let mut names = Vec::new();
        for extension in parsed.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(value) = extension {
                names.extend(subject_alt_name(&value.general_names, false).texts());
            }
        }
        let request = Self {
            subject: info.subject.to_string(),
            names,
            key: key::public(info.subject_pki.raw).unwrap_or(KeyKind::Unknown),
            possession: chain::signature(der, info.subject_pki.raw),
        };
        rest.is_empty().then_some(request)
    }
}
