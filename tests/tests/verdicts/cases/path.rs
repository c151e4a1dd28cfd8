//! Rules along the path, each broken by one certificate of three.

use std::time::Duration;

use proto::certificate::Certificate;
use proto::chain::Profile;

use super::Case;
use super::Row;
use super::case;
use super::material;
use super::three;
use super::three_each;
use crate::judges::Material;
use crate::pki;
use crate::pki::Ca;
use crate::pki::Change;
use crate::pki::none;

const ROOT: &str = "webpki takes name, key and nameConstraints from a root, nothing else";
const STRICT: &str = "`-x509_strict` insists on it; CA bundles in the field lack it";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = three_each(GOOD).collect();
    cases.extend(three_each(BROKEN));
    cases.extend(vec![
        case("the leaf was changed", "signature", "", changed(0)),
        case("an intermediate was changed", "signature", "", changed(1)),
        case(
            "more CAs than an intermediate's pathLenConstraint",
            "path-length",
            "",
            four(none, pki::no_cas_below),
        ),
        case(
            "more CAs than the root's pathLenConstraint",
            "path-length",
            ROOT,
            four(pki::no_cas_below, none),
        ),
        case(
            "the issuer's name is written in another string type",
            "trusted-root",
            "names are compared byte for byte, as webpki does; openssl compares the text",
            other_spelling(),
        ),
    ]);
    cases.extend(algorithms());
    cases
}

/// Signatures of every kind.
fn algorithms() -> Vec<Case> {
    vec![
        case(
            "signed with SHA-1",
            "signature-algorithm",
            "openssl's default security level lets SHA-1 pass here",
            by_openssl("rsa:2048", "-sha1"),
        ),
        case(
            "signed with SHA-512 by a P-256 key",
            "signature-algorithm",
            "ring, which webpki has its algorithms from, knows no such pair",
            by_openssl("ec -pkeyopt ec_paramgen_curve:P-256", "-sha512"),
        ),
        case(
            "signed by a P-521 key",
            "signature-algorithm",
            "ring, which webpki has its algorithms from, does not know the curve",
            by_openssl("ec -pkeyopt ec_paramgen_curve:P-521", "-sha256"),
        ),
        case(
            "nothing: signed with RSA-PSS",
            "valid",
            "",
            by_openssl(
                "rsa:2048",
                "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
            ),
        ),
        case(
            "nothing: signed with Ed25519",
            "valid",
            "",
            by_openssl("ed25519", ""),
        ),
        case(
            "a serial number below zero",
            "valid",
            "",
            by_openssl("rsa:2048", "-sha256 -set_serial -5"),
        ),
        case(
            "signed with an RSA key of 1024 bits",
            "signature-algorithm",
            "openssl's default security level lets such keys pass here",
            by_openssl("rsa:1024", "-sha256"),
        ),
    ]
}

/// What breaks no rule.
const GOOD: &[Row] = &[
    (
        "nothing: leaf, intermediate, root",
        "valid",
        "",
        [none, none, none],
    ),
    (
        "nothing: a DNS name beside the SPIFFE ID",
        "valid",
        "",
        [none, none, pki::with_dns],
    ),
    (
        "nothing: no extendedKeyUsage",
        "valid",
        "",
        [none, none, pki::no_purpose],
    ),
    (
        "nothing: an unknown extension that is not critical",
        "valid",
        "",
        [none, none, pki::unknown_other],
    ),
    (
        "nothing: DNS nameConstraints that permit the names",
        "valid",
        "",
        [none, pki::only_a_example, pki::with_dns],
    ),
];

