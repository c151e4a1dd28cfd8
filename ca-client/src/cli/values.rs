//! Which values may a setting have, beyond what its type says?

use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use ca_client::files::FileAccess;
use ca_client::files::FileNames;
use ca_client::files::OwnerError;

/// Permission bits in octal, as chmod takes them.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777 && mode & 0o400 != 0)
        .ok_or_else(|| {
            "expected permissions in octal that let the owner read, such as 0600".to_owned()
        })
}

/// A file's name and its permission bits.
pub(super) fn file_mode(text: &str) -> Result<FileAccess, String> {
    let (name, bits) = named(text, "MODE, such as key.pem=0640")?;
    Ok(FileAccess {
        name,
        mode: Some(mode(bits)?),
        owner: None,
    })
}

/// A file's name and whom it belongs to.
pub(super) fn file_owner(text: &str) -> Result<FileAccess, String> {
    let (name, owner) = named(text, "UID[:GID], such as key.pem=1337:1337")?;
    let owner = owner
        .parse()
        .map_err(|error: OwnerError| error.to_string())?;
    Ok(FileAccess {
        name,
        mode: None,
        owner: Some(owner),
    })
}

/// `NAME=VALUE`; a file's name may have the sign in it, a value has not.
fn named<'a>(text: &'a str, value: &str) -> Result<(String, &'a str), String> {
    match text.rsplit_once('=') {
        Some((name, given)) if !name.is_empty() => Ok((name.to_owned(), given)),
        _ => Err(format!("expected NAME={value}")),
    }
}

/// A group's number. The largest is "as it is" to chown(2).
pub(super) fn gid(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|gid| *gid != u32::MAX)
        .ok_or_else(|| "expected a group in numbers, such as 1337".to_owned())
}

/// A path, or the form that the SPIFFE Workload Endpoint has for one (section 4): `unix:///PATH`.
pub(super) fn endpoint(text: &str) -> Result<PathBuf, String> {
    let expected = "expected a path, or unix:///PATH with an absolute path";
    match text.split_once(':') {
        Some(("unix", rest)) => match rest.strip_prefix("//") {
            Some(path) if path.starts_with('/') && !path.contains(['?', '#']) => Ok(path.into()),
            _ => Err(expected.to_owned()),
        },
        Some((scheme, rest)) if rest.starts_with("//") => {
            Err(format!("{expected}; {scheme} is not served"))
        }
        _ => Ok(text.into()),
    }
}

/// A duration with units that is not zero.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match duration.is_zero() {
        true => Err("expected more than nothing, such as 10s".to_owned()),
        false => Ok(duration),
    }
}

/// One of the two sets of file names.
pub(super) fn names(text: &str) -> Result<FileNames, String> {
    match text {
        "istio" => Ok(FileNames::Istio),
        "kubernetes" => Ok(FileNames::Kubernetes),
        _ => Err("expected istio or kubernetes".to_owned()),
    }
}

/// A share between nothing and all.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or_else(|| "expected a number between 0 and 1, such as 0.5".to_owned())
}

/// A share that may be nothing.
pub(super) fn jitter(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|share| (0.0..1.0).contains(share))
        .ok_or_else(|| "expected a number from 0 to below 1, such as 0.05".to_owned())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}
/// A moment as RFC 3339 writes it, with its offset, from 1970 to 9999 in UTC as in certificates.
pub(super) fn time(text: &str) -> Result<SystemTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .filter(|time| time.unix_timestamp() >= 0 && time.unix_timestamp() < END_OF_TIME)
        .map(SystemTime::from)
        .ok_or_else(|| "expected a time from 1970 to 9999, such as 2026-11-21T14:00:00Z".to_owned())
}

/// The first second of the year 10000.
const END_OF_TIME: i64 = 253_402_300_800;
