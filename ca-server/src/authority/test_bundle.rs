//! Bundles made by the openssl command line, for the tests of this room.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use tempfile::TempDir;

use super::Generation;
use super::generation::Leaf;
use super::trial;
use crate::x509::LeafName;
use crate::x509::LeafTemplate;
use crate::x509::Serial;
use crate::x509::SystemEntropy;
use crate::x509::Validity;

/// A workshop with keys and certificates (`NAME.key`, `NAME.pem`), and in `bundle` what was put together from them.
pub(super) struct TestBundle {
    dir: TempDir,
}

impl TestBundle {
    pub(super) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bundle")).unwrap();
        Self { dir }
    }

    /// A root, an intermediate CA under it and an issuing CA under that, all on P-256, as a good bundle in Istio's shape.
    pub(super) fn good() -> Self {
        let made = Self::empty();
        made.root("root", P256, CA);
        made.ca("middle", "root", P256, CA);
        made.ca("issuer", "middle", P256, CA);
        made.istio("issuer", &["middle"], "root");
        made
    }

    pub(super) fn workshop(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn bundle(&self) -> PathBuf {
        self.dir.path().join("bundle")
    }

    /// An hour after the certificate `name` began.
    pub(super) fn time_of(&self, name: &str) -> SystemTime {
        self.certificate(name).facts().not_before + Duration::from_secs(60 * 60)
    }

    pub(super) fn certificate(&self, name: &str) -> Certificate {
        let pem = self.read(&format!("{name}.pem"));
        Certificate::all_from_pem(pem.as_bytes()).unwrap().remove(0)
    }

    /// Runs `openssl` with the words of `arguments` in the workshop; its output, if it succeeded.
    pub(super) fn try_openssl(&self, arguments: &str) -> Result<String, String> {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    pub(super) fn openssl(&self, arguments: &str) -> String {
        self.try_openssl(arguments).unwrap()
    }

    /// A new key, `kind` as `openssl genpkey` wants it.
    pub(super) fn key(&self, name: &str, kind: &str) {
        self.openssl(&format!("genpkey {kind} -out {name}.key"));
    }

    /// A self-signed certificate with a new key and `extensions`.
    pub(super) fn root(&self, name: &str, kind: &str, extensions: &str) {
        self.key(name, kind);
        self.csr(name, &format!("-subj /O=Test/CN={name}"));
        self.sign(
            name,
            &format!("-signkey {name}.key -sha256 -days {LONG}"),
            extensions,
        );
    }

    /// A certificate under `issuer` with a new key and `extensions`.
    pub(super) fn ca(&self, name: &str, issuer: &str, kind: &str, extensions: &str) {
        self.key(name, kind);
        self.csr(name, &format!("-subj /O=Test/CN={name}"));
        self.sign_by(name, issuer, &format!("-sha256 -days {LONG}"), extensions);
    }

    pub(super) fn csr(&self, name: &str, options: &str) {
        self.openssl(&format!(
            "req -new -utf8 -key {name}.key {options} -out {name}.csr"
        ));
    }

    pub(super) fn sign_by(&self, name: &str, issuer: &str, options: &str, extensions: &str) {
        let by = format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial {options}");
        self.sign(name, &by, extensions);
    }

    pub(super) fn sign(&self, name: &str, options: &str, extensions: &str) {
        self.write("extensions", extensions);
        self.openssl(&format!(
            "x509 -req -in {name}.csr {options} -extfile extensions -out {name}.pem"
        ));
    }

    /// A list `CA.crl` by `ca` that takes back the certificates `revoked`, and counts for `days`.
    pub(super) fn crl(&self, ca: &str, revoked: &[&str], days: u32) {
        self.crl_with(ca, revoked, days, "keyid:always");
    }

    /// The same, naming its signer by `authority_key` as openssl's settings have it, or not at all where that is empty.
    pub(super) fn crl_with(&self, ca: &str, revoked: &[&str], days: u32, authority_key: &str) {
        let named = match authority_key {
            "" => String::new(),
            how => format!("authorityKeyIdentifier={how}\n"),
        };
        self.write(
            "crl.cnf",
            format!("[ca]\ndefault_ca=c\n[c]\ndatabase={ca}.index\ndefault_md=sha256\ncrlnumber={ca}.number\ncrl_extensions=x\n[x]\n{named}"),
        );
        self.write(&format!("{ca}.number"), "01");
        self.write(&format!("{ca}.index"), "");
        let by = format!("-config crl.cnf -cert {ca}.pem -keyfile {ca}.key");
        for name in revoked {
            self.openssl(&format!("ca {by} -revoke {name}.pem"));
        }
        // A list that takes something back is newer than one that does not.
        let since = match revoked.is_empty() {
            true => self.certificate(ca).facts().not_before - Duration::from_secs(60),
            false => self.certificate(ca).facts().not_before,
        };
        let since = humantime::format_rfc3339_seconds(since).to_string();
        let since = since.replace(['-', ':', 'T'], "");
        self.openssl(&format!(
            "ca {by} -gencrl -crl_lastupdate {since} -crldays {days} -out {ca}.crl"
        ));
    }

    /// Whether openssl accepts `leaf` of `generation` with nothing but what is sent with it, by who trusts `roots`, with
    /// `options`.
    pub(super) fn openssl_accepts(
        &self,
        generation: &Generation,
        leaf: &Leaf,
        roots: &[&str],
        options: &str,
    ) -> Result<String, String> {
        let elements = generation.leaf_chain_pem(leaf);
        let (leaf, rest) = elements.split_first().unwrap();
        let sent: String = rest[..rest.len() - 1].concat();
        let roots: String = roots
            .iter()
            .map(|root| self.read(&format!("{root}.pem")))
            .collect();
        self.write("judged-leaf.pem", leaf);
        self.write("judged-sent.pem", sent);
        self.write("judged-roots.pem", roots);
        let untrusted = match rest.len() {
            1 => "",
            _ => "-untrusted judged-sent.pem",
        };
        self.try_openssl(&format!(
            "verify {options} -CAfile judged-roots.pem {untrusted} judged-leaf.pem"
        ))
    }

    pub(super) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.path().join(file)).unwrap()
    }

    /// Writes a file of the workshop, or of the bundle (`bundle/NAME`), for its owner's eyes only.
    pub(super) fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.path().join(file);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(super) fn remove(&self, file: &str) {
        fs::remove_file(self.dir.path().join(file)).unwrap();
    }

    /// Puts a bundle together in Istio's shape.
    pub(super) fn istio(&self, issuer: &str, intermediates: &[&str], root: &str) {
        let pem = |name: &&str| self.read(&format!("{name}.pem"));
        let chain: String = [issuer].iter().chain(intermediates).map(pem).collect();
        self.write("bundle/ca-cert.pem", pem(&issuer));
        self.write("bundle/ca-key.pem", self.read(&format!("{issuer}.key")));
        self.write("bundle/cert-chain.pem", chain);
        self.write("bundle/root-cert.pem", pem(&root));
    }
}

/// A workload's leaf, valid for a day from `now`.
pub(super) fn leaf(generation: &Generation, now: SystemTime) -> Leaf {
    let id = "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap();
    let template = LeafTemplate {
        serial: Serial::draw(now, &SystemEntropy).unwrap(),
        name: &LeafName::Workload(id),
        validity: Validity::new(now, now + Duration::from_secs(24 * 60 * 60)).unwrap(),
        public_key: &trial::throw_away_key().unwrap(),
    };
    generation.sign(&template).unwrap()
}

pub(super) const RSA_2048: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
pub(super) const RSA_4096: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:4096";
pub(super) const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
pub(super) const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
/// Days.
pub(super) const LONG: u32 = 36500;
/// The extensions of a CA as RFC 5280 wants them.
pub(super) const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n";
