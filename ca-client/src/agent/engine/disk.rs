//! What is on disk, and what should be? Reads what an earlier run left, writes what is new, and writes
//! it again when somebody took it away.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

use super::Current;
use super::Engine;
use crate::agent::Output;
use crate::agent::follow::Memory;
use crate::agent::moment::Moment;
use crate::agent::renewal::granted;
use crate::agent::status::Files;
use crate::agent::status::Held;
use crate::agent::status::one_line;
use crate::bundle::Bundle;
use crate::csr::KeyAndCsr;
use crate::files::FilesError;
use crate::instance::InstanceId;
use crate::key::PrivateKey;
use crate::svid::Svid;

/// What an earlier run left.
struct Left {
    is_whole: bool,
    requested: Option<PrivateKey>,
    memory: Memory,
    bundle: Result<Option<Bundle>, FilesError>,
    stored: Result<Option<(Svid, Option<SystemTime>)>, FilesError>,
}

impl Engine {
    /// Takes up where an earlier run ended: its bundle, and its certificate if that has not expired.
    pub(super) async fn load(&mut self) {
        let Some(output) = self.output.clone() else {
            self.instance = InstanceId::draw();
            self.know();
            return;
        };
        let left = blocking(output, |output| {
            let stored = output.stored();
            let svid = stored.as_ref().ok().and_then(Option::as_ref);
            Left {
                is_whole: svid.is_some_and(|(svid, _)| output.is_whole(svid)),
                requested: output.requested(),
                memory: output.memory(),
                bundle: output.stored_bundle(),
                stored,
            }
        })
        .await;
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
    pub(super) async fn keep_key(&self, key: Arc<KeyAndCsr>) {
        let Some(output) = self.output.clone() else {
            return;
        };
        let kept = blocking(output, move |output| output.keep_requested(&key.key)).await;
        if let Err(error) = kept {
            warn(&error, "a restart may cost a one-time token");
        }
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
                    let written = output.write(&svid, bundle.as_ref(), now.wall);
                    if written.is_ok() {
                        output.remember_instance(instance.as_ref());
                    }
                    (
                        lost,
                        Some(written.map_err(|error| {
                            let older_until = output.good_until(&error);
                            (error, older_until)
                        })),
                    )
                }
            }
        })
        .await;
        if let Some(error) = lost {
            warn(&error, "the files are gone");
            self.standing = Arc::default();
        }
        match written {
            None => {}
            Some(Ok(())) => self.note_written(now),
            Some(Err((error, older_until))) => self.note_unwritten(&error, older_until),
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

    fn note_unwritten(&mut self, error: &FilesError, older_until: Option<SystemTime>) {
        self.on_disk = false;
        let message = one_line(error);
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
        Err(error) => match error.try_into_panic() {
            // A supervisor helps where nothing but a new start does.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

fn warn(error: &FilesError, what: &str) {
    tracing::warn!("{what}: {}", one_line(error));
}
