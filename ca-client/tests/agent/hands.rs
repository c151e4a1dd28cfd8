//! A clock with hands to move, and an agent that goes by it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use ca_client::Agent;
use ca_client::CaClient;
use ca_client::CaClientBuilder;
use ca_client::Clock;
use ca_client::SystemClock;
use ca_client::Trust;
use ca_client::agent::AgentBuilder;
use ca_client::agent::FirstContact;
use ca_client::agent::Status;
use tokio::sync::watch;

use crate::fake_ca::FakeCa;
use crate::pki::Leaf;

/// The machine's clocks, moved by some seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hands(Arc<Mutex<(i64, u64)>>);

impl Hands {
    /// The machine slept: the time of day goes on, and so does the steady clock where it can.
    pub(crate) fn sleep(&self, seconds: u32, steady_goes_on: bool) {
        let mut moved = self.0.lock().unwrap();
        moved.0 += i64::from(seconds);
        moved.1 += u64::from(seconds) * u64::from(steady_goes_on);
    }

    /// Somebody set the time of day.
    pub(crate) fn set(&self, seconds: i64) {
        self.0.lock().unwrap().0 += seconds;
    }

    /// Time passed, with nothing strange about it.
    pub(crate) fn pass(&self, seconds: u32) {
        self.sleep(seconds, true);
    }

    pub(crate) fn offset(&self) -> i64 {
        self.0.lock().unwrap().0
    }
}

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        crate::pki::moment(self.offset())
    }

    fn steady(&self) -> Duration {
        SystemClock.steady() + Duration::from_secs(self.0.lock().unwrap().1)
    }
}

/// A CA whose own clock is `clock`, and that grants an hour.
pub(crate) async fn ca_by(clock: Hands) -> FakeCa {
    FakeCa::start(move |pki, asked| {
        let now = clock.offset();
        let leaf = Leaf {
            from: now - 60,
            until: now + 3600,
            ..Leaf::named(crate::CART)
        };
        Ok(pki.answer(pki.leaf(&asked.csr, &leaf)))
    })
    .await
}

/// An agent of that CA with a token, which draws no jitter.
pub(crate) fn agent_of(ca: &FakeCa, clock: &Hands, dir: &std::path::Path) -> AgentBuilder {
    agent_by(CaClient::builder(ca.address()), ca, clock, dir)
}

/// The same, which asks as `request` says.
pub(crate) fn agent_by(
    request: CaClientBuilder,
    ca: &FakeCa,
    clock: &Hands,
    dir: &std::path::Path,
) -> AgentBuilder {
    std::fs::write(dir.join("token"), "a-token").unwrap();
    let trust = Trust::roots_pem(ca.pki.roots_pem().as_bytes()).unwrap();
    Agent::builder(request)
        .first_contact(FirstContact::trust(trust))
        .token_file(dir.join("token"))
        .clock(clock.clone())
        .jitter_source(|| 0.5)
}

/// Waits until `wanted`; how long that took.
pub(crate) async fn until(
    status: &mut watch::Receiver<Status>,
    wanted: impl FnMut(&Status) -> bool,
) -> Duration {
    let start = Instant::now();
    let seen = tokio::time::timeout(Duration::from_secs(5), status.wait_for(wanted)).await;
    assert!(
        seen.is_ok_and(|seen| seen.is_ok()),
        "not within five seconds"
    );
    start.elapsed()
}

/// Long enough for the agent to look twice.
pub(crate) async fn two_looks() {
    tokio::time::sleep(Duration::from_millis(2200)).await;
}
