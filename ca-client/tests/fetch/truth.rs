//! What does an honest CA's answer become?

use ca_client::CaClient;
use ca_client::Credential;
use ca_client::SvidError;
use ca_client::Trust;

use crate::CART;
use crate::client_of;
use crate::fake_ca::FakeCa;
use crate::pki::Leaf;
use crate::pki::Pki;

#[tokio::test]
async fn an_honest_answer_becomes_an_svid() {
    let ca = FakeCa::honest().await;

    let svid = client_of(&ca).build().unwrap().fetch().await.unwrap();

    assert_eq!(svid.spiffe_id().as_str(), CART);
    assert_eq!(svid.chain_der().count(), 3);
    assert_eq!(svid.chain_der().last().unwrap(), ca.pki.root.der().as_ref());
    assert_eq!(svid.roots_pem(), ca.pki.roots_pem().replace("\r\n", "\n"));
    assert!(svid.rustls_certified_key().keys_match().is_ok());
    assert_eq!(svid.rustls_certified_key().cert.len(), 2);
}

#[tokio::test]
async fn the_request_carries_token_lifetime_and_cluster() {
    let ca = FakeCa::honest().await;
    let client = client_of(&ca)
        .cluster_id("east")
        .ttl(std::time::Duration::from_secs(1800));

    client.build().unwrap().fetch().await.unwrap();

    let asked = ca.asked().remove(0);
    assert_eq!(asked.authorization.as_deref(), Some("Bearer a-token"));
    assert_eq!(asked.cluster_id.as_deref(), Some("east"));
    assert_eq!(asked.validity_duration, 1800);
    assert_eq!(asked.client_certificates, 0);
}

#[tokio::test]
async fn every_fetch_has_a_new_key() {
    let ca = FakeCa::honest().await;
    let client = client_of(&ca).build().unwrap();
    let one = client.fetch().await.unwrap();
    let other = client.fetch().await.unwrap();
    assert_ne!(
        one.private_key_pkcs8().der(),
        other.private_key_pkcs8().der()
    );
}

#[tokio::test]
async fn an_svid_renews_itself_over_mutual_tls_without_a_token() {
    let ca = FakeCa::honest().await;
    let svid = client_of(&ca).build().unwrap().fetch().await.unwrap();

    let renewing = client_of(&ca).credential(Credential::identity(svid));
    renewing.build().unwrap().fetch().await.unwrap();

    let asked = ca.asked().remove(1);
    assert_eq!(asked.authorization, None);
    assert_eq!(asked.client_certificates, 2);
}

#[tokio::test]
async fn a_renewal_that_changes_the_name_is_refused() {
    let ca = FakeCa::start(|pki, asked| {
        let name = match asked.client_certificates {
            0 => CART,
            _ => "spiffe://cluster.local/ns/shop/sa/admin",
        };
        Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(name))))
    })
    .await;
    let svid = client_of(&ca).build().unwrap().fetch().await.unwrap();

    let renewing = client_of(&ca).credential(Credential::identity(svid));
    let error = renewing.build().unwrap().fetch().await.unwrap_err();

    let ca_client::Error::Answer { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(*source, SvidError::AnotherName { .. }),
        "{source:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_starts_in_five_minutes_is_accepted() {
    let ca = FakeCa::start(|pki, asked| {
        let leaf = Leaf {
            from: 300,
            ..Leaf::named(CART)
        };
        Ok(pki.answer(pki.leaf(&asked.csr, &leaf)))
    })
    .await;
    assert!(client_of(&ca).build().unwrap().fetch().await.is_ok());
}

#[tokio::test]
async fn a_new_root_in_the_answer_joins_the_bundle_behind_the_anchor() {
    let ca = FakeCa::start(|pki, asked| {
        let mut answer = pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)));
        answer[2] = Pki::new("next").roots_pem() + &pki.roots_pem();
        Ok(answer)
    })
    .await;

    let svid = client_of(&ca).build().unwrap().fetch().await.unwrap();

    assert_eq!(svid.roots().len(), 2);
    assert_eq!(svid.roots()[0].der(), ca.pki.root.der().as_ref());
}

#[tokio::test]
async fn the_fingerprint_of_the_root_is_enough_for_first_contact() {
    let ca = FakeCa::honest().await;
    let root = proto::certificate::Fingerprint::of(ca.pki.root.der());
    let client = CaClient::builder(ca.address())
        .trust(Trust::fingerprint(root))
        .credential(Credential::token("a-token"));
    let svid = client.build().unwrap().fetch().await.unwrap();
    assert_eq!(svid.roots()[0].fingerprint(), root);
}
