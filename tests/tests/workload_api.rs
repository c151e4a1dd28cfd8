//! Workloads get certificate, key and roots by the SPIFFE Workload API, as clients of another make ask for them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proto::workload_api::JwtBundlesRequest;
use proto::workload_api::JwtsvidRequest;
use proto::workload_api::ValidateJwtsvidRequest;
use proto::workload_api::X509BundlesRequest;
use proto::workload_api::X509svidRequest;
use rustls::pki_types::ServerName;
use serde_json::json;
use spiffe::SpiffeId;
use spiffe::WorkloadApiClient;
use spiffe::WorkloadApiError;
use spiffe::X509Source;
use spiffe_rustls::authorizer;
use spiffe_rustls::mtls_client;
use spiffe_rustls::mtls_server;
use tests::CART;
use tests::jwt::claims;
use tests::poll::until;
use tests::scene::Scene;
use tests::workload::Workload;
use tests::workload_api::call;
use tests::workload_api::connect;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt as _;
use tonic::Code;

const LIMIT: Duration = Duration::from_secs(60);

/// An agent whose socket answers.
async fn serving(scene: &Scene, more: &[&str]) -> (Workload, PathBuf) {
    let mut args = vec!["--workload-api-socket=api.sock", "--settle=100ms"];
    args.extend(more);
    let agent = scene.agent(&args);
    agent
        .wait_until(LIMIT, |status| status["ready"] == true)
        .await;
    (agent, scene.dir.path().join("api.sock"))
}

async fn client(path: &std::path::Path) -> WorkloadApiClient {
    let endpoint = format!("unix://{}", path.display());
    WorkloadApiClient::connect_to(endpoint).await.unwrap()
}

async fn source(path: &std::path::Path) -> X509Source {
    let endpoint = format!("unix://{}", path.display());
    let source = X509Source::builder().endpoint(endpoint).build().await;
    source.unwrap()
}

#[tokio::test]
async fn the_spiffe_crate_gets_the_certificate_and_sees_each_renewal() {
    let scene = Scene::new();
    let (agent, path) = serving(&scene, &[]).await;
    let client = client(&path).await;
    let mut contexts = client.stream_x509_contexts().await.unwrap();
    let mut serials = Vec::new();
    for _ in 0..3 {
        let next = tokio::time::timeout(LIMIT, contexts.next()).await.unwrap();
        let context = next.unwrap().unwrap();
        let svid = context.default_svid().unwrap();
        assert_eq!(svid.spiffe_id().to_string(), CART);
        assert_eq!(svid.cert_chain().len(), 2, "leaf and issuer, not the root");
        let bundle = context
            .bundle_set()
            .bundle_for(svid.spiffe_id().trust_domain());
        assert_eq!(bundle.unwrap().authorities().len(), 1);
        serials.push(svid.leaf().as_bytes().to_vec());
    }
    serials.dedup();
    assert_eq!(serials.len(), 3);
    let status = agent.status();
    assert_eq!(status["workload_api"]["listening"], true, "{status}");
    assert!(status["workload_api"]["pushes"].as_u64() >= Some(3));
}

#[tokio::test]
async fn two_workloads_prove_themselves_to_each_other_through_renewals() {
    let scene = Scene::new();
    let (_cart, cart) = serving(&scene, &[]).await;
    let claims = claims(json!({ "sub": "system:serviceaccount:shop:desk" }));
    scene.put("desk-token", &scene.issuer.sign(&claims));
    let desk_args = ["--token-file=desk-token", "--out=desk", "--ttl=4s"];
    let _desk = scene.agent(&[&desk_args[..], &["--workload-api-socket=desk.sock"]].concat());
    let desk = scene.dir.path().join("desk.sock");
    until("the desk's socket", LIMIT, async || {
        desk.exists().then_some(())
    })
    .await;
    let (cart, desk) = (source(&cart).await, source(&desk).await);
    let named = |name: &str| authorizer::exact([name.parse::<SpiffeId>().unwrap()]).unwrap();
    let desk_id = "spiffe://cluster.local/ns/shop/sa/desk";
    let updates = cart.updated();
    let server = mtls_server(cart).authorize(named(desk_id)).build().unwrap();
    let client = mtls_client(desk).authorize(named(CART)).build().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let connector = TlsConnector::from(Arc::new(client));
    let first = updates.last();
    while updates.last() < first + 3 {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let greeting = async {
            let mut stream = acceptor.accept(far).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let name = ServerName::try_from("cart").unwrap();
        let greeted = async {
            let mut stream = connector.connect(name, near).await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            said
        };
        let (said, ()) = tokio::join!(greeted, greeting);
        assert_eq!(said, "hello");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
