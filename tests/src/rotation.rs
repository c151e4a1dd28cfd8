//! How does a rotation stand? What `rotate status` says, and what the record on disk says when nobody runs.

use std::path::Path;

use serde_json::Value;

use crate::ca::TestCa;

/// `rotate status`, as programs read it.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn status(ca: &TestCa) -> Value {
    let said = ca.operator(&["rotate", "status", "--output", "json"]);
    serde_json::from_str(&said).unwrap()
}

/// The issuer of the first signer of `status` in this role; empty where there is none.
#[must_use]
pub fn signer(status: &Value, role: &str) -> String {
    let mut signers = status["signers"].as_array().into_iter().flatten();
    let found = signers.find(|signer| signer["role"] == role);
    let issuer = found.and_then(|signer| signer["issuer"].as_str());
    issuer.unwrap_or_default().to_owned()
}

/// The rotation record of `data_dir`, as a restart would find it.
///
/// # Panics
/// When it is not whole.
#[must_use]
pub fn record(data_dir: &Path) -> Value {
    let record = std::fs::read(data_dir.join("rotation.json")).unwrap();
    serde_json::from_slice(&record).unwrap()
}

/// How far the rotation away from `old` came, by its record.
///
/// # Panics
/// When there is no such record.
#[must_use]
pub fn phase_away_from(old: &str, record: &Value) -> &'static str {
    let signers = record["signers"].as_array().unwrap();
    let next = signers.iter().find(|it| it["issuer"] == record["next"]);
    match (record["active"] == *old, next) {
        (true, None) => "before",
        (true, Some(next)) if next["published"] == false => "prepare",
        (true, Some(_)) => "distribute",
        (false, _) if signers.len() > 1 => "drain",
        (false, _) => "retired",
    }
}
