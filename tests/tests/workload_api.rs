//! Workloads get certificate, key and roots by the SPIFFE Workload API, as clients of another make ask for them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use proto::workload_api::JwtBundlesRequest;
use proto::workload_api::JwtsvidRequest;
use proto::workload_api::ValidateJwtsvidRequest;
use proto::workload_api::X509BundlesRequest;
use proto::workload_api::X509svidRequest;
use rustls::pki_types::ServerName;
use serde_json::Value;
use serde_json::json;
use spiffe::SpiffeId;
use spiffe::TrustDomain;
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
use tests::workload_api::dial;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

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

async fn client(path: &Path) -> WorkloadApiClient {
    let endpoint = format!("unix://{}", path.display());
    WorkloadApiClient::connect_to(endpoint).await.unwrap()
}

async fn source(path: &Path) -> X509Source {
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
        let bundle = context.bundle_set().get(svid.spiffe_id().trust_domain());
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
    }
}

#[tokio::test]
async fn who_comes_before_the_certificate_is_told_to_try_again_and_then_served() {
    let mut scene = Scene::new();
    scene.ca_goes();
    let agent = scene.agent(&[
        "--workload-api-socket=uds/api.sock",
        "--workload-api-mode=600",
    ]);
    let path = scene.dir.path().join("uds/api.sock");
    until("the socket", LIMIT, async || path.exists().then_some(())).await;
    let mut early = connect(&path).await.unwrap();
    let refused = early
        .fetch_x509svid(call(X509svidRequest {}, &["true"]))
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(
        refused.message().contains("no certificate yet"),
        "{refused}"
    );
    assert_eq!(health(&path).await, ServingStatus::NotServing);
    scene.ca_returns();
    let source = source(&path).await;
    assert_eq!(source.svid().unwrap().spiffe_id().to_string(), CART);
    assert_eq!(health(&path).await, ServingStatus::Serving);
    agent.signal("TERM");
    until("the socket's end", LIMIT, async || {
        (!path.exists()).then_some(())
    })
    .await;
}

async fn health(path: &Path) -> ServingStatus {
    let mut health = HealthClient::new(dial(path).await.unwrap());
    let request = HealthCheckRequest {
        service: "SpiffeWorkloadAPI".to_owned(),
    };
    health.check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn an_agent_that_the_ca_refuses_has_no_identity_to_give() {
    let scene = Scene::new();
    scene.put_token(-600);
    let agent = scene.agent(&["--workload-api-socket=api.sock"]);
    agent
        .wait_until(LIMIT, |status| status["failures_in_a_row"] != 0)
        .await;
    let path = scene.dir.path().join("api.sock");
    let client = client(&path).await;
    let refused = client.fetch_x509_svid().await.unwrap_err();
    assert!(
        matches!(refused, WorkloadApiError::NoIdentityIssued),
        "{refused}: {}",
        agent.status()
    );
}

#[tokio::test]
async fn without_its_header_a_call_is_invalid_and_jwts_are_not_there() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene, &[]).await;
    let mut client = connect(&path).await.unwrap();
    for headers in [
        &[][..],
        &["True"],
        &["false"],
        &["true", "true"],
        &["true,true"],
    ] {
        let svid = client
            .fetch_x509svid(call(X509svidRequest {}, headers))
            .await;
        let bundles = client
            .fetch_x509_bundles(call(X509BundlesRequest {}, headers))
            .await;
        let jwt = client
            .fetch_jwtsvid(call(JwtsvidRequest::default(), headers))
            .await;
        let codes = [svid.unwrap_err(), bundles.unwrap_err(), jwt.unwrap_err()];
        for status in codes {
            assert_eq!(status.code(), Code::InvalidArgument, "{headers:?}");
            assert!(status.message().contains("workload.spiffe.io"), "{status}");
        }
    }
    let good = &["true"];
    let validate = ValidateJwtsvidRequest::default();
    let missing = [
        client
            .fetch_jwtsvid(call(JwtsvidRequest::default(), good))
            .await
            .unwrap_err(),
        client
            .fetch_jwt_bundles(call(JwtBundlesRequest {}, good))
            .await
            .unwrap_err(),
        client
            .validate_jwtsvid(call(validate, good))
            .await
            .unwrap_err(),
    ];
    for status in missing {
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains("FetchX509SVID"), "{status}");
    }
}

