//! What can the committer be asked, and who waits for the answer?

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot;

use super::failure::Failure;
use super::failure::Stop;
use super::prune::Useless;
use super::staging::Staging;
use crate::ledger::Acknowledgement;
use crate::ledger::Denial;
use crate::ledger::Intent;
use crate::ledger::LedgerError;
use crate::ledger::Reservation;
use crate::ledger::Target;
use crate::ledger::Terms;
use crate::ledger::Token;
use crate::ledger::TokenId;
use crate::x509::Serial;

/// A command on its way, with its place in the bounded queue. The place is free again once this is dropped.
pub(super) struct Envelope {
    pub(super) command: Command,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// Something that writes, or the end.
pub(super) enum Command {
    Acknowledge(Box<Acknowledgement>, Question<()>),
    Allow(Box<Target>, Question<Option<Denial>>),
    Close(oneshot::Sender<Result<(), LedgerError>>),
    CreateToken(Box<Token>, Question<()>),
    Deny(Box<Denial>, Question<()>),
    Forget(Box<Useless>, Question<usize>),
    Probe(Question<()>),
    Record(Serial, Vec<u8>, Question<()>),
    Reserve(Box<Intent>, Question<Reservation>),
    RevokeToken(TokenId, Question<Option<Token>>),
    SetTerms(Terms, Question<()>),
}

impl Command {
    /// Works out the answer and what is to be written for it.
    ///
    /// # Errors
    /// Only what breaks the whole group; a refusal becomes the answer.
    pub(super) fn stage(&mut self, staging: &mut Staging<'_>) -> Result<(), Failure> {
        match self {
            Self::Acknowledge(said, question) => question.settle(staging.acknowledge(said)),
            Self::Allow(target, question) => question.settle(staging.allow(target)),
            Self::Close(_) => Ok(()),
            Self::CreateToken(token, question) => question.settle(staging.create_token(token)),
            Self::Deny(denial, question) => question.settle(staging.deny(denial)),
            Self::Forget(useless, question) => question.settle(staging.forget(useless)),
            Self::Probe(question) => question.settle(staging.probe()),
            Self::Record(serial, leaf, question) => question.settle(staging.record(*serial, leaf)),
            Self::Reserve(intent, question) => question.settle(staging.reserve(intent)),
            Self::RevokeToken(id, question) => question.settle(staging.revoke_token(*id)),
            Self::SetTerms(terms, question) => question.settle(staging.set_terms(terms)),
        }
    }

    /// Whether the answer has to wait for the flush. That of a refusal does too: it may rest on what the same group writes.
    pub(super) fn waits_for_flush(&self) -> bool {
        !matches!(self, Self::Record(..))
    }

    /// Answers what was worked out.
    pub(super) fn answer(self) {
        match self {
            Self::Allow(_, question) => question.answer(),
            Self::Close(answer) => drop(answer.send(Ok(()))),
            Self::Forget(_, question) => question.answer(),
            Self::Reserve(_, question) => question.answer(),
            Self::RevokeToken(_, question) => question.answer(),
            Self::Acknowledge(_, question)
            | Self::CreateToken(_, question)
            | Self::Deny(_, question)
            | Self::Probe(question)
            | Self::Record(_, _, question)
            | Self::SetTerms(_, question) => question.answer(),
        }
    }

    /// Answers that the store is not available, whatever was worked out.
    pub(super) fn fail(self, error: LedgerError) {
        match self {
            Self::Allow(_, question) => question.fail(error),
            Self::Close(answer) => drop(answer.send(Err(error))),
            Self::Forget(_, question) => question.fail(error),
            Self::Reserve(_, question) => question.fail(error),
            Self::RevokeToken(_, question) => question.fail(error),
            Self::Acknowledge(_, question)
            | Self::CreateToken(_, question)
            | Self::Deny(_, question)
            | Self::Probe(question)
            | Self::Record(_, _, question)
            | Self::SetTerms(_, question) => question.fail(error),
        }
    }
}

/// Somebody who waits, and the answer once it is known.
pub(super) struct Question<T> {
    asker: oneshot::Sender<Result<T, LedgerError>>,
    answer: Option<Result<T, LedgerError>>,
}

impl<T> Question<T> {
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<T, LedgerError>>) {
        let (asker, answered) = oneshot::channel();
        let question = Self {
            asker,
            answer: None,
        };
        (question, answered)
    }

    fn settle(&mut self, staged: Result<T, Stop>) -> Result<(), Failure> {
        self.answer = Some(match staged {
            Ok(answer) => Ok(answer),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Broken(failure)) => return Err(failure),
        });
        Ok(())
    }

    /// An asker who gave up is nobody's trouble; a question that was never settled answers as one whose committer is gone.
    fn answer(self) {
        if let Some(answer) = self.answer {
            drop(self.asker.send(answer));
        }
    }

    fn fail(self, error: LedgerError) {
        drop(self.asker.send(Err(error)));
    }
}
