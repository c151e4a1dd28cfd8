//! Which roots must not authenticate the CA any more? Those of stolen keys, as soon as there is another way to the CA.
//!
//! An agent never takes back that it distrusts a root, and goes by the root's key. One that distrusts all under which
//! the server shows itself has no CA any more and hears nothing more.

use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::record::Record;
use super::record::unique;
use super::signer::Signer;

/// What of a record's signers can be used now.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtHand<'a> {
    /// Whose certificates and keys are here.
    pub loaded: &'a [Fingerprint],
    /// Roots that are one, certified more than once: each group has the same key.
    pub same_root: &'a [Vec<Fingerprint>],
}

impl AtHand<'_> {
    /// Whether both are certificates of one root.
    fn are_one(&self, one: &Fingerprint, other: &Fingerprint) -> bool {
        let has_both = |group: &Vec<Fingerprint>| group.contains(one) && group.contains(other);
        one == other || self.same_root.iter().any(has_both)
    }
}

impl Record {
    /// Roots that agents stop trusting for their connection to the CA at once: those that only tainted signers have.
    ///
    /// Without a way out some of them stay unnamed: that of the signer that signs, and those that an agent may know alone.
    #[must_use]
    pub fn distrusted_roots(&self, at_hand: &AtHand<'_>, now: SystemTime) -> Vec<Fingerprint> {
        let (bad, good): (Vec<&Signer>, Vec<&Signer>) = self
            .signers
            .iter()
            .partition(|signer| signer.tainted.is_some());
        let is_good = |root: &Fingerprint| good.iter().any(|signer| signer.roots.contains(root));
        let stolen = bad.iter().flat_map(|signer| signer.roots.iter().copied());
        let stolen = unique(stolen.filter(|root| !is_good(root)));
        let is_stolen = |root: &Fingerprint| stolen.iter().any(|one| at_hand.are_one(one, root));
        let has_way_out = good
            .iter()
            .any(|signer| self.is_way_out(signer, at_hand.loaded, now) && !is_stolen(&signer.root));
        if has_way_out {
            return stolen;
        }
        let needed = self.signers.iter();
        let needed = needed.filter(|it| it.issuer == self.active || it.last_resort);
        let needed: Vec<Fingerprint> = needed.map(|signer| signer.root).collect();
        let is_needed = |root: &Fingerprint| needed.iter().any(|one| at_hand.are_one(one, root));
        stolen.into_iter().filter(|root| !is_needed(root)).collect()
    }

    /// Whether agents find the CA by `signer`, and will go on to: it is shown and does not go before they know another.
    fn is_way_out(&self, signer: &Signer, loaded: &[Fingerprint], now: SystemTime) -> bool {
        let issuer = signer.issuer;
        let stays = self.active == issuer || self.next == Some(issuer) || signer.last_resort;
        let is_valid = signer.not_before <= now && !signer.is_over_at(now);
        stays && signer.published && loaded.contains(&issuer) && is_valid
    }
}

#[cfg(test)]
mod tests;
