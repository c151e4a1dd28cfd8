//! How is one SVID fetched? [`CaClient`]: a fresh key, one `CreateCertificate` call, every check.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::istio::IstioCertificateRequest;
use proto::istio::IstioCertificateResponse;
use proto::istio::istio_certificate_service_client::IstioCertificateServiceClient;
use proto::spiffe::SpiffeId;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::metadata::Ascii;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

use crate::address::CaAddress;
use crate::address::authority_host;
use crate::builder::CaClientBuilder;
use crate::bundle::Bundle;
use crate::bundle::told_number;
use crate::ca_time::CaTime;
use crate::ca_time::told_time;
use crate::channel;
use crate::clock::Clock;
use crate::credential::Credential;
use crate::csr::KeyAndCsr;
use crate::error::Error;
use crate::error::Step;
use crate::instance::InstanceId;
use crate::svid::Expected;
use crate::svid::Svid;
use crate::tls::Connection;
use crate::tls::Target;
use crate::trust::Trust;

/// Asks one CA for certificates. Cheap to keep; every [`fetch`](Self::fetch) is a connection of its own.
#[derive(Clone, Debug)]
pub struct CaClient {
    pub(crate) address: CaAddress,
    pub(crate) server_name: ServerName<'static>,
    pub(crate) trust: Trust,
    pub(crate) credential: Credential,
    pub(crate) spiffe_id: Option<SpiffeId>,
    pub(crate) ttl: Duration,
    pub(crate) deadlines: Deadlines,
    pub(crate) cluster_id: Option<MetadataValue<Ascii>>,
    pub(crate) instance: Option<InstanceId>,
    pub(crate) known: Option<Arc<Bundle>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// A moment that the CA's clock is known to have passed.
    pub(crate) no_earlier_than: Option<SystemTime>,
}

/// What a successful request brought.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The certificate, its key and the trust bundle.
    pub svid: Svid,
    /// What the CA's clock showed when the answer came, by its `date` header (RFC 9110 section 6.6.1);
    /// right within a second and the time that the answer took.
    pub ca_time: Option<CaTime>,
    /// What the CA calls the roots of the SVID, if it counts its trust bundles. Never lower than what was known before.
    pub bundle: Option<u64>,
}

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
}

impl CaClient {
    /// Starts with nothing but the address; trust and a credential are needed as well.
    pub fn builder(address: CaAddress) -> CaClientBuilder {
        CaClientBuilder::new(address)
    }

    /// As [`Self::enrol`], for those who want nothing but the SVID.
    ///
    /// # Errors
    /// Why there is no SVID. Nothing is kept of a failed attempt.
    pub async fn fetch(&self) -> Result<Svid, Error> {
        Ok(self.enrol().await?.svid)
    }

    /// Gets one SVID: makes a key, asks the CA to certify it, and checks everything that comes back.
    ///
    /// Tries once; [`Error::is_retryable`] says whether to try again. The key never leaves this process.
    ///
    /// # Errors
    /// Why there is no SVID. Nothing is kept of a failed attempt.
    pub async fn enrol(&self) -> Result<Enrolled, Error> {
        self.enrol_for(&self.new_key()?).await
    }

