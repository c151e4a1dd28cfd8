//! A token issuer like a cluster's: a P-256 key, a JWK Set file, service account tokens.

use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::KeyPair as _;
use serde_json::Value;
use serde_json::json;

/// The `iss` claim.
pub const ISSUER: &str = "https://issuer.test";
/// The audience in the issuers file.
pub const AUDIENCE: &str = "istio-ca";

/// One issuer with one key.
#[derive(Debug)]
pub struct TokenIssuer {
    pkcs8: Vec<u8>,
    point: Vec<u8>,
}

impl TokenIssuer {
    /// With a new key.
    #[must_use]
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random)
                .unwrap();
        Self {
            pkcs8: pkcs8.as_ref().to_vec(),
            point: pair.public_key().as_ref().to_vec(),
        }
    }

    /// Its public key as an uncompressed point.
    #[must_use]
    pub fn public_point(&self) -> &[u8] {
        &self.point
    }

    /// Writes its JWK Set to `dir` and answers the path of an issuers file that names it.
    #[must_use]
    pub fn install(&self, dir: &Path) -> PathBuf {
        let jwks = dir.join("jwks.json");
        self.write_jwks(&jwks);
        let issuers = dir.join("issuers.yaml");
        let text = format!(
            "- issuer: {ISSUER}\n  audiences: [other, {AUDIENCE}]\n  jwks_file: {}\n",
            jwks.display()
        );
        std::fs::write(&issuers, text).unwrap();
        issuers
    }

    /// Writes its JWK Set as `path`, by rename.
    pub fn write_jwks(&self, path: &Path) {
        let (x, y) = self.point[1..].split_at(32);
        let key = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": "k1", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, json!({ "keys": [key] }).to_string()).unwrap();
        std::fs::rename(&temporary, path).unwrap();
    }

    /// A token for service account `cart` in namespace `shop`, good for ten minutes.
    #[must_use]
    pub fn token(&self) -> String {
        self.sign(&claims(json!({})))
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("k1".to_owned());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&self.pkcs8)).unwrap()
    }
}

impl TokenIssuer {
    /// A signed token of exactly this text, which need not be sensible JSON.
    #[must_use]
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let (header, claims) = (
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims),
        );
        let input = format!("{header}.{claims}");
        let key = EncodingKey::from_ec_der(&self.pkcs8);
        let signature =
            jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::ES256).unwrap();
        format!("{input}.{signature}")
    }
}

impl Default for TokenIssuer {
    fn default() -> Self {
        Self::new()
    }
}

/// The claims of a good token, with `changes` on top; a null removes a claim.
#[must_use]
pub fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": [AUDIENCE], "sub": "system:serviceaccount:shop:cart",
        "exp": unix_now() + 600,
    });
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    claims
}

/// A token whose header and claims are whatever they are, signed by nobody.
#[must_use]
pub fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(header),
        part(claims),
        URL_SAFE_NO_PAD.encode(signature)
    )
}

/// Seconds since 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "real servers run by the real clock"
)]
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
