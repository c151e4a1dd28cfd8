//! Who signed what: certificates, requests and lists.

use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::Issuer;
use rcgen::KeyPair;

use super::*;
use crate::chain::Signature;

/// A directory for what openssl makes of one key and one CA.
struct Workshop(tempfile::TempDir);

impl Workshop {
    fn new() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        let (key, cert) = (shop.path("key"), shop.path("cert"));
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {key} -out {cert} -subj /CN=ca"
        ));
        shop
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn cert(&self) -> Vec<u8> {
        std::fs::read(self.path("cert")).unwrap()
    }

    fn request(&self, digest: &str) -> Vec<u8> {
        let key = self.path("key");
        openssl(&format!(
            "req -new -key {key} -{digest} -subj /CN=cart -addext subjectAltName=URI:spiffe://td/a,DNS:b"
        ))
    }

    fn list(&self, digest: &str) -> Vec<u8> {
        std::fs::write(self.path("index"), "").unwrap();
        let section = format!("[ca]\ndefault_ca=c\n[c]\ndatabase={}\n", self.path("index"));
        std::fs::write(self.path("conf"), section).unwrap();
        let [conf, key, cert] = ["conf", "key", "cert"].map(|name| self.path(name));
        openssl(&format!(
            "ca -gencrl -config {conf} -md {digest} -crldays 2 -keyfile {key} -cert {cert}"
        ))
    }
}

/// PEM whose content has `from` once replaced by `to`.
fn changed(pem: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let block = pem::parse(pem).unwrap();
    let mut der = block.contents().to_vec();
    let at = der.windows(from.len()).position(|part| part == from);
    let at = at.unwrap();
    der[at..at + to.len()].copy_from_slice(to);
    pem::encode(&pem::Pem::new(block.tag(), der)).into_bytes()
}

fn request(file: &[u8]) -> Request {
    match only(file).content {
        Content::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

fn list(file: &[u8]) -> Revocations {
    match inspect(file).remove(0).content {
        Content::Revocations(list) => list,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_says_what_it_asks_for_and_whether_its_maker_holds_the_key() {
    let shop = Workshop::new();
    let good = shop.request("sha256");
    let asked = request(&good);
    assert_eq!(asked.subject, "CN=cart");
    assert_eq!(asked.names, ["spiffe://td/a", "b"]);
    assert_eq!(asked.possession, Signature::Good);
    let other = request(&changed(&good, b"spiffe://td/a", b"spiffe://td/b"));
    assert_eq!(other.names[0], "spiffe://td/b");
    assert_eq!(other.possession, Signature::Bad);
    let block = pem::parse(&good).unwrap();
    let longer = [block.contents(), &[0]].concat();
    let longer = pem::encode(&pem::Pem::new(block.tag(), longer));
    let content = only(longer.as_bytes()).content;
    assert!(matches!(content, Content::Broken { .. }), "{content:?}");
    let weak = request(&shop.request("sha1"));
    assert_eq!(weak.possession, Signature::Unsupported);
}

#[test]
fn a_list_says_what_it_holds_and_whether_its_issuer_in_the_file_signed_it() {
    let (shop, namesake) = (Workshop::new(), Workshop::new());
    let good = shop.list("sha256");
    let alone = list(&good);
    assert_eq!((alone.issuer.as_str(), alone.revoked), ("CN=ca", 0));
    let span = alone.next_update.unwrap().duration_since(alone.this_update);
    assert_eq!(span.unwrap().as_secs(), 2 * 86_400);
    let (own, other) = (shop.cert(), namesake.cert());
    for (name, file, signer) in [
        ("alone", good.clone(), Signer::NotHere),
        (
            "with its issuer",
            [&good[..], &other, &own].concat(),
            Signer::Block { number: 3 },
        ),
        (
            "with a namesake of its issuer",
            [&good[..], &other].concat(),
            Signer::OtherKey { number: 2 },
        ),
        (
            "with a digest that is not accepted",
            [&shop.list("sha1")[..], &other, &own].concat(),
            Signer::Unchecked { number: 2 },
        ),
    ] {
        assert_eq!(list(&file).signer, signer, "{name}");
    }
}

fn signers(file: &str) -> Vec<Signer> {
    let blocks = inspect(file.as_bytes()).into_iter();
    let signers = blocks.map(|block| match block.content {
        Content::Certificate(signed) => signed.signer,
        other => panic!("{other:?}"),
    });
    signers.collect()
}

fn root(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    (made.pem(), Issuer::new(params, key))
}

#[test]
fn the_signer_of_a_certificate_is_found_by_its_key_not_its_name() {
    let ((namesake, _), (own, issuer)) = (root("ca"), root("ca"));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::default();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
    assert_eq!(
        signers(&format!("{leaf}{namesake}{own}")),
        [Signer::Block { number: 3 }, Signer::Itself, Signer::Itself]
    );
    let without = signers(&format!("{leaf}{namesake}"));
    assert_eq!(without[0], Signer::OtherKey { number: 2 });
    assert_eq!(signers(&leaf), [Signer::NotHere]);
    assert_eq!(signers(&own.repeat(2)), [Signer::Itself, Signer::Itself]);
    let spoilt = changed(own.as_bytes(), b"ca", b"cb");
    let spoilt = String::from_utf8(changed(&spoilt, b"ca", b"cb")).unwrap();
    assert_eq!(signers(&spoilt), [Signer::OtherKey { number: 1 }]);
}

/// Ten roots of one name: a CA that was renewed with a new key every year.
#[test]
fn a_signer_is_found_among_many_of_its_name() {
    let roots: Vec<_> = (0..10).map(|_| root("ca")).collect();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::default();
    let leaf = leaf.signed_by(&key, &roots[9].1).unwrap().pem();
    let file: String = roots.iter().map(|(pem, _)| pem.as_str()).collect();
    assert_eq!(signers(&(leaf + &file))[0], Signer::Block { number: 11 });
}

#[test]
fn signatures_are_checked_up_to_a_limit() {
    let ((namesake, _), (_, issuer)) = (root("ca"), root("ca"));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::default();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
    let found = signers(&(leaf.repeat(100) + &namesake.repeat(101)));
    assert_eq!(found[0], Signer::OtherKey { number: 101 });
    assert!(matches!(found[99], Signer::Unchecked { .. }));
}
