//! Rules of leaves.

use super::*;

type Change = fn(&mut CertificateParams);

fn assert_refused(table: &[(Change, SvidRule)]) {
    let root = Ca::root("root", no_change);
    for (change, rule) in table {
        let result = verify_svid(&[root.svid(change)], &[&root]);
        let rule = rule.clone();
        assert_eq!(result.err(), Some(ChainError::NotASvid { rule }));
    }
}

/// Items 45 to 49 of the conformance checklist.
#[test]
fn a_leaf_whose_names_are_not_those_of_an_svid_is_refused_by_its_rule() {
    assert_refused(&[
        (
            |p| p.subject_alt_names.push(uri("spiffe://cluster.local/b")),
            SvidRule::Uris { found: 2 },
        ),
        (
            |p| p.subject_alt_names.push(uri("https://a.example")),
            SvidRule::Uris { found: 2 },
        ),
        (
            |p| p.subject_alt_names = vec![SanType::DnsName("a".try_into().unwrap())],
            SvidRule::Uris { found: 0 },
        ),
        (
            |p| p.subject_alt_names = Vec::new(),
            SvidRule::Uris { found: 0 },
        ),
        (
            |p| p.subject_alt_names = vec![uri("spiffe://cluster.local")],
            SvidRule::PathMissing,
        ),
        (
            |p| p.subject_alt_names = vec![uri("https://a.example/x")],
            SvidRule::SpiffeId(SpiffeIdError::Scheme),
        ),
        (
            |p| p.subject_alt_names = vec![uri("spiffe://td//x")],
            SvidRule::SpiffeId(SpiffeIdError::EmptySegment),
        ),
        (
            |p| {
                p.subject_alt_names = Vec::new();
                let names = [&[0x30, 16, 0x86, 14][..], b"spiffe://td/ab"].concat();
                p.custom_extensions =
                    vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], names)];
            },
            SvidRule::SubjectAltNameNotCritical,
        ),
    ]);
}

/// Items 50 to 52, and what X509-SVID section 4 asks for beside.
#[test]
fn a_leaf_whose_usages_are_not_those_of_an_svid_is_refused_by_its_rule() {
    assert_refused(&[
        (
            |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            SvidRule::LeafIsCa,
        ),
        (
            |p| p.key_usages.push(Usage::KeyCertSign),
            SvidRule::KeyCertSign,
        ),
        (|p| p.key_usages.push(Usage::CrlSign), SvidRule::CrlSign),
        (
            |p| p.key_usages = vec![Usage::KeyEncipherment],
            SvidRule::DigitalSignatureMissing,
        ),
        (|p| p.key_usages = Vec::new(), SvidRule::KeyUsageMissing),
        (
            |p| {
                p.key_usages = Vec::new();
                let usage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80]);
                p.custom_extensions = vec![usage];
            },
            SvidRule::KeyUsageNotCritical,
        ),
        (
            |p| p.extended_key_usages = vec![Eku::ServerAuth],
            SvidRule::ExtendedKeyUsage,
        ),
        (
            |p| p.extended_key_usages = vec![Eku::ClientAuth, Eku::CodeSigning],
            SvidRule::ExtendedKeyUsage,
        ),
    ]);
}

#[test]
fn an_svid_is_good_with_other_names_a_subject_and_no_extended_key_usage() {
    let table: [Change; 4] = [
        no_change,
        |p| {
            p.subject_alt_names
                .push(SanType::DnsName("a.example".try_into().unwrap()));
        },
        |p| p.distinguished_name.push(DnType::CommonName, "cart"),
        |p| p.extended_key_usages = Vec::new(),
    ];
    let root = Ca::root("root", no_change);
    let middle = root.below("middle", no_change);
    for change in table {
        let chain = [middle.svid(change), middle.certificate.clone()];
        let verified = verify_svid(&chain, &[&root]).unwrap();
        assert_eq!(verified.spiffe_id.unwrap().as_str(), ID);
        let [leaf, issuer] = chain;
        assert_eq!(verified.path, [leaf, issuer, root.certificate.clone()]);
    }
}

/// Item 55, both ways round.
#[test]
fn an_svid_of_another_trust_domain_is_refused() {
    let (root, other_root) = (Ca::root("root", no_change), Ca::root("other", no_change));
    let leaf = root.svid(no_change);
    let domain = "other.domain".parse().unwrap();
    let at = year(2030);
    let verify = |roots: &Ca| {
        let roots = [roots.certificate.clone()];
        verify(
            std::slice::from_ref(&leaf),
            &roots,
            Some(&domain),
            Profile::X509Svid,
            at,
        )
        .err()
    };
    let (expected, found) = (domain.clone(), ID.parse().unwrap());
    assert_eq!(
        verify(&root),
        Some(ChainError::WrongTrustDomain { expected, found })
    );
    assert!(matches!(
        verify(&other_root),
        Some(ChainError::UnknownIssuer { .. })
    ));
}

