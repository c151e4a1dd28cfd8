//! Which mode is a port in, and why? Pure: made of what was seen and what was expected.

use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::chain::Profile;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;
use proto::verdict::Question;
use proto::verdict::Verdict;

use super::End;
use super::Mode;
use super::Plain;
use super::Secured;
use super::Seen;
use super::Unreachable;
use super::callers::Callers;
use super::callers::Ours;

/// Who should be there.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// All that is trusted.
    pub roots: &'a [Certificate],
    /// The trust domain whose roots these are.
    pub trust_domain: Option<&'a TrustDomain>,
    /// The one SPIFFE ID that is right.
    pub spiffe_id: Option<&'a SpiffeId>,
    /// The Kubernetes namespace that a SPIFFE ID of Istio's form has to name.
    pub namespace: Option<&'a str>,
    /// The moment that counts.
    pub at: SystemTime,
}

/// What is to be said of one target.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Who is let in.
    pub mode: Mode,
    /// What that rests on, for people.
    pub because: String,
    /// Whether a handshake with a certificate of ours came to a good end.
    pub proved: bool,
    /// The verdict on the chain that was presented, if one was.
    pub verdict: Option<Verdict>,
}

impl Finding {
    /// Judges what was seen.
    #[must_use]
    pub fn of(seen: &Seen, expected: &Expected<'_>) -> Self {
        let verdict = expected.verdict(seen.secured());
        let fault = fault(seen, verdict.as_ref(), expected);
        let callers = Callers::of(&seen.anonymous);
        let ours = Ours::of(seen.with_ours.as_ref());
        let mode = mode(callers, ours, &seen.plain, fault.is_some());
        Self {
            because: because(seen, callers, ours, mode, fault),
            mode,
            proved: matches!(ours, Ours::Admitted | Ours::HungUp),
            verdict,
        }
    }

    /// What there is to say where nothing was seen.
    #[must_use]
    pub fn unreachable(error: &Unreachable) -> Self {
        Self {
            mode: Mode::Unreachable,
            because: error.to_string(),
            proved: false,
            verdict: None,
        }
    }

    /// Who is there, if the chain is good; what a bad one claims is in the verdict.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&SpiffeId> {
        let good = self.verdict.as_ref().filter(|verdict| verdict.is_valid());
        good.and_then(|verdict| verdict.spiffe_id.as_ref())
    }

    /// The namespace in that SPIFFE ID.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.spiffe_id().and_then(namespace)
    }
}

impl Expected<'_> {
    fn verdict(&self, secured: &Secured) -> Option<Verdict> {
        let chain = secured.chain.as_ref()?.as_ref().ok()?;
        let question = Question {
            chain,
            roots: self.roots,
            trust_domain: self.trust_domain,
            spiffe_id: self.spiffe_id,
            profile: Profile::X509Svid,
            at: self.at,
        };
        Some(question.verdict())
    }
}

/// The namespace of an ID of Istio's form, `/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.
fn namespace(id: &SpiffeId) -> Option<&str> {
    let (namespace, account) = id.path().strip_prefix("/ns/")?.split_once("/sa/")?;
    let plain = |segment: &str| !segment.is_empty() && !segment.contains('/');
    (plain(namespace) && plain(account)).then_some(namespace)
}

fn mode(callers: Callers, ours: Ours, plain: &Plain, faulty: bool) -> Mode {
    let taken = matches!(plain, Plain::Taken { .. });
    let refused = matches!(plain, Plain::Refused { .. });
    match (callers, ours) {
        (Callers::NoTls | Callers::Anyone, _) if taken => Mode::Disabled,
        (Callers::NoTls, _) => Mode::Unknown,
        (Callers::Anyone, _) => Mode::Tls,
        (Callers::Nobody, _) => Mode::Broken,
        _ if faulty => Mode::Broken,
        (Callers::Unsaid, Ours::NotTried) if taken => Mode::Disabled,
        (Callers::Unsaid, Ours::NotTried) | (_, Ours::Unsaid) => Mode::Undecided,
        _ if taken => Mode::Permissive,
        (Callers::Asked, _) => Mode::Optional,
        (Callers::Unsaid, _) => Mode::Unproven,
        // Nobody is behind: plain text may have been hung up on for that.
        (Callers::Certified, Ours::HungUp) if plain.is_hang_up() => Mode::Unproven,
        (Callers::Certified, _) if refused => Mode::Strict,
        (Callers::Certified, _) => Mode::Unproven,
    }
}

