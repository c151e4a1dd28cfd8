//! Whose key is it? Finds the certificate that the private key belongs to, wherever it stands.

use proto::certificate::Certificate;

use super::Finding;
use super::files;
use super::files::Files;
use crate::authority::key::IssuerKey;
use crate::authority::key::KeyError;
use crate::authority::key::PrivateKey;

/// The certificate that would sign, and its key where that is usable.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) issuer: Certificate,
    pub(super) key: Option<IssuerKey>,
}

/// Finds the signer among the certificates of the issuer's file and the chain's. Without a match it
/// is the first certificate of the issuer's file, so that the other rules have something to look at.
pub(super) fn signer(files: &Files, findings: &mut Vec<Finding>) -> Option<Signer> {
    let first = files.issuer.first()?;
    let Some(private) = &files.key else {
        return Some(without_key(first));
    };
    let held = files.issuer.iter().chain(&files.chain);
    let matching = held.filter_map(|certificate| {
        let key = IssuerKey::of_issuer(private, certificate).ok()?;
        Some((certificate, key))
    });
    match matching.into_iter().next() {
        Some((issuer, key)) => {
            findings.extend((issuer != first).then(|| is_not_first(files, issuer)));
            Some(Signer {
                issuer: issuer.clone(),
                key: Some(key),
            })
        }
        None => {
            findings.push(no_match(files, private, first));
            Some(without_key(first))
        }
    }
}

fn without_key(issuer: &Certificate) -> Signer {
    Signer {
        issuer: issuer.clone(),
        key: None,
    }
}

fn is_not_first(files: &Files, issuer: &Certificate) -> Finding {
    let file = files.layout.issuer_file();
    Finding::warning(
        file,
        "issuer-first",
        format!(
            "the key belongs to {} in {}, which is not the first certificate of {file}",
            issuer.facts().subject,
            files.file_of(issuer),
        ),
        format!("put the certificate that signs first in {file}: Istio reads only that one"),
    )
}

fn no_match(files: &Files, private: &PrivateKey, first: &Certificate) -> Finding {
    let key_file = files.layout.key_file();
    if let Err(error @ KeyError::PublicKey(_)) = IssuerKey::of_issuer(private, first) {
        return Finding {
            file: files.layout.issuer_file().to_owned(),
            ..files::unusable_key(key_file, &error)
        };
    }
    let is_owner = |root: &&Certificate| IssuerKey::of_issuer(private, root).is_ok();
    let seen = match files.roots.iter().find(is_owner) {
        Some(root) => format!("the key is that of the root {}", root.facts().subject),
        None => format!(
            "the key belongs to no certificate of {}",
            files.layout.issuer_file()
        ),
    };
    let fix = format!(
        "put the key of {} ({}) into {key_file}; compare the output of openssl pkey -in {key_file} -pubout and openssl x509 -in {} -pubkey -noout",
        first.facts().subject,
        files.layout.issuer_file(),
        files.layout.issuer_file(),
    );
    Finding::error(key_file, "key-matches-certificate", seen, fix)
}
