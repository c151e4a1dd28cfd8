//! Secrets have the names that people ask for, versions that say what is in them, and Envoy's form.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::CertificateValidationContext;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SpiffeCertValidatorConfig;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use proto::certificate::Certificate;

use super::*;
use crate::sds::secrets::wipe;

fn read<T: Message + Default>(any: Any) -> T {
    T::decode(any.value.as_slice()).unwrap()
}

fn secret(catalogue: &Catalogue, name: &str) -> Secret {
    let grants = the_only_one();
    read(catalogue.seen_by(&grants).get(name).unwrap().named(name))
}

fn context(catalogue: &Catalogue) -> CertificateValidationContext {
    match secret(catalogue, "ROOTCA").r#type.unwrap() {
        secret::Type::ValidationContext(context) => context,
        _ => panic!("not roots"),
    }
}

fn text(source: Option<envoy_types::pb::envoy::config::core::v3::DataSource>) -> String {
    match source.unwrap().specifier.unwrap() {
        Specifier::InlineBytes(bytes) => String::from_utf8(bytes).unwrap(),
        _ => panic!("not inline"),
    }
}

#[test]
fn the_certificate_has_chain_and_key_together_under_both_of_its_names() {
    let root = Root::new();
    let svid = root.svid(&[&root]);
    let catalogue = catalogue(&svid);
    for name in ["default", CART] {
        let secret = secret(&catalogue, name);
        assert_eq!(secret.name, name);
        let secret::Type::TlsCertificate(certificate) = secret.r#type.unwrap() else {
            panic!("not a certificate");
        };
        assert_eq!(text(certificate.certificate_chain), svid.chain_pem());
        assert_eq!(text(certificate.private_key), *svid.private_key_pem());
    }
}

#[test]
fn roots_have_two_names_and_nothing_else_has_any() {
    let root = Root::new();
    let (catalogue, grants) = (catalogue(&root.svid(&[&root])), the_only_one());
    for name in ["ROOTCA", "spiffe://cluster.local"] {
        let view = catalogue.seen_by(&grants);
        assert_eq!(view.get(name).unwrap().kind, Kind::Roots);
    }
    assert_eq!(text(context(&catalogue).trusted_ca), root.pem());
    for name in [
        "",
        "rootca",
        "spiffe://cluster.local/ns/shop/sa/till",
        "spiffe://other",
    ] {
        assert!(catalogue.seen_by(&grants).get(name).is_none(), "{name}");
    }
}

#[test]
fn a_revocation_list_goes_with_the_roots() {
    let root = Root::new();
    let beyond = Beyond {
        crls: vec![vec![0x30, 0]],
        ..Beyond::default()
    };
    let with = of_offers(&[Some(Offer {
        beyond: Arc::new(beyond),
        ..offer(&root.svid(&[&root]))
    })]);
    let context = context(&with);
    assert_eq!(text(context.trusted_ca), root.pem());
    assert!(text(context.crl).starts_with("-----BEGIN X509 CRL-----"));
}

#[test]
fn several_trust_domains_are_each_held_against_their_own_roots() {
    let (ours, theirs) = (Root::new(), Root::new());
    let foreign = Certificate::all_from_pem(theirs.pem().as_bytes()).unwrap();
    let beyond = Beyond {
        others: [("partner.example".to_owned(), foreign)].into(),
        crls: vec![vec![0x30, 0]],
    };
    let catalogue = of_offers(&[Some(Offer {
        beyond: Arc::new(beyond),
        ..offer(&ours.svid(&[&ours]))
    })]);
    let context = context(&catalogue);
    assert!(context.trusted_ca.is_none() && context.crl.is_none());
    let validator = context.custom_validator_config.unwrap();
    assert_eq!(validator.name, "envoy.tls.cert_validator.spiffe");
    let config: Any = validator.typed_config.unwrap();
    let config: SpiffeCertValidatorConfig = read(config);
    let [own, other] = <[_; 2]>::try_from(config.trust_domains).unwrap();
    assert_eq!(
        (own.name.as_str(), other.name.as_str()),
        ("cluster.local", "partner.example")
    );
    assert!(text(own.trust_bundle).starts_with(&ours.pem()));
    assert_eq!(text(other.trust_bundle), theirs.pem());
}

#[test]
fn versions_change_with_content_and_with_nothing_else() {
    let (a, b) = (Root::new(), Root::new());
    let (first, second) = (a.svid(&[&a]), a.svid(&[&a, &b]));
    let versions = |svid| {
        let catalogue = catalogue(svid);
        [Kind::Roots, Kind::Leaf].map(|kind| version(&catalogue, kind).to_string())
    };
    assert_eq!(versions(&first), versions(&first));
    let (before, after) = (versions(&first), versions(&second));
    assert_ne!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    assert_eq!(
        versions(&a.svid(&[&a]))[0],
        before[0],
        "other leaf, same roots"
    );
}

#[test]
fn the_private_key_is_in_no_debug_output() {
    let root = Root::new();
    let shown = format!("{:?}", catalogue(&root.svid(&[&root])));
    assert!(!shown.contains("PRIVATE") && shown.len() < 2000, "{shown}");
}

#[test]
fn nothing_of_a_key_is_left_where_a_secret_was() {
    let root = Root::new();
    let catalogue = catalogue(&root.svid(&[&root]));
    let mut body = secret(&catalogue, "default").r#type.unwrap();
    wipe(&mut body);
    let secret::Type::TlsCertificate(certificate) = body else {
        panic!("not a certificate");
    };
    assert_eq!(text(certificate.private_key), "");
    assert_ne!(text(certificate.certificate_chain), "");
}
