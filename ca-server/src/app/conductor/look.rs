//! Did the operator change the files? Whatever woke us, the contents decide, and a bad set changes nothing.

use std::io;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tracing::debug;
use tracing::error;
use tracing::warn;

use super::super::ca::CaError;
use super::super::report;
use super::Conductor;
use super::directory::EMPTY;
use super::directory::Failure;
use super::looking::Hangs;
use super::orders::Asked;
use crate::authority::bundle::Content;
use crate::rotation::Command;
use crate::rotation::Origin;

impl Conductor {
    /// Has the operator's directory read; what is there is taken when it was.
    pub(super) async fn begin_look(&mut self, asked: Option<Asked>, now: SystemTime) {
        let begun = self.looking.begin(&self.settings.root_ca_dir, asked);
        if let Err(Hangs { error, asked }) = begun {
            self.note_unreadable(&error);
            self.tell(asked, now).await;
        }
    }

    /// Takes what was read, tells whoever waited for it, and reads again what may have changed meanwhile.
    pub(super) async fn finish_look(&mut self, read: io::Result<Content>, now: SystemTime) {
        if let Err(error) = self.take_what_was_read(read, now).await {
            warn!(error = %report::chain_of(&error), "the CA bundle could not be taken; trying again");
        }
        let waiting = self.looking.take_waiting();
        self.tell(waiting, now).await;
        if let Err((error, waiting)) = self.looking.begin_again(&self.settings.root_ca_dir) {
            self.note_unreadable(&error);
            self.tell(waiting, now).await;
        }
    }

    /// The directory is not what it was when they asked: now they hear how things stand.
    async fn tell(&mut self, waiting: impl IntoIterator<Item = Asked>, now: SystemTime) {
        for asked in waiting {
            let answer = self.answer(&Command::Reload, false, now).await;
            // Whoever asked may have gone away.
            drop(asked.answer.send(answer));
        }
    }

    /// Takes what is new in the operator's directory. What does not work is noted, and tried again at the next look: a
    /// disk may have room then, a date may have come.
    pub(super) async fn take_what_was_read(
        &mut self,
        read: io::Result<Content>,
        now: SystemTime,
    ) -> Result<(), CaError> {
        if self.unfinished {
            self.enact(now).await?;
        }
        self.directory.looks += 1;
        let content = match read {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                debug!(%error, "the CA bundle is looked at again");
                return Ok(());
            }
            Err(error) => {
                self.note_unreadable(&error);
                return Ok(());
            }
        };
        let hash = content.hash();
        self.directory.on_disk = hash;
        match hash {
            None => self.note_empty(now).await,
            Some(hash) => {
                self.directory.empty_since = None;
                self.take_if_new(&content, hash, now).await;
            }
        }
        Ok(())
    }

    /// A directory that is not there is never a removal: it may be on its way back.
    fn note_unreadable(&mut self, error: &io::Error) {
        self.directory.on_disk = None;
        self.directory.empty_since = None;
        if error.kind() == io::ErrorKind::NotFound && !self.is_plugged_in() {
            self.directory.note_loaded(None);
            return;
        }
        let dir = self.settings.root_ca_dir.display();
        let message = format!(
            "{dir} cannot be read: {error}; going on with what was there, put it back or mount it again"
        );
        self.note_failure(None, message);
    }

    /// Whether the last signer that came is an operator's.
    fn is_plugged_in(&self) -> bool {
        let waiting = self.record.next_signer();
        let last = waiting.or_else(|| self.record.active_signer());
        last.is_some_and(|signer| signer.origin == Origin::PluggedIn)
    }

    /// One that is there without any of the files is a removal, when it still is so an interval later.
    async fn note_empty(&mut self, now: SystemTime) {
        let elapsed = self.started.elapsed();
        let since = *self.directory.empty_since.get_or_insert(elapsed);
        if !self.is_plugged_in() {
            self.directory.note_loaded(None);
            return;
        }
        if self.is_given_up() {
            self.note_given_up();
            return;
        }
        // Hints may come one upon the other while files are moved away and new ones in.
        let is_early = elapsed <= since || elapsed - since < self.settings.reload_interval;
        if is_early || self.removal_patience.holds_at(elapsed) {
            return;
        }
        let removed = self.go_self_signed(now).await;
        self.removal_patience.note(&removed, elapsed);
        match removed {
            Ok(()) => {
                warn!(dir = %self.settings.root_ca_dir.display(), "the CA bundle was removed: going over to the self-signed CA");
                self.directory.note_loaded(None);
            }
            Err(error) => self.note_failure(None, report::chain_of(&error)),
        }
    }

    /// Whether what is there is what an operator turned away from: the same files, or their removal.
    pub(super) fn is_given_up(&self) -> bool {
        let aborted = self.record.aborted.as_deref();
        aborted.is_some() && aborted == self.directory.mark().as_deref()
    }

    /// What an abort turns away from: what is there, or, while nobody can see that, what the next signer came of.
    pub(super) fn mark_of_what_waits(&self) -> Option<String> {
        let unseen = || {
            let next = self.record.next_signer()?;
            let signs = self.record.active_signer()?;
            match (signs.origin, next.origin) {
                (_, Origin::PluggedIn) => self.vault.hash(&next.issuer).map(|it| it.to_string()),
                (Origin::PluggedIn, Origin::SelfSigned) => Some(EMPTY.to_owned()),
                (Origin::SelfSigned, Origin::SelfSigned) => None,
            }
        };
        self.directory.mark().or_else(unseen)
    }

    /// What is there is known, and not what signs: as it is after a restart too.
    pub(super) fn note_given_up(&mut self) {
        let signs = self.record.active_signer();
        let is_operators = signs.is_some_and(|signer| signer.origin == Origin::PluggedIn);
        let loaded = match is_operators {
            true => self.vault.hash(&self.record.active),
            false => None,
        };
        self.directory.note_given_up(loaded);
    }

    pub(super) fn note_failure(&mut self, hash: Option<Fingerprint>, message: String) {
        let failure = Failure {
            hash,
            message: message.clone(),
        };
        if self.directory.note_failure(failure) {
            error!(
                on_disk = self.directory.figures().on_disk,
                loaded = self.directory.figures().loaded,
                "keeping the last good CA: {message}"
            );
        }
    }
}
