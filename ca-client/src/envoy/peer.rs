//! Who may be at the other end? One SPIFFE ID, or all below a path.

use std::fmt;
use std::str::FromStr;

use proto::spiffe::SpiffeId;
use proto::spiffe::SpiffeIdError;
use proto::spiffe::TrustDomain;

/// What the URI in a peer's certificate must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// This ID and no other.
    Exactly(SpiffeId),
    /// Any ID below this one: `spiffe://cluster.local/ns/shop/*`.
    Below(SpiffeId),
}

impl Peer {
    /// Any workload of `trust_domain`.
    ///
    /// # Errors
    /// Never for a trust domain that is one.
    pub(crate) fn any_of(trust_domain: &TrustDomain) -> Result<Self, SpiffeIdError> {
        SpiffeId::new(trust_domain, "").map(Self::Below)
    }
}

impl FromStr for Peer {
    type Err = SpiffeIdError;

    /// A star ends a whole segment, so that `…/ns/shop*` cannot let in `…/ns/shop-test`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix("/*") {
            Some(above) => above.parse().map(Self::Below),
            None => text.parse().map(Self::Exactly),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(id) => id.fmt(f),
            Self::Below(id) => write!(f, "{id}/*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_whole_segments_only() {
        for good in [
            "spiffe://td/ns/shop/sa/cart",
            "spiffe://td/ns/shop/*",
            "spiffe://td/*",
        ] {
            assert_eq!(good.parse::<Peer>().unwrap().to_string(), good);
        }
        for bad in [
            "spiffe://td/ns/sho*",
            "spiffe://*",
            "*",
            "spiffe://td/*/sa/cart",
            "cart",
        ] {
            assert!(bad.parse::<Peer>().is_err(), "{bad}");
        }
    }
}
