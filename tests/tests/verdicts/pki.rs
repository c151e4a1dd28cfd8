//! Certificates for the matrix, good from 2025 to 2040 unless a case says otherwise. Made with rcgen.

use proto::certificate::Certificate;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::DnValue;
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rcgen::GeneralSubtree;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose as Usage;
use rcgen::NameConstraints;
use rcgen::SanType;
use rcgen::date_time_ymd;

pub(crate) const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// A change to what would be good.
pub(crate) type Change = fn(&mut CertificateParams);

/// A CA and what it needs to sign.
pub(crate) struct Ca {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) certificate: Certificate,
}

impl Ca {
    pub(crate) fn root(name: &str, change: Change) -> Self {
        Self::root_with(KeyPair::generate().unwrap(), name, change)
    }

    pub(crate) fn of_ed25519(name: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        Self::root_with(key, name, none)
    }

    fn root_with(key: KeyPair, name: &str, change: Change) -> Self {
        let params = ca_params(name, change);
        let made = params.self_signed(&key).unwrap();
        Self {
            certificate: Certificate::from_der(made.der()).unwrap(),
            params,
            key,
        }
    }

    pub(crate) fn below(&self, name: &str, change: Change) -> Self {
        let (params, key) = (ca_params(name, change), KeyPair::generate().unwrap());
        Self {
            certificate: self.sign(&params, &key),
            params,
            key,
        }
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Certificate {
        let issuer = Issuer::from_params(&self.params, &self.key);
        Certificate::from_der(params.signed_by(key, &issuer).unwrap().der()).unwrap()
    }

    pub(crate) fn leaf(&self, change: Change) -> Certificate {
        let key = KeyPair::generate().unwrap();
        self.sign(&leaf_params(change), &key)
    }
}

pub(crate) fn leaf_params(change: Change) -> CertificateParams {
    let mut params = dated();
    params.subject_alt_names = vec![uri(CART)];
    params.key_usages = vec![Usage::DigitalSignature];
    params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
    change(&mut params);
    params
}

fn ca_params(name: &str, change: Change) -> CertificateParams {
    let mut params = dated();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![Usage::KeyCertSign, Usage::CrlSign];
    change(&mut params);
    params
}

fn dated() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

pub(crate) fn none(_: &mut CertificateParams) {}

pub(crate) fn with_dns(params: &mut CertificateParams) {
    params.subject_alt_names.push(dns("a.example"));
}

pub(crate) fn wrong_dns(params: &mut CertificateParams) {
    params.subject_alt_names.push(dns("b.example"));
}

pub(crate) fn no_purpose(params: &mut CertificateParams) {
    params.extended_key_usages = Vec::new();
}

pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_after = date_time_ymd(2029, 1, 1);
}

pub(crate) fn early(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2031, 1, 1);
}

pub(crate) fn no_ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::ExplicitNoCa;
}

pub(crate) fn no_cert_sign(params: &mut CertificateParams) {
    params.key_usages = vec![Usage::CrlSign];
}

pub(crate) fn no_usage(params: &mut CertificateParams) {
    params.key_usages = Vec::new();
}

pub(crate) fn no_cas_below(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
}

pub(crate) fn server_only(params: &mut CertificateParams) {
    params.extended_key_usages = vec![Eku::ServerAuth];
}

pub(crate) fn client_only(params: &mut CertificateParams) {
    params.extended_key_usages = vec![Eku::ClientAuth];
}

pub(crate) fn any_purpose(params: &mut CertificateParams) {
    params.extended_key_usages = vec![Eku::Any];
}

pub(crate) fn ends_first(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2041, 1, 1);
}

pub(crate) fn called_cart(params: &mut CertificateParams) {
    params.distinguished_name.push(DnType::CommonName, "cart");
}

pub(crate) fn unknown_critical(params: &mut CertificateParams) {
    extension(params, &[1, 2, 3, 4], vec![5, 0], true);
}

pub(crate) fn unknown_other(params: &mut CertificateParams) {
    extension(params, &[1, 2, 3, 4], vec![5, 0], false);
}

