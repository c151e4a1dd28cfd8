//! Chains made with rcgen; judged by what was put into them.

mod adversary;
mod leaf;
mod rules;
mod search;

use std::time::Duration;
use std::time::UNIX_EPOCH;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rcgen::GeneralSubtree;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose as Usage;
use rcgen::NameConstraints;
use rcgen::SanType;
use rcgen::date_time_ymd;

use super::*;
use crate::certificate::CertificateError;
use crate::spiffe::SpiffeIdError;
use crate::verdict::Kind;

const ID: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Every certificate here is good from 2025 to 2040 unless a test says otherwise.
fn year(year: u64) -> SystemTime {
    let since_1970 = Duration::from_secs((year - 1970) * 31_556_952);
    UNIX_EPOCH + since_1970 + Duration::from_secs(86_400 * 100)
}

/// A CA with what is needed to sign below it.
struct Ca {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

fn no_change(_: &mut CertificateParams) {}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = dated();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![Usage::KeyCertSign, Usage::CrlSign];
    params
}

fn dated() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

impl Ca {
    fn root(name: &str, change: impl Fn(&mut CertificateParams)) -> Self {
        Self::root_with(KeyPair::generate().unwrap(), name, change)
    }

    fn root_with(key: KeyPair, name: &str, change: impl Fn(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let made = params.self_signed(&key).unwrap();
        let certificate = Certificate::from_der(made.der()).unwrap();
        Self {
            params,
            key,
            certificate,
        }
    }

    fn below(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = ca_params(name);
        change(&mut params);
        let certificate = self.sign(&params, &key);
        Self {
            params,
            key,
            certificate,
        }
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Certificate {
        let issuer = rcgen::Issuer::from_params(&self.params, &self.key);
        let made = params.signed_by(key, &issuer).unwrap();
        Certificate::from_der(made.der()).unwrap()
    }

    fn svid(&self, change: impl Fn(&mut CertificateParams)) -> Certificate {
        let mut params = dated();
        params.subject_alt_names = vec![uri(ID)];
        params.key_usages = vec![Usage::DigitalSignature];
        params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
        change(&mut params);
        self.sign(&params, &KeyPair::generate().unwrap())
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn path_len(len: u8) -> IsCa {
    IsCa::Ca(BasicConstraints::Constrained(len))
}

fn verify_svid(chain: &[Certificate], roots: &[&Ca]) -> Result<Verified, ChainError> {
    let roots: Vec<Certificate> = roots.iter().map(|ca| ca.certificate.clone()).collect();
    verify(chain, &roots, None, Profile::X509Svid, year(2030))
}

fn cn(name: &str) -> String {
    format!("CN={name}")
}
