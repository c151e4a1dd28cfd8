//! Rules along a path.

use super::*;

/// Items 53 and 54, and the same for the root.
#[test]
fn the_certificate_that_is_out_of_its_time_is_named_with_its_date() {
    let expired = |p: &mut CertificateParams| p.not_after = date_time_ymd(2029, 1, 1);
    let early = |p: &mut CertificateParams| p.not_before = date_time_ymd(2031, 1, 1);
    let after = SystemTime::from(date_time_ymd(2029, 1, 1));
    let before = SystemTime::from(date_time_ymd(2031, 1, 1));
    for which in ["root", "middle", ID] {
        for late in [true, false] {
            let change = |name: &str, p: &mut CertificateParams| match (name == which, late) {
                (true, true) => expired(p),
                (true, false) => early(p),
                _ => {}
            };
            let root = Ca::root("root", |p| change("root", p));
            let middle = root.below("middle", |p| change("middle", p));
            let chain = [middle.svid(|p| change(ID, p)), middle.certificate.clone()];
            let error = verify_svid(&chain, &[&root]).unwrap_err();
            let subject = if which == ID {
                ID.to_owned()
            } else {
                cn(which)
            };
            let expected = match late {
                true => ChainError::Expired {
                    subject,
                    not_after: after,
                },
                false => ChainError::NotYetValid {
                    subject,
                    not_before: before,
                },
            };
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn both_ends_of_a_validity_are_included() {
    let root = Ca::root("root", no_change);
    let chain = [root.svid(no_change)];
    let roots = [root.certificate];
    let second = Duration::from_secs(1);
    let (first, last) = (
        date_time_ymd(2025, 1, 1).into(),
        date_time_ymd(2040, 1, 1).into(),
    );
    for (at, good) in [
        (first - second, false),
        (first, true),
        (last, true),
        (last + Duration::from_millis(999), true),
        (last + second, false),
    ] {
        let result = verify(&chain, &roots, None, Profile::X509Svid, at);
        assert_eq!(result.is_ok(), good, "{at:?}");
    }
}

#[test]
fn a_changed_certificate_is_named() {
    let root = Ca::root("root", no_change);
    let middle = root.below("middle", no_change);
    let (leaf, issuer) = (middle.svid(no_change), middle.certificate);
    let spoilt = |certificate: &Certificate| {
        // Changes a name: the one in the URI, and the subject of the CA.
        let from: &[u8] = if certificate.is_ca() {
            b"\x01\xff"
        } else {
            b"/cart"
        };
        let to: &[u8] = if certificate.is_ca() {
            b"\x01\xff"
        } else {
            b"/card"
        };
        let mut der = certificate.der().to_vec();
        let at = der
            .windows(from.len())
            .rposition(|window| window == from)
            .unwrap();
        der[at..at + to.len()].copy_from_slice(to);
        if certificate.is_ca() {
            let last = der.len() - 1;
            der[last] ^= 1;
        }
        Certificate::from_der(&der).unwrap()
    };
    for (chain, subject) in [
        ([spoilt(&leaf), issuer.clone()], ID.replace("cart", "card")),
        ([leaf.clone(), spoilt(&issuer)], cn("middle")),
    ] {
        let error = verify_svid(&chain, &[&root]).unwrap_err();
        assert_eq!(error, ChainError::BadSignature { subject });
    }
}

#[test]
fn whoever_signs_must_be_a_ca_that_may_sign_certificates() {
    let not_a_ca = |p: &mut CertificateParams| p.is_ca = IsCa::ExplicitNoCa;
    let no_sign = |p: &mut CertificateParams| p.key_usages = vec![Usage::CrlSign];
    let silent = |p: &mut CertificateParams| p.key_usages = Vec::new();
    let build = |upper: &dyn Fn(&mut CertificateParams), lower: &dyn Fn(&mut CertificateParams)| {
        let root = Ca::root("root", upper);
        let middle = root.below("middle", lower);
        verify_svid(&[middle.svid(no_change), middle.certificate], &[&root]).err()
    };
    let no_ca = |name| Some(ChainError::NotACa { subject: cn(name) });
    let no_cert_sign = |name| Some(ChainError::KeyCertSignMissing { subject: cn(name) });
    assert_eq!(build(&not_a_ca, &no_change), no_ca("root"));
    assert_eq!(build(&no_change, &not_a_ca), no_ca("middle"));
    assert_eq!(build(&no_sign, &no_change), no_cert_sign("root"));
    assert_eq!(build(&no_change, &no_sign), no_cert_sign("middle"));
    assert_eq!(build(&silent, &silent), None, "real bundles lack keyUsage");
}

#[test]
fn path_lengths_are_kept_by_roots_and_intermediates_alike() {
    let build = |root_len: Option<u8>, upper_len: Option<u8>, lower_len: Option<u8>| {
        let limit = |len: Option<u8>| {
            move |p: &mut CertificateParams| {
                if let Some(len) = len {
                    p.is_ca = path_len(len);
                }
            }
        };
        let root = Ca::root("root", limit(root_len));
        let upper = root.below("upper", limit(upper_len));
        let lower = upper.below("lower", limit(lower_len));
        let chain = [lower.svid(no_change), lower.certificate, upper.certificate];
        verify_svid(&chain, &[&root]).err()
    };
    let violated = |name, max| {
        Some(ChainError::PathLength {
            subject: cn(name),
            max,
        })
    };
    assert_eq!(build(Some(2), Some(1), Some(0)), None);
    assert_eq!(build(Some(1), None, None), violated("root", 1));
    assert_eq!(build(Some(0), None, None), violated("root", 0));
    assert_eq!(build(None, Some(0), None), violated("upper", 0));
}

/// A CA that changes its key signs the new one with the old one, under the same name (RFC 5280 section 4.2.1.9).
#[test]
fn self_issued_cas_do_not_count_for_path_lengths() {
    let root = Ca::root("root", |p| p.is_ca = path_len(1));
    let new_key = root.below("root", |p| p.is_ca = path_len(1));
    let middle = new_key.below("middle", no_change);
    let leaf = middle.svid(no_change);
    let chain = [leaf, middle.certificate.clone(), new_key.certificate];
    assert_eq!(verify_svid(&chain, &[&root]).unwrap().path.len(), 4);
    let lower = middle.below("lower", no_change);
    let [_, middle, new_key] = chain;
    let chain = [lower.svid(no_change), lower.certificate, middle, new_key];
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    assert!(
        matches!(error, ChainError::PathLength { max: 1, .. }),
        "{error:?}"
    );
}

/// Two keys of one name on one path: webpki tries each key on each signature.
#[test]
fn namesakes_on_the_path_do_not_hide_which_rule_is_broken() {
    let unknown = |p: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        p.custom_extensions = vec![extension];
    };
    let constrained = |p: &mut CertificateParams| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("a.example".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    };
    type Row<'a> = (&'a dyn Fn(&mut CertificateParams), Kind);
    let table: [Row<'_>; 5] = [
        (&|p| p.is_ca = IsCa::ExplicitNoCa, Kind::KeyUsage),
        (&|p| p.is_ca = path_len(0), Kind::PathLength),
        (&unknown, Kind::CriticalExtension),
        (
            &|p| p.extended_key_usages = vec![Eku::ServerAuth],
            Kind::KeyPurpose,
        ),
        (&constrained, Kind::NameConstraints),
    ];
    for (change, kind) in table {
        let root = Ca::root("same", no_change);
        let upper = root.below("same", change);
        let (middle, lower) = (
            upper.below("middle", no_change),
            upper.below("same", no_change),
        );
        let lower = if kind == Kind::PathLength {
            middle
        } else {
            lower
        };
        let leaf = lower.svid(|p| {
            p.subject_alt_names
                .push(SanType::DnsName("b.example".try_into().unwrap()));
        });
        let chain = [leaf, lower.certificate, upper.certificate];
        let error = verify_svid(&chain, &[&root]).unwrap_err();
        assert_eq!(Kind::of(&error), kind, "{error}");
    }
}

/// Items 57 and 58.
#[test]
fn unknown_critical_extensions_and_name_constraints_are_heeded() {
    let root = Ca::root("root", no_change);
    let unknown = |p: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        p.custom_extensions = vec![extension];
    };
    let (oid, subject) = ("1.2.3.4".to_owned(), ID.to_owned());
    let error = verify_svid(&[root.svid(unknown)], &[&root]).unwrap_err();
    assert_eq!(error, ChainError::CriticalExtension { subject, oid });
    let middle = root.below("middle", unknown);
    let chain = [middle.svid(no_change), middle.certificate];
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    let (oid, subject) = ("1.2.3.4".to_owned(), cn("middle"));
    assert_eq!(error, ChainError::CriticalExtension { subject, oid });
    let middle = root.below("middle", |p| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("a.example".to_owned())];
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees,
            excluded_subtrees: Vec::new(),
        });
    });
    let named = |p: &mut CertificateParams| {
        p.subject_alt_names
            .push(SanType::DnsName("b.example".try_into().unwrap()));
    };
    let chain = [middle.svid(named), middle.certificate];
    let error = verify_svid(&chain, &[&root]).unwrap_err();
    assert_eq!(
        error,
        ChainError::NameConstraints {
            subject: ID.to_owned()
        }
    );
}

