//! The example of the library, as it is, through a hundred renewals.

#![expect(clippy::print_stderr, reason = "tests")]

#[expect(dead_code, reason = "its main is for people")]
#[path = "../../ca-client/examples/rustls_reload.rs"]
mod example;

use std::time::Duration;

use ca_client::Agent;
use ca_client::CaClient;
use ca_client::Trust;
use ca_client::agent::FirstContact;
use ca_client::agent::Renewal;
use tests::ca::Setup;
use tests::ca::TestCa;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rustls_server_and_client_live_through_a_hundred_renewals_without_a_failed_handshake() {
    let ca = TestCa::start_with(Setup {
        flags: ["--min-ttl", "4s"].map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    let dir = tempfile::tempdir().unwrap();
    let token = ca.token("spiffe://cluster.local/ns/shop/sa/cart");
    std::fs::write(dir.path().join("token"), token).unwrap();
    let trust = Trust::roots_pem(ca.roots_pem().as_bytes()).unwrap();
    let request =
        CaClient::builder(ca.grpc.to_string().parse().unwrap()).ttl(Duration::from_secs(4));
    let agent = Agent::builder(request)
        .first_contact(FirstContact::trust(trust))
        .token_file(dir.path().join("token"))
        .renewal(Renewal::new(0.025, 0.0).unwrap());

    let told = tokio::time::timeout(Duration::from_secs(60), example::run(agent, 101)).await;

    let told = told.unwrap().unwrap();
    assert_eq!(told.serials.len(), 101);
    eprintln!("{} handshakes", told.handshakes);
}
