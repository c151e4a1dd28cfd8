//! What does `ca-client inspect` do? Reads, and prints what [`proto::inspect`] sees, block by block.

use std::io;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use ca_client::Clock as _;
use ca_client::SystemClock;
use proto::chain;
use proto::chain::Signature;
use proto::inspect;
use proto::inspect::Block;
use proto::inspect::Content;
use proto::inspect::Signed;
use proto::inspect::Signer;
use serde::Serialize;

use crate::cli::InspectOptions;
use crate::input;
use crate::input::InputError;
use crate::output;
use crate::output::printable;

/// Explains a file.
pub(crate) fn run(options: &InspectOptions, stdin: impl Read) -> Result<(), InspectError> {
    let bytes = input::read(&options.file, stdin)?;
    let now = SystemClock.now();
    let blocks: Vec<Shown> = inspect::inspect(&bytes)
        .iter()
        .map(|block| Shown::of(block, now))
        .collect();
    if blocks.is_empty() {
        return Err(InspectError::Nothing {
            path: options.file.clone(),
        });
    }
    output::print(options.output, &blocks, || table(&blocks))
        .map_err(|source| InspectError::Print { source })
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// The file cannot be read.
    #[error("nothing to explain")]
    Input {
        /// Why not.
        #[from]
        source: InputError,
    },
    /// There is nothing in it that could be a block.
    #[error("{} holds neither a PEM block nor DER", input::shown(path))]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// The result cannot be printed.
    #[error("the result cannot be printed")]
    Print {
        /// The system's answer.
        source: io::Error,
    },
}

