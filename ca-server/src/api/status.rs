//! What may a caller know of a failure? The one table from our errors to gRPC statuses.
//!
//! Codes and sentences are Istio's where Istio has them. A caller is told what lets it mend *its*
//! request; everything else goes to the log only.

use tonic::Code;
use tonic::Status;

use crate::attest::AttestError;
use crate::issuance::IssueError;
use crate::issuance::policy::PolicyError;
use crate::issuance::profile::ProfileError;
use crate::ledger::LedgerError;

/// The answer to a caller who was not recognised. It is the same whatever was wrong.
#[must_use]
pub fn not_attested(error: &AttestError) -> Status {
    match error {
        AttestError::Refused(_) => unauthenticated(),
        AttestError::Ledger(error) => ledger(error),
    }
}

/// The answer to a caller whose leaf was not issued.
#[must_use]
pub fn not_issued(error: &IssueError) -> Status {
    match error {
        IssueError::Changing => {
            csr_signing(Code::Unavailable, "the signer is being changed; try again")
        }
        IssueError::Csr(error) => csr_signing(Code::InvalidArgument, &error.to_string()),
        IssueError::Entropy(_) => csr_signing(Code::Unavailable, "no randomness; try again"),
        IssueError::Ledger(error) => ledger(error),
        IssueError::NoWindow { .. } | IssueError::RepeatUnderAnotherIssuer { .. } => {
            csr_signing(Code::FailedPrecondition, &error.to_string())
        }
        IssueError::Policy(error) => policy(error),
        IssueError::Profile(error) => csr_signing(profile_code(error), &error.to_string()),
        IssueError::Sign(_) => csr_signing(Code::Internal, "the leaf was not signed"),
    }
}

/// The answer to who asked about a chain that is good so far, where nobody can say whether it is denied.
#[must_use]
pub fn not_judged() -> Status {
    Status::unavailable(
        "the ledger cannot be read now; whether this is denied is not known; try again",
    )
}

/// Istio's label for a failure in `citadel_server_csr_sign_err_count`.
#[must_use]
pub fn metric_label(error: &IssueError) -> &'static str {
    match error {
        IssueError::Csr(_) => "CSR_ERROR",
        IssueError::Profile(error) => match profile_code(error) {
            Code::InvalidArgument => "TTL_ERROR",
            _ => "CERT_GEN_ERROR",
        },
        IssueError::Changing | IssueError::Ledger(_) | IssueError::NoWindow { .. } => {
            "CA_NOT_READY"
        }
        IssueError::Entropy(_) | IssueError::Sign(_) => "CERT_GEN_ERROR",
        IssueError::Policy(_) | IssueError::RepeatUnderAnotherIssuer { .. } => "UNKNOWN",
    }
}

fn profile_code(error: &ProfileError) -> Code {
    match error {
        ProfileError::IssuerExpired { .. } | ProfileError::IssuerNotYetValid { .. } => {
            Code::FailedPrecondition
        }
        _ => Code::InvalidArgument,
    }
}

fn policy(error: &PolicyError) -> Status {
    match error {
        PolicyError::ImpersonationNotAllowed => {
            Status::unauthenticated("request impersonation authentication failure")
        }
        _ => Status::permission_denied("this caller may not have a certificate of this authority"),
    }
}

fn ledger(error: &LedgerError) -> Status {
    match error {
        LedgerError::SerialTaken { .. } => Status::aborted("serial number taken; try again"),
        LedgerError::OtherTerms { .. } => Status::aborted("the issuer changed; try again"),
        LedgerError::TokenInUse { .. } => {
            Status::aborted("the same request is being answered; try again")
        }
        LedgerError::Denied(_) | LedgerError::TokenRefused { .. } => unauthenticated(),
        _ => Status::unavailable("the ledger cannot be written now; nothing was issued; try again"),
    }
}

fn unauthenticated() -> Status {
    Status::unauthenticated("request authenticate failure")
}

fn csr_signing(code: Code, reason: &str) -> Status {
    Status::new(code, format!("CSR signing error ({reason})"))
}
