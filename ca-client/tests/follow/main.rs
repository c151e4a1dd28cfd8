//! Does the agent follow the CA's trust, and only forward? A CA on loopback that counts its bundles and pushes them, as
//! told.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "test support")]

#[path = "../fetch/pki.rs"]
#[expect(dead_code, reason = "there is more than is needed here")]
mod pki;
mod scene;
mod trust_ca;

mod acknowledging;
mod adoption;
mod advice;
mod distrust;
mod memory;
mod nonsense;
mod sds;
mod streams;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";
