use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;

use super::*;
use crate::x509::csr::Csr;
use crate::x509::openssl::OpenSsl;
use crate::x509::openssl::P256;
use crate::x509::openssl::P384;
use crate::x509::openssl::RSA;

const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const RSA_SHA256: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00";
const ID: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const SERIAL: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// A CA of openssl's making, which also signs with openssl.
struct Ca {
    openssl: OpenSsl,
    certificate: Certificate,
    algorithm_der: &'static [u8],
}

impl Ca {
    fn new(key: &str, subject: &str) -> Self {
        let openssl = OpenSsl::new();
        openssl.run(&format!("genpkey {key} -out ca.key"));
        openssl.run(&format!(
            "req -x509 -key ca.key -sha256 -days 36500 -addext keyUsage=critical,keyCertSign -subj {subject} -out ca.pem"
        ));
        let certificate = Certificate::all_from_pem(&openssl.read("ca.pem")).unwrap();
        let algorithm_der = if key == RSA { RSA_SHA256 } else { ECDSA_SHA256 };
        let certificate = certificate.into_iter().next().unwrap();
        Self {
            openssl,
            certificate,
            algorithm_der,
        }
    }

    fn fields(&self) -> IssuerFields<'_> {
        IssuerFields {
            subject_der: &self.certificate.facts().subject_der,
            key_id: self.certificate.facts().subject_key_id.as_ref().unwrap(),
            signature_algorithm_der: self.algorithm_der,
        }
    }

    fn sign(&self, template: &LeafTemplate<'_>) -> Vec<u8> {
        let tbs = encode_tbs(template, &self.fields());
        self.openssl.write("tbs.der", &tbs);
        self.openssl
            .run("dgst -sha256 -sign ca.key -out signature tbs.der");
        let signature = self.openssl.read("signature");
        let leaf = assemble(&tbs, self.algorithm_der, &signature);
        self.openssl.write("leaf.der", &leaf);
        leaf
    }

    fn key(&self, kind: &str) -> PublicKey {
        let csr = Csr::from_pem(&self.openssl.csr(kind, "-subj /")).unwrap();
        csr.public_key().clone()
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn template<'a>(name: &'a LeafName, public_key: &'a PublicKey) -> LeafTemplate<'a> {
    LeafTemplate {
        serial: Serial::from(SERIAL),
        name,
        validity: Validity::new(at(1_800_000_000), at(4_000_000_000)).unwrap(),
        public_key,
    }
}

fn workload() -> LeafName {
    LeafName::Workload(ID.parse().unwrap())
}

#[test]
fn openssl_verifies_leaves_of_every_kind_of_key_under_every_kind_of_ca() {
    // RDNs that repeat, and one with two values.
    let subject = "/DC=com/DC=example/O=cert-manager+O=cluster.local/CN=istio-ca";
    for (ca_key, leaf_key) in [(P256, P256), (P256, P384), (RSA, RSA), (RSA, P256)] {
        let ca = Ca::new(ca_key, subject);
        let (name, key) = (workload(), ca.key(leaf_key));
        let leaf = ca.sign(&template(&name, &key));
        check(&leaf, &template(&name, &key), &ca.fields()).unwrap();
        ca.openssl
            .run("x509 -inform DER -in leaf.der -out leaf.pem");
        for purpose in ["sslserver", "sslclient"] {
            ca.openssl.run(&format!(
                "verify -x509_strict -attime 3900000000 -purpose {purpose} -CAfile ca.pem leaf.pem"
            ));
        }
    }
}

#[test]
fn openssl_prints_a_workload_leaf_as_the_profile_wants_it() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let (name, key) = (workload(), ca.key(P256));
    ca.sign(&template(&name, &key));
    let text = ca.openssl.run("x509 -inform DER -in leaf.der -noout -text");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text = lines.join("\n");
    for expected in [
        "Version: 3 (0x2)",
        "Serial Number:\n01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10",
        "Not Before: Jan 15 08:00:00 2027 GMT\nNot After : Oct  2 07:06:40 2096 GMT",
        "Subject:\n",
        "X509v3 Key Usage: critical\nDigital Signature\n",
        "X509v3 Extended Key Usage:\nTLS Web Server Authentication, TLS Web Client Authentication\n",
        "X509v3 Basic Constraints: critical\nCA:FALSE\n",
        "X509v3 Subject Key Identifier:\n",
        "X509v3 Authority Key Identifier:\n",
        "X509v3 Subject Alternative Name: critical\nURI:spiffe://cluster.local/ns/shop/sa/cart\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let extensions = lines.iter().filter(|line| line.starts_with("X509v3 "));
    assert_eq!(extensions.count(), 7, "six and the headline: {text}");
}

#[test]
fn openssl_prints_what_differs_by_key_and_name() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let serving = LeafName::Serving {
        dns_names: vec!["istiod.istio-system.svc".to_owned(), "ca".to_owned()],
        ip_addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
    };
    for (name, key, purposes, names) in [
        (
            serving,
            P256,
            "TLS Web Server Authentication",
            "DNS:istiod.istio-system.svc, DNS:ca, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1",
        ),
        (
            LeafName::Trial,
            RSA,
            "TLS Web Server Authentication, TLS Web Client Authentication",
            "URI:urn:signet:trial",
        ),
    ] {
        let key = ca.key(key);
        let leaf = ca.sign(&template(&name, &key));
        check(&leaf, &template(&name, &key), &ca.fields()).unwrap();
        let text = ca.openssl.run("x509 -inform DER -in leaf.der -noout -text");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert!(
            lines.contains(&purposes) && lines.contains(&names),
            "{text}"
        );
        let encipherment = lines.contains(&"Digital Signature, Key Encipherment");
        assert_eq!(encipherment, name == LeafName::Trial);
    }
}

