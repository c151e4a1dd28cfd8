//! How do a supervisor and the agent speak with each other? Signals in, `sd_notify` out.

use std::sync::Arc;
use std::time::Duration;

use ca_client::Clock as _;
use ca_client::SystemClock;
use ca_client::agent::Status;
use ca_client::node::NodeStatus;
use rustix::process::Resource;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::Notify;
use tokio::sync::watch;

/// `READY=1` once there is a valid certificate on disk, and a line of status when it has changed.
pub(crate) async fn tell_systemd(mut status: watch::Receiver<Status>) {
    let mut told = String::new();
    let mut is_ready = false;
    loop {
        let (line, problem) = {
            let status = status.borrow_and_update();
            let problem = status.not_ready(SystemClock.now());
            (status_line(&status, problem.as_deref()), problem)
        };
        if problem.is_none() && !is_ready {
            is_ready = true;
            tell(&[sd_notify::NotifyState::Ready]);
        }
        if line != told {
            tell(&[sd_notify::NotifyState::Status(&line)]);
            told = line;
        }
        if status.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The same of a node: `READY=1` once any workload is served, since one bad token must not keep the others from theirs.
pub(crate) async fn tell_systemd_of_node(node: NodeStatus) {
    let mut told = String::new();
    let mut is_ready = false;
    loop {
        let now = SystemClock.now();
        if !is_ready && node.serves_any(now) {
            is_ready = true;
            tell(&[sd_notify::NotifyState::Ready]);
        }
        let line = node.not_ready(now);
        let line = line.unwrap_or_else(|| "every workload has a valid certificate".to_owned());
        if line != told {
            tell(&[sd_notify::NotifyState::Status(&line)]);
            told = line;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes as many file descriptors as the system lets us: each workload needs some, and each reader one.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// `STOPPING=1`.
pub(crate) fn tell_stopping() {
    tell(&[sd_notify::NotifyState::Stopping]);
}

/// What `systemctl status` shows.
fn status_line(status: &Status, problem: Option<&str>) -> String {
    if let Some(problem) = problem {
        return problem.to_owned();
    }
    let until = status
        .certificate
        .as_ref()
        .map_or_else(String::new, |held| {
            let end = humantime::format_rfc3339_seconds(held.not_after);
            format!(", good until {end}")
        });
    match &status.last_failure {
        Some(failure) if status.is_failing() => {
            format!(
                "a valid certificate is on disk{until}; no new one yet: {}",
                failure.message
            )
        }
        _ => format!("a valid certificate is on disk{until}"),
    }
}

/// Where there is no systemd, nobody is told.
fn tell(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

/// The signals that a supervisor sends.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes them over.
    ///
    /// # Errors
    /// When the system does not let us.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The name of the signal that ends the process. SIGHUP only makes the agent renew.
    pub(crate) async fn until_end(mut self, wake: &[Arc<Notify>]) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "TERM",
                _ = self.interrupt.recv() => return "INT",
                _ = self.hang_up.recv() => {
                    tracing::info!("SIGHUP: renewing now");
                    wake.iter().for_each(|agent| agent.notify_one());
                }
            }
        }
    }
}

/// Between two looks at a node.
const LOOK: Duration = Duration::from_secs(1);