const BROKEN: &[Row] = &[
    (
        "the leaf has expired",
        "not-after",
        "",
        [none, none, pki::expired],
    ),
    (
        "the leaf is of the future",
        "not-before",
        "",
        [none, none, pki::early],
    ),
    (
        "an intermediate has expired",
        "not-after",
        "",
        [none, pki::expired, none],
    ),
    (
        "an intermediate is of the future",
        "not-before",
        "",
        [none, pki::early, none],
    ),
    (
        "the root has expired",
        "not-after",
        ROOT,
        [pki::expired, none, none],
    ),
    (
        "the root is of the future",
        "not-before",
        ROOT,
        [pki::early, none, none],
    ),
    (
        "an intermediate is not a CA",
        "ca-flag",
        "",
        [none, pki::no_ca, none],
    ),
    (
        "the root is not a CA",
        "ca-flag",
        ROOT,
        [pki::no_ca, none, none],
    ),
    (
        "an intermediate's keyUsage lacks keyCertSign",
        "ca-key-cert-sign",
        "webpki does not look at a CA's keyUsage",
        [none, pki::no_cert_sign, none],
    ),
    (
        "the root's keyUsage lacks keyCertSign",
        "ca-key-cert-sign",
        ROOT,
        [pki::no_cert_sign, none, none],
    ),
    (
        "an intermediate has no keyUsage",
        "valid",
        STRICT,
        [none, pki::no_usage, none],
    ),
    (
        "the root has no keyUsage",
        "valid",
        STRICT,
        [pki::no_usage, none, none],
    ),
    (
        "a DNS name outside nameConstraints",
        "name-constraints",
        "",
        [none, pki::only_a_example, pki::wrong_dns],
    ),
    (
        "URI nameConstraints that permit the SPIFFE ID",
        "name-constraints",
        "webpki supports no URI constraints, so peers on rustls refuse such chains; openssl supports them",
        [none, pki::only_cluster_local, none],
    ),
    (
        "a DNS name outside the root's nameConstraints",
        "name-constraints",
        "",
        [pki::only_a_example, none, pki::wrong_dns],
    ),
    (
        "a DNS name that nameConstraints exclude",
        "name-constraints",
        "",
        [none, pki::not_a_example, pki::with_dns],
    ),
    (
        "nameConstraints on directory names that permit the subject",
        "name-constraints",
        "webpki supports no constraints on directory names, so peers on rustls refuse such chains; openssl supports them",
        [none, pki::only_directory_cart, pki::called_cart],
    ),
    (
        "an unknown critical extension in the leaf",
        "critical-extension",
        "",
        [none, none, pki::unknown_critical],
    ),
    (
        "an unknown critical extension in an intermediate",
        "critical-extension",
        "",
        [none, pki::unknown_critical, none],
    ),
    (
        "an unknown critical extension in the root",
        "valid",
        "RFC 5280 section 6.1 takes a root's name and key as given; openssl reads its extensions",
        [pki::unknown_critical, none, none],
    ),
    (
        "critical certificatePolicies in an intermediate",
        "critical-extension",
        "webpki knows no policies, so peers on rustls refuse such chains; openssl knows them",
        [none, pki::policies_critical, none],
    ),
    (
        "extendedKeyUsage of an intermediate lacks clientAuth",
        "extended-key-usage",
        "",
        [none, pki::server_only, none],
    ),
    (
        "extendedKeyUsage of an intermediate is anyExtendedKeyUsage",
        "extended-key-usage",
        "",
        [none, pki::any_purpose, none],
    ),
    (
        "the leaf ends before it begins",
        "well-formed",
        "",
        [none, none, pki::ends_first],
    ),
    (
        "authorityKeyIdentifier names another key",
        "valid",
        "it is a hint for building paths (RFC 5280 section 4.2.1.1), and the signature is good; openssl takes it as a rule",
        [none, none, pki::other_key_id],
    ),
];

/// Two CAs between root and leaf.
fn four(root: Change, upper: Change) -> Material {
    let root = Ca::root("root", root);
    let upper = root.below("upper", upper);
    let lower = upper.below("lower", none);
    let chain = vec![lower.leaf(none), lower.certificate, upper.certificate];
    material(chain, &[&root])
}

/// One certificate of a good chain with a bit of its signature turned.
fn changed(which: usize) -> Material {
    let mut material = three(none, none, none);
    let mut der = material.chain[which].der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    material.chain[which] = Certificate::from_der(&der).unwrap();
    material
}

fn other_spelling() -> Material {
    let root = Ca::root("root", none);
    let mut middle = root.below("middle", none);
    middle.params = pki::printable_name(&middle.params, "middle");
    let leaf = middle.leaf(none);
    material(vec![leaf, middle.certificate], &[&root])
}

/// A leaf below a root whose key and digest nobody else here makes.
fn by_openssl(key: &str, digest: &str) -> Material {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "openssl req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -subj /CN=root -days 2 -addext keyUsage=critical,keyCertSign
        printf '%s\\n' subjectAltName=critical,URI:{} keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth,clientAuth \\
          basicConstraints=CA:FALSE subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > ext
        openssl req -newkey rsa:2048 -nodes -keyout key -out csr -subj /
        openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -days 1 -extfile ext -out leaf.pem {digest}",
        pki::CART
    );
    tests::openssl::shell(dir.path(), &script);
    let [leaf, root] = ["leaf.pem", "ca.pem"].map(|name| {
        let pem = std::fs::read(dir.path().join(name)).unwrap();
        Certificate::all_from_pem(&pem).unwrap().remove(0)
    });
    let at = leaf.facts().not_before + Duration::from_secs(1);
    Material {
        chain: vec![leaf],
        roots: vec![root],
        profile: Profile::X509Svid,
        at,
    }
}
