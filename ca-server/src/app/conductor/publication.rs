//! Which trust bundle goes out? The one that the record asks for. Where that would refuse somebody who lives, nothing
//! leaves until it does not: roots stay, and no revocation list is given out that covers too few.

use std::collections::HashMap;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use tracing::info;
use tracing::warn;

use super::super::ca::CaError;
use super::Conductor;
use super::admit::first_uncovered;
use super::upkeep::Seen;
use crate::authority::Generation;
use crate::authority::crl;
use crate::authority::crl::Published;
use crate::authority::trust_bundle::Merged;
use crate::authority::trust_bundle::Wanted;
use crate::rotation;
use crate::rotation::Candidate;
use crate::rotation::Obstacle;
use crate::rotation::Origin;
use crate::rotation::Refusal;
use crate::rotation::Signer;

/// What the record asks for and does not go out yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Withheld {
    /// Roots that are to leave stay.
    roots: bool,
    /// No revocation list is given out.
    lists: bool,
}

impl Withheld {
    /// What would refuse those whom `obstacles` name.
    fn by(obstacles: &[Obstacle]) -> Self {
        let is_of_lists = |obstacle: &Obstacle| matches!(obstacle, Obstacle::Uncovered { .. });
        Self {
            roots: !obstacles.iter().all(is_of_lists),
            lists: obstacles.iter().any(is_of_lists),
        }
    }

    /// Whether it is to be tried again.
    pub(super) fn is_any(self) -> bool {
        self.roots || self.lists
    }
}

impl Conductor {
    /// Stores the trust bundle that the record asks for, as far as its gate lets it go out.
    pub(super) async fn publish(&mut self) -> Result<Merged, CaError> {
        let seen = self.see().await?;
        let stored = self.trust_bundle.roots()?;
        let roots = self.wanted_roots(&stored);
        let source = self.active_source_name();
        let mut wanted = vec![Wanted {
            roots: &roots,
            source,
        }];
        let mut lists = self.revocations();
        let let_go = self.record.dropped_roots.clone();
        let margin = self.settings.limits.backdating;
        let evidence = seen.promises.at(self.gate_time.now(), margin, &let_go);
        let draft = self.trust_bundle.draft(&wanted, &lists, evidence)?;
        let obstacles = self.stands_against(&draft, &lists, &seen);
        let withheld = Withheld::by(&obstacles);
        let may_leave = |root: &Fingerprint| let_go.contains(root) || draft.outlived.contains(root);
        let kept = stored.into_iter();
        let kept = kept.filter(|root| withheld.roots && !may_leave(&root.fingerprint()));
        let kept: Vec<Certificate> = kept.collect();
        wanted.push(Wanted {
            roots: &kept,
            source: "",
        });
        if withheld.lists {
            lists = Published::default();
        }
        let domain = &self.settings.trust_domain;
        let merged = self.trust_bundle.merge(domain, &wanted, &lists, evidence)?;
        tell_of(&merged);
        self.note_withheld(withheld, obstacles);
        Ok(merged)
    }

    /// The roots that the record has, as certificates.
    fn wanted_roots(&self, stored: &[Certificate]) -> Vec<Certificate> {
        let known = self.signers.roots().chain(stored);
        let known: HashMap<Fingerprint, &Certificate> =
            known.map(|root| (root.fingerprint(), root)).collect();
        let wanted = self.record.roots(&[]);
        let wanted = wanted.iter().filter_map(|root| known.get(root).copied());
        wanted.cloned().collect()
    }

    /// The revocation lists of the signers that are published: none as long as they would reject one that signed and
    /// has not retired, or is to sign and can have none.
    fn revocations(&mut self) -> Published {
        let (lists, without) = self.lists_or_who_has_none();
        if let Some(issuer) = without
            && self.without_list != without
        {
            warn!(%issuer, "no revocation list is given out: there is none for this issuer, and its leaves would be refused");
        }
        self.without_list = without;
        lists
    }

    fn lists_or_who_has_none(&self) -> (Published, Option<Fingerprint>) {
        let signers = self.record.signers.iter();
        let published: Vec<&Signer> = signers.filter(|signer| signer.published).collect();
        let loaded = published
            .iter()
            .filter_map(|signer| self.signers.get(&signer.issuer));
        let loaded: Vec<&Generation> = loaded.map(AsRef::as_ref).collect();
        let lists = crl::published(&loaded);
        if lists.crls.is_empty() {
            return (lists, None);
        }
        let must_pass = published
            .iter()
            .filter(|signer| signer.has_signed || signer.origin == Origin::SelfSigned);
        let must_pass = must_pass.map(|signer| &signer.issuer);
        match first_uncovered(must_pass, &lists.covered) {
            None => (lists, None),
            without => (Published::default(), without),
        }
    }

    /// Who would be refused by `draft`.
    fn stands_against(&self, draft: &Merged, lists: &Published, seen: &Seen) -> Vec<Obstacle> {
        // The same root, certified again, accepts what the one did that it outlives.
        let roots = draft.roots.iter().map(Certificate::fingerprint);
        let roots: Vec<Fingerprint> = roots.chain(draft.outlived.iter().copied()).collect();
        let candidate = Candidate {
            roots: &roots,
            covered: (!lists.crls.is_empty()).then_some(&lists.covered),
            signing: self.signing,
        };
        let gate = rotation::publish(&self.record, &candidate, &seen.evidence(self));
        gate.obstacles().to_vec()
    }

    /// Says what does not go out yet and why: once, and not at every look.
    fn note_withheld(&mut self, withheld: Withheld, obstacles: Vec<Obstacle>) {
        if withheld == self.withheld {
            return;
        }
        self.withheld = withheld;
        if withheld.is_any() {
            let why = Refusal::GateShut { obstacles };
            let Withheld { roots, lists } = withheld;
            warn!(roots, lists, %why, "what leaves live on stays in the trust bundle, and no revocation list goes out that refuses them");
        } else {
            info!("the trust bundle is what the record asks for");
        }
    }

    fn active_source_name(&self) -> &'static str {
        let active = self.signers.get(&self.record.active);
        active.map_or("", |active| active.source().name())
    }
}

fn tell_of(merged: &Merged) {
    for root in &merged.dropped {
        info!(sha256 = %root, "root left the trust bundle");
    }
    if merged.changed {
        info!(
            number = merged.sequence,
            roots = merged.roots.len(),
            "trust bundle"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_refuse_somebody_is_withheld() {
        let issuer = Fingerprint::of(b"issuer");
        let (roots, lists) = (
            Obstacle::Unanchored { issuer },
            Obstacle::Uncovered { issuer },
        );
        for (obstacles, expected) in [
            (vec![], (false, false)),
            (vec![roots.clone()], (true, false)),
            (vec![lists.clone()], (false, true)),
            (vec![roots, lists], (true, true)),
        ] {
            let Withheld { roots, lists } = Withheld::by(&obstacles);
            assert_eq!((roots, lists), expected, "{obstacles:?}");
        }
    }
}
