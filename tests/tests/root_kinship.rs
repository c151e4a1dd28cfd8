//! Roots that are related: one that was certified again, and one that the root before signed across. Nobody who knows
//! only one of them is left alone, and what is not needed any more goes.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::jwt::unix_now;
use tests::poll::until;
use tests::rotation::signer;
use tests::rotation::status;
use tests::witness::Witness;
use tests::workshop::Workshop;

const LIMIT: Duration = Duration::from_secs(60);

fn ders(pem: &str) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(pem).unwrap();
    blocks.into_iter().map(pem::Pem::into_contents).collect()
}

/// A leaf, what is sent after it, and all roots last.
async fn issue(ca: &TestCa) -> Vec<String> {
    // Whom the server is known to may change between a look at its roots and the handshake.
    let mut agent = Agent::connect_unverified(ca.grpc, &[&ca.token(CART)]).await;
    agent.create(&key_and_csr(CART).1, 0).await.unwrap()
}

/// Leaves of all times, each to be accepted by the bundle of any later time as long as it lives.
#[derive(Default)]
struct Leaves(Vec<Witness>);

impl Leaves {
    /// One more, and every one that lives verifies by the bundle that is out, and the new one also by those in `alone`.
    async fn judge(&mut self, ca: &TestCa, alone: &[&str], when: &str) {
        self.0.retain(Witness::is_alive);
        let chain = issue(ca).await;
        let (_roots, sent) = chain.split_last().unwrap();
        let newest = Witness::in_pem(sent);
        for roots in alone {
            newest.insist(roots, when);
        }
        self.0.push(newest);
        let roots = ca.roots_pem();
        self.0.iter().for_each(|leaf| leaf.insist(&roots, when));
    }
}

/// A root that ends in a day and `seconds`: where it was certified again, it leaves a day before its end.
fn root_that_ends(seconds: u32) -> String {
    format!(
        "req a root-a; end=$(date -u -d '+1 day +{seconds} sec' +%Y%m%d%H%M%SZ)
         ca -selfsign -keyfile a.key -in a.csr -startdate $SINCE -enddate $end -out a.pem"
    )
}

/// The bundle's number once it is above `number`: metrics are a moment behind.
async fn number_above(ca: &TestCa, number: u64) -> u64 {
    until("a higher number", LIMIT, async || {
        Some(ca.metric("signet_trust_bundle_number")).filter(|it| *it > number)
    })
    .await
}

/// The operator's `root-cert.pem` becomes what `roots` makes, and the bundle what is promised.
async fn is_certified_again(roots: &str) {
    let work = Workshop::new();
    work.run(&format!(
        "{}; issuer a-ca a; put a-ca a; again a a2; {roots} > roots.pem",
        root_that_ends(14)
    ));
    let (old, new) = (work.read("a.pem"), work.read("a2.pem"));
    let ca = work.start();
    let mut leaves = Leaves::default();
    leaves.judge(&ca, &[&old, &new], "before").await;
    let number = ca.metric("signet_trust_bundle_number");
    work.run("put a-ca roots");
    let both = [ders(&new), ders(&old)].concat();
    until("new and old, in this order", LIMIT, async || {
        leaves.judge(&ca, &[&old, &new], "until both are out").await;
        (ders(&ca.roots_pem()) == both).then_some(())
    })
    .await;
    let with_both = number_above(&ca, number).await;
    until("the new one alone", LIMIT, async || {
        leaves.judge(&ca, &[&old, &new], "while both are out").await;
        let roots = ders(&ca.roots_pem());
        assert!(roots == both || roots == ders(&new));
        (roots == ders(&new)).then_some(())
    })
    .await;
    number_above(&ca, with_both).await;
    // Its end is still most of a day away, and who has it only is served.
    leaves.judge(&ca, &[&old, &new], "afterwards").await;
}

#[tokio::test]
async fn a_root_that_was_certified_again_comes_before_the_old_one_which_leaves_with_its_leaves() {
    is_certified_again("cat a2.pem").await;
}

#[tokio::test]
async fn a_root_that_is_listed_beside_what_it_was_certified_again_leaves_before_its_end() {
    is_certified_again("cat a.pem a2.pem").await;
}

