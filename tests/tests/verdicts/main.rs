//! Does Signet's verdict agree with openssl's and webpki's? Every rule broken once, every disagreement with its reason.
//!
//! `docs/verification.md` holds the table that comes out, so that it is true.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cases;
mod judges;
mod pki;

use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use self::cases::Case;
use self::cases::cases;

#[test]
fn every_broken_rule_is_named_and_every_disagreement_has_its_reason() {
    let mut table = String::from(HEAD);
    let mut problems = Vec::new();
    for case in cases() {
        let verdict = case.material.signet();
        let rule = verdict.rule.map_or("valid", |rule| rule.id);
        if rule != case.rule {
            problems.push(format!(
                "{}: {rule}, not {}: {}",
                case.name, case.rule, verdict.reason
            ));
        }
        let (openssl, webpki) = (case.material.openssl(), case.material.webpki());
        let differs = [openssl, webpki].iter().any(|ok| *ok != verdict.is_valid());
        if differs == case.why.is_empty() {
            let said = format!("openssl {openssl}, webpki {webpki}");
            problems.push(format!(
                "{}: {rule}, {said}, because {:?}",
                case.name, case.why
            ));
        }
        table += &row(&case, openssl, webpki);
    }
    assert!(problems.is_empty(), "{problems:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verification.md");
    let document = std::fs::read_to_string(path).unwrap();
    assert!(
        document.contains(&table),
        "docs/verification.md does not hold this table:\n\n{table}"
    );
}

fn row(case: &Case, openssl: bool, webpki: bool) -> String {
    let word = |accepts: bool| if accepts { "accepts" } else { "refuses" };
    let (openssl, webpki) = (word(openssl), word(webpki));
    let ours = match case.rule {
        "valid" => "valid".to_owned(),
        rule => format!("`{rule}`"),
    };
    format!(
        "| {} | {ours} | {openssl} | {webpki} | {} |\n",
        case.name, case.why
    )
}

#[test]
fn a_verdict_on_anything_takes_no_time() {
    for case in cases() {
        let started = Instant::now();
        case.material.signet();
        let took = started.elapsed();
        assert!(took < Duration::from_secs(1), "{}: {took:?}", case.name);
    }
}

const HEAD: &str = "\
| what is wrong | Signet | openssl | webpki | why they differ |
|---|---|---|---|---|
";
