//! Is this a key that everybody has? CA keys that are published as samples.

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

/// The sample that has the key of `certificate`.
pub(super) fn sample_with_key_of(certificate: &Certificate) -> Option<&'static str> {
    let hash = Fingerprint::of(&certificate.facts().spki_der).to_string();
    SAMPLES
        .iter()
        .find(|(sample, _)| *sample == hash)
        .map(|(_, name)| *name)
}

/// SHA-256 of the SubjectPublicKeyInfo, and whose sample it is.
const SAMPLES: &[(&str, &str)] = &[
    (
        "42d8cfd1102e06e3f2579e68f9db4f787ec9cbcd1f19f1bae7934cee918c2fef",
        "the issuing CA of the Maistra (OpenShift Service Mesh) samples",
    ),
    (
        "f0592d4d660052580d0c0bfe09f9a4d795ad8ab7c2fa86c33276fbb352145ee5",
        "the root CA of the Maistra (OpenShift Service Mesh) samples",
    ),
    (
        "33b56859d49574d5a08a943b8775b453dd82cff09d987b3c6a843a917b2ae0df",
        "the issuing CA of the Istio samples",
    ),
    (
        "bb1eae277ea4eb9f87a9a5ae2aaa737926874baeb1fda2d182f6c265689afa51",
        "the root CA of the Istio samples",
    ),
];
