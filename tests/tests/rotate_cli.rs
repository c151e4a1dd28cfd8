//! An operator rotates a self-signed CA by hand: each step says whom it would break, and nothing else happens.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::process::Output;
use std::time::Duration;

use proto::istio::IstioCertificateRequest;
use proto::istio::istio_certificate_service_client::IstioCertificateServiceClient;
use serde_json::Value;
use tests::CART;
use tests::agent::channel;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::ca::operator;
use tests::cacerts::Cacerts;
use tests::cacerts::Volume;
use tests::poll::until;
use tests::poll::wait_for;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Request;

const INSTANCE: &str = "0123456789abcdef0123456789abcdef";

/// A leaf for the workload, in the hands of an agent that will never answer.
async fn hand_out_a_leaf(ca: &TestCa) {
    hand_out_a_leaf_for(ca, 3600).await;
}

async fn hand_out_a_leaf_for(ca: &TestCa, seconds: i64) {
    let channel = channel(ca.grpc, &ca.roots_pem(), None).await.unwrap();
    let mut request = Request::new(IstioCertificateRequest {
        csr: key_and_csr(CART).1,
        validity_duration: seconds,
        metadata: None,
    });
    let token = format!("Bearer {}", ca.token(CART));
    let metadata = request.metadata_mut();
    metadata.insert("authorization", token.parse().unwrap());
    metadata.insert("signet-instance", INSTANCE.parse().unwrap());
    let mut client = IstioCertificateServiceClient::new(channel);
    let _answer = client.create_certificate(request).await.unwrap();
}

fn json(ca: &TestCa, args: &[&str]) -> Value {
    let args = [args, &["--output", "json"]].concat();
    serde_json::from_str(&ca.operator(&args)).unwrap()
}

fn status(ca: &TestCa) -> Value {
    json(ca, &["rotate", "status"])
}

fn signer<'a>(status: &'a Value, role: &str) -> &'a str {
    let signers = status["signers"].as_array().unwrap();
    let found = signers.iter().find(|signer| signer["role"] == role);
    found.map_or("", |signer| signer["issuer"].as_str().unwrap())
}

fn seconds(value: &Value, name: &str) -> i64 {
    let text = value[name].as_str().unwrap();
    let date = OffsetDateTime::parse(text, &Rfc3339);
    date.unwrap().unix_timestamp()
}

