//! What the CA tells beside our own roots reaches readers by SDS, also after a restart without the CA.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use ca_client::agent::Hook;
use ca_client::socket::LocalSocket;
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::CertificateValidationContext;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SpiffeCertValidatorConfig;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use proto::signet::Roots;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;

use crate::scene::Running;
use crate::scene::Scene;
use crate::scene::a_while;
use crate::scene::until;
use crate::trust_ca::bundle;

/// The present `ROOTCA`, and its version; `None` while nobody answers.
async fn roots(path: &Path) -> Option<(CertificateValidationContext, String)> {
    let path: PathBuf = path.to_owned();
    let connector = tower::service_fn(move |_uri| {
        let path = path.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await.ok()?;
    let request = DiscoveryRequest {
        resource_names: vec!["ROOTCA".to_owned()],
        ..DiscoveryRequest::default()
    };
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let answer = client.fetch_secrets(request).await.ok()?.into_inner();
    let secret = Secret::decode(answer.resources[0].value.as_slice()).unwrap();
    match secret.r#type.unwrap() {
        Type::ValidationContext(context) => Some((context, answer.version_info)),
        _ => None,
    }
}

/// Those roots once they are as they should be.
async fn roots_with(
    path: &Path,
    wanted: impl Fn(&CertificateValidationContext) -> bool,
) -> (CertificateValidationContext, String) {
    let start = std::time::Instant::now();
    loop {
        if let Some(seen) = roots(path).await
            && wanted(&seen.0)
        {
            return seen;
        }
        assert!(start.elapsed().as_secs() < 10, "not in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn text(source: &Option<DataSource>) -> String {
    match source.as_ref().and_then(|source| source.specifier.as_ref()) {
        Some(Specifier::InlineBytes(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
        _ => String::new(),
    }
}

fn socket(scene: &Scene) -> LocalSocket {
    LocalSocket::new(scene.dir.path().join("sds.sock"), 0o600, None).unwrap()
}

#[tokio::test]
async fn a_revocation_list_is_pushed_and_outlives_a_restart_without_the_ca() {
    let scene = Scene::new().await;
    let socket = socket(&scene);
    let agent = Running::start(scene.builder().sds(socket.clone()));
    let (before, _) = roots_with(socket.path(), |it| !text(&it.trusted_ca).is_empty()).await;
    assert!(before.crl.is_none());
    scene
        .push_both(|message| message.crls.push(vec![0x30, 0]))
        .await;
    let (with, version) = roots_with(socket.path(), |it| it.crl.is_some()).await;
    assert_eq!(text(&with.trusted_ca).matches("BEGIN").count(), 2);
    agent.stop().await;
    scene.ca.state().is_mute = true;
    scene.ca.cut();
    let agent = Running::start(scene.builder_when_free().await.sds(socket.clone()));
    let (again, same) = roots_with(socket.path(), |_| true).await;
    assert_eq!((again, same), (with, version));
    drop(agent);
}

#[tokio::test]
async fn other_trust_domains_make_it_the_spiffe_validator() {
    let scene = Scene::new().await;
    let socket = socket(&scene);
    let _agent = Running::start(scene.builder().sds(socket.clone()));
    let foreign = Roots {
        certificates: vec![scene.b.root.der().to_vec(), b"no certificate".to_vec()],
    };
    until("a certificate", || scene.ca.state().has_acknowledged(5)).await;
    scene
        .push_both(|message| {
            message
                .domains
                .insert("partner.example".to_owned(), foreign);
            message
                .domains
                .insert("nobody.example".to_owned(), Roots::default());
        })
        .await;
    let (context, _) = roots_with(socket.path(), |it| it.custom_validator_config.is_some()).await;
    let config = context
        .custom_validator_config
        .unwrap()
        .typed_config
        .unwrap();
    let config = SpiffeCertValidatorConfig::decode(config.value.as_slice()).unwrap();
    let names: Vec<&str> = config
        .trust_domains
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["cluster.local", "partner.example"]);
    let theirs = &config.trust_domains[1].trust_bundle;
    assert_eq!(
        text(theirs).matches("BEGIN").count(),
        1,
        "what is no certificate is left out"
    );
}

#[tokio::test]
async fn a_ca_that_tells_nothing_beside_the_roots_causes_no_other_set_of_files() {
    let scene = Scene::new().await;
    let ran = scene.dir.path().join("ran");
    let command = format!("echo >> {}", ran.display());
    let hook = Hook::command(&command, Duration::from_secs(5));
    let _agent = Running::start(scene.builder().hook(hook));
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
    scene.ca.push(bundle(5, &[&scene.a]));
    a_while().await;
    assert_eq!(std::fs::read(ran).unwrap().len(), 1, "one set, one run");
}
