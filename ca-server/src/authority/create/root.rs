//! How is an offline root made, and how is it read again to sign with?

use std::path::Path;
use std::time::SystemTime;

use proto::certificate::Certificate;

use super::CreateError;
use super::KeyType;
use super::Lifetime;
use super::Subject;
use super::error::using_key;
use super::place::Place;
use super::read;
use crate::authority::bundle::Summary;
use crate::authority::ca_certificate::CaTemplate;
use crate::authority::key::IssuerKey;
use crate::x509::Entropy;

/// The root to be made.
#[derive(Clone, Debug)]
pub struct RootOrder {
    /// Its name, which gets eight digits more: no two roots share a subject.
    pub subject: Subject,
    /// The kind of its key.
    pub key_type: KeyType,
    /// How long it lives.
    pub ttl: Lifetime,
}

/// Makes a root in `out`: [`ROOT_FILE`] and [`ROOT_KEY_FILE`] (mode 0600).
///
/// # Errors
/// `out` is as it was.
pub fn root(
    out: &Path,
    order: &RootOrder,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Summary, CreateError> {
    let template = CaTemplate {
        organization: order.subject.organization(),
        title: order.subject.common_name(),
        trust_domain: None,
        key_type: order.key_type,
        not_after: order.ttl.end(now)?,
    };
    let place = Place::begin(out)?;
    let made = template.root(now, entropy)?;
    place.write(ROOT_FILE, made.certificate.to_pem(), 0o644)?;
    place.write(ROOT_KEY_FILE, made.key_pem.as_bytes(), 0o600)?;
    let read_back = OfflineRoot::open(place.path())?;
    place.put()?;
    Ok(Summary::of(&read_back.certificate))
}

/// A root in files, with its key.
#[derive(Debug)]
pub(super) struct OfflineRoot {
    pub(super) certificate: Certificate,
    /// What else is in the root's file.
    pub(super) others: Vec<Certificate>,
    pub(super) key: IssuerKey,
}

impl OfflineRoot {
    /// Reads the root whose key is in `dir`, which may be this program's work or another's.
    pub(super) fn open(dir: &Path) -> Result<Self, CreateError> {
        let (root_path, key_path) = (dir.join(ROOT_FILE), dir.join(ROOT_KEY_FILE));
        let mut others = read::certificates(&root_path)?;
        let (private, _) = read::key(&key_path)?;
        let of_key = |certificate: &Certificate| IssuerKey::of_issuer(&private, certificate);
        // Without a match, the first one's reason is the one to tell.
        let at = others.iter().position(|one| of_key(one).is_ok());
        let certificate = others.remove(at.unwrap_or(0));
        let key = of_key(&certificate).map_err(using_key(&key_path))?;
        Ok(Self {
            certificate,
            others,
            key,
        })
    }
}

/// The file with the root's certificate.
pub const ROOT_FILE: &str = "root-cert.pem";
/// The file with the root's key.
pub const ROOT_KEY_FILE: &str = "root-key.pem";
