//! What stands against a step? One reason, with what a person needs to judge it and to see when it goes away.

use std::fmt;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;

use crate::ledger::Holder;
use crate::ledger::Holding;
use crate::ledger::InstanceId;

/// One reason why a gate is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// Somebody may not know the next signer's root yet.
    Behind {
        /// Who; `None` for callers who name no instance.
        holder: Option<HolderName>,
        /// Number of the trust bundle that was delivered with the leaf.
        bundle: u64,
        /// The number from which on it would do.
        needs: u64,
        /// When the last such leaf is dead.
        until: SystemTime,
    },
    /// Nothing of the signer is valid any more.
    Expired {
        /// Which signer.
        issuer: Fingerprint,
        /// Its last second.
        at: SystemTime,
    },
    /// The signer signs, or is to sign next.
    InUse {
        /// Which signer.
        issuer: Fingerprint,
    },
    /// The signer's key is not here.
    KeyGone {
        /// Which signer.
        issuer: Fingerprint,
    },
    /// The operator's `root-cert.pem` lists the root.
    Listed {
        /// Which root.
        root: Fingerprint,
    },
    /// A leaf lives that would verify under nothing else.
    Live {
        /// Who signed it.
        issuer: Fingerprint,
        /// The root it needs.
        root: Fingerprint,
        /// Who has it; `None` for callers who name no instance.
        holder: Option<HolderName>,
        /// When it is dead.
        until: SystemTime,
    },
    /// There is no next signer.
    NothingPrepared,
    /// The next signer's root is not in the trust bundle.
    NotPublished {
        /// Which signer.
        issuer: Fingerprint,
        /// Its root.
        root: Fingerprint,
    },
    /// The signer is not valid yet.
    NotYetValid {
        /// Which signer.
        issuer: Fingerprint,
        /// When it will be.
        from: SystemTime,
    },
    /// Somebody who polls the SPIFFE bundle endpoint may not know the bundle in force yet.
    RefreshHints {
        /// Until when.
        until: SystemTime,
    },
    /// The signer became valid so recently that a slow clock does not accept it.
    TooFresh {
        /// Until when.
        until: SystemTime,
    },
    /// The bundle would not accept what is signed now.
    Unanchored {
        /// Who signs.
        issuer: Fingerprint,
    },
    /// CRLs are in use and none covers the signer.
    Uncovered {
        /// Which signer.
        issuer: Fingerprint,
    },
    /// No signer of that name is held.
    Unknown {
        /// The name.
        issuer: Fingerprint,
    },
    /// There may be leaves that the ledger does not know.
    Unrecorded {
        /// Of which signer; `None` for all, when a ledger was lost.
        issuer: Option<Fingerprint>,
        /// Until when.
        until: SystemTime,
    },
}

/// Who holds something up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderName {
    /// Which agent.
    pub instance: InstanceId,
    /// Whose leaves they are.
    pub spiffe_id: SpiffeId,
    /// The number of the bundle it said it uses.
    pub acknowledged: Option<u64>,
    /// Whether two agents use the name at once, so that neither is believed.
    pub shared: bool,
}

