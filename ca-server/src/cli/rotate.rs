//! How is a rotation asked for? `rotate …` and `reload`.

use std::str::FromStr;
use std::time::Duration;
use std::time::SystemTime;

use clap::Args;
use clap::Subcommand;
use proto::certificate::Fingerprint;

use super::Operator;

/// `rotate …`
#[derive(Debug, Subcommand)]
pub enum Rotate {
    /// Compute when a rotation that begins now could activate and retire, and warn of what would break.
    ///
    /// The dates are the latest ones, as if no agent acknowledged anything; with agents that do, it is a matter of seconds
    /// until activation. Changes nothing, and also tells what a rotation under way still has before it.
    #[command(after_help = "Example:\n  ca-server rotate plan --renew-within 2h")]
    Plan(RotatePlan),
    /// Make a new self-signed root and publish it: old and new are trusted from now on, the old one still signs.
    ///
    /// With --auto the new one signs as soon as everybody who serves a leaf knows it, and the old one leaves as soon as
    /// no leaf needs it; without, `rotate activate` and `rotate retire` do that, each behind the same gate. A plugged-in
    /// CA is rotated by putting the new files into --root-ca-dir; what was aborted there begins again with this.
    #[command(
        after_help = "Example:\n  ca-server rotate start --auto --renew-within 2h\n  ca-server rotate status --watch"
    )]
    Start(RotateStart),
    /// Say for people where the rotation stands, what it waits for, and who holds it up.
    ///
    /// Where no server runs, the files are read: gates are judged by a running server only.
    Status(RotateStatus),
    /// Sign with the next signer. Refused while somebody may not know its root yet; says who.
    #[command(
        after_help = "Example:\n  ca-server rotate activate\n  ca-server rotate activate --force FINGERPRINT --reason 'cart-7 is gone for good'"
    )]
    Activate(RotateActivate),
    /// Let a signer go: its roots leave the trust bundle, its key is destroyed. Refused while a leaf needs it; says whose.
    Retire(RotateRetire),
    /// Stay with the signer that is active: a next one that never signed is forgotten, its roots leave the trust bundle.
    ///
    /// The same files in --root-ca-dir, or their removal, do not start again until others were there or `rotate start`
    /// says so; a renewal by age comes again when half of what the active signer has left is over. After activation, give
    /// the files of the old one again instead.
    Abort(RotateAbort),
    /// Say that a signer's key is compromised: the CA turns away from it by itself, and agents renew now.
    ///
    /// Nobody breaks unless --deadline says so: the same gates hold. Agents stop trusting it for their own connection to
    /// the CA at once, and the key is never loaded again.
    #[command(
        after_help = "Example:\n  ca-server rotate taint FINGERPRINT --renew-within 10m --deadline 24h"
    )]
    Taint(RotateTaint),
}

/// `rotate plan`
#[derive(Debug, Args)]
pub struct RotatePlan {
    /// Plan for agents that renew within that time after the activation.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub renew_within: Option<Duration>,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `rotate start`
#[derive(Debug, Args)]
pub struct RotateStart {
    /// Take each step as soon as its gate opens.
    #[arg(long)]
    pub auto: bool,
    /// Have agents renew within that time after the activation, and let leaves live no longer meanwhile.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub renew_within: Option<Duration>,
    /// Only say whether it could be done, and what is to be expected.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `rotate status`
#[derive(Debug, Args)]
pub struct RotateStatus {
    /// Draw it again each second, until interrupted.
    #[arg(long)]
    pub watch: bool,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `rotate activate`
#[derive(Debug, Args)]
pub struct RotateActivate {
    /// Although the gate is shut.
    #[command(flatten)]
    pub force: ForceArgs,
    /// Only say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `rotate retire`
#[derive(Debug, Args)]
pub struct RotateRetire {
    /// SHA-256 of the issuing certificate, from `rotate status`; without it, the one that drains longest.
    #[arg(value_name = "FINGERPRINT")]
    pub fingerprint: Option<Fingerprint>,
    /// Although the gate is shut.
    #[command(flatten)]
    pub force: ForceArgs,
    /// Only say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `rotate abort`
#[derive(Debug, Args)]
pub struct RotateAbort {
    /// Only say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `rotate taint`
#[derive(Debug, Args)]
pub struct RotateTaint {
    /// SHA-256 of the issuing certificate, from `rotate status`.
    #[arg(value_name = "FINGERPRINT")]
    pub fingerprint: Fingerprint,
    /// Drop it then, whoever still needs it: a date such as 2027-01-31T08:00:00Z, or a time from now such as 24h. Says first
    /// who would break now.
    #[arg(long, value_name = "DATE|DURATION")]
    pub deadline: Option<Deadline>,
    /// Within which time agents renew, spread over it; five minutes where nothing was said.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub renew_within: Option<Duration>,
    /// Only say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// A step that is taken although its gate is shut. Says first who will break.
#[derive(Clone, Debug, Args)]
pub struct ForceArgs {
    /// Take the step although its gate is shut. Names the signer that the step is about, so that it is not taken for
    /// somebody else's step.
    #[arg(long, value_name = "FINGERPRINT", requires = "reason")]
    pub force: Option<Fingerprint>,
    /// Why, in one line; kept in the journal.
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<String>,
}

/// `reload`
#[derive(Debug, Args)]
pub struct Reload {
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// A date, or a time from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Then.
    At(SystemTime),
    /// After that.
    In(Duration),
}

impl Deadline {
    /// As a date; `None` where the clock cannot tell it.
    #[must_use]
    pub fn after(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::At(date) => Some(date),
            Self::In(duration) => now.checked_add(duration),
        }
    }
}

impl FromStr for Deadline {
    type Err = DeadlineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let date = humantime::parse_rfc3339(text).map(Self::At);
        date.or_else(|_no_date| humantime::parse_duration(text).map(Self::In))
            .map_err(|_neither| DeadlineError)
    }
}

/// The text is neither a date nor a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a date such as 2027-01-31T08:00:00Z or a duration such as 24h")]
pub struct DeadlineError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_date_or_a_time_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let after = |seconds| Some(now + Duration::from_secs(seconds));
        for (text, expected) in [("1970-01-01T00:20:00Z", after(200)), ("24h", after(86_400))] {
            let deadline: Deadline = text.parse().unwrap();
            assert_eq!(deadline.after(now), expected, "{text}");
        }
        for text in ["", "tomorrow", "2027-01-31"] {
            assert_eq!(text.parse::<Deadline>(), Err(DeadlineError), "{text}");
        }
    }
}
