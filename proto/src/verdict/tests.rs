use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose as Usage;
use rcgen::SanType;
use rcgen::date_time_ymd;

use super::*;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Leaf, then the root: the leaf ends a day after the root does, or before, as the test wants.
fn pair(leaf_end: (i32, u8, u8)) -> [Certificate; 2] {
    let key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![Usage::KeyCertSign];
    root.not_before = date_time_ymd(2025, 1, 1);
    root.not_after = date_time_ymd(2030, 1, 2);
    let root_der = root.self_signed(&key).unwrap();
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.subject_alt_names = vec![SanType::URI(CART.try_into().unwrap())];
    leaf.key_usages = vec![Usage::DigitalSignature];
    leaf.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
    leaf.not_before = date_time_ymd(2025, 1, 1);
    leaf.not_after = date_time_ymd(leaf_end.0, leaf_end.1, leaf_end.2);
    let issuer = Issuer::from_params(&root, &key);
    let leaf = leaf
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    [leaf.der(), root_der.der()].map(|der| Certificate::from_der(der).unwrap())
}

fn ask<'a>(chain: &'a [Certificate], roots: &'a [Certificate]) -> Question<'a> {
    Question {
        chain,
        roots,
        trust_domain: None,
        spiffe_id: None,
        profile: Profile::X509Svid,
        at: date_time_ymd(2030, 1, 1).into(),
    }
}

#[test]
fn the_time_left_is_that_of_the_certificate_that_ends_first() {
    for (leaf_end, left) in [((2031, 1, 1), 86_400), ((2030, 1, 1), 0)] {
        let [leaf, root] = pair(leaf_end);
        let (chain, roots) = ([leaf.clone()], [root.clone()]);
        let verdict = ask(&chain, &roots).verdict();
        assert_eq!(
            (verdict.kind, verdict.seconds_left),
            (Kind::Valid, Some(left))
        );
        assert_eq!(verdict.spiffe_id.unwrap().as_str(), CART);
        let prints: Vec<Fingerprint> = verdict.path.iter().map(|one| one.sha256).collect();
        assert_eq!(prints, [leaf.fingerprint(), root.fingerprint()]);
        assert_eq!(verdict.path[0].names, [CART]);
    }
}

#[test]
fn a_bad_chain_still_shows_its_way_up_and_has_no_time_left() {
    let [leaf, root] = pair((2031, 1, 1));
    let (chain, roots) = ([leaf], [root]);
    let mut question = ask(&chain, &roots);
    question.at += Duration::from_secs(3 * 86_400);
    let verdict = question.verdict();
    assert_eq!((verdict.kind, verdict.seconds_left), (Kind::Expired, None));
    assert_eq!(
        verdict.rule.unwrap().section,
        "RFC 5280 section 6.1.3 (a)(2)"
    );
    assert_eq!((verdict.path.len(), verdict.anchored), (2, true));
    let strangers = [pair((2031, 1, 1))[1].clone()];
    let verdict = ask(&chain, &strangers).verdict();
    assert_eq!(verdict.kind, Kind::UnknownIssuer);
    assert_eq!((verdict.path.len(), verdict.anchored), (1, false));
}

#[test]
fn somebody_else_and_another_trust_domain_are_told_apart() {
    let [leaf, root] = pair((2031, 1, 1));
    let (chain, roots) = ([leaf], [root]);
    let other = "spiffe://cluster.local/ns/shop/sa/till".parse().unwrap();
    let domain = "elsewhere".parse().unwrap();
    let mut question = ask(&chain, &roots);
    question.spiffe_id = Some(&other);
    let verdict = question.verdict();
    assert_eq!(verdict.kind, Kind::WrongSpiffeId);
    assert_eq!(verdict.reason, format!("expected {other}, found {CART}"));
    question.trust_domain = Some(&domain);
    assert_eq!(question.verdict().kind, Kind::WrongTrustDomain);
}

#[test]
fn what_the_issuer_forbids_is_not_valid_whatever_its_chain_says() {
    let [leaf, root] = pair((2031, 1, 1));
    let (chain, roots) = ([leaf], [root]);
    let verdict = ask(&chain, &roots).verdict().denied("by serial".to_owned());
    assert_eq!((verdict.kind, verdict.is_valid()), (Kind::Denied, false));
    assert_eq!((verdict.seconds_left, verdict.path.len()), (None, 2));
}

#[test]
fn nothing_is_looked_for_in_a_chain_that_is_too_long() {
    let [leaf, root] = pair((2031, 1, 1));
    let (mut chain, roots) = (vec![leaf], [root.clone()]);
    chain.resize(64, root.clone());
    assert_eq!(ask(&chain, &roots).verdict().kind, Kind::Valid);
    chain.push(root);
    let verdict = ask(&chain, &roots).verdict();
    assert_eq!((verdict.kind, verdict.path.len()), (Kind::TooComplex, 1));
}
