//! Who is taken for the CA? Nothing is sent to anybody else.

use ca_client::CaAddress;
use ca_client::Credential;
use ca_client::Error;
use ca_client::ServerError;
use ca_client::Step;
use ca_client::Trust;
use proto::certificate::Fingerprint;

use crate::client_of;
use crate::fake_ca;
use crate::fake_ca::FakeCa;
use crate::fake_ca::SHORT;
use crate::pki::Pki;

async fn refused(ca: &FakeCa, trust: Trust) -> ServerError {
    let client = client_of(ca).trust(trust).build().unwrap();
    let error = client.fetch().await.unwrap_err();
    assert!(ca.asked().is_empty(), "something was sent");
    assert!(!error.is_retryable());
    match error {
        Error::Server { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_below_another_root_is_refused_and_both_are_named() {
    let ca = FakeCa::honest().await;
    let stranger = Pki::new("stranger");
    let trust = Trust::roots_pem(stranger.roots_pem().as_bytes()).unwrap();
    let error = refused(&ca, trust).await;
    assert!(
        matches!(error, ServerError::UnknownIssuer { .. }),
        "{error:?}"
    );
    for root in [&ca.pki.root, &stranger.root] {
        let fingerprint = Fingerprint::of(root.der()).to_string();
        assert!(error.to_string().contains(&fingerprint), "{error}");
    }
}

#[tokio::test]
async fn a_fingerprint_that_nobody_presents_is_refused() {
    let ca = FakeCa::honest().await;
    let error = refused(&ca, Trust::fingerprint(Fingerprint::of(b"another"))).await;
    assert!(
        matches!(error, ServerError::FingerprintAbsent { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_impostor_that_shows_the_pinned_root_is_refused() {
    let pinned = Pki::new("pinned");
    let ca = FakeCa::presenting(pinned.root.der()).await;
    let error = refused(&ca, Trust::fingerprint(Fingerprint::of(pinned.root.der()))).await;
    assert!(
        matches!(error, ServerError::UnknownIssuer { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_fingerprint_of_the_servers_own_certificate_pins_nothing() {
    let ca = FakeCa::honest().await;
    let trust = Trust::fingerprint(ca.server_fingerprint);
    let error = refused(&ca, trust).await;
    assert!(
        matches!(error, ServerError::FingerprintOfLeaf { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_right_fingerprint_does_not_excuse_a_wrong_name() {
    let ca = FakeCa::named(&["ca.example"]).await;
    let root = Fingerprint::of(ca.pki.root.der());
    let error = refused(&ca, Trust::fingerprint(root)).await;
    assert!(
        matches!(error, ServerError::NotThisName { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("ca.example"), "{error}");
}

#[tokio::test]
async fn a_server_name_replaces_the_host_of_the_address() {
    let ca = FakeCa::named(&["ca.example"]).await;
    let client = client_of(&ca).server_name("ca.example").build().unwrap();
    assert!(client.fetch().await.is_ok());
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_runs_into_the_deadline() {
    let honest = FakeCa::honest().await;
    let (address, holding) = fake_ca::mute_listener().await;
    let client = ca_client::CaClient::builder(address)
        .trust(Trust::roots_pem(honest.pki.roots_pem().as_bytes()).unwrap())
        .credential(Credential::token("a-token"))
        .connect_deadline(SHORT);
    let client = client.build().unwrap();
    let error = tokio::time::timeout(SHORT * 20, client.fetch()).await;
    let error = error.expect("a deadline").unwrap_err();
    holding.abort();
    assert!(
        matches!(
            error,
            Error::Deadline {
                step: Step::Connect,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn nobody_at_the_address_is_worth_another_attempt() {
    let ca = FakeCa::honest().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: CaAddress = closed.local_addr().unwrap().to_string().parse().unwrap();
    drop(closed);
    let client = ca_client::CaClient::builder(address)
        .trust(Trust::roots_pem(ca.pki.roots_pem().as_bytes()).unwrap())
        .credential(Credential::token("a-token"));
    let error = client.build().unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(error.is_retryable());
}
