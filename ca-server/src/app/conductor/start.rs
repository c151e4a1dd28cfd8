//! With which signer does a start begin? The one of the record; without a record, what is found.

use std::io;
use std::sync::Arc;
use std::time::Instant;
use std::time::SystemTime;

use tokio::sync::watch;
use tracing::error;
use tracing::info;
use tracing::warn;

use super::super::announce;
use super::super::ca::CaError;
use super::super::report;
use super::Conductor;
use super::Directory;
use super::Looking;
use super::Lookout;
use super::Patience;
use super::Reminder;
use super::Settings;
use super::Signers;
use super::Withheld;
use super::looking::READS_WITHIN;
use super::signers::describe;
use super::signers::load;
use super::store;
use crate::authority::Authority;
use crate::authority::Generation;
use crate::authority::bundle;
use crate::authority::bundle::BundleError;
use crate::authority::bundle::Content;
use crate::authority::bundle::Presence;
use crate::authority::polls::Polls;
use crate::authority::self_signed;
use crate::authority::self_signed::NewRoot;
use crate::authority::state::State;
use crate::authority::trust_bundle::TrustBundle;
use crate::authority::vault::Vault;
use crate::ledger::SledLedger;
use crate::rotation::Awaited;
use crate::rotation::Forced;
use crate::rotation::GateTime;
use crate::rotation::Origin;
use crate::rotation::Record;
use crate::x509::SystemEntropy;

/// Opens signers, record and trust bundle, and puts them in force.
pub(in crate::app) async fn open_ca(
    settings: Settings,
    mut state: State,
    ledger: Arc<SledLedger>,
    new_root: NewRoot,
    now: SystemTime,
) -> Result<Conductor, CaError> {
    let trust_bundle = TrustBundle::open(&settings.data_dir)?;
    let vault = Vault::of(&settings.data_dir);
    let polls = Arc::new(Polls::open(&settings.data_dir, now));
    let stored = store::read(&settings.data_dir)?;
    let mut looking = Looking::new(READS_WITHIN);
    // The first reading cannot find one that hangs.
    let _begun = looking.begin(&settings.root_ca_dir, None);
    let read = looking.ended().await;
    let found = match stored {
        Some(record) => from_record(&settings, &mut state, record, (new_root, &read), now)?,
        None => from_files(&settings, &mut state, &vault, (new_root, &read), now)?,
    };
    let active = found.signers.get(&found.record.active).map(AsRef::as_ref);
    let active = active.or(found.replacement.as_ref());
    let active = active.ok_or(CaError::SignerGone {
        issuer: found.record.active,
    })?;
    let mut conductor = Conductor {
        authority: Arc::new(Authority::new(active.clone())),
        settings,
        ledger,
        state,
        vault,
        trust_bundle,
        record: found.record,
        signers: found.signers,
        directory: found.directory,
        looking,
        renewal_patience: Patience::default(),
        removal_patience: Patience::default(),
        changes: watch::Sender::new(1),
        polls,
        gate_time: GateTime::start(now, std::time::Duration::ZERO),
        started: Instant::now(),
        unfinished: true,
        unsure: false,
        undone: Reminder::default(),
        undestroyed: Reminder::default(),
        without_list: None,
        signing: None,
        withheld: Withheld::default(),
        awaited: Awaited::default(),
        lookout: Lookout::default(),
        others: Arc::default(),
    };
    if let Some(replacement) = found.replacement {
        conductor.replace_lost(replacement, now).await?;
    }
    conductor.destroy_pending();
    conductor.enact(now).await?;
    // The signer works: what else there is to do is tried again while it serves.
    conductor.finish_look(read, now).await;
    if let Err(error) = conductor.bring_up_to_date(now).await {
        warn!(error = %report::chain_of(&error), "not all that is due was done; trying again");
    }
    announce::retained_roots(&conductor.authority.current());
    Ok(conductor)
}

/// What a start found.
struct Found {
    record: Record,
    signers: Signers,
    directory: Directory,
    /// Signs at once, for the key of the active one is not here.
    replacement: Option<Generation>,
}

/// As it was when the last process ended.
fn from_record(
    settings: &Settings,
    state: &mut State,
    record: Record,
    (new_root, read): (NewRoot, &io::Result<Content>),
    now: SystemTime,
) -> Result<Found, CaError> {
    let mut signers = Signers::default();
    for signer in &record.signers {
        match load(&settings.data_dir, signer, now) {
            Ok(Some(generation)) => signers.put(generation),
            Ok(None) => {}
            Err(error) => {
                error!(issuer = %signer.issuer, error = %report::chain_of(&error), "a signer cannot be loaded");
            }
        }
    }
    let mut found = Found {
        record,
        signers,
        directory: Directory::default(),
        replacement: None,
    };
    found.take_what_was_read(settings, read, now);
    found.make_self_signed(settings, state, new_root, now)?;
    Ok(found)
}

