//! What is on disk, and what should be? Reads what an earlier run left, writes what is new, and writes
//! it again when somebody took it away.

use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use super::Current;
use super::Engine;
use super::errand::Left;
use super::errand::Tended;
use super::errand::Wish;
use crate::agent::aside::Aside;
use crate::agent::moment::Moment;
use crate::agent::renewal::granted;
use crate::agent::status::Files;
use crate::agent::status::Held;
use crate::agent::status::one_line;
use crate::csr::KeyAndCsr;
use crate::files::FilesError;
use crate::instance::InstanceId;
use crate::key::PrivateKey;
use crate::svid::Svid;

impl Engine {
    /// Takes up where an earlier run ended: its bundle, and its certificate if that has not expired.
    pub(super) async fn load(&mut self) {
        let Some(output) = self.output.clone() else {
            self.instance = InstanceId::draw();
            self.know();
            return;
        };
        let mut reading = Aside::new();
        let left = loop {
            let output = Arc::clone(&output);
            match reading.ask(PATIENCE, move || Left::read(&output)).await {
                Some(left) => break left,
                None => self.note_silence(),
            }
        };
        self.status
            .send_modify(|status| status.files = Files::Pending);
        self.on_disk = left.is_whole;
        self.instance = left.memory.instance;
        // What is about to be written anew has to be told anew.
        self.told = left.memory.told.filter(|_| left.is_whole);
        match left.bundle {
            Ok(bundle) => self.bundle = bundle.map(Arc::new),
            Err(error) => warn(&error, "the trust bundle of an earlier run is not used"),
        }
        if let (Some(bundle), Some(given)) = (&self.bundle, &self.settings.first_contact)
            && given
                .differs_from(bundle.roots(), &mut self.given_roots)
                .await
        {
            tracing::warn!(
                "the roots that were given share nothing with the trust bundle of the last run; the bundle counts"
            );
        }
        if let Some(key) = left.requested {
            self.take_up_key(&key, left.stored.as_ref().ok().and_then(Option::as_ref));
        }
        match left.stored {
            Ok(Some((svid, since))) => self.find(svid, since),
            Ok(None) => {}
            Err(error) => warn(&error, "the certificate of an earlier run is not used"),
        }
        self.know();
    }

    fn find(&mut self, svid: Svid, since: Option<SystemTime>) {
        let now = Moment::now(self.settings.clock.as_ref());
        self.status.send_modify(|status| {
            status.certificate = Some(Held::of(&svid));
            status.last_success = since;
        });
        if svid.not_after() < now.wall {
            let not_after = humantime::format_rfc3339_seconds(svid.not_after());
            tracing::warn!(%not_after, "the certificate of an earlier run has expired");
        }
        self.expired = Some((Arc::new(svid), since));
        self.take_up_if_good(now);
    }

    /// Goes on with the certificate of an earlier run, now or when a clock that was ahead is put right.
    pub(super) fn take_up_if_good(&mut self, now: Moment) {
        let is_good = |it: &mut (Arc<Svid>, _)| it.0.not_after() >= now.wall;
        if self.held.is_none()
            && let Some((svid, since)) = self.expired.take_if(is_good)
        {
            self.take_up(svid, since, now);
            self.know();
        }
    }

    fn take_up(&mut self, svid: Arc<Svid>, since: Option<SystemTime>, now: Moment) {
        let not_after = humantime::format_rfc3339_seconds(svid.not_after());
        tracing::info!(%not_after, serial = svid.serial(), "going on with the certificate of an earlier run");
        let life = granted(&svid, None);
        let since = since.unwrap_or_else(|| svid.not_before());
        // What was received in the future was received by a wrong clock: then it is due now.
        let age = now.wall.duration_since(since).unwrap_or(life);
        let (renewal, drawn) = (self.settings.renewal, self.settings.dice.draw());
        let by_receipt = renewal.delay(life, drawn).saturating_sub(age);
        // Files that were copied, or written again, look younger than the certificate is.
        let left = svid
            .not_after()
            .duration_since(now.wall)
            .unwrap_or_default();
        let by_date = renewal.delay(left, drawn);
        self.insisted = Some(svid.spiffe_id().clone());
        self.svids.send_replace(Some(Arc::clone(&svid)));
        self.status
            .send_modify(|status| status.files = Files::Written { at: since });
        self.held = Some(Current {
            svid,
            received: now,
            renew_after: by_receipt.min(by_date),
        });
        if self.on_disk {
            self.publish();
        }
        self.tell_next(now);
    }

