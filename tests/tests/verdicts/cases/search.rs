//! Finding a path among more, or less, than is needed.

use proto::certificate::Certificate;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::KeyPair;

use super::Case;
use super::case;
use super::material;
use crate::judges::Material;
use crate::pki;
use crate::pki::Ca;
use crate::pki::none;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = missing();
    cases.extend(vec![
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
            "issuers in a circle and no way to the root",
            "trusted-root",
            "",
            circle(false),
        ),
case(
            "a self-signed leaf is itself in the list of roots",
            "ca-flag",
            "a root must be a CA, since nothing else may sign; the others accept whatever is in the list",
            self_signed(),
        ),
case(
            "nine CAs of one name that all sign each other",
            "search-limit",
            "",
            crossed(),
        ),
    ]);
    cases
}

/// One good chain, against other roots or without a part.
fn missing() -> Vec<Case> {
    let root = Ca::root("root", none);
    let middle = root.below("middle", none);
    let leaf = middle.leaf(none);
    let [root_cert, middle_cert] = [&root, &middle].map(|ca| ca.certificate.clone());
    let (stranger, namesake) = (Ca::root("stranger", none), Ca::root("root", none));
    let other_kind = Ca::of_ed25519("root");
    let leaf_trusted = Material {
        roots: vec![leaf.clone()],
        ..material(vec![leaf.clone(), middle_cert.clone()], &[])
    };
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
            "the root is another of the same name with a key of another kind",
            "trusted-root",
            "",
            material(whole.clone(), &[&other_kind]),
        ),
        case("only the leaf is trusted", "trusted-root", "", leaf_trusted),
        case(
            "the root is in the chain only",
            "trusted-root",
            "",
            material(with_root, &[&stranger]),
        ),
        case(
            "only the intermediate is trusted",
            "valid",
            "whoever is in the list of roots is trusted; openssl wants `-partial_chain` for that",
            material(whole, &[&middle]),
        ),
        case(
            "1,000 certificates",
            "chain-length",
            "no handshake carries so many: 64 are looked at",
            material(thousand, &[&root]),
        ),
    ]
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
