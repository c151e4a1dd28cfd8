//! Operators' bundles: plugged in, checked, expired, removed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::time::Duration;

use proto::certificate::Certificate;
use proto::chain;
use proto::chain::Profile;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::binaries::binaries;
use tests::binaries::workspace;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::openssl::shell;
use tests::poll::wait_for;
use tonic::Code;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

fn testdata(path: &str) -> PathBuf {
    workspace().join("testdata").join(path)
}

/// A copy of a bundle that a test may spoil.
fn copy(bundle: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(testdata(bundle)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    let key = dir.path().join("ca-key.pem");
    fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    dir
}

fn on_bundle(dir: &Path) -> Setup {
    Setup {
        root_ca_dir: Some(dir.to_owned()),
        ..Setup::default()
    }
}

async fn issue(ca: &TestCa, csr: &str) -> Vec<String> {
    let token = ca.token(CART);
    Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None)
        .await
        .create(csr, 0)
        .await
        .unwrap()
}

#[tokio::test]
async fn chains_of_every_kind_of_ca_and_csr_verify_with_openssl_and_webpki() {
    for kind in ["rsa2048", "rsa4096", "p256", "p384"] {
        let bundle = copy(&format!("bundles/{kind}"));
        let ca = TestCa::start_with(on_bundle(bundle.path()));
        for csr in fs::read_dir(testdata("csr/good")).unwrap() {
            let csr = csr.unwrap().path();
            let chain = issue(&ca, &fs::read_to_string(&csr).unwrap()).await;
            let what = format!("{kind} {}", csr.display());
            assert_eq!(chain.len(), 3, "{what}");
            openssl_agrees(&chain, &what);
            webpki_agrees(&chain, &what);
        }
    }
}

fn openssl_agrees(chain: &[String], what: &str) {
    let dir = tempfile::tempdir().unwrap();
    for (name, pem) in [("leaf", &chain[0]), ("ca", &chain[1]), ("root", &chain[2])] {
        fs::write(dir.path().join(name), pem).unwrap();
    }
    for purpose in ["sslserver", "sslclient"] {
        let verify = "openssl verify -x509_strict -CAfile root -untrusted ca";
        let said = shell(dir.path(), &format!("{verify} -purpose {purpose} leaf"));
        assert_eq!(said, "leaf: OK\n", "{what}");
    }
}

fn webpki_agrees(chain: &[String], what: &str) {
    let read = |pem: &String| Certificate::all_from_pem(pem.as_bytes()).unwrap();
    let (path, roots) = ([read(&chain[0]), read(&chain[1])].concat(), read(&chain[2]));
    let trust_domain = "cluster.local".parse().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the server under test runs by the real clock"
    )]
    let now = std::time::SystemTime::now();
    let verified = chain::verify(&path, &roots, Some(&trust_domain), Profile::X509Svid, now);
    assert_eq!(
        verified.expect(what).spiffe_id.unwrap().as_str(),
        CART,
        "{what}"
    );
}

#[tokio::test]
async fn every_bad_csr_of_the_test_data_is_refused() {
    let ca = TestCa::start();
    let token = ca.token(CART);
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None).await;
    for csr in fs::read_dir(testdata("csr/bad")).unwrap() {
        let csr = csr.unwrap().path();
        let status = agent.create(&fs::read_to_string(&csr).unwrap(), 0).await;
        assert_eq!(
            status.expect_err(&csr.display().to_string()).code(),
            Code::InvalidArgument
        );
    }
}

#[test]
fn the_documented_procedure_works_on_a_bundle_of_the_sample_shape() {
    let bundle = copy("bundles/sample-shape");
    let ca = TestCa::start_with(on_bundle(bundle.path()));
    let out = fetch(&ca);
    let certs = out.path().join("certs").display().to_string();
    let text = |file: &str| {
        shell(
            bundle.path(),
            &format!("openssl x509 -noout -text -in {file}"),
        )
    };
    assert_eq!(
        text(&format!("{certs}/root-cert.pem")),
        text("root-cert.pem")
    );
    let second = "awk '/BEGIN/{n++} n==2' ";
    let ca_text = shell(
        bundle.path(),
        &format!("{second} {certs}/cert-chain.pem | openssl x509 -noout -text"),
    );
    assert_eq!(ca_text, text("ca-cert.pem"));
    let verify =
        format!("openssl verify -CAfile <(cat ca-cert.pem root-cert.pem) {certs}/cert-chain.pem");
    assert!(shell(bundle.path(), &verify).ends_with("cert-chain.pem: OK\n"));
}

