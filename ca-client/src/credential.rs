//! Who do we say we are? A bearer token, or the certificate that we already have.

use std::fmt;
use std::io;
use std::io::ErrorKind;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use tonic::metadata::Ascii;
use tonic::metadata::MetadataValue;
use zeroize::Zeroizing;

use crate::svid::Svid;

/// What proves to the CA who is asking. `Debug` prints neither token nor key.
#[derive(Clone, Debug)]
pub struct Credential(Kind);

#[derive(Clone)]
enum Kind {
    Identity(Box<Svid>),
    Token(Zeroizing<String>),
    TokenFile(PathBuf),
    /// What the file held.
    TokenOfFile(PathBuf, Arc<io::Result<Zeroizing<String>>>),
}

impl Credential {
    /// A token that was handed over directly, for instance on standard input.
    #[must_use]
    pub fn token(token: impl Into<String>) -> Self {
        Self(Kind::Token(Zeroizing::new(token.into())))
    }

    /// A file that holds a token. It is read again for every attempt, because tokens in files rotate.
    #[must_use]
    pub fn token_file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::TokenFile(path.into()))
    }

    /// A file that was read elsewhere, or could not be.
    pub(crate) fn token_of_file(path: PathBuf, token: io::Result<Zeroizing<String>>) -> Self {
        Self(Kind::TokenOfFile(path, Arc::new(token)))
    }

    /// The certificate that this workload already has: renewal over mutual TLS.
    #[must_use]
    pub fn identity(svid: Svid) -> Self {
        Self(Kind::Identity(Box::new(svid)))
    }

    pub(crate) fn svid(&self) -> Option<&Svid> {
        match &self.0 {
            Kind::Identity(svid) => Some(svid),
            Kind::Token(_) | Kind::TokenFile(_) | Kind::TokenOfFile(..) => None,
        }
    }

    /// The `authorization` header of this attempt (RFC 6750 section 2.1), where there is one.
    ///
    /// # Errors
    /// When there is no token in the file, or one that cannot be a header.
    pub(crate) fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, CredentialError> {
        match &self.0 {
            Kind::Identity(_) => Ok(None),
            Kind::Token(token) => bearer(token, &self.to_string()).map(Some),
            Kind::TokenFile(path) => {
                let token = read_token(path).map_err(|source| CredentialError::Read {
                    path: path.clone(),
                    source,
                })?;
                bearer(&token, &self.to_string()).map(Some)
            }
            Kind::TokenOfFile(path, token) => match token.as_ref() {
                Ok(token) => bearer(token, &self.to_string()).map(Some),
                Err(error) => Err(CredentialError::Read {
                    path: path.clone(),
                    source: io::Error::new(error.kind(), error.to_string()),
                }),
            },
        }
    }
}

impl fmt::Display for Credential {
    /// Says where the credential comes from, never what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Identity(svid) => write!(f, "the certificate of {}", svid.spiffe_id()),
            Kind::Token(_) => f.write_str("the token that was given directly"),
            Kind::TokenFile(path) | Kind::TokenOfFile(path, _) => {
                write!(f, "the token in {}", path.display())
            }
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(svid) => f.debug_tuple("Identity").field(svid).finish(),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::TokenFile(path) | Self::TokenOfFile(path, _) => {
                f.debug_tuple("TokenFile").field(path).finish()
            }
        }
    }
}

/// Why a credential cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Nothing but white space.
    #[error("{credential} is empty; write a token there")]
    Empty {
        /// Where the token should have been.
        credential: String,
    },
    /// The token has characters that no HTTP header may carry.
    #[error("{credential} is not one line of visible ASCII, so it cannot be a bearer token")]
    NotAToken {
        /// Where the token came from.
        credential: String,
    },
    /// The file cannot be read.
    #[error("cannot read the token file {}; does it exist, and may this user read it?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// What is in a token file, if that can be a token by its size.
pub(crate) fn read_token(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut token = Zeroizing::new(String::new());
    let mut file = std::fs::File::open(path)?.take(LONGEST_TOKEN + 1);
    file.read_to_string(&mut token)?;
    match u64::try_from(token.len()).is_ok_and(|length| length <= LONGEST_TOKEN) {
        true => Ok(token),
        false => Err(io::Error::new(
            ErrorKind::InvalidData,
            format!("more than {LONGEST_TOKEN} bytes are no token"),
        )),
    }
}

fn bearer(token: &str, credential: &str) -> Result<MetadataValue<Ascii>, CredentialError> {
    let token = token.trim();
    if token.is_empty() {
        return Err(CredentialError::Empty {
            credential: credential.to_owned(),
        });
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CredentialError::NotAToken {
            credential: credential.to_owned(),
        });
    }
    let header = Zeroizing::new(format!("Bearer {token}"));
    let mut value = MetadataValue::try_from(header.as_str()).map_err(|_not_a_header| {
        CredentialError::NotAToken {
            credential: credential.to_owned(),
        }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Octets; what no server takes as a header anyway.
const LONGEST_TOKEN: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_never_printed() {
        let credential = Credential::token(" secret-token\n");
        let header = credential.authorization().unwrap().unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer secret-token");
        let printed = format!("{credential:?} {credential} {header:?}");
        assert!(!printed.contains("secret-token"), "{printed}");
    }

    #[test]
    fn a_token_file_is_read_again_for_every_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let credential = Credential::token_file(&path);
        for token in ["first", "second"] {
            std::fs::write(&path, token).unwrap();
            let header = credential.authorization().unwrap().unwrap();
            assert_eq!(header.to_str().unwrap(), format!("Bearer {token}"));
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_without_showing_it() {
        for bad in ["", " \n", "two\nlines", "two words", "gr\u{fc}n", "nul\0"] {
            let error = Credential::token(bad).authorization().unwrap_err();
            assert!(
                bad.trim().is_empty() || !error.to_string().contains(bad),
                "{error}"
            );
        }
        let missing = Credential::token_file("/nonexistent/token").authorization();
        assert!(matches!(missing, Err(CredentialError::Read { .. })));
    }
}
