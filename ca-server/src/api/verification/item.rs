//! One chain and what is asked of it: is the question one, and what do the roots say?

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;
use proto::chain::ChainError;
use proto::chain::Profile;
use proto::signet;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;
use proto::verdict::Question;
use proto::verdict::Verdict;

use crate::api::messages;
use crate::api::verdicts;
use crate::ledger::Denial;
use crate::ledger::Target;

/// One chain and what is asked of it.
pub(super) struct Item {
    chain: Chain,
    trust_domain: Option<TrustDomain>,
    spiffe_id: Option<SpiffeId>,
    profile: Profile,
    at: SystemTime,
}

enum Chain {
    Pem(String),
    Der(Vec<Vec<u8>>),
}

impl Item {
    /// Understands the question; the chain itself is read later, off the event loop.
    pub(super) fn read(
        request: signet::VerifyCertificateRequest,
        now: SystemTime,
    ) -> Result<Self, String> {
        let profile = match request.profile() {
            signet::Profile::Unspecified | signet::Profile::X509Svid => Profile::X509Svid,
            signet::Profile::Pkix => Profile::Pkix,
        };
        let trust_domain = given::<TrustDomain>(&request.trust_domain, "trust domain")?;
        let spiffe_id = given::<SpiffeId>(&request.spiffe_id, "SPIFFE ID")?;
        if profile == Profile::Pkix && (trust_domain.is_some() || spiffe_id.is_some()) {
            return Err("trust_domain and spiffe_id are for PROFILE_X509_SVID only".to_owned());
        }
        let at = match request.at {
            None => now,
            Some(at) => messages::time(at)
                .filter(|at| is_in_reach(*at))
                .ok_or("at is not a time between the years 1970 and 9999")?,
        };
        let chain = match (request.chain_pem, request.chain_der) {
            (pem, der) if der.is_empty() && !pem.is_empty() => Chain::Pem(pem),
            (pem, der) if pem.is_empty() && !der.is_empty() => Chain::Der(der),
            _ => return Err("expected a chain in one of chain_pem and chain_der".to_owned()),
        };
        Ok(Self {
            chain,
            trust_domain,
            spiffe_id,
            profile,
            at,
        })
    }

    /// Judges by `roots`, which are those of `own`.
    pub(super) fn judge(&self, own: &TrustDomain, roots: &[Certificate]) -> Judged {
        let chain = match self.chain.certificates() {
            Ok(chain) => chain,
            Err(reason) => {
                let at = self.at;
                return Judged::Unreadable { reason, at };
            }
        };
        let verdict = self.verdict(&chain, own, roots);
        let leaf = chain.first().filter(|_| verdict.is_valid());
        Judged::Read {
            deniable: leaf.map(Target::all_of).unwrap_or_default(),
            verdict: Box::new(verdict),
        }
    }

    fn verdict(&self, chain: &[Certificate], own: &TrustDomain, roots: &[Certificate]) -> Verdict {
        let question = Question {
            chain,
            roots,
            trust_domain: Some(own).filter(|_| self.profile == Profile::X509Svid),
            spiffe_id: self.spiffe_id.as_ref(),
            profile: self.profile,
            at: self.at,
        };
        let verdict = question.verdict();
        // Our roots say nothing of another trust domain, so nobody is a member of it here.
        let elsewhere = self.trust_domain.as_ref().filter(|asked| *asked != own);
        match (elsewhere, &verdict.spiffe_id) {
            (Some(expected), Some(found)) if verdict.is_valid() => {
                let (expected, found) = (expected.clone(), found.clone());
                let error = ChainError::WrongTrustDomain { expected, found };
                Verdict::of(Err(error), &question)
            }
            _ => verdict,
        }
    }
}

/// What is said of one chain.
pub(super) enum Judged {
    /// By the roots, and then by the ledger.
    Read {
        verdict: Box<Verdict>,
        /// Whatever of a good leaf can be denied; of a bad one nothing is asked.
        deniable: Vec<Target>,
    },
    /// It is no chain at all.
    Unreadable { reason: String, at: SystemTime },
}

impl Judged {
    /// What the ledger is to be asked about.
    pub(super) fn deniable(&self) -> &[Target] {
        match self {
            Self::Read { deniable, .. } => deniable,
            Self::Unreadable { .. } => &[],
        }
    }

    /// The same, now that the ledger was asked. Why an operator denied it is not for whoever asks.
    pub(super) fn forbidden_by(self, denial: &Denial) -> Self {
        match self {
            Self::Read { verdict, deniable } => Self::Read {
                verdict: Box::new(verdict.denied(format!(
                    "{} is denied by this authority, which issues nothing more to it: ask its operator",
                    denial.target
                ))),
                deniable,
            },
            unreadable @ Self::Unreadable { .. } => unreadable,
        }
    }

    /// The verdict's name, for labels.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Read { verdict, .. } => verdict.kind.as_str(),
            Self::Unreadable { .. } => "unreadable",
        }
    }

    pub(super) fn into_message(self) -> signet::Verdict {
        match self {
            Self::Read { verdict, .. } => verdicts::message(&verdict),
            Self::Unreadable { reason, at } => verdicts::unreadable(reason, at),
        }
    }
}

impl Chain {
    fn certificates(&self) -> Result<Vec<Certificate>, String> {
        let read =
            |bytes: &[u8]| Certificate::all_from_pem_or_der(bytes).map_err(|error| causes(&error));
        let certificates = match self {
            Self::Pem(text) => read(text.as_bytes())?,
            Self::Der(elements) => {
                let elements = elements.iter().map(|element| read(element));
                elements.collect::<Result<Vec<_>, _>>()?.concat()
            }
        };
        match certificates.is_empty() {
            true => Err("there is no certificate in it".to_owned()),
            false => Ok(certificates),
        }
    }
}

/// An error and what led to it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A field that may be empty.
fn given<T>(text: &str, name: &str) -> Result<Option<T>, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    match text {
        "" => Ok(None),
        text => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("{text:?} is not a {name}: {error}")),
        },
    }
}

fn is_in_reach(at: SystemTime) -> bool {
    at.duration_since(UNIX_EPOCH)
        .is_ok_and(|since_1970| since_1970 < END_OF_TIME)
}

/// From 1970 to the end of 9999, the last year that certificates and timestamps can have.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_800);