#[tokio::test]
async fn an_issuer_under_a_root_that_was_certified_again_signs_although_nobody_acknowledged_anything()
 {
    let work = Workshop::new();
    work.run("root a root-a; issuer a-ca a; put a-ca a; again a a2; issuer b-ca a2");
    let (old, new) = (work.read("a.pem"), work.read("a2.pem"));
    let ca = work.start();
    let mut leaves = Leaves::default();
    leaves.judge(&ca, &[&old, &new], "before").await;
    let held = leaves.0[0].not_after;
    let before = signer(&status(&ca), "active");
    work.run("put b-ca a2");
    until("another signer", LIMIT, async || {
        leaves.judge(&ca, &[&old, &new], "until it signs").await;
        (signer(&status(&ca), "active") != before).then_some(())
    })
    .await;
    assert!(unix_now() < held, "its gate waited for a leaf");
    until("the end", LIMIT, async || {
        leaves.judge(&ca, &[&old, &new], "until the end").await;
        (status(&ca)["phase"] == "steady").then_some(())
    })
    .await;
    assert_eq!(ders(&ca.roots_pem())[0], ders(&new)[0]);
}

/// How many certificates are sent between leaf and roots, and the roots.
async fn sent(ca: &TestCa) -> (Vec<String>, Vec<Vec<u8>>) {
    let mut chain = issue(ca).await;
    let roots = ders(&chain.pop().unwrap());
    (chain, roots)
}

#[tokio::test]
async fn what_the_old_root_of_our_own_signed_across_is_sent_until_it_retires_and_not_afterwards() {
    let flags = ["--min-ttl=1s", "--default-ttl=4s", "--max-ttl=8s"];
    let ca = TestCa::start_with(Setup {
        flags: flags.map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    let old = ca.roots_pem();
    let (chain, _) = sent(&ca).await;
    assert_eq!(chain.len(), 2, "leaf and issuer");
    Witness::in_pem(&chain).insist(&old, "before");
    let _started = ca.operator(&["rotate", "start"]);
    let activated = ca.operator(&["rotate", "activate", "--output", "json"]);
    assert!(activated.contains("draining"), "{activated}");
    let new = ca.roots_pem().replace(&old, "");
    let (chain, roots) = sent(&ca).await;
    assert_eq!((chain.len(), roots.len()), (3, 2), "the cross-certificate");
    for roots in [&old, &new] {
        let said = Witness::in_pem(&chain).judged_by(roots);
        assert!(said.ok, "{}", said.text);
    }
    let lone = [chain[0].clone(), chain[1].clone()];
    assert!(!Witness::in_pem(&lone).judged_by(&old).ok, "it needs it");
    until("the old one may go", LIMIT, async || {
        let retired = ca.try_operator(&["rotate", "retire"]);
        retired.status.success().then_some(())
    })
    .await;
    let (chain, roots) = sent(&ca).await;
    assert_eq!((chain.len(), roots.len()), (2, 1), "no cross-certificate");
    assert_eq!(ders(&ca.roots_pem()), ders(&new));
    Witness::in_pem(&chain).insist(&new, "afterwards");
}

#[tokio::test]
async fn what_an_operators_old_root_signed_across_is_sent_as_long_as_it_is_in_the_files() {
    let work = Workshop::new();
    work.run("root a root-a; issuer a-ca a; put a-ca a");
    let ca = work.start();
    let _leaf = issue(&ca).await;
    work.run("root b root-b; sign across b a; issuer b-ca b; put b-ca b across.pem");
    let across = ders(&work.read("across.pem"));
    let is_sent = |chain: &[String]| chain.iter().any(|one| ders(one) == across);
    until("leaves of the new one", LIMIT, async || {
        is_sent(&sent(&ca).await.0).then_some(())
    })
    .await;
    until("the new root alone", LIMIT, async || {
        let (chain, roots) = sent(&ca).await;
        assert!(is_sent(&chain), "it is the operator's to take away");
        (roots.len() == 1).then_some(())
    })
    .await;
    let number = || status(&ca)["bundle_number"].clone();
    let before = number();
    work.run("put b-ca b");
    until("nothing across", LIMIT, async || {
        let (chain, _) = sent(&ca).await;
        Witness::in_pem(&chain).insist(&ca.roots_pem(), "all the time");
        (!is_sent(&chain)).then_some(())
    })
    .await;
    // What is sent along is no part of the bundle.
    assert_eq!(number(), before);
}
