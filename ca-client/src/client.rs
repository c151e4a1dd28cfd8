//! How is one SVID fetched? [`CaClient`]: a fresh key, one `CreateCertificate` call, every check.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::SystemTime;

use hyper_util::rt::TokioIo;
use proto::istio::IstioCertificateRequest;
use proto::istio::IstioCertificateResponse;
use proto::istio::istio_certificate_service_client::IstioCertificateServiceClient;
use proto::spiffe::SpiffeId;
use rustls::pki_types::ServerName;
use tonic::metadata::Ascii;
use tonic::metadata::MetadataMap;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

use crate::address::CaAddress;
use crate::address::authority_host;
use crate::builder::CaClientBuilder;
use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::credential::Credential;
use crate::csr::KeyAndCsr;
use crate::error::Error;
use crate::error::Step;
use crate::instance::InstanceId;
use crate::pushback::pushback;
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
}

/// What a successful request brought.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The certificate, its key and the trust bundle.
    pub svid: Svid,
    /// What the CA's clock showed when the answer came, by its `date` header (RFC 9110 section 6.6.1);
    /// right within a second and the time that the answer took.
    pub ca_time: Option<CaTime>,
    /// What the CA calls the roots of the SVID, of a CA that counts its trust bundles. Never lower than what an agent
    /// knew before.
    pub bundle: Option<u64>,
}

/// One moment, by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaTime {
    /// By the CA's clock.
    pub there: SystemTime,
    /// By ours.
    pub here: SystemTime,
}

impl CaTime {
    /// How far the CA's clock is ahead of ours, in seconds; negative when it is behind.
    #[must_use]
    pub fn offset_seconds(&self) -> f64 {
        match self.there.duration_since(self.here) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        }
    }
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
        let now = self.clock.now();
        let authorization = self.credential.authorization()?;
        let Connection { stream, trusted } = self.connect(now).await?;
        let request = self.request(asked, authorization);
        let sent = self.clock.now();
        let answer = self.ask(TokioIo::new(stream), request).await?;
        let expected = Expected {
            spiffe_id: self.expected_id(),
            trusted: &trusted,
            known: self.known.as_deref(),
            number: told_number(answer.metadata()),
            now: self.clock.now(),
        };
        let ca_time = told_time(answer.metadata(), sent, expected.now);
        let elements = answer.into_inner().cert_chain;
        let svid =
            Svid::from_answer(&elements, asked, expected).map_err(|source| Error::Answer {
                ca: self.address.clone(),
                source: Box::new(source),
            })?;
        warn_of_skew(&svid, expected.now);
        Ok(Enrolled {
            svid,
            ca_time,
            bundle: expected.number_in_force(),
        })
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
        stream: TokioIo<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>,
        request: tonic::Request<IstioCertificateRequest>,
    ) -> Result<tonic::Response<IstioCertificateResponse>, Error> {
        let limit = self.deadlines.answer;
        let asked = async {
            let mut client =
                IstioCertificateServiceClient::new(self.channel(stream, |it| it).await?)
                    .max_decoding_message_size(MAX_ANSWER_LEN);
            let answer = client.create_certificate(request).await;
            answer.map_err(|status| self.refusal(status))
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(self.too_late(Step::Answer, limit)),
        }
    }

    /// gRPC over a connection that already exists; tonic never opens one by itself.
    pub(crate) async fn channel(
        &self,
        stream: TokioIo<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>,
        tune: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Channel, Error> {
        let host = authority_host(&self.server_name);
        let broken = |source: tonic::transport::Error| Error::Transport {
            ca: self.address.clone(),
            source: Box::new(source),
        };
        let endpoint = Endpoint::from_shared(format!("https://{host}:{}", self.address.port()))
            .map_err(broken)?;
        let ready = Arc::new(Mutex::new(Some(stream)));
        let connector = tower::service_fn(move |_uri| {
            let taken = ready.lock().ok().and_then(|mut slot| slot.take());
            std::future::ready(taken.ok_or(std::io::ErrorKind::NotConnected))
        });
        let connector = tower::ServiceExt::map_err(connector, std::io::Error::from);
        tune(endpoint)
            .connect_with_connector(connector)
            .await
            .map_err(broken)
    }

    pub(crate) fn refusal(&self, status: tonic::Status) -> Error {
        let ca = self.address.clone();
        let message = status.message().to_owned();
        match status.code() {
            _ if comes_of_timeout(&status) => self.too_late(Step::Answer, self.deadlines.answer),
            // tonic gives a broken connection a status with a source; what a server sends has none.
            _ if std::error::Error::source(&status).is_some() => Error::Transport {
                ca,
                source: Box::new(status),
            },
            tonic::Code::OutOfRange if message.contains("decoded message length too large") => {
                Error::AnswerTooLarge {
                    ca,
                    limit: MAX_ANSWER_LEN,
                }
            }
            tonic::Code::Unauthenticated => Error::Unauthenticated {
                ca,
                credential: self.credential.to_string(),
                message,
            },
            code => Error::Refused {
                ca,
                code,
                message,
                retry_after: pushback(&status),
            },
        }
    }

    /// A renewal must not change the name either.
    fn expected_id(&self) -> Option<&SpiffeId> {
        let renewed = self.credential.svid().map(Svid::spiffe_id);
        self.spiffe_id.as_ref().or(renewed)
    }

    pub(crate) fn too_late(&self, step: Step, limit: Duration) -> Error {
        Error::Deadline {
            ca: self.address.clone(),
            step,
            limit,
        }
    }
}

/// tonic watches the deadline that it sends to the server as well, and may be the first to notice.
fn comes_of_timeout(status: &tonic::Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The `date` header has whole seconds, cut off: its middle is the best guess, at the middle of the call.
fn told_time(metadata: &MetadataMap, sent: SystemTime, received: SystemTime) -> Option<CaTime> {
    let date = metadata.get("date")?.to_str().ok()?;
    let took = received.duration_since(sent).unwrap_or_default();
    Some(CaTime {
        there: httpdate::parse_http_date(date).ok()? + Duration::from_millis(500),
        here: sent + took / 2,
    })
}

/// The number of the roots in an answer (`trust.proto`). What is no number is none.
fn told_number(metadata: &MetadataMap) -> Option<u64> {
    metadata.get("signet-bundle")?.to_str().ok()?.parse().ok()
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