impl Obstacle {
    /// Whether nothing can overrule it: the step could not do any good.
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        match self {
            Self::Expired { .. }
            | Self::InUse { .. }
            | Self::KeyGone { .. }
            | Self::NothingPrepared
            | Self::NotPublished { .. }
            | Self::NotYetValid { .. }
            | Self::Unanchored { .. }
            | Self::Unknown { .. } => true,
            Self::Behind { .. }
            | Self::Listed { .. }
            | Self::Live { .. }
            | Self::RefreshHints { .. }
            | Self::TooFresh { .. }
            | Self::Uncovered { .. }
            | Self::Unrecorded { .. } => false,
        }
    }

    /// When it goes away by itself at the latest; `None` when somebody has to do something.
    #[must_use]
    pub fn until(&self) -> Option<SystemTime> {
        match self {
            Self::Behind { until, .. }
            | Self::Live { until, .. }
            | Self::RefreshHints { until }
            | Self::TooFresh { until }
            | Self::Unrecorded { until, .. }
            | Self::NotYetValid { from: until, .. } => Some(*until),
            Self::Expired { .. }
            | Self::InUse { .. }
            | Self::KeyGone { .. }
            | Self::Listed { .. }
            | Self::NothingPrepared
            | Self::NotPublished { .. }
            | Self::Unanchored { .. }
            | Self::Uncovered { .. }
            | Self::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { .. } | Self::Live { .. } | Self::Unrecorded { .. } => self.fmt_leaf(f),
            Self::NotYetValid { .. } | Self::RefreshHints { .. } | Self::TooFresh { .. } => {
                self.fmt_date(f)
            }
            Self::Expired { issuer, at } => write!(f, "{issuer} expired at {}", date(*at)),
            Self::InUse { issuer } => write!(f, "{issuer} signs, or is to sign next"),
            Self::KeyGone { issuer } => write!(
                f,
                "the key of {issuer} is not here: put its files back, or other ones, or abort the rotation"
            ),
            Self::Listed { root } => {
                write!(f, "root-cert.pem lists {root}: take it out to let it go")
            }
            Self::NothingPrepared => f.write_str("no next signer is known: start a rotation first"),
            Self::NotPublished { issuer, root } => write!(
                f,
                "the trust bundle does not have {root}, the root of {issuer}: distribute it first"
            ),
            Self::Unanchored { issuer } => {
                write!(f, "that bundle does not accept {issuer}, which signs")
            }
            Self::Uncovered { issuer } => write!(
                f,
                "CRLs are in use and none is of {issuer}: add its CRL to ca-crl.pem"
            ),
            Self::Unknown { issuer } => {
                write!(f, "no signer {issuer} is held: it retired or never came")
            }
        }
    }
}

impl Obstacle {
    /// Those that are leaves.
    fn fmt_leaf(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until().map(date);
        let until = until.map_or_else(String::new, |date| date.to_string());
        match self {
            Self::Behind {
                holder,
                bundle,
                needs,
                ..
            } => {
                let who = Who(holder.as_ref());
                write!(
                    f,
                    "{who} got trust bundle {bundle} with a leaf that lives until {until}; {needs} or later is needed"
                )
            }
            Self::Live { issuer, holder, .. } => {
                let who = Who(holder.as_ref());
                write!(f, "{who} has a leaf of {issuer} that lives until {until}")
            }
            Self::Unrecorded {
                issuer: Some(issuer),
                ..
            } => write!(
                f,
                "{issuer} was in use before it came here: leaves that no ledger has may live until {until}"
            ),
            _ => write!(
                f,
                "the ledger was lost: leaves that it does not know may live until {until}"
            ),
        }
    }

    /// Those that only take time.
    fn fmt_date(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYetValid { issuer, from } => {
                write!(f, "{issuer} is valid from {} on", date(*from))
            }
            Self::TooFresh { until } => write!(
                f,
                "its certificates are so new that slow clocks refuse them until {}",
                date(*until)
            ),
            _ => {
                let until = self.until().map(date);
                let until = until.map_or_else(String::new, |date| date.to_string());
                write!(
                    f,
                    "who polls the SPIFFE bundle knows the new one by {until}"
                )
            }
        }
    }
}

impl HolderName {
    pub(super) fn of(holding: &Holding) -> Option<Self> {
        holding.holder.as_ref().map(Self::from)
    }
}

impl From<&Holder> for HolderName {
    fn from(holder: &Holder) -> Self {
        let said = holder.acknowledged.as_ref();
        Self {
            instance: holder.instance,
            spiffe_id: holder.spiffe_id.clone(),
            acknowledged: said.map(|said| said.bundle),
            shared: said.is_some_and(|said| said.shared),
        }
    }
}

struct Who<'a>(Option<&'a HolderName>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(holder) = self.0 else {
            return f.write_str("a client that names no instance");
        };
        write!(f, "{} (instance {}", holder.spiffe_id, holder.instance)?;
        match (holder.shared, holder.acknowledged) {
            (true, _) => f.write_str(", which two agents use at once)"),
            (false, Some(bundle)) => write!(f, ", uses {bundle})"),
            (false, None) => f.write_str(", never answered)"),
        }
    }
}

fn date(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(time)
}
