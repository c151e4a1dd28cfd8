//! Which block signed which? By name and signature; no other rule is looked at.

use std::collections::HashMap;

use super::Block;
use super::Content;
use super::Signer;
use crate::certificate::Certificate;
use crate::chain;
use crate::chain::Signature;

/// Says of every certificate and list in `blocks` who signed it.
pub(super) fn find(blocks: &mut [Block]) {
    let mut issuers = Issuers::of(blocks);
    for block in blocks {
        let number = block.number;
        match &mut block.content {
            Content::Certificate(signed) => {
                let certificate = &signed.certificate;
                let itself = certificate.is_self_issued().then_some(number);
                let name = &certificate.facts().issuer_der;
                signed.signer = issuers.signer(certificate.der(), name, itself);
            }
            Content::Revocations(list) => {
                list.signer = issuers.signer(&list.der, &list.issuer_der, None);
            }
            _ => {}
        }
    }
}

/// The certificates of a file by their names, and how many signatures may still be checked.
struct Issuers {
    by_name: HashMap<Vec<u8>, Vec<(usize, Certificate)>>,
    checks_left: usize,
}

impl Issuers {
    fn of(blocks: &[Block]) -> Self {
        let mut by_name: HashMap<Vec<u8>, Vec<(usize, Certificate)>> = HashMap::new();
        for block in blocks {
            if let Content::Certificate(signed) = &block.content {
                let certificate = &signed.certificate;
                let name = certificate.facts().subject_der.clone();
                let namesakes = by_name.entry(name).or_default();
                namesakes.push((block.number, certificate.clone()));
            }
        }
        Self {
            by_name,
            checks_left: MAX_CHECKS,
        }
    }

    /// Who of those called `name` signed `der`. `itself` is the number of its own block, if that is its name too.
    fn signer(&mut self, der: &[u8], name: &[u8], itself: Option<usize>) -> Signer {
        let namesakes = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        let own = namesakes.iter().find(|(number, _)| Some(*number) == itself);
        let mut answer = Signer::NotHere;
        for (number, issuer) in own.into_iter().chain(namesakes) {
            let number = *number;
            let Some(checks_left) = self.checks_left.checked_sub(1) else {
                return Signer::Unchecked { number };
            };
            self.checks_left = checks_left;
            match chain::signature(der, &issuer.facts().spki_der) {
                Signature::Good if Some(number) == itself => return Signer::Itself,
                Signature::Good => return Signer::Block { number },
                Signature::Bad if answer == Signer::NotHere => answer = Signer::OtherKey { number },
                Signature::Unsupported if !matches!(answer, Signer::Unchecked { .. }) => {
                    answer = Signer::Unchecked { number };
                }
                Signature::Bad | Signature::Unsupported => {}
            }
        }
        answer
    }
}

/// Bounds the time for a file full of certificates of one name: about a second.
const MAX_CHECKS: usize = 10_000;
