//! Who changes what is in force? One task owns rotation record, trust bundle and signers, and does one thing at a time.
//!
//! The order never changes: the record is persisted, then the trust bundle, then the ledger is told the new terms, then
//! the generation is swapped, then everybody who watches is told. Each part can be done again, so that a crash or a full
//! disk in between is mended by doing all of it once more.

mod admit;
mod directory;
mod enact;
mod look;
mod looking;
mod lookout;
mod manner;
mod orders;
mod patience;
mod publication;
mod roots;
mod signers;
mod start;
mod store;
mod take;
mod upkeep;

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use proto::certificate::Fingerprint;
use proto::spiffe::TrustDomain;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::ca::CaError;
use crate::authority::Authority;
use crate::authority::bundle::Content;
use crate::authority::polls::Polls;
use crate::authority::state::State;
use crate::authority::state::StateError;
use crate::authority::trust_bundle::TrustBundle;
use crate::authority::vault::Vault;
use crate::clock::Clock;
use crate::ledger::SledLedger;
use crate::rotation::Awaited;
use crate::rotation::GateTime;
use crate::rotation::Limits;
use crate::rotation::Record;
use crate::telemetry::metrics::Metrics;

use looking::Looking;
use lookout::Lookout;
use patience::Patience;
use patience::Reminder;
use publication::Withheld;

pub use admit::NotAdmitted;
pub(super) use directory::Directory;
pub(super) use orders::Asked;
pub(super) use orders::Order;
pub(super) use signers::OtherSigner;
pub(super) use signers::Signers;
pub(super) use start::open_ca;

/// What the conductor is told once.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) data_dir: PathBuf,
    pub(super) root_ca_dir: PathBuf,
    pub(super) trust_domain: TrustDomain,
    pub(super) limits: Limits,
    /// The longest lifetime of a leaf while a rotation is under way.
    pub(super) rotation_ttl: Duration,
    /// Whether an operator's bundle is copied, with its key.
    pub(super) keeps_copies: bool,
    /// The longest time between two looks at an operator's bundle.
    pub(super) reload_interval: Duration,
}

/// The one who changes what is in force.
#[derive(Debug)]
pub(super) struct Conductor {
    settings: Settings,
    authority: Arc<Authority>,
    ledger: Arc<SledLedger>,
    state: State,
    vault: Vault,
    trust_bundle: TrustBundle,
    record: Record,
    signers: Signers,
    directory: Directory,
    looking: Looking,
    /// With what we make by ourselves.
    renewal_patience: Patience,
    removal_patience: Patience,
    changes: watch::Sender<u64>,
    polls: Arc<Polls>,
    gate_time: GateTime,
    started: Instant,
    /// What the record says was not all done yet.
    unfinished: bool,
    /// Whether the record is on disk, but may not outlive a power failure.
    unsure: bool,
    /// Whom the ledger's terms let sign; `None` after a start, while nobody is served.
    signing: Option<Fingerprint>,
    /// What the trust bundle still has or lacks, against the record.
    withheld: Withheld,
    /// That not all that is due can be done.
    undone: Reminder,
    /// That the key of a retired signer cannot be destroyed.
    undestroyed: Reminder,
    /// The issuer for whose sake no revocation list is given out.
    without_list: Option<Fingerprint>,
    /// Who holds things up, as it was seen last.
    awaited: Awaited,
    /// When everybody who holds a leaf is looked at again.
    lookout: Lookout,
    /// The signers beside the active one, for whoever lists what is held.
    others: Arc<ArcSwap<Vec<OtherSigner>>>,
}

/// Why the conductor does something.
enum Woken {
    /// Somebody wants something.
    Order(Order),
    /// The operator's directory was read, or could not be.
    Read(io::Result<Content>),
    /// Nobody is left who could want anything.
    Alone,
}

impl Conductor {
    /// What is in force.
    pub(super) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }

    /// Tells of every change of what is in force, by the number of the generation.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Who reads the SPIFFE bundle.
    pub(super) fn polls(&self) -> Arc<Polls> {
        Arc::clone(&self.polls)
    }

    /// The signers beside the active one, now and later.
    pub(super) fn others(&self) -> Arc<ArcSwap<Vec<OtherSigner>>> {
        Arc::clone(&self.others)
    }

    /// Works until `stop`.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        stop: CancellationToken,
    ) {
        self.note(&metrics);
        loop {
            let pause = self.pause();
            let woken = tokio::select! {
                () = stop.cancelled() => return,
                read = self.looking.ended() => Woken::Read(read),
                order = orders.recv() => order.map_or(Woken::Alone, Woken::Order),
                () = tokio::time::sleep(pause) => Woken::Order(Order::Tick),
            };
            let now = self.read_clocks(clock.now());
            match woken {
                Woken::Alone => return,
                Woken::Read(read) => self.finish_look(read, now).await,
                Woken::Order(order) => self.obey(order, now).await,
            }
            let done = self.bring_up_to_date(now).await;
            self.tell_of(done);
            self.note(&metrics);
        }
    }

    /// What goes on failing is told once a minute.
    fn tell_of(&mut self, done: Result<(), CaError>) {
        match done {
            Ok(()) => self.undone.forget(),
            Err(error) if self.undone.is_due_at(self.started.elapsed()) => {
                warn!(error = %super::report::chain_of(&error), "not all that is due was done; trying again");
            }
            Err(_told_a_moment_ago) => {}
        }
    }

    /// Short while something is under way.
    fn pause(&self) -> Duration {
        match self.unfinished || self.record.signers.len() > 1 {
            true => UNDER_WAY,
            false => STEADY,
        }
    }

    /// What time it is for gates: a clock that was set forward kills no leaf.
    fn read_clocks(&mut self, wall: SystemTime) -> SystemTime {
        self.gate_time = self.gate_time.advance(wall, self.started.elapsed());
        wall
    }

    fn note(&self, metrics: &Metrics) {
        let bundle_number = self.trust_bundle.sequence();
        let (phase, since) = (self.record.phase(), self.record.phase_since);
        let rotation = &metrics.rotation;
        rotation.note_phase(orders::phase_name(phase), since, bundle_number);
        let awaited = self.awaited;
        rotation.note_awaited(
            awaited.holders,
            awaited.by_activation,
            awaited.by_retirement,
        );
        metrics.rotation.note_directory(self.directory.counts());
    }
}

/// The rotation record of `data_dir`; `None` where there never was one.
pub(super) fn stored_record(data_dir: &Path) -> Result<Option<Record>, StateError> {
    store::read(data_dir)
}

const UNDER_WAY: Duration = Duration::from_millis(500);
const STEADY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
