//! How is a stream to the CA kept open, for ever? One at a time, with the certificate of the moment; again after a
//! pause when it breaks, and rarely where the CA has none to offer.

use std::sync::Arc;
use std::time::Duration;

use proto::signet::InUse;
use proto::signet::TrustBundle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Footing;
use super::Push;
use crate::agent::AgentBuilder;
use crate::agent::Failure;
use crate::agent::Status;
use crate::agent::backoff::Failed;
use crate::agent::builder::Dice;
use crate::agent::moment::Moment;
use crate::agent::status::one_line;
use crate::builder::CaClientBuilder;
use crate::client::CaClient;
use crate::clock::Clock;
use crate::credential::Credential;
use crate::error::Error;
use crate::trust::Trust;
use crate::watch::TrustStream;

/// Follows the CA.
#[derive(Debug)]
pub(in crate::agent) struct Follower {
    request: CaClientBuilder,
    footing: watch::Receiver<Option<Footing>>,
    in_use: watch::Receiver<Option<InUse>>,
    words: watch::Sender<Option<Arc<TrustBundle>>>,
    status: Arc<watch::Sender<Status>>,
    clock: Arc<dyn Clock>,
    dice: Dice,
    /// In a row.
    failures: u32,
}

/// What it stands on, what it acknowledges, and where it puts what it hears.
type Ends = (
    watch::Receiver<Option<Footing>>,
    watch::Receiver<Option<InUse>>,
    watch::Sender<Option<Arc<TrustBundle>>>,
);

/// Why there is no stream any more.
enum Ended {
    /// For the better: another certificate, or other roots.
    ByUs,
    /// By mishap, after so long a time.
    Broken(Error, Duration),
}

impl From<Error> for Ended {
    /// There was none in the first place.
    fn from(error: Error) -> Self {
        Self::Broken(error, Duration::ZERO)
    }
}

impl Follower {
    pub(super) fn new(
        settings: &AgentBuilder,
        status: Arc<watch::Sender<Status>>,
        (footing, in_use, words): Ends,
    ) -> Self {
        Self {
            request: settings.request.clone(),
            footing,
            in_use,
            words,
            status,
            clock: Arc::clone(&settings.clock),
            dice: settings.dice.clone(),
            failures: 0,
        }
    }

    /// Never ends by itself.
    pub(in crate::agent) async fn run(mut self) {
        loop {
            let footing = self.standing().await;
            let pause = match self.follow(&footing).await {
                Ended::ByUs => self.spread(),
                Ended::Broken(error, lasted) => self.note(&error, lasted),
            };
            self.rest(pause).await;
        }
    }

