//! What does the standard say? Requests, serials, validities and leaves as values (RFC 5280, RFC 2986).
//!
//! Holds no private key and reads no clock.

pub mod csr;
pub mod leaf;
pub mod public_key;
pub mod serial;
mod signature;
pub mod validity;

pub use csr::Csr;
pub use csr::CsrError;
pub use leaf::LeafName;
pub use leaf::LeafTemplate;
pub use public_key::KeyKind;
pub use public_key::PublicKey;
pub use public_key::PublicKeyError;
pub use serial::Entropy;
pub use serial::EntropyError;
pub use serial::Serial;
pub use serial::SystemEntropy;
pub use validity::Validity;

#[cfg(test)]
mod openssl;