    /// A key to be certified by [`Self::fetch_for`], as often as it takes until there is an answer.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn new_key(&self) -> Result<KeyAndCsr, Error> {
        Ok(KeyAndCsr::generate(self.spiffe_id.as_ref())?)
    }

    /// As [`Self::fetch`], for a key made before. Try again with the same key: a one-time token whose answer was lost on
    /// the way is good once more, but for no other key.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_for(&self, asked: &KeyAndCsr) -> Result<Svid, Error> {
        Ok(self.enrol_for(asked).await?.svid)
    }

    /// As [`Self::enrol`], for a key made before.
    ///
    /// # Errors
    /// As [`Self::enrol`].
    pub async fn enrol_for(&self, asked: &KeyAndCsr) -> Result<Enrolled, Error> {
        let authorization = self.credential.authorization()?;
        let Connection { stream, trusted } = self.connect(self.moment()).await?;
        let request = self.request(asked, authorization);
        let sent = self.clock.now();
        let answer = self.ask(stream, request).await?;
        let expected = Expected {
            spiffe_id: self.expected_id(),
            trusted: &trusted,
            known: self.known.as_deref(),
            number: told_number(answer.metadata()),
            now: self.moment(),
            wall: self.clock.now(),
        };
        let received = expected.wall;
        let ca_time = told_time(answer.metadata(), sent, received);
        let elements = answer.into_inner().cert_chain;
        let svid =
            Svid::from_answer(&elements, asked, expected).map_err(|source| Error::Answer {
                ca: self.address.clone(),
                source: Box::new(source),
            })?;
        warn_of_skew(&svid, received);
        Ok(Enrolled {
            svid,
            ca_time,
            bundle: expected.number_in_force(),
        })
    }

    /// When to judge certificates: a clock that was set back does not make what is good too young.
    pub(crate) fn moment(&self) -> SystemTime {
        let now = self.clock.now();
        self.no_earlier_than.map_or(now, |moment| moment.max(now))
    }

    pub(crate) async fn connect(&self, now: SystemTime) -> Result<Connection, Error> {
        let target = Target {
            address: &self.address,
            server_name: &self.server_name,
            trust: &self.trust,
            identity: self.credential.svid(),
            now,
        };
        let limit = self.deadlines.connect;
        match tokio::time::timeout(limit, target.connect()).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(self.too_late(Step::Connect, limit)),
        }
    }

    fn request(
        &self,
        asked: &KeyAndCsr,
        authorization: Option<MetadataValue<Ascii>>,
    ) -> tonic::Request<IstioCertificateRequest> {
        let mut request = tonic::Request::new(IstioCertificateRequest {
            csr: asked.csr_pem.clone(),
            validity_duration: i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX),
            metadata: None,
        });
        request.set_timeout(self.deadlines.answer);
        if let Some(value) = authorization {
            request.metadata_mut().insert("authorization", value);
        }
        if let Some(value) = &self.cluster_id {
            request.metadata_mut().insert("clusterid", value.clone());
        }
        let instance = self.instance.as_ref().map(InstanceId::as_str);
        if let Some(value) = instance.and_then(|id| MetadataValue::try_from(id).ok()) {
            request.metadata_mut().insert("signet-instance", value);
        }
        request
    }

    async fn ask(
        &self,
        stream: TlsStream<TcpStream>,
        request: tonic::Request<IstioCertificateRequest>,
    ) -> Result<tonic::Response<IstioCertificateResponse>, Error> {
        let limit = self.deadlines.answer;
        let asked = async {
            let channel = self.channel(stream, |endpoint| endpoint).await?;
            let mut client = IstioCertificateServiceClient::new(channel)
                .max_decoding_message_size(MAX_ANSWER_LEN);
            let answer = client.create_certificate(request).await;
            answer.map_err(|status| self.refusal(status, MAX_ANSWER_LEN))
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(self.too_late(Step::Answer, limit)),
        }
    }

    /// gRPC over a connection that exists.
    pub(crate) async fn channel(
        &self,
        stream: TlsStream<TcpStream>,
        tune: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Channel, Error> {
        let host = authority_host(&self.server_name);
        let authority = format!("{host}:{}", self.address.port());
        let channel = channel::over(stream, &authority, tune).await;
        channel.map_err(|source| self.broken(Box::new(source)))
    }

    /// A renewal must not change the name either.
    fn expected_id(&self) -> Option<&SpiffeId> {
        let renewed = self.credential.svid().map(Svid::spiffe_id);
        self.spiffe_id.as_ref().or(renewed)
    }
}

fn warn_of_skew(svid: &Svid, now: SystemTime) {
    if let Ok(ahead) = svid.not_before().duration_since(now)
        && !ahead.is_zero()
    {
        tracing::warn!(
            ahead = %humantime::format_duration(ahead),
            "the CA's clock is ahead of this machine's; the certificate is not valid here yet"
        );
    }
}

/// No chain is as long as this; a larger answer is not read.
const MAX_ANSWER_LEN: usize = 1024 * 1024;