#[test]
fn purposes_of_leaf_and_cas_must_allow_what_is_verified() {
    let only = |purpose: Eku| {
        move |p: &mut CertificateParams| p.extended_key_usages = vec![purpose.clone()]
    };
    let root = Ca::root("root", no_change);
    let name = "a.example".try_into().unwrap();
    for (purpose, pkix, server) in [
        (Eku::ServerAuth, true, true),
        (Eku::ClientAuth, true, false),
        (Eku::CodeSigning, false, false),
    ] {
        let leaf = root.svid(|p| {
            only(purpose.clone())(p);
            p.subject_alt_names
                .push(SanType::DnsName("a.example".try_into().unwrap()));
        });
        let (chain, roots) = ([leaf], [root.certificate.clone()]);
        let result = verify(&chain, &roots, None, Profile::Pkix, year(2030));
        assert_eq!(result.is_ok(), pkix, "{purpose:?}");
        let result = verify_tls_server(&chain, &roots, &name, year(2030));
        assert_eq!(result.is_ok(), server, "{purpose:?}");
    }
    let middle = root.below("middle", only(Eku::ServerAuth));
    let chain = [middle.svid(no_change), middle.certificate];
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    assert!(matches!(error, ChainError::KeyPurpose { .. }), "{error:?}");
}

/// RFC 5280 section 4.2.1.3: without keyUsage everything is allowed.
#[test]
fn a_leaf_may_do_one_thing_at_least_that_handshakes_need() {
    let root = Ca::root("root", no_change);
    let roots = [root.certificate.clone()];
    let name = "a.example".try_into().unwrap();
    let table: [(&[Usage], bool); 5] = [
        (&[], true),
        (&[Usage::DigitalSignature], true),
        (&[Usage::KeyEncipherment], true),
        (&[Usage::KeyAgreement], true),
        (&[Usage::ContentCommitment, Usage::CrlSign], false),
    ];
    for (usages, good) in table {
        let chain = [root.svid(|p| {
            p.key_usages = usages.to_vec();
            p.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
        })];
        let subject = "a.example".to_owned();
        let expected = (!good).then_some(ChainError::LeafKeyUsage { subject });
        let pkix = verify(&chain, &roots, None, Profile::Pkix, year(2030));
        assert_eq!(pkix.err(), expected, "{usages:?}");
        let server = verify_tls_server(&chain, &roots, &name, year(2030));
        assert_eq!(server.err(), expected, "{usages:?}");
    }
}

#[test]
fn a_ca_is_no_leaf_for_any_profile() {
    let root = Ca::root("root", no_change);
    let middle = root.below("middle", no_change);
    let roots = [root.certificate];
    let result = verify(
        &[middle.certificate],
        &roots,
        None,
        Profile::Pkix,
        year(2030),
    );
    let subject = cn("middle");
    assert_eq!(result.err(), Some(ChainError::LeafIsCa { subject }));
    let result = verify(&roots, &roots, None, Profile::Pkix, year(2030));
    let subject = cn("root");
    assert_eq!(result.err(), Some(ChainError::LeafIsCa { subject }));
}

#[test]
fn a_tls_server_is_known_by_its_dns_and_ip_names_only() {
    let root = Ca::root("root", no_change);
    let leaf = root.svid(|p| {
        p.distinguished_name
            .push(DnType::CommonName, "subject.example");
        p.subject_alt_names = vec![
            SanType::DnsName("ca.example".try_into().unwrap()),
            SanType::IpAddress("10.0.0.1".parse().unwrap()),
        ];
    });
    let (chain, roots) = ([leaf], [root.certificate]);
    let verify = |name: &'static str| {
        let name = ServerName::try_from(name).unwrap();
        verify_tls_server(&chain, &roots, &name, year(2030)).err()
    };
    for name in ["ca.example", "CA.example", "10.0.0.1"] {
        assert_eq!(verify(name), None, "{name}");
    }
    for name in ["subject.example", "other.example", "10.0.0.2", "example"] {
        let expected = name.to_owned();
        let found = vec!["ca.example".to_owned(), "10.0.0.1".to_owned()];
        assert_eq!(
            verify(name),
            Some(ChainError::WrongName { expected, found })
        );
    }
}