/// Why a peer that verifies could not use what TLS there is.
fn fault(seen: &Seen, verdict: Option<&Verdict>, expected: &Expected<'_>) -> Option<String> {
    if !seen.anonymous.is_tls() {
        return None;
    }
    if let Some(Err(error)) = &seen.secured().chain {
        return Some(format!("a certificate it presents cannot be read: {error}"));
    }
    if let Some(verdict) = verdict.filter(|verdict| !verdict.is_valid()) {
        let rule = verdict.rule.map_or(verdict.kind.as_str(), |rule| rule.id);
        return Some(format!("its chain breaks {rule}: {}", verdict.reason));
    }
    let id = verdict.and_then(|verdict| verdict.spiffe_id.as_ref());
    if let (Some(expected), Some(found)) = (expected.namespace, id.and_then(namespace))
        && expected != found
    {
        return Some(format!(
            "it is of namespace {found}, expected {expected} (expected-namespace)"
        ));
    }
    let callers = Callers::of(&seen.anonymous);
    if callers == Callers::Nobody {
        let how = ended(&seen.anonymous.end);
        return Some(format!("the TLS handshake fails: {how}"));
    }
    let ours = seen.with_ours.as_ref()?;
    let others_are_served = callers == Callers::Asked || matches!(seen.plain, Plain::Taken { .. });
    match Ours::of(Some(ours)) {
        Ours::Refused => {}
        Ours::Unsaid if others_are_served => {}
        Ours::NotTried | Ours::Admitted | Ours::HungUp | Ours::Unsaid => return None,
    }
    let how = ended(&ours.end);
    Some(format!("it does not take our certificate: {how}"))
}

fn because(seen: &Seen, callers: Callers, ours: Ours, mode: Mode, fault: Option<String>) -> String {
    let tls = tls(seen, callers, ours);
    let plain = format!("plain text {}", seen.plain);
    let parts = match (mode, fault) {
        (Mode::Broken, Some(fault)) => vec![fault, plain],
        (Mode::Tls | Mode::Disabled, Some(fault)) => vec![plain, tls, fault],
        _ => vec![plain, tls],
    };
    let advice = match (mode, ours) {
        (Mode::Undecided, _) => Some(NOBODY_BEHIND),
        (Mode::Unproven, Ours::HungUp) if seen.plain.is_hang_up() => Some(NOBODY_BEHIND),
        _ => None,
    };
    let parts = parts.iter().map(String::as_str).chain(advice);
    parts.collect::<Vec<&str>>().join("; ")
}

fn tls(seen: &Seen, callers: Callers, ours: Ours) -> String {
    let without = ended(&seen.anonymous.end);
    match (callers, ours) {
        (Callers::NoTls, _) => format!("no TLS: {without}"),
        (Callers::Anyone, _) => "TLS for everybody, no certificate is asked for".to_owned(),
        (Callers::Asked, _) => "TLS also without a certificate, though one is asked for".to_owned(),
        (Callers::Certified, Ours::Admitted) => "TLS only with a certificate".to_owned(),
        (Callers::Certified, Ours::HungUp) => {
            "TLS only with a certificate, and then the server hangs up".to_owned()
        }
        (Callers::Certified, Ours::NotTried) => {
            "TLS only with a certificate (not tried with one: none was given)".to_owned()
        }
        (Callers::Certified, _) => {
            let with = seen.with_ours.as_ref().map(|ours| ended(&ours.end));
            let with = with.unwrap_or_default();
            format!("TLS only with a certificate, and not seen to take ours: {with}")
        }
        (Callers::Unsaid, Ours::Admitted | Ours::HungUp) => {
            format!("TLS with a certificate; whether without one was not said: {without}")
        }
        (Callers::Unsaid, _) => {
            format!("TLS asks for a certificate, and who gets in was not said: {without}")
        }
        (Callers::Nobody, _) => String::new(),
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Admitted => "no refusal".to_owned(),
        End::Alert(name) => format!("alert {name}"),
        End::Closed => "the server hangs up".to_owned(),
        End::Reset => "the connection is broken".to_owned(),
        End::NotTls => "the answer is not TLS".to_owned(),
        End::Silent => "no answer".to_owned(),
        End::Failed(reason) | End::Incompatible(reason) => reason.clone(),
    }
}

/// What is likely where a server hangs up.
const NOBODY_BEHIND: &str = "is the service behind it gone? see that it runs, and look again";
