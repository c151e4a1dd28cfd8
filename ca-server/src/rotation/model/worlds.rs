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
    /// The server brings everything in line before anything else happens: a smaller world.
    pub(super) prompt: bool,
}

impl World {
    /// The same, smaller.
    pub(super) const fn promptly(self) -> Self {
        Self {
            prompt: true,
            ..self
        }
    }

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
    prompt: false,
};
pub(super) const COPIED: World = World {
    name: "two agents on copies of one disk",
    clients: [Kind::Copy, Kind::Copy],
    ..BASE
};
pub(super) const IMPERSONATED: World = World {
    name: "an agent that answers for another",
    clients: [Kind::Agent, Kind::Impersonated],
    ..BASE
};
pub(super) const SLOW: World = World {
    name: "slow clocks",
    clients: [Kind::Plain, Kind::Plain],
    slow: 1,
    ..BASE
};
pub(super) const BRIEF: World = World {
    name: "a new signer that soon ends",
    clients: [Kind::Plain, Kind::Plain],
    b_lives: 1,
    ..BASE
};
pub(super) const POLLED: World = World {
    name: "a poller of the SPIFFE bundle",
    polled: true,
    ..BASE
};
pub(super) const LOST: World = World {
    name: "a lost ledger",
    ledger_lost: true,
    ..BASE
};
pub(super) const ELSEWHERE: World = World {
    name: "leaves of elsewhere",
    from_elsewhere: true,
    ..BASE
};
pub(super) const SAME_ROOT: World = World {
    name: "a signer under the same root, leaves of elsewhere, and a third signer",
    clients: [Kind::Plain, Kind::Plain],
    roots: [0, 0, 2],
    droppable: &[1, 2],
    drops: 2,
    from_elsewhere: true,
    ..BASE
};
pub(super) const LISTED: World = World {
    name: "an old root that stays listed",
    listed: true,
    ..BASE
};
pub(super) const TRIMMED: World = World {
    name: "a list of roots that is trimmed",
    trims: 1,
    ..BASE
};
pub(super) const REVOKING: World = World {
    name: "CRLs that come and go",
    clients: [Kind::Plain, Kind::Plain],
    crl_changes: 1,
    ..BASE
};
pub(super) const REVOKING_TWICE: World = World {
    name: "CRLs that change twice",
    crl_changes: 2,
    ..REVOKING
};
pub(super) const REVOKING_SIBLINGS: World = World {
    name: "CRLs for two signers under one root",
    roots: [0, 0, 2],
    ..REVOKING
};
pub(super) const HASTY: World = World {
    name: "agents that renew early",
    hastes: 1,
    ..BASE
};
pub(super) const KILLED: World = World {
    name: "a server that is killed",
    kills: 1,
    ..BASE
};
pub(super) const BACK: World = World {
    name: "there and back",
    droppable: &[0, 1],
    drops: 2,
    ..BASE
};
pub(super) const KILLED_AND_BACK: World = World {
    name: "there and back with a server that is killed",
    kills: 1,
    ..BACK
};
pub(super) const TAINTED: World = World {
    name: "a stolen key",
    taints: 1,
    ..BASE
};
pub(super) const TAINTED_SIBLING: World = World {
    name: "a stolen key of two under one root",
    roots: [0, 0, 2],
    ..TAINTED
};
pub(super) const CHAINED: World = World {
    name: "a third signer",
    droppable: &[1, 2],
    drops: 2,
    ..BASE
};

/// All of them.
pub(super) const WORLDS: &[World] = &[
    SAME_ROOT,
    KILLED_AND_BACK,
    BASE,
    COPIED,
    IMPERSONATED,
    SLOW,
    BRIEF,
    POLLED,
    LOST,
    ELSEWHERE,
    LISTED,
    TRIMMED,
    REVOKING,
    REVOKING_TWICE,
    HASTY,
    KILLED,
    BACK,
    TAINTED,
    REVOKING_SIBLINGS,
    TAINTED_SIBLING,
    CHAINED,
];
