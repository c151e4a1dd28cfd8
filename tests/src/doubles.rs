//! Stand-ins for what a real process gets from outside: a ledger that fails on demand, a clock that is set, dice that repeat.

use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use async_trait::async_trait;
use ca_server::clock::Clock;
use ca_server::ledger::Acknowledgement;
use ca_server::ledger::Denial;
use ca_server::ledger::Entry;
use ca_server::ledger::Holder;
use ca_server::ledger::Holding;
use ca_server::ledger::InstanceId;
use ca_server::ledger::Intent;
use ca_server::ledger::Ledger;
use ca_server::ledger::LedgerError;
use ca_server::ledger::LedgerOptions;
use ca_server::ledger::Page;
use ca_server::ledger::Query;
use ca_server::ledger::Reservation;
use ca_server::ledger::SledLedger;
use ca_server::ledger::Target;
use ca_server::ledger::Terms;
use ca_server::ledger::Token;
use ca_server::ledger::TokenId;
use ca_server::x509::Entropy;
use ca_server::x509::EntropyError;
use ca_server::x509::Serial;
use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;

/// What a [`FailingLedger`] can be told to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Ledger::reserve`]
    Reserve,
    /// [`Ledger::record`]
    Record,
    /// [`Ledger::denials_of`]
    Denials,
}

/// A real ledger that refuses one kind of call as long as it is told to, and remembers what it was asked.
#[derive(Debug)]
pub struct FailingLedger {
    inner: SledLedger,
    failing: Mutex<Option<Call>>,
    calls: Mutex<Vec<Call>>,
    looked_up: Mutex<Vec<Vec<Vec<Target>>>>,
}

impl FailingLedger {
    /// A new ledger in `dir`, well.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        let inner = SledLedger::open(dir, LedgerOptions::default()).unwrap();
        Self {
            inner,
            failing: Mutex::default(),
            calls: Mutex::default(),
            looked_up: Mutex::default(),
        }
    }

    /// Refuses `call` from now on; `None` makes it well again.
    pub fn fail(&self, call: Option<Call>) {
        *self.failing.lock().unwrap() = call;
    }

    /// What it was asked on the way to leaves, in order: reservations and records.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The targets of each call that asked for denials, in order.
    #[must_use]
    pub fn looked_up(&self) -> Vec<Vec<Vec<Target>>> {
        self.looked_up.lock().unwrap().clone()
    }

    /// Every entry, newest first.
    pub async fn entries(&self) -> Vec<Entry> {
        self.inner
            .list(Query {
                limit: 1000,
                ..Query::default()
            })
            .await
            .unwrap()
            .entries
    }

    fn take(&self, call: Call) -> Result<(), LedgerError> {
        self.calls.lock().unwrap().push(call);
        self.refuse(call)
    }

    fn refuse(&self, call: Call) -> Result<(), LedgerError> {
        match *self.failing.lock().unwrap() {
            Some(failing) if failing == call => Err(LedgerError::Unavailable {
                reason: format!("{call:?} fails in this test"),
            }),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Ledger for FailingLedger {
    async fn reserve(&self, intent: Intent) -> Result<Reservation, LedgerError> {
        self.take(Call::Reserve)?;
        self.inner.reserve(intent).await
    }

    async fn record(&self, serial: Serial, leaf_der: Vec<u8>) -> Result<(), LedgerError> {
        self.take(Call::Record)?;
        self.inner.record(serial, leaf_der).await
    }

    async fn find(&self, serial: Serial) -> Result<Option<Entry>, LedgerError> {
        self.inner.find(serial).await
    }

    async fn list(&self, query: Query) -> Result<Page, LedgerError> {
        self.inner.list(query).await
    }

    async fn last_leaf_under_each_root(
        &self,
    ) -> Result<Vec<(Fingerprint, SystemTime)>, LedgerError> {
        self.inner.last_leaf_under_each_root().await
    }

    async fn create_token(&self, token: Token) -> Result<(), LedgerError> {
        self.inner.create_token(token).await
    }

    async fn find_token(&self, id: TokenId) -> Result<Option<Token>, LedgerError> {
        self.inner.find_token(id).await
    }

    async fn list_tokens(&self) -> Result<Vec<Token>, LedgerError> {
        self.inner.list_tokens().await
    }

    async fn revoke_token(
        &self,
        id: TokenId,
        now: SystemTime,
    ) -> Result<Option<Token>, LedgerError> {
        self.inner.revoke_token(id, now).await
    }

    async fn deny(&self, denial: Denial) -> Result<(), LedgerError> {
        self.inner.deny(denial).await
    }

    async fn allow(&self, target: Target) -> Result<Option<Denial>, LedgerError> {
        self.inner.allow(target).await
    }

    async fn list_denials(&self) -> Result<Vec<Denial>, LedgerError> {
        self.inner.list_denials().await
    }

    async fn denials_of(
        &self,
        targets: Vec<Vec<Target>>,
    ) -> Result<Vec<Option<Denial>>, LedgerError> {
        self.looked_up.lock().unwrap().push(targets.clone());
        self.refuse(Call::Denials)?;
        self.inner.denials_of(targets).await
    }

    async fn set_terms(&self, terms: Terms) -> Result<(), LedgerError> {
        self.inner.set_terms(terms).await
    }

    async fn terms(&self) -> Result<Option<Terms>, LedgerError> {
        self.inner.terms().await
    }

    async fn acknowledge(&self, acknowledgement: Acknowledgement) -> Result<(), LedgerError> {
        self.inner.acknowledge(acknowledgement).await
    }

    async fn holder(
        &self,
        instance: InstanceId,
        spiffe_id: SpiffeId,
    ) -> Result<Holder, LedgerError> {
        self.inner.holder(instance, spiffe_id).await
    }

    async fn holdings(&self, now: SystemTime) -> Result<Vec<Holding>, LedgerError> {
        self.inner.holdings(now).await
    }

    async fn prune_marks(&self, now: SystemTime) -> Result<usize, LedgerError> {
        self.inner.prune_marks(now).await
    }

    async fn probe(&self) -> Result<(), LedgerError> {
        self.inner.probe().await
    }
}

/// Says what it was set to.
#[derive(Debug)]
pub struct TestClock(Mutex<SystemTime>);

impl TestClock {
    /// Stands at `now`.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        Self(Mutex::new(now))
    }

    /// Stands at `now` from here on.
    pub fn set(&self, now: SystemTime) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// Gives the same bytes every time.
#[derive(Clone, Copy, Debug)]
pub struct RepeatingEntropy(pub u8);

impl Entropy for RepeatingEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(self.0);
        Ok(())
    }
}
