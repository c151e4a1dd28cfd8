//! The agent as its neighbours see it: files, health, outages, restarts, kills.

#![expect(clippy::indexing_slicing, clippy::print_stderr, reason = "tests")]

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tests::ca::TestCa;
use tests::openssl::shell;
use tests::scene::Scene;
use tests::workload::Workload;
use tests::workload::look;

const LIFE: Duration = Duration::from_secs(4);
const SOON: Duration = Duration::from_secs(20);

fn ready(status: &Value) -> bool {
    status["ready"] == true
}

/// Waits until the agent fails for want of what `reason` names and has nothing valid any more.
async fn starved(agent: &Workload, reason: &str) {
    agent
        .wait_until(SOON, |status| {
            !ready(status) && status["last_failure"]["reason"] == reason
        })
        .await;
}

#[tokio::test]
async fn the_files_are_renewed_at_half_of_their_life_and_openssl_agrees_with_each_set() {
    let scene = Scene::new();
    let agent = scene.agent(&[]);
    for renewals in 1..=3 {
        agent
            .wait_until(SOON, |status| {
                ready(status) && status["renewals"].as_u64() >= Some(renewals)
            })
            .await;
        let verify =
            "openssl verify -CAfile root-cert.pem -untrusted cert-chain.pem cert-chain.pem";
        assert_eq!(shell(&scene.out(), verify), "cert-chain.pem: OK\n");
    }
    assert_eq!(agent.get("/readyz"), (200, "ok\n".to_owned()));
    let seconds = agent.status()["ca_clock_offset_seconds"].as_f64().unwrap();
    assert!(seconds.abs() < 1.0, "{seconds}");
}

#[tokio::test]
async fn a_spent_one_time_token_does_not_stop_renewal() {
    let scene = Scene::new();
    let token = scene
        .ca
        .as_ref()
        .unwrap()
        .token("spiffe://cluster.local/ns/shop/sa/cart");
    std::fs::write(scene.dir.path().join("token"), token).unwrap();
    let agent = scene.agent(&[]);
    agent
        .wait_until(SOON, |status| status["renewals"].as_u64() >= Some(3))
        .await;
    assert_eq!(agent.status()["last_failure"], Value::Null);
}

#[tokio::test]
async fn after_an_outage_of_three_lifetimes_a_certificate_is_there_within_five_seconds() {
    let mut scene = Scene::new();
    let agent = scene.agent(&[]);
    agent.wait_until(SOON, ready).await;
    scene.ca_goes();
    let before = look(&scene.out()).unwrap();
    tokio::time::sleep(3 * LIFE).await;
    starved(&agent, "unreachable").await;
    assert!(agent.get("/readyz").1.contains("expired"));
    let metrics = agent.get("/metrics").1;
    assert!(
        metrics.contains("signet_agent_last_failure_timestamp_seconds{reason=\"unreachable\"}")
    );
    assert_eq!(look(&scene.out()).unwrap(), before, "the files stay");
    scene.ca_returns();
    let took = agent.wait_until(Duration::from_secs(5), ready).await;
    eprintln!("a certificate {took:?} after the CA's return");
}

#[tokio::test]
async fn with_token_and_certificate_expired_it_asks_for_a_token_and_takes_it() {
    let mut scene = Scene::new();
    let agent = scene.agent(&[]);
    agent.wait_until(SOON, ready).await;
    scene.ca_goes();
    scene.put_token(-300);
    tokio::time::sleep(3 * LIFE).await;
    starved(&agent, "unreachable").await;
    scene.ca_returns();
    starved(&agent, "needs-token").await;
    let said = agent.get("/readyz").1;
    assert!(said.contains("write a fresh token to token"), "{said}");
    scene.put_token(600);
    let took = agent.wait_until(Duration::from_secs(5), ready).await;
    eprintln!("a certificate {took:?} after the token");
}

#[tokio::test]
async fn a_restart_in_mid_outage_goes_on_with_what_is_on_disk() {
    let mut scene = Scene::new();
    let mut first = scene.agent(&["--ttl=15s"]);
    first.wait_until(SOON, ready).await;
    scene.ca_goes();
    first.signal("KILL");
    first.wait();
    let before = look(&scene.out()).unwrap();
    let second = scene.agent(&["--ttl=15s"]);
    second.wait_until(Duration::from_secs(3), ready).await;
    assert_eq!(look(&scene.out()).unwrap(), before);
    starved(&second, "unreachable").await;
    assert_eq!(
        look(&scene.out()).unwrap(),
        before,
        "expired, and still there"
    );
    scene.ca_returns();
    second.wait_until(Duration::from_secs(5), ready).await;
    assert_ne!(look(&scene.out()).unwrap(), before);
}

#[tokio::test]
async fn a_missing_token_is_waited_for() {
    let scene = Scene::new();
    std::fs::remove_file(scene.dir.path().join("token")).unwrap();
    let agent = scene.agent(&[]);
    starved(&agent, "needs-token").await;
    std::fs::write(scene.dir.path().join("token"), " \n").unwrap();
    starved(&agent, "needs-token").await;
    scene.put_token(600);
    agent.wait_until(Duration::from_secs(5), ready).await;
}

