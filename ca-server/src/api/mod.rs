//! What crosses the wire? gRPC services, headers, TLS, the HTTP port. Decides nothing about identity or dates.

pub mod admin;
pub mod bundle;
pub mod certificates;
pub mod connection;
mod deadline;
mod denials;
pub mod http;
pub mod http_port;
pub mod listener;
mod messages;
mod preface;
pub mod rotation;
mod search;
pub mod status;
pub mod tls;
mod tokens;
pub mod trust;
mod verdicts;
pub mod verification;

use proto::istio::istio_certificate_service_server::IstioCertificateServiceServer;
use proto::signet::admin_service_server::AdminServiceServer;
use proto::signet::trust_service_server::TrustServiceServer;
use proto::signet::verification_service_server::VerificationServiceServer;
use tonic::service::Routes;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::health_server::HealthServer;

use self::admin::Admin;
use self::certificates::Certificates;
use self::trust::Trust;
use self::verification::Verification;

/// What agents may call: the CSR API, verification, the trust bundle, health and reflection.
///
/// # Errors
/// When the service descriptors do not decode; cannot happen with those built in.
pub fn agent_routes<H: Health>(
    certificates: Certificates,
    verification: Verification,
    trust: Trust,
    health: HealthServer<H>,
) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("istio.v1.auth.IstioCertificateService")
            .with_service_name("signet.v1.TrustService")
            .with_service_name("signet.v1.VerificationService")
            .with_service_name("grpc.health.v1.Health")
    };
    // Clients in the field still ask in the older version.
    let (reflection, older) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    let certificates = IstioCertificateServiceServer::new(certificates)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let verification = VerificationServiceServer::new(verification)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_ANSWER);
    let trust = TrustServiceServer::new(trust).max_decoding_message_size(MAX_SAID);
    Ok(Routes::new(certificates)
        .add_service(verification)
        .add_service(trust)
        .add_service(health)
        .add_service(reflection)
        .add_service(older)
        .prepare())
}

/// What operators may call on their socket.
#[must_use]
pub fn admin_routes(admin: Admin) -> Routes {
    Routes::new(AdminServiceServer::new(admin)).prepare()
}

/// Verdicts quote names, which may make them longer than the question.
const MAX_ANSWER: usize = 4 * MAX_MESSAGE;
/// An instance id, a number and a serial.
const MAX_SAID: usize = 4 * 1024;
/// A CSR has a few KiB; this leaves room and keeps a stranger from filling our memory.
const MAX_MESSAGE: usize = 256 * 1024;