#[test]
fn dates_are_utctime_before_2050_and_generalizedtime_from_then_on() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let (name, key) = (workload(), ca.key(P256));
    let last_of_2049 = 2_524_607_999;
    let leaf = LeafTemplate {
        validity: Validity::new(at(last_of_2049), at(last_of_2049 + 1)).unwrap(),
        ..template(&name, &key)
    };
    let der = ca.sign(&leaf);
    check(&der, &leaf, &ca.fields()).unwrap();
    let asn1 = ca.openssl.run("asn1parse -inform DER -in leaf.der");
    assert!(asn1.contains("UTCTIME           :491231235959Z"), "{asn1}");
    assert!(
        asn1.contains("GENERALIZEDTIME   :20500101000000Z"),
        "{asn1}"
    );
}

#[test]
fn a_serial_is_positive_and_minimal() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let (name, key) = (workload(), ca.key(P256));
    for (bytes, expected) in [
        (u128::MAX, "00FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"),
        (127, "7F"),
        (128, "0080"),
    ] {
        let leaf = LeafTemplate {
            serial: Serial::from(bytes.to_be_bytes()),
            ..template(&name, &key)
        };
        let der = ca.sign(&leaf);
        check(&der, &leaf, &ca.fields()).unwrap();
        let facts = Certificate::from_der(&der).unwrap().facts().clone();
        let serial: String = facts.serial.iter().map(|b| format!("{b:02X}")).collect();
        assert_eq!(serial, expected);
    }
    let zero = LeafTemplate {
        serial: Serial::from([0; 16]),
        ..template(&name, &key)
    };
    let mismatch = check(&ca.sign(&zero), &zero, &ca.fields());
    assert_eq!(mismatch, Err(LeafMismatch { field: "serial" }));
}

#[test]
fn a_leaf_that_is_not_the_intended_one_is_named_by_its_first_difference() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let (name, key, other_key) = (workload(), ca.key(P256), ca.key(P256));
    let other_name = LeafName::Workload(format!("{ID}s").parse().unwrap());
    let good = template(&name, &key);
    let leaf = ca.sign(&good);
    let (start, end) = (good.validity.not_before(), good.validity.not_after());
    let second = Duration::from_secs(1);
    let serial = Serial::from([9; 16]);
    let earlier = Validity::new(start - second, end).unwrap();
    let later = Validity::new(start, end + second).unwrap();
    for (other, field) in [
        (LeafTemplate { serial, ..good }, "serial"),
        (
            LeafTemplate {
                validity: earlier,
                ..good
            },
            "notBefore",
        ),
        (
            LeafTemplate {
                validity: later,
                ..good
            },
            "notAfter",
        ),
        (
            LeafTemplate {
                public_key: &other_key,
                ..good
            },
            "public key",
        ),
        (
            LeafTemplate {
                name: &other_name,
                ..good
            },
            "subjectAltName",
        ),
        (
            LeafTemplate {
                name: &LeafName::Trial,
                ..good
            },
            "subjectAltName",
        ),
    ] {
        let mismatch = check(&leaf, &other, &ca.fields());
        assert_eq!(mismatch, Err(LeafMismatch { field }));
    }
}

