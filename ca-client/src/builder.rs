//! How is a [`CaClient`] put together? Its settings, their defaults, and what must not be left out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::spiffe::SpiffeId;
use rustls::pki_types::ServerName;
use tonic::metadata::Ascii;
use tonic::metadata::MetadataValue;

use crate::address::CaAddress;
use crate::bundle::Bundle;
use crate::client::CaClient;
use crate::client::Deadlines;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::credential::Credential;
use crate::files;
use crate::files::FilesError;
use crate::instance::InstanceId;
use crate::trust::Trust;

/// Gathers the settings of a [`CaClient`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CaClientBuilder {
    address: CaAddress,
    server_name: Option<String>,
    trust: Option<Trust>,
    credential: Option<Credential>,
    spiffe_id: Option<SpiffeId>,
    ttl: Duration,
    deadlines: Deadlines,
    cluster_id: Option<String>,
    instance: Option<InstanceId>,
    known: Option<Arc<Bundle>>,
    clock: Arc<dyn Clock>,
    no_earlier_than: Option<SystemTime>,
}

impl CaClientBuilder {
    pub(crate) fn new(address: CaAddress) -> Self {
        Self {
            address,
            server_name: None,
            trust: None,
            credential: None,
            spiffe_id: None,
            ttl: DEFAULT_TTL,
            deadlines: Deadlines {
                connect: DEFAULT_DEADLINE,
                answer: DEFAULT_DEADLINE,
            },
            cluster_id: None,
            instance: None,
            known: None,
            clock: Arc::new(SystemClock),
            no_earlier_than: None,
        }
    }

    /// What authenticates the CA. Required.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// What authenticates us. Required.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The name that the CA's certificate must carry, when it is not the host of the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The name that we want and insist on. Without it any one SPIFFE ID is accepted, unless a
    /// certificate is renewed: that keeps its name.
    pub fn spiffe_id(mut self, id: SpiffeId) -> Self {
        self.spiffe_id = Some(id);
        self
    }

    /// What [`Self::spiffe_id`] was given.
    pub(crate) fn wanted_id(&self) -> Option<&SpiffeId> {
        self.spiffe_id.as_ref()
    }

    /// The lifetime to ask for, in whole seconds; one hour by default. The CA may grant less.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long connecting (name resolution, TCP and TLS together) may take; ten seconds by default.
    pub fn connect_deadline(mut self, limit: Duration) -> Self {
        self.deadlines.connect = limit;
        self
    }

    /// How long the call may take; ten seconds by default.
    pub fn answer_deadline(mut self, limit: Duration) -> Self {
        self.deadlines.answer = limit;
        self
    }