/// anyPolicy, critical.
pub(crate) fn policies_critical(params: &mut CertificateParams) {
    let any = vec![0x30, 8, 0x30, 6, 6, 4, 0x55, 0x1d, 0x20, 0];
    extension(params, &[2, 5, 29, 32], any, true);
}

/// keyUsage digitalSignature, not critical.
pub(crate) fn usage_not_critical(params: &mut CertificateParams) {
    params.key_usages = Vec::new();
    extension(params, &[2, 5, 29, 15], vec![3, 2, 7, 0x80], false);
}

/// One URI, not critical.
pub(crate) fn names_not_critical(params: &mut CertificateParams) {
    params.subject_alt_names = Vec::new();
    let value = uris(&[CART.as_bytes()]);
    extension(params, &[2, 5, 29, 17], value, false);
}

/// A second URI whose octets are no text.
pub(crate) fn uri_of_no_text(params: &mut CertificateParams) {
    params.subject_alt_names = Vec::new();
    let value = uris(&[b"spiffe://cluster.local/\xff", CART.as_bytes()]);
    extension(params, &[2, 5, 29, 17], value, true);
}

/// subjectAltName without a name in it.
pub(crate) fn empty_names(params: &mut CertificateParams) {
    params.subject_alt_names = Vec::new();
    extension(params, &[2, 5, 29, 17], uris(&[]), true);
}

pub(crate) fn empty_purposes(params: &mut CertificateParams) {
    params.extended_key_usages = Vec::new();
    extension(params, &[2, 5, 29, 37], vec![0x30, 0], false);
}

/// The content of subjectAltName: URIs of any octets.
fn uris(uris: &[&[u8]]) -> Vec<u8> {
    let uris = uris.iter().flat_map(|octets| {
        let len = u8::try_from(octets.len()).unwrap();
        [&[0x86, len], *octets].concat()
    });
    let names: Vec<u8> = uris.collect();
    [&[0x30, u8::try_from(names.len()).unwrap()], &names[..]].concat()
}

/// authorityKeyIdentifier of a key that nobody has.
pub(crate) fn other_key_id(params: &mut CertificateParams) {
    params.use_authority_key_identifier_extension = false;
    extension(params, &[2, 5, 29, 35], vec![0x30, 4, 0x80, 2, 1, 2], false);
}

pub(crate) fn only_a_example(params: &mut CertificateParams) {
    permit(params, GeneralSubtree::DnsName("a.example".to_owned()));
}

pub(crate) fn not_a_example(params: &mut CertificateParams) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: Vec::new(),
        excluded_subtrees: vec![GeneralSubtree::DnsName("a.example".to_owned())],
    });
}

pub(crate) fn only_directory_cart(params: &mut CertificateParams) {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "cart");
    permit(params, GeneralSubtree::DirectoryName(name));
}

/// rcgen has no URI constraints: permitted, one uniformResourceIdentifier.
pub(crate) fn only_cluster_local(params: &mut CertificateParams) {
    let host = b"cluster.local";
    let mut value = vec![0x30, 19, 0xa0, 17, 0x30, 15, 0x86, 13];
    value.extend(host);
    extension(params, &[2, 5, 29, 30], value, true);
}

fn permit(params: &mut CertificateParams, subtree: GeneralSubtree) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![subtree],
        excluded_subtrees: Vec::new(),
    });
}

/// The same name in another string type.
pub(crate) fn printable_name(params: &CertificateParams, name: &str) -> CertificateParams {
    let mut params = params.clone();
    params.distinguished_name = DistinguishedName::new();
    let value = DnValue::PrintableString(name.try_into().unwrap());
    params.distinguished_name.push(DnType::CommonName, value);
    params
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn extension(params: &mut CertificateParams, oid: &[u64], value: Vec<u8>, critical: bool) {
    let mut extension = CustomExtension::from_oid_content(oid, value);
    extension.set_criticality(critical);
    params.custom_extensions.push(extension);
}
