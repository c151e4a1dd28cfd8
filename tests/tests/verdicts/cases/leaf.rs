//! Rules of leaves.

use proto::chain::Profile;
use rcgen::BasicConstraints;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rcgen::IsCa;
use rcgen::KeyUsagePurpose as Usage;

use super::Case;
use super::Row;
use super::three_each;
use crate::pki;
use crate::pki::none;

const NO_SPIFFE: &str = "a rule of X509-SVID, which the others do not know";

pub(super) fn cases() -> Vec<Case> {
    let pkix = three_each(PKIX).map(|mut case| {
        case.material.profile = Profile::Pkix;
        case
    });
    three_each(SVID).chain(pkix).collect()
}

const SVID: &[Row] = &[
    (
        "two URIs",
        "svid-one-uri",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names
                .push(pki::uri("spiffe://cluster.local/b"));
        }],
    ),
    (
        "two URIs, one of them no text",
        "svid-one-uri",
        NO_SPIFFE,
        [none, none, pki::uri_of_no_text],
    ),
    (
        "subjectAltName is there, but holds no name",
        "svid-one-uri",
        "webpki asks for no name unless one is expected",
        [none, none, pki::empty_names],
    ),
    (
        "no URI",
        "svid-one-uri",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::dns("a.example")];
        }],
    ),
    (
        "the SPIFFE ID has no path",
        "svid-path",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://cluster.local")];
        }],
    ),
    (
        "the URI is of another scheme",
        "svid-spiffe-id",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("https://cluster.local/a")];
        }],
    ),
    (
        "the SPIFFE ID is malformed",
        "svid-spiffe-id",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://cluster.local//a")];
        }],
    ),
    (
        "the SPIFFE ID is written in upper case",
        "svid-spiffe-id",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("SPIFFE://cluster.local/a")];
        }],
    ),
    (
        "the trust domain is written in upper case",
        "svid-spiffe-id",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://CLUSTER.LOCAL/a")];
        }],
    ),
    (
        "the SPIFFE ID is percent-encoded",
        "svid-spiffe-id",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://cluster.local/%61")];
        }],
    ),
    (
        "the SPIFFE ID has a port",
        "svid-spiffe-id",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://cluster.local:443/a")];
        }],
    ),
    (
        "the SPIFFE ID ends in a slash",
        "svid-spiffe-id",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://cluster.local/a/")];
        }],
    ),
    (
        "the SPIFFE ID is of another trust domain",
        "trust-domain",
        NO_SPIFFE,
        [none, none, |p| {
            p.subject_alt_names = vec![pki::uri("spiffe://elsewhere/a")];
        }],
    ),
    (
        "the leaf is a CA",
        "svid-not-ca",
        "openssl lets a CA authenticate itself",
        [none, none, |p| {
            p.distinguished_name.push(DnType::CommonName, "cart");
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            p.key_usages.push(Usage::KeyCertSign);
        }],
    ),
    (
        "keyUsage has keyCertSign",
        "svid-no-key-cert-sign",
        "webpki does not look at a leaf's keyUsage",
        [none, none, |p| p.key_usages.push(Usage::KeyCertSign)],
    ),
    (
        "keyUsage has cRLSign",
        "svid-no-crl-sign",
        "webpki does not look at a leaf's keyUsage",
        [none, none, |p| p.key_usages.push(Usage::CrlSign)],
    ),
    (
        "keyUsage lacks digitalSignature",
        "svid-digital-signature",
        "webpki does not look at a leaf's keyUsage",
        [none, none, |p| p.key_usages = vec![Usage::KeyEncipherment]],
    ),
    (
        "no keyUsage",
        "svid-key-usage",
        NO_SPIFFE,
        [none, none, pki::no_usage],
    ),
    (
        "keyUsage is not critical",
        "svid-key-usage-critical",
        NO_SPIFFE,
        [none, none, pki::usage_not_critical],
    ),
    (
        "extendedKeyUsage has serverAuth only",
        "svid-extended-key-usage",
        "",
        [none, none, pki::server_only],
    ),
    (
        "extendedKeyUsage is anyExtendedKeyUsage",
        "svid-extended-key-usage",
        "",
        [none, none, pki::any_purpose],
    ),
    (
        "extendedKeyUsage is empty",
        "svid-extended-key-usage",
        "",
        [none, none, pki::empty_purposes],
    ),
    (
        "no subject, and subjectAltName is not critical",
        "svid-names-critical",
        "webpki does not look at it",
        [none, none, pki::names_not_critical],
    ),
];

const PKIX: &[Row] = &[
    (
        "`--profile pkix`: nothing, a TLS server with a DNS name",
        "valid",
        "",
        [none, none, |p| {
            p.subject_alt_names = vec![pki::dns("a.example")];
            pki::server_only(p);
        }],
    ),
    (
        "`--profile pkix`: nothing, two URIs and no keyUsage",
        "valid",
        "",
        [none, none, |p| {
            p.subject_alt_names.push(pki::uri("https://a.example"));
            pki::no_usage(p);
        }],
    ),
    (
        "`--profile pkix`: extendedKeyUsage has codeSigning only",
        "extended-key-usage",
        "",
        [none, none, |p| {
            p.extended_key_usages = vec![Eku::CodeSigning];
        }],
    ),
    (
        "`--profile pkix`: a leaf for servers below a CA for clients",
        "extended-key-usage",
        "",
        [none, pki::client_only, pki::server_only],
    ),
    (
        "`--profile pkix`: no subject, and subjectAltName holds no name",
        "valid",
        "whoever expects a name finds none; nobody can be taken for somebody else",
        [none, none, pki::empty_names],
    ),
    (
        "`--profile pkix`: extendedKeyUsage is anyExtendedKeyUsage",
        "extended-key-usage",
        "",
        [none, none, pki::any_purpose],
    ),
    (
        "`--profile pkix`: extendedKeyUsage is empty",
        "well-formed",
        "",
        [none, none, pki::empty_purposes],
    ),
    (
        "`--profile pkix`: keyUsage allows nothing in a handshake",
        "leaf-key-usage",
        "webpki does not look at a leaf's keyUsage",
        [none, none, |p| {
            p.key_usages = vec![Usage::ContentCommitment];
        }],
    ),
    (
        "`--profile pkix`: the leaf is a CA",
        "leaf-not-ca",
        "openssl lets a CA authenticate itself",
        [none, none, |p| {
            p.distinguished_name.push(DnType::CommonName, "cart");
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            p.key_usages.push(Usage::KeyCertSign);
        }],
    ),
];
