//! May this caller have this name, and in what order is it done?
//!
//! The order of the lines in [`Issuance::issue`] is the safety argument: read it from top to bottom.

pub mod policy;
pub mod profile;

use std::sync::Arc;
use std::time::SystemTime;

use proto::certificate::Certificate;

use crate::attest::Caller;
use crate::authority::Authority;
use crate::authority::Generation;
use crate::authority::Leaf;
use crate::authority::SignError;
use crate::ledger::Denial;
use crate::ledger::Evidence;
use crate::ledger::Intent;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Reservation;
use crate::x509::Csr;
use crate::x509::CsrError;
use crate::x509::Entropy;
use crate::x509::EntropyError;
use crate::x509::LeafName;
use crate::x509::LeafTemplate;
use crate::x509::PublicKey;
use crate::x509::Serial;
use crate::x509::Validity;

use self::policy::Policy;
use self::policy::PolicyError;
use self::profile::Profile;
use self::profile::ProfileError;
use self::profile::requested_ttl;

/// Issues leaves.
#[derive(Debug)]
pub struct Issuance {
    /// Who signs.
    pub authority: Arc<Authority>,
    /// What was promised.
    pub ledger: Arc<dyn Ledger>,
    /// Who may be called what.
    pub policy: Policy,
    /// How long a leaf may live.
    pub profile: Profile,
    /// Where serials come from.
    pub entropy: Arc<dyn Entropy>,
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// PEM of the CSR.
    pub csr_pem: &'a str,
    /// Lifetime asked for in seconds; zero or less asks for the default.
    pub ttl_seconds: i64,
    /// The name a node proxy asks for on behalf of a workload.
    pub impersonated: Option<&'a str>,
    /// Names the request in the log and in the ledger.
    pub request_id: &'a str,
}

/// A leaf that may leave the process.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What was intended and is so.
    pub intent: Intent,
    /// The leaf.
    pub leaf: Leaf,
    /// The generation that signed it, and whose chain and trust bundle go with it.
    pub generation: Arc<Generation>,
    /// Whether this is an earlier answer, given again to the same key.
    pub repeated: bool,
}

impl Issuance {
    /// Issues one leaf: the name comes from the caller, the key from the CSR, the dates from the profile.
    ///
    /// # Errors
    /// Nothing was signed, or nothing of what was signed may leave; then its intent stays in the ledger.
    pub async fn issue(
        &self,
        caller: &Caller,
        request: Request<'_>,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let generation = self.authority.current();
        let csr = Csr::from_pem(request.csr_pem)?;
        let grant = self
            .policy
            .grant(caller.spiffe_id(), request.impersonated)?;
        let validity = self.profile.validity(
            requested_ttl(request.ttl_seconds),
            window(&generation)?,
            now,
        )?;
        let serial = Serial::draw(now, &*self.entropy)?;
        let intent = Intent {
            serial,
            name: LeafName::Workload(grant.spiffe_id().clone()),
            key: csr.public_key().hash(),
            validity,
            issuer: generation.issuer().fingerprint(),
            root: generation.root().fingerprint(),
            reserved_at: now,
            evidence: caller.evidence().clone(),
            request_id: request.request_id.to_owned(),
            bundle: bundle_number(&generation),
            instance: None,
            caller: caller.targets(),
        };
        self.sign_reserved(generation, intent, csr.public_key())
            .await
    }

    /// Issues the leaf of the CA's own listener, which is in the ledger like any other. Under an expired
    /// chain it covers the chain's last seconds, so that the listener can still say what is wrong.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub async fn issue_serving(
        &self,
        name: LeafName,
        public_key: &PublicKey,
        request_id: &str,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let generation = self.authority.current();
        let window = window(&generation)?;
        let within = now.clamp(window.not_before(), window.not_after());
        let validity = self.profile.validity(None, window, within)?;
        let intent = Intent {
            serial: Serial::draw(now, &*self.entropy)?,
            name,
            key: public_key.hash(),
            validity,
            issuer: generation.issuer().fingerprint(),
            root: generation.root().fingerprint(),
            reserved_at: now,
            evidence: Evidence::Own,
            request_id: request_id.to_owned(),
            bundle: bundle_number(&generation),
            instance: None,
            caller: Vec::new(),
        };
        self.sign_reserved(generation, intent, public_key).await
    }

    /// Reserve, sign, record, in this order and no other.
    async fn sign_reserved(
        &self,
        generation: Arc<Generation>,
        intent: Intent,
        public_key: &PublicKey,
    ) -> Result<Issued, IssueError> {
        if let Reservation::Repeat(entry) = self.ledger.reserve(intent.clone()).await? {
            return repeat(generation, entry.intent, entry.leaf_der);
        }
        // From here on as the ledger has it.
        let intent = Intent {
            caller: Vec::new(),
            ..intent
        };
        let leaf = sign(&generation, &intent, public_key)?;
        self.ledger
            .record(intent.serial, leaf.der().to_vec())
            .await?;
        Ok(Issued {
            intent,
            leaf,
            generation,
            repeated: false,
        })
    }
}

/// Signs exactly what was reserved; the leaf comes back compared with it.
fn sign(
    generation: &Generation,
    intent: &Intent,
    public_key: &PublicKey,
) -> Result<Leaf, SignError> {
    generation.sign(&LeafTemplate {
        serial: intent.serial,
        name: &intent.name,
        validity: intent.validity,
        public_key,
    })
}

/// Answers an earlier leaf again, with the chain that it belongs to.
fn repeat(
    generation: Arc<Generation>,
    intent: Intent,
    leaf_der: Option<Vec<u8>>,
) -> Result<Issued, IssueError> {
    let leaf = leaf_der.and_then(|der| generation.own_leaf(der));
    let leaf = leaf.ok_or(IssueError::RepeatUnderAnotherIssuer {
        serial: intent.serial,
    })?;
    Ok(Issued {
        intent,
        leaf,
        generation,
        repeated: true,
    })
}

/// Generations do not number their trust bundles yet.
fn bundle_number(_generation: &Generation) -> u64 {
    0
}

fn window(generation: &Generation) -> Result<Validity, IssueError> {
    generation.window().ok_or_else(|| IssueError::NoWindow {
        issuer: Certificate::clone(generation.issuer())
            .facts()
            .subject
            .clone(),
    })
}

impl IssueError {
    /// The denial, where that is the reason.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Ledger(LedgerError::Denied(denial)) => Some(denial),
            _ => None,
        }
    }
}

/// Why no leaf was issued.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The CSR is not good.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// The system has no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The ledger did not take the intent or the record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The certificates above the leaf are never all valid at once.
    #[error("the certificates of the chain of {issuer} are never valid at the same time")]
    NoWindow {
        /// The issuer's subject.
        issuer: String,
    },
    /// The caller may not have the name.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The dates are not within the limits.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A spent token was used again, but the leaf that came of it has another issuer than today's.
    #[error("the token was spent on leaf {serial} under another issuer; ask for a new token")]
    RepeatUnderAnotherIssuer {
        /// The earlier leaf.
        serial: Serial,
    },
    /// The leaf was not signed, or not as intended.
    #[error(transparent)]
    Sign(#[from] SignError),
}
