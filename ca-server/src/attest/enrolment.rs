//! Is it the holder of a one-time enrolment token? Made by an operator for one SPIFFE ID, stored hashed.
//!
//! Nothing is spent here: the ledger does that in the batch that reserves the leaf.

use std::time::Duration;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Caller;
use super::EvidenceError;
use super::Refusal;
use crate::ledger::Evidence;
use crate::ledger::Ledger;
use crate::ledger::Token;
use crate::ledger::TokenId;
use crate::x509::Entropy;
use crate::x509::EntropyError;
use crate::x509::Serial;

/// What every enrolment token starts with, so that scanners recognise one that leaks.
pub const PREFIX: &str = "signet_enrol_";

/// Makes a token for `spiffe_id`: the secret to hand over, and what is stored of it.
///
/// # Errors
/// When `entropy` has none to give.
pub fn mint(
    spiffe_id: SpiffeId,
    ttl: Duration,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<(Zeroizing<String>, Token), EntropyError> {
    // Ids are time-led like serials, so that the ledger's keys are.
    let id = TokenId(*Serial::draw(now, entropy)?.as_bytes());
    let mut secret = Zeroizing::new([0; SECRET_LEN]);
    entropy.fill(&mut *secret)?;
    let bytes = Zeroizing::new([id.0.as_slice(), secret.as_slice()].concat());
    let text = Zeroizing::new(format!(
        "{PREFIX}{}",
        URL_SAFE_NO_PAD.encode(bytes.as_slice())
    ));
    let token = Token {
        id,
        secret_hash: Fingerprint::of(secret.as_slice()),
        spiffe_id,
        created_at: now,
        expires_at: now + ttl,
        revoked: false,
        spent: None,
    };
    Ok((text, token))
}

/// Whether `bearer` claims to be an enrolment token.
#[must_use]
pub(super) fn is_enrolment_token(bearer: &str) -> bool {
    bearer.starts_with(PREFIX)
}

pub(super) async fn attest(
    bearer: &str,
    ledger: &dyn Ledger,
    now: SystemTime,
) -> Result<Caller, EvidenceError> {
    let (id, secret_hash) = parse(bearer).ok_or_else(|| refused("malformed"))?;
    let token = ledger.find_token(id).await.map_err(EvidenceError::Ledger)?;
    let token = token.ok_or_else(|| refused("not known"))?;
    let matches: bool = token
        .secret_hash
        .as_bytes()
        .ct_eq(secret_hash.as_bytes())
        .into();
    if !matches {
        return Err(refused("its secret is wrong"));
    }
    if token.revoked {
        return Err(refused("revoked"));
    }
    if now >= token.expires_at {
        return Err(refused("expired"));
    }
    Ok(Caller {
        spiffe_id: token.spiffe_id,
        evidence: Evidence::EnrolmentToken(id),
        shown: Vec::new(),
    })
}

/// The token's name and the hash of its secret.
fn parse(bearer: &str) -> Option<(TokenId, Fingerprint)> {
    let encoded = bearer.strip_prefix(PREFIX)?;
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
    let (id, secret) = bytes.split_at_checked(ID_LEN)?;
    let id = TokenId(id.try_into().ok()?);
    (secret.len() == SECRET_LEN).then(|| (id, Fingerprint::of(secret)))
}

fn refused(reason: &'static str) -> EvidenceError {
    Refusal::EnrolmentToken { reason }.into()
}

const ID_LEN: usize = 16;
const SECRET_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::x509::SystemEntropy;

    fn minted() -> (Zeroizing<String>, Token) {
        let id = "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        mint(id, Duration::from_secs(900), now, &SystemEntropy).unwrap()
    }

    #[test]
    fn a_minted_token_parses_to_its_id_and_the_hash_of_its_secret() {
        let (text, token) = minted();
        assert!(is_enrolment_token(&text));
        assert_eq!(parse(&text), Some((token.id, token.secret_hash)));
    }

    #[test]
    fn what_is_stored_does_not_hold_the_secret() {
        let (text, token) = minted();
        let bytes = URL_SAFE_NO_PAD
            .decode(text.strip_prefix(PREFIX).unwrap())
            .unwrap();
        assert_ne!(&bytes[ID_LEN..], token.secret_hash.as_bytes());
    }

    #[test]
    fn a_cut_or_padded_token_does_not_parse() {
        let (text, _) = minted();
        for bad in [
            &text[..text.len() - 1],
            &format!("{}AA", *text),
            PREFIX,
            "signet_enrol_!!",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
