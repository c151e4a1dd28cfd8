//! What does `ca-client mtls check` do? Looks at each target, and prints what was found, with a grade.

mod identity;
mod list;
mod shown;
mod table;

use std::io;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use ca_client::Clock as _;
use ca_client::SystemClock;
use ca_client::files::FilesError;
use ca_client::probe::Expected;
use ca_client::probe::Finding;
use ca_client::probe::Grade;
use ca_client::probe::PlainProbe;
use ca_client::probe::Prober;
use ca_client::probe::Seen;
use ca_client::probe::Target;
use ca_client::probe::TargetError;
use ca_client::probe::Unreachable;
use tokio::task::JoinError;
use tokio::task::JoinSet;

use self::identity::Identity;
use self::shown::Whole;
use crate::cli::MtlsCheckOptions;
use crate::cli::PlainProbeName;
use crate::input;
use crate::input::InputError;
use crate::output;
use crate::verify::VerifyError;

/// Looks, judges and prints. Answers the gravest grade of all targets.
pub(crate) async fn run(
    options: &MtlsCheckOptions,
    stdin: impl Read,
) -> Result<Grade, MtlsCheckError> {
    let at = SystemClock.now();
    let targets = list::targets(options, stdin)?;
    let identity = Identity::read(options, at)?;
    let prober = Prober {
        svid: identity.svid.clone(),
        plain: plain_probe(&options.plain_probe)?,
        limit: options.timeout,
    };
    let looks = look_at_all(&targets, prober, options.concurrency.into()).await?;
    let rows: Vec<Row> = targets
        .into_iter()
        .zip(looks)
        .map(|(target, look)| Row::of(target, look, &identity, options))
        .collect();
    let whole = Whole::of(&rows, at);
    let alone = rows.len() == 1 && options.list.is_none();
    let people = || match rows.first() {
        Some(row) if alone => table::details(row),
        _ => table::of(&rows, &whole),
    };
    output::print(options.output, &whole, people)
        .map_err(|source| MtlsCheckError::Print { source })?;
    let grades = rows.iter().map(|row| row.finding.mode.lock().grade());
    Ok(grades.max().unwrap_or(Grade::Good))
}

/// What was seen, and when: a list may take longer than a new certificate is dated back.
#[derive(Debug)]
struct Look {
    seen: Result<Seen, Unreachable>,
    at: SystemTime,
}

/// One target, and what is to be said of it.
#[derive(Debug)]
struct Row {
    target: Target,
    seen: Option<Seen>,
    finding: Finding,
    /// Where it belongs: as the list says, or else its own SPIFFE ID.
    namespace: Option<String>,
}

impl Row {
    fn of(target: Target, look: Look, identity: &Identity, options: &MtlsCheckOptions) -> Self {
        let expected_namespace = target.namespace().or(options.namespace.as_deref());
        let expected = Expected {
            roots: &identity.roots,
            trust_domain: identity.trust_domain.as_ref(),
            spiffe_id: options.spiffe_id.as_ref(),
            namespace: expected_namespace,
            at: look.at,
        };
        let finding = match &look.seen {
            Ok(seen) => Finding::of(seen, &expected),
            Err(error) => Finding::unreachable(error),
        };
        let namespace = expected_namespace.or_else(|| finding.namespace());
        Self {
            namespace: namespace.map(str::to_owned),
            seen: look.seen.ok(),
            target,
            finding,
        }
    }
}

/// Looks at all targets, at most `at_once` at a time, and answers in their order.
async fn look_at_all(
    targets: &[Target],
    prober: Prober,
    at_once: usize,
) -> Result<Vec<Look>, MtlsCheckError> {
    let prober = Arc::new(prober);
    let mut waiting = targets.iter().enumerate();
    let mut looking = JoinSet::new();
    let mut looks = Vec::new();
    loop {
        while looking.len() < at_once
            && let Some((index, target)) = waiting.next()
        {
            let (prober, target) = (Arc::clone(&prober), target.clone());
            looking.spawn(async move {
                let seen = prober.look(target.address()).await;
                let at = SystemClock.now();
                (index, Look { seen, at })
            });
        }
        match looking.join_next().await {
            Some(look) => looks.push(look?),
            None => break,
        }
    }
    looks.sort_by_key(|(index, _)| *index);
    Ok(looks.into_iter().map(|(_, look)| look).collect())
}

fn plain_probe(name: &PlainProbeName) -> Result<PlainProbe, MtlsCheckError> {
    match name {
        PlainProbeName::Http => Ok(PlainProbe::Http),
        PlainProbeName::Nothing => Ok(PlainProbe::Nothing),
        PlainProbeName::File(path) => match input::read(path, io::empty())? {
            bytes if bytes.is_empty() => Err(MtlsCheckError::NothingToSay {
                path: path.to_owned(),
            }),
            bytes => Ok(PlainProbe::Bytes(bytes)),
        },
    }
}

/// Why nothing was looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MtlsCheckError {
    /// The workload's files cannot be read.
    #[error("nothing was looked at: the certificate of --certs cannot be used")]
    Certs {
        /// Why not.
        #[from]
        source: FilesError,
    },
    /// Our own certificate would be refused everywhere.
    #[error(
        "nothing was looked at: the certificate in {} is valid from {} to {}, not now; \
         renew it (ca-client fetch), or give --roots without --certs",
        dir.display(), output::utc(*not_before), output::utc(*not_after)
    )]
    CertsNotValid {
        /// The directory.
        dir: PathBuf,
        /// First second of validity.
        not_before: SystemTime,
        /// Last second of validity.
        not_after: SystemTime,
    },
    /// A file cannot be read.
    #[error("nothing was looked at")]
    Input {
        /// Why not.
        #[from]
        source: InputError,
    },
    /// A line of the list is bad.
    #[error("nothing was looked at: {}, line {line}: {source}", input::shown(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: TargetError,
    },
    /// An output directory without output.
    #[error("nothing was looked at: there is no certificate in {}; expected what ca-client agent or fetch writes", dir.display())]
    NoCerts {
        /// The directory.
        dir: PathBuf,
    },
    /// The list is empty.
    #[error(
        "nothing was looked at: {} names no target; expected lines of HOST:PORT",
        input::shown(path)
    )]
    NoTarget {
        /// The file.
        path: PathBuf,
    },
    /// The list is not text.
    #[error(
        "nothing was looked at: {} is not text; expected lines of HOST:PORT",
        input::shown(path)
    )]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in the file of `--plain-probe`.
    #[error("nothing was looked at: {} is empty; expected the bytes to say in plain text", path.display())]
    NothingToSay {
        /// The file.
        path: PathBuf,
    },
    /// The result cannot be printed.
    #[error("the result cannot be printed")]
    Print {
        /// The system's answer.
        source: io::Error,
    },
    /// The roots cannot be read.
    #[error("nothing was looked at: --roots cannot be used")]
    Roots {
        /// Why not.
        source: VerifyError,
    },
    /// A look ended before its time.
    #[error("a look was cut off")]
    Task {
        /// The runtime's words.
        #[from]
        source: JoinError,
    },
}
