//! Of what are the gates made? Of clauses, each of which can be left out to prove that it is needed.
//!
//! Only tests leave one out.

/// One condition of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::rotation) enum Clause {
    /// Activation: the root is in the trust bundle.
    Published,
    /// Activation: the key is here.
    KeyHere,
    /// Activation: the CA certificates are valid, and have been for a while.
    Fresh,
    /// Activation: nothing of the signer is over.
    NotOver,
    /// Activation: every live leaf came with a bundle that has the root, or its holder uses one.
    Delivered,
    /// An acknowledgement counts only from the holder itself.
    AcknowledgedByHolder,
    /// An acknowledgement counts only while one agent alone uses the id.
    AcknowledgedByOne,
    /// Activation: pollers of the SPIFFE bundle had the time to see the root.
    Polled,
    /// Where CRLs are in use, one covers the signer.
    Covered,
    /// Leaves that no ledger has are waited for.
    Unrecorded,
    /// Who signs, or is to sign, does not retire.
    NotInUse,
    /// A root stays as long as a live leaf needs it.
    NoLiveLeaf,
    /// Retirement: where lists cover the signer, or its key is stolen, none of its own leaves lives.
    NoLeafOfItsOwn,
    /// Retirement: a way out of a stolen key stays until all know another one.
    WayOut,
    /// A leaf is dead only when it is on slow clocks too.
    Margin,
    /// Only the leaf that was recorded last tells that the earlier ones are gone.
    GoneByNewest,
    /// A leaf is replaced only by one under another root.
    GoneByOtherRoot,
    /// A root that the operator lists stays.
    NotListed,
    /// Publication: who signs is accepted.
    Anchored,
    /// Publication: who signs until the swap counts as one who signs.
    StillSigning,
}

/// Which clauses hold: all of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::rotation) struct Clauses {
    without: Option<Clause>,
}

impl Clauses {
    /// All, as a gate of the server has them.
    pub(in crate::rotation) const ALL: Self = Self { without: None };

    /// All but one.
    #[cfg(test)]
    pub(in crate::rotation) const fn without(clause: Clause) -> Self {
        Self {
            without: Some(clause),
        }
    }

    /// Whether `clause` is to be looked at.
    pub(super) fn hold(self, clause: Clause) -> bool {
        self.without != Some(clause)
    }
}
