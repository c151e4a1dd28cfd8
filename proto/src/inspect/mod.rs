//! What is in this file? Every block of a PEM or DER file as facts for a person, whatever else stands around it.
//!
//! Nothing is judged here but the shape of an X509-SVID; a block that is unknown or broken is an answer too.
//! Private keys are known by their kind only: no byte of one gets into a value of this module.

mod der;
mod key;
mod pem_blocks;
mod request;
mod revocations;
mod signers;
#[cfg(test)]
mod tests;

pub use self::key::KeyKind;
pub use self::request::Request;
pub use self::revocations::Revocations;
use crate::certificate::Certificate;

/// One block and where it stands.
#[derive(Clone, Debug)]
pub struct Block {
    /// Position among the blocks, counting from 1.
    pub number: usize,
    /// The line of its `-----BEGIN`, counting from 1; none in DER.
    pub line: Option<usize>,
    /// The PEM label, such as `CERTIFICATE`; for DER the label that PEM would give it.
    pub label: String,
    /// What it is.
    pub content: Content,
}

/// What a block is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// A certificate.
    Certificate(Box<Signed>),
    /// A private key: its kind, and nothing else.
    PrivateKey(KeyKind),
    /// A public key.
    PublicKey(KeyKind),
    /// A certificate signing request (PKCS#10).
    Request(Request),
    /// A certificate revocation list.
    Revocations(Revocations),
    /// Of a kind that is known by name only.
    Known(&'static str),
    /// Of a kind that nobody here knows.
    Unknown {
        /// Length of its content in octets.
        len: usize,
    },
    /// Not what its label promises.
    Broken {
        /// What is wrong.
        reason: String,
    },
}

/// A certificate and who signed it, as far as the file tells.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: Certificate,
    /// Kind of its key.
    pub key: KeyKind,
    /// Who signed it.
    pub signer: Signer,
}

/// Who signed a certificate or a list, as far as the file tells. Signatures are checked; nothing else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Its own key.
    Itself,
    /// The key of another block's certificate.
    Block {
        /// That block's number.
        number: usize,
    },
    /// Somebody with the name of a block's certificate, but with another key than that one's.
    OtherKey {
        /// That block's number; its own, if it names itself as its issuer.
        number: usize,
    },
    /// Perhaps a block's certificate, which has the name: the signature's algorithm or key is not accepted, or there are
    /// too many to try.
    Unchecked {
        /// That block's number; its own, if it names itself as its issuer.
        number: usize,
    },
    /// Nobody of whom a certificate is in the file.
    NotHere,
}

/// Every block of `bytes`, in order. Never fails on a block; an empty answer means neither PEM nor DER.
#[must_use]
pub fn inspect(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = match crate::certificate::is_der(bytes) {
        true => der::blocks(bytes),
        false => pem_blocks::blocks(bytes),
    };
    if blocks.is_empty() {
        // DER of few octets, such as an Ed25519 key's.
        blocks = der::blocks(bytes);
    }
    signers::find(&mut blocks);
    blocks
}
