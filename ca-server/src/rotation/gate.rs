//! May it be done? Yes and why, or no and what stands against it.

use super::obstacle::Obstacle;

/// The answer of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may be done.
    Open {
        /// Why.
        because: Opening,
    },
    /// It may not be done now.
    Shut {
        /// Everything that stands against it.
        obstacles: Vec<Obstacle>,
    },
}

/// Why a gate is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing stands against it.
    Evidence,
    /// Nothing does, because the chain carries a certificate by which those accept it who do not know its root yet.
    CrossSigned,
    /// The active chain ends so soon that waiting breaks more.
    IssuerEnds,
    /// The time has come that was set for distrusting a tainted signer.
    Deadline,
}

impl Gate {
    /// Whether it may be done.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// What stands against it.
    #[must_use]
    pub fn obstacles(&self) -> &[Obstacle] {
        match self {
            Self::Open { .. } => &[],
            Self::Shut { obstacles } => obstacles,
        }
    }

    /// Open without obstacles. What can be overruled is, where there is a reason to.
    pub(super) fn of(
        mut obstacles: Vec<Obstacle>,
        unobstructed: Opening,
        overruled: Option<Opening>,
    ) -> Self {
        if obstacles.is_empty() {
            return Self::Open {
                because: unobstructed,
            };
        }
        if let Some(because) = overruled {
            obstacles.retain(Obstacle::is_absolute);
            if obstacles.is_empty() {
                return Self::Open { because };
            }
        }
        Self::Shut { obstacles }
    }
}

impl Opening {
    /// Whether it is taken without being asked to, also in a rotation that is driven by hand.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::IssuerEnds | Self::Deadline)
    }
}
