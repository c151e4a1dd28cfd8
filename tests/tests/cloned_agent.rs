//! A disk was copied with its agent's instance id: neither agent speaks for the other, and a rotation waits until the
//! leaves of both have run out.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use serde_json::Value;
use tests::ca::TestCa;
use tests::mesh::Mesh;
use tests::peers::Traffic;
use tests::poll::until;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const LIMIT: Duration = Duration::from_secs(120);

fn json(ca: &TestCa, args: &[&str]) -> Value {
    let args = [args, &["--output", "json"]].concat();
    serde_json::from_str(&ca.operator(&args)).unwrap()
}

fn seconds(value: &Value) -> i64 {
    let date = OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339);
    date.unwrap().unix_timestamp()
}

#[tokio::test]
async fn the_gate_waits_for_the_leaves_of_a_copied_agent_to_expire() {
    let mut mesh = Mesh::new(Duration::from_secs(15));
    let ca = mesh.start(&[]).unwrap();
    let original = mesh.agent(&ca, "cart");
    let copy = mesh.copy_of_agent(&ca, "cart");
    until("two streams", LIMIT, async || {
        (ca.metric("signet_watchers") == 2).then_some(())
    })
    .await;
    let traffic = Traffic::between(&[original.1, copy.1]);
    let id = "spiffe://cluster.local/ns/shop/sa/cart";
    let leaves = json(&ca, &["certs", "list", "--spiffe-id", id]);
    let leaves = leaves.as_array().unwrap();
    let last = leaves.iter().map(|leaf| seconds(&leaf["not_after"])).max();
    let root = mesh.drop_in("second");
    let status = until("the new root alone", LIMIT, async || {
        let is_over = ca.roots_pem() == root;
        is_over.then(|| json(&ca, &["rotate", "status"]))
    })
    .await;
    let journal = status["journal"].as_array().unwrap();
    let signs = |entry: &&Value| entry["what"].as_str().unwrap().contains("signs:");
    let activated = seconds(&journal.iter().find(signs).unwrap()["at"]);
    assert!(Some(activated) > last, "{activated} {last:?} {journal:#?}");
    let seen = traffic.stop();
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(seen.made > 100, "{seen:?}");
}
