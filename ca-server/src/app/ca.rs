//! Which CA is this? Opens what signs and what was promised, and settles whom relying parties must trust.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use proto::spiffe::TrustDomain;
use tracing::error;
use tracing::info;
use tracing::warn;

use super::announce;
use crate::authority::Authority;
use crate::authority::Conditions;
use crate::authority::Generation;
use crate::authority::bundle;
use crate::authority::bundle::BundleError;
use crate::authority::bundle::Presence;
use crate::authority::bundle::Severity;
use crate::authority::self_signed;
use crate::authority::self_signed::NewRoot;
use crate::authority::self_signed::SelfSignedError;
use crate::authority::state::State;
use crate::authority::state::StateError;
use crate::authority::state::TrustDomainChange;
use crate::authority::trust_bundle::Evidence;
use crate::authority::trust_bundle::Merged;
use crate::authority::trust_bundle::TrustBundle;
use crate::authority::trust_bundle::TrustBundleError;
use crate::authority::trust_bundle::Wanted;
use crate::config::Config;
use crate::data_dir;
use crate::data_dir::LEDGER_DIR;
use crate::ledger;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::LedgerOpenError;
use crate::ledger::LedgerOptions;
use crate::ledger::SledLedger;
use crate::x509::SystemEntropy;

/// What signs, what was promised, and whom to trust.
#[derive(Debug)]
pub(super) struct Ca {
    data_dir: PathBuf,
    trust_domain: TrustDomain,
    longest_ttl: Duration,
    authority: Arc<Authority>,
    store: Arc<SledLedger>,
    trust_bundle: Mutex<TrustBundle>,
}

impl Ca {
    /// Opens everything in the data directory, which is locked, and the operator's bundle, if there is one.
    pub(super) async fn open(config: &Config, now: SystemTime) -> Result<Self, CaError> {
        let data_dir = &config.data_dir;
        let had_state = data_dir.join("state.json").exists();
        let change = match config.allow_trust_domain_change {
            true => TrustDomainChange::Allow,
            false => TrustDomainChange::Refuse,
        };
        // A new directory gets its ledger first: a crash between the two must not look like a ledger that was lost.
        // A used one shows its state first: it may be another trust domain's.
        let (store, mut state) = match had_state {
            false => {
                let store = open_ledger(config, had_state, now)?;
                (store, State::open(data_dir, &config.trust_domain, change)?)
            }
            true => {
                let state = State::open(data_dir, &config.trust_domain, change)?;
                (open_ledger(config, had_state, now)?, state)
            }
        };
        let store = Arc::new(store);
        let generation = open_signer(config, &mut state, now)?;
        let mut trust_bundle = TrustBundle::open(data_dir)?;
        let evidence = Promises::of(&store, data_dir, config.profile.max_ttl()).await?;
        let merged = trust_bundle.merge(
            &config.trust_domain,
            &[Wanted::of(&generation)],
            evidence.at(now),
        )?;
        announce::retained_roots(&generation, &merged);
        let authority = Authority::new(generation.in_force(conditions(&merged), Vec::new()));
        Ok(Self {
            data_dir: data_dir.clone(),
            trust_domain: config.trust_domain.clone(),
            longest_ttl: config.profile.max_ttl(),
            authority: Arc::new(authority),
            store,
            trust_bundle: Mutex::new(trust_bundle),
        })
    }

    pub(super) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }

    pub(super) fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::<SledLedger>::clone(&self.store)
    }

    pub(super) fn store(&self) -> Arc<SledLedger> {
        Arc::clone(&self.store)
    }

    /// Renews the self-signed issuer when it is due, and lets go of roots whose last leaf is dead.
    pub(super) async fn bring_up_to_date(&self, now: SystemTime) -> Result<(), CaError> {
        let evidence = Promises::of(&self.store, &self.data_dir, self.longest_ttl).await?;
        let current = self.authority.current();
        let renewed = match self_signed::issuer_renewal_due(&current, now) {
            true => Some(renew_issuer(
                &self.data_dir,
                &self.trust_domain,
                &current,
                now,
            )?),
            false => None,
        };
        let generation = renewed.as_ref().unwrap_or(&current);
        let merged = self
            .trust_bundle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .merge(
                &self.trust_domain,
                &[Wanted::of(generation)],
                evidence.at(now),
            )?;
        if renewed.is_some() || merged.changed {
            for root in &merged.dropped {
                info!(sha256 = %root, "root left the trust bundle: its last leaf has expired");
            }
            if renewed.is_some() {
                info!(sha256 = %generation.issuer().fingerprint(), "issuer renewed under the same root");
            }
            self.authority
                .replace(generation.in_force(conditions(&merged), Vec::new()));
        }
        Ok(())
    }

    /// Writes what is left to write and lets go of the ledger.
    pub(super) async fn close(&self) {
        if let Err(error) = self.store.close().await {
            error!(%error, "the last records may not have reached the disk");
        }
    }
}

