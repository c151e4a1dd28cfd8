//! How do two workloads speak TLS with their SVIDs? Settings for rustls, made anew for each connection
//! from the latest SVID: cheap, and always up to date in certificate and roots.

use std::fmt;
use std::sync::Arc;

use proto::certificate::Certificate;
use proto::chain;
use proto::chain::Profile;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;
use rustls::ClientConfig;
use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;

use crate::handshake::Judge;
use crate::handshake::Peer;
use crate::handshake::Verifier;
use crate::svid::Svid;

/// Whom we speak with.
#[derive(Clone, Debug)]
pub enum Peers {
    /// Every workload of a trust domain.
    MembersOf(TrustDomain),
    /// One workload.
    Only(SpiffeId),
}

impl Peers {
    fn allow(&self, id: &SpiffeId) -> bool {
        match self {
            Self::MembersOf(domain) => id.is_member_of(domain),
            Self::Only(expected) => id == expected,
        }
    }
}

/// Settings of a server that shows `svid` and insists on a client's SVID from among `peers`.
///
/// # Errors
/// When rustls cannot be set up.
pub fn server_config(svid: &Svid, peers: Peers) -> Result<ServerConfig, rustls::Error> {
    let verifier = verifier(svid, peers);
    let config = ServerConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(
            svid.rustls_certified_key(),
        )));
    Ok(config)
}

/// Settings of a client that shows `svid` and insists on a server's SVID from among `peers`. The name
/// given to rustls when connecting is not looked at: SVIDs have SPIFFE IDs.
///
/// # Errors
/// When rustls cannot be set up.
pub fn client_config(svid: &Svid, peers: Peers) -> Result<ClientConfig, rustls::Error> {
    let verifier = verifier(svid, peers);
    let config = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
            svid.rustls_certified_key(),
        )));
    Ok(config)
}

/// Judges peers by [`chain::verify`] with the trust bundle that came with the SVID.
struct ByBundle {
    roots: Vec<Certificate>,
    peers: Peers,
}

fn verifier(svid: &Svid, peers: Peers) -> Verifier<ByBundle> {
    Verifier {
        judge: ByBundle {
            roots: svid.roots().to_vec(),
            peers,
        },
        provider: Arc::new(rustls::crypto::ring::default_provider()),
    }
}

impl Judge for ByBundle {
    fn judge(&self, peer: Peer<'_>) -> Result<(), rustls::Error> {
        let refused = |error: &dyn std::error::Error| rustls::Error::General(error.to_string());
        let presented = peer.certificates().map_err(|error| refused(&error))?;
        let verified = chain::verify(&presented, &self.roots, None, Profile::X509Svid, peer.at())
            .map_err(|error| refused(&error))?;
        match verified.spiffe_id.filter(|id| self.peers.allow(id)) {
            Some(_) => Ok(()),
            None => Err(rustls::CertificateError::ApplicationVerificationFailure.into()),
        }
    }
}

impl fmt::Debug for ByBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByBundle")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
