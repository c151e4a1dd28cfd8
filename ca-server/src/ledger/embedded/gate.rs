//! Where can a test make a flush fail? In front of it. Outside tests the gate is open and weighs nothing.

#[cfg(test)]
use std::sync::Arc;

use super::failure::Failure;

/// Stands in front of each flush.
#[derive(Clone, Default)]
pub(super) struct FlushGate {
    #[cfg(test)]
    pub(super) keeper: Option<Arc<dyn Fn() -> Result<(), Failure> + Send + Sync>>,
}

impl FlushGate {
    /// Lets the flush happen.
    ///
    /// # Errors
    /// What a test says in its place.
    #[cfg(test)]
    pub(super) fn pass(&self) -> Result<(), Failure> {
        self.keeper.as_ref().map_or(Ok(()), |keeper| keeper())
    }

    /// Lets the flush happen.
    ///
    /// # Errors
    /// Never, outside tests.
    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "a test's gate uses both"
    )]
    pub(super) fn pass(&self) -> Result<(), Failure> {
        Ok(())
    }
}
