//! What must a restart remember of a rotation? Who signs, who is next, who is not over yet, and what was done.
//!
//! The phases are names for where the record stands. How it changes is in `transition`.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use serde::Deserialize;
use serde::Serialize;

use super::evidence::Evidence;
use super::signer::Origin;
use super::signer::Signer;
use super::text;

/// The version of the record's file.
pub const VERSION: u32 = 1;

/// The state of all rotations, as it is persisted before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Version of the file.
    pub version: u32,
    /// The active one, the next one and those that drain, each once. Of those that drain the one that signed last
    /// comes last.
    pub signers: Vec<Signer>,
    /// Who signs.
    #[serde(with = "text")]
    pub active: Fingerprint,
    /// Who is to sign next.
    #[serde(with = "text::option")]
    pub next: Option<Fingerprint>,
    /// Whether each step of the rotation in progress is taken as soon as its gate opens.
    pub auto: bool,
    /// When the present phase began.
    #[serde(with = "text::time")]
    pub phase_since: SystemTime,
    /// How soon after activation agents renew, where that was asked for.
    pub renew_within: Option<Duration>,
    /// From when on agents are told to renew; never set before the activation that makes it useful.
    #[serde(with = "text::option_time", default)]
    pub renew_since: Option<SystemTime>,
    /// Hash of the operator's directory whose rotation was aborted, or `empty` where that was their removal: the same
    /// files do not start it again.
    pub aborted: Option<String>,
    /// Until when our own signer is not renewed because of its age, for an operator aborted that.
    #[serde(with = "text::option_time", default)]
    pub renewal_put_off: Option<SystemTime>,
    /// Keys (SHA-256 of `SubjectPublicKeyInfo`) that were ever tainted and are never loaded again.
    #[serde(with = "text::list", default)]
    pub tainted_keys: Vec<Fingerprint>,
    /// Roots of retired signers that no other signer has: they leave the trust bundle whatever still chains to them,
    /// for the gate was open or somebody forced it.
    #[serde(with = "text::list", default)]
    pub dropped_roots: Vec<Fingerprint>,
    /// Signers that retired while a list covered them or their key was stolen, as long as leaves of theirs live: no
    /// list has to cover those any more, for the gate was open or somebody forced it.
    #[serde(with = "text::list", default)]
    pub dropped_issuers: Vec<Fingerprint>,
    /// What was done, oldest first; the last hundred.
    pub journal: Vec<JournalEntry>,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When.
    #[serde(with = "text::time")]
    pub at: SystemTime,
    /// What, as a sentence.
    pub what: String,
    /// The reason that was given for doing it although a gate was shut.
    pub forced: Option<String>,
}

/// Where a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// One signer, nothing else.
    Steady,
    /// The next signer is known and trusted by nobody.
    Prepare,
    /// The next signer's roots are in the trust bundle, and it does not sign yet.
    Distribute,
    /// The new signer signs; leaves of the old one are still alive.
    Drain,
}

impl Record {
    /// A record of one signer, which signs from now on.
    #[must_use]
    pub fn new(signer: Signer, now: SystemTime) -> Self {
        let signer = Signer {
            published: true,
            has_signed: true,
            ..signer
        };
        Self {
            version: VERSION,
            active: signer.issuer,
            signers: vec![signer],
            next: None,
            auto: false,
            phase_since: now,
            renew_within: None,
            renew_since: None,
            aborted: None,
            renewal_put_off: None,
            tainted_keys: Vec::new(),
            dropped_roots: Vec::new(),
            dropped_issuers: Vec::new(),
            journal: Vec::new(),
        }
    }

