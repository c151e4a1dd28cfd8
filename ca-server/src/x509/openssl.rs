//! The openssl command line, for tests: it makes what we read and reads what we make.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A directory of its own in which openssl runs.
pub(super) struct OpenSsl {
    dir: TempDir,
}

impl OpenSsl {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs `openssl`, with the words of `arguments`, and returns what it printed.
    pub(super) fn run(&self, arguments: &str) -> String {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {complaint}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A CSR for a new key: `key` as `openssl genpkey` wants it, `more` as `openssl req` wants it.
    pub(super) fn csr(&self, key: &str, more: &str) -> String {
        self.run(&format!("genpkey {key} -out key.pem"));
        self.run(&format!("req -new -key key.pem {more} -out csr.pem"));
        String::from_utf8(self.read("csr.pem")).unwrap()
    }

    /// The SubjectPublicKeyInfo of the last CSR's key, as openssl writes it.
    pub(super) fn spki(&self) -> Vec<u8> {
        self.run("pkey -in key.pem -pubout -outform DER -out spki.der");
        self.read("spki.der")
    }
}

pub(super) const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
pub(super) const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
pub(super) const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
