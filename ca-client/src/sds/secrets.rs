//! What is there of one workload? Its certificate with its key, and what others are judged by, each with a version that
//! is a hash of its content.

use std::fmt;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::CertificateValidationContext;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SpiffeCertValidatorConfig;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::TlsCertificate;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::spiffe_cert_validator_config::TrustDomain;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use pem::Pem;
use prost::Message as _;
use prost::Name as _;
use proto::certificate::Certificate;
use ring::digest::SHA256;
use ring::digest::digest;
use zeroize::Zeroize as _;

use crate::bundle::Beyond;
use crate::offer::Offer;

/// What a secret is good for, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Roots,
    Leaf,
}

/// A hash of content, as hex.
pub(super) type Version = Arc<str>;

/// A secret without its name.
pub(super) struct Resource {
    pub(super) kind: Kind,
    pub(super) version: Version,
    body: secret::Type,
}

impl Resource {
    /// As it is on the wire, under one of its names. What is made of that, in tonic's and h2's buffers, is not wiped.
    pub(super) fn named(&self, name: &str) -> Any {
        let mut secret = Secret {
            name: name.to_owned(),
            r#type: Some(self.body.clone()),
        };
        let packed = Any {
            type_url: Secret::type_url(),
            value: secret.encode_to_vec(),
        };
        if let Some(body) = &mut secret.r#type {
            wipe(body);
        }
        packed
    }

    /// About how long it is on the wire.
    pub(super) fn octets(&self) -> usize {
        self.body.encoded_len()
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        wipe(&mut self.body);
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.version)
    }
}

/// What one workload has at one moment.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    /// What it was made of.
    pub(super) offer: Offer,
    pub(super) roots: Arc<Resource>,
    pub(super) leaf: Arc<Resource>,
    pub(super) spiffe_id: String,
    pub(super) trust_domain_id: String,
}

impl Secrets {
    pub(super) fn new(offer: Offer) -> Self {
        let spiffe_id = offer.svid.spiffe_id();
        let own = spiffe_id.trust_domain();
        Self {
            roots: Arc::new(roots(own.as_str(), offer.svid.roots(), &offer.beyond)),
            leaf: Arc::new(leaf(&offer)),
            spiffe_id: spiffe_id.to_string(),
            trust_domain_id: format!("spiffe://{own}"),
            offer,
        }
    }

    /// Our certificate beside the roots of `newer`.
    pub(super) fn with_roots_of(&self, newer: &Self) -> Self {
        let offer = Offer {
            age: newer.offer.age,
            ..self.offer.clone()
        };
        Self {
            roots: Arc::clone(&newer.roots),
            offer,
            ..self.clone()
        }
    }

    /// Whether both secrets are others than in `before`.
    pub(super) fn changes_both(&self, before: &Self) -> bool {
        self.roots.version != before.roots.version && self.leaf.version != before.leaf.version
    }
}

fn leaf(offer: &Offer) -> Resource {
    let chain = offer.svid.chain_pem();
    Resource {
        kind: Kind::Leaf,
        // The key needs no part in it: another key has another certificate.
        version: version(&[chain.as_bytes()]),
        body: secret::Type::TlsCertificate(TlsCertificate {
            certificate_chain: Some(inline(chain)),
            private_key: Some(inline(offer.svid.private_key_pem().as_str().to_owned())),
            ..TlsCertificate::default()
        }),
    }
}

/// With roots of other trust domains, each chain is held against those of its own.
fn roots(own: &str, roots: &[Certificate], beyond: &Beyond) -> Resource {
    let ours = pem_of(roots);
    let crls: String = beyond.crls.iter().map(|der| crl_pem(der)).collect();
    let others: Vec<(&str, String)> = beyond
        .others
        .iter()
        .map(|(name, roots)| (name.as_str(), pem_of(roots)))
        .collect();
    let mut parts = vec![ours.as_bytes(), crls.as_bytes()];
    for (name, roots) in &others {
        parts.extend([name.as_bytes(), roots.as_bytes()]);
    }
    let version = version(&parts);
    let context = match others.is_empty() {
        true => CertificateValidationContext {
            trusted_ca: Some(inline(ours)),
            crl: (!crls.is_empty()).then(|| inline(crls)),
            ..CertificateValidationContext::default()
        },
        false => {
            // This validator reads revocation lists from beside the roots that they go with.
            let own = (own, ours + &crls);
            by_trust_domain(std::iter::once(own).chain(others))
        }
    };
    Resource {
        kind: Kind::Roots,
        version,
        body: secret::Type::ValidationContext(context),
    }
}

fn by_trust_domain<'a>(
    domains: impl Iterator<Item = (&'a str, String)>,
) -> CertificateValidationContext {
    let trust_domains = domains.map(|(name, bundle)| TrustDomain {
        name: name.to_owned(),
        trust_bundle: Some(inline(bundle)),
        ..TrustDomain::default()
    });
    let validator = SpiffeCertValidatorConfig {
        trust_domains: trust_domains.collect(),
        ..SpiffeCertValidatorConfig::default()
    };
    CertificateValidationContext {
        custom_validator_config: Some(TypedExtensionConfig {
            name: SPIFFE_VALIDATOR.to_owned(),
            typed_config: Some(pack_any(validator)),
        }),
        ..CertificateValidationContext::default()
    }
}

fn pem_of(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::to_pem).collect()
}

fn crl_pem(der: &[u8]) -> String {
    pem::encode(&Pem::new("X509 CRL", der))
}

/// Leaves nothing of a private key.
pub(super) fn wipe(body: &mut secret::Type) {
    if let secret::Type::TlsCertificate(certificate) = body
        && let Some(key) = &mut certificate.private_key
        && let Some(Specifier::InlineBytes(key)) = &mut key.specifier
    {
        key.zeroize();
    }
}

fn inline(text: String) -> DataSource {
    DataSource {
        specifier: Some(Specifier::InlineBytes(text.into_bytes())),
        ..DataSource::default()
    }
}

/// Half of a SHA-256 over the parts and their lengths.
fn version(parts: &[&[u8]]) -> Version {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        all.extend_from_slice(part);
    }
    let hash = digest(&SHA256, &all);
    let half = hash.as_ref().iter().take(16);
    half.map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

const SPIFFE_VALIDATOR: &str = "envoy.tls.cert_validator.spiffe";
