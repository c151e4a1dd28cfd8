//! Which lists go with a trust bundle? The newest one of each CA of each signer.
//!
//! Who checks revocation with a list of one CA wants one of every CA of a chain, root included: a signer is covered
//! by all of them or not at all.

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use super::Crl;
use crate::authority::Generation;

/// The lists to be given out, and whom they let pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// DER of the lists, none twice.
    pub crls: Vec<Vec<u8>>,
    /// The signers all of whose CAs have one, by issuing certificate.
    pub covered: Vec<Fingerprint>,
}

/// What the lists that `signers` brought with them amount to. Lists of nobody's CA are left out.
#[must_use]
pub fn published(signers: &[&Generation]) -> Published {
    let all: Vec<&Crl> = signers.iter().flat_map(|signer| signer.crls()).collect();
    let mut published = Published::default();
    for signer in signers {
        let lists: Vec<Option<&Crl>> = signer.cas().map(|ca| newest_of(ca, &all)).collect();
        if lists.iter().all(Option::is_some) {
            published.covered.push(signer.issuer().fingerprint());
        }
        for list in lists.into_iter().flatten() {
            if !published.crls.iter().any(|known| *known == list.der()) {
                published.crls.push(list.der().to_vec());
            }
        }
    }
    published
}

/// A CA certificate that a list takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCa {
    /// SHA-256 of the issuing certificate whose leaves would be refused.
    pub issuer: Fingerprint,
    /// SHA-256 of the certificate that is listed: that one, or one above it.
    pub certificate: Fingerprint,
    /// Who signed the list.
    pub by: String,
}

/// The first signer whose leaves a list of its own CAs would reject.
#[must_use]
pub fn revoked_ca(signers: &[&Generation]) -> Option<RevokedCa> {
    let all: Vec<&Crl> = signers.iter().flat_map(|signer| signer.crls()).collect();
    signers.iter().find_map(|signer| {
        let cas: Vec<&Certificate> = signer.cas().collect();
        let lists = cas.iter().filter_map(|ca| newest_of(ca, &all));
        let mut revoked = lists.flat_map(|list| {
            let listed = cas.iter().filter(|ca| list.revokes(ca));
            listed.map(move |ca| (list, ca.fingerprint()))
        });
        revoked.next().map(|(list, certificate)| RevokedCa {
            issuer: signer.issuer().fingerprint(),
            certificate,
            by: list.issuer().to_owned(),
        })
    })
}

fn newest_of<'a>(ca: &Certificate, all: &[&'a Crl]) -> Option<&'a Crl> {
    let own = all.iter().filter(|crl| crl.is_of(ca));
    own.max_by_key(|crl| crl.this_update()).copied()
}
