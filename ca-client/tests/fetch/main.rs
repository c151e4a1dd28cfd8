//! Does the client get, check and write what it should? A fake CA on loopback tells the truth, and lies.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support"
)]

mod command;
mod fake_ca;
mod files;
mod pki;
mod refusals;
mod server_trust;
mod settings;
mod stores;
mod truth;
mod unprivileged;

use std::time::Duration;

use ca_client::CaClient;
use ca_client::CaClientBuilder;
use ca_client::Credential;
use ca_client::Trust;

use crate::fake_ca::FakeCa;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// A client that trusts the fake CA and has a token.
fn client_of(ca: &FakeCa) -> CaClientBuilder {
    CaClient::builder(ca.address())
        .trust(Trust::roots_pem(ca.pki.roots_pem().as_bytes()).unwrap())
        .credential(Credential::token("a-token"))
        .connect_deadline(Duration::from_secs(30))
        .answer_deadline(Duration::from_secs(30))
}
