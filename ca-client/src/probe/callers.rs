//! Whom does TLS let in: those without a certificate, and us with ours? Only what a server says counts: it hangs up for
//! many reasons.

use super::End;
use super::Secured;

/// Whom TLS lets in without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callers {
    /// There is no TLS.
    NoTls,
    /// Everybody; no certificate is asked for.
    Anyone,
    /// Everybody; a certificate is asked for.
    Asked,
    /// Only who has a certificate.
    Certified,
    /// A certificate is asked for, and what becomes of those who have none is not said.
    Unsaid,
    /// Nobody: the handshake does not get that far.
    Nobody,
}

impl Callers {
    pub(super) fn of(anonymous: &Secured) -> Self {
        match (&anonymous.end, anonymous.asked) {
            _ if !anonymous.is_tls() => Self::NoTls,
            (End::Admitted, true) => Self::Asked,
            (End::Admitted, false) => Self::Anyone,
            (End::Alert(name), true) if DEMANDS.contains(&name.as_str()) => Self::Certified,
            (End::Alert(_) | End::Closed | End::Reset | End::Silent, true) => Self::Unsaid,
            _ => Self::Nobody,
        }
    }
}

/// What becomes of us with our certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    /// There is none, or it is not asked for.
    NotTried,
    /// We are let in.
    Admitted,
    /// We are let in, and then hung up on.
    HungUp,
    /// We are refused.
    Refused,
    /// It is not said.
    Unsaid,
}

impl Ours {
    pub(super) fn of(with_ours: Option<&Secured>) -> Self {
        let Some(secured) = with_ours else {
            return Self::NotTried;
        };
        match &secured.end {
            End::Admitted if secured.hung_up => Self::HungUp,
            End::Admitted => Self::Admitted,
            End::Closed | End::Reset | End::Silent => Self::Unsaid,
            _ => Self::Refused,
        }
    }
}

/// Alerts by which servers say that they want a certificate which they did not get (RFC 8446 section 4.4.2.4, RFC 5246
/// section 7.4.6), and those that older ones send instead.
const DEMANDS: [&str; 7] = [
    "access_denied",
    "bad_certificate",
    "certificate_required",
    "certificate_unknown",
    "handshake_failure",
    "no_certificate",
    "unknown_ca",
];
