//! `ca-server token create|list|revoke`

use proto::signet::CreateTokenRequest;
use proto::signet::ListTokensRequest;
use proto::signet::RevokeTokenRequest;
use proto::signet::Token;
use serde::Serialize;
use tonic::Status;

use super::OperatorError;
use super::connect;
use super::output;
use crate::cli;
use crate::cli::Output;

/// Runs one `token` command.
pub(in crate::app) async fn token(command: cli::Token) -> Result<(), OperatorError> {
    match command {
        cli::Token::Create(options) => create(options).await,
        cli::Token::List(options) => list(options).await,
        cli::Token::Revoke(options) => revoke(options).await,
    }
}

async fn create(options: cli::TokenCreate) -> Result<(), OperatorError> {
    let ttl = prost_types::Duration::try_from(options.ttl)
        .map_err(|_too_long| Status::invalid_argument("--ttl is too long"))?;
    let request = CreateTokenRequest {
        spiffe_id: options.spiffe_id,
        ttl: Some(ttl),
    };
    let mut client = connect(&options.operator.data_dir).await?;
    let answer = client.create_token(request).await?.into_inner();
    match options.operator.output {
        // Alone on standard output, so that `> token` is all it takes.
        Output::Table => output::line(&answer.token)?,
        Output::Json => {
            let row = answer.info.map(Row::from).unwrap_or_default();
            output::json(&Created {
                token: answer.token,
                row,
            })?;
        }
    }
    Ok(())
}

async fn list(options: cli::Operator) -> Result<(), OperatorError> {
    let mut client = connect(&options.data_dir).await?;
    let tokens = client
        .list_tokens(ListTokensRequest {})
        .await?
        .into_inner()
        .tokens;
    let rows: Vec<Row> = tokens.into_iter().map(Row::from).collect();
    match options.output {
        Output::Json => output::json(&rows)?,
        Output::Table => output::table(
            &["ID", "SPIFFE ID", "STATE", "EXPIRES", "SERIAL"],
            rows.into_iter()
                .map(|row| vec![row.id, row.spiffe_id, row.state, row.expires_at, row.serial])
                .collect(),
        )?,
    }
    Ok(())
}

async fn revoke(options: cli::TokenRevoke) -> Result<(), OperatorError> {
    let mut client = connect(&options.operator.data_dir).await?;
    let answer = client
        .revoke_token(RevokeTokenRequest { id: options.id })
        .await?
        .into_inner();
    let row = answer.info.map(Row::from).unwrap_or_default();
    match options.operator.output {
        Output::Json => output::json(&row)?,
        Output::Table => output::line(&format!("{} is {}", row.id, row.state))?,
    }
    Ok(())
}

#[derive(Serialize)]
struct Created {
    token: String,
    #[serde(flatten)]
    row: Row,
}

#[derive(Default, Serialize)]
struct Row {
    id: String,
    spiffe_id: String,
    state: String,
    created_at: String,
    expires_at: String,
    serial: String,
}

impl From<Token> for Row {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            spiffe_id: token.spiffe_id,
            state: token.state,
            created_at: output::time(token.created_at),
            expires_at: output::time(token.expires_at),
            serial: token.serial,
        }
    }
}
