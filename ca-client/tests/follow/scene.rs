//! A CA, an agent that writes files, and somebody who looks at them.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use ca_client::Agent;
use ca_client::CaClient;
use ca_client::Trust;
use ca_client::agent::AgentBuilder;
use ca_client::agent::FirstContact;
use ca_client::agent::Output;
use ca_client::agent::Status;
use ca_client::agent::Svids;
use ca_client::files::Combined;
use ca_client::files::OutputOptions;
use ca_client::files::Owner;
use proto::signet::TrustBundle;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::pki::Pki;
use crate::trust_ca::TrustCa;
use crate::trust_ca::bundle;

/// Two unrelated PKIs, a CA that begins with the first of them and bundle 5, and a directory.
pub(crate) struct Scene {
    pub(crate) a: Arc<Pki>,
    pub(crate) b: Arc<Pki>,
    pub(crate) ca: TrustCa,
    pub(crate) dir: TempDir,
    /// How long agents wait for an answer.
    pub(crate) patience: Duration,
}

/// A running agent.
pub(crate) struct Running {
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) svids: Svids,
    pub(crate) renew: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::counting_from(Some(5)).await
    }

    pub(crate) async fn counting_from(number: Option<u64>) -> Self {
        let (a, b) = (Arc::new(Pki::new("a")), Arc::new(Pki::new("b")));
        let ca = TrustCa::start(&a, number).await;
        if let Some(number) = number {
            ca.push(bundle(number, &[&a]));
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "a-token").unwrap();
        let patience = Duration::from_millis(500);
        Self {
            a,
            b,
            ca,
            dir,
            patience,
        }
    }

    /// An agent with files, without jitter, that lets nothing settle for long.
    pub(crate) fn builder(&self) -> AgentBuilder {
        self.builder_at(&self.ca.addr.to_string())
    }

    pub(crate) fn builder_at(&self, address: &str) -> AgentBuilder {
        let output = Output::open(self.out(), OutputOptions::default(), None).unwrap();
        self.builder_with(output, address)
    }

    /// For a second run: what the first was writing when it ended holds the lock a moment longer.
    pub(crate) async fn builder_when_free(&self) -> AgentBuilder {
        self.builder_beside(None).await
    }

    /// The same with a combined file.
    pub(crate) async fn builder_beside(&self, combined: Option<&Path>) -> AgentBuilder {
        let mut output = None;
        until("the directory's lock", || {
            let combined = combined.map(|path| Combined::new(path, 0o600, Owner::default()));
            output = Output::open(self.out(), OutputOptions::default(), combined).ok();
            output.is_some()
        })
        .await;
        self.builder_with(output.unwrap(), &self.ca.addr.to_string())
    }

    fn builder_with(&self, output: Output, address: &str) -> AgentBuilder {
        let trust = Trust::roots_pem(self.a.roots_pem().as_bytes()).unwrap();
        let request = CaClient::builder(address.parse().unwrap())
            .connect_deadline(Duration::from_secs(2))
            .answer_deadline(self.patience);
        Agent::builder(request)
            .first_contact(FirstContact::trust(trust))
            .token_file(self.dir.path().join("token"))
            .output(output)
            .settle(Duration::from_millis(50))
            .jitter_source(|| 0.5)
    }

    /// An agent that has its certificate, follows the CA and has said so.
    pub(crate) async fn settled(&self) -> Running {
        let agent = Running::start(self.builder());
        until("an acknowledgement", || self.ca.state().has_acknowledged(5)).await;
        agent
    }

    /// Pushes A and B as bundle 6, changed by `with`, and waits until that is acknowledged.
    pub(crate) async fn push_both(&self, with: impl FnOnce(&mut TrustBundle)) {
        let mut both = bundle(6, &[&self.a, &self.b]);
        with(&mut both);
        self.ca.push(both);
        until("bundle 6 in use", || self.ca.state().has_acknowledged(6)).await;
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// The content of one of the agent's files.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.out().join(name)).unwrap_or_default()
    }

    /// Whether root-cert.pem has exactly these.
    pub(crate) fn has_roots(&self, roots: &[&Arc<Pki>]) -> bool {
        let seen = self.file("root-cert.pem");
        let count = seen.matches("BEGIN").count();
        count == roots.len()
            && roots
                .iter()
                .all(|pki| seen.contains(body(&pki.roots_pem())))
    }

    /// openssl's opinion of what is in the files.
    pub(crate) fn openssl_agrees(&self) -> bool {
        let verify =
            "openssl verify -CAfile root-cert.pem -untrusted cert-chain.pem cert-chain.pem";
        let run = |command: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).current_dir(self.out());
            shell.output().unwrap().status.success()
        };
        let key = "test \"$(openssl pkey -in key.pem -pubout)\" = \"$(openssl x509 -in cert-chain.pem -noout -pubkey)\"";
        run(verify) && run(key)
    }
}

/// The first line of a certificate's base64 that tells it from others is not the first.
fn body(pem: &str) -> &str {
    let lines: Vec<&str> = pem.lines().collect();
    lines[lines.len() - 3]
}

impl Running {
    pub(crate) fn start(builder: AgentBuilder) -> Self {
        let agent = builder.build();
        Self {
            status: agent.status(),
            svids: agent.svids(),
            renew: agent.renew_now(),
            task: tokio::spawn(agent.run()),
        }
    }

    pub(crate) fn serial(&self) -> Option<String> {
        self.svids.borrow().as_ref().map(|svid| svid.serial())
    }

    /// Makes it renew, and waits for a success.
    pub(crate) async fn renewed(&self) {
        let before = self.status.borrow().renewals;
        self.renew.notify_one();
        until("a renewal", || self.status.borrow().renewals > before).await;
    }

    /// Makes it renew, and waits for a failure: its reason and message.
    pub(crate) async fn refused(&self) -> (&'static str, String) {
        let before = self.status.borrow().failures;
        self.renew.notify_one();
        until("a failure", || self.status.borrow().failures > before).await;
        let failure = self.status.borrow().last_failure.clone().unwrap();
        (failure.reason, failure.message)
    }

    /// Ends it as a crash would.
    pub(crate) async fn stop(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

/// Asks again and again, for ten seconds.
pub(crate) async fn until(what: &str, mut came: impl FnMut() -> bool) {
    let start = Instant::now();
    while !came() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Long enough for the agent to look, and to do what it must not.
pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(700)).await;
}

pub(crate) fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().exists()
}
