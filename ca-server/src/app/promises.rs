//! Which leaves may be alive? What the ledger knows of them by root, and until when it may know too little.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::ca::CaError;
use crate::authority::trust_bundle::Evidence;
use crate::data_dir;
use crate::ledger::Ledger;
use crate::ledger::SledLedger;

/// What was promised to those who hold leaves.
pub(super) struct Promises {
    last_leaf_under: HashMap<Fingerprint, SystemTime>,
    /// Until when leaves may live that the ledger lost.
    pub(super) unrecorded_until: Option<SystemTime>,
    /// When the ledger was lost, or everything put back from a backup.
    lost_at: Option<SystemTime>,
}

impl Promises {
    pub(super) async fn of(
        store: &SledLedger,
        data_dir: &Path,
        longest_ttl: Duration,
    ) -> Result<Self, CaError> {
        let known = store.last_leaf_under_each_root().await?;
        let lost_at = data_dir::ledger_loss(data_dir).map_err(|source| CaError::Io {
            path: data_dir.to_owned(),
            source,
        })?;
        Ok(Self {
            last_leaf_under: known.into_iter().collect(),
            lost_at,
            unrecorded_until: lost_at
                .map(|lost_at| lost_at.checked_add(longest_ttl).unwrap_or(lost_at + FAR)),
        })
    }

    /// What decides over roots that no signer needs, but not over those that were let go on purpose.
    pub(super) fn at<'a>(
        &'a self,
        now: SystemTime,
        slow_clocks: Duration,
        let_go: &'a [Fingerprint],
    ) -> Evidence<'a> {
        Evidence {
            last_leaf_under: &self.last_leaf_under,
            keep_unknown_until: self.unrecorded_until,
            let_go,
            newer_than: self.lost_at,
            slow_clocks,
            now,
        }
    }
}

/// Stands for a time that the clock cannot tell.
const FAR: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);
