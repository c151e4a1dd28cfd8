//! What is an issuing certificate to a rotation? Its names, its roots, its dates, and what it has done so far.
//!
//! Keys and certificates themselves are the authority's.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use serde::Deserialize;
use serde::Serialize;

use super::text;

/// An issuing certificate with its key, chain and roots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signer {
    /// SHA-256 of the issuing certificate: its name in every command.
    #[serde(with = "text")]
    pub issuer: Fingerprint,
    /// SHA-256 of the issuing certificate's `SubjectPublicKeyInfo`: a stolen key is refused in any certificate.
    #[serde(with = "text")]
    pub key: Fingerprint,
    /// SHA-256 of the root that anchors its leaves.
    #[serde(with = "text")]
    pub root: Fingerprint,
    /// The roots that come with it, `root` among them.
    #[serde(with = "text::list")]
    pub roots: Vec<Fingerprint>,
    /// Other roots under which its leaves verify as they are sent: by a cross-certificate in the chain, or because
    /// one root is the other, certified again.
    #[serde(with = "text::list", default)]
    pub also_accepted_by: Vec<Fingerprint>,
    /// Where it comes from.
    pub origin: Origin,
    /// From when on issuer, chain and root are all valid.
    #[serde(with = "text::time")]
    pub not_before: SystemTime,
    /// Until when issuer, chain and root are all valid.
    #[serde(with = "text::time")]
    pub not_after: SystemTime,
    /// `notBefore` of the issuing certificate alone: how long somebody else may have signed with it.
    #[serde(with = "text::time")]
    pub issuer_not_before: SystemTime,
    /// When this server saw it first.
    #[serde(with = "text::time")]
    pub first_loaded: SystemTime,
    /// Whether its roots belong in the trust bundle.
    pub published: bool,
    /// Whether it ever was the active one.
    pub has_signed: bool,
    /// Whether it retires by itself as soon as its gate opens.
    pub auto_retire: bool,
    /// Whether agents may know no other root of the CA: it was the way out of a stolen key and was withdrawn.
    #[serde(default)]
    pub last_resort: bool,
    /// Since when its key counts as compromised.
    #[serde(with = "text::option_time", default)]
    pub tainted: Option<SystemTime>,
    /// When it is dropped whoever still needs it; only with `tainted`.
    #[serde(with = "text::option_time", default)]
    pub deadline: Option<SystemTime>,
}

/// Where a signer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// This server made it, so nobody else signs with it.
    SelfSigned,
    /// An operator's bundle; others may sign with it too, or did before.
    PluggedIn,
}

impl Signer {
    /// Every root under which its leaves verify.
    pub fn anchors(&self) -> impl Iterator<Item = Fingerprint> {
        std::iter::once(self.root).chain(self.also_accepted_by.iter().copied())
    }

    /// Whether its leaves verify under one of `roots`.
    #[must_use]
    pub fn is_accepted_by(&self, roots: &[Fingerprint]) -> bool {
        self.anchors().any(|anchor| roots.contains(&anchor))
    }

    /// Whether there may be leaves of it that no ledger of ours has: it was signing elsewhere before it came here.
    #[must_use]
    pub fn may_have_unrecorded_leaves(&self) -> bool {
        let age = self.first_loaded.duration_since(self.issuer_not_before);
        self.origin == Origin::PluggedIn && age.is_ok_and(|age| age > OLD_WHEN_LOADED)
    }

    /// Whether nothing of it is valid any more.
    #[must_use]
    pub fn is_over_at(&self, now: SystemTime) -> bool {
        now > self.not_after
    }
}

/// A bundle made for this server is loaded within that time.
const OLD_WHEN_LOADED: Duration = Duration::from_secs(60 * 60);
