//! The chains of the matrix: each breaks one rule, or none.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::chain::Profile;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose as Usage;
use rcgen::date_time_ymd;

use crate::judges::Material;
use crate::pki;
use crate::pki::Ca;
use crate::pki::Change;
use crate::pki::none;

/// One chain and what is known of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The rule that Signet must name, or `valid`.
    pub(crate) rule: &'static str,
    /// Why another judge sees it differently; empty if none does.
    pub(crate) why: &'static str,
    pub(crate) material: Material,
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = good();
    cases.extend(along_the_path());
    cases.extend(searching());
    cases.extend(leaves());
    cases.extend(pkix_leaves());
    cases
}

const NO_SPIFFE: &str = "a rule of X509-SVID, which the others do not know";
const ROOT: &str = "webpki takes name, key and nameConstraints from a root, nothing else";
const STRICT: &str = "`-x509_strict` insists on it; CA bundles in the field lack it";

fn case(name: &'static str, rule: &'static str, why: &'static str, material: Material) -> Case {
    Case {
        name,
        rule,
        why,
        material,
    }
}

fn material(chain: Vec<Certificate>, roots: &[&Ca]) -> Material {
    Material {
        chain,
        roots: roots.iter().map(|ca| ca.certificate.clone()).collect(),
        profile: Profile::X509Svid,
        at: SystemTime::from(date_time_ymd(2030, 1, 1)) + Duration::from_secs(1),
    }
}

/// Root, intermediate and leaf, each with a change.
fn three(root: Change, middle: Change, leaf: Change) -> Material {
    let root = Ca::root("root", root);
    let middle = root.below("middle", middle);
    let leaf = middle.leaf(leaf);
    material(vec![leaf, middle.certificate], &[&root])
}

fn good() -> Vec<Case> {
    let with_dns: Change = |p| p.subject_alt_names.push(pki::dns("a.example"));
    let no_purpose: Change = |p| p.extended_key_usages = Vec::new();
    vec![
        case(
            "nothing: leaf, intermediate, root",
            "valid",
            "",
            three(none, none, none),
        ),
        case(
            "nothing: a DNS name beside the SPIFFE ID",
            "valid",
            "",
            three(none, none, with_dns),
        ),
        case(
            "nothing: no extendedKeyUsage",
            "valid",
            "",
            three(none, none, no_purpose),
        ),
        case(
            "nothing: an unknown extension that is not critical",
            "valid",
            "",
            three(none, none, pki::unknown_other),
        ),
        case(
            "nothing: shuffled, repeated and unneeded certificates",
            "valid",
            "",
            shuffled(),
        ),
        case(
            "nothing: issuers in a circle beside the way to the root",
            "valid",
            "",
            circle(true),
        ),
        case(
            "nothing: DNS nameConstraints that permit the names",
            "valid",
            "",
            three(none, pki::only_a_example, with_dns),
        ),
    ]
}

fn along_the_path() -> Vec<Case> {
    let wrong_dns: Change = |p| p.subject_alt_names.push(pki::dns("b.example"));
    vec![
        case(
            "the leaf has expired",
            "not-after",
            "",
            three(none, none, pki::expired),
        ),
        case(
            "the leaf is of the future",
            "not-before",
            "",
            three(none, none, pki::early),
        ),
        case(
            "an intermediate has expired",
            "not-after",
            "",
            three(none, pki::expired, none),
        ),
        case(
            "an intermediate is of the future",
            "not-before",
            "",
            three(none, pki::early, none),
        ),
        case(
            "the root has expired",
            "not-after",
            ROOT,
            three(pki::expired, none, none),
        ),
        case(
            "the root is of the future",
            "not-before",
            ROOT,
            three(pki::early, none, none),
        ),
        case("the leaf was changed", "signature", "", changed(0)),
        case("an intermediate was changed", "signature", "", changed(1)),
        case(
            "an intermediate is not a CA",
            "ca-flag",
            "",
            three(none, pki::no_ca, none),
        ),
        case(
            "the root is not a CA",
            "ca-flag",
            ROOT,
            three(pki::no_ca, none, none),
        ),
        case(
            "an intermediate's keyUsage lacks keyCertSign",
            "ca-key-cert-sign",
            "webpki does not look at a CA's keyUsage",
            three(none, pki::no_cert_sign, none),
        ),
        case(
            "the root's keyUsage lacks keyCertSign",
            "ca-key-cert-sign",
            ROOT,
            three(pki::no_cert_sign, none, none),
        ),
        case(
            "an intermediate has no keyUsage",
            "valid",
            STRICT,
            three(none, pki::no_usage, none),
        ),
        case(
            "the root has no keyUsage",
            "valid",
            STRICT,
            three(pki::no_usage, none, none),
        ),
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
            "a DNS name outside nameConstraints",
            "name-constraints",
            "",
            three(none, pki::only_a_example, wrong_dns),
        ),
        case(
            "URI nameConstraints that permit the SPIFFE ID",
            "name-constraints",
            "webpki supports no URI constraints, so peers on rustls refuse such chains; openssl supports them",
            three(none, pki::only_cluster_local, none),
        ),
        case(
            "an unknown critical extension in the leaf",
            "critical-extension",
            "",
            three(none, none, pki::unknown_critical),
        ),
        case(
            "an unknown critical extension in an intermediate",
            "critical-extension",
            "",
            three(none, pki::unknown_critical, none),
        ),
        case(
            "an unknown critical extension in the root",
            "valid",
            "RFC 5280 section 6.1 takes a root's name and key as given; openssl reads its extensions",
            three(pki::unknown_critical, none, none),
        ),
        case(
            "critical certificatePolicies in an intermediate",
            "critical-extension",
            "webpki knows no policies, so peers on rustls refuse such chains; openssl knows them",
            three(none, pki::policies_critical, none),
        ),
        case(
            "extendedKeyUsage of an intermediate lacks clientAuth",
            "extended-key-usage",
            "",
            three(none, pki::server_only, none),
        ),
        case(
            "authorityKeyIdentifier names another key",
            "valid",
            "it is a hint for building paths (RFC 5280 section 4.2.1.1), and the signature is good; openssl takes it as a rule",
            three(none, none, pki::other_key_id),
        ),
        case(
            "the issuer's name is written in another string type",
            "trusted-root",
            "names are compared byte for byte, as webpki does; openssl compares the text",
            other_spelling(),
        ),
        case(
            "signed with SHA-1",
            "signature-algorithm",
            "openssl's default security level lets SHA-1 pass here",
            by_openssl("rsa:2048", "-sha1"),
        ),
        case(
            "signed with an RSA key of 1024 bits",
            "signature-algorithm",
            "openssl's default security level lets such keys pass here",
            by_openssl("rsa:1024", "-sha256"),
        ),
    ]
}

