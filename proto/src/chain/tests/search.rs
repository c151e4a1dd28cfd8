//! Finding a path.

use super::*;

#[test]
fn order_repeats_strangers_and_roots_in_the_chain_do_not_matter() {
    let root = Ca::root("root", no_change);
    let (upper, stranger) = (
        root.below("upper", no_change),
        Ca::root("stranger", no_change),
    );
    let lower = upper.below("lower", no_change);
    // Same names, other keys: what two clusters of one vendor look like.
    let other_root = Ca::root("root", no_change);
    let namesake = other_root.below("upper", no_change);
    let leaf = lower.svid(no_change);
    let [up, low, out, same, top, other_top] =
        [&upper, &lower, &stranger, &namesake, &root, &other_root].map(|ca| ca.certificate.clone());
    let expected = [&leaf, &low, &up, &top].map(Clone::clone);
    for rest in [
        vec![&low, &up],
        vec![&up, &low],
        vec![&up, &up, &low, &low, &up],
        vec![&out, &same, &other_top, &up, &leaf, &low, &out],
        vec![&top, &up, &low, &top],
    ] {
        let chain: Vec<Certificate> = [&leaf].into_iter().chain(rest).cloned().collect();
        let verified = verify_svid(&chain, &[&stranger, &other_root, &root, &root]).unwrap();
        assert_eq!(verified.path, expected);
    }
}

