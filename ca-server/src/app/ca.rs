//! Which CA is this? Opens what signs and what was promised, and settles whom relying parties must trust.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tokio::sync::watch;
use tracing::error;
use tracing::warn;

use super::conductor;
use super::conductor::Conductor;
use super::conductor::NotAdmitted;
use crate::authority::Authority;
use crate::authority::bundle::BundleError;
use crate::authority::polls::Polls;
use crate::authority::self_signed::NewRoot;
use crate::authority::self_signed::SelfSignedError;
use crate::authority::state::State;
use crate::authority::state::StateError;
use crate::authority::state::TrustDomainChange;
use crate::authority::trust_bundle::TrustBundleError;
use crate::authority::vault::VaultError;
use crate::config::Config;
use crate::data_dir;
use crate::data_dir::LEDGER_DIR;
use crate::issuance::profile::MAX_BACKDATE;
use crate::ledger;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::LedgerOpenError;
use crate::ledger::LedgerOptions;
use crate::ledger::SledLedger;
use crate::rotation::Limits;
use crate::rotation::Refusal;

/// What signs, what was promised, and who changes what is in force.
#[derive(Debug)]
pub(super) struct Ca {
    authority: Arc<Authority>,
    store: Arc<SledLedger>,
    changes: watch::Receiver<u64>,
    polls: Arc<Polls>,
}

impl Ca {
    /// Opens everything in the data directory, which is locked, and the operator's bundle, if there is one.
    pub(super) async fn open(
        config: &Config,
        now: SystemTime,
    ) -> Result<(Self, Conductor), CaError> {
        let data_dir = &config.data_dir;
        let had_state = data_dir.join("state.json").exists();
        let change = match config.allow_trust_domain_change {
            true => TrustDomainChange::Allow,
            false => TrustDomainChange::Refuse,
        };
        // A new directory gets its ledger first: a crash between the two must not look like a ledger that was lost.
        // A used one shows its state first: it may be another trust domain's.
        let (store, state) = match had_state {
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
        let new_root = match config.allow_new_root {
            true => NewRoot::Allow,
            false => NewRoot::Refuse,
        };
        let settings = settings(config);
        let conductor =
            conductor::open_ca(settings, state, Arc::clone(&store), new_root, now).await?;
        let ca = Self {
            authority: conductor.authority(),
            store,
            changes: conductor.changes(),
            polls: conductor.polls(),
        };
        Ok((ca, conductor))
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

    /// Tells of every change of what is in force.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Who reads the SPIFFE bundle.
    pub(super) fn polls(&self) -> Arc<Polls> {
        Arc::clone(&self.polls)
    }

    /// Writes what is left to write and lets go of the ledger.
    pub(super) async fn close(&self) {
        if let Err(error) = self.store.close().await {
            error!(%error, "the last records may not have reached the disk");
        }
    }
}

fn settings(config: &Config) -> conductor::Settings {
    conductor::Settings {
        data_dir: config.data_dir.clone(),
        root_ca_dir: config.root_ca_dir.clone(),
        trust_domain: config.trust_domain.clone(),
        limits: Limits {
            default_ttl: config.profile.default_ttl(),
            max_ttl: config.profile.max_ttl(),
            unrecorded_ttl: config.unrecorded_ttl,
            backdating: MAX_BACKDATE.min(config.profile.max_ttl() / 10),
            fresh_ca: FRESH_CA,
        },
        rotation_ttl: config.rotation_ttl,
        keeps_copies: config.keeps_copies,
        reload_interval: config.reload_interval,
    }
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

/// Why there is no CA to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// A plugged-in CA is replaced by putting files where they are looked for.
    #[error("this CA is plugged in: put the new bundle into {} and the rotation begins by itself", dir.display())]
    BringFiles {
        /// The operator's directory.
        dir: PathBuf,
    },
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
    /// The files are good by themselves, and not beside what is in force.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// No signer waits to be let go.
    #[error("no signer drains, so there is nothing to retire: see `ca-server rotate status`")]
    NothingDrains,
    /// It is recorded, and so it will be done; not all of it is yet.
    #[error(
        "it is recorded, and what is left to do is done by itself: see `ca-server rotate status`"
    )]
    Recorded(#[source] Box<Self>),
    /// The rotation does not allow it.
    #[error(transparent)]
    Rotation(#[from] Refusal),
    /// There is no self-signed CA.
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
    /// The data directory's state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The key that signs is gone.
    #[error(
        "the signer {issuer} is neither in the data directory nor in --root-ca-dir: put its bundle back, or restore the data directory from a backup"
    )]
    SignerGone {
        /// SHA-256 of the issuing certificate.
        issuer: Fingerprint,
    },
    /// The trust bundle cannot be used.
    #[error(transparent)]
    TrustBundle(#[from] TrustBundleError),
    /// A rotation has begun already.
    #[error("a rotation to {next} is under way: finish it, or `ca-server rotate abort` it first")]
    UnderWay {
        /// SHA-256 of the issuing certificate that waits.
        next: Fingerprint,
    },
    /// The copy of a bundle cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// How long a CA certificate must have been valid before it signs: clocks out there may be behind.
const FRESH_CA: Duration = Duration::from_secs(2 * 60);
