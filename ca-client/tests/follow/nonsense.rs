//! What makes no sense changes nothing.

use proto::certificate::Fingerprint;
use proto::signet::RenewBy;
use proto::signet::Roots;
use proto::signet::TrustBundle;

use crate::CART;
use crate::pki::Leaf;
use crate::pki::new_key;
use crate::scene::Scene;
use crate::scene::until;
use crate::trust_ca::bundle;

/// What the CA may send, by what is wrong with it.
fn nonsense(scene: &Scene) -> Vec<(&'static str, TrustBundle)> {
    let good = || bundle(9, &[&scene.a, &scene.b]);
    let with = |change: &dyn Fn(&mut TrustBundle)| {
        let mut bundle = good();
        change(&mut bundle);
        bundle
    };
    let roots = |certificates: Vec<Vec<u8>>| {
        let mut bundle = good();
        bundle
            .domains
            .insert("cluster.local".to_owned(), Roots { certificates });
        bundle
    };
    let leaf = scene.a.leaf_for(&new_key(), &Leaf::named(CART));
    let leaf = pem::parse(leaf).unwrap().into_contents();
    let root = scene.a.root.der().to_vec();
    let fingerprint = |der: &[u8]| Fingerprint::of(der).to_string();
    vec![
        ("is empty", TrustBundle::default()),
        ("no number", with(&|it| it.number = 0)),
        ("no domains", with(&|it| it.domains.clear())),
        ("no roots", roots(vec![])),
        (
            "another domain",
            with(&|it| it.trust_domain = "other.example".to_owned()),
        ),
        ("garbage", roots(vec![root.clone(), b"garbage".to_vec()])),
        (
            "trailing garbage",
            roots(vec![[root.as_slice(), b"x"].concat()]),
        ),
        ("a leaf", roots(vec![root.clone(), leaf])),
        ("too many", roots(vec![root.clone(); 2000])),
        (
            "bad fingerprint",
            with(&|it| it.distrusted = vec!["A".to_owned()]),
        ),
        (
            "all distrusted",
            with(&|it| {
                it.distrusted = vec![
                    fingerprint(scene.a.root.der()),
                    fingerprint(scene.b.root.der()),
                ];
            }),
        ),
        (
            "bad advice",
            with(&|it| it.renew_by = Some(RenewBy::default())),
        ),
        ("roots of others", bundle(9, &[&scene.b])),
    ]
}

#[tokio::test]
async fn nonsense_changes_nothing_and_is_told_and_sense_after_it_counts() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    for (index, (what, message)) in nonsense(&scene).into_iter().enumerate() {
        scene.ca.push(message);
        let wanted = u64::try_from(index).unwrap() + 1;
        until(what, || agent.status.borrow().trust.refused >= wanted).await;
        assert_eq!(agent.status.borrow().trust.number, Some(5), "{what}");
        assert!(scene.has_roots(&[&scene.a]), "{what}");
    }
    let failure = agent.status.borrow().trust.last_failure.clone().unwrap();
    assert_eq!(failure.reason, "bad-trust-bundle");
    scene.push_both(|_| {}).await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
}

#[tokio::test]
async fn a_bundle_of_megabytes_is_not_read() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    let mut huge = bundle(6, &[&scene.a, &scene.b]);
    huge.crls = vec![vec![0; 64 * 1024 * 1024]];
    scene.ca.push(huge);
    until("a failure", || agent.status.borrow().trust.failures > 1).await;
    let failure = agent.status.borrow().trust.last_failure.clone().unwrap();
    assert!(failure.message.contains("larger than 4194304 bytes"));
    assert_eq!(agent.status.borrow().trust.number, Some(5));
    scene.push_both(|_| {}).await;
}

#[tokio::test]
async fn roots_that_need_another_certificate_come_with_one() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    {
        let mut state = scene.ca.state();
        state.signer = std::sync::Arc::clone(&scene.b);
        state.answered = (Some(7), vec![std::sync::Arc::clone(&scene.b)]);
    }
    scene.ca.push(bundle(7, &[&scene.b]));
    until("the new roots", || scene.has_roots(&[&scene.b])).await;
    assert!(scene.openssl_agrees());
    assert_eq!(agent.status.borrow().renewals, 2);
}
