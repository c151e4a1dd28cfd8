//! How is one attempt made? A new connection with the evidence that worked last, and with the other
//! kind when the CA does not take the first.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use proto::spiffe::SpiffeId;

use super::first_contact::FirstContactError;
use super::status::one_line;
use crate::builder::BuildError;
use crate::builder::CaClientBuilder;
use crate::client::Enrolled;
use crate::credential::Credential;
use crate::csr::CsrError;
use crate::csr::KeyAndCsr;
use crate::error::Error;
use crate::svid::Svid;
use crate::trust::Trust;

/// The two ways to say who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    Token,
    Certificate,
}

/// All that one attempt needs; its own, so that the agent goes on with other things meanwhile.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) request: CaClientBuilder,
    pub(super) trust: Trust,
    /// The name to insist on.
    pub(super) spiffe_id: Option<SpiffeId>,
    /// The key to be certified: the same until there is a certificate for it. A one-time token whose
    /// answer was lost is good once more, but for no other key.
    pub(super) key: Arc<KeyAndCsr>,
    /// What the token file held when this was begun.
    pub(super) token: Option<Credential>,
    pub(super) token_file: Option<PathBuf>,
    /// Our certificate; it is shown until it expires, even if it begins later by a clock that is behind.
    pub(super) own: Option<Arc<Svid>>,
    pub(super) first: Evidence,
    pub(super) now: SystemTime,
}

impl Attempt {
    /// Asks with one kind of evidence, then with the other if it is the evidence that was refused.
    pub(super) async fn make(self) -> Result<(Enrolled, Evidence), AttemptError> {
        let order = match self.first {
            Evidence::Token => [Evidence::Token, Evidence::Certificate],
            Evidence::Certificate => [Evidence::Certificate, Evidence::Token],
        };
        let mut refused = Vec::new();
        for evidence in order {
            let Some(credential) = self.credential(evidence) else {
                continue;
            };
            let client = self.client(credential)?;
            match client.enrol_for(&self.key).await {
                Ok(enrolled) => return Ok((enrolled, evidence)),
                Err(error) if error.is_about_the_credential() => refused.push((evidence, error)),
                Err(source) => return Err(AttemptError::Ca { source }),
            }
        }
        Err(self.without_credential(refused))
    }

    fn client(&self, credential: Credential) -> Result<crate::CaClient, BuildError> {
        let mut builder = self
            .request
            .clone()
            .trust(self.trust.clone())
            .credential(credential);
        if let Some(id) = &self.spiffe_id {
            builder = builder.spiffe_id(id.clone());
        }
        builder.build()
    }

    fn credential(&self, evidence: Evidence) -> Option<Credential> {
        match evidence {
            Evidence::Token => self.token.clone(),
            Evidence::Certificate => self
                .own
                .as_ref()
                .filter(|svid| svid.not_after() >= self.now)
                .map(|svid| Credential::identity(svid.as_ref().clone())),
        }
    }

    /// A valid certificate that the CA refuses is a matter for the CA's operator; anything else is cured
    /// by a token.
    fn without_credential(&self, mut refused: Vec<(Evidence, Error)>) -> AttemptError {
        let certificate = refused
            .iter()
            .position(|(evidence, _)| *evidence == Evidence::Certificate);
        let certificate = certificate.map(|index| refused.swap_remove(index).1);
        let token = refused.pop().map(|(_, error)| error);
        match (certificate, token) {
            (Some(source), None) => AttemptError::Ca { source },
            (Some(certificate), Some(token)) if !matches!(token, Error::Credential { .. }) => {
                AttemptError::BothRefused { token, certificate }
            }
            (Some(source), Some(_)) => AttemptError::Ca { source },
            (None, Some(source)) if self.is_denied(&source) => AttemptError::Ca { source },
            (None, token) => AttemptError::NeedsToken {
                certificate: self.certificate_state(),
                token: self.token_state(token.as_ref()),
            },
        }
    }

    /// Known to the CA, but not allowed: another token does not help.
    fn is_denied(&self, error: &Error) -> bool {
        matches!(error, Error::Refused { .. })
    }

    fn certificate_state(&self) -> String {
        match &self.own {
            Some(svid) => format!(
                "the certificate expired at {}",
                humantime::format_rfc3339_seconds(svid.not_after())
            ),
            None => "there is no certificate to renew".to_owned(),
        }
    }

    fn token_state(&self, error: Option<&Error>) -> String {
        match (&self.token_file, error) {
            (Some(path), Some(error)) => format!(
                "write a fresh token to {} ({})",
                path.display(),
                one_line(error)
            ),
            _ => "no --token-file was given; start again with one".to_owned(),
        }
    }
}

/// Why an attempt brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// Neither the token nor the certificate is believed.
    #[error(
        "the CA refuses both the certificate ({}) and the token ({})",
        one_line(certificate),
        one_line(token)
    )]
    BothRefused { token: Error, certificate: Error },
    /// The settings do not make a request.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The one thing that went wrong.
    #[error(transparent)]
    Ca { source: Error },
    /// There is nothing to be certified.
    #[error(transparent)]
    Key(#[from] CsrError),
    /// Nothing is left to say who we are.
    #[error("a token is needed: {certificate}; {token}")]
    NeedsToken { certificate: String, token: String },
    /// Nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] FirstContactError),
}

impl AttemptError {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::BothRefused { .. } => "unauthenticated",
            Self::Build(_) => "settings",
            Self::Ca { source } => source.reason(),
            Self::Key(_) => "local",
            Self::NeedsToken { .. } => "needs-token",
            Self::Trust(_) => "no-trust",
        }
    }

    /// What the CA asked for, where it did.
    pub(super) fn pushback(&self) -> Option<std::time::Duration> {
        match self {
            Self::Ca { source } => source.pushback(),
            _ => None,
        }
    }

    /// Whether the same request will be refused again unless somebody does something.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Ca { source } => {
                !source.is_retryable()
                    && !matches!(source, Error::Server { .. } | Error::Handshake { .. })
            }
            Self::BothRefused { .. } | Self::Build(_) | Self::NeedsToken { .. } => true,
            Self::Key(_) | Self::Trust(_) => false,
        }
    }

    /// Whether the CA was there and does not want this request, whoever makes it: another key may help,
    /// and no certificate for this one is on its way.
    pub(super) fn is_about_the_request(&self) -> bool {
        match self {
            Self::Ca { source } | Self::BothRefused { token: source, .. } => {
                matches!(source, Error::Refused { .. }) && !source.is_retryable()
            }
            _ => false,
        }
    }
}
