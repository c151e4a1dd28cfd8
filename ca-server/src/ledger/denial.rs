//! Who gets no certificate any more? Denials by SPIFFE ID, serial and key, as they are stored and shown.
//!
//! A denial stops renewal. It revokes nothing: a leaf that is out there stays valid until it expires.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;
use serde::Deserialize;
use serde::Serialize;

use crate::x509::Serial;

/// What a denial is aimed at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// Whoever is called that, however it proves it.
    SpiffeId(SpiffeId),
    /// The certificate of that number, as evidence and as an answer that is given again.
    Serial(SerialNumber),
    /// SHA-256 of a SubjectPublicKeyInfo: of a CSR, or of a client certificate.
    Key(Fingerprint),
}

impl Target {
    /// Everything of a certificate that can be denied.
    #[must_use]
    pub fn all_of(certificate: &Certificate) -> Vec<Self> {
        let facts = certificate.facts();
        let uris = facts.subject_alt_name.iter().flat_map(|san| &san.uris);
        let ids = uris.filter_map(|uri| uri.parse().ok().map(Self::SpiffeId));
        let number = SerialNumber::from_octets(&facts.serial);
        ids.chain(number.map(Self::Serial))
            .chain([Self::Key(Fingerprint::of(&facts.spki_der))])
            .collect()
    }

    /// `spiffe-id`, `serial` or `key`: for labels.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SpiffeId(_) => "spiffe-id",
            Self::Serial(_) => "serial",
            Self::Key(_) => "key",
        }
    }
}

impl From<Serial> for Target {
    fn from(serial: Serial) -> Self {
        Self::Serial(SerialNumber::from(serial))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpiffeId(id) => write!(f, "SPIFFE ID {id}"),
            Self::Serial(number) => write!(f, "serial {number}"),
            Self::Key(key) => write!(f, "key {key}"),
        }
    }
}

/// The serial number of any certificate, ours or of the CA before us (RFC 5280 section 4.1.2.2): 1 to 20
/// octets, without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SerialNumber(Vec<u8>);

impl SerialNumber {
    /// From the content octets of an INTEGER; `None` when there are none, or more than 20 that count.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        match octets.get(zeros..)? {
            [] => octets.first().map(|zero| Self(vec![*zero])),
            significant if significant.len() > MAX_SERIAL_LEN => None,
            significant => Some(Self(significant.to_vec())),
        }
    }

    /// The serial, if it has the length of one that we give out.
    #[must_use]
    pub fn own(&self) -> Option<Serial> {
        self.to_string().parse().ok()
    }
}

impl From<Serial> for SerialNumber {
    fn from(serial: Serial) -> Self {
        Self::from_octets(serial.as_bytes()).unwrap_or_else(|| Self(serial.as_bytes().to_vec()))
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SerialNumber {
    type Err = SerialNumberError;

    /// Accepts hex in either case, with or without colons and leading zeros.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text
            .trim()
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(SerialNumberError)?;
        // Pairs are counted from the right: an odd number of digits lacks a zero.
        let octets: Vec<u8> = digits
            .rchunks(2)
            .rev()
            .map(|pair| pair.iter().fold(0, |octet, digit| octet * 16 + digit))
            .collect();
        Self::from_octets(&octets).ok_or(SerialNumberError)
    }
}

/// The text is not a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number is 1 to 40 hex digits, with or without colons")]
pub struct SerialNumberError;

/// Why somebody is denied, in an operator's words: one line, which may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason(String);

impl Reason {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text.chars().any(char::is_control) || text.len() > MAX_REASON_LEN {
            true => Err(ReasonError),
            false => Ok(Self(text.to_owned())),
        }
    }
}

/// The text is too long for a reason, or has more than one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reason is one line of at most {MAX_REASON_LEN} bytes, without control characters")]
pub struct ReasonError;

/// One denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// What it is aimed at.
    pub target: Target,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: SystemTime,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is denied", self.target)?;
        match self.reason.as_str() {
            "" => Ok(()),
            reason => write!(f, ": {reason}"),
        }
    }
}

/// RFC 5280 section 4.1.2.2.
const MAX_SERIAL_LEN: usize = 20;
/// Far below what a row may have.
const MAX_REASON_LEN: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_has_one_form_however_it_is_written() {
        let number = SerialNumber::from_octets(&[0, 0x0a, 0xbc]).unwrap();
        for text in ["0abc", "abc", "0A:BC", "00:0a:bc", " 000abc\n"] {
            assert_eq!(text.parse(), Ok(number.clone()), "{text}");
        }
        assert_eq!(number.to_string(), "0abc");
        let own = Serial::from([1; 16]);
        assert_eq!(own.to_string().parse(), Ok(SerialNumber::from(own)));
        assert_eq!(SerialNumber::from(own).own(), Some(own));
        assert_eq!("00".parse::<SerialNumber>().unwrap().to_string(), "00");
    }

    #[test]
    fn what_is_no_serial_number_is_refused() {
        for bad in ["", ":", "0x1f", "xyz", "-1", "1 2", &"f".repeat(41)] {
            assert_eq!(bad.parse::<SerialNumber>(), Err(SerialNumberError), "{bad}");
        }
        assert!("f".repeat(40).parse::<SerialNumber>().is_ok());
    }

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(
            " laptop lost ".parse::<Reason>().unwrap().as_str(),
            "laptop lost"
        );
        for bad in ["a\nb", "\u{1b}[2J", &"x".repeat(501)] {
            assert_eq!(bad.parse::<Reason>(), Err(ReasonError), "{bad:?}");
        }
    }
}