#[test]
fn a_root_is_trusted_only_when_it_is_among_the_roots() {
    let (root, trusted) = (Ca::root("root", no_change), Ca::root("trusted", no_change));
    let chain = [root.svid(no_change), root.certificate];
    let namesake = Ca::root("root", no_change);
    for (roots, other_key) in [
        (&[][..], false),
        (&[&trusted][..], false),
        (&[&trusted, &namesake][..], true),
    ] {
        let error = verify_svid(&chain, roots).unwrap_err();
        let expected = ChainError::UnknownIssuer {
            subject: cn("root"),
            issuer: cn("root"),
            other_key,
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn the_missing_issuer_is_named() {
    let root = Ca::root("root", no_change);
    let (upper, namesake) = (root.below("upper", no_change), Ca::root("upper", no_change));
    let lower = upper.below("lower", no_change);
    let leaf = lower.svid(no_change);
    let low = lower.certificate;
    let unknown = |subject: &str, issuer: &str, other_key| ChainError::UnknownIssuer {
        subject: subject.to_owned(),
        issuer: cn(issuer),
        other_key,
    };
    for (chain, roots, expected) in [
        (vec![&leaf], vec![&root], unknown(ID, "lower", false)),
        (
            vec![&leaf, &low],
            vec![&root],
            unknown("CN=lower", "upper", false),
        ),
        (
            vec![&leaf, &low],
            vec![&root, &namesake],
            unknown("CN=lower", "upper", true),
        ),
        (
            vec![&leaf, &low, &upper.certificate],
            vec![],
            unknown("CN=upper", "root", false),
        ),
    ] {
        let chain: Vec<Certificate> = chain.into_iter().cloned().collect();
        assert_eq!(verify_svid(&chain, &roots).unwrap_err(), expected);
    }
}

#[test]
fn circles_of_issuers_end() {
    let (key_a, key_b) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let a = Ca::root_with(key_a, "a", no_change);
    let b = Ca::root_with(key_b, "b", no_change);
    let a_by_b = b.sign(&a.params, &a.key);
    let b_by_a = a.sign(&b.params, &b.key);
    let root = Ca::root("root", no_change);
    let chain = [a.svid(no_change), a_by_b, b_by_a];
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    assert!(
        matches!(error, ChainError::UnknownIssuer { .. }),
        "{error:?}"
    );
    let a_by_root = root.sign(&a.params, &a.key);
    let chain: Vec<Certificate> = chain.into_iter().chain([a_by_root]).collect();
    assert_eq!(verify_svid(&chain, &[&root]).unwrap().path.len(), 3);
}

#[test]
fn the_way_up_is_the_shortest_to_a_root_and_goes_round_no_circle() {
    let (a, b) = (Ca::root("a", no_change), Ca::root("b", no_change));
    let root = Ca::root("root", no_change);
    let leaf = a.svid(no_change);
    let (a_by_b, b_by_a) = (b.sign(&a.params, &a.key), a.sign(&b.params, &b.key));
    let b_by_root = root.sign(&b.params, &b.key);
    let mut chain = vec![leaf.clone(), b_by_a, a_by_b.clone()];
    let roots = [root.certificate.clone()];
    let (way, anchored) = way_up(&chain, &roots);
    assert!(!anchored && way.len() == 3, "{way:?}");
    chain.push(b_by_root.clone());
    let to_root = vec![leaf, a_by_b, b_by_root, root.certificate];
    assert_eq!(way_up(&chain, &roots), (to_root, true));
}

#[test]
fn certificates_without_key_ids_are_not_taken_for_changed_ones() {
    let root = Ca::root("root", no_change);
    let namesake = Ca::root("root", |p| p.is_ca = IsCa::NoCa);
    let leaf = root.svid(|p| p.use_authority_key_identifier_extension = false);
    let error = verify_svid(&[leaf], &[&namesake]).unwrap_err();
    assert!(
        matches!(
            error,
            ChainError::UnknownIssuer {
                other_key: true,
                ..
            }
        ),
        "{error:?}"
    );
}

/// Nine CAs of one name that all sign each other.
#[test]
fn a_chain_made_to_be_searched_for_ever_is_given_up_at_once() {
    let root = Ca::root("root", no_change);
    let cas: Vec<Ca> = (0..9).map(|_| Ca::root("same", no_change)).collect();
    let crossed = cas.iter().flat_map(|issuer| {
        let others = cas.iter().filter(move |ca| !std::ptr::eq(*ca, issuer));
        others.map(|ca| issuer.sign(&ca.params, &ca.key))
    });
    let chain: Vec<Certificate> = [cas[0].svid(no_change)]
        .into_iter()
        .chain(crossed)
        .take(60)
        .collect();
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    assert_eq!(error, ChainError::SearchExhausted);
}

#[test]
fn more_versions_of_a_ca_than_anybody_needs_are_not_tried() {
    let root = Ca::root("root", no_change);
    let middle = root.below("middle", no_change);
    let mut chain = vec![middle.svid(no_change)];
    for serial in 1..=17 {
        let mut params = middle.params.clone();
        params.serial_number = Some(vec![serial].into());
        chain.push(root.sign(&params, &middle.key));
    }
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    assert_eq!(error, ChainError::SearchExhausted);
    chain[17] = root.certificate.clone();
    let verified = verify_svid(&chain, &[&root]);
    assert!(verified.is_ok(), "roots do not count: {verified:?}");
}

#[test]
fn signatures_are_checked_up_to_a_limit() {
    let root = Ca::root("root", no_change);
    let mut issuers = vec![root.below("same", no_change)];
    for _ in 0..5 {
        let lower = issuers[0].below("same", no_change);
        issuers.insert(0, lower);
    }
    let mut chain = vec![issuers[0].svid(no_change)];
    chain.extend(issuers.iter().map(|ca| ca.certificate.clone()));
    assert!(verify_svid(&chain, &[&root]).is_ok());
    let strangers = (0..57).map(|_| Ca::root("same", no_change).certificate);
    chain.extend(strangers);
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    assert_eq!(error, ChainError::SearchExhausted);
}

#[test]
fn chains_without_a_leaf_or_of_absurd_length_are_refused() {
    let root = Ca::root("root", no_change);
    assert_eq!(verify_svid(&[], &[&root]).unwrap_err(), ChainError::Empty);
    let long = vec![root.svid(no_change); 65];
    let (found, max) = (65, 64);
    assert_eq!(
        verify_svid(&long, &[&root]).unwrap_err(),
        ChainError::TooLong { found, max }
    );
    assert!(verify_svid(&long[..64], &[&root]).is_ok());
}

#[test]
fn a_good_path_is_found_beside_one_that_breaks_a_rule() {
    let key = || KeyPair::generate().unwrap();
    let root_key = key();
    let again = || KeyPair::from_pem(&root_key.serialize_pem()).unwrap();
    let expired = |p: &mut CertificateParams| p.not_after = date_time_ymd(2029, 1, 1);
    let old_root = Ca::root_with(again(), "root", expired);
    let renewed = Ca::root_with(again(), "root", no_change);
    let tight = Ca::root_with(again(), "root", |p| p.is_ca = path_len(0));
    let middle = renewed.below("middle", no_change);
    let mut weak = middle.params.clone();
    weak.key_usages = vec![Usage::CrlSign];
    let weak = renewed.sign(&weak, &middle.key);
    let chain = [middle.svid(no_change), weak, middle.certificate.clone()];
    for roots in [[&old_root, &tight, &renewed], [&renewed, &tight, &old_root]] {
        let path = verify_svid(&chain, &roots).unwrap().path;
        assert_eq!(path[1], middle.certificate);
        assert_eq!(path[2], renewed.certificate);
    }
}
