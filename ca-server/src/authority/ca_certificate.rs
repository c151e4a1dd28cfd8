//! What do the CA certificates look like that are made here? (RFC 5280 section 4.2.1, X509-SVID section 3)
//!
//! The one place that makes CA keys and CA certificates; where they are kept is not its business.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use proto::spiffe::TrustDomain;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::PKCS_ECDSA_P256_SHA256;
use rcgen::PKCS_ECDSA_P384_SHA384;
use rcgen::SanType;
use rcgen::SerialNumber;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::key::IssuerKey;
use crate::x509::Entropy;
use crate::x509::EntropyError;
use crate::x509::Serial;

/// A kind of key that can be made here. RSA keys cannot: ring signs with them but makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
}

impl KeyType {
    pub(super) fn generate(self) -> Result<KeyPair, rcgen::Error> {
        KeyPair::generate_for(match self {
            Self::P256 => &PKCS_ECDSA_P256_SHA256,
            Self::P384 => &PKCS_ECDSA_P384_SHA384,
        })
    }
}

/// A CA certificate to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct CaTemplate<'a> {
    pub(super) organization: Option<&'a str>,
    /// The common name, up to what makes it unique.
    pub(super) title: &'a str,
    /// Makes it an SVID itself, as X509-SVID section 3.2 wants of a signing certificate: the path-less ID.
    pub(super) trust_domain: Option<&'a TrustDomain>,
    pub(super) key_type: KeyType,
    pub(super) not_after: SystemTime,
}

/// A certificate and its key.
pub(super) struct MadeCa {
    pub(super) certificate: Certificate,
    pub(super) key_pem: Zeroizing<String>,
}

impl CaTemplate<'_> {
    /// Makes a root with a new key.
    pub(super) fn root(&self, now: SystemTime, entropy: &dyn Entropy) -> Result<MadeCa, MakeError> {
        self.root_signed_across(None, now, entropy)
            .map(|(root, _nobody_else)| root)
    }

    /// Makes a root with a new key, and a certificate by `above` for the same name and key, so that who trusts that
    /// one accepts what the new root signs.
    pub(super) fn root_signed_across(
        &self,
        above: Option<&Above>,
        now: SystemTime,
        entropy: &dyn Entropy,
    ) -> Result<(MadeCa, Option<Certificate>), MakeError> {
        let key = self.key_type.generate()?;
        let mut params = self.params(now, entropy)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = made(&params.self_signed(&key)?, &key)?;
        let Some(above) = above else {
            return Ok((root, None));
        };
        let serial = Serial::draw(now, entropy)?;
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        params.not_before = (now - BACKDATED).max(above.not_before).into();
        params.not_after = self.not_after.min(above.not_after).into();
        params.use_authority_key_identifier_extension = true;
        let cross = params.signed_by(&key, &above.issuer)?;
        Ok((root, Some(Certificate::from_der(cross.der())?)))
    }

    /// Makes an issuing CA with a new key under `above`: it signs leaves and no further CA.
    pub(super) fn issuer(
        &self,
        above: &Above,
        now: SystemTime,
        entropy: &dyn Entropy,
    ) -> Result<MadeCa, MakeError> {
        let key = self.key_type.generate()?;
        let mut params = self.params(now, entropy)?;
        // A certificate that is older than what it rests on makes people wonder.
        params.not_before = (now - BACKDATED).max(above.not_before).into();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        made(&params.signed_by(&key, &above.issuer)?, &key)
    }

    fn params(
        &self,
        now: SystemTime,
        entropy: &dyn Entropy,
    ) -> Result<CertificateParams, MakeError> {
        let serial = Serial::draw(now, entropy)?;
        let unique: String = serial.to_string().chars().rev().take(8).collect();
        let mut params = CertificateParams::default();
        let common_name = format!("{} {unique}", self.title);
        params.distinguished_name = distinguished_name(self.organization, &common_name);
        if let Some(trust_domain) = self.trust_domain {
            let id = format!("spiffe://{trust_domain}");
            params.subject_alt_names = vec![SanType::URI(id.try_into()?)];
        }
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        params.not_before = (now - BACKDATED).into();
        params.not_after = self.not_after.into();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }
}

/// A CA that signs another one.
pub(super) struct Above {
    issuer: Issuer<'static, IssuerKey>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Above {
    /// The CA with `certificate` and its `key`.
    ///
    /// # Errors
    /// When its name cannot be written as an issuer's here.
    pub(super) fn new(certificate: &Certificate, key: IssuerKey) -> Result<Self, MakeError> {
        let unfit = || MakeError::IssuerName {
            name: certificate.facts().subject.clone(),
        };
        if !has_plain_name(certificate) {
            return Err(unfit());
        }
        let issuer = Issuer::from_ca_cert_der(&certificate.der().into(), key);
        Ok(Self {
            issuer: issuer.map_err(|_unreadable| unfit())?,
            not_before: certificate.facts().not_before,
            not_after: certificate.facts().not_after,
        })
    }
}

/// A subject of organization and common name, in this order.
pub(super) fn distinguished_name(
    organization: Option<&str>,
    common_name: &str,
) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

/// The organization in `certificate`'s subject, where there is one.
pub(super) fn organization_of(certificate: &Certificate) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate.der()).ok()?;
    let first = parsed.subject().iter_organization().next()?;
    first.as_str().ok().map(str::to_owned)
}

/// Why a CA certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// What was made does not read as a certificate.
    #[error("the certificate that was made cannot be read")]
    Certificate(#[from] CertificateError),
    /// The certificate could not be encoded or signed.
    #[error("the CA certificate could not be made")]
    Encode(#[from] rcgen::Error),
    /// There is no randomness for serial numbers.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The name of the CA that is to sign is of a shape that is not written here.
    #[error(
        "the name of the CA that is to sign, {name}, repeats an attribute or has several in one place: sign with openssl instead, and take the answer with `ca-server bundle import`"
    )]
    IssuerName {
        /// The name.
        name: String,
    },
    /// The certificate and its key do not fit together.
    #[error("the key that was made does not fit its certificate")]
    Key(#[from] super::key::KeyError),
}

fn made(certificate: &rcgen::Certificate, key: &KeyPair) -> Result<MadeCa, MakeError> {
    Ok(MadeCa {
        certificate: Certificate::from_der(certificate.der())?,
        key_pem: Zeroizing::new(key.serialize_pem()),
    })
}

/// One attribute in each place, none twice: rcgen keeps names as a map.
fn has_plain_name(certificate: &Certificate) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate.der()) else {
        return false;
    };
    let mut seen = Vec::new();
    let mut places = parsed.subject().iter();
    places.all(|place| {
        let mut attributes = place.iter().map(|attribute| attribute.attr_type().clone());
        let first = attributes.next();
        let is_new = first.is_some_and(|kind| {
            let is_new = !seen.contains(&kind);
            seen.push(kind);
            is_new
        });
        is_new && attributes.next().is_none()
    })
}

/// For relying parties whose clocks are behind; and well below the hour from which on an issuer counts as one that
/// may have signed elsewhere before.
const BACKDATED: Duration = Duration::from_secs(30 * 60);