/// A directory with `certs/` in it, fetched by the real client.
fn fetch(ca: &TestCa) -> tempfile::TempDir {
    fetch_for(ca, "1h")
}

fn fetch_for(ca: &TestCa, ttl: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("token"), ca.token(CART)).unwrap();
    fs::write(dir.path().join("roots.pem"), ca.roots_pem()).unwrap();
    let output = Command::new(&binaries().ca_client)
        .args([
            "fetch",
            "--ca-addr",
            &ca.grpc.to_string(),
            "--ca-roots",
            "roots.pem",
        ])
        .args(["--token-file", "token", "--out", "certs", "--ttl", ttl])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    dir
}

#[test]
fn a_directory_that_is_gone_is_no_removal_and_the_ca_goes_on_from_its_copy() {
    let (work, bundle) = (tempfile::tempdir().unwrap(), copy("bundles/p256"));
    let setup = || Setup {
        data_dir: Some(work.path().join("data")),
        ..on_bundle(bundle.path())
    };
    let mut first = TestCa::start_with(setup());
    let root = first.roots_pem();
    drop(fetch(&first));
    first.stop();
    fs::remove_dir_all(bundle.path()).unwrap();
    let second = TestCa::start_with(setup());
    assert_eq!(second.roots_pem(), root);
    let leaf = fetch(&second);
    fs::write(leaf.path().join("root.pem"), root).unwrap();
    let verify =
        "openssl verify -CAfile root.pem -untrusted certs/cert-chain.pem certs/cert-chain.pem";
    assert!(shell(leaf.path(), verify).ends_with("OK\n"));
}

#[test]
fn a_bundle_whose_files_are_removed_gives_way_once_everybody_knows_the_new_root() {
    let bundle = copy("bundles/p256");
    let quick = [
        "--unrecorded-ttl=1s",
        "--reload-interval=200ms",
        "--min-ttl=1s",
        "--max-ttl=20s",
        "--default-ttl=3s",
    ];
    let ca = TestCa::start_with(Setup {
        flags: quick.map(str::to_owned).to_vec(),
        ..on_bundle(bundle.path())
    });
    let operators_root = ca.roots_pem();
    let before = fetch_for(&ca, "3s");
    for name in [
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
        "root-cert.pem",
    ] {
        fs::remove_file(bundle.path().join(name)).unwrap();
    }
    let limit = Duration::from_secs(20);
    let both = wait_for(limit, || {
        let roots = ca.roots_pem();
        (roots != operators_root).then_some(roots)
    });
    assert!(both.starts_with(&operators_root), "the old one signs first");
    let own = wait_for(limit, || {
        let roots = ca.roots_pem();
        (!roots.contains(&operators_root)).then_some(roots)
    });
    assert!(both.ends_with(&own));
    fs::write(before.path().join("now.pem"), both).unwrap();
    let verify = "openssl verify -no_check_time -CAfile now.pem -untrusted certs/cert-chain.pem certs/cert-chain.pem";
    assert!(shell(before.path(), verify).ends_with("OK\n"));
}

#[tokio::test]
async fn an_expired_bundle_starts_is_not_ready_and_answers_failed_precondition_with_the_date() {
    let bundle = expired_bundle();
    let ca = TestCa::start_with(on_bundle(bundle.path()));
    let (status, body) = ca.http_get("/readyz");
    assert_eq!(status, 503);
    assert!(body.contains("expired at 2020-01-03"), "{body}");
    let token = ca.token(CART);
    let mut agent = Agent::connect_unverified(ca.grpc, &[&token]).await;
    let status = agent.create(&key_and_csr(CART).1, 0).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(
        status.message().contains("expired at 2020-01-03"),
        "{status}"
    );
}

