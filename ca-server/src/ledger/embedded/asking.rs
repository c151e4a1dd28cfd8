//! How does the async side ask? A question for the committer or for a reading thread, and a bounded wait for its answer.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use async_trait::async_trait;
use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;
use tokio::sync::oneshot;

use super::SledLedger;
use super::command::Command;
use super::command::Envelope;
use super::command::Question;
use super::gave_up;
use super::keys::HolderKey;
use super::prune::Useless;
use super::read::Reader;
use crate::ledger::Acknowledgement;
use crate::ledger::Denial;
use crate::ledger::Entry;
use crate::ledger::Holder;
use crate::ledger::Holding;
use crate::ledger::InstanceId;
use crate::ledger::Intent;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Page;
use crate::ledger::Query;
use crate::ledger::Reservation;
use crate::ledger::Target;
use crate::ledger::Terms;
use crate::ledger::Token;
use crate::ledger::TokenId;
use crate::x509::Serial;

#[async_trait]
impl Ledger for SledLedger {
    async fn reserve(&self, intent: Intent) -> Result<Reservation, LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::Reserve(Box::new(intent), question), answered)
            .await
    }

    async fn record(&self, serial: Serial, leaf_der: Vec<u8>) -> Result<(), LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::Record(serial, leaf_der, question), answered)
            .await
    }

    async fn find(&self, serial: Serial) -> Result<Option<Entry>, LedgerError> {
        self.read(move |reader| reader.find(serial)).await
    }

    async fn list(&self, query: Query) -> Result<Page, LedgerError> {
        self.read(move |reader| reader.list(&query)).await
    }

    async fn last_leaf_under_each_root(
        &self,
    ) -> Result<Vec<(Fingerprint, SystemTime)>, LedgerError> {
        self.read(|reader| reader.last_leaf_under_each_root()).await
    }

    async fn create_token(&self, token: Token) -> Result<(), LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::CreateToken(Box::new(token), question), answered)
            .await
    }

    async fn find_token(&self, id: TokenId) -> Result<Option<Token>, LedgerError> {
        self.read(move |reader| reader.find_token(id)).await
    }

    async fn list_tokens(&self) -> Result<Vec<Token>, LedgerError> {
        self.read(|reader| reader.list_tokens()).await
    }

    async fn revoke_token(
        &self,
        id: TokenId,
        _now: SystemTime,
    ) -> Result<Option<Token>, LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::RevokeToken(id, question), answered).await
    }

    async fn deny(&self, denial: Denial) -> Result<(), LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::Deny(Box::new(denial), question), answered)
            .await
    }

    async fn allow(&self, target: Target) -> Result<Option<Denial>, LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::Allow(Box::new(target), question), answered)
            .await
    }

    async fn list_denials(&self) -> Result<Vec<Denial>, LedgerError> {
        self.read(|reader| reader.list_denials()).await
    }

    async fn denials_of(
        &self,
        targets: Vec<Vec<Target>>,
    ) -> Result<Vec<Option<Denial>>, LedgerError> {
        self.read(move |reader| targets.iter().map(|each| reader.denial_of(each)).collect())
            .await
    }

    async fn set_terms(&self, terms: Terms) -> Result<(), LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::SetTerms(terms, question), answered).await
    }

    async fn terms(&self) -> Result<Option<Terms>, LedgerError> {
        self.read(|reader| reader.terms()).await
    }

    async fn acknowledge(&self, acknowledgement: Acknowledgement) -> Result<(), LedgerError> {
        let (question, answered) = Question::new();
        let command = Command::Acknowledge(Box::new(acknowledgement), question);
        self.ask(command, answered).await
    }

    async fn holder(
        &self,
        instance: InstanceId,
        spiffe_id: SpiffeId,
    ) -> Result<Holder, LedgerError> {
        let key = HolderKey::of(instance, &spiffe_id);
        self.read(move |reader| reader.holder(&key, spiffe_id))
            .await
    }

    async fn holdings(&self, now: SystemTime) -> Result<Vec<Holding>, LedgerError> {
        self.scan(move |reader| reader.holdings(now)).await
    }

    async fn prune_marks(&self, now: SystemTime) -> Result<usize, LedgerError> {
        let useless = self.scan(move |reader| reader.useless(now)).await?;
        let mut forgotten = 0;
        for some in useless.in_batches() {
            forgotten += self.forget(some).await?;
        }
        Ok(forgotten)
    }

    async fn probe(&self) -> Result<(), LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::Probe(question), answered).await
    }
}

impl SledLedger {
    /// Asks, unless the store is away: the committer may be busy opening it, and nobody is to queue up behind that.
    async fn ask<T>(
        &self,
        command: Command,
        answered: oneshot::Receiver<Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        self.shared.check_open()?;
        self.hand_over(command, answered).await
    }

    /// Puts `command` into the queue and waits for its answer, for a bounded time in all.
    pub(super) async fn hand_over<T>(
        &self,
        command: Command,
        answered: oneshot::Receiver<Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let asking = async {
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            self.inbox
                .send(Envelope { command, place })
                .map_err(|_closed| gone())?;
            answered.await.unwrap_or_else(|_dropped| Err(gone()))
        };
        self.in_time(asking).await
    }

    /// Forgets what a reader found useless, as far as it still is.
    pub(super) async fn forget(&self, useless: Useless) -> Result<usize, LedgerError> {
        let (question, answered) = Question::new();
        self.ask(Command::Forget(Box::new(useless), question), answered)
            .await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.in_time(self.reading(work)).await
    }

    /// Reads every row of a kind: the more there are, the longer it takes, and a limit that is too short for them would
    /// be so for ever.
    async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let patience = self.answer_within.saturating_mul(SCAN_PATIENCE);
        within(patience, self.reading(work)).await
    }

    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            let store = shared.store()?;
            work(&Reader {
                tree: store.tree(),
                tally: &shared.tally,
            })
        });
        reading.await.unwrap_or_else(|_panicked| Err(gave_up()))
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        within(self.answer_within, work).await
    }
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    let late = |_elapsed| {
        Err(LedgerError::Unavailable {
            reason: format!("there was no answer within {patience:?}"),
        })
    };
    tokio::time::timeout(patience, work)
        .await
        .unwrap_or_else(late)
}

/// The committer ended.
fn gone() -> LedgerError {
    LedgerError::Unavailable {
        reason: "it is closed".to_owned(),
    }
}

/// How much longer than another question one about all rows of a kind may take.
const SCAN_PATIENCE: u32 = 12;
