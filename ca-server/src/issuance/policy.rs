//! May this caller be called that?
//!
//! A caller gets its own SPIFFE ID and no other; what a CSR says is never asked. Operators name workloads by the same
//! rules.

use proto::spiffe::SpiffeId;
use proto::spiffe::SpiffeIdError;
use proto::spiffe::TrustDomain;

/// Which names are given to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    trust_domain: TrustDomain,
}

impl Policy {
    /// Gives names in `trust_domain`.
    #[must_use]
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self { trust_domain }
    }

    /// The name that `caller_id` may carry. `impersonated` is the identity it asks to act for, if any; an empty
    /// one is none.
    ///
    /// # Errors
    /// The reason why it gets no name.
    pub fn grant(
        &self,
        caller_id: &SpiffeId,
        impersonated: Option<&str>,
    ) -> Result<Grant, PolicyError> {
        if impersonated.is_some_and(|identity| !identity.is_empty()) {
            return Err(PolicyError::ImpersonationNotAllowed);
        }
        self.check(caller_id)?;
        Ok(Grant(caller_id.clone()))
    }

    /// The workload that an operator calls `text`: somebody to whom a name could be given.
    ///
    /// # Errors
    /// That it is no SPIFFE ID, or why nobody of that name gets one.
    pub fn workload(&self, text: &str) -> Result<SpiffeId, WorkloadError> {
        let id = text.parse().map_err(|source| WorkloadError::NotASpiffeId {
            text: text.to_owned(),
            source,
        })?;
        self.check(&id)?;
        Ok(id)
    }

    /// Where names are given.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    fn check(&self, id: &SpiffeId) -> Result<(), PolicyError> {
        if !id.is_member_of(&self.trust_domain) {
            return Err(PolicyError::ForeignTrustDomain {
                caller: id.clone(),
                trust_domain: self.trust_domain.clone(),
            });
        }
        // X509-SVID section 3.1. That an ID has at most 2048 bytes, its type sees to.
        match id.path() {
            "" => Err(PolicyError::PathMissing { caller: id.clone() }),
            path if path.starts_with(RESERVED) => Err(PolicyError::Reserved { caller: id.clone() }),
            _ => Ok(()),
        }
    }
}

/// A name that its caller may carry. Only [`Policy::grant`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant(SpiffeId);

impl Grant {
    /// The name.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.0
    }
}

/// Why a caller gets no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The caller belongs to somebody else's domain.
    #[error("{caller} is not in the trust domain {trust_domain}")]
    ForeignTrustDomain {
        /// Who called.
        caller: SpiffeId,
        /// Where names are given.
        trust_domain: TrustDomain,
    },
    /// The caller asks for another's name.
    #[error("callers may ask for their own identity only")]
    ImpersonationNotAllowed,
    /// The caller is a trust domain, which never carries a leaf.
    #[error("{caller} names the trust domain, not a workload in it")]
    PathMissing {
        /// Who called.
        caller: SpiffeId,
    },
    /// The name is the CA's own.
    #[error("{caller} is reserved: paths under {RESERVED} name the CA itself")]
    Reserved {
        /// Who called.
        caller: SpiffeId,
    },
}

/// What the CA itself is called, below its trust domain.
pub const SERVER_PATH: &str = "/signet/server";
/// Nobody else gets a name there: who verifies the CA by its SPIFFE ID must not meet a workload.
const RESERVED: &str = "/signet/";

/// Why what an operator wrote is no workload of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// It is not a SPIFFE ID.
    #[error("{text:?} is not a SPIFFE ID: {source}")]
    NotASpiffeId {
        /// What was written.
        text: String,
        /// The rule that it breaks.
        source: SpiffeIdError,
    },
    /// It is somebody who gets no name.
    #[error(transparent)]
    NoName(#[from] PolicyError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

    fn grant(caller: &str, impersonated: Option<&str>) -> Result<String, PolicyError> {
        let policy = Policy::new("cluster.local".parse().unwrap());
        let grant = policy.grant(&caller.parse().unwrap(), impersonated)?;
        Ok(grant.spiffe_id().as_str().to_owned())
    }

    #[test]
    fn a_caller_is_granted_its_own_name() {
        for impersonated in [None, Some("")] {
            assert_eq!(grant(CART, impersonated), Ok(CART.to_owned()));
        }
    }

    #[test]
    fn nobody_is_granted_anothers_name() {
        for impersonated in [
            "spiffe://cluster.local/ns/shop/sa/admin",
            CART,
            " ",
            "not a SPIFFE ID",
        ] {
            let refused = Err(PolicyError::ImpersonationNotAllowed);
            assert_eq!(grant(CART, Some(impersonated)), refused, "{impersonated}");
        }
    }

    #[test]
    fn callers_of_another_trust_domain_are_granted_nothing() {
        for domain in ["cluster", "cluster.local.evil", "other", "xcluster.local"] {
            let caller = format!("spiffe://{domain}/ns/shop/sa/cart");
            let trust_domain = "cluster.local".parse().unwrap();
            let refused = PolicyError::ForeignTrustDomain {
                caller: caller.parse().unwrap(),
                trust_domain,
            };
            assert_eq!(grant(&caller, None), Err(refused));
        }
    }

    #[test]
    fn a_trust_domain_itself_is_granted_nothing() {
        let caller = "spiffe://cluster.local";
        let refused = PolicyError::PathMissing {
            caller: caller.parse().unwrap(),
        };
        assert_eq!(grant(caller, None), Err(refused));
    }

    #[test]
    fn nobody_is_granted_a_name_of_the_ca_itself() {
        for caller in [
            "spiffe://cluster.local/signet/server",
            "spiffe://cluster.local/signet/x",
        ] {
            let refused = PolicyError::Reserved {
                caller: caller.parse().unwrap(),
            };
            assert_eq!(grant(caller, None), Err(refused));
        }
        for caller in [
            "spiffe://cluster.local/signet",
            "spiffe://cluster.local/signets/server",
        ] {
            assert_eq!(grant(caller, None), Ok(caller.to_owned()));
        }
    }

    #[test]
    fn an_operator_names_only_workloads_that_could_be_granted_their_name() {
        let policy = Policy::new("cluster.local".parse().unwrap());
        assert_eq!(policy.workload(CART).unwrap().as_str(), CART);
        for (text, reason) in [
            ("cart", "\"cart\" is not a SPIFFE ID: "),
            (
                "spiffe://other/cart",
                "is not in the trust domain cluster.local",
            ),
            (
                "spiffe://cluster.local",
                "names the trust domain, not a workload",
            ),
        ] {
            let error = policy.workload(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
