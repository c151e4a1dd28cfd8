//! Which setting wins? Flags, then environment, then the settings file, then defaults.

use crate::command::FIRST;
use crate::command::Scene;
use crate::command::stderr;
use crate::fake_ca::FakeCa;

async fn scene(settings: &str) -> Scene {
    let scene = Scene::with(FakeCa::honest().await);
    std::fs::write(scene.dir.path().join("settings.yaml"), settings).unwrap();
    scene
}

const CONFIG: [&str; 2] = ["--config", "settings.yaml"];

#[tokio::test]
async fn flags_beat_environment_beats_file_beats_defaults() {
    let table: [(&str, Option<&str>, &[&str], i64); 4] = [
        ("cluster-id: east", None, &[], 3600),
        ("ttl: 30m", None, &[], 1800),
        ("ttl: 30m", Some("20m"), &[], 1200),
        ("ttl: 30m", Some("20m"), &["--ttl", "10m"], 600),
    ];
    for (settings, variable, flags, expected) in table {
        let scene = scene(settings).await;
        let args = [&FIRST[..], &CONFIG[..], flags].concat();
        let mut command = scene.command(&args);
        command.envs(variable.map(|value| ("SECRET_TTL", value)));
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(scene.ca.asked()[0].validity_duration, expected, "{args:?}");
    }
}

#[tokio::test]
async fn a_variable_that_is_set_to_nothing_is_not_set() {
    let scene = scene("ttl: 30m").await;
    let fingerprint = scene.ca.server_root().with_colons();
    let args = ["--ca-fingerprint", &fingerprint, "--token-file", "token"];
    let mut command = scene.command(&args);
    command
        .args(CONFIG)
        .env("CA_ROOT_CA", "")
        .env("SECRET_TTL", "");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(scene.ca.asked()[0].validity_duration, 1800);
}

#[tokio::test]
async fn everything_a_fetch_needs_can_stand_in_the_file() {
    let scene = scene("ca-roots: roots.pem\ntoken_file: token\nreplace: true\nattempts: 1\n").await;
    std::fs::create_dir(scene.out()).unwrap();
    std::fs::write(scene.out().join("key.pem"), "somebody's").unwrap();
    let output = scene.run(&CONFIG).await;
    assert!(output.status.success(), "{}", stderr(&output));
}

#[tokio::test]
async fn a_flag_for_one_kind_of_trust_beats_the_file_with_the_other() {
    let scene = scene(&format!("ca-fingerprint: {}", "ab".repeat(32))).await;
    let output = scene.run(&[&FIRST[..], &CONFIG[..]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
}

#[tokio::test]
async fn a_bad_file_is_wrong_usage_and_says_where() {
    let table = [
        ("tttl: 1h", "ttl"),
        ("ttl: soon", "--ttl"),
        ("replace: perhaps", "replace"),
        ("config: other.yaml", "config"),
        ("ttl: [1h, 2h]", "ttl"),
    ];
    for (settings, named) in table {
        let scene = scene(settings).await;
        let output = scene.run(&[&FIRST[..], &CONFIG[..]].concat()).await;
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{settings}: {told}");
        assert!(
            told.contains(named) && told.contains("settings.yaml"),
            "{settings}: {told}"
        );
        assert!(scene.ca.asked().is_empty());
    }
}