    /// Waits until there is a certificate that the CA may take.
    async fn standing(&mut self) -> Footing {
        loop {
            let now = Moment::now(self.clock.as_ref());
            let standing = self.footing.borrow_and_update().clone();
            if let Some(footing) = standing.filter(|it| !it.is_over(now)) {
                return footing;
            }
            // A clock that is put right makes a certificate good again, too.
            let changed = tokio::time::timeout(LOOK, self.footing.changed()).await;
            if changed.is_ok_and(|it| it.is_err()) {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn follow(&mut self, footing: &Footing) -> Ended {
        let client = match self.client(footing) {
            Ok(client) => client,
            Err(reason) => return reason.into(),
        };
        let in_use = self.in_use.borrow_and_update().clone();
        let acknowledged = in_use.as_ref().map(|it| it.bundle);
        match client.watch(&footing.instance, in_use).await {
            Ok((stream, first)) => {
                self.note_open(acknowledged);
                self.pass_on(first);
                let ended = self.listen(stream, footing).await;
                self.set_push(Push::NotConnected);
                ended
            }
            Err(error) => error.into(),
        }
    }

    fn client(&self, footing: &Footing) -> Result<CaClient, Error> {
        let local = |error: &dyn std::error::Error| Error::TlsSettings {
            source: rustls::Error::General(one_line(error)),
        };
        let trust = Trust::roots(footing.bundle.of_the_ca()).map_err(|error| local(&error))?;
        let moment = footing.ca_has_passed(Moment::now(self.clock.as_ref()));
        self.request
            .clone()
            .no_earlier_than(moment)
            .trust(trust)
            .credential(Credential::identity(footing.svid.as_ref().clone()))
            .build()
            .map_err(|error| local(&error))
    }

    async fn listen(&mut self, mut stream: TrustStream, footing: &Footing) -> Ended {
        let began = Instant::now();
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    Ok(message) => self.pass_on(message),
                    Err(error) => return Ended::Broken(error, began.elapsed()),
                },
                Ok(()) = self.in_use.changed() => {
                    if let Err(error) = self.acknowledge(&stream) {
                        return Ended::Broken(error, began.elapsed());
                    }
                }
                Ok(()) = self.footing.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.has_outlived(footing) {
                stream.close().await;
                return Ended::ByUs;
            }
        }
    }

    fn acknowledge(&mut self, stream: &TrustStream) -> Result<(), Error> {
        let Some(in_use) = self.in_use.borrow_and_update().clone() else {
            return Ok(());
        };
        let number = in_use.bundle;
        stream.tell(in_use)?;
        self.status
            .send_modify(|status| status.trust.acknowledged = Some(number));
        Ok(())
    }

    /// Whether the certificate that opened the stream has expired, or roots were distrusted since.
    fn has_outlived(&self, footing: &Footing) -> bool {
        let now = self.footing.borrow();
        let distrusted = now.as_ref().map_or(0, |it| it.bundle.distrusted().len());
        footing.is_over(Moment::now(self.clock.as_ref()))
            || distrusted > footing.bundle.distrusted().len()
    }

    fn pass_on(&self, message: TrustBundle) {
        self.words.send_replace(Some(Arc::new(message)));
    }

    fn note_open(&self, acknowledged: Option<u64>) {
        let since = self.clock.now();
        if self.failures > 0 || self.push() == Push::NotOffered {
            tracing::info!("following the CA's trust bundle again");
        }
        self.status.send_modify(|status| {
            status.trust.push = Push::Connected { since };
            status.trust.acknowledged = acknowledged.or(status.trust.acknowledged);
        });
    }

    /// Notes what went wrong, once where it goes on; how long to pause.
    fn note(&mut self, error: &Error, lasted: Duration) -> Duration {
        if is_unimplemented(error) {
            if self.push() != Push::NotOffered {
                tracing::info!(
                    "this CA does not tell of new roots by itself; they come with renewals"
                );
            }
            self.set_push(Push::NotOffered);
            return RARELY.mul_f64(0.75 + self.dice.draw().clamp(0.0, 1.0) / 2.0);
        }
        self.failures = match lasted > LASTING {
            true => 1,
            false => self.failures.saturating_add(1),
        };
        let message = one_line(error);
        let reason = error.reason();
        if self.is_news(reason) {
            tracing::warn!(reason, "the CA's trust bundle is not followed: {message}");
        }
        let failure = Failure {
            reason,
            message,
            at: self.clock.now(),
        };
        self.status.send_modify(|status| {
            status.trust.push = Push::NotConnected;
            status.trust.failures += 1;
            status.trust.last_failure = Some(failure);
        });
        let failed = Failed {
            times: self.failures,
            left: Duration::MAX,
            refused: false,
            pushback: error.pushback(),
        };
        failed.wait(self.dice.draw())
    }

    fn is_news(&self, reason: &str) -> bool {
        let before = &self.status.borrow().trust.last_failure;
        self.failures == 1 || before.as_ref().is_none_or(|it| it.reason != reason)
    }

    /// Those whose roots were distrusted together do not come back together.
    fn spread(&self) -> Duration {
        AGAIN.mul_f64(self.dice.draw().clamp(0.0, 1.0))
    }

    /// Pauses; a new certificate shows that the CA is well, unless it has nothing to offer.
    async fn rest(&mut self, pause: Duration) {
        let waits = self.push() == Push::NotOffered;
        let serial = |footing: &Option<Footing>| footing.as_ref().map(|it| it.svid.serial());
        let before = serial(&self.footing.borrow());
        let renewed = async {
            let changed = self
                .footing
                .wait_for(|now| !waits && serial(now) != before)
                .await
                .is_ok();
            if !changed {
                std::future::pending::<()>().await;
            }
        };
        // Either will do.
        drop(tokio::time::timeout(pause, renewed).await);
    }

    fn push(&self) -> Push {
        self.status.borrow().trust.push
    }

    fn set_push(&self, push: Push) {
        self.status.send_modify(|status| status.trust.push = push);
    }
}

fn is_unimplemented(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused {
            code: tonic::Code::Unimplemented,
            ..
        }
    )
}

/// The longest time between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
/// A stream that lasted is no sign of trouble.
const LASTING: Duration = Duration::from_secs(30);
const RARELY: Duration = Duration::from_secs(600);
const AGAIN: Duration = Duration::from_secs(2);
