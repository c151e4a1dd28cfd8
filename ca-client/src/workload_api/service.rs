//! What are the calls? Streams of what there is, codes for what there is not (SPIFFE Workload API section 4.4, SPIFFE
//! Workload Endpoint section 6). Who may call is decided before, in [`super::host`].

use std::sync::Arc;

use proto::workload_api::JwtBundlesRequest;
use proto::workload_api::JwtBundlesResponse;
use proto::workload_api::JwtsvidRequest;
use proto::workload_api::JwtsvidResponse;
use proto::workload_api::ValidateJwtsvidRequest;
use proto::workload_api::ValidateJwtsvidResponse;
use proto::workload_api::X509BundlesRequest;
use proto::workload_api::X509BundlesResponse;
use proto::workload_api::X509svidRequest;
use proto::workload_api::X509svidResponse;
use proto::workload_api::spiffe_workload_api_server::SpiffeWorkloadApi;
use tonic::Request;
use tonic::Response;
use tonic::Status;

use super::answers;
use super::answers::Answers;
use super::answers::Share;
use super::report::Report;
use crate::clock::Clock;
use crate::offer::Offers;
use crate::roster::Grants;
use crate::roster::Roster;
use crate::socket::Peer;

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) offers: Offers,
    pub(super) roster: Roster,
    pub(super) report: Arc<Report>,
    pub(super) clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Service {
    type FetchX509SVIDStream = Answers<X509svidResponse>;
    type FetchX509BundlesStream = Answers<X509BundlesResponse>;
    type FetchJWTBundlesStream = Answers<JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let grants = self.grants(&request)?;
        let not_after = self.held_until(&grants)?;
        if not_after < self.clock.now() {
            return Err(Status::unavailable(format!(
                "the certificate expired at {}; the agent goes on asking for another",
                humantime::format_rfc3339_seconds(not_after)
            )));
        }
        let (offers, report) = (self.offers.clone(), Arc::clone(&self.report));
        let answers = answers::svids(offers, self.share(grants), report);
        Ok(Response::new(answers))
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        let grants = self.grants(&request)?;
        let has_any = grants
            .places()
            .any(|place| self.offers.borrow().at(place).is_some());
        if !has_any {
            let _not_after = self.held_until(&grants)?;
        }
        let (offers, report) = (self.offers.clone(), Arc::clone(&self.report));
        let answers = answers::bundles(offers, self.share(grants), report);
        Ok(Response::new(answers))
    }

    async fn fetch_jwtsvid(
        &self,
        _request: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        Err(no_jwts())
    }

    async fn fetch_jwt_bundles(
        &self,
        _request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        Err(no_jwts())
    }

    async fn validate_jwtsvid(
        &self,
        _request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        Err(no_jwts())
    }
}

impl Service {
    fn share(&self, grants: Grants) -> Share {
        Share {
            roster: self.roster.clone(),
            grants,
            clock: Arc::clone(&self.clock),
        }
    }

    fn grants<T>(&self, request: &Request<T>) -> Result<Grants, Status> {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.ok_or_else(|| Status::internal("nobody knows who asks"))?;
        Ok(self.roster.grants(peer))
    }

    /// The last second of what is the caller's default.
    fn held_until(&self, grants: &Grants) -> Result<std::time::SystemTime, Status> {
        let place = grants.default_place();
        let place = place.ok_or_else(|| Status::permission_denied("no identity issued"))?;
        let held = self.offers.borrow();
        match held.at(place) {
            Some(offer) => Ok(offer.svid.not_after()),
            None if self.report.is_refused_by_the_ca(place) => Err(Status::permission_denied(
                "no identity issued: the CA gives this agent no certificate; its log says why",
            )),
            None => Err(Status::unavailable(
                "no certificate yet: the agent is starting; try again",
            )),
        }
    }
}

fn no_jwts() -> Status {
    Status::unimplemented(
        "this agent has no JWT-SVIDs; it serves X.509: FetchX509SVID and FetchX509Bundles",
    )
}