#[tokio::test]
async fn a_peer_that_the_rule_does_not_name_is_refused_logged_and_counted() {
    let scene = Scene::new();
    let (agent, path) = serving(&scene, &["--workload-api-allow=uid=4242,gid=4243"]).await;
    let refused = client(&path).await.fetch_x509_svid().await.unwrap_err();
    assert!(
        matches!(refused, WorkloadApiError::NoIdentityIssued),
        "{refused}"
    );
    let mut raw = connect(&path).await.unwrap();
    let refused = raw
        .fetch_x509_bundles(call(X509BundlesRequest {}, &["true"]))
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let pid = std::process::id();
    assert!(
        refused.message().contains(&format!("pid {pid}")),
        "{refused}"
    );
    assert_eq!(
        health(&path).await,
        ServingStatus::Serving,
        "that is for all"
    );
    let pid = format!("\"pid\":{pid}");
    until("the line on the peer", LIMIT, async || {
        let log = agent.log();
        let mut lines = log
            .lines()
            .filter(|line| line.contains("--workload-api-allow"));
        lines.any(|line| line.contains(&pid)).then_some(())
    })
    .await;
    assert_eq!(agent.status()["workload_api"]["refused"], 3);
    let metrics = agent.get("/metrics").1;
    assert!(
        metrics.contains("signet_agent_workload_api_refused_total 3"),
        "{metrics}"
    );
}

#[tokio::test]
async fn new_roots_reach_bundles_and_svids_together_and_the_same_is_not_told_twice() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene, &[]).await;
    let client = client(&path).await;
    let mut bundles = client.stream_x509_bundles().await.unwrap();
    let mut contexts = client.stream_x509_contexts().await.unwrap();
    let domain = "cluster.local".parse::<TrustDomain>().unwrap();
    let mut told = Vec::new();
    let ca = scene.ca.as_ref().unwrap();
    let first = bundles.next().await.unwrap().unwrap();
    told.push(first.get(&domain).unwrap().authorities().to_vec());
    let _started = ca.operator(&["rotate", "start", "--auto"]);
    while told.len() < 3 {
        tokio::select! {
            set = bundles.next() => {
                let set = set.unwrap().unwrap();
                told.push(set.get(&domain).unwrap().authorities().to_vec());
            }
            context = contexts.next() => {
                let context = context.unwrap().unwrap();
                assert!(context.bundle_set().get(&domain).is_some());
            }
            () = tokio::time::sleep(LIMIT) => panic!("{} bundles", told.len()),
        }
    }
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(told[1].len() > 1, "both roots");
    assert_ne!(told[0], told[2]);
}

/// A call as gRPC's C core makes it: the path of the socket as authority, in a table, and percent-encoded.
#[tokio::test]
async fn an_authority_that_is_none_is_no_reason_to_reset_a_call() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene, &[]).await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let literal = |name: &str, value: &str| {
        let mut field = vec![0x40, u8::try_from(name.len()).unwrap()];
        field.extend(name.as_bytes());
        field.push(u8::try_from(value.len()).unwrap());
        field.extend(value.as_bytes());
        field
    };
    let block = [
        literal(":path", "/grpc.health.v1.Health/Check"),
        literal(":authority", "%2Frun%2Fapi.sock"),
        literal(":method", "POST"),
        literal(":scheme", "http"),
        literal("content-type", "application/grpc"),
        literal("te", "trailers"),
    ]
    .concat();
    let length = u8::try_from(block.len()).unwrap();
    let said = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        &[0, 0, length, 1, 4, 0, 0, 0, 1][..],
        &block,
        &[0, 0, 5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0],
        // The same again, out of the table: 62 is what came last.
        &[
            0, 0, 6, 1, 4, 0, 0, 0, 3, 0xc3, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe,
        ],
        &[0, 0, 5, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0],
    ]
    .concat();
    for octet in said.chunks(1) {
        stream.write_all(octet).await.unwrap();
    }
    let mut answered = Vec::new();
    while answered.len() < 2 {
        let mut head = [0; 9];
        let read = tokio::time::timeout(LIMIT, stream.read_exact(&mut head)).await;
        read.unwrap().unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        assert_ne!(head[3], 3, "RST_STREAM");
        assert_ne!(head[3], 7, "GOAWAY");
        if head[3] == 0 {
            assert_eq!(payload, [0, 0, 0, 0, 2, 8, 1], "serving");
            answered.push(head[8]);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3]);
}

