//! `cargo quickstart`: the main job for real. Starts a CA, enrols one workload, and lets openssl judge.
//!
//! Serves on until Ctrl-C; `cargo quickstart -- --once` ends after openssl's OK. Leaves nothing behind.

#![expect(clippy::print_stdout, reason = "a demonstration talks to a person")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use tests::binaries::binaries;
use tests::ca::TestCa;

/// Whatever went wrong.
type Failure = Box<dyn Error + Send + Sync>;

const WORKLOAD: &str = "spiffe://cluster.local/ns/shop/sa/cart";

fn main() -> Result<(), Failure> {
    let once = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--once" => true,
        _ => return Err("usage: cargo quickstart [-- --once]".into()),
    };
    // Listening from the start, so that an early Ctrl-C cleans up as well.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let interrupted = tokio::signal::ctrl_c();
        let shown = tokio::task::spawn_blocking(show);
        let running = tokio::select! {
            running = shown => running??,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        if !once {
            println!("\nServing until Ctrl-C.");
            interrupted.await?;
            println!("\nStopping; nothing is left behind.");
        }
        drop(running);
        Ok(())
    })
}

/// Keeps the server and the files while it lives.
struct Running {
    _ca: TestCa,
    _out: tempfile::TempDir,
}

fn show() -> Result<Running, Failure> {
    println!("Signet quickstart: one CA, one workload, one certificate.\n");
    println!("1. Building ca-server and ca-client (the first time takes minutes)");
    let client = &binaries().ca_client;

    println!("2. Starting ca-server with a self-signed root");
    let ca = TestCa::start();
    let root = fingerprint(&ca)?;
    println!(
        "     gRPC {}   HTTP {}   data {}",
        ca.grpc,
        ca.http,
        ca.data_dir.display()
    );
    println!("     root SHA-256 {root}");

    println!("3. ca-server token create --spiffe-id {WORKLOAD}");
    let out = tempfile::Builder::new()
        .prefix("signet-workload-")
        .tempdir()?;
    let token_file = out.path().join("token");
    fs::write(&token_file, ca.token(WORKLOAD))?;
    println!("     a one-time enrolment token, good for 15 minutes");

    println!("4. ca-client fetch: a new key, a CSR, a checked answer");
    let certs = out.path().join("certs");
    let fetched = Command::new(client)
        .arg("fetch")
        .args(["--ca-addr", &ca.grpc.to_string(), "--ca-fingerprint", &root])
        .arg("--token-file")
        .arg(&token_file)
        .arg("--out")
        .arg(&certs)
        .args(["--ttl", "1h"])
        .output()?;
    print_indented(&fetched.stdout);
    if !fetched.status.success() {
        return Err(format!(
            "ca-client failed:\n{}",
            String::from_utf8_lossy(&fetched.stderr)
        )
        .into());
    }

    verify(&certs)?;
    say_next(&ca, &certs);
    Ok(Running { _ca: ca, _out: out })
}

/// Lets openssl judge the files.
fn verify(certs: &Path) -> Result<(), Failure> {
    println!(
        "5. openssl verify -x509_strict -purpose sslserver -CAfile root-cert.pem -untrusted cert-chain.pem cert-chain.pem"
    );
    let verified = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslserver"])
        .args([
            "-CAfile",
            "root-cert.pem",
            "-untrusted",
            "cert-chain.pem",
            "cert-chain.pem",
        ])
        .current_dir(certs)
        .output()?;
    print_indented(&verified.stdout);
    if !verified.status.success() {
        return Err(format!(
            "openssl refused:\n{}",
            String::from_utf8_lossy(&verified.stderr)
        )
        .into());
    }
    Ok(())
}

fn say_next(ca: &TestCa, certs: &Path) {
    // From here, if possible: shorter to read and to type.
    let here = std::env::current_dir().unwrap_or_default();
    let server = &binaries().ca_server;
    let server = server.strip_prefix(&here).unwrap_or(server);
    println!("\nTry next, in another terminal:");
    println!(
        "  openssl x509 -in {}/cert-chain.pem -noout -text",
        certs.display()
    );
    println!(
        "  {} certs list --data-dir {}",
        server.display(),
        ca.data_dir.display()
    );
    println!(
        "  {} status --data-dir {}",
        server.display(),
        ca.data_dir.display()
    );
    println!(
        "  curl http://{}/readyz http://{}/metrics",
        ca.http, ca.http
    );
}

/// The root's fingerprint, as `status` and the start-up log say it.
fn fingerprint(ca: &TestCa) -> Result<String, Failure> {
    let status: serde_json::Value =
        serde_json::from_str(&ca.operator(&["status", "--output", "json"]))?;
    let held = status.get("certificates").and_then(|held| held.as_array());
    held.into_iter()
        .flatten()
        .find(|held| held.get("role").is_some_and(|role| role == "root"))
        .and_then(|root| Some(root.get("sha256")?.as_str()?.to_owned()))
        .ok_or_else(|| "the server has no root".into())
}

fn print_indented(text: &[u8]) {
    for line in String::from_utf8_lossy(text).lines() {
        println!("     {line}");
    }
}
