//! A leaf in somebody's hands, and openssl's word on whether it verifies by the bundle that is out.

use std::path::Path;

use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

use crate::follower::Enrolled;
use crate::jwt::unix_now;
use crate::openssl::Said;
use crate::openssl::openssl;

/// A leaf, with what is sent along.
#[derive(Clone, Debug)]
pub struct Witness {
    leaf: String,
    sent: String,
    /// `notAfter`.
    pub not_after: u64,
}

impl Witness {
    /// What an agent was given.
    #[must_use]
    pub fn of(enrolled: &Enrolled) -> Self {
        let pems: Vec<String> = enrolled.identity.0.iter().map(|der| pem_of(der)).collect();
        Self::in_pem(&pems)
    }

    /// A leaf and the certificates that are sent after it; roots among them make no difference.
    ///
    /// # Panics
    /// When the first is no certificate.
    #[must_use]
    pub fn in_pem(chain: &[String]) -> Self {
        let (leaf, sent) = chain.split_first().unwrap();
        let der = pem::parse(leaf).unwrap();
        let (_, parsed) = X509Certificate::from_der(der.contents()).unwrap();
        let not_after = parsed.validity().not_after.timestamp();
        Self {
            leaf: leaf.clone(),
            sent: sent.concat(),
            not_after: not_after.try_into().unwrap(),
        }
    }

    /// Whether it lives, as openssl sees it: its last second is over when it begins.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        unix_now() < self.not_after
    }

    /// What openssl says of it to somebody who trusts `roots` and nothing else.
    ///
    /// # Panics
    /// When there is no room for three files.
    #[must_use]
    pub fn judged_by(&self, roots: &str) -> Said {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (leaf, roots) = (put("leaf", &self.leaf), put("roots", roots));
        // openssl does not take an empty file for no certificates.
        let sent = put(
            "sent",
            if self.sent.is_empty() {
                &self.leaf
            } else {
                &self.sent
            },
        );
        openssl([
            "verify",
            "-x509_strict",
            "-no-CApath",
            "-no-CAstore",
            "-CAfile",
            &roots,
            "-untrusted",
            &sent,
            &leaf,
        ])
    }

    /// Insists that it verifies by `roots`, as long as it lives.
    ///
    /// # Panics
    /// When it lives and does not.
    pub fn insist(&self, roots: &str, when: &str) {
        let said = self.judged_by(roots);
        assert!(
            said.ok || !self.is_alive(),
            "{when}: {}\n{roots}",
            said.text
        );
    }
}

/// As openssl and everybody else write it.
fn pem_of(der: &[u8]) -> String {
    let block = pem::Pem::new("CERTIFICATE", der);
    pem::encode_config(
        &block,
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

/// Whether any file below `dir` holds one of `keys` (PEM): the files that do.
///
/// # Panics
/// When a file cannot be read that stays where it is.
#[must_use]
pub fn files_with(dir: &Path, keys: &[String]) -> Vec<String> {
    let lines: Vec<&str> = keys.iter().map(|key| telling_line(key)).collect();
    let ders: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| pem::parse(key).unwrap().into_contents())
        .collect();
    let mut found = Vec::new();
    visit(dir, &mut |path, content| {
        let holds = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
        let as_text = lines.iter().any(|line| holds(line.as_bytes()));
        if as_text || ders.iter().any(|der| holds(der)) {
            found.push(path.display().to_string());
        }
    });
    found
}

/// The first line of base64 tells what kind of key it is; the next one is all secret.
fn telling_line(key: &str) -> &str {
    key.lines().nth(2).unwrap()
}

fn visit(dir: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let kind = std::fs::symlink_metadata(&path).map(|it| it.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => visit(&path, look),
            // What goes away meanwhile holds nothing.
            Ok(kind) if kind.is_file() => {
                if let Ok(content) = std::fs::read(&path) {
                    look(&path, &content);
                }
            }
            _ => {}
        }
    }
}
