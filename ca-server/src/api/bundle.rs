//! How do other trust domains fetch our roots? `GET /bundle.json` on the HTTP port, and `/` too on the HTTPS port, which
//! is a bundle endpoint of the profile `https_spiffe` (SPIFFE Federation section 5). No caller is asked who it is.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::ETAG;
use axum::http::header::IF_NONE_MATCH;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use proto::certificate::Fingerprint;
use tracing::error;
use tracing::warn;

use crate::authority::Authority;
use crate::authority::polls::Polls;
use crate::authority::spiffe_bundle;
use crate::clock::Clock;

/// What the SPIFFE bundle is answered from.
#[derive(Clone)]
pub struct BundleEndpoint {
    /// Whose roots.
    pub authority: Arc<Authority>,
    /// Where it is noted that somebody asks.
    pub polls: Arc<Polls>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

/// The route on the HTTP port.
pub fn routes(endpoint: BundleEndpoint) -> Router {
    Router::new()
        .route("/bundle.json", get(bundle))
        .with_state(endpoint)
}

/// The routes of the bundle's own port: SPIRE's clients are usually given a URL without a path.
pub fn own_port_routes(endpoint: BundleEndpoint) -> Router {
    Router::new()
        .route("/", get(bundle))
        .with_state(endpoint.clone())
        .merge(routes(endpoint))
}

async fn bundle(State(endpoint): State<BundleEndpoint>, headers: HeaderMap) -> Response {
    // The poll first: whoever is not counted by a gate reads what that gate let through.
    endpoint.note_poll().await;
    let generation = endpoint.authority.current();
    match spiffe_bundle::encode(generation.roots(), generation.bundle_number()) {
        Ok(document) => answer(document, &headers),
        Err(error) => {
            error!(%error, "no SPIFFE bundle");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

/// The document, or that the caller has it already (RFC 9110 section 13.1.2). Nobody may answer from a cache without
/// asking: what is waited for after a change are the callers' hints, not those of caches between.
fn answer(document: String, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", Fingerprint::of(document.as_bytes()));
    let seen = headers.get_all(IF_NONE_MATCH).iter();
    let has_it = seen
        .filter_map(|seen| seen.to_str().ok())
        .flat_map(|seen| seen.split(','))
        .map(|seen| seen.trim().trim_start_matches("W/"))
        .any(|seen| seen == tag || seen == "*");
    let about = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
    match has_it {
        true => (StatusCode::NOT_MODIFIED, about).into_response(),
        false => (about, [(CONTENT_TYPE, "application/json")], document).into_response(),
    }
}

impl BundleEndpoint {
    async fn note_poll(&self) {
        if !self.polls.note(self.clock.now()) {
            return;
        }
        let polls = Arc::clone(&self.polls);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || polls.keep()).await {
            warn!(%error, "a restart would not know that the SPIFFE bundle is polled");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_document_is_told_so_and_nobody_else() {
        let tag = answer("{}".to_owned(), &HeaderMap::new()).headers()[ETAG].clone();
        let tag = tag.to_str().unwrap();
        let table = [
            (tag.to_owned(), 304),
            (format!("\"other\", W/{tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.trim_matches('"').to_owned(), 200),
        ];
        for (seen, status) in table {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, seen.parse().unwrap())]);
            assert_eq!(answer("{}".to_owned(), &headers).status(), status, "{seen}");
            assert_eq!(
                answer("[]".to_owned(), &headers).status() == 304,
                seen == "*"
            );
        }
    }
}
