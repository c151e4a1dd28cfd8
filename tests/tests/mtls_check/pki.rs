//! A root, leaves below it, and what both sides of a handshake need of them. Made with rcgen, good around the present.

use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use ca_client::OutputDir;
use ca_client::Svid;
use ca_client::files::OutputOptions;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose as Usage;
use rcgen::SanType;
use time::Duration;
use time::OffsetDateTime;

pub(crate) const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";
pub(crate) const PROBE: &str = "spiffe://cluster.local/ns/ops/sa/probe";

/// A CA with its certificate.
pub(crate) struct Root {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A leaf and its key.
pub(crate) struct Leaf {
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

impl Root {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = around_now(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![Usage::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// An SVID.
    pub(crate) fn leaf(&self, id: &str) -> Leaf {
        self.leaf_with(id, |_| {})
    }

    /// An SVID that is over.
    pub(crate) fn expired(&self, id: &str) -> Leaf {
        self.leaf_with(id, |params| {
            params.not_after = OffsetDateTime::now_utc() - Duration::hours(1);
        })
    }

    /// An SVID with a change.
    pub(crate) fn leaf_with(&self, id: &str, change: impl Fn(&mut CertificateParams)) -> Leaf {
        let mut params = around_now("");
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        params.key_usages = vec![Usage::DigitalSignature];
        params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { pem, key }
    }

    /// Writes `leaf` as an agent does, and answers where.
    pub(crate) fn install(&self, leaf: &Leaf, dir: &Path) -> PathBuf {
        let chain = format!("{}{}", leaf.pem, self.pem);
        let key = leaf.key.serialize_pem();
        let svid = Svid::from_pem(chain.as_bytes(), key.as_bytes(), self.pem.as_bytes()).unwrap();
        let certs = dir.join("certs");
        let output = OutputDir::open(&certs, OutputOptions::default()).unwrap();
        output.write(&svid, SystemTime::UNIX_EPOCH).unwrap();
        certs
    }
}

fn around_now(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.not_before = OffsetDateTime::now_utc() - Duration::days(2);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(2);
    params
}
