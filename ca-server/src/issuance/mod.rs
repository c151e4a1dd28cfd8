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
use crate::ledger::InstanceId;
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
    /// Which agent asks, where it says so.
    pub instance: Option<InstanceId>,
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
        let csr = Csr::from_pem(request.csr_pem)?;
        let grant = self
            .policy
            .grant(caller.spiffe_id(), request.impersonated)?;
        for _ in 0..MOST_CHANGES {
            let generation = self.authority.current();
            let validity = self.profile.validity(
                requested_ttl(request.ttl_seconds),
                generation.conditions().longest_ttl,
                window(&generation)?,
                now,
            )?;
            let intent = Intent {
                serial: Serial::draw(now, &*self.entropy)?,
                name: LeafName::Workload(grant.spiffe_id().clone()),
                key: csr.public_key().hash(),
                validity,
                issuer: generation.issuer().fingerprint(),
                root: generation.root().fingerprint(),
                reserved_at: now,
                evidence: caller.evidence().clone(),
                request_id: request.request_id.to_owned(),
                bundle: generation.bundle_number(),
                instance: request.instance,
                caller: caller.targets(),
            };
            let signer = Arc::clone(&generation);
            match self
                .sign_reserved(generation, &signer, intent, csr.public_key())
                .await
            {
                // Signer or trust bundle changed in between: begin again with what is in force now.
                Err(IssueError::Ledger(LedgerError::OtherTerms { .. })) => {}
                done => return done,
            }
        }
        Err(IssueError::Changing)
    }

    /// Issues a leaf of the CA's own listener under `signer`, one of those of `generation`. It is in the ledger like any
    /// other. Under an expired chain it covers the chain's last seconds, so that the listener can still say what is wrong.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub async fn issue_serving(
        &self,
        (generation, signer): (&Arc<Generation>, &Generation),
        name: LeafName,
        public_key: &PublicKey,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let window = window(signer)?;
        let within = now.clamp(window.not_before(), window.not_after());
        let validity = self.profile.validity(None, None, window, within)?;
        let intent = Intent {
            serial: Serial::draw(now, &*self.entropy)?,
            name,
            key: public_key.hash(),
            validity,
            issuer: signer.issuer().fingerprint(),
            root: signer.root().fingerprint(),
            reserved_at: now,
            evidence: Evidence::Own,
            request_id: SERVING.to_owned(),
            bundle: generation.bundle_number(),
            instance: None,
            caller: Vec::new(),
        };
        self.sign_reserved(Arc::clone(generation), signer, intent, public_key)
            .await
    }

    /// Reserve, sign, record, in this order and no other.
    async fn sign_reserved(
        &self,
        generation: Arc<Generation>,
        signer: &Generation,
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
        let leaf = sign(signer, &intent, public_key)?;
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
fn sign(signer: &Generation, intent: &Intent, public_key: &PublicKey) -> Result<Leaf, SignError> {
    signer.sign(&LeafTemplate {
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
    /// Signer or trust bundle changed again and again while this was being issued.
    #[error("the signer is being changed")]
    Changing,
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

/// How often a request begins again. The ledger knows of a change a moment before everybody else does, and each of its
/// answers takes a while.
const MOST_CHANGES: usize = 1000;
/// Names the CA's own requests in the ledger.
const SERVING: &str = "serving";