/// openssl makes these: rcgen has no weak algorithms, and ring makes no RSA keys.
#[test]
fn signature_algorithms_are_an_allow_list() {
    let cas = [("rsa:2048", true), ("rsa:1024", false)];
    for (ca_key, good_key) in cas {
        for (options, good) in [
            ("-sha256", true),
            ("-sha384", true),
            (
                "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
                true,
            ),
            ("-sha1", false),
            ("-sha224", false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("ext"), "subjectAltName=DNS:a.example").unwrap();
            let openssl = |arguments: &str| {
                let mut command = std::process::Command::new("openssl");
                command
                    .args(arguments.split_whitespace())
                    .current_dir(dir.path());
                assert!(
                    command.output().unwrap().status.success(),
                    "openssl {arguments}"
                );
            };
            openssl(&format!(
                "req -x509 -newkey {ca_key} -nodes -keyout ca.key -out ca.pem -subj /CN=root"
            ));
            openssl("req -newkey rsa:2048 -nodes -keyout key -out csr -subj /CN=leaf");
            openssl(&format!(
                "x509 -req -in csr -CA ca.pem -CAkey ca.key -days 1 -extfile ext -out leaf.pem {options}"
            ));
            let [leaf, root] = ["leaf.pem", "ca.pem"].map(|name| {
                let pem = std::fs::read(dir.path().join(name)).unwrap();
                Certificate::all_from_pem(&pem).unwrap().remove(0)
            });
            let at = leaf.facts().not_before + Duration::from_secs(1);
            let result = verify(&[leaf], &[root], None, Profile::Pkix, at);
            if good && good_key {
                assert!(result.is_ok(), "{ca_key} {options}: {result:?}");
                continue;
            }
            let error = result.unwrap_err();
            let ChainError::UnsupportedSignature { subject, .. } = error else {
                panic!("{ca_key} {options}: {error}");
            };
            assert_eq!(subject, cn("leaf"));
        }
    }
}
