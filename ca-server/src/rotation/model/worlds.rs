//! Which worlds are searched? Each has what one group of clauses is about, so that none grows too large.

/// How a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Names its instance, watches the trust bundle and acknowledges.
    Agent,
    /// One of two agents on copies of one disk.
    Copy,
    /// Istio's: gets roots with its leaf, and acknowledges nothing.
    Plain,
    /// Plain, and somebody else acknowledges in its name.
    Impersonated,
}

/// A small world.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) name: &'static str,
    pub(super) clients: [Kind; 2],
    /// The root of each signer: A is 0, B is 1, C is 2.
    pub(super) roots: [u8; 3],
    /// Which signers may be dropped in, and how often anything is.
    pub(super) droppable: &'static [u8],
    pub(super) drops: u8,
    /// How often a signer is tainted.
    pub(super) taints: u8,
    /// How often agents are told to renew early.
    pub(super) hastes: u8,
    /// How often the server is killed.
    pub(super) kills: u8,
    /// Clocks of clients and peers may be slow by that many ticks.
    pub(super) slow: i8,
    /// After how many ticks B is over; 0 for never.
    pub(super) b_lives: i8,
    /// Somebody polls the SPIFFE bundle endpoint, at least once in a tick.
    pub(super) polled: bool,
    /// The first leaves are in no ledger.
    pub(super) ledger_lost: bool,
    /// The first leaves were signed with A elsewhere.
    pub(super) from_elsewhere: bool,
    /// The operator lists A's root until a rotation waits for that.
    pub(super) listed: bool,
    /// B comes with A's root beside its own; the operator trims that later, rightly or wrongly, so many times.
    pub(super) trims: u8,
    /// How often the operator changes the CRLs.
    pub(super) crl_changes: u8,
}

impl World {
    /// Whether anybody renews early, so that a replaced leaf may count as gone.
    pub(super) fn has_replacements(&self) -> bool {
        self.taints > 0 || self.hastes > 0
    }
}

pub(super) const BASE: World = World {
    name: "base",
    clients: [Kind::Agent, Kind::Plain],
    roots: [0, 1, 2],
    droppable: &[1],
    drops: 1,
    taints: 0,
    hastes: 0,
    kills: 0,
    slow: 0,
    b_lives: 0,
    polled: false,
    ledger_lost: false,
    from_elsewhere: false,
    listed: false,
    trims: 0,
    crl_changes: 0,
};
