//! What time is it where the CA is? As far as the `date` header of its answers tells.

use std::time::Duration;
use std::time::SystemTime;

use tonic::metadata::MetadataMap;

/// One moment, by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaTime {
    /// By the CA's clock.
    pub there: SystemTime,
    /// By ours.
    pub here: SystemTime,
}

impl CaTime {
    /// How far the CA's clock is ahead of ours, in seconds; negative when it is behind.
    #[must_use]
    pub fn offset_seconds(&self) -> f64 {
        match self.there.duration_since(self.here) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        }
    }
}

/// The `date` header has whole seconds, cut off: its middle is the best guess, at the middle of the call.
pub(crate) fn told_time(
    metadata: &MetadataMap,
    sent: SystemTime,
    received: SystemTime,
) -> Option<CaTime> {
    let date = metadata.get("date")?.to_str().ok()?;
    let took = received.duration_since(sent).unwrap_or_default();
    Some(CaTime {
        there: httpdate::parse_http_date(date).ok()? + Duration::from_millis(500),
        here: sent + took / 2,
    })
}
