//! A client of another make: it gets a new certificate at a fixed pace, and can acknowledge nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::binaries::binaries;
use crate::ca::TestCa;
use crate::ca::operator;

/// A running one. Gone when dropped.
#[derive(Debug)]
pub struct Stranger {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Starts one that works in `dir`, which is made; and where its files are. It trusts what came with its last
    /// certificate.
    pub(crate) fn start(ca: &TestCa, dir: PathBuf, ttl: String) -> (Self, PathBuf) {
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("roots.pem"), ca.roots_pem()).unwrap();
        let place = Place {
            grpc: ca.grpc,
            data_dir: ca.data_dir.clone(),
            dir,
            ttl,
        };
        place.fetch();
        let (stop, out) = (Arc::new(AtomicBool::new(false)), place.dir.join("certs"));
        let until = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                thread::park_timeout(PACE);
                fs::copy(out_root(&place.dir), place.dir.join("roots.pem")).unwrap();
                place.fetch();
            }
        });
        let thread = Some(thread);
        (Self { stop, thread }, out)
    }

    /// Ends it, and insists that it always got what it asked for.
    ///
    /// # Panics
    /// When it did not.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Where it works, and for whom.
struct Place {
    grpc: SocketAddr,
    data_dir: PathBuf,
    dir: PathBuf,
    ttl: String,
}

impl Place {
    /// Gets a certificate as a client that names no instance.
    fn fetch(&self) {
        let token = ["token", "create", "--spiffe-id", SPIFFE_ID];
        let token = operator(&self.data_dir, &token).stdout;
        fs::write(self.dir.join("token"), token).unwrap();
        let _forgotten = fs::remove_file(self.dir.join("certs/instance-id"));
        let output = Command::new(&binaries().ca_client)
            .args(["fetch", "--ca-addr", &self.grpc.to_string()])
            .args(["--ca-roots", "roots.pem", "--token-file", "token"])
            .args(["--out", "certs", "--ttl", &self.ttl])
            .current_dir(&self.dir)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

fn out_root(dir: &Path) -> PathBuf {
    dir.join("certs/root-cert.pem")
}

const SPIFFE_ID: &str = "spiffe://cluster.local/ns/shop/sa/stranger";
/// Half of the life of what it gets, where that lives for eight seconds.
const PACE: Duration = Duration::from_secs(4);