impl Found {
    /// The operator's files may be those of the active signer, or what is to take its place.
    fn take_what_was_read(
        &mut self,
        settings: &Settings,
        read: &io::Result<Content>,
        now: SystemTime,
    ) {
        let loaded = content_of(settings, read).and_then(|content| content.load(now));
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                // With a copy, this is for the first look to say.
                if self.signers.get(&self.record.active).is_none() {
                    error!(error = %report::chain_of(&error), "the CA bundle cannot take the place of a key that is not here");
                }
                return;
            }
        };
        let issuer = loaded.generation.issuer().fingerprint();
        let is_held = self.record.signer(&issuer).is_some();
        if is_held && self.signers.get(&issuer).is_none() {
            self.signers.put(loaded.generation);
        } else if self.signers.get(&self.record.active).is_none() {
            self.replacement = Some(loaded.generation);
        }
    }

    /// A self-signed CA that is lost is made anew where that is allowed.
    fn make_self_signed(
        &mut self,
        settings: &Settings,
        state: &mut State,
        new_root: NewRoot,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let is_here = self.signers.get(&self.record.active).is_some();
        let active = self.record.active_signer();
        let is_ours = active.is_some_and(|signer| signer.origin == Origin::SelfSigned);
        if is_ours && !is_here && self.replacement.is_none() {
            self.replacement = Some(self_signed_signer(settings, state, new_root, now)?);
        }
        Ok(())
    }
}

/// The first start of a data directory, or of this version on it.
fn from_files(
    settings: &Settings,
    state: &mut State,
    vault: &Vault,
    (new_root, read): (NewRoot, &io::Result<Content>),
    now: SystemTime,
) -> Result<Found, CaError> {
    let mut directory = Directory::default();
    let generation = match is_plugged_in(settings, read)? {
        true => {
            let content = content_of(settings, read)?;
            plugged_in_signer(settings, vault, &mut directory, (content, now))?
        }
        false => self_signed_signer(settings, state, new_root, now)?,
    };
    let record = Record::new(describe(&generation, &[], now), now);
    store::write(&settings.data_dir, &record)?;
    let mut signers = Signers::default();
    signers.put(generation);
    Ok(Found {
        record,
        signers,
        directory,
        replacement: None,
    })
}

/// A directory that does not answer is not looked at once more: nobody knows what is in it.
fn is_plugged_in(settings: &Settings, read: &io::Result<Content>) -> Result<bool, BundleError> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            content_of(settings, read).map(|_content| false)
        }
        _ => Ok(bundle::detect(&settings.root_ca_dir)? != Presence::Absent),
    }
}

fn content_of<'a>(
    settings: &Settings,
    read: &'a io::Result<Content>,
) -> Result<&'a Content, BundleError> {
    // Who looks next has to know it too.
    let again = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
    read.as_ref().map_err(|error| BundleError::Unreadable {
        dir: settings.root_ca_dir.clone(),
        source: again(error),
    })
}

fn plugged_in_signer(
    settings: &Settings,
    vault: &Vault,
    directory: &mut Directory,
    (content, now): (&Content, SystemTime),
) -> Result<Generation, CaError> {
    let loaded = content.load(now)?;
    report::bundle_warnings(&loaded.report);
    if let Some(not_after) = loaded.expired {
        let not_after = humantime::format_rfc3339_seconds(not_after);
        error!(%not_after, "the CA bundle has expired: nothing is issued until it is replaced");
    }
    if settings.keeps_copies {
        vault.keep(content, &loaded.generation.issuer().fingerprint(), now)?;
    }
    directory.note_loaded(content.hash());
    Ok(loaded.generation)
}

fn self_signed_signer(
    settings: &Settings,
    state: &mut State,
    new_root: NewRoot,
    now: SystemTime,
) -> Result<Generation, CaError> {
    let opened =
        self_signed::open_or_create(&settings.data_dir, state, new_root, now, &SystemEntropy)?;
    if opened.is_new {
        info!(dir = %settings.data_dir.display(), "made a self-signed root and an issuing CA");
    }
    Ok(opened.generation)
}

impl Conductor {
    /// The key of the active signer is not here, and the operator's directory has another: it signs at once.
    async fn replace_lost(
        &mut self,
        replacement: Generation,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let signer = describe(&replacement, &self.trust_bundle.roots()?, now);
        let issuer = signer.issuer;
        warn!(lost = %self.record.active, signs = %issuer, "the key of the active CA was not kept and its files were replaced: the new ones sign at once; `ca-server rotate status` says who does not know their root yet");
        let force = Forced {
            fingerprint: issuer,
            reason: "no copy of the key before was kept".to_owned(),
        };
        let record = self.record.replace(signer, force, now)?;
        self.signers.put(replacement);
        self.commit(record, now).await
    }
}
