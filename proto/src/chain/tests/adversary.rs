//! Certificates that nobody makes by accident.

use super::*;

fn extension(oid: &[u64], value: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value);
    extension.set_criticality(critical);
    extension
}

/// subjectAltName of URIs, each of whatever octets.
fn uris(uris: &[&[u8]]) -> CustomExtension {
    let mut names = Vec::new();
    for octets in uris {
        names.extend([0x86, u8::try_from(octets.len()).unwrap()]);
        names.extend(*octets);
    }
    let value = [&[0x30, u8::try_from(names.len()).unwrap()], &names[..]].concat();
    extension(&[2, 5, 29, 17], value, true)
}

#[test]
fn a_uri_that_is_no_text_counts_as_one() {
    let root = Ca::root("root", no_change);
    let leaf = |names: &[&[u8]]| {
        root.svid(|p| {
            p.subject_alt_names = Vec::new();
            p.custom_extensions = vec![uris(names)];
        })
    };
    let good: &[u8] = b"spiffe://cluster.local/a";
    assert!(verify_svid(&[leaf(&[good])], &[&root]).is_ok());
    let two = Err(SvidRule::Uris { found: 2 });
    for other in [&b"spiffe://cluster.local/\xff"[..], b"\xc3", b""] {
        assert_eq!(svid_id(&leaf(&[good, other])), two, "{other:?}");
        assert_eq!(svid_id(&leaf(&[other, good])), two, "{other:?}");
        assert!(svid_id(&leaf(&[other])).is_err());
    }
}

#[test]
fn one_purpose_must_be_allowed_all_the_way_up() {
    let only = |purpose: Eku| {
        move |p: &mut CertificateParams| p.extended_key_usages = vec![purpose.clone()]
    };
    let root = Ca::root("root", no_change);
    for (upper, lower, good) in [
        (Eku::ServerAuth, Eku::ServerAuth, true),
        (Eku::ClientAuth, Eku::ClientAuth, true),
        (Eku::ClientAuth, Eku::ServerAuth, false),
        (Eku::ServerAuth, Eku::ClientAuth, false),
        (Eku::Any, Eku::ServerAuth, false),
    ] {
        let middle = root.below("middle", only(upper.clone()));
        let chain = [middle.svid(only(lower.clone())), middle.certificate];
        let roots = [root.certificate.clone()];
        let result = verify(&chain, &roots, None, Profile::Pkix, year(2030));
        let found = result.map(|_| ()).map_err(|error| Kind::of(&error));
        let expected = if good { Ok(()) } else { Err(Kind::KeyPurpose) };
        assert_eq!(found, expected, "{upper:?} above {lower:?}");
    }
}

#[test]
fn the_ca_whose_path_length_is_exceeded_is_the_one_that_is_named() {
    let zero = |p: &mut CertificateParams| p.is_ca = path_len(0);
    let root = Ca::root("root", no_change);
    let upper = root.below("upper", zero);
    let lower = upper.below("lower", zero);
    let cas = [lower.certificate.clone(), upper.certificate];
    let chain = [&[lower.svid(no_change)], &cas[..]].concat();
    let (subject, max) = (cn("upper"), 0);
    let expected = Some(ChainError::PathLength { subject, max });
    assert_eq!(verify_svid(&chain, &[&root]).err(), expected);
    // Its new key, signed with the old one: self-issued, so that the lower one is as narrow as it must be.
    let new_key = lower.below("lower", no_change);
    let mut chain = [&[new_key.svid(no_change), new_key.certificate], &cas[..]].concat();
    assert_eq!(verify_svid(&chain, &[&root]).err(), expected);
    chain.reverse();
    chain.rotate_right(1);
    assert_eq!(verify_svid(&chain, &[&root]).err(), expected);
}

#[test]
fn a_ca_of_the_name_with_a_key_of_another_kind_is_another_ca() {
    let root = Ca::root("root", no_change);
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = Ca::root_with(ed25519, "root", no_change);
    for (signer, trusted) in [(&root, &other), (&other, &root)] {
        let chain = [signer.svid(no_change)];
        let (subject, issuer) = (ID.to_owned(), cn("root"));
        let expected = ChainError::UnknownIssuer {
            subject,
            issuer,
            other_key: true,
        };
        assert_eq!(verify_svid(&chain, &[trusted]).unwrap_err(), expected);
    }
}

