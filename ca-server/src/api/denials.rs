//! What may an operator say about who gets nothing more? The denials of `signet.v1.AdminService`.

use proto::signet;
use proto::signet::denial_target::Target as Wire;
use tonic::Status;
use tracing::info;

use super::admin::Admin;
use super::admin::status;
use super::messages;
use crate::ledger::Denial;
use crate::ledger::Entry;
use crate::ledger::Evidence;
use crate::ledger::Query;
use crate::ledger::Reason;
use crate::ledger::Target;

impl Admin {
    pub(super) async fn deny_target(
        &self,
        request: signet::DenyRequest,
    ) -> Result<signet::DenyResponse, Status> {
        let target = self.target(request.target)?;
        let reason: Reason = request.reason.parse().map_err(invalid)?;
        let in_ledger = self.is_in_ledger(&target).await?;
        let since = self.clock.now();
        let denial = Denial {
            target,
            reason,
            since,
        };
        self.ledger
            .deny(denial.clone())
            .await
            .map_err(|error| status(&error))?;
        info!(target = %denial.target, reason = denial.reason.as_str(), in_ledger, "denied");
        Ok(signet::DenyResponse {
            denial: Some(messages::denial(&denial)),
            in_ledger,
        })
    }

    pub(super) async fn allow_target(
        &self,
        request: signet::AllowRequest,
    ) -> Result<signet::AllowResponse, Status> {
        let target = self.target(request.target)?;
        let allowed = self.ledger.allow(target.clone()).await;
        let denial = allowed.map_err(|error| status(&error))?.ok_or_else(|| {
            Status::not_found(format!("{target} is not denied: see `certs denied`"))
        })?;
        info!(target = %denial.target, reason = denial.reason.as_str(), "allowed again");
        Ok(signet::AllowResponse {
            denial: Some(messages::denial(&denial)),
        })
    }

    pub(super) async fn denials(&self) -> Result<Vec<signet::Denial>, Status> {
        let denials = self.ledger.list_denials().await;
        let denials = denials.map_err(|error| status(&error))?;
        Ok(denials.iter().map(messages::denial).collect())
    }

    /// The entries as messages, with their denials. The authority's own certificates cannot be denied.
    pub(super) async fn marked(
        &self,
        entries: &[Entry],
    ) -> Result<Vec<signet::Certificate>, Status> {
        let targets = entries.iter().map(|entry| match entry.intent.evidence {
            Evidence::Own => Vec::new(),
            _ => [vec![entry.intent.serial.into()], entry.intent.targets()].concat(),
        });
        let denials = self.ledger.denials_of(targets.collect()).await;
        let denials = denials.map_err(|error| status(&error))?;
        let marked = entries.iter().zip(&denials);
        Ok(marked
            .map(|(entry, denial)| messages::certificate(entry, denial.as_ref()))
            .collect())
    }

    fn target(&self, target: Option<signet::DenialTarget>) -> Result<Target, Status> {
        match target.and_then(|target| target.target) {
            Some(Wire::SpiffeId(id)) => Ok(Target::SpiffeId(self.workload_id(&id)?)),
            Some(Wire::Serial(text)) => Ok(Target::Serial(text.parse().map_err(|error| {
                Status::invalid_argument(format!("{text:?} is not a serial number: {error}"))
            })?)),
            Some(Wire::KeySha256(text)) => Ok(Target::Key(text.parse().map_err(|error| {
                Status::invalid_argument(format!("{text:?} is not the hash of a key: {error}"))
            })?)),
            None => Err(Status::invalid_argument(
                "expected a SPIFFE ID, a serial or a key, and saw none of them",
            )),
        }
    }

    async fn is_in_ledger(&self, target: &Target) -> Result<bool, Status> {
        let found = match target {
            Target::SpiffeId(id) => {
                let query = Query {
                    spiffe_id: Some(id.clone()),
                    limit: 1,
                    ..Query::default()
                };
                self.ledger
                    .list(query)
                    .await
                    .map(|page| !page.entries.is_empty())
            }
            Target::Serial(number) => match number.own() {
                Some(serial) => self.ledger.find(serial).await.map(|entry| entry.is_some()),
                None => Ok(false),
            },
            Target::Key(_) => Ok(true),
        };
        found.map_err(|error| status(&error))
    }
}

fn invalid(error: impl ToString) -> Status {
    Status::invalid_argument(error.to_string())
}
