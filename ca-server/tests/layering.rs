//! May this room call that one? The arrows and fences of ARCHITECTURE.md, read off the source text.
//!
//! It reads `crate::ROOM` paths, `super::` paths that lead as far, and crate names line by line; comments do not count.
//! What it could not read, groups of imports and new names for whole crates, is forbidden.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Each room and the rooms it may name. `*` may name all.
const ARROWS: &[(&str, &[&str])] = &[
    ("main.rs", &["cli", "app"]),
    ("cli", &[]),
    ("config.rs", &["cli", "api", "attest", "issuance", "x509"]),
    ("app", &["*"]),
    (
        "api",
        &[
            "attest",
            "issuance",
            "authority",
            "ledger",
            "rotation",
            "x509",
            "clock",
            "telemetry",
            "backup",
        ],
    ),
    ("attest", &["ledger", "x509"]),
    ("issuance", &["attest", "authority", "ledger", "x509"]),
    ("authority", &["x509"]),
    ("ledger", &["x509"]),
    ("rotation", &["ledger", "x509"]),
    ("x509", &[]),
    ("backup", &["ledger", "data_dir"]),
    ("data_dir.rs", &[]),
    ("clock.rs", &[]),
    ("telemetry", &[]),
    ("lib.rs", &[]),
];

/// Each fenced crate and the rooms that may name it.
const FENCES: &[(&str, &[&str])] = &[
    ("tonic", &["api", "app"]),
    ("axum", &["api", "app"]),
    ("sled", &["ledger"]),
    ("clap", &["cli"]),
    ("x509_parser", &["x509", "authority"]),
    ("rcgen", &["authority"]),
    ("yasna", &["x509", "authority"]),
    ("rustls", &["api", "app"]),
    ("jsonwebtoken", &["attest"]),
    ("prometheus", &["telemetry"]),
    ("tikv_jemallocator", &["main.rs"]),
    ("tracing", &["api", "app", "ledger", "telemetry"]),
    ("tokio", &["main.rs", "api", "app", "ledger", "backup"]),
];

