//! A CA that can go away and come back on its port, a token issuer, and a directory for an agent.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::ca::Setup;
use crate::ca::TestCa;
use crate::jwt::TokenIssuer;
use crate::jwt::claims;
use crate::jwt::unix_now;
use crate::workload::Workload;
use crate::workload::command;

/// Everything an agent needs, in one directory.
#[derive(Debug)]
pub struct Scene {
    /// Where `token`, `roots.pem` and `out` are.
    pub dir: TempDir,
    /// Who signs the token.
    pub issuer: TokenIssuer,
    /// The CA, while it is there.
    pub ca: Option<TestCa>,
    /// Its address, always.
    pub grpc: SocketAddr,
    /// More variables for the CA when it returns.
    pub ca_env: Vec<(String, String)>,
}

impl Scene {
    /// A CA that issues from one second on, its roots, and a good token.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let issuer = TokenIssuer::new();
        let issuers = issuer.install(dir.path());
        let ca = TestCa::start_with(setup(dir.path(), &issuers, None));
        std::fs::write(dir.path().join("roots.pem"), ca.roots_pem()).unwrap();
        let scene = Self {
            grpc: ca.grpc,
            ca_env: Vec::new(),
            ca: Some(ca),
            dir,
            issuer,
        };
        scene.put_token(600);
        scene
    }

    /// A token that is good for some seconds, or has not been for some.
    pub fn put_token(&self, seconds: i64) {
        let expiry = unix_now().saturating_add_signed(seconds);
        let claims = claims(json!({ "exp": expiry }));
        self.put("token", &self.issuer.sign(&claims));
    }

    /// A token for another service account of the shop, in a file of its name.
    pub fn put_token_of(&self, account: &str) {
        let subject = format!("system:serviceaccount:shop:{account}");
        let claims = claims(json!({ "sub": subject }));
        self.put(account, &self.issuer.sign(&claims));
    }

    /// A one-time enrolment token of the CA instead.
    ///
    /// # Panics
    /// When there is no CA.
    pub fn put_one_time_token(&self) {
        let ca = self.ca.as_ref().unwrap();
        self.put("token", &ca.token(crate::CART));
    }

    /// Writes a file beside the token.
    ///
    /// # Panics
    /// When it cannot.
    pub fn put(&self, name: &str, content: &str) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    /// The CA dies.
    ///
    /// # Panics
    /// When it was dead.
    pub fn ca_goes(&mut self) {
        self.ca.take().unwrap().signal("KILL");
    }

    /// The CA starts again, at its address.
    pub fn ca_returns(&mut self) {
        let issuers = self.dir.path().join("issuers.yaml");
        let setup = setup(self.dir.path(), &issuers, Some(self.grpc));
        self.ca = Some(TestCa::start_with(Setup {
            env: self.ca_env.clone(),
            ..setup
        }));
    }

    /// The output directory.
    #[must_use]
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// An agent with these arguments, and what they leave out.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn agent(&self, more: &[&str]) -> Workload {
        self.try_agent(more).unwrap()
    }

    /// As [`Self::agent`], for agents that may refuse to start.
    ///
    /// # Errors
    /// What it printed before it ended, after the exit code.
    pub fn try_agent(&self, more: &[&str]) -> Result<Workload, String> {
        Workload::of(&mut self.command(more))
    }

    /// As [`Self::agent`], with more variables.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn agent_in(&self, env: &[(String, String)], more: &[&str]) -> Workload {
        Workload::of(self.command(more).envs(env.iter().cloned())).unwrap()
    }

    fn command(&self, more: &[&str]) -> Command {
        let ca = format!("--ca-addr={}", self.grpc);
        let defaults = [
            &ca,
            "--ca-roots=roots.pem",
            "--token-file=token",
            "--ttl=4s",
            "--out=out",
        ];
        let is_node = more.iter().any(|arg| arg.starts_with("--node"));
        let is_given = |default: &&str| {
            let flag = default.split('=').next().unwrap_or(default);
            let of_each = ["--token-file", "--out"].contains(&flag);
            is_node && of_each || more.iter().any(|arg| arg.starts_with(flag))
        };
        let mut args: Vec<&str> = defaults.into_iter().filter(|it| !is_given(it)).collect();
        args.extend(more);
        command(self.dir.path(), &args)
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

fn setup(dir: &Path, issuers: &Path, grpc: Option<SocketAddr>) -> Setup {
    let issuers = issuers.display().to_string();
    Setup {
        flags: ["--min-ttl", "1s", "--issuers", &issuers]
            .map(str::to_owned)
            .to_vec(),
        data_dir: Some(dir.join("data")),
        grpc,
        ..Setup::default()
    }
}
