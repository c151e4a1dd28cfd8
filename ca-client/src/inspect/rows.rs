//! What is there to say of one block? Rows for a person, and the same as JSON values.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::SubjectAltName;
use proto::chain;
use proto::chain::Signature;
use proto::inspect::Content;
use proto::inspect::Request;
use proto::inspect::Revocations;
use proto::inspect::Signed;
use proto::inspect::Signer;
use serde_json::Value;

use crate::output;

/// One thing to say.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    /// For people.
    pub(super) text: String,
    /// For programs: no remarks, and null for what is not there.
    pub(super) value: Value,
}

impl Row {
    fn plain(label: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        let value = text.clone().into();
        Self { label, text, value }
    }

    fn name(label: &'static str, name: &str) -> Self {
        let value = match name {
            "" => Value::Null,
            name => name.into(),
        };
        let text = or_none(name);
        Self { label, text, value }
    }

    fn names(names: Vec<String>) -> Self {
        Self {
            label: "names",
            text: or_none(&names.join(", ")),
            value: names.into(),
        }
    }

    fn time(label: &'static str, time: SystemTime, remark: &str) -> Self {
        let utc = output::utc(time);
        let text = match remark {
            "" => utc.clone(),
            remark => format!("{utc} ({remark})"),
        };
        let value = utc.into();
        Self { label, text, value }
    }
}

/// What kind of thing `content`, which stands in the block of that number, is, and what there is to say of it, in order.
pub(super) fn describe(
    block: usize,
    content: &Content,
    now: SystemTime,
) -> (&'static str, Vec<Row>) {
    let one = |label, text: String| vec![Row::plain(label, text)];
    match content {
        Content::Certificate(signed) => ("certificate", certificate(block, signed, now)),
        Content::PrivateKey(kind) => ("private key", one("key", kind.to_string())),
        Content::PublicKey(kind) => ("public key", one("key", kind.to_string())),
        Content::Request(asked) => ("certificate request", request(asked)),
        Content::Revocations(list) => ("revocation list", revocations(block, list, now)),
        Content::Known(what) => ("known", one("is", (*what).to_owned())),
        Content::Unknown { len } => {
            let text = format!("{len} bytes of a kind not known here");
            ("unknown", one("is", text))
        }
        Content::Broken { reason } => ("broken", one("problem", reason.clone())),
        _ => ("unknown", Vec::new()),
    }
}

fn request(asked: &Request) -> Vec<Row> {
    vec![
        Row::name("subject", &asked.subject),
        Row::names(asked.names.clone()),
        Row::plain("key", asked.key.to_string()),
        Row::plain("possession", possession(asked.possession)),
    ]
}

fn revocations(block: usize, list: &Revocations, now: SystemTime) -> Vec<Row> {
    let next = match list.next_update {
        Some(next) => Row::time("next", next, overdue(next, now)),
        None => Row {
            label: "next",
            text: "not said".to_owned(),
            value: Value::Null,
        },
    };
    vec![
        Row::plain(
            "signed by",
            signer(list.signer, block, &or_none(&list.issuer)),
        ),
        Row {
            label: "revoked",
            text: format!("{} certificates", list.revoked),
            value: list.revoked.into(),
        },
        Row::time("made", list.this_update, ""),
        next,
    ]
}

fn certificate(block: usize, signed: &Signed, now: SystemTime) -> Vec<Row> {
    let certificate = &signed.certificate;
    let facts = certificate.facts();
    let names = facts.subject_alt_name.as_ref();
    let svid = match chain::svid_id(certificate) {
        Ok(id) => format!("yes, {id}"),
        Err(rule) => format!("no: {rule} ({}, {})", rule.id(), rule.section()),
    };
    let serial: String = facts
        .serial
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    vec![
        Row::name("subject", &facts.subject),
        Row::names(names.map(SubjectAltName::texts).unwrap_or_default()),
        Row::plain(
            "signed by",
            signer(signed.signer, block, &or_none(&facts.issuer)),
        ),
        Row::plain("role", role(signed)),
        Row::plain("key", signed.key.to_string()),
        Row::time("valid from", facts.not_before, ""),
        Row::time("valid until", facts.not_after, &left(signed, now)),
        Row::plain("X509-SVID", svid),
        Row::plain("serial", serial),
        Row::plain("sha256", certificate.fingerprint().to_string()),
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
        true => "overdue",
        false => "",
    }
}

fn or_none(text: &str) -> String {
    match text {
        "" => "(none)".to_owned(),
        text => text.to_owned(),
    }
}
