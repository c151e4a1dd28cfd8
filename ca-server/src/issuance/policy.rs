//! May this caller be called that?
//!
//! A caller gets its own SPIFFE ID and no other; what a CSR says is never asked.

use proto::spiffe::SpiffeId;
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
        if !caller_id.is_member_of(&self.trust_domain) {
            return Err(PolicyError::ForeignTrustDomain {
                caller: caller_id.clone(),
                trust_domain: self.trust_domain.clone(),
            });
        }
        // X509-SVID section 3.1. That an ID has at most 2048 bytes, its type sees to.
        if caller_id.path().is_empty() {
            return Err(PolicyError::PathMissing {
                caller: caller_id.clone(),
            });
        }
        Ok(Grant(caller_id.clone()))
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
    #[error("{caller} names a trust domain, not a workload in it")]
    PathMissing {
        /// Who called.
        caller: SpiffeId,
    },
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
}
