//! Gets, checks and writes a workload's SPIFFE certificate.
//!
//! [`CaClient`] asks a certificate authority that speaks Istio's signing API for an [`Svid`];
//! [`OutputDir`] writes it for other processes so that they see one whole set.
//!
//! ```no_run
//! use ca_client::CaClient;
//! use ca_client::Credential;
//! use ca_client::Trust;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = CaClient::builder("ca.example:15012".parse()?)
//!     .trust(Trust::roots_pem(&std::fs::read("root-cert.pem")?)?)
//!     .credential(Credential::token_file("/var/run/secrets/tokens/istio-token"))
//!     .build()?;
//! let svid = client.fetch().await?;
//! assert_eq!(svid.spiffe_id().as_str(), "spiffe://cluster.local/ns/shop/sa/cart");
//! # Ok(())
//! # }
//! ```

mod address;
pub mod agent;

mod builder;
mod bundle;
mod ca_time;
mod channel;
mod client;
mod clock;
mod credential;
mod csr;
mod dial;
mod error;
pub mod files;
mod handshake;
pub mod health;
mod instance;
mod key;
pub mod mtls;
pub mod node;
mod offer;
pub mod probe;
mod pushback;
mod readers;
mod refusal;
mod roster;
pub mod sds;
pub mod socket;
mod svid;
mod tls;
mod trust;
mod watch;
pub mod workload_api;

pub use address::CaAddress;
pub use address::CaAddressError;
pub use builder::BuildError;
pub use builder::CaClientBuilder;

pub use agent::Agent;
pub use ca_time::CaTime;
pub use client::CaClient;
pub use client::Enrolled;
pub use clock::CLOCK_TOLERANCE;
pub use clock::Clock;
pub use clock::SystemClock;
pub use credential::Credential;
pub use credential::CredentialError;
pub use csr::CsrError;
pub use csr::KeyAndCsr;
pub use error::Error;
pub use error::Step;
pub use files::OutputDir;
pub use key::PrivateKey;
pub use node::Node;
pub use svid::Svid;
pub use svid::SvidError;
pub use trust::ServerError;
pub use trust::Trust;
pub use trust::TrustError;
