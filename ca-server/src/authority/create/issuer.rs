//! How does a cluster get its issuing CA under an offline root?

use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::spiffe::TrustDomain;

use super::CreateError;
use super::KeyType;
use super::Lifetime;
use super::Subject;
use super::put_bundle::BundleFiles;
use super::put_bundle::put_bundle;
use super::root::OfflineRoot;
use super::root::ROOT_FILE;
use crate::authority::bundle::Report;
use crate::authority::ca_certificate::Above;
use crate::authority::ca_certificate::CaTemplate;
use crate::authority::ca_certificate::organization_of;
use crate::x509::Entropy;

/// The issuing CA to be made.
#[derive(Clone, Debug)]
pub struct IssuerOrder<'a> {
    /// The cluster, for the common name.
    pub name: &'a str,
    /// The kind of its key.
    pub key_type: KeyType,
    /// How long it lives; a year, or what the root has left, where nothing is said.
    pub ttl: Option<Lifetime>,
    /// The trust domain whose ID the certificate carries, where one is wanted.
    pub trust_domain: Option<&'a TrustDomain>,
}

/// Makes an issuing CA under the root in `root_dir`, as a checked bundle in `out`.
///
/// # Errors
/// `out` is as it was.
pub fn issuer(
    root_dir: &Path,
    out: &Path,
    order: &IssuerOrder<'_>,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Report, CreateError> {
    let root = OfflineRoot::open(root_dir)?;
    let organization = organization_of(&root.certificate);
    let title = format!("{} Issuing CA", order.name.trim());
    let subject = Subject::unique(organization.as_deref(), &title)?;
    let template = CaTemplate {
        organization: subject.organization(),
        title: subject.common_name(),
        trust_domain: order.trust_domain,
        key_type: order.key_type,
        not_after: end(&root.certificate, root_dir, order.ttl, now)?,
    };
    let above = Above::new(&root.certificate, root.key)?;
    let made = template.issuer(&above, now, entropy)?;
    let files = BundleFiles {
        key_pem: made.key_pem.as_bytes(),
        issuer: made.certificate,
        others: Vec::new(),
        roots: [vec![root.certificate], root.others].concat(),
    };
    put_bundle(out, &files, now)
}

/// The last second of the new CA, which its root outlives.
fn end(
    root: &Certificate,
    root_dir: &Path,
    asked: Option<Lifetime>,
    now: SystemTime,
) -> Result<SystemTime, CreateError> {
    let root_ends = root.facts().not_after;
    let wanted = match asked {
        Some(asked) => asked.end(now)?,
        None => Lifetime::new(YEAR)?.end(now)?.min(root_ends),
    };
    if wanted > root_ends || root_ends <= now {
        let path = root_dir.join(ROOT_FILE);
        return Err(CreateError::RootEnds {
            path,
            root_ends,
            wanted: wanted.max(now),
        });
    }
    Ok(wanted)
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
