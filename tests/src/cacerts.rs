//! What operators put into `--root-ca-dir`: four files, made by somebody else's library, and ways to replace them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use time::Duration;
use time::OffsetDateTime;

use crate::jwt::unix_now;

/// The four names, in the order in which they are hardest to read while somebody writes them.
pub const NAMES: [&str; 4] = [
    "ca-key.pem",
    "ca-cert.pem",
    "cert-chain.pem",
    "root-cert.pem",
];

/// An operator's bundle, unrelated to every other one: a root, a CA under it, and an issuing CA under that.
#[derive(Clone, Debug)]
pub struct Cacerts {
    /// The issuing CA's key.
    pub key: String,
    /// The issuing CA.
    pub issuer: String,
    /// The CA between.
    pub middle: String,
    /// The root.
    pub root: String,
}

impl Cacerts {
    /// One that began ten minutes ago.
    #[must_use]
    pub fn make() -> Self {
        Self::valid(-600..10_000_000)
    }

    /// One whose root is valid for these seconds from now, and the CAs below it since an hour ago.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn valid(root: std::ops::Range<i64>) -> Self {
        let below = root.start.min(-3000)..10_000_000;
        let root = Ca::new("root", root);
        let middle = Ca::new("middle", below.clone());
        let issuer = Ca::new("issuer", below);
        Self {
            key: issuer.key.serialize_pem(),
            issuer: issuer.under(&middle),
            middle: middle.under(&root),
            root: root.params.self_signed(&root.key).unwrap().pem(),
        }
    }

    /// What the file `name` is to hold.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        match name {
            "ca-key.pem" => self.key.clone(),
            "ca-cert.pem" => self.issuer.clone(),
            "cert-chain.pem" => format!("{}{}", self.issuer, self.middle),
            _ => self.root.clone(),
        }
    }

    /// Writes the files into `dir`, each over the one that is there, one after the other.
    ///
    /// # Panics
    /// When one cannot be written.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        for name in NAMES {
            fs::write(dir.join(name), self.file(name)).unwrap();
        }
    }
}

struct Ca {
    params: CertificateParams,
    key: KeyPair,
}

impl Ca {
    fn new(name: &str, valid: std::ops::Range<i64>) -> Self {
        let now = OffsetDateTime::from_unix_timestamp(unix_now().try_into().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let unique: String = key.public_key_raw()[1..9]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("{name} {unique}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = now + Duration::seconds(valid.start);
        params.not_after = now + Duration::seconds(valid.end);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        Self { params, key }
    }

    fn under(&self, above: &Self) -> String {
        let issuer = Issuer::from_params(&above.params, &above.key);
        self.params.signed_by(&self.key, &issuer).unwrap().pem()
    }
}

/// A directory as the kubelet keeps it: names that are links through `..data`, which is swapped as a whole.
#[derive(Debug)]
pub struct Volume {
    dir: PathBuf,
    sets: u32,
}

impl Volume {
    /// An empty one at `dir`, which is made.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        fs::create_dir(&dir).unwrap();
        for name in NAMES {
            symlink(Path::new("..data").join(name), dir.join(name)).unwrap();
        }
        Self { dir, sets: 0 }
    }

    /// Swaps in these files, and removes those before.
    ///
    /// # Panics
    /// When one cannot be written.
    pub fn put(&mut self, files: &[(&str, String)]) {
        let before = self.dir.join(format!("..{}", self.sets));
        self.sets += 1;
        let set = format!("..{}", self.sets);
        fs::create_dir(self.dir.join(&set)).unwrap();
        for (name, content) in files {
            fs::write(self.dir.join(&set).join(name), content).unwrap();
        }
        let new = self.dir.join("..data_tmp");
        symlink(&set, &new).unwrap();
        fs::rename(new, self.dir.join("..data")).unwrap();
        let _none_before_the_first = fs::remove_dir_all(before);
    }

    /// Swaps in a whole bundle.
    pub fn put_bundle(&mut self, bundle: &Cacerts) {
        self.put(&NAMES.map(|name| (name, bundle.file(name))));
    }
}