fn roots(ca: &TestCa) -> usize {
    ca.roots_pem().matches("BEGIN CERTIFICATE").count()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn refused(ca: &TestCa, args: &[&str]) -> String {
    let output = ca.try_operator(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    said(&output)
}

/// A plugged-in CA, whose roots have nothing to do with each other: nobody accepts the next one unless told.
struct PluggedIn {
    ca: TestCa,
    volume: Volume,
    _dir: tempfile::TempDir,
}

impl PluggedIn {
    fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut volume = Volume::new(dir.path().join("cacerts"));
        volume.put_bundle(&Cacerts::make());
        let ca = TestCa::start_with(Setup {
            root_ca_dir: Some(dir.path().join("cacerts")),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..Setup::default()
        });
        Self {
            ca,
            volume,
            _dir: dir,
        }
    }

    /// Drops other files in, and answers the status once they are published.
    async fn replace(&mut self) -> Value {
        self.volume.put_bundle(&Cacerts::make());
        until("the next signer", Duration::from_secs(20), async || {
            let status = status(&self.ca);
            (status["phase"] != "steady" && roots(&self.ca) == 2).then_some(status)
        })
        .await
    }
}

#[tokio::test]
async fn a_dry_run_of_a_start_changes_nothing_and_our_own_root_is_accepted_at_once() {
    let ca = TestCa::start();
    hand_out_a_leaf(&ca).await;
    let old = signer(&status(&ca), "active").to_owned();
    let _planned = ca.operator(&["rotate", "start", "--dry-run"]);
    assert_eq!(
        (status(&ca)["phase"].as_str(), roots(&ca)),
        (Some("steady"), 1)
    );
    let started = json(&ca, &["rotate", "start"]);
    assert_eq!(started["steps"][0]["open"].as_bool(), Some(true));
    // Whoever knows the old root only accepts the new one, which that has signed across.
    let activated = json(&ca, &["rotate", "activate"]);
    assert_eq!(signer(&activated, "draining"), old);
}

#[tokio::test]
async fn a_shut_gate_refuses_and_names_who_holds_it_and_dry_runs_change_nothing() {
    let mut plugged_in = PluggedIn::start(&[]);
    hand_out_a_leaf(&plugged_in.ca).await;
    let before = status(&plugged_in.ca);
    let started = plugged_in.replace().await;
    let ca = plugged_in.ca;
    assert_eq!(
        (started["phase"].as_str(), roots(&ca)),
        (Some("distribute"), 2)
    );
    assert_eq!(signer(&started, "active"), signer(&before, "active"));
    let activate = refused(&ca, &["rotate", "activate"]);
    for part in [CART, INSTANCE, "never answered"] {
        assert!(activate.contains(part), "{part} in {activate}");
    }
    assert!(
        !activate.contains("code: "),
        "the text and nothing around it: {activate}"
    );
    let next = signer(&started, "next").to_owned();
    let force = ["--force", &next, "--reason", "a trial", "--dry-run"];
    let output = ca.try_operator(&[&["rotate", "activate"], &force[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(CART), "{}", said(&output));
    let after = status(&ca);
    assert_eq!(
        (signer(&after, "next"), after["phase"].as_str()),
        (&*next, Some("distribute"))
    );
    assert_eq!(after["journal"], started["journal"]);
    let step = &after["steps"][0];
    assert_eq!(
        (step["open"].as_bool(), step["awaited"].as_u64()),
        (Some(false), Some(1))
    );
}

#[tokio::test]
async fn forcing_names_the_signer_takes_a_reason_says_who_breaks_and_is_recorded() {
    let mut plugged_in = PluggedIn::start(&[]);
    hand_out_a_leaf(&plugged_in.ca).await;
    let started = plugged_in.replace().await;
    let ca = plugged_in.ca;
    let (old, next) = (signer(&started, "active"), signer(&started, "next"));
    let without = ca.try_operator(&["rotate", "activate", "--force", next]);
    assert_eq!(without.status.code(), Some(2), "usage");
    let wrong = refused(
        &ca,
        &["rotate", "activate", "--force", old, "--reason", "x"],
    );
    assert!(wrong.contains("the step is about"), "{wrong}");

    let forced = ca.try_operator(&[
        "rotate",
        "activate",
        "--force",
        next,
        "--reason",
        "cart is gone",
    ]);
    assert!(forced.status.success(), "{}", said(&forced));
    assert!(said(&forced).contains(CART), "{}", said(&forced));
    let after = status(&ca);
    assert_eq!(
        (signer(&after, "active"), signer(&after, "draining")),
        (next, old)
    );
    let entries = after["journal"].as_array().unwrap();
    assert_eq!(entries.last().unwrap()["forced"], "cart is gone");
    let retire = refused(&ca, &["rotate", "retire"]);
    assert!(retire.contains(CART), "{retire}");
    let forced = ca.try_operator(&[
        "rotate",
        "retire",
        old,
        "--force",
        old,
        "--reason",
        "cart is gone",
    ]);
    assert!(forced.status.success(), "{}", said(&forced));
    assert!(said(&forced).contains(CART), "{}", said(&forced));
    assert_eq!(
        (status(&ca)["phase"].as_str(), roots(&ca)),
        (Some("steady"), 1)
    );
}

#[test]
fn of_two_operators_who_activate_at_once_one_does_and_the_other_reads_that_it_signs_already() {
    let ca = TestCa::start();
    let _started = ca.operator(&["rotate", "start"]);
    let outputs = std::thread::scope(|scope| {
        let one = scope.spawn(|| ca.try_operator(&["rotate", "activate"]));
        let other = ca.try_operator(&["rotate", "activate"]);
        [one.join().unwrap(), other]
    });
    let (done, late): (Vec<&Output>, Vec<&Output>) =
        outputs.iter().partition(|output| output.status.success());
    assert_eq!((done.len(), late.len()), (1, 1));
    assert!(said(late[0]).contains("signs already"), "{}", said(late[0]));
    assert_eq!(roots(&ca), 2);
    let retired = json(&ca, &["rotate", "retire"]);
    assert_eq!((retired["phase"].as_str(), roots(&ca)), (Some("steady"), 1));
}

#[test]
fn aborting_forgets_the_next_signer_and_another_start_is_refused_before() {
    let ca = TestCa::start();
    let started = json(&ca, &["rotate", "start"]);
    let again = refused(&ca, &["rotate", "start"]);
    assert!(again.contains("under way"), "{again}");
    let _would = ca.operator(&["rotate", "abort", "--dry-run"]);
    assert_eq!(roots(&ca), 2);
    let aborted = json(&ca, &["rotate", "abort"]);
    assert_eq!((aborted["phase"].as_str(), roots(&ca)), (Some("steady"), 1));
    assert_eq!(signer(&aborted, "active"), signer(&started, "active"));
    let nothing = refused(&ca, &["rotate", "abort"]);
    assert!(nothing.contains("no rotation waits"), "{nothing}");
}

#[tokio::test]
async fn tainting_brings_a_new_root_by_itself_and_says_who_holds_leaves_of_the_old_one() {
    let ca = TestCa::start();
    hand_out_a_leaf(&ca).await;
    let old = signer(&status(&ca), "active").to_owned();
    let dry = ca.try_operator(&["rotate", "taint", &old, "--deadline", "24h", "--dry-run"]);
    assert!(said(&dry).contains(CART), "{}", said(&dry));
    assert_eq!(
        (status(&ca)["phase"].as_str(), roots(&ca)),
        (Some("steady"), 1)
    );
    let tainted = ca.operator(&["rotate", "taint", &old, "--deadline", "24h"]);
    for part in ["draining, tainted", CART, "dropped at"] {
        assert!(tainted.contains(part), "{part} in {tainted}");
    }
    let after = status(&ca);
    assert_eq!((after["phase"].as_str(), roots(&ca)), (Some("drain"), 2));
    assert_eq!(signer(&after, "draining"), old);
    let past = refused(
        &ca,
        &[
            "rotate",
            "taint",
            &old,
            "--deadline",
            "2001-01-01T00:00:00Z",
        ],
    );
    assert!(past.contains("the deadline is over"), "{past}");
}

#[tokio::test]
async fn an_automatic_rotation_without_leaves_runs_to_its_end() {
    let ca = TestCa::start();
    let old = signer(&status(&ca), "active").to_owned();
    let _started = ca.operator(&["rotate", "start", "--auto", "--renew-within", "2h"]);
    let ended = until("steady again", Duration::from_secs(20), async || {
        let status = status(&ca);
        (status["phase"] == "steady").then_some(status)
    })
    .await;
    assert_ne!(signer(&ended, "active"), old);
    assert_eq!(roots(&ca), 1);
}

#[tokio::test]
async fn a_plan_tells_when_the_last_leaf_of_before_dies() {
    let ca = TestCa::start();
    hand_out_a_leaf(&ca).await;
    let plan = json(&ca, &["rotate", "plan"]);
    let soon = json(&ca, &["rotate", "plan", "--renew-within", "2h"]);
    let between = |plan: &Value| seconds(plan, "retire_at") - seconds(plan, "activate_at");
    // The longest life of a leaf meanwhile, and the margin for clocks.
    assert_eq!(
        (between(&plan), between(&soon)),
        (24 * 3600 + 121, 2 * 3600 + 121)
    );
    let leaf = json(&ca, &["certs", "list", "--spiffe-id", CART]);
    assert_eq!(
        seconds(&plan, "activate_at"),
        seconds(&leaf[0], "not_after") + 121
    );
}

#[tokio::test]
async fn a_gate_waits_until_a_leaf_is_dead_on_slow_clocks_too() {
    let mut plugged_in = PluggedIn::start(&["--min-ttl=1s", "--default-ttl=10s", "--max-ttl=20s"]);
    hand_out_a_leaf_for(&plugged_in.ca, 4).await;
    let leaf = json(&plugged_in.ca, &["certs", "list", "--spiffe-id", CART])[0].clone();
    let _started = plugged_in.replace().await;
    let ca = plugged_in.ca;
    let ended = until("steady again", Duration::from_secs(30), async || {
        let status = status(&ca);
        (status["phase"] == "steady").then_some(status)
    })
    .await;
    let journal = ended["journal"].as_array().unwrap();
    let signs = |entry: &&Value| entry["what"].as_str().unwrap().contains("signs:");
    let activated = seconds(journal.iter().find(signs).unwrap(), "at");
    // Its last second counts whole, and clocks may differ by a tenth of the longest life.
    assert!(
        activated >= seconds(&leaf, "not_after") + 1 + 2,
        "{journal:?} {leaf}"
    );
}

#[test]
fn without_a_server_the_files_tell_the_rotation_and_say_that_none_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut ca = TestCa::start_with(Setup {
        data_dir: Some(dir.path().to_owned()),
        ..Setup::default()
    });
    let running = json(&ca, &["rotate", "start"]);
    ca.stop();
    let output = operator(dir.path(), &["rotate", "status", "--output", "json"]);
    let stored: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (stored["running"].as_bool(), running["running"].as_bool()),
        (Some(false), Some(true))
    );
    for name in ["phase", "since", "journal", "bundle_number"] {
        assert_eq!(stored[name], running[name], "{name}");
    }
    for args in [&["rotate", "status"][..], &["status"]] {
        let output = operator(dir.path(), args);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("no server runs"), "{args:?}: {text}");
        assert!(text.contains("distribute"), "{args:?}: {text}");
    }
    let empty = tempfile::tempdir().unwrap();
    let output = operator(empty.path(), &["rotate", "status"]);
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn without_a_server_the_ledger_tells_the_same_certificates_and_denials() {
    let mut ca = TestCa::start();
    hand_out_a_leaf(&ca).await;
    let _denied = ca.operator(&["certs", "deny", "--spiffe-id", CART]);
    let listed = json(&ca, &["certs", "list", "--spiffe-id", CART]);
    let serial = listed[0]["serial"].as_str().unwrap().to_owned();
    let asked: [&[&str]; 3] = [
        &["certs", "list", "--spiffe-id", CART],
        &["certs", "show", &serial],
        &["certs", "denied"],
    ];
    let answers = asked.map(|args| json(&ca, args));
    ca.stop();
    for (args, answer) in asked.iter().zip(&answers) {
        assert_eq!(json(&ca, args), *answer, "{args:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    let output = operator(empty.path(), asked[0]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        std::fs::read_dir(empty.path()).unwrap().count(),
        0,
        "looking makes nothing"
    );
}

#[tokio::test]
async fn status_and_reload_show_what_is_loaded_what_is_there_and_why_that_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("cacerts");
    std::fs::create_dir(&bundle).unwrap();
    let ca = TestCa::start_with(Setup {
        root_ca_dir: Some(bundle.clone()),
        flags: vec!["--no-inotify".to_owned(), "--reload-interval=1h".to_owned()],
        ..Setup::default()
    });
    std::fs::write(bundle.join("ca-cert.pem"), "half of a certif").unwrap();
    let output = ca.try_operator(&["reload", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "what is there is not loaded");
    let reloaded: Value = serde_json::from_slice(&output.stdout).unwrap();
    let status = json(&ca, &["status"]);
    assert_eq!(status["ca_files_loaded"], "");
    assert_eq!(status["ca_files_on_disk"], reloaded["on_disk"]);
    assert_eq!(reloaded["on_disk"].as_str().unwrap().len(), 64);
    let failure = status["ca_files_failure"].as_str().unwrap();
    assert!(failure.contains("ca-"), "file and rule: {failure}");
    assert!(ca.operator(&["status"]).contains("not loaded"));
    until("the metric", Duration::from_secs(15), async || {
        ca.http_get("/metrics")
            .1
            .contains("signet_ca_bundle_in_sync 0")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_tell_every_signer_and_the_series_of_one_that_retired_disappear() {
    let ca = TestCa::start();
    let before = status(&ca);
    let started = json(&ca, &["rotate", "start"]);
    let (old, next) = (signer(&before, "active"), signer(&started, "next"));
    let has = async |role: &str, sha256: &str| {
        let part = format!("role=\"{role}\",sha256=\"{sha256}\"");
        until(&part, Duration::from_secs(20), async || {
            ca.http_get("/metrics").1.contains(&part).then_some(())
        })
        .await;
    };
    has("issuer", old).await;
    has("next-issuer", next).await;
    let _active = ca.operator(&["rotate", "activate"]);
    has("draining-issuer", old).await;
    let _retired = ca.operator(&["rotate", "retire"]);
    until("the old one is gone", Duration::from_secs(20), async || {
        (!ca.http_get("/metrics").1.contains(old)).then_some(())
    })
    .await;
    has("issuer", next).await;
}

#[test]
fn every_metric_that_an_alert_names_is_told() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/alerts.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let rules: Value = serde_norway::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules: Vec<&Value> = groups
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.len() >= 10, "{}", rules.len());
    let ca = TestCa::start();
    // What is told of a rotation comes with the first look at it.
    let metrics = wait_for(Duration::from_secs(20), || {
        let text = ca.http_get("/metrics").1;
        text.contains("signet_rotation_phase").then_some(text)
    });
    let is_told = |name: &str| {
        let is_it = |line: &str| {
            line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}{{"))
        };
        metrics.lines().any(is_it)
    };
    for rule in rules {
        let expr = rule["expr"].as_str().unwrap();
        let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<&str> = words.filter(|word| word.starts_with("signet_")).collect();
        assert!(!names.is_empty(), "{rule}");
        for name in names {
            assert!(
                is_told(name),
                "{name} of {} is not in\n{metrics}",
                rule["alert"]
            );
        }
    }
}

#[tokio::test]
async fn a_step_that_could_not_be_done_whole_is_said_to_be_recorded_and_is_finished_by_itself() {
    let ca = TestCa::start();
    let (bundle, aside) = ("trust-bundle.json", "aside.json");
    let path = |name: &str| ca.data_dir.join(name);
    std::fs::rename(path(bundle), path(aside)).unwrap();
    // No file can take its place.
    std::fs::create_dir_all(path(bundle).join("in-the-way")).unwrap();
    let refused = ca.try_operator(&["rotate", "start"]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    for part in ["it is recorded", "by itself", "rotate status", bundle] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    // Where it sends to look there is an answer, and it has the step.
    assert_ne!(signer(&status(&ca), "next"), "");
    assert_eq!(ca.roots_pem().matches("BEGIN").count(), 1);

    std::fs::remove_dir_all(path(bundle)).unwrap();
    std::fs::rename(path(aside), path(bundle)).unwrap();
    until("both roots", Duration::from_secs(60), async || {
        (ca.roots_pem().matches("BEGIN").count() == 2).then_some(())
    })
    .await;
}