fn expired_bundle() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    shell(
        dir.path(),
        "ext() { printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n'; }
         ext > e; touch index.txt
         printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index.txt\\nrand_serial=yes\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\nunique_subject=no\\n[p]\\ncommonName=supplied\\n' > ca.cnf
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out root.key
         openssl req -new -key root.key -subj '/CN=Old Root' -out root.csr
         openssl ca -batch -config ca.cnf -selfsign -keyfile root.key -in root.csr -extfile e \
            -startdate 20190101000000Z -enddate 21190101000000Z -notext -out root-cert.pem 2>/dev/null
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca-key.pem; chmod 600 ca-key.pem
         openssl req -new -key ca-key.pem -subj '/CN=Old CA' -out ca.csr
         openssl ca -batch -config ca.cnf -cert root-cert.pem -keyfile root.key -in ca.csr -extfile e \
            -startdate 20200101000000Z -enddate 20200103000000Z -notext -out ca-cert.pem 2>/dev/null
         cat ca-cert.pem root-cert.pem > cert-chain.pem",
    );
    dir
}

fn check(dir: &Path, more: &[&str]) -> Output {
    Command::new(&binaries().ca_server)
        .args(["bundle", "check"])
        .arg(dir)
        .args(more)
        .output()
        .unwrap()
}

/// Spoils a good bundle in one way; the check names the rule and the server does not start.
#[test]
fn a_bundle_that_breaks_a_rule_is_named_by_file_and_refused_at_start() {
    type Spoil = fn(&Path);
    let table: &[(&str, Spoil)] = &[
        ("a missing file", |dir| {
            fs::remove_file(dir.join("cert-chain.pem")).unwrap();
        }),
        ("another pair's key", |dir| {
            fs::copy(testdata("bundles/p384/ca-key.pem"), dir.join("ca-key.pem")).unwrap();
        }),
        ("a leaf for a CA", |dir| {
            shell(
                dir,
                "openssl req -x509 -key ca-key.pem -subj /CN=x -addext basicConstraints=critical,CA:FALSE -days 9 -out ca-cert.pem",
            );
            fs::copy(dir.join("ca-cert.pem"), dir.join("cert-chain.pem")).unwrap();
        }),
        ("an empty file", |dir| {
            fs::write(dir.join("root-cert.pem"), "").unwrap();
        }),
        ("a directory for a file", |dir| {
            fs::remove_file(dir.join("ca-cert.pem")).unwrap();
            fs::create_dir(dir.join("ca-cert.pem")).unwrap();
        }),
        ("a foreign root", |dir| {
            fs::copy(
                testdata("bundles/p384/root-cert.pem"),
                dir.join("root-cert.pem"),
            )
            .unwrap();
        }),
        ("an encrypted key", |dir| {
            shell(
                dir,
                "openssl pkcs8 -topk8 -in ca-key.pem -passout pass:x -out k && mv k ca-key.pem",
            );
        }),
    ];
    for (what, spoil) in table {
        let bundle = copy("bundles/p256");
        spoil(bundle.path());
        let checked = check(bundle.path(), &["--output", "json"]);
        assert_eq!(checked.status.code(), Some(4), "{what}: {checked:?}");
        let report: serde_json::Value = serde_json::from_slice(&checked.stdout).expect(what);
        let finding = &report["findings"][0];
        assert_eq!(finding["severity"], "error", "{what}");
        for field in ["rule", "seen", "fix"] {
            assert!(
                finding[field].as_str().is_some_and(|text| !text.is_empty()),
                "{what}: {finding}"
            );
        }
        assert!(
            TestCa::try_start(on_bundle(bundle.path())).is_err(),
            "{what}"
        );
    }
}

#[test]
fn a_chain_in_any_order_works_and_grades_tell_good_from_warnings() {
    let good = copy("bundles/p256");
    shell(
        good.path(),
        "cat root-cert.pem ca-cert.pem ca-cert.pem | sed 's/$/\\r/' > cert-chain.pem",
    );
    let checked = check(good.path(), &[]);
    assert!(matches!(checked.status.code(), Some(0 | 3)), "{checked:?}");
    drop(TestCa::start_with(on_bundle(good.path())));
    assert_eq!(
        check(copy("bundles/p256").path(), &[]).status.code(),
        Some(0)
    );
    assert_eq!(
        check(&testdata("bundles/sample-shape"), &[]).status.code(),
        Some(3)
    );
}
