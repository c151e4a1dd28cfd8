//! Test certificates, made by rcgen: a root, an issuing CA, and leaves by intention.

use std::time::Duration;
use std::time::SystemTime;

use ca_client::Clock as _;
use ca_client::SystemClock;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::PublicKeyData;
use rcgen::SanType;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

/// A root and the CA below it, valid around the present.
pub(crate) struct Pki {
    pub(crate) root: CertifiedIssuer<'static, KeyPair>,
    pub(crate) issuing: CertifiedIssuer<'static, KeyPair>,
}

/// What a leaf shall say. Times are relative to now.
pub(crate) struct Leaf {
    pub(crate) name: &'static str,
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Leaf {
    pub(crate) fn named(name: &'static str) -> Self {
        Self {
            name,
            from: -60,
            until: 3600,
        }
    }
}

impl Pki {
    pub(crate) fn new(name: &str) -> Self {
        let root_params = ca_params(&format!("{name} root"));
        let root = CertifiedIssuer::self_signed(root_params, new_key()).unwrap();
        let issuing_params = ca_params(&format!("{name} issuing"));
        let issuing = CertifiedIssuer::signed_by(issuing_params, new_key(), &root).unwrap();
        Self { root, issuing }
    }

    /// The PEM of a leaf for the key of `csr`.
    pub(crate) fn leaf(&self, csr: &str, leaf: &Leaf) -> String {
        self.leaf_for(&CsrKey::of(csr), leaf)
    }

    /// The PEM of a leaf for any key.
    pub(crate) fn leaf_for(&self, key: &impl PublicKeyData, leaf: &Leaf) -> String {
        let mut params = leaf_params(leaf.from, leaf.until);
        params.subject_alt_names = vec![SanType::URI(leaf.name.try_into().unwrap())];
        params.signed_by(key, &self.issuing).unwrap().pem()
    }

    /// The truthful answer: leaf, issuing CA, roots.
    pub(crate) fn answer(&self, leaf: String) -> Vec<String> {
        vec![leaf, self.issuing.pem(), self.roots_pem()]
    }

    pub(crate) fn roots_pem(&self) -> String {
        self.root.pem()
    }

    /// A TLS server's chain (DER, root included) and key.
    pub(crate) fn server(&self, names: &[&str]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut params = leaf_params(-3600, 86_000);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
        let key = new_key();
        let leaf = params.signed_by(&key, &self.issuing).unwrap();
        let chain = vec![
            leaf.der().to_vec(),
            self.issuing.der().to_vec(),
            self.root.der().to_vec(),
        ];
        (chain, key.serialize_der())
    }
}

pub(crate) fn new_key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = valid(-3600, 86_400);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn leaf_params(from: i64, until: i64) -> CertificateParams {
    let mut params = valid(from, until);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params
}

fn valid(from: i64, until: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = moment(from).into();
    params.not_after = moment(until).into();
    params
}

/// Now, moved by some seconds.
pub(crate) fn moment(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match seconds < 0 {
        true => SystemClock.now() - distance,
        false => SystemClock.now() + distance,
    }
}

/// The P-256 point of a CSR.
struct CsrKey(Vec<u8>);

impl CsrKey {
    fn of(csr: &str) -> Self {
        let der = pem::parse(csr).unwrap().into_contents();
        let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
        let spki = &parsed.certification_request_info.subject_pki;
        Self(spki.subject_public_key.data.to_vec())
    }
}

impl PublicKeyData for CsrKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}
