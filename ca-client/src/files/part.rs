//! What is one file of the set? What it is called, whether others may read it, and what is in it.

use proto::certificate::Certificate;
use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use super::FileNames;
use super::FilesError;
use super::StorePassword;
use super::pkcs12;
use crate::svid::Svid;

/// A file, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Chain,
    Key,
    Roots,
    ChainWithoutRoot,
    KeyStore,
    TrustStore,
}

impl Part {
    pub(super) const ALL: [Self; 6] = [
        Self::Chain,
        Self::Key,
        Self::Roots,
        Self::ChainWithoutRoot,
        Self::KeyStore,
        Self::TrustStore,
    ];

    pub(super) fn name(self, names: FileNames) -> &'static str {
        match self {
            Self::Chain => names.chain(),
            Self::Key => names.key(),
            Self::Roots => names.roots(),
            Self::ChainWithoutRoot => super::CHAIN_WITHOUT_ROOT,
            Self::KeyStore => super::KEY_STORE,
            Self::TrustStore => super::TRUST_STORE,
        }
    }

    /// Whether the private key is in it.
    pub(super) fn is_private(self) -> bool {
        matches!(self, Self::Key | Self::KeyStore)
    }

    /// Whether it needs a password.
    pub(super) fn is_store(self) -> bool {
        matches!(self, Self::KeyStore | Self::TrustStore)
    }

    /// What the file holds; wiped on drop. A store without a password is empty: nobody wants one then.
    pub(super) fn content(
        self,
        svid: &Svid,
        password: Option<&StorePassword>,
        random: &dyn SecureRandom,
    ) -> Result<Zeroizing<Vec<u8>>, FilesError> {
        let content = match (self, password) {
            (Self::Chain, _) => svid.chain_pem().into_bytes(),
            (Self::Key, _) => svid.private_key_pem().as_bytes().to_vec(),
            (Self::Roots, _) => svid.roots_pem().into_bytes(),
            (Self::ChainWithoutRoot, _) => {
                let chain = svid.chain_without_roots();
                chain.map(Certificate::to_pem).collect::<String>().into()
            }
            (Self::KeyStore, Some(password)) => pkcs12::key_store(svid, password, random)?,
            (Self::TrustStore, Some(password)) => {
                pkcs12::trust_store(svid.roots(), password, random)?
            }
            (Self::KeyStore | Self::TrustStore, None) => Vec::new(),
        };
        Ok(Zeroizing::new(content))
    }
}