fn renew_issuer(
    data_dir: &Path,
    trust_domain: &TrustDomain,
    current: &Generation,
    now: SystemTime,
) -> Result<Generation, CaError> {
    let made = self_signed::make_issuer(data_dir, trust_domain, now, &SystemEntropy)?;
    let mut state = State::open(data_dir, trust_domain, TrustDomainChange::Refuse)?;
    self_signed::put_in_force(data_dir, &mut state, &made.issuer().fingerprint(), now)?;
    self_signed::destroy(data_dir, &current.issuer().fingerprint())?;
    Ok(made)
}

fn conditions(merged: &Merged) -> Conditions {
    Conditions {
        roots: merged.roots.clone(),
        bundle_number: merged.sequence,
        ..Conditions::default()
    }
}

/// An operator's bundle where there is one, else the self-signed CA.
fn open_signer(config: &Config, state: &mut State, now: SystemTime) -> Result<Generation, CaError> {
    if matches!(bundle::detect(&config.root_ca_dir)?, Presence::Absent) {
        let new_root = if config.allow_new_root {
            NewRoot::Allow
        } else {
            NewRoot::Refuse
        };
        let opened =
            self_signed::open_or_create(&config.data_dir, state, new_root, now, &SystemEntropy)?;
        if opened.is_new {
            info!(dir = %config.data_dir.display(), "made a self-signed root and an issuing CA");
        }
        return match self_signed::issuer_renewal_due(&opened.generation, now) {
            true => renew_issuer(
                &config.data_dir,
                &config.trust_domain,
                &opened.generation,
                now,
            ),
            false => Ok(opened.generation),
        };
    }
    let loaded = bundle::load(&config.root_ca_dir, now)?;
    for finding in &loaded.report.findings {
        if finding.severity == Severity::Warning {
            warn!(
                file = finding.file,
                rule = finding.rule,
                seen = finding.seen,
                fix = finding.fix,
                "CA bundle"
            );
        }
    }
    if let Some(not_after) = loaded.expired {
        let not_after = humantime::format_rfc3339_seconds(not_after);
        error!(%not_after, "the CA bundle has expired: nothing is issued until it is replaced");
    }
    Ok(loaded.generation)
}

/// Opens the ledger. One that does not open, or is gone, gives way only when the operator said so.
fn open_ledger(config: &Config, had_state: bool, now: SystemTime) -> Result<SledLedger, CaError> {
    let dir = config.data_dir.join(LEDGER_DIR);
    if had_state && !dir.exists() {
        if !config.fresh_ledger {
            return Err(CaError::LedgerGone { dir });
        }
        note_loss(config, now)?;
    }
    match SledLedger::open(&dir, LedgerOptions::default()) {
        Err(LedgerOpenError::Damaged { reason, .. }) if config.fresh_ledger => {
            let aside = ledger::set_aside(&dir, now).map_err(|source| CaError::Io {
                path: dir.clone(),
                source,
            })?;
            warn!(reason, aside = %aside.display(), "starting with a new ledger; the damaged one is set aside");
            note_loss(config, now)?;
            Ok(SledLedger::open(&dir, LedgerOptions::default())?)
        }
        opened => Ok(opened?),
    }
}

fn note_loss(config: &Config, now: SystemTime) -> Result<(), CaError> {
    let path = &config.data_dir;
    data_dir::note_ledger_loss(path, now).map_err(|source| CaError::Io {
        path: path.clone(),
        source,
    })
}

/// What the ledger knows of leaves that may be alive, and until when it may know too little.
struct Promises {
    last_leaf_under: HashMap<proto::certificate::Fingerprint, SystemTime>,
    keep_unknown_until: Option<SystemTime>,
}

impl Promises {
    async fn of(
        store: &SledLedger,
        data_dir: &Path,
        longest_ttl: Duration,
    ) -> Result<Self, CaError> {
        let known = store.last_leaf_under_each_root().await?;
        Ok(Self {
            last_leaf_under: known.into_iter().collect(),
            keep_unknown_until: data_dir::ledger_loss(data_dir)
                .map_err(|source| CaError::Io {
                    path: data_dir.to_owned(),
                    source,
                })?
                .map(|lost_at| lost_at.checked_add(longest_ttl).unwrap_or(lost_at + FAR)),
        })
    }

    fn at(&self, now: SystemTime) -> Evidence<'_> {
        Evidence {
            last_leaf_under: &self.last_leaf_under,
            keep_unknown_until: self.keep_unknown_until,
            now,
        }
    }
}

/// Why there is no CA to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The operator's bundle does not work.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// This directory had a ledger, and it is gone.
    #[error(
        "the ledger in {} is gone, although this data directory was in use: restore it with `ca-server restore --ledger-only`, \
         or give --fresh-ledger to go on without knowing what was issued",
        dir.display()
    )]
    LedgerGone {
        /// Where it was.
        dir: PathBuf,
    },
    /// The ledger does not open.
    #[error(transparent)]
    LedgerOpen(#[from] LedgerOpenError),
    /// There is no self-signed CA.
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
    /// The data directory's state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The trust bundle cannot be used.
    #[error(transparent)]
    TrustBundle(#[from] TrustBundleError),
}
/// Stands for a time that the clock cannot tell.
const FAR: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);