#[test]
fn a_leaf_of_another_issuer_is_named_by_its_first_difference() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let (name, key) = (workload(), ca.key(P256));
    let good = template(&name, &key);
    let leaf = ca.sign(&good);
    for (other, field) in [
        (
            IssuerFields {
                subject_der: &[0x30, 0],
                ..ca.fields()
            },
            "issuer",
        ),
        (
            IssuerFields {
                key_id: &[1; 20],
                ..ca.fields()
            },
            "authorityKeyIdentifier",
        ),
        (
            IssuerFields {
                signature_algorithm_der: RSA_SHA256,
                ..ca.fields()
            },
            "the bytes to be signed",
        ),
    ] {
        assert_eq!(check(&leaf, &good, &other), Err(LeafMismatch { field }));
    }
}

/// Nothing but the signature's own bits may change without being noticed.
#[test]
fn every_changed_byte_of_a_leaf_is_noticed() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let (name, key) = (workload(), ca.key(RSA));
    let good = template(&name, &key);
    let leaf = ca.sign(&good);
    let signature_len = ca.openssl.read("signature").len();
    for index in 0..leaf.len() - signature_len {
        for mask in [0x01, 0x20, 0x80] {
            let mut bad = leaf.clone();
            bad[index] ^= mask;
            assert!(check(&bad, &good, &ca.fields()).is_err(), "{index} {mask}");
        }
    }
    for len in [0, 1, leaf.len() - 1] {
        assert!(check(&leaf[..len], &good, &ca.fields()).is_err());
    }
}

/// openssl makes leaves that are wrong in one point each, with the template's key and serial.
#[test]
fn usages_and_constraints_that_were_not_intended_are_named() {
    let ca = Ca::new(P256, "/O=cluster.local");
    let (name, key) = (workload(), ca.key(P256));
    let good = template(&name, &key);
    let intended = [
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth,clientAuth",
        "basicConstraints=critical,CA:FALSE",
        &format!("subjectAltName=critical,URI:{ID}"),
    ];
    for (wrong, field) in [
        ("keyUsage=digitalSignature", "keyUsage"),
        (
            "keyUsage=critical,digitalSignature,keyEncipherment",
            "keyUsage",
        ),
        ("keyUsage=critical,digitalSignature,keyCertSign", "keyUsage"),
        ("extendedKeyUsage=serverAuth", "extendedKeyUsage"),
        (
            "extendedKeyUsage=serverAuth,clientAuth,codeSigning",
            "extendedKeyUsage",
        ),
        ("basicConstraints=critical,CA:TRUE", "basicConstraints"),
        ("basicConstraints=CA:FALSE", "basicConstraints"),
    ] {
        let kind = wrong.split('=').next().unwrap();
        let kept = intended.iter().filter(|line| !line.starts_with(kind));
        let extensions: Vec<&str> = kept.copied().chain([wrong]).collect();
        ca.openssl.write("extensions", extensions.join("\n"));
        ca.openssl.run("req -new -key key.pem -subj / -out csr.pem");
        ca.openssl.run(
            "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -extfile extensions -outform DER -out bad.der \
             -set_serial 0x0102030405060708090a0b0c0d0e0f10",
        );
        let der = ca.openssl.read("bad.der");
        let facts = Certificate::from_der(&der).unwrap().facts().clone();
        let same_dates = LeafTemplate {
            validity: Validity::new(facts.not_before, facts.not_after).unwrap(),
            ..good
        };
        assert_eq!(
            check(&der, &same_dates, &ca.fields()),
            Err(LeafMismatch { field }),
            "{wrong}"
        );
    }
}