fn searching() -> Vec<Case> {
    let root = Ca::root("root", none);
    let middle = root.below("middle", none);
    let leaf = middle.leaf(none);
    let [root_cert, middle_cert] = [&root, &middle].map(|ca| ca.certificate.clone());
    let (stranger, namesake) = (Ca::root("stranger", none), Ca::root("root", none));
    let whole = vec![leaf.clone(), middle_cert.clone()];
    let mut thousand = whole.clone();
    thousand.resize(1000, middle_cert.clone());
    let with_root = vec![leaf.clone(), middle_cert, root_cert];
    vec![
        case(
            "the intermediate is missing",
            "trusted-root",
            "",
            material(vec![leaf], &[&root]),
        ),
        case(
            "the root is another",
            "trusted-root",
            "",
            material(whole.clone(), &[&stranger]),
        ),
        case(
            "the root is another of the same name",
            "trusted-root",
            "",
            material(whole.clone(), &[&namesake]),
        ),
        case(
            "the root is in the chain only",
            "trusted-root",
            "",
            material(with_root, &[&stranger]),
        ),
        case(
            "issuers in a circle and no way to the root",
            "trusted-root",
            "",
            circle(false),
        ),
        case(
            "only the intermediate is trusted",
            "valid",
            "whoever is in the list of roots is trusted; openssl wants `-partial_chain` for that",
            material(whole, &[&middle]),
        ),
        case(
            "a self-signed leaf is itself in the list of roots",
            "ca-flag",
            "a root must be a CA, since nothing else may sign; the others accept whatever is in the list",
            self_signed(),
        ),
        case(
            "1,000 certificates",
            "chain-length",
            "no handshake carries so many: 64 are looked at",
            material(thousand, &[&root]),
        ),
        case(
            "nine CAs of one name that all sign each other",
            "search-limit",
            "",
            crossed(),
        ),
    ]
}

fn leaves() -> Vec<Case> {
    let leaf = |name, rule, why, change: Change| case(name, rule, why, three(none, none, change));
    vec![
        leaf("two URIs", "svid-one-uri", NO_SPIFFE, |p| {
            p.subject_alt_names
                .push(pki::uri("spiffe://cluster.local/b"))
        }),
        leaf("no URI", "svid-one-uri", NO_SPIFFE, |p| {
            p.subject_alt_names = vec![pki::dns("a.example")]
        }),
        leaf("the SPIFFE ID has no path", "svid-path", NO_SPIFFE, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://cluster.local")]
        }),
        leaf(
            "the URI is of another scheme",
            "svid-spiffe-id",
            NO_SPIFFE,
            |p| p.subject_alt_names = vec![pki::uri("https://cluster.local/a")],
        ),
        leaf(
            "the SPIFFE ID is malformed",
            "svid-spiffe-id",
            NO_SPIFFE,
            |p| p.subject_alt_names = vec![pki::uri("spiffe://cluster.local//a")],
        ),
        leaf(
            "the SPIFFE ID is of another trust domain",
            "trust-domain",
            NO_SPIFFE,
            |p| p.subject_alt_names = vec![pki::uri("spiffe://elsewhere/a")],
        ),
        leaf(
            "the leaf is a CA",
            "svid-not-ca",
            "openssl lets a CA authenticate itself",
            |p| {
                p.distinguished_name.push(DnType::CommonName, "cart");
                p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                p.key_usages.push(Usage::KeyCertSign);
            },
        ),
        leaf(
            "keyUsage has keyCertSign",
            "svid-no-key-cert-sign",
            "webpki does not look at a leaf's keyUsage",
            |p| p.key_usages.push(Usage::KeyCertSign),
        ),
        leaf(
            "keyUsage has cRLSign",
            "svid-no-crl-sign",
            "webpki does not look at a leaf's keyUsage",
            |p| p.key_usages.push(Usage::CrlSign),
        ),
        leaf(
            "keyUsage lacks digitalSignature",
            "svid-digital-signature",
            "webpki does not look at a leaf's keyUsage",
            |p| p.key_usages = vec![Usage::KeyEncipherment],
        ),
        leaf("no keyUsage", "svid-key-usage", NO_SPIFFE, pki::no_usage),
        leaf(
            "keyUsage is not critical",
            "svid-key-usage-critical",
            NO_SPIFFE,
            pki::usage_not_critical,
        ),
        leaf(
            "extendedKeyUsage has serverAuth only",
            "svid-extended-key-usage",
            "",
            pki::server_only,
        ),
        leaf(
            "no subject, and subjectAltName is not critical",
            "svid-names-critical",
            "webpki does not look at it",
            pki::names_not_critical,
        ),
    ]
}