/// The other peers of the socket, at their worst, for as long as this is polled.
async fn abuse(path: &Path, open: &AtomicUsize) {
    let mut streams = Vec::new();
    let mut greedy = connect(path).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(UnixStream::connect(path).await.unwrap());
    }
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    loop {
        pace.tick().await;
        // Streams that nobody reads, until no more are given.
        for _ in 0..20 {
            if streams.len() < 990
                && let Ok(stream) = greedy
                    .fetch_x509svid(call(X509svidRequest {}, &["true"]))
                    .await
            {
                streams.push(stream.into_inner());
            }
        }
        open.store(streams.len(), Ordering::Relaxed);
        drop(connect(path).await);
        let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let storm = [
            preface,
            &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82],
            &[0, 0, 0, 9, 0, 0, 0, 0, 1].repeat(100),
        ];
        for said in [
            &b"PRI * HTT"[..],
            &[preface, &[0, 0, 0xff, 4][..]].concat(),
            &storm.concat(),
        ] {
            let mut stream = UnixStream::connect(path).await.unwrap();
            // Who is turned away at once has said enough.
            drop(stream.write_all(said).await);
        }
    }
}

#[tokio::test]
async fn nobody_is_served_late_because_of_others_and_memory_stays_small() {
    let scene = Scene::new();
    let (agent, path) = serving(&scene, &[]).await;
    let client = client(&path).await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    let open = AtomicUsize::new(0);
    let renewals = async {
        let (mut late, mut seen) = (Duration::ZERO, 0);
        while seen < 6 || open.load(Ordering::Relaxed) < 900 {
            let svid = tokio::time::timeout(LIMIT, svids.next()).await.unwrap();
            let svid = svid.unwrap().unwrap();
            let serial = serial(svid.leaf().as_bytes());
            if let Some(at) = log_time(&agent, &serial) {
                late = late.max(at.elapsed().unwrap());
                seen += 1;
            }
        }
        late
    };
    let late = tokio::select! {
        late = renewals => late,
        () = abuse(&path, &open) => unreachable!(),
    };
    assert!(late < Duration::from_secs(1), "{late:?}");
    let memory = agent.peak_memory();
    assert!(memory < 96 << 20, "{memory}");
    println!(
        "at most {late:?} late, {} streams, {} KiB",
        open.into_inner(),
        memory >> 10
    );
}

/// As the agent writes it.
fn serial(der: &[u8]) -> String {
    let (_, leaf) = x509_parser::parse_x509_certificate(der).unwrap();
    format!("{:032x}", leaf.tbs_certificate.serial)
}

/// When the agent said that it got this certificate, if it is in the log.
fn log_time(agent: &Workload, serial: &str) -> Option<SystemTime> {
    let log = agent.log();
    let mut events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let got = |event: &Value| {
        event["fields"]["serial"] == serial && event["fields"]["message"] == "got a certificate"
    };
    let event = events.find(got)?;
    let time = event["timestamp"].as_str()?;
    Some(OffsetDateTime::parse(time, &Rfc3339).unwrap().into())
}