#[test]
fn no_room_calls_a_room_it_has_no_arrow_to() {
    let violations: Vec<String> = sources()
        .iter()
        .flat_map(|file| {
            let allowed = arrows_of(&file.room);
            let named = file.code.iter().flat_map(|line| rooms_named(line));
            let forbidden: BTreeSet<String> = named
                .filter(|room| *room != file.room.trim_end_matches(".rs"))
                .filter(|room| !allowed.contains(&"*") && !allowed.contains(&room.as_str()))
                .collect();
            forbidden
                .into_iter()
                .map(|room| format!("{} names crate::{room}", file.path.display()))
        })
        .collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_fenced_crate_stays_in_its_rooms() {
    let mut violations = Vec::new();
    for file in sources() {
        for (name, rooms) in FENCES {
            let outside = !rooms.contains(&file.room.as_str());
            if outside && file.code.iter().any(|line| names_crate(line, name)) {
                violations.push(format!("{} names {name}", file.path.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Rooms of pure functions, and what they would need to be something else.
#[test]
fn a_pure_room_touches_nothing() {
    let impure = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "SystemTime::now",
        "Instant::now",
        "async fn",
    ];
    let mut violations = Vec::new();
    for file in sources().iter().filter(|file| file.room == "rotation") {
        for name in impure {
            if file.code.iter().any(|line| line.contains(name)) {
                violations.push(format!("{} has {name}", file.path.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_import_can_be_read_from_one_line() {
    let sources = sources();
    let imports = sources.iter().flat_map(|file| {
        let unreadable = file.code.iter().filter(|line| hides_what_it_names(line));
        unreadable.map(|line| format!("{}: {}", file.path.display(), line.trim()))
    });
    let violations: Vec<String> = imports.collect();
    assert!(
        violations.is_empty(),
        "one path per line, under its own name: {violations:#?}"
    );
}

#[test]
fn every_room_has_its_arrows_written_down() {
    let known: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let rooms: BTreeSet<String> = sources().into_iter().map(|file| file.room).collect();
    let unknown: Vec<&String> = rooms
        .iter()
        .filter(|room| !known.contains(room.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_agent_never_imports_the_authority() {
    let manifest = fs::read_to_string(root().join("../ca-client/Cargo.toml")).unwrap();
    assert!(
        !manifest.contains("ca-server"),
        "ca-client depends on ca-server"
    );
}

#[test]
fn a_forbidden_import_is_seen() {
    assert_eq!(rooms_named("use crate::ledger::Ledger;"), ["ledger"]);
    assert_eq!(
        rooms_named("let x = crate::api::tls::f(crate::clock::g());"),
        ["api", "clock"]
    );
    assert!(names_crate("    tonic::Status::internal(\"\")", "tonic"));
    assert!(names_crate("use sled::Db;", "sled"));
    assert!(!names_crate("use crate::ledger::sled::Db;", "sled"));
    assert!(!names_crate("use rustls_webpki::X;", "rustls"));
}

#[test]
fn a_crate_is_seen_however_it_is_imported() {
    for line in [
        "use tonic as wire;",
        "use tonic;",
        "    pub(crate) use ::tonic as wire;",
        "extern crate tonic;",
        "extern crate tonic as wire;",
        "let code = ::tonic::Code::Ok;",
    ] {
        assert!(names_crate(line, "tonic"), "{line}");
    }
    for line in ["use tonic_health as tonic;", "let tonic = 1;"] {
        assert!(!names_crate(line, "tonic"), "{line}");
    }
}

#[test]
fn groups_and_new_names_for_everything_are_seen() {
    for line in [
        "use crate::{ledger::Ledger, clock::Clock};",
        "    use crate::{",
        "pub(super) use tonic::{Code, Status};",
        "use {tonic::Code, sled::Db};",
        "pub use crate::ledger::*;",
        "use crate as house;",
        "use super::super as house;",
        "use self::super as house;",
    ] {
        assert!(hides_what_it_names(line), "{line}");
    }
    for line in [
        "use crate::ledger::Ledger;",
        "use std::fmt::Write as _;",
        "use crate::ledger::Query as Question;",
        "fn use_of(x: &X) -> Y {",
    ] {
        assert!(!hides_what_it_names(line), "{line}");
    }
}

#[test]
fn a_path_that_climbs_to_the_root_is_seen() {
    let (inner, room) = (Path::new("api/tls.rs"), Path::new("api/mod.rs"));
    let climbs = |line: &str, file: &Path| rooms_named(&from_root(line, file));
    assert_eq!(climbs("use super::super::ledger::X;", inner), ["ledger"]);
    assert_eq!(climbs("use super::ledger::X;", room), ["ledger"]);
    assert_eq!(climbs("use super::status;", inner), [""; 0]);
    let main = Path::new("main.rs");
    assert_eq!(climbs("ca_server::app::run();", main), ["app"]);
}

struct Source {
    path: PathBuf,
    /// First component below `src`: a folder, or a file with its extension.
    room: String,
    code: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut pending = vec![src.clone()];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(&src).unwrap();
            let room = inside.iter().next().unwrap().to_string_lossy().into_owned();
            found.push(Source {
                room,
                code: code(&path, inside),
                path: inside.to_owned(),
            });
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// The lines before the tests, without comments, with paths from the root of the crate.
fn code(path: &Path, inside: &Path) -> Vec<String> {
    if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines
        .map(|line| from_root(line.split("//").next().unwrap_or(""), inside))
        .collect()
}

/// `line` of the file `inside` the sources, where every path into the crate's root starts with `crate::`.
fn from_root(line: &str, inside: &Path) -> String {
    let is_module = |name: &str| !["mod.rs", "lib.rs", "main.rs"].contains(&name);
    let depth = inside
        .iter()
        .filter(|part| is_module(&part.to_string_lossy()))
        .count();
    let line = line.replace("ca_server::", "crate::");
    match depth {
        0 => line,
        depth => line.replace(&"super::".repeat(depth), "crate::"),
    }
}

fn arrows_of(room: &str) -> &'static [&'static str] {
    ARROWS
        .iter()
        .find(|(name, _)| *name == room)
        .map_or(&[], |(_, arrows)| arrows)
}

fn rooms_named(line: &str) -> Vec<String> {
    let identifier = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
            .collect()
    };
    let starts = line
        .match_indices("crate::")
        .map(|(at, found)| at + found.len());
    starts
        .map(|at| identifier(&line[at..]))
        .filter(|room| !room.is_empty())
        .collect()
}

/// Whether `line` has a path that starts with `name::`, or imports the crate of that name as a whole.
fn names_crate(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let imports = imported(line).is_some_and(|path| path.split(' ').next() == Some(name));
    let path = format!("{name}::");
    imports
        || line.match_indices(&path).any(|(at, _)| {
            let before = &line[..at];
            // `a::name::` is somebody else's module; `::name::` is the crate.
            let crate_root = before.strip_suffix("::").unwrap_or(before);
            !crate_root.ends_with(is_word) && !crate_root.ends_with('>')
        })
}

/// Whether `line` begins an import that says elsewhere, or not at all, what it names.
fn hides_what_it_names(line: &str) -> bool {
    imported(line).is_some_and(|path| {
        let renamed = path.split(" as ").next().filter(|whole| *whole != path);
        let is_root = |whole: &str| {
            let mut parts = whole.split("::");
            parts.all(|part| ["crate", "self", "super"].contains(&part))
        };
        path.contains(['{', '*']) || path.is_empty() || renamed.is_some_and(is_root)
    })
}

/// What stands between `use` or `extern crate` and the end of the statement, if `line` is one.
fn imported(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let path = ["use", "extern crate"]
        .iter()
        .find_map(|keyword| line.strip_prefix(keyword))
        .filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
    Some(path.trim().trim_end_matches(';').trim_start_matches("::"))
}
