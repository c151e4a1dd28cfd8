//! Why does a CA that answers not count as ours, and what cures it? Told where the trust bundle of an earlier run
//! stands in the way, or where the CA changed its root while this agent was away.

use proto::certificate::Fingerprint;

use super::Engine;
use crate::agent::attempt::AttemptError;
use crate::agent::status::one_line;
use crate::bundle::Bundle;
use crate::error::Error;
use crate::trust::ServerError;

impl Engine {
    /// The error, and what to do where only somebody else can.
    pub(super) async fn explained(&mut self, error: &AttemptError) -> String {
        let text = one_line(error);
        let (Some(bundle), true) = (&self.bundle, error.reason() == "ca-not-trusted") else {
            return text;
        };
        if let Some(given) = &self.settings.first_contact
            && given
                .differs_from(bundle.roots(), &mut self.given_roots)
                .await
        {
            return format!(
                "{text}; the roots that were given to this agent are others than those of its trust \
                 bundle, which alone counts after the first contact: if the CA really is a new one, \
                 stop the agent, remove the files of the old one and start again"
            );
        }
        match unknown_issuer(error) {
            Some(presented) => format!("{text}; {}", left_behind(bundle, presented)),
            None => text,
        }
    }
}

/// What the server showed, leaf first, if that leads to no root of ours.
fn unknown_issuer(error: &AttemptError) -> Option<&[Fingerprint]> {
    let sources = match error {
        AttemptError::Ca { source } => [Some(source), None],
        AttemptError::BothRefused { token, certificate } => [Some(token), Some(certificate)],
        _ => [None, None],
    };
    sources.into_iter().flatten().find_map(|error| match error {
        Error::Server {
            source: ServerError::UnknownIssuer { presented, .. },
            ..
        } => Some(presented.as_slice()),
        _ => None,
    })
}

fn left_behind(bundle: &Bundle, presented: &[Fingerprint]) -> String {
    let known: Vec<String> = bundle
        .of_the_ca()
        .iter()
        .map(|root| root.fingerprint().to_string())
        .collect();
    let number = bundle
        .number()
        .map_or_else(String::new, |number| format!(" of trust bundle {number}"));
    let top = presented.last().map_or_else(
        || "a root that it does not show".to_owned(),
        |top| format!("{top} at its end"),
    );
    format!(
        "this agent knows only the root {}{number}, and the CA presents a chain with {top}: the CA changed its root \
         while this agent was away. Stop the agent, get the CA's present root-cert.pem from its operator, remove the \
         files in --out, and start again with --ca-roots FILE (or --ca-fingerprint) and a fresh token",
        known.join(" and ")
    )
}