#[test]
fn a_root_that_cannot_be_used_is_named() {
    let root = Ca::root("root", no_change);
    let mut der = root.certificate.der().to_vec();
    let version = [0xa0, 3, 2, 1];
    let at = der.windows(4).position(|four| four == version).unwrap();
    der[at + 4] = 1;
    let version_2 = Certificate::from_der(&der).unwrap();
    let chain = [root.svid(no_change)];
    let verify = |roots: &[Certificate]| {
        let verified = verify(&chain, roots, None, Profile::X509Svid, year(2030));
        verified.err()
    };
    let (subject, reason) = (cn("root"), "webpki calls it BadDer".to_owned());
    assert_eq!(
        verify(std::slice::from_ref(&version_2)),
        Some(ChainError::Malformed { subject, reason })
    );
    assert_eq!(verify(&[version_2, root.certificate]), None);
}

#[test]
fn an_extension_stands_once_and_fills_its_place() {
    let root = Ca::root("root", no_change);
    let made = |extensions: Vec<CustomExtension>| {
        let mut params = dated();
        params.custom_extensions = extensions;
        let issuer = rcgen::Issuer::from_params(&root.params, &root.key);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &issuer).unwrap();
        Certificate::from_der(made.der()).map(|_| ())
    };
    let unknown = |value: &[u8]| extension(&[1, 2, 3], value.to_vec(), false);
    let usage = |value: &[u8]| extension(&[2, 5, 29, 15], value.to_vec(), true);
    let repeated = |oid: &str| Err(CertificateError::Repeated { oid: oid.into() });
    let oid = "2.5.29.15".to_owned();
    for (extensions, expected) in [
        (
            vec![unknown(b"not even DER"), usage(&[3, 2, 7, 0x80])],
            Ok(()),
        ),
        (vec![unknown(&[5, 0]), unknown(&[5, 0])], repeated("1.2.3")),
        (
            vec![uris(&[b"a:b"]), uris(&[b"c:d"])],
            repeated("2.5.29.17"),
        ),
        (
            vec![usage(&[3, 2, 7, 0x80, 0])],
            Err(CertificateError::Extension { oid }),
        ),
    ] {
        assert_eq!(made(extensions), expected);
    }
}

#[test]
fn whoever_has_no_name_is_said_to_have_none() {
    let root = Ca::root("root", no_change);
    let leaf = root.svid(|p| p.subject_alt_names = Vec::new());
    let name = "a.example".try_into().unwrap();
    let error = verify_tls_server(&[leaf], &[root.certificate], &name, year(2030)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a certificate for a.example, found one without DNS and IP names"
    );
}

#[test]
fn what_is_malformed_is_said_in_words() {
    let root = Ca::root("root", no_change);
    let verify = |change: fn(&mut CertificateParams)| {
        let chain = [root.svid(change)];
        let roots = [root.certificate.clone()];
        verify(&chain, &roots, None, Profile::Pkix, year(2030))
            .unwrap_err()
            .to_string()
    };
    let said = verify(|p| p.not_before = date_time_ymd(2041, 1, 1));
    assert!(said.contains("it ends before it begins"), "{said}");
    let said = verify(|p| {
        p.extended_key_usages = Vec::new();
        p.custom_extensions = vec![extension(&[2, 5, 29, 37], vec![0x30, 0], false)];
    });
    assert!(said.contains("extendedKeyUsage is empty"), "{said}");
}

#[test]
fn a_signature_is_of_whole_octets() {
    let root = Ca::root("root", no_change).certificate;
    let spki = &root.facts().spki_der;
    assert_eq!(signature(root.der(), spki), Signature::Good);
    let mut der = root.der().to_vec();
    let is_bits = |four: &[u8]| matches!(four, [3, _, 0, 0x30]);
    let bits = der.windows(4).rposition(is_bits).unwrap();
    der[bits + 2] = 4;
    assert_eq!(signature(&der, spki), Signature::Unsupported);
}