    /// Where it stands. With a next signer that is told first, although others may drain at the same time.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.next_signer() {
            Some(next) if next.published => Phase::Distribute,
            Some(_) => Phase::Prepare,
            None if self.draining().next().is_some() => Phase::Drain,
            None => Phase::Steady,
        }
    }

    /// The signer whose issuing certificate is `issuer`.
    #[must_use]
    pub fn signer(&self, issuer: &Fingerprint) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.issuer == *issuer)
    }

    /// Who signs; `None` only for a file that was edited.
    #[must_use]
    pub fn active_signer(&self) -> Option<&Signer> {
        self.signer(&self.active)
    }

    /// Who is to sign next.
    #[must_use]
    pub fn next_signer(&self) -> Option<&Signer> {
        self.signer(self.next.as_ref()?)
    }

    /// Those that signed, or were a way out of a stolen key, and have not retired.
    pub fn draining(&self) -> impl DoubleEndedIterator<Item = &Signer> {
        self.signers
            .iter()
            .filter(|signer| signer.issuer != self.active && Some(signer.issuer) != self.next)
    }

    /// Every root that belongs in the trust bundle: the active signer's first, then the next one's, then those of the
    /// ones that drain, then what the operator lists; none twice.
    #[must_use]
    pub fn roots(&self, listed: &[Fingerprint]) -> Vec<Fingerprint> {
        let first = self.active_signer().into_iter().chain(self.next_signer());
        let signers = first.chain(self.draining().rev());
        let published = signers.filter(|signer| signer.published);
        unique(
            published
                .flat_map(|signer| signer.roots.iter().copied())
                .chain(listed.iter().copied()),
        )
    }

    /// Notes which roots of `before` belong to no signer any more.
    pub(super) fn let_go_of_roots(&mut self, before: &Self) {
        let held = |record: &Self| {
            let roots = record
                .signers
                .iter()
                .flat_map(|signer| signer.roots.clone());
            roots.collect::<Vec<Fingerprint>>()
        };
        let (kept, all) = (held(self), held(before));
        let gone = self.dropped_roots.iter().chain(&all);
        let gone = unique(gone.filter(|root| !kept.contains(root)).copied());
        self.dropped_roots = gone;
    }

    /// Notes that a root of our own belongs to nobody any more, whose signer `gone` never signed; then neither did the
    /// root. One that came with an operator's files may have leaves that nobody here knows of.
    pub(super) fn let_go_of_own_root(&mut self, gone: &Signer) {
        let mut others = self.signers.iter();
        let is_held = others.any(|other| other.roots.contains(&gone.root));
        let is_ours = gone.origin == Origin::SelfSigned && !gone.has_signed;
        if is_ours && !is_held && !self.dropped_roots.contains(&gone.root) {
            self.dropped_roots.push(gone.root);
        }
    }

    /// Notes that `issuer` retired, where no list has to cover its leaves from now on; forgets whose leaves are gone.
    pub(super) fn let_go_of_issuer(
        &mut self,
        issuer: Option<Fingerprint>,
        evidence: &Evidence<'_>,
    ) {
        self.dropped_issuers.extend(issuer);
        let is_alive = |issuer: &Fingerprint| {
            let mut live = evidence.live_holdings();
            live.any(|holding| holding.issuer == *issuer)
        };
        let alive = self.dropped_issuers.iter().copied().filter(is_alive);
        self.dropped_issuers = unique(alive);
    }

    /// Whether `issuer` retired and no list has to cover its leaves.
    pub(super) fn has_let_go_of(&self, issuer: &Fingerprint) -> bool {
        self.dropped_issuers.contains(issuer) && self.signer(issuer).is_none()
    }

    /// What a signer that comes brings is not let go of any more.
    pub(super) fn take_back(&mut self, signer: &Signer) {
        self.dropped_roots
            .retain(|root| !signer.roots.contains(root));
        self.dropped_issuers
            .retain(|issuer| *issuer != signer.issuer);
    }

    /// Whether the record makes sense: the active signer and the next are among the signers, each of which is there
    /// once.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.contradiction().is_none()
    }

    /// What in the record contradicts the rest of it; only in a file that was edited or damaged.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        let issuers = unique(self.signers.iter().map(|signer| signer.issuer));
        let (active, next) = (self.active, self.next);
        if issuers.len() != self.signers.len() {
            return Some("a signer is listed twice".to_owned());
        }
        if !issuers.contains(&active) {
            return Some(format!("{active} signs and is not among the signers"));
        }
        match next {
            Some(next) if next == active => Some(format!("{next} signs and is to sign next")),
            Some(next) if !issuers.contains(&next) => Some(format!(
                "{next} is to sign next and is not among the signers"
            )),
            _ => None,
        }
    }
}

pub(super) fn unique(fingerprints: impl Iterator<Item = Fingerprint>) -> Vec<Fingerprint> {
    fingerprints.fold(Vec::new(), |mut unique, fingerprint| {
        if !unique.contains(&fingerprint) {
            unique.push(fingerprint);
        }
        unique
    })
}
