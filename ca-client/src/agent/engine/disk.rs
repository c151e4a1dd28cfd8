//! What is on disk, and what should be? Reads what an earlier run left, writes what is new, and writes
//! it again when somebody took it away.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

use super::Current;
use super::Engine;
use crate::agent::Output;
use crate::agent::moment::Moment;
use crate::agent::renewal::granted;
use crate::agent::status::Files;
use crate::agent::status::Held;
use crate::agent::status::one_line;
use crate::files::FilesError;
use crate::instance::InstanceId;
use crate::svid::Svid;

impl Engine {
    /// Takes up where an earlier run ended: its bundle, and its certificate if that has not expired.
    pub(super) async fn load(&mut self) {
        let Some(output) = self.output.clone() else {
            self.instance = InstanceId::draw();
            self.know();
            return;
        };
        let (memory, bundle, stored) = blocking(output, |output| {
            (output.memory(), output.stored_bundle(), output.stored())
        })
        .await;
        self.instance = memory.instance;
        self.told = memory.told;
        match bundle {
            Ok(bundle) => self.bundle = bundle.map(Arc::new),
            Err(error) => warn(&error, "the trust bundle of an earlier run is not used"),
        }
        if let (Some(bundle), Some(given)) = (&self.bundle, &self.settings.first_contact)
            && given.differs_from(bundle.roots())
        {
            tracing::warn!(
                "the roots that were given share nothing with the trust bundle of the last run; the bundle counts"
            );
        }
        match stored {
            Ok(Some((svid, since))) => self.take_up(svid, since),
            Ok(None) => {}
            Err(error) => warn(&error, "the certificate of an earlier run is not used"),
        }
        self.know();
    }

    fn take_up(&mut self, svid: Svid, since: Option<SystemTime>) {
        let now = Moment::now(self.settings.clock.as_ref());
        let not_after = humantime::format_rfc3339_seconds(svid.not_after());
        self.status
            .send_modify(|status| status.certificate = Some(Held::of(&svid)));
        if svid.not_after() < now.wall {
            tracing::warn!(%not_after, "the certificate of an earlier run has expired");
            return;
        }
        tracing::info!(%not_after, serial = svid.serial(), "going on with the certificate of an earlier run");
        let svid = Arc::new(svid);
        let life = granted(&svid, None);
        let since = since.unwrap_or_else(|| svid.not_before());
        // What was received in the future was received by a wrong clock: then it is due now.
        let age = now.wall.duration_since(since).unwrap_or(life);
        let delay = self.settings.renewal.delay(life, self.settings.dice.draw());
        self.insisted = Some(svid.spiffe_id().clone());
        self.on_disk = true;
        self.svids.send_replace(Some(Arc::clone(&svid)));
        self.status
            .send_modify(|status| status.files = Files::Written { at: since });
        self.held = Some(Current {
            svid,
            received: now,
            renew_after: delay.saturating_sub(age),
        });
        self.publish();
        self.tell_next(now);
    }

    /// Makes the files what is held.
    pub(super) async fn tend_files(&mut self, now: Moment) {
        let (Some(output), Some(held)) = (self.output.clone(), &self.held) else {
            return;
        };
        let svid = Arc::clone(&held.svid);
        let bundle = self.bundle.clone();
        let instance = self.instance.clone();
        let was_there = self.on_disk;
        let (lost, written) = blocking(output, move |output| {
            let lost = match was_there {
                true => output.check(&svid).err(),
                false => None,
            };
            match was_there && lost.is_none() {
                true => (None, None),
                false => {
                    let written = output.write(&svid, bundle.as_deref(), now.wall);
                    output.remember_instance(instance.as_ref());
                    (lost, Some(written))
                }
            }
        })
        .await;
        if let Some(error) = lost {
            warn(&error, "the files are gone");
        }
        match written {
            None => {}
            Some(Ok(())) => self.note_written(now),
            Some(Err(error)) => self.note_unwritten(&error),
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

    fn note_unwritten(&mut self, error: &FilesError) {
        self.on_disk = false;
        let message = one_line(error);
        let is_news = match &self.status.borrow().files {
            Files::Failed { message: before } => *before != message,
            Files::NotWanted | Files::Pending | Files::Written { .. } => true,
        };
        if is_news {
            tracing::error!("the files are not written, trying every second: {message}");
        }
        self.status
            .send_modify(|status| status.files = Files::Failed { message });
    }
}

/// Works on the output where waiting for a disk holds up nobody.
async fn blocking<T: Send + 'static>(
    output: Arc<Mutex<Output>>,
    work: impl FnOnce(&mut Output) -> T + Send + 'static,
) -> T {
    let task = tokio::task::spawn_blocking(move || {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut output)
    });
    match task.await {
        Ok(result) => result,
        // The work does not panic; a runtime that is ending cancels it.
        Err(_cancelled) => std::future::pending().await,
    }
}

fn warn(error: &FilesError, what: &str) {
    tracing::warn!("{what}: {}", one_line(error));
}