    /// The cluster that this workload runs in, sent as header `clusterid` (Istio's authorities read it).
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.cluster_id = Some(id.into());
        self
    }

    /// Which agent asks, sent as `signet-instance`.
    pub(crate) fn instance(mut self, id: Option<InstanceId>) -> Self {
        self.instance = id;
        self
    }

    /// What the agent knows already: an answer never leads back behind it.
    pub(crate) fn known(mut self, bundle: Arc<Bundle>) -> Self {
        self.known = Some(bundle);
        self
    }

    /// Goes on from what an earlier run wrote to `dir`: its roots authenticate the CA, but for those that the CA distrusts,
    /// and no answer leads back behind them. Changes nothing where there is nothing.
    ///
    /// # Errors
    /// When the roots are there but cannot be read.
    pub fn going_on_from(mut self, dir: &Path) -> Result<Self, FilesError> {
        if let Some(bundle) = files::stored_bundle(dir)? {
            self.trust = Trust::roots(bundle.of_the_ca()).ok().or(self.trust);
            self.known = Some(Arc::new(bundle));
        }
        Ok(self)
    }

    /// Where the time comes from; the machine's clock by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// A moment that the CA's clock is known to have passed, so that its certificates are not too young for a
    /// clock here that was set back.
    pub(crate) fn no_earlier_than(mut self, moment: SystemTime) -> Self {
        self.no_earlier_than = Some(moment);
        self
    }

    /// Looks at everything but trust and credential, for those who give these later.
    ///
    /// # Errors
    /// Names the setting that is bad.
    pub fn check(&self) -> Result<(), BuildError> {
        if self.ttl.as_secs() == 0 {
            return Err(BuildError::Ttl);
        }
        self.certain_name()?;
        self.cluster_header()?;
        Ok(())
    }

    /// The name that the CA's certificate must carry.
    fn certain_name(&self) -> Result<ServerName<'static>, BuildError> {
        match &self.server_name {
            Some(seen) => ServerName::try_from(seen.clone())
                .map_err(|_not_a_name| BuildError::ServerName { seen: seen.clone() }),
            None => Ok(self.address.server_name().clone()),
        }
    }

    fn cluster_header(&self) -> Result<Option<MetadataValue<Ascii>>, BuildError> {
        let header = |seen: &String| {
            MetadataValue::try_from(seen.as_str())
                .map_err(|_not_a_header| BuildError::ClusterId { seen: seen.clone() })
        };
        self.cluster_id.as_ref().map(header).transpose()
    }

    /// The client.
    ///
    /// # Errors
    /// Names the setting that is missing or bad.
    pub fn build(self) -> Result<CaClient, BuildError> {
        self.check()?;
        Ok(CaClient {
            server_name: self.certain_name()?,
            cluster_id: self.cluster_header()?,
            address: self.address,
            trust: self.trust.ok_or(BuildError::NoTrust)?,
            credential: self.credential.ok_or(BuildError::NoCredential)?,
            spiffe_id: self.spiffe_id,
            ttl: self.ttl,
            deadlines: self.deadlines,
            instance: self.instance,
            known: self.known,
            clock: self.clock,
            no_earlier_than: self.no_earlier_than,
        })
    }
}

/// The setting that keeps a [`CaClient`] from being built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A cluster id that cannot be a header.
    #[error("the cluster id '{seen}' is not one line of visible ASCII")]
    ClusterId {
        /// What was given.
        seen: String,
    },
    /// Nothing says who we are.
    #[error("no credential: give a token, or a certificate to renew")]
    NoCredential,
    /// Nothing says which CA to believe.
    #[error("nothing authenticates the CA: give its roots, or the fingerprint of its root")]
    NoTrust,
    /// A server name that no certificate can carry.
    #[error("the server name '{seen}' is neither a DNS name nor an IP address")]
    ServerName {
        /// What was given.
        seen: String,
    },
    /// A lifetime of nothing.
    #[error("the lifetime to ask for is less than a second; give one with a unit, such as 1h")]
    Ttl,
}

const DEFAULT_TTL: Duration = Duration::from_secs(3600);
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use proto::certificate::Fingerprint;

    use super::*;

    fn complete() -> CaClientBuilder {
        CaClient::builder("ca.example:15012".parse().unwrap())
            .trust(Trust::fingerprint(Fingerprint::of(b"root")))
            .credential(Credential::token("t"))
    }

    #[test]
    fn trust_and_a_credential_cannot_be_left_out() {
        assert!(complete().build().is_ok());
        let address: CaAddress = "ca.example:15012".parse().unwrap();
        let bare = CaClient::builder(address.clone());
        assert_eq!(bare.build().unwrap_err(), BuildError::NoTrust);
        let trusting = CaClient::builder(address).trust(Trust::fingerprint(Fingerprint::of(b"")));
        assert_eq!(trusting.build().unwrap_err(), BuildError::NoCredential);
    }

    #[test]
    fn bad_settings_are_named() {
        let refused = |builder: CaClientBuilder| builder.build().unwrap_err();
        assert!(matches!(
            refused(complete().server_name("not a name")),
            BuildError::ServerName { .. }
        ));
        assert!(matches!(
            refused(complete().cluster_id("a\nb")),
            BuildError::ClusterId { .. }
        ));
        assert_eq!(refused(complete().ttl(Duration::ZERO)), BuildError::Ttl);
    }
}
