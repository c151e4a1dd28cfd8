//! Which values may a setting have, beyond what its type says?

use std::time::Duration;

/// Permission bits in octal, as chmod takes them.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777 && mode & 0o400 != 0)
        .ok_or_else(|| {
            "expected permissions in octal that let the owner read, such as 0600".to_owned()
        })
}

/// A duration with units that is not zero.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match duration.is_zero() {
        true => Err("expected more than nothing, such as 10s".to_owned()),
        false => Ok(duration),
    }
}
