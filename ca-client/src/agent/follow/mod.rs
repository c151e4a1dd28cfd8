//! How does an agent keep up with the CA's trust? A task follows the CA's stream and hands what it hears to the engine;
//! what the engine publishes is told to readers, settles, and is then acknowledged: files renamed, hook ended, settled.

mod advice;
mod follower;
mod in_use;
pub(super) mod memory;
mod message;
mod status;

use std::sync::Arc;
use std::time::SystemTime;

use proto::signet::TrustBundle;
use tokio::sync::mpsc;
use tokio::sync::watch;

pub(super) use advice::Advice;
use follower::Follower;
use in_use::Settling;
pub(super) use memory::Memory;
pub(super) use message::Heard;
pub(super) use message::NonsenseError;
pub use status::Push;
pub use status::TrustStatus;

pub(super) use in_use::Published;
pub(super) use in_use::Told;

use super::AgentBuilder;
use super::Output;
use super::Status;
use super::moment::Moment;
use crate::bundle::Bundle;
use crate::instance::InstanceId;
use crate::offer::Offer;
use crate::offer::Place;
use crate::sds::Gate;
use crate::svid::Svid;

/// What it takes to follow the CA.
#[derive(Clone, Debug)]
pub(super) struct Footing {
    pub(super) svid: Arc<Svid>,
    pub(super) received: Moment,
    pub(super) bundle: Arc<Bundle>,
    pub(super) instance: InstanceId,
}

impl Footing {
    /// The time of day, but not earlier than the CA's clock can be.
    fn ca_has_passed(&self, now: Moment) -> SystemTime {
        now.not_before(self.svid.not_before(), self.received)
    }

    /// Whether the certificate has expired.
    fn is_over(&self, now: Moment) -> bool {
        self.svid.not_after() < self.ca_has_passed(now)
    }
}

/// The engine's ends of what connects it with the others.
#[derive(Debug)]
pub(super) struct EngineEnds {
    footing: watch::Sender<Option<Footing>>,
    published: watch::Sender<Option<Published>>,
    place: Place,
    messages: watch::Receiver<Option<Arc<TrustBundle>>>,
}

impl EngineEnds {
    pub(super) fn stand_on(&self, footing: Footing) {
        self.footing.send_replace(Some(footing));
    }

    /// Hands on what is held, whether or not it is in files yet.
    pub(super) fn offer(&self, offer: Offer) {
        self.place.offer(offer);
    }

    pub(super) fn publish(&self, published: Published) {
        self.published.send_replace(Some(published));
    }

    /// Ends when the CA said something.
    pub(super) async fn word(&mut self) {
        if self.messages.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends when the CA said something since [`Self::latest`], and leaves it there.
    pub(super) async fn other_word(&self) {
        if self.messages.clone().changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What the CA said last.
    pub(super) fn latest(&mut self) -> Option<Arc<TrustBundle>> {
        self.messages.borrow_and_update().clone()
    }
}

/// Those who work beside the engine, and what they need of it.
#[derive(Debug)]
pub(super) struct Followers {
    pub(super) follower: Follower,
    pub(super) settling: Settling,
    pub(super) published: watch::Receiver<Option<Published>>,
    pub(super) ended: mpsc::Sender<Told>,
}

/// Everybody, connected: what is held goes to `place`, and readers over SDS are waited for at `gate`.
pub(super) fn connect(
    settings: &AgentBuilder,
    status: &Arc<watch::Sender<Status>>,
    place: Place,
    gate: Option<Gate>,
) -> (EngineEnds, Followers) {
    let (footing, stands) = watch::channel(None);
    let (publisher, published) = watch::channel(None);
    let (words, messages) = watch::channel(None);
    let (ended, told) = mpsc::channel(WAITING);
    let (in_use, used) = watch::channel(None);
    let followers = Followers {
        follower: Follower::new(settings, Arc::clone(status), (stands, used, words)),
        settling: Settling {
            settle: settings.settle,
            told,
            in_use,
            gate,
            memory: settings.output.as_ref().map(Output::path).map(Into::into),
        },
        published,
        ended,
    };
    let ends = EngineEnds {
        footing,
        published: publisher,
        place,
        messages,
    };
    (ends, followers)
}

/// Swaps that may wait to settle at the same time.
const WAITING: usize = 256;