/// One block: what it is, and what there is to say of it, in order.
#[derive(Debug, Serialize)]
struct Shown {
    block: usize,
    line: Option<usize>,
    label: String,
    kind: &'static str,
    #[serde(flatten)]
    facts: serde_json::Map<String, serde_json::Value>,
    #[serde(skip)]
    rows: Vec<(&'static str, String)>,
}

impl Shown {
    fn of(block: &Block, now: SystemTime) -> Self {
        let (kind, rows) = describe(block.number, &block.content, now);
        let key = |label: &str| label.to_lowercase().replace([' ', '-'], "_");
        let facts = rows
            .iter()
            .map(|(label, value)| (key(label), value.clone().into()));
        Self {
            block: block.number,
            line: block.line,
            label: block.label.clone(),
            kind,
            facts: facts.collect(),
            rows,
        }
    }
}

type Rows = Vec<(&'static str, String)>;

fn describe(block: usize, content: &Content, now: SystemTime) -> (&'static str, Rows) {
    match content {
        Content::Certificate(signed) => ("certificate", certificate(block, signed, now)),
        Content::PrivateKey(kind) => ("private key", vec![("key", kind.to_string())]),
        Content::PublicKey(kind) => ("public key", vec![("key", kind.to_string())]),
        Content::Request(request) => (
            "certificate request",
            vec![
                ("subject", or_none(&request.subject)),
                ("names", or_none(&request.names.join(", "))),
                ("key", request.key.to_string()),
                ("possession", possession(request.possession).to_owned()),
            ],
        ),
        Content::Revocations(list) => (
            "revocation list",
            vec![
                (
                    "signed by",
                    signer(list.signer, block, &or_none(&list.issuer)),
                ),
                ("revoked", format!("{} certificates", list.revoked)),
                ("made", output::utc(list.this_update)),
                (
                    "next",
                    list.next_update.map_or_else(
                        || "not said".to_owned(),
                        |next| format!("{}{}", output::utc(next), overdue(next, now)),
                    ),
                ),
            ],
        ),
        Content::Known(what) => ("known", vec![("is", (*what).to_owned())]),
        Content::Unknown { len } => (
            "unknown",
            vec![("is", format!("{len} bytes of a kind not known here"))],
        ),
        Content::Broken { reason } => ("broken", vec![("problem", reason.clone())]),
        _ => ("unknown", Vec::new()),
    }
}

fn certificate(block: usize, signed: &Signed, now: SystemTime) -> Rows {
    let certificate = &signed.certificate;
    let facts = certificate.facts();
    let names = facts.subject_alt_name.as_ref();
    let names = names.map(|names| names.texts().join(", "));
    let svid = match chain::svid_id(certificate) {
        Ok(id) => format!("yes, {id}"),
        Err(rule) => format!("no: {rule} ({}, {})", rule.id(), rule.section()),
    };
    vec![
        ("subject", or_none(&facts.subject)),
        ("names", or_none(&names.unwrap_or_default())),
        (
            "signed by",
            signer(signed.signer, block, &or_none(&facts.issuer)),
        ),
        ("role", role(signed).to_owned()),
        ("key", signed.key.to_string()),
        ("valid from", output::utc(facts.not_before)),
        (
            "valid until",
            format!("{} ({})", output::utc(facts.not_after), left(signed, now)),
        ),
        ("X509-SVID", svid),
        (
            "serial",
            facts
                .serial
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        ),
        ("sha256", certificate.fingerprint().to_string()),
    ]
}

/// Who signed what stands in `block` and names `issuer`.
fn signer(signer: Signer, block: usize, issuer: &str) -> String {
    let who = |number: usize| match number == block {
        true => "itself by name".to_owned(),
        false => format!("block {number} by name"),
    };
    match signer {
        Signer::Itself => format!("itself: {issuer}"),
        Signer::Block { number } => format!("block {number}: {issuer}"),
        Signer::OtherKey { number } => {
            let who = who(number);
            format!(
                "{who}: {issuer}; but the signature is not by that key, or something was changed"
            )
        }
        Signer::Unchecked { number } => {
            let who = who(number);
            format!("{who}: {issuer}; not checked, its algorithm or key is not accepted here")
        }
        Signer::NotHere => format!("{issuer}, not in this file; not checked"),
    }
}

/// Proof of possession (RFC 2986 section 3).
fn possession(signature: Signature) -> &'static str {
    match signature {
        Signature::Good => "proved: the request is signed with its own key",
        Signature::Bad => "NOT proved: the request is not signed with its own key, or was changed",
        Signature::Unsupported => "not checked: its algorithm or key is not accepted here",
    }
}

fn role(signed: &Signed) -> &'static str {
    match (signed.certificate.is_ca(), signed.signer) {
        (true, Signer::Itself) => "CA, self-signed: a root",
        (true, _) => "CA",
        (false, Signer::Itself) => "leaf, self-signed",
        (false, _) => "leaf",
    }
}

fn left(signed: &Signed, now: SystemTime) -> String {
    let facts = signed.certificate.facts();
    let about = |duration: Duration| output::about(duration.as_secs());
    if let Ok(until) = facts.not_before.duration_since(now)
        && !until.is_zero()
    {
        return format!("not valid yet, in {}", about(until));
    }
    match facts.not_after.duration_since(now) {
        Ok(left) => format!("{} left", about(left)),
        Err(_) if signed.certificate.is_valid_at(now) => "its last second".to_owned(),
        Err(since) => format!("expired {} ago", about(since.duration())),
    }
}

fn overdue(next: SystemTime, now: SystemTime) -> &'static str {
    match next < now {
        true => " (overdue)",
        false => "",
    }
}

fn or_none(text: &str) -> String {
    match text {
        "" => "(none)".to_owned(),
        text => text.to_owned(),
    }
}

fn table(blocks: &[Shown]) -> String {
    let mut text = String::new();
    for block in blocks {
        let line = block
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        let (number, label) = (block.block, printable(&block.label));
        text += &format!("block {number}{line}: {label}, {}\n", article(block.kind));
        for (label, value) in &block.rows {
            text += &format!("  {label:<12}{}\n", printable(value));
        }
    }
    text
}

fn article(kind: &'static str) -> String {
    match kind {
        "known" | "unknown" | "broken" => kind.to_owned(),
        kind => format!("a {kind}"),
    }
}
