//! What is a private key here? PKCS#8 bytes that are wiped on drop and never printed.

use std::fmt;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

/// A private key as PKCS#8 DER (RFC 5958). Wiped on drop; `Debug` prints no part of it.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    pub(crate) fn from_pkcs8_der(der: Vec<u8>) -> Self {
        Self(Zeroizing::new(der))
    }

    /// Reads the one `PRIVATE KEY` block of `pem`; `None` when there is none, or more than one.
    pub(crate) fn from_pkcs8_pem(pem: &[u8]) -> Option<Self> {
        let blocks = pem::parse_many(pem).ok()?;
        let mut keys = blocks
            .into_iter()
            .filter(|block| block.tag() == "PRIVATE KEY")
            .map(|block| Self::from_pkcs8_der(block.into_contents()));
        keys.next().filter(|_| keys.next().is_none())
    }

    /// The bytes of the PKCS#8 structure.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// One `PRIVATE KEY` block with LF line ends. Wiped on drop.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let block = pem::Pem::new("PRIVATE KEY", self.0.as_slice());
        let text = Zeroizing::new(pem::encode_config(&block, config));
        drop(Zeroizing::new(block.into_contents()));
        text
    }

    /// In the form that rustls takes.
    pub(crate) fn as_rustls(&self) -> PrivateKeyDer<'_> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.as_slice()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = PrivateKey::from_pkcs8_der(vec![65, 66, 67]);
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }

    #[test]
    fn a_key_reads_back_from_its_pem() {
        let key = PrivateKey::from_pkcs8_der(vec![7; 100]);
        let read = PrivateKey::from_pkcs8_pem(key.to_pem().as_bytes()).unwrap();
        assert_eq!(read.der(), key.der());
    }

    #[test]
    fn two_keys_in_one_file_are_refused() {
        let pem = PrivateKey::from_pkcs8_der(vec![7; 100]).to_pem();
        let twice = format!("{}{}", *pem, *pem);
        assert!(PrivateKey::from_pkcs8_pem(twice.as_bytes()).is_none());
    }
}