fn pkix_leaves() -> Vec<Case> {
    let leaf = |name, rule, why, change: Change| {
        let mut material = three(none, none, change);
        material.profile = Profile::Pkix;
        case(name, rule, why, material)
    };
    vec![
        leaf(
            "`--profile pkix`: nothing, a TLS server with a DNS name",
            "valid",
            "",
            |p| {
                p.subject_alt_names = vec![pki::dns("a.example")];
                pki::server_only(p);
            },
        ),
        leaf(
            "`--profile pkix`: nothing, two URIs and no keyUsage",
            "valid",
            "",
            |p| {
                p.subject_alt_names.push(pki::uri("https://a.example"));
                pki::no_usage(p);
            },
        ),
        leaf(
            "`--profile pkix`: extendedKeyUsage has codeSigning only",
            "extended-key-usage",
            "",
            |p| p.extended_key_usages = vec![Eku::CodeSigning],
        ),
        leaf(
            "`--profile pkix`: keyUsage allows nothing in a handshake",
            "leaf-key-usage",
            "webpki does not look at a leaf's keyUsage",
            |p| p.key_usages = vec![Usage::ContentCommitment],
        ),
        leaf(
            "`--profile pkix`: the leaf is a CA",
            "leaf-not-ca",
            "openssl lets a CA authenticate itself",
            |p| {
                p.distinguished_name.push(DnType::CommonName, "cart");
                p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                p.key_usages.push(Usage::KeyCertSign);
            },
        ),
    ]
}

/// Two CAs between root and leaf.
fn four(root: Change, upper: Change) -> Material {
    let root = Ca::root("root", root);
    let upper = root.below("upper", upper);
    let lower = upper.below("lower", none);
    let chain = vec![lower.leaf(none), lower.certificate, upper.certificate];
    material(chain, &[&root])
}

fn shuffled() -> Material {
    let root = Ca::root("root", none);
    let upper = root.below("upper", none);
    let lower = upper.below("lower", none);
    let (stranger, namesake) = (Ca::root("stranger", none), Ca::root("upper", none));
    let leaf = lower.leaf(none);
    let [up, low, out, same] =
        [&upper, &lower, &stranger, &namesake].map(|ca| ca.certificate.clone());
    let chain = vec![
        leaf.clone(),
        out,
        up.clone(),
        same,
        low.clone(),
        up,
        leaf,
        low,
    ];
    material(chain, &[&stranger, &root, &root])
}

/// Two CAs that sign each other, with or without a root above one of them.
fn circle(anchored: bool) -> Material {
    let root = Ca::root("root", none);
    let (a, b) = (Ca::root("a", none), Ca::root("b", none));
    let mut chain = vec![
        a.leaf(none),
        b.sign(&a.params, &a.key),
        a.sign(&b.params, &b.key),
    ];
    if anchored {
        chain.push(root.sign(&a.params, &a.key));
    }
    material(chain, &[&root])
}

/// Every CA of one name is signed by every other, and none by the root.
fn crossed() -> Material {
    let root = Ca::root("root", none);
    let cas: Vec<Ca> = (0..9).map(|_| Ca::root("same", none)).collect();
    let mut chain = vec![cas[0].leaf(none)];
    for (index, issuer) in cas.iter().enumerate() {
        let others = cas.iter().enumerate().filter(|(other, _)| *other != index);
        chain.extend(others.map(|(_, ca)| issuer.sign(&ca.params, &ca.key)));
    }
    chain.truncate(60);
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

fn self_signed() -> Material {
    let with_subject =
        |p: &mut CertificateParams| p.distinguished_name.push(DnType::CommonName, "cart");
    let params = pki::leaf_params(with_subject);
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let leaf = Certificate::from_der(made.der()).unwrap();
    let mut material = material(vec![leaf.clone()], &[]);
    material.roots = vec![leaf];
    material
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
