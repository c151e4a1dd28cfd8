//! Signet's certificate authority.
//!
//! ```text
//! main ─▶ cli ◀─ config            proto ◀── every room
//!   └──▶ app ─▶ all rooms
//! api ─▶ attest, issuance; authority and ledger to read and for operators' calls
//! attest ─▶ ledger (tokens)
//! issuance ─▶ attest::Caller, authority, ledger, x509
//! authority, ledger ─▶ x509        rotation ─▶ ledger
//! ```
//!
//! One request is a straight line: read [`issuance::Issuance::issue`].

pub mod api;
pub mod app;
pub mod attest;
pub mod authority;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod issuance;
pub mod ledger;
pub mod rotation;
pub mod telemetry;
pub mod x509;
