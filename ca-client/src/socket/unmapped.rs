//! How does the system call a peer whose user or group our user namespace does not map (`user_namespaces(7)`)? All such by
//! one number, so that it names nobody.

use std::fs;

/// The number that stands for every user, or group, without one of its own; `None` where everybody has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unmapped {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

impl Unmapped {
    /// As this process sees others.
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let number =
            |map: &str, overflow: &str| stand_in(read(map).as_deref(), read(overflow).as_deref());
        Self {
            uid: number("/proc/self/uid_map", "/proc/sys/kernel/overflowuid"),
            gid: number("/proc/self/gid_map", "/proc/sys/kernel/overflowgid"),
        }
    }
}

/// What cannot be read may leave somebody out.
fn stand_in(map: Option<&str>, overflow: Option<&str>) -> Option<u32> {
    let mapped = map.and_then(mapped).unwrap_or(0);
    let number = overflow.and_then(|text| text.trim().parse().ok());
    (mapped < EVERYBODY).then(|| number.unwrap_or(OVERFLOW))
}

/// How many numbers a map has: lines of its first inside, its first outside, and how many.
fn mapped(map: &str) -> Option<u64> {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    map.lines().map(count).sum()
}

/// All numbers but the largest, which is no user.
const EVERYBODY: u64 = u32::MAX as u64;
/// The system's own default.
const OVERFLOW: u32 = 65534;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_of_everybody_leaves_nobody_without_a_number() {
        let all = "         0          0 4294967295\n";
        let cases = [
            (Some(all), Some("65534\n"), None),
            (Some(all), None, None),
            (Some("0 0 1000\n1000 1000 4294966295\n"), None, None),
            (Some("0 100000 65536\n"), Some("65534\n"), Some(65534)),
            (Some("0 100000 65536\n"), Some("99\n"), Some(99)),
            (Some("0 100000 65536\n"), Some("?"), Some(65534)),
            (Some("0 100000\n"), Some("99\n"), Some(99)),
            (Some(""), None, Some(65534)),
            (None, None, Some(65534)),
        ];
        for (map, overflow, expected) in cases {
            let found = stand_in(map, overflow);
            assert_eq!(found, expected, "{map:?} {overflow:?}");
        }
    }
}
