//! Two services that speak mTLS from the files that agents keep for them, judged by rustls and webpki alone.
//!
//! Each connection reads both sets anew, as a service does that loads its files for each connection. The bytes go from
//! one side to the other in memory, so that nothing but certificates can fail.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::verify_tls12_signature;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::TrustAnchor;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use webpki::ALL_VERIFICATION_ALGS;
use webpki::EndEntityCert;
use webpki::KeyUsage;
use webpki::anchor_from_trusted_cert;

/// What a service read from its directory at one moment.
#[derive(Debug)]
pub struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Vec<TrustAnchor<'static>>,
    /// Whose roots they are, for people.
    pub root_count: usize,
}

impl Material {
    /// Opens `..data` once and reads a whole set from there.
    ///
    /// # Errors
    /// What is missing or does not parse.
    pub fn read(out: &Path) -> Result<Self, String> {
        let generation = std::fs::read_link(out.join("..data")).map_err(|it| it.to_string())?;
        let read = |name: &str| {
            let pem =
                std::fs::read(out.join(&generation).join(name)).map_err(|it| it.to_string())?;
            pem::parse_many(pem).map_err(|it| it.to_string())
        };
        let ders = |name: &str| -> Result<Vec<CertificateDer<'static>>, String> {
            let blocks = read(name)?.into_iter();
            Ok(blocks.map(|block| block.into_contents().into()).collect())
        };
        let key = read("key.pem")?.pop().ok_or("no key")?.into_contents();
        let roots = ders("root-cert.pem")?;
        let anchors = roots.iter().map(|root| {
            anchor_from_trusted_cert(root)
                .map(|anchor| anchor.to_owned())
                .map_err(|it| it.to_string())
        });
        Ok(Self {
            chain: ders("cert-chain.pem")?,
            key: PrivateKeyDer::try_from(key).map_err(str::to_owned)?,
            roots: anchors.collect::<Result<_, _>>()?,
            root_count: roots.len(),
        })
    }
}

/// One connection: `client` and `server` each prove who they are to the other.
///
/// # Errors
/// Why it did not come about.
pub fn handshake(client: &Material, server: &Material) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client_side = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Judge::of(client, &provider))
                .with_client_auth_cert(client.chain.clone(), client.key.clone_key())
        })
        .map_err(|it| format!("client settings: {it}"))?;
    let server_side = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_client_cert_verifier(Judge::of(server, &provider))
                .with_single_cert(server.chain.clone(), server.key.clone_key())
        })
        .map_err(|it| format!("server settings: {it}"))?;
    let name = ServerName::try_from("peer").map_err(|it| it.to_string())?;
    let mut client_end =
        ClientConnection::new(Arc::new(client_side), name).map_err(|it| it.to_string())?;
    let mut server_end =
        ServerConnection::new(Arc::new(server_side)).map_err(|it| it.to_string())?;
    for _ in 0..10 {
        carry(&mut client_end, &mut server_end).map_err(|it| format!("server: {it}"))?;
        carry_back(&mut server_end, &mut client_end).map_err(|it| format!("client: {it}"))?;
        if !client_end.is_handshaking() && !server_end.is_handshaking() {
            return Ok(());
        }
    }
    Err("the handshake does not end".to_owned())
}

fn carry(from: &mut ClientConnection, to: &mut ServerConnection) -> Result<(), String> {
    let mut bytes = Vec::new();
    from.write_tls(&mut bytes).map_err(|it| it.to_string())?;
    if !bytes.is_empty() {
        to.read_tls(&mut bytes.as_slice())
            .map_err(|it| it.to_string())?;
    }
    to.process_new_packets()
        .map(drop)
        .map_err(|it| it.to_string())
}

fn carry_back(from: &mut ServerConnection, to: &mut ClientConnection) -> Result<(), String> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).map_err(|it| it.to_string())?;
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).map_err(|it| it.to_string())?;
    }
    to.process_new_packets()
        .map(drop)
        .map_err(|it| it.to_string())
}

/// webpki with one side's roots.
#[derive(Debug)]
struct Judge {
    roots: Vec<TrustAnchor<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Judge {
    fn of(material: &Material, provider: &Arc<CryptoProvider>) -> Arc<Self> {
        Arc::new(Self {
            roots: material.roots.clone(),
            provider: Arc::clone(provider),
        })
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), rustls::Error> {
        let refused = |error: webpki::Error| rustls::Error::General(format!("{error:?}"));
        EndEntityCert::try_from(leaf)
            .map_err(refused)?
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &self.roots,
                chain,
                now,
                usage,
                None,
                None,
            )
            .map(drop)
            .map_err(refused)
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(leaf, chain, now, KeyUsage::server_auth())
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(leaf, chain, now, KeyUsage::client_auth())
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

/// Everybody speaks to everybody, with new connections all the time, until stopped.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

/// What came of the connections.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many came about.
    pub made: usize,
    /// Why others did not.
    pub failed: Vec<String>,
}

impl Traffic {
    /// Starts with the output directories of agents that are ready.
    #[must_use]
    pub fn between(dirs: &[PathBuf]) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (until, told, dirs) = (Arc::clone(&stop), Arc::clone(&seen), dirs.to_vec());
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                connect_all(&dirs, &told);
                thread::park_timeout(PACE);
            }
        });
        Self {
            stop,
            seen,
            thread: Some(thread),
        }
    }

    /// What was seen so far.
    ///
    /// # Panics
    /// When the traffic did.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Ends it, and says what was seen.
    ///
    /// # Panics
    /// When the traffic did.
    #[must_use]
    pub fn stop(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.seen()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn connect_all(dirs: &[PathBuf], seen: &Mutex<Seen>) {
    for (from, client) in dirs.iter().enumerate() {
        for (to, server) in dirs.iter().enumerate().filter(|(to, _)| *to != from) {
            let made = Material::read(client)
                .and_then(|client| Ok((client, Material::read(server)?)))
                .and_then(|(client, server)| handshake(&client, &server));
            let mut seen = seen.lock().unwrap();
            match made {
                Ok(()) => seen.made += 1,
                Err(why) => seen.failed.push(format!("{from} to {to}: {why}")),
            }
        }
    }
}

/// Between two rounds.
const PACE: Duration = Duration::from_millis(10);
