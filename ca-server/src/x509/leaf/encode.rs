//! How is a leaf written? DER, in the order of RFC 5280 section 4.1.

use std::net::IpAddr;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use time::OffsetDateTime;
use yasna::DERWriter;
use yasna::DERWriterSeq;
use yasna::Tag;
use yasna::models::GeneralizedTime;
use yasna::models::ObjectIdentifier;
use yasna::models::UTCTime;

use super::IssuerFields;
use super::LeafName;
use super::LeafTemplate;
use super::TRIAL_URI;
use crate::x509::public_key::KeyKind;
use crate::x509::public_key::PublicKey;

pub(super) fn tbs(template: &LeafTemplate<'_>, issuer: &IssuerFields<'_>) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            fields
                .next()
                .write_tagged(Tag::context(0), |w| w.write_u8(V3));
            fields
                .next()
                .write_bigint_bytes(template.serial.as_bytes(), true);
            fields.next().write_der(issuer.signature_algorithm_der);
            fields.next().write_der(issuer.subject_der);
            fields.next().write_sequence(|validity| {
                write_time(validity.next(), template.validity.not_before());
                write_time(validity.next(), template.validity.not_after());
            });
            // The subject: workloads have a SPIFFE ID and no other name.
            fields.next().write_sequence(|_| ());
            fields.next().write_der(template.public_key.spki_der());
            fields.next().write_tagged(Tag::context(3), |w| {
                w.write_sequence(|list| write_extensions(list, template, issuer));
            });
        });
    })
}

pub(super) fn certificate(tbs: &[u8], signature_algorithm_der: &[u8], signature: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            fields.next().write_der(tbs);
            fields.next().write_der(signature_algorithm_der);
            fields
                .next()
                .write_bitvec_bytes(signature, signature.len() * 8);
        });
    })
}

/// The first 160 bits of SHA-256 of the key (RFC 7093 section 2, method 1).
pub(super) fn subject_key_id(key: &PublicKey) -> Vec<u8> {
    let hash = ring::digest::digest(&ring::digest::SHA256, key.bits());
    hash.as_ref().iter().take(20).copied().collect()
}

/// The extended key usages of a leaf with `name`, as the last arcs behind id-kp (RFC 5280 section 4.2.1.12).
///
/// An SVID is used on both ends of mTLS (X509-SVID section 4.4). The serving certificate of the CA
/// never logs in anywhere.
pub(super) fn key_purposes(name: &LeafName) -> &'static [u64] {
    match name {
        LeafName::Workload(_) | LeafName::Trial => &[SERVER_AUTH, CLIENT_AUTH],
        LeafName::Serving { .. } => &[SERVER_AUTH],
    }
}

fn write_extensions(
    list: &mut DERWriterSeq<'_>,
    template: &LeafTemplate<'_>,
    issuer: &IssuerFields<'_>,
) {
    write_extension(list, KEY_USAGE, true, |w| write_key_usage(w, template));
    write_extension(list, EXTENDED_KEY_USAGE, false, |w| {
        w.write_sequence(|purposes| {
            for purpose in key_purposes(template.name) {
                let oid = [1, 3, 6, 1, 5, 5, 7, 3, *purpose];
                purposes
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(&oid));
            }
        });
    });
    // cA is FALSE by default, and DER leaves defaults out.
    write_extension(list, BASIC_CONSTRAINTS, true, |w| w.write_sequence(|_| ()));
    write_extension(list, SUBJECT_KEY_ID, false, |w| {
        w.write_bytes(&subject_key_id(template.public_key));
    });
    write_extension(list, AUTHORITY_KEY_ID, false, |w| {
        w.write_sequence(|fields| {
            fields
                .next()
                .write_tagged_implicit(Tag::context(0), |w| w.write_bytes(issuer.key_id));
        });
    });
    // RFC 5280 section 4.2.1.6: critical, because the subject is empty.
    write_extension(list, SUBJECT_ALT_NAME, true, |w| {
        w.write_sequence(|names| write_names(names, template.name));
    });
}

fn write_extension(
    list: &mut DERWriterSeq<'_>,
    arc: u64,
    critical: bool,
    value: impl FnOnce(DERWriter<'_>),
) {
    list.next().write_sequence(|extension| {
        let oid = ObjectIdentifier::from_slice(&[2, 5, 29, arc]);
        extension.next().write_oid(&oid);
        if critical {
            extension.next().write_bool(true);
        }
        extension.next().write_bytes(&yasna::construct_der(value));
    });
}

/// digitalSignature is bit 0, keyEncipherment bit 2 and of sense for RSA only (RFC 8446 has no use for
/// it, TLS 1.2 with RSA key exchange does). DER drops trailing zero bits.
fn write_key_usage(writer: DERWriter<'_>, template: &LeafTemplate<'_>) {
    match template.public_key.kind() {
        KeyKind::Rsa { .. } => writer.write_bitvec_bytes(&[0b1010_0000], 3),
        KeyKind::P256 | KeyKind::P384 => writer.write_bitvec_bytes(&[0b1000_0000], 1),
    }
}

fn write_names(names: &mut DERWriterSeq<'_>, name: &LeafName) {
    match name {
        LeafName::Workload(id) => write_text(names, URI, id.as_str()),
        LeafName::Trial => write_text(names, URI, TRIAL_URI),
        LeafName::Serving {
            dns_names,
            ip_addresses,
        } => {
            for dns_name in dns_names {
                write_text(names, DNS_NAME, dns_name);
            }
            for ip_address in ip_addresses {
                let octets = match ip_address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                write_octets(names, IP_ADDRESS, &octets);
            }
        }
    }
}

fn write_text(names: &mut DERWriterSeq<'_>, kind: u64, text: &str) {
    write_octets(names, kind, text.as_bytes());
}

fn write_octets(names: &mut DERWriterSeq<'_>, kind: u64, octets: &[u8]) {
    names
        .next()
        .write_tagged_implicit(Tag::context(kind), |w| w.write_bytes(octets));
}

/// RFC 5280 section 4.1.2.5: `UTCTime` through 2049, `GeneralizedTime` from 2050 on.
fn write_time(writer: DERWriter<'_>, time: SystemTime) {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    // The last second that GeneralizedTime can say; the check of the leaf notices the difference.
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(time::macros::datetime!(9999-12-31 23:59:59 UTC));
    match UTCTime::from_datetime_opt(time) {
        Some(time) => writer.write_utctime(&time),
        None => writer.write_generalized_time(&GeneralizedTime::from_datetime(time)),
    }
}

const V3: u8 = 2;

// Last arcs behind id-kp (1.3.6.1.5.5.7.3).
const SERVER_AUTH: u64 = 1;
const CLIENT_AUTH: u64 = 2;

// Last arcs behind id-ce (2.5.29).
const SUBJECT_KEY_ID: u64 = 14;
const KEY_USAGE: u64 = 15;
const SUBJECT_ALT_NAME: u64 = 17;
const BASIC_CONSTRAINTS: u64 = 19;
const AUTHORITY_KEY_ID: u64 = 35;
const EXTENDED_KEY_USAGE: u64 = 37;

// Tags of GeneralName (RFC 5280 section 4.2.1.6).
const DNS_NAME: u64 = 2;
const URI: u64 = 6;
const IP_ADDRESS: u64 = 7;