#[tokio::test]
async fn roots_that_are_replaced_by_another_cas_change_nothing_after_first_contact() {
    let scene = Scene::new();
    let agent = scene.agent(&[]);
    agent.wait_until(SOON, ready).await;
    let stranger = TestCa::start();
    std::fs::write(scene.dir.path().join("roots.pem"), stranger.roots_pem()).unwrap();
    agent
        .wait_until(SOON, |status| status["renewals"].as_u64() >= Some(3))
        .await;
    drop(agent);
    let again = scene.agent(&[]);
    again
        .wait_until(SOON, |status| status["renewals"].as_u64() >= Some(1))
        .await;
    assert!(again.log().contains("share nothing with the trust bundle"));
}

#[tokio::test]
async fn a_directory_that_is_taken_away_is_reported_and_made_again() {
    let scene = Scene::new();
    let agent = scene.agent(&["--ttl=1h"]);
    agent.wait_until(SOON, ready).await;
    let before = look(&scene.out()).unwrap();

    std::fs::remove_dir_all(scene.out()).unwrap();
    std::fs::write(scene.out(), "in the way").unwrap();
    agent
        .wait_until(SOON, |status| {
            status["files"]
                .as_str()
                .unwrap()
                .contains("output directory")
        })
        .await;
    let (code, said) = agent.get("/readyz");
    assert_eq!(code, 503, "{said}");
    assert!(agent.get("/metrics").1.contains("signet_agent_files_ok 0"));

    std::fs::remove_file(scene.out()).unwrap();
    agent.wait_until(SOON, ready).await;
    assert_eq!(look(&scene.out()).unwrap().serial, before.serial);
    assert_eq!(agent.status()["renewals"], 1);
}

