//! What may an operator say about enrolment tokens? Those calls of `signet.v1.AdminService`.

use std::time::Duration;

use proto::signet;
use tonic::Status;
use tracing::info;

use super::admin::Admin;
use super::admin::status;
use super::messages;
use crate::attest::enrolment;
use crate::ledger::TokenId;
use crate::x509::Serial;

impl Admin {
    pub(super) async fn mint_token(
        &self,
        request: signet::CreateTokenRequest,
    ) -> Result<signet::CreateTokenResponse, Status> {
        let spiffe_id = self.workload_id(&request.spiffe_id)?;
        let ttl = match request.ttl {
            None => DEFAULT_TOKEN_TTL,
            Some(ttl) => token_ttl(messages::duration(ttl))?,
        };
        let now = self.clock.now();
        let (text, token) = enrolment::mint(spiffe_id, ttl, now, &*self.entropy)
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let info = messages::token(&token, now);
        self.ledger
            .create_token(token)
            .await
            .map_err(|error| status(&error))?;
        info!(
            token = info.id,
            spiffe_id = info.spiffe_id,
            "enrolment token created"
        );
        let token = text.to_string();
        Ok(signet::CreateTokenResponse {
            token,
            info: Some(info),
        })
    }

    pub(super) async fn tokens(&self) -> Result<signet::ListTokensResponse, Status> {
        let now = self.clock.now();
        let tokens = self
            .ledger
            .list_tokens()
            .await
            .map_err(|error| status(&error))?;
        let tokens = tokens
            .iter()
            .map(|token| messages::token(token, now))
            .collect();
        Ok(signet::ListTokensResponse { tokens })
    }

    pub(super) async fn revoke(&self, text: &str) -> Result<signet::RevokeTokenResponse, Status> {
        let id = text
            .parse::<Serial>()
            .map(|id| TokenId(*id.as_bytes()))
            .map_err(|_not_hex| {
                Status::invalid_argument(format!("{text:?} is not a token id: see `token list`"))
            })?;
        let now = self.clock.now();
        let revoked = self
            .ledger
            .revoke_token(id, now)
            .await
            .map_err(|error| status(&error))?;
        let token = revoked.ok_or_else(|| Status::not_found(format!("no enrolment token {id}")))?;
        info!(token = %id, "enrolment token revoked");
        let info = Some(messages::token(&token, now));
        Ok(signet::RevokeTokenResponse { info })
    }
}

fn token_ttl(ttl: Option<Duration>) -> Result<Duration, Status> {
    ttl.filter(|ttl| *ttl >= MIN_TOKEN_TTL && *ttl <= MAX_TOKEN_TTL)
        .ok_or_else(|| Status::invalid_argument("a token lives between 1 second and 30 days"))
}

const DEFAULT_TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
const MIN_TOKEN_TTL: Duration = Duration::from_secs(1);
const MAX_TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
