//! How does an operator come by a CA to plug in? An offline root, issuing CAs under it, a request to a corporate CA.
//!
//! Everything is built beside its place, judged there, and gets its name by one renaming. Nothing that is
//! there is ever overwritten, and no failure leaves anything behind; a kill in between may leave
//! `.NAME.new-…` beside the place, for its owner's eyes only.

mod csr;
mod error;
mod import;
mod issuer;
mod order;
mod place;
mod put_bundle;
mod read;
mod root;

pub use self::csr::CSR_FILE;
pub use self::csr::MadeCsr;
pub use self::csr::REQUIREMENTS;
pub use self::csr::Requirement;
pub use self::csr::csr;
pub use self::error::CreateError;
pub use self::import::Answer;
pub use self::import::import;
pub use self::issuer::IssuerOrder;
pub use self::issuer::issuer;
pub use self::order::Lifetime;
pub use self::order::Subject;
pub use self::root::ROOT_FILE;
pub use self::root::ROOT_KEY_FILE;
pub use self::root::RootOrder;
pub use self::root::root;
pub use super::ca_certificate::KeyType;
pub use super::ca_certificate::MakeError;

/// The file with the key of a request and of a bundle.
pub const KEY_FILE: &str = "ca-key.pem";

#[cfg(test)]
mod tests;
