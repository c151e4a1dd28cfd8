//! May this token pay for this intent? One token, one key.

use crate::ledger::Intent;
use crate::ledger::LedgerError;
use crate::ledger::Spent;
use crate::ledger::Token;
use crate::ledger::TokenId;
use crate::x509::LeafName;
use crate::x509::Serial;

/// What an enrolment token is worth to an intent. Both carry the token as it is once spent on that intent.
#[derive(Debug)]
pub(super) enum Spend {
    /// It is fresh.
    Now(Token),
    /// It was spent on the same key, under the serial `earlier`. When that leaf never got recorded its holder
    /// may not have it, so the token may be pointed at the new intent: still one token, one key.
    Again { token: Token, earlier: Serial },
}

/// Judges a stored token against the intent that it is to pay for.
///
/// # Errors
/// The first rule that is broken, for the log.
pub(super) fn spend(
    stored: Option<Token>,
    id: TokenId,
    intent: &Intent,
) -> Result<Spend, LedgerError> {
    let refused = |reason| LedgerError::TokenRefused { id, reason };
    let mut token = stored.ok_or_else(|| refused("there is no such token"))?;
    if token.revoked {
        return Err(refused("it is revoked"));
    }
    if intent.reserved_at >= token.expires_at {
        return Err(refused("it is expired"));
    }
    match &intent.name {
        LeafName::Workload(name) if *name == token.spiffe_id => {}
        LeafName::Workload(_) | LeafName::Serving { .. } | LeafName::Trial => {
            return Err(refused("it is for another SPIFFE ID"));
        }
    }
    let earlier = token.spent.replace(Spent {
        serial: intent.serial,
        key: intent.key,
    });
    match earlier {
        None => Ok(Spend::Now(token)),
        Some(earlier) if earlier.key == intent.key => Ok(Spend::Again {
            token,
            earlier: earlier.serial,
        }),
        Some(_) => Err(refused("it was spent on another key")),
    }
}
