//! What does a user need to know at start? A few lines: addresses, trust domain, where the CA came from, what to do next.

use std::net::SocketAddr;

use proto::certificate::Certificate;
use proto::spiffe::SpiffeId;
use tracing::info;

use super::operator::SOCKET;
use super::report;
use crate::authority::Generation;
use crate::config::Config;

/// Says where the server listens, who it is and what to type next.
pub(super) fn listening(
    config: &Config,
    generation: &Generation,
    grpc: SocketAddr,
    http: SocketAddr,
) {
    let (source, dir) = report::named(generation.source());
    let (root, issuer) = (generation.root(), generation.issuer());
    let admin = config.data_dir.join(SOCKET);
    info!(%grpc, %http, admin = %admin.display(), "listening");
    info!(trust_domain = %config.trust_domain, source, dir = %dir.display(), "certificate authority");
    info!(sha256 = %root.fingerprint(), not_after = end(root), subject = root.facts().subject, "root");
    info!(
        not_after = end(issuer),
        subject = issuer.facts().subject,
        "issuer"
    );
    let id = format!("spiffe://{}/ns/NAMESPACE/sa/NAME", config.trust_domain);
    let data_dir = config.data_dir.display();
    info!("next: ca-server token create --data-dir {data_dir} --spiffe-id {id} > token");
    let (reach, root) = (reachable(grpc), root.fingerprint());
    info!(
        "then: ca-client fetch --ca-addr {reach} --ca-fingerprint {root} --token-file token --out DIR"
    );
}

/// Says where other trust domains fetch the bundle, and what to configure there.
pub(super) fn bundle_port(addr: SocketAddr, server_id: &SpiffeId) {
    info!(bundle = %addr, spiffe_id = %server_id, profile = "https_spiffe", "SPIFFE bundle endpoint");
}

/// Names the roots that stay in the trust bundle beside those of the signer.
pub(super) fn retained_roots(generation: &Generation) {
    let own = generation.own_roots();
    for root in generation.roots().iter().filter(|root| !own.contains(root)) {
        info!(
            active = %generation.root().fingerprint(),
            retained = %root.fingerprint(),
            "new leaves chain to the active root; the other one is in the trust bundle too: `ca-server rotate status` says why",
        );
    }
}

/// An address that a client on this machine can use.
fn reachable(grpc: SocketAddr) -> String {
    match grpc.ip().is_unspecified() {
        true => format!("localhost:{}", grpc.port()),
        false => grpc.to_string(),
    }
}

fn end(certificate: &Certificate) -> String {
    humantime::format_rfc3339_seconds(certificate.facts().not_after).to_string()
}
