//! Signet as its users see it: real processes on loopback, judged by openssl and by other people's libraries.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a failure here is a failed test"
)]

pub mod agent;
pub mod binaries;
pub mod ca;
pub mod cacerts;
pub mod doubles;
pub mod envoy;
pub mod faketime;
pub mod follower;
pub mod greed;
pub mod impostor;
pub mod jwt;
pub mod load;
pub mod mesh;
pub mod mount;
pub mod openssl;
pub mod peers;
pub mod poll;
pub mod relay;
pub mod rotation;
pub mod scene;
pub mod stores;
pub mod stranger;
pub mod tracer;
pub mod witness;
pub mod workload;
pub mod workload_api;
pub mod workshop;

/// The workload that most tests are about.
pub const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";
