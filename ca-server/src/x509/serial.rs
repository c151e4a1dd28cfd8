//! Which number does a leaf get? (RFC 5280 section 4.1.2.2)
//!
//! 128 bits: 48 of milliseconds since 1970, so that serials sort by time, then 80 of randomness.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use serde::Deserialize;
use serde::Serialize;

/// A serial number: positive, 16 octets, in the order in which they were drawn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Serial([u8; 16]);

impl Serial {
    /// Draws a serial for a leaf made at `now`.
    ///
    /// # Errors
    /// When `entropy` has none to give.
    pub fn draw(now: SystemTime, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        let millis = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_millis());
        let time = u64::try_from(millis).unwrap_or(u64::MAX).to_be_bytes();
        for (byte, time) in bytes.iter_mut().zip(time.iter().skip(2)) {
            *byte = *time;
        }
        Ok(Self(bytes))
    }

    /// The 16 octets, most significant first. The first is below 0x80 until the year 6429.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Serial {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Serial {
    /// 32 lower-case hex digits, as `openssl x509 -serial` prints them in upper case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    /// Accepts hex in either case, with or without colons and leading zeros.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
        if digits.is_empty() || digits.len() > 32 {
            return Err(SerialError);
        }
        let value = u128::from_str_radix(&digits, 16).map_err(|_not_hex| SerialError)?;
        Ok(Self(value.to_be_bytes()))
    }
}

/// The text is not a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number is 1 to 32 hex digits, with or without colons")]
pub struct SerialError;

/// A source of random bytes, so that tests can make two serials collide.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// When the source has nothing; `bytes` must not be used then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        SystemRandom::new()
            .fill(bytes)
            .map_err(|_unspecified| EntropyError)
    }
}

/// The system has no randomness to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no randomness to give")]
pub struct EntropyError;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn serials_are_positive_and_sixteen_octets_without_padding() {
        for year in 10..4000 {
            let serial = Serial::draw(at(year * 31_557_600), &SystemEntropy).unwrap();
            assert!(serial.as_bytes()[0] < 0x80, "{serial} in {}", 1970 + year);
        }
        let today = Serial::draw(at(1_790_000_000), &SystemEntropy).unwrap();
        assert_eq!(today.as_bytes()[0], 0x01);
    }

    #[test]
    fn later_serials_are_greater() {
        let first = Serial::draw(at(1_790_000_000), &SystemEntropy).unwrap();
        let second = Serial::draw(at(1_790_000_001), &SystemEntropy).unwrap();
        assert!(first < second);
    }

    #[test]
    fn eighty_bits_of_a_serial_are_random() {
        let draw = || Serial::draw(at(1_790_000_000), &SystemEntropy).unwrap();
        let (mut ones, mut zeros) = ([0_u8; 16], [0_u8; 16]);
        for _ in 0..200 {
            for (index, byte) in draw().as_bytes().iter().enumerate() {
                ones[index] |= byte;
                zeros[index] |= !byte;
            }
        }
        assert_eq!(ones[6..], [0xff; 10]);
        assert_eq!(zeros[6..], [0xff; 10]);
    }

    #[test]
    fn a_serial_reads_back_as_openssl_prints_it() {
        let serial = Serial::from([1, 0x9a, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(serial.to_string().to_uppercase().parse(), Ok(serial));
        assert_eq!(
            "01:9a:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10".parse(),
            Ok(serial)
        );
        for bad in ["", "xyz", &"1".repeat(33), "-1"] {
            assert_eq!(bad.parse::<Serial>(), Err(SerialError), "{bad}");
        }
    }
}
