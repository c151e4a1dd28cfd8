//! What did we promise, and whom do we refuse? Every leaf that was ever signed, enrolment tokens, denials.
//!
//! An intent is durable before anything is signed; the record of the leaf rides a later flush.

pub mod archive;
mod denial;
mod embedded;
mod error;
mod holding;
mod intent;
mod query;
mod token;

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;

use crate::x509::Serial;

pub use denial::Denial;
pub use denial::Reason;
pub use denial::ReasonError;
pub use denial::SerialNumber;
pub use denial::SerialNumberError;
pub use denial::Target;
pub use embedded::Figures;
pub use embedded::LedgerOpenError;
pub use embedded::LedgerOptions;
pub use embedded::SledLedger;
pub use embedded::import;
pub use embedded::set_aside;
pub use error::LedgerError;
pub use holding::Acknowledgement;
pub use holding::Holder;
pub use holding::Holding;
pub use holding::InstanceId;
pub use holding::InstanceIdError;
pub use holding::Terms;
pub use intent::Evidence;
pub use intent::Intent;
pub use query::Cursor;
pub use query::Page;
pub use query::Query;
pub use token::Spent;
pub use token::Token;
pub use token::TokenId;

/// The ledger, as the rest of the house sees it.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// Makes `intent` durable, and in the same batch spends the token of `intent.evidence`, if that is one.
    ///
    /// Once [`Self::deny`] has answered, nothing that it is aimed at is reserved or repeated, except for the CA itself.
    ///
    /// # Errors
    /// Nothing was written; after [`LedgerError::Unavailable`] it may turn out to have been.
    async fn reserve(&self, intent: Intent) -> Result<Reservation, LedgerError>;

    /// Notes the leaf that was signed for a reserved serial. Durable with a later flush, soon.
    ///
    /// # Errors
    /// The leaf stays listed as one that may exist.
    async fn record(&self, serial: Serial, leaf_der: Vec<u8>) -> Result<(), LedgerError>;

    /// The entry of one serial.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn find(&self, serial: Serial) -> Result<Option<Entry>, LedgerError>;

    /// One page of entries, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list(&self, query: Query) -> Result<Page, LedgerError>;

    /// For every root that leaves were reserved under, the last second of the longest-lived of them. The CA's own leaves do
    /// not count.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn last_leaf_under_each_root(
        &self,
    ) -> Result<Vec<(Fingerprint, SystemTime)>, LedgerError>;

    /// Makes an enrolment token durable.
    ///
    /// # Errors
    /// Nothing was written; after [`LedgerError::Unavailable`] it may turn out to have been.
    async fn create_token(&self, token: Token) -> Result<(), LedgerError>;

    /// One enrolment token.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn find_token(&self, id: TokenId) -> Result<Option<Token>, LedgerError>;

    /// All enrolment tokens, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list_tokens(&self) -> Result<Vec<Token>, LedgerError>;

    /// Marks a token as revoked, durably, and answers it as it is now; `None` when there is no such token.
    ///
    /// # Errors
    /// Nothing was written; after [`LedgerError::Unavailable`] it may turn out to have been.
    async fn revoke_token(
        &self,
        id: TokenId,
        now: SystemTime,
    ) -> Result<Option<Token>, LedgerError>;

    /// Makes a denial durable, in the place of an earlier one of the same target.
    ///
    /// # Errors
    /// Nothing was written; after [`LedgerError::Unavailable`] it may turn out to have been.
    async fn deny(&self, denial: Denial) -> Result<(), LedgerError>;

    /// Takes a denial back, durably, and answers it; `None` when there is no such denial.
    ///
    /// # Errors
    /// Nothing was written; after [`LedgerError::Unavailable`] it may turn out to have been.
    async fn allow(&self, target: Target) -> Result<Option<Denial>, LedgerError>;

    /// All denials, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list_denials(&self) -> Result<Vec<Denial>, LedgerError>;

    /// For each list of targets, the first of them that is denied, if one is.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn denials_of(
        &self,
        targets: Vec<Vec<Target>>,
    ) -> Result<Vec<Option<Denial>>, LedgerError>;

    /// The first of `targets` that is denied, if one is.
    ///
    /// # Errors
    /// As [`Self::denials_of`].
    async fn denial_of(&self, targets: Vec<Target>) -> Result<Option<Denial>, LedgerError> {
        let found = self.denials_of(vec![targets]).await?;
        Ok(found.into_iter().flatten().next())
    }

    /// Says under which signer and with which trust bundle leaves are issued from now on, durably.
    ///
    /// Once this has answered, no intent under other terms is reserved, except for the CA itself: what is read afterwards
    /// is all that there will ever be under the terms before.
    ///
    /// # Errors
    /// Nothing was written; after [`LedgerError::Unavailable`] it may turn out to have been.
    async fn set_terms(&self, terms: Terms) -> Result<(), LedgerError>;

    /// The terms in force; `None` when nobody set any, so that all pass.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn terms(&self) -> Result<Option<Terms>, LedgerError>;

    /// Notes what an agent says it uses, durably, in the place of what it said before under the same SPIFFE ID.
    ///
    /// # Errors
    /// Nothing was written; after [`LedgerError::Unavailable`] it may turn out to have been.
    async fn acknowledge(&self, acknowledgement: Acknowledgement) -> Result<(), LedgerError>;

    /// What is known of one agent under one SPIFFE ID, whether or not a leaf of it is alive.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn holder(
        &self,
        instance: InstanceId,
        spiffe_id: SpiffeId,
    ) -> Result<Holder, LedgerError>;

    /// Who may hold leaves that are not over at `now`, the CA itself left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn holdings(&self, now: SystemTime) -> Result<Vec<Holding>, LedgerError>;

    /// Forgets some of what is known of holders whose leaves were over a day before `now`, and answers how many rows that
    /// were; zero when there is nothing left to forget. To be called again and again, and seldom: each time reads a row
    /// for every holder. Entries stay.
    ///
    /// # Errors
    /// What was not forgotten is still there.
    async fn prune_marks(&self, now: SystemTime) -> Result<usize, LedgerError>;

    /// Writes something and waits until it is durable: is the store well?
    ///
    /// # Errors
    /// When it is not.
    async fn probe(&self) -> Result<(), LedgerError>;
}

/// What became of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// The intent is durable: sign it.
    Reserved,
    /// The token was spent before, on the same key, and this leaf came of it: answer it again.
    Repeat(Box<Entry>),
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was about to be signed.
    pub intent: Intent,
    /// The leaf's DER; `None` when no record of it reached the disk, so that it may or may not exist.
    pub leaf_der: Option<Vec<u8>>,
}
