//! Does the agent keep a good certificate whatever the clock and the CA do? A fake CA on loopback and a
//! clock that tests move.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "test support")]
#![expect(
    dead_code,
    reason = "the fake CA has more to offer than is needed here"
)]

#[path = "../fetch/fake_ca.rs"]
mod fake_ca;
#[path = "../fetch/pki.rs"]
mod pki;

mod clocks;
mod command;
mod evidence;
mod hands;
mod outages;
mod restarts;
mod wanted;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";
