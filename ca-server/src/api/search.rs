//! What is looked for in the ledger? Requests for a page of certificates as queries.

use proto::signet;
use tonic::Status;

use super::messages;
use crate::ledger::Cursor;
use crate::ledger::Query;

/// The query that a request stands for, or what is wrong with the request.
pub(super) fn query(request: signet::ListCertificatesRequest) -> Result<Query, Status> {
    let spiffe_id = match request.spiffe_id.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| {
            Status::invalid_argument(format!("{text:?} is not a SPIFFE ID: {error}"))
        })?),
    };
    let after = match request.page_token.as_str() {
        "" => None,
        text => Some(Cursor(
            unhex(text).ok_or_else(|| Status::invalid_argument("bad page token"))?,
        )),
    };
    let limit = match usize::try_from(request.page_size) {
        Ok(0) | Err(_) => DEFAULT_PAGE,
        Ok(size) => size.min(MAX_PAGE),
    };
    Ok(Query {
        spiffe_id,
        expires_before: request.expires_before.and_then(messages::time),
        expires_after: request.expires_after.and_then(messages::time),
        limit,
        after,
    })
}

/// The token of the page behind a cursor.
pub(super) fn page_token(cursor: &Cursor) -> String {
    cursor.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().collect();
    let pairs = digits.chunks(2).map(|pair| {
        let pair: String = pair.iter().collect();
        (pair.len() == 2)
            .then(|| u8::from_str_radix(&pair, 16).ok())
            .flatten()
    });
    pairs.collect()
}

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
