//! How do a key and certificates become a bundle that works?
//!
//! Only what `bundle check` finds no error in gets its name.

use std::path::Path;
use std::time::SystemTime;

use proto::certificate::Certificate;

use super::CreateError;
use super::KEY_FILE;
use super::place::Place;
use crate::authority::bundle;
use crate::authority::bundle::BundleError;
use crate::authority::bundle::Loaded;
use crate::authority::bundle::Report;

/// What a bundle is made of.
pub(super) struct BundleFiles<'a> {
    /// The key, as it is to be in its file.
    pub(super) key_pem: &'a [u8],
    pub(super) issuer: Certificate,
    /// The certificates between issuer and root, in any order.
    pub(super) others: Vec<Certificate>,
    pub(super) roots: Vec<Certificate>,
}

/// Makes the bundle `out` with exactly four files. What was found out about it, without an error, is the answer.
pub(super) fn put_bundle(
    out: &Path,
    files: &BundleFiles<'_>,
    now: SystemTime,
) -> Result<Report, CreateError> {
    let place = Place::begin(out)?;
    let unsorted = [&files.issuer].into_iter().chain(&files.others);
    place.write("ca-cert.pem", files.issuer.to_pem(), 0o644)?;
    place.write(KEY_FILE, files.key_pem, 0o600)?;
    place.write("cert-chain.pem", pem(unsorted), 0o644)?;
    place.write("root-cert.pem", pem(&files.roots), 0o644)?;
    let loaded = load(&place, out, now)?;
    // Istio and others send the chain in file order: sorted, with its root last.
    let generation = &loaded.generation;
    let is_beside = |one: &&Certificate| !generation.chain().contains(one);
    let surplus = files.others.iter().filter(is_beside);
    let sorted = generation.chain().iter().chain(surplus);
    let sorted = sorted.chain([generation.root()]);
    place.write("cert-chain.pem", pem(sorted), 0o644)?;
    let report = load(&place, out, now)?.report;
    place.put()?;
    Ok(report)
}

fn load(place: &Place, out: &Path, now: SystemTime) -> Result<Loaded, CreateError> {
    let refused = |report: Report| CreateError::Refused {
        dir: out.to_owned(),
        report: Box::new(report.at(out)),
    };
    match bundle::load(place.path(), now) {
        // An expired chain loads, so that a server may say so; to put one in place helps nobody.
        Ok(loaded) if loaded.report.errors().next().is_some() => Err(refused(loaded.report)),
        Ok(loaded) => Ok(Loaded {
            report: loaded.report.at(out),
            ..loaded
        }),
        Err(BundleError::Refused { report }) => Err(refused(*report)),
        Err(BundleError::Unreadable { dir, source }) => {
            Err(CreateError::Read { path: dir, source })
        }
    }
}

fn pem<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> String {
    let mut seen: Vec<&Certificate> = Vec::new();
    for certificate in certificates {
        if !seen.contains(&certificate) {
            seen.push(certificate);
        }
    }
    seen.into_iter().map(Certificate::to_pem).collect()
}