#[tokio::test]
async fn a_second_agent_and_a_directory_that_cannot_be_written_are_refused_at_start() {
    let scene = Scene::new();
    let agent = scene.agent(&[]);
    agent.wait_until(SOON, ready).await;
    let said = scene.try_agent(&[]).unwrap_err();
    assert!(
        said.starts_with("Some(1)") && said.contains("in use by another ca-client"),
        "{said}"
    );
    std::fs::write(scene.dir.path().join("plain"), "").unwrap();
    for args in [
        &["--out=plain"][..],
        &["--out=fresh", "--combined=/proc/no.pem"],
    ] {
        let said = scene.try_agent(args).unwrap_err();
        assert!(
            said.starts_with("Some(1)") && said.contains("cannot"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_term_signal_is_exit_code_0_and_hup_renews_at_once() {
    let scene = Scene::new();
    let mut agent = scene.agent(&["--ttl=1h"]);
    agent.wait_until(SOON, ready).await;
    agent.signal("HUP");
    agent
        .wait_until(SOON, |status| status["renewals"] == 2)
        .await;
    agent.signal("TERM");
    assert_eq!(agent.wait(), Some(0));
    assert!(look(&scene.out()).is_ok());
}

#[tokio::test]
async fn systemd_hears_ready_when_a_certificate_is_on_disk_and_not_before() {
    let scene = Scene::new();
    let socket = scene.dir.path().join("notify");
    let systemd = tokio::net::UnixDatagram::bind(&socket).unwrap();
    std::fs::rename(
        scene.dir.path().join("token"),
        scene.dir.path().join("later"),
    )
    .unwrap();
    let mut command = tests::workload::command(
        scene.dir.path(),
        &[
            "--ca-addr",
            &scene.grpc.to_string(),
            "--ca-roots",
            "roots.pem",
            "--token-file",
            "token",
            "--out",
            "out",
        ],
    );
    let mut agent = command.env("NOTIFY_SOCKET", &socket).spawn().unwrap();
    let mut heard = vec![0; 4096];
    let length = systemd.recv(&mut heard).await.unwrap();
    let first = String::from_utf8_lossy(&heard[..length]).into_owned();
    assert!(first.starts_with("STATUS=no certificate yet"), "{first}");
    std::fs::rename(
        scene.dir.path().join("later"),
        scene.dir.path().join("token"),
    )
    .unwrap();
    loop {
        let length = systemd.recv(&mut heard).await.unwrap();
        if heard[..length].starts_with(b"READY=1") {
            break;
        }
    }
    assert!(look(&scene.out()).is_ok());
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn the_combined_file_and_the_names_of_kubernetes_hold_what_openssl_takes() {
    let scene = Scene::new();
    let told = ["--ttl=1h", "--hook-command", "echo >> ran"];
    let wanted = ["--combined", "all.pem", "--names", "kubernetes"];
    let agent = scene.agent(&[&told[..], &wanted].concat());
    agent
        .wait_until(SOON, |status| status["hook"] == "ok")
        .await;
    agent.signal("HUP");
    let ran = || std::fs::read(scene.dir.path().join("ran")).unwrap_or_default();
    agent.wait_until(SOON, |_| ran().len() == 2).await;
    drop(agent);
    let verify = "openssl verify -CAfile out/ca.crt -untrusted out/tls.crt out/tls.crt";
    assert_eq!(shell(scene.dir.path(), verify), "out/tls.crt: OK\n");
    let keys = "for f in 'pkey -in all.pem -pubout' 'x509 -in all.pem -noout -pubkey' 'pkey -in out/tls.key -pubout'; \
                do openssl $f | sha256sum; done | sort -u | wc -l; stat -c %a all.pem";
    assert_eq!(shell(scene.dir.path(), keys), "1\n600\n");
}

#[tokio::test]
async fn a_hook_runs_after_each_swap_and_one_that_hangs_is_killed_and_reported() {
    let scene = Scene::new();
    let agent = scene.agent(&["--hook-command", "echo $CA_CLIENT_SERIAL >> ran"]);
    for renewals in 1..=2 {
        agent
            .wait_until(SOON, |status| {
                let ran = std::fs::read_to_string(scene.dir.path().join("ran"));
                let serial = status["certificate"]["serial"].as_str().unwrap_or("none");
                status["renewals"].as_u64() >= Some(renewals)
                    && ran.is_ok_and(|ran| ran.contains(serial))
            })
            .await;
    }
    assert_eq!(agent.status()["hook"], "ok");
    drop(agent);

    let hanging = scene.agent(&["--hook-command", "sleep 1000", "--hook-timeout", "200ms"]);
    hanging
        .wait_until(SOON, |status| {
            status["hook"]
                .as_str()
                .is_some_and(|said| said.contains("longer than 200ms"))
        })
        .await;
    assert!(hanging.get("/metrics").1.contains("signet_agent_hook_ok 0"));
    hanging
        .wait_until(SOON, |status| status["renewals"].as_u64() >= Some(2))
        .await;
}

#[tokio::test]
async fn a_hook_signals_the_process_in_the_pid_file() {
    let scene = Scene::new();
    // A shell cannot trap what was ignored when it began, as HUP is under nohup.
    let script = "trap 'echo got >> signalled' USR1; echo $$ > pid.new; mv pid.new pid; while :; do sleep 0.05; done";
    let mut child = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(scene.dir.path())
        .spawn()
        .unwrap();
    while !scene.dir.path().join("pid").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let agent = scene.agent(&["--hook-signal", "USR1", "--hook-pid-file", "pid"]);
    agent
        .wait_until(SOON, |status| status["hook"] == "ok")
        .await;
    let start = Instant::now();
    while !scene.dir.path().join("signalled").exists() {
        assert!(start.elapsed() < SOON, "no signal came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn after_any_kill_there_is_a_whole_set() {
    let scene = Scene::new();
    let mut seen = std::collections::BTreeSet::new();
    for kill in 0..KILLS {
        let mut agent =
            scene.agent(&["--grace-period-ratio=0.99", "--grace-period-ratio-jitter=0"]);
        if seen.is_empty() {
            agent.wait_until(SOON, ready).await;
        }
        tokio::time::sleep(Duration::from_millis(40 + 3 * (kill % 30))).await;
        agent.signal("KILL");
        agent.wait();
        seen.insert(look(&scene.out()).unwrap().serial);
    }
    assert!(seen.len() > 5, "there was no rotation: {seen:?}");
}

const KILLS: u64 = 60;

#[tokio::test]
async fn status_tells_a_person_and_a_script_and_grades_its_exit_code() {
    let scene = Scene::new();
    let agent = scene.agent(&["--ttl=1h"]);
    agent.wait_until(SOON, ready).await;
    let program = tests::binaries::binaries().ca_client.display().to_string();
    let http = agent.http;
    let told = shell(
        scene.dir.path(),
        &format!("{program} status --out out --http-addr {http}"),
    );
    for part in [
        "sa/cart",
        "good for",
        "ready         yes",
        "clock offset",
        "trust push",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    let json = shell(
        scene.dir.path(),
        &format!("{program} status --out out --http-addr {http} --output json"),
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["files"]["serial"],
        json["agent"]["certificate"]["serial"]
    );
    drop(agent);
    let code = |args: &str| {
        let mut command = std::process::Command::new(&program);
        command.arg("status").args(args.split_whitespace());
        let output = command.current_dir(scene.dir.path()).output();
        output.unwrap().status.code()
    };
    assert_eq!(code("--out out"), Some(0));
    assert_eq!(code(&format!("--http-addr {http}")), Some(1));
    assert_eq!(code(""), Some(2));
    assert_eq!(code("--out nowhere"), Some(3));
}

#[tokio::test]
async fn a_combined_file_that_a_killed_run_left_behind_is_brought_up_to_date() {
    let scene = Scene::new();
    let args = ["--ttl=1h", "--combined", "all.pem"];
    let agent = scene.agent(&args);
    agent.wait_until(SOON, ready).await;
    drop(agent);
    std::fs::write(scene.dir.path().join("all.pem"), "of an older certificate").unwrap();
    let agent = scene.agent(&args);
    let combined = || std::fs::read_to_string(scene.dir.path().join("all.pem")).unwrap();
    agent
        .wait_until(SOON, |_| combined().contains("PRIVATE KEY"))
        .await;
    assert_eq!(agent.status()["renewals"], 0);
}