    /// Asks again for the key of an earlier run, unless that got its certificate.
    fn take_up_key(&mut self, key: &PrivateKey, stored: Option<&(Svid, Option<SystemTime>)>) {
        let is_certified =
            stored.is_some_and(|(svid, _)| svid.private_key_pkcs8().der() == key.der());
        if !is_certified {
            // What cannot be asked for is replaced by a new one.
            self.key = self.request_for(key).ok().map(Arc::new);
        }
    }

    /// Keeps a new key across restarts, where a token may have to pay for its certificate.
    pub(super) async fn keep_key(&mut self, key: Arc<KeyAndCsr>) {
        let Some(output) = self.output.clone() else {
            return;
        };
        let keep = move || {
            let output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.keep_requested(&key.key)
        };
        match Aside::new().ask(PATIENCE, keep).await {
            Some(Ok(())) => {}
            Some(Err(error)) => warn(&error, "a restart may cost a one-time token"),
            None => self.note_silence(),
        }
    }

    /// Makes the files what is held. A directory that does not answer is told of, and holds up nothing else.
    pub(super) async fn tend_files(&mut self, now: Moment) {
        let (Some(output), Some(held)) = (self.output.clone(), &self.held) else {
            return;
        };
        let wish = Wish {
            svid: Arc::clone(&held.svid),
            bundle: self.bundle.clone(),
            instance: self.instance.clone(),
            was_there: self.on_disk,
            now: now.wall,
        };
        let tended = self.disk.ask(PATIENCE, move || wish.fulfil(&output)).await;
        let Some(tended) = tended else {
            self.note_silence();
            return;
        };
        if !self.is_held(&tended) {
            // It was begun for what is not held any more; the next look is for what is.
            return;
        }
        if let Some(error) = tended.lost {
            warn(&error, "the files are gone");
            self.standing = Arc::default();
        }
        match tended.written {
            None => self.note_answer(now),
            Some(Ok(())) => self.note_written(now),
            Some(Err((error, older_until))) => self.note_unwritten(one_line(&error), older_until),
        }
    }

    fn is_held(&self, tended: &Tended) -> bool {
        let held = self.held.as_ref();
        let is_same_bundle = match (&self.bundle, &tended.bundle) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        is_same_bundle && held.is_some_and(|held| Arc::ptr_eq(&held.svid, &tended.svid))
    }

    /// Nobody knows how the files are.
    fn note_silence(&mut self) {
        let held = self.held.as_ref().filter(|_| self.on_disk);
        let there = held.map(|held| held.svid.not_after());
        let was_there = self.on_disk;
        let seconds = PATIENCE.as_secs();
        self.note_unwritten(
            format!("the file system of --out did not answer within {seconds} seconds"),
            there,
        );
        self.on_disk = was_there;
    }

    /// The files are there, as before.
    fn note_answer(&self, now: Moment) {
        if matches!(self.status.borrow().files, Files::Failed { .. }) {
            tracing::info!("the file system answers again, and the files are there");
            self.status
                .send_modify(|status| status.files = Files::Written { at: now.wall });
        }
    }

    fn note_written(&mut self, now: Moment) {
        self.on_disk = true;
        let was_failing = matches!(self.status.borrow().files, Files::Failed { .. });
        if was_failing {
            tracing::info!("the files are written again");
        }
        self.status
            .send_modify(|status| status.files = Files::Written { at: now.wall });
        self.publish();
    }

    fn note_unwritten(&mut self, message: String, older_until: Option<SystemTime>) {
        self.on_disk = false;
        let is_news = match &self.status.borrow().files {
            Files::Failed {
                message: before, ..
            } => *before != message,
            Files::NotWanted | Files::Pending | Files::Written { .. } => true,
        };
        if is_news {
            tracing::error!("the files are not written, trying every second: {message}");
        }
        self.status.send_modify(|status| {
            status.files = Files::Failed {
                message,
                older_until,
            }
        });
    }
}

fn warn(error: &FilesError, what: &str) {
    tracing::warn!("{what}: {}", one_line(error));
}

/// For a whole set of files to be written, or looked at, on a disk that is busy.
const PATIENCE: Duration = Duration::from_secs(5);
