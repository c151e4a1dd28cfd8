//! What an agent makes of token, roots and an output directory that are missing, wrong or taken away: it says
//! so, keeps what it has, and goes on by itself when they are put right.

#![expect(clippy::print_stderr, reason = "tests")]

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tests::ca::TestCa;
use tests::scene::Scene;
use tests::workload::Workload;
use tests::workload::look;

const LIFE: Duration = Duration::from_secs(4);
const SOON: Duration = Duration::from_secs(20);
const FIVE_SECONDS: Duration = Duration::from_secs(5);

fn ready(status: &Value) -> bool {
    status["ready"] == true
}

/// Waits until the agent names `reason` and says all of `words` on its port.
async fn says(agent: &Workload, reason: &str, words: &[&str]) {
    let said = |status: &Value| {
        let failure = &status["last_failure"];
        let message = failure["message"].as_str().unwrap_or_default();
        failure["reason"] == reason && words.iter().all(|word| message.contains(word))
    };
    agent.wait_until(SOON, said).await;
    let label = format!("{{reason=\"{reason}\"}}");
    assert!(agent.get("/metrics").1.contains(&label));
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_named_and_read_when_it_can_be() {
    let scene = Scene::new();
    let token = scene.dir.path().join("token");
    fs::remove_file(&token).unwrap();
    // No mode keeps the superuser out, who may be the one who runs this.
    fs::create_dir(&token).unwrap();
    let agent = scene.agent(&["--ttl=1h"]);
    says(
        &agent,
        "needs-token",
        &["write a fresh token to token", "directory"],
    )
    .await;
    fs::remove_dir(&token).unwrap();
    std::os::unix::fs::symlink("nowhere", &token).unwrap();
    says(
        &agent,
        "needs-token",
        &["write a fresh token to token", "No such file"],
    )
    .await;
    fs::remove_file(&token).unwrap();
    scene.put("token", "two words");
    says(&agent, "needs-token", &["write a fresh token to token"]).await;
    let said = agent.log();
    assert!(!said.contains("two words"), "{said}");
    scene.put_token(600);
    agent.wait_until(FIVE_SECONDS, ready).await;
}

#[tokio::test]
async fn each_attempt_reads_the_token_again_and_prefers_it() {
    let scene = Scene::new();
    let agent = scene.agent(&["--ttl=1h"]);
    agent.wait_until(SOON, ready).await;
    scene.put_token(-300);
    agent.signal("HUP");
    agent
        .wait_until(SOON, |status| status["renewals"] == 2)
        .await;
    assert!(agent.log().contains("\"by\":\"Certificate\""));
    scene.put_one_time_token();
    agent.signal("HUP");
    agent
        .wait_until(SOON, |status| status["renewals"] == 3)
        .await;
    let log = agent.log();
    let last = log.lines().rfind(|line| line.contains("got a certificate"));
    assert!(last.unwrap().contains("\"by\":\"Token\""), "{log}");
}

#[tokio::test]
async fn roots_that_are_missing_or_not_the_cas_are_named_and_read_again() {
    let scene = Scene::new();
    let roots = fs::read_to_string(scene.dir.path().join("roots.pem")).unwrap();
    fs::remove_file(scene.dir.path().join("roots.pem")).unwrap();
    let agent = scene.agent(&["--ttl=1h"]);
    says(
        &agent,
        "no-trust",
        &["cannot read the CA's roots in roots.pem"],
    )
    .await;
    scene.put("roots.pem", "no PEM");
    says(
        &agent,
        "no-trust",
        &["roots.pem does not hold the CA's roots"],
    )
    .await;
    scene.put("roots.pem", &TestCa::start().roots_pem());
    says(
        &agent,
        "ca-not-trusted",
        &["does not lead to a trusted root"],
    )
    .await;
    scene.put("roots.pem", &roots);
    agent.wait_until(FIVE_SECONDS, ready).await;
}

#[tokio::test]
async fn a_ca_that_has_become_another_one_is_refused_and_the_files_stay() {
    let mut scene = Scene::new();
    let agent = scene.agent(&["--ttl=1h"]);
    agent.wait_until(SOON, ready).await;
    let before = look(&scene.out()).unwrap();
    scene.ca_goes();
    fs::rename(scene.dir.path().join("data"), scene.dir.path().join("true")).unwrap();
    scene.ca_returns();
    let stranger = scene.ca.as_ref().unwrap().roots_pem();
    scene.put("roots.pem", &stranger);
    agent.signal("HUP");
    says(
        &agent,
        "ca-not-trusted",
        &["stop the agent, remove the files of the old one"],
    )
    .await;
    assert_eq!(look(&scene.out()).unwrap(), before);
    scene.ca_goes();
    fs::remove_dir_all(scene.dir.path().join("data")).unwrap();
    fs::rename(scene.dir.path().join("true"), scene.dir.path().join("data")).unwrap();
    scene.ca_returns();
    agent.signal("HUP");
    agent
        .wait_until(SOON, |status| status["renewals"] == 2)
        .await;
}

#[tokio::test]
async fn a_restart_with_everything_expired_keeps_the_files_asks_for_a_token_and_takes_it() {
    let mut scene = Scene::new();
    let mut first = scene.agent(&[]);
    first.wait_until(SOON, ready).await;
    scene.ca_goes();
    scene.put_token(-300);
    first.signal("KILL");
    first.wait();
    let before = look(&scene.out()).unwrap();
    tokio::time::sleep(2 * LIFE).await;
    let second = scene.agent(&[]);
    says(&second, "unreachable", &["cannot connect to the CA"]).await;
    let (code, said) = second.get("/readyz");
    assert!(code == 503 && said.contains("expired"), "{code} {said}");
    scene.ca_returns();
    says(&second, "needs-token", &["write a fresh token to token"]).await;
    assert_eq!(look(&scene.out()).unwrap(), before);
    scene.put_token(600);
    second.wait_until(FIVE_SECONDS, ready).await;
    assert_ne!(look(&scene.out()).unwrap(), before);
}

#[tokio::test]
async fn whatever_is_taken_out_of_the_directory_is_there_again_within_five_seconds() {
    let scene = Scene::new();
    let agent = scene.agent(&["--ttl=1h", "--combined=all.pem"]);
    agent.wait_until(SOON, ready).await;
    let serial = look(&scene.out()).unwrap().serial;
    let out = scene.out();
    let generation = || out.join(fs::read_link(out.join("..data")).unwrap());
    let losses: [(&str, &dyn Fn()); 6] = [
        ("the directory", &|| fs::remove_dir_all(&out).unwrap()),
        ("the key", &|| {
            fs::remove_file(generation().join("key.pem")).unwrap();
        }),
        ("a link", &|| {
            fs::remove_file(out.join("root-cert.pem")).unwrap();
        }),
        ("..data", &|| fs::remove_file(out.join("..data")).unwrap()),
        ("the generation", &|| {
            fs::remove_dir_all(generation()).unwrap();
        }),
        ("the combined file", &|| {
            fs::remove_file(scene.dir.path().join("all.pem")).unwrap();
        }),
    ];
    for (what, lose) in losses {
        lose();
        let is_whole = |_: &Value| {
            let all = fs::read_to_string(scene.dir.path().join("all.pem"));
            let links = ["key.pem", "cert-chain.pem", "root-cert.pem"];
            look(&out).is_ok_and(|look| look.serial == serial)
                && all.is_ok_and(|all| all.contains("PRIVATE KEY"))
                && links.iter().all(|name| out.join(name).is_file())
        };
        eprintln!(
            "{what}: {:?}",
            agent.wait_until(FIVE_SECONDS, is_whole).await
        );
    }
    assert_eq!(agent.status()["renewals"], 1);
}

#[tokio::test]
async fn files_have_the_modes_that_were_asked_for_whatever_the_umask() {
    let scene = Scene::new();
    let agent = scene.agent(&["--ttl=1h", "--key-mode=640", "--combined=all.pem"]);
    agent.wait_until(SOON, ready).await;
    drop(agent);
    let other = scene.agent(&["--ttl=1h", "--out=other"]);
    other.wait_until(SOON, ready).await;
    let modes =
        "stat -Lc %a out/key.pem out/cert-chain.pem all.pem other/key.pem other/root-cert.pem";
    let said = tests::openssl::shell(scene.dir.path(), modes);
    assert_eq!(said, "640\n644\n640\n600\n644\n");
}
