//! What is one entry of a PKCS#12 file? A bag with a value and attributes (RFC 7292 section 4.2).

use proto::certificate::Certificate;
use yasna::DERWriter;
use yasna::DERWriterSet;
use yasna::Tag;

use super::KEY_ALIAS;
use super::oid;
use super::seal::SealedKey;

/// One entry.
pub(super) enum Bag<'a> {
    /// A certificate of the chain; the leaf has the key's id.
    Chained {
        certificate: &'a Certificate,
        id: Option<&'a [u8]>,
    },
    Key {
        key: &'a SealedKey,
        id: &'a [u8],
    },
    Root {
        root: &'a Certificate,
    },
}

impl<'a> Bag<'a> {
    pub(super) fn of_chain(certificate: &'a Certificate, id: Option<&'a [u8]>) -> Self {
        Self::Chained { certificate, id }
    }

    fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|writer| {
            let explicit = Tag::context(0);
            match self {
                Self::Key { key, .. } => {
                    writer.next().write_oid(&oid(SHROUDED_KEY_BAG));
                    let value = writer.next();
                    value.write_tagged(explicit, |writer| key.write(writer));
                }
                Self::Chained { certificate, .. } | Self::Root { root: certificate } => {
                    writer.next().write_oid(&oid(CERT_BAG));
                    let value = writer.next();
                    value.write_tagged(explicit, |writer| x509(writer, certificate));
                }
            }
            if !matches!(self, Self::Chained { id: None, .. }) {
                let attributes = writer.next();
                attributes.write_set_of(|writer| self.attributes(writer));
            }
        });
    }

    fn attributes(&self, writer: &mut DERWriterSet<'_>) {
        match self {
            Self::Chained { id: None, .. } => {}
            Self::Chained { id: Some(id), .. } | Self::Key { id, .. } => {
                attribute(writer, FRIENDLY_NAME, |value| {
                    value.write_bmp_string(KEY_ALIAS);
                });
                attribute(writer, LOCAL_KEY_ID, |value| value.write_bytes(id));
            }
            Self::Root { root } => {
                attribute(writer, FRIENDLY_NAME, |value| {
                    value.write_bmp_string(&alias(root));
                });
                attribute(writer, TRUSTED_KEY_USAGE, |value| {
                    value.write_oid(&oid(ANY_EXTENDED_KEY_USAGE));
                });
            }
        }
    }
}

/// `SafeContents` of these bags.
pub(super) fn encoded(bags: &[Bag<'_>]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence_of(|writer| {
            for bag in bags {
                bag.write(writer.next());
            }
        });
    })
}

/// `CertBag` (RFC 7292 section 4.2.3).
fn x509(writer: DERWriter<'_>, certificate: &Certificate) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(X509_CERTIFICATE));
        writer.next().write_tagged(Tag::context(0), |writer| {
            writer.write_bytes(certificate.der());
        });
    });
}

fn attribute(writer: &mut DERWriterSet<'_>, name: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    writer.next().write_sequence(|writer| {
        writer.next().write_oid(&oid(name));
        let values = writer.next();
        values.write_set_of(|writer| value(writer.next()));
    });
}

/// A name that is this root's alone.
fn alias(root: &Certificate) -> String {
    let hex = |byte: &u8| format!("{byte:02x}");
    let fingerprint = root.fingerprint();
    let start: String = fingerprint.as_bytes().iter().take(8).map(hex).collect();
    format!("root-{start}")
}

/// pkcs8ShroudedKeyBag and certBag (RFC 7292 section 4.2).
const SHROUDED_KEY_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 2];
const CERT_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
/// x509Certificate, friendlyName and localKeyId (RFC 2985).
const X509_CERTIFICATE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
const FRIENDLY_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 20];
const LOCAL_KEY_ID: &[u64] = &[1, 2, 840, 113_549, 1, 9, 21];
/// Oracle's trustedKeyUsage: without it Java's `KeyStore` does not show a certificate that has no key.
const TRUSTED_KEY_USAGE: &[u64] = &[2, 16, 840, 1, 113_894, 746_875, 1, 1];
/// anyExtendedKeyUsage (RFC 5280 section 4.2.1.12): trusted for everything.
const ANY_EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37, 0];
