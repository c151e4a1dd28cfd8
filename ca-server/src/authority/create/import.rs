//! How does a corporate CA's answer become a bundle?

use std::path::Path;
use std::time::SystemTime;

use proto::certificate::Certificate;

use super::CreateError;
use super::KEY_FILE;
use super::put_bundle::BundleFiles;
use super::put_bundle::put_bundle;
use super::read;
use crate::authority::bundle::Report;
use crate::authority::key::IssuerKey;

/// Where the parts of an answer are.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The directory of the request, for its key.
    pub csr_dir: &'a Path,
    /// The certificate that came back; others in the same file count as its chain.
    pub certificate: &'a Path,
    /// The CAs between it and the root.
    pub chain: Option<&'a Path>,
    /// The roots to be trusted.
    pub roots: &'a Path,
}

/// Makes the bundle `out` of an answer and the key that it was asked for. The key in the request's directory stays.
///
/// # Errors
/// `out` is as it was.
pub fn import(answer: Answer<'_>, out: &Path, now: SystemTime) -> Result<Report, CreateError> {
    let key_path = answer.csr_dir.join(KEY_FILE);
    let (private, key_pem) = read::key(&key_path)?;
    let mut held = read::certificates(answer.certificate)?;
    let is_answer = |one: &Certificate| IssuerKey::of_issuer(&private, one).is_ok();
    let Some(at) = held.iter().position(is_answer) else {
        let found = held.iter().map(|one| one.facts().subject.clone());
        return Err(CreateError::OtherKey {
            path: answer.certificate.to_owned(),
            key: key_path,
            found: found.collect::<Vec<_>>().join("; "),
        });
    };
    let issuer = held.remove(at);
    if let Some(chain) = answer.chain {
        held.extend(read::certificates(chain)?);
    }
    let roots = read::certificates(answer.roots)?;
    held.retain(|one| *one != issuer && !roots.contains(one));
    let files = BundleFiles {
        key_pem: &key_pem,
        issuer,
        others: held,
        roots,
    };
    put_bundle(out, &files, now)
}
