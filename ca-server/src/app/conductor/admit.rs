//! Does a signer get along with all that is in force? Asked before anybody hears of it.

use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use super::super::ca::CaError;
use super::Conductor;
use super::signers::also_accepted_by;
use super::signers::describe;
use crate::authority::Generation;
use crate::authority::compatibility;
use crate::authority::compatibility::Incompatible;
use crate::authority::crl;
use crate::authority::crl::RevokedCa;
use crate::rotation::Signer;
use crate::x509::SystemEntropy;

impl Conductor {
    /// What a rotation needs to know of `generation`, if its roots and revocation lists can go out beside all others.
    pub(super) fn admit(
        &self,
        generation: &Generation,
        now: SystemTime,
    ) -> Result<Signer, CaError> {
        let known = self.known_roots()?;
        let issuer = generation.issuer().fingerprint();
        let others = self.signers.all().map(AsRef::as_ref);
        let others = others.filter(|held| held.issuer().fingerprint() != issuer);
        let signers: Vec<&Generation> = others.chain([generation]).collect();
        let new = generation.own_roots().iter();
        let new = new.filter(|root| !known.contains(root)).cloned();
        let roots: Vec<Certificate> = known.iter().cloned().chain(new).collect();
        compatibility::check(&signers, &roots, now, &SystemEntropy).map_err(NotAdmitted::from)?;
        check_lists(generation, &signers, now)?;
        Ok(describe(generation, &known, now))
    }

    /// Takes down who accepts whom by now: a root that came may be one that is there, certified again, and a root that
    /// went takes its cross-certificates with it.
    pub(super) fn note_anchors(&mut self, now: SystemTime) -> Result<(), CaError> {
        let known = self.known_roots()?;
        let mut record = self.record.clone();
        for signer in &self.record.signers {
            if let Some(held) = self.signers.get(&signer.issuer) {
                let roots = also_accepted_by(held, &known, now);
                record = record.accepted_by(&signer.issuer, roots);
            }
        }
        if record != self.record {
            super::store::write(&self.settings.data_dir, &record)?;
            self.record = record;
        }
        Ok(())
    }

    /// Every root that somebody may trust because of us, those in force first.
    fn known_roots(&self) -> Result<Vec<Certificate>, CaError> {
        let mut known = self.trust_bundle.roots()?;
        for signer in &self.record.signers {
            let held = self.signers.get(&signer.issuer);
            for root in held.into_iter().flat_map(|held| held.own_roots()) {
                if !known.contains(root) {
                    known.push(root.clone());
                }
            }
        }
        Ok(known)
    }
}

/// Why a signer is not taken beside what is in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// A list is not valid now.
    #[error(
        "ca-crl.pem: the list of {by} is not current, so that who checks revocation would refuse everything: put the newest list there"
    )]
    ListNotCurrent {
        /// Who signed the list.
        by: String,
    },
    /// A list takes a CA back that leaves depend on.
    #[error(
        "ca-crl.pem: the list of {} revokes {}, and leaves of {} are alive or about to be signed: let that one retire first (`ca-server rotate status`), or put the list before there",
        .0.by, .0.certificate, .0.issuer
    )]
    Revokes(RevokedCa),
    /// Roots or chains would be taken for others.
    #[error(transparent)]
    Roots(#[from] Incompatible),
}

fn check_lists(
    generation: &Generation,
    signers: &[&Generation],
    now: SystemTime,
) -> Result<(), NotAdmitted> {
    let mut lists = generation.crls().iter();
    if let Some(list) = lists.find(|list| !list.is_current_at(now)) {
        let by = list.issuer().to_owned();
        return Err(NotAdmitted::ListNotCurrent { by });
    }
    crl::revoked_ca(signers).map_or(Ok(()), |revoked| Err(NotAdmitted::Revokes(revoked)))
}

/// Which of `covered` are missing among those that must pass.
pub(super) fn first_uncovered<'a>(
    must_pass: impl Iterator<Item = &'a Fingerprint>,
    covered: &[Fingerprint],
) -> Option<Fingerprint> {
    let mut must_pass = must_pass;
    must_pass.find(|issuer| !covered.contains(issuer)).copied()
}
