//! How do Java and others get the set? PKCS#12 (RFC 7292): `keystore.p12` has key and chain, `truststore.p12`
//! the roots.
//!
//! One fixed shape, of what OpenSSL 3 and Java since 8u301 read by themselves: the key under PBES2 with
//! AES-256-CBC, all under a MAC with HMAC-SHA-256. Certificates are not encrypted: they are public.
//! Written here because the crates that write PKCS#12 keep copies of the key that nobody wipes.

mod bags;
mod password;
mod seal;

use proto::certificate::Certificate;
use ring::rand::SecureRandom;
use yasna::DERWriter;
use yasna::Tag;
use yasna::models::ObjectIdentifier;

use super::FilesError;
use crate::svid::Svid;
use bags::Bag;
pub use password::PasswordError;
pub use password::StorePassword;
use seal::Mac;
pub(super) use seal::opens;

/// What Java calls the entry of the key.
pub const KEY_ALIAS: &str = "workload";

/// Key, leaf and intermediates as one entry. The root is left out: whoever presents the chain has no use for it.
pub(super) fn key_store(
    svid: &Svid,
    password: &StorePassword,
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, FilesError> {
    // It ties the key to its certificate, and means nothing else.
    let id = svid.leaf().fingerprint().as_bytes().to_vec();
    let key = seal::key(svid.private_key_pkcs8(), password, random)?;
    let certificates = svid.chain_without_roots().enumerate();
    let chain: Vec<Bag<'_>> = certificates
        .map(|(at, certificate)| Bag::of_chain(certificate, (at == 0).then_some(id.as_slice())))
        .collect();
    sealed(
        &[chain, vec![Bag::Key { key: &key, id: &id }]],
        password,
        random,
    )
}

/// Every root as an entry of its own, called by its fingerprint, so that it keeps its name as others come and go.
pub(super) fn trust_store(
    roots: &[Certificate],
    password: &StorePassword,
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, FilesError> {
    let mut bags: Vec<Bag<'_>> = Vec::new();
    for (at, root) in roots.iter().enumerate() {
        if !roots.iter().take(at).any(|earlier| earlier == root) {
            bags.push(Bag::Root { root });
        }
    }
    sealed(&[bags], password, random)
}

/// The whole file around its bags.
fn sealed(
    contents: &[Vec<Bag<'_>>],
    password: &StorePassword,
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, FilesError> {
    let inner = yasna::construct_der(|writer| {
        writer.write_sequence_of(|writer| {
            for bags in contents {
                data(writer.next(), &bags::encoded(bags));
            }
        });
    });
    let mac = Mac::over(&inner, password, random)?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(VERSION);
            data(writer.next(), &inner);
            mac.write(writer.next());
        });
    }))
}

/// `ContentInfo` of type data (RFC 5652 section 4).
fn data(writer: DERWriter<'_>, content: &[u8]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(DATA));
        let explicit = Tag::context(0);
        writer
            .next()
            .write_tagged(explicit, |writer| writer.write_bytes(content));
    });
}

fn oid(components: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(components)
}

/// RFC 7292 section 4: the only one there is.
const VERSION: u8 = 3;
/// id-data (RFC 5652 section 4).
const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
