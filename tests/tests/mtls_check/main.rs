//! Does `ca-client mtls check` say what is true of servers that it does not know?

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod fronts;
mod lists;
mod pki;
mod quitters;
mod undecided;

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use rustls::version::TLS12;
use rustls::version::TLS13;
use serde_json::Value;
use tempfile::TempDir;
use tests::binaries::binaries;

use crate::fronts::Clients;
use crate::fronts::SServer;
use crate::pki::CART;
use crate::pki::Leaf;
use crate::pki::PROBE;
use crate::pki::Root;

/// A mesh with one root, and us in it.
struct Scene {
    dir: TempDir,
    root: Root,
    cart: Leaf,
    certs: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new("root");
        let certs = root.install(&root.leaf(PROBE), dir.path());
        fs::write(dir.path().join("roots.pem"), &root.pem).unwrap();
        Self {
            cart: root.leaf(CART),
            dir,
            root,
            certs,
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(&binaries().ca_client)
            .args(["mtls", "check"])
            .args(args)
            .env_remove("OUTPUT_CERTS")
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// Exit code, and what is said of one target, looked at with our certificate.
    fn look(&self, addr: SocketAddr, more: &[&str]) -> (i32, Value) {
        let certs = self.certs.to_str().unwrap();
        self.look_with(addr, &[&["--certs", certs], more].concat())
    }

    fn look_with(&self, addr: SocketAddr, more: &[&str]) -> (i32, Value) {
        let addr = addr.to_string();
        // Long enough for a machine with much else to do; where nothing comes, a test says how long it waits.
        let timeout = match more.iter().any(|arg| arg.starts_with("--timeout")) {
            true => &[][..],
            false => &["--timeout=30s"],
        };
        let common = ["--output", "json", addr.as_str()];
        let output = self.run(&[&common, timeout, more].concat());
        let whole: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code().unwrap(), whole["targets"][0].clone())
    }
}

/// Mode, lock and exit code.
fn short(look: &(i32, Value)) -> (&str, &str, i32) {
    let word = |key: &str| look.1[key].as_str().unwrap();
    (word("mode"), word("lock"), look.0)
}

#[test]
fn a_server_that_insists_on_a_certificate_is_strict_and_its_chain_and_name_are_shown() {
    let scene = Scene::new();
    let addr = fronts::tls(&scene.cart, &Clients::Certified(&scene.root));
    let look = scene.look(addr, &["--spiffe-id", CART, "--namespace", "shop"]);
    assert_eq!(short(&look), ("strict", "closed", 0), "{look:#?}");
    let target = &look.1;
    assert_eq!(target["spiffe_id"], CART);
    assert_eq!(target["namespace"], "shop");
    assert_eq!(target["proved"], true);
    assert_eq!(target["tls"]["version"], "TLSv1.3");
    assert_eq!(
        target["tls"]["without_certificate"]["how"],
        "certificate_required"
    );
    assert_eq!(target["plain"]["outcome"], "refused");
    assert_eq!(target["chain"]["verdict"], "valid");

    let certs = scene.certs.to_str().unwrap();
    let output = scene.run(&["--certs", certs, &format!("cart={addr}")]);
    let said = String::from_utf8(output.stdout).unwrap();
    for line in ["lock       closed", "mode       strict", "verdict    valid"] {
        assert!(said.lines().any(|it| it == line), "{line}: {said}");
    }
    assert!(said.contains(&format!("SPIFFE ID  {CART}")), "{said}");
}

#[test]
fn who_is_let_in_decides_the_mode_the_lock_and_the_exit_code() {
    let scene = Scene::new();
    let (cart, root) = (&scene.cart, &scene.root);
    let not_found = "HTTP/1.1 404 Not Found\r\n\r\n";
    let wants_tls =
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let cases = [
        (
            fronts::permissive(cart, &Clients::Certified(root)),
            ("permissive", "half", 3),
        ),
        (
            fronts::permissive(cart, &Clients::Asked(root)),
            ("permissive", "half", 3),
        ),
        (
            fronts::permissive(cart, &Clients::Anyone),
            ("disabled", "open", 4),
        ),
        (
            fronts::tls(cart, &Clients::Asked(root)),
            ("optional", "half", 3),
        ),
        (fronts::tls(cart, &Clients::Anyone), ("tls", "open", 4)),
        (fronts::http(not_found), ("disabled", "open", 4)),
        (fronts::http("what?\n"), ("disabled", "open", 4)),
        (fronts::http(wants_tls), ("unknown", "none", 1)),
        (fronts::banner(b"SSH-2.0-x\r\n"), ("disabled", "open", 4)),
        (fronts::banner(&[7, 0, 255, 1]), ("disabled", "open", 4)),
        (
            fronts::serve(fronts::answers(HTTP2, &[0, 0, 0, 4, 0, 0, 0, 0, 0])),
            ("disabled", "open", 4),
        ),
        (fronts::serve(drop), ("unknown", "none", 1)),
        (fronts::nobody(), ("unreachable", "none", 1)),
    ];
    for (number, (addr, expected)) in cases.into_iter().enumerate() {
        let look = scene.look(addr, &[]);
        assert_eq!(short(&look), expected, "case {number}: {look:#?}");
    }
}

#[test]
fn who_says_nothing_is_waited_for_as_long_as_asked() {
    let scene = Scene::new();
    let look = scene.look(fronts::silent(), &["--timeout=200ms"]);
    assert_eq!(short(&look), ("unknown", "none", 1), "{look:#?}");
    assert_eq!(look.1["plain"]["outcome"], "unanswered");
}

#[test]
fn a_server_that_no_peer_would_believe_is_broken_by_the_rule_that_its_chain_breaks() {
    let scene = Scene::new();
    let (root, clients) = (&scene.root, Clients::Certified(&scene.root));
    let payments = "spiffe://cluster.local/ns/pay/sa/payments";
    let stranger = Root::new("stranger").leaf(CART);
    let elsewhere = root.leaf("spiffe://elsewhere/ns/shop/sa/cart");
    let website = root.leaf_with(CART, |params| params.subject_alt_names.clear());
    let other = root.leaf(payments);
    let as_cart = ["--spiffe-id", CART];
    let in_shop = ["--namespace", "shop"];
    let cases: [(&Leaf, &[&str], &str); 6] = [
        (&stranger, &[], "trusted-root"),
        (&root.expired(CART), &[], "not-after"),
        (&elsewhere, &[], "trust-domain"),
        (&website, &[], "svid-one-uri"),
        (&other, &as_cart, "expected-spiffe-id"),
        (&other, &in_shop, "expected-namespace"),
    ];
    for (leaf, args, rule) in cases {
        for addr in [
            fronts::tls(leaf, &clients),
            fronts::permissive(leaf, &clients),
        ] {
            let look = scene.look(addr, args);
            assert_eq!(short(&look), ("broken", "broken", 4), "{rule}: {look:#?}");
            let because = look.1["because"].as_str().unwrap();
            assert!(because.contains(rule), "{rule}: {because}");
            // The namespace is checked beside the chain, which is good.
            let claimed = ["expected-namespace"].contains(&rule);
            assert_eq!(look.1["spiffe_id"].is_null(), !claimed, "{look:#?}");
        }
    }
}

#[test]
fn a_server_that_does_not_take_our_certificate_is_broken_by_its_alert() {
    let scene = Scene::new();
    let stranger = Root::new("stranger");
    for version in [&TLS12, &TLS13] {
        let clients = Clients::Certified(&stranger);
        let addr = fronts::tls_with(fronts::config(&scene.cart, &clients, &[version]));
        let look = scene.look(addr, &[]);
        assert_eq!(short(&look), ("broken", "broken", 4), "{look:#?}");
        let because = look.1["because"].as_str().unwrap();
        assert!(
            because.starts_with("it does not take our certificate: alert"),
            "{because}"
        );
    }
}

#[test]
fn the_word_of_the_server_is_waited_for_in_every_version_with_and_without_tickets() {
    let scene = Scene::new();
    for (version, tickets) in [(&TLS12, 0), (&TLS13, 0), (&TLS13, 1)] {
        let clients = [
            (Clients::Certified(&scene.root), "strict"),
            (Clients::Asked(&scene.root), "optional"),
            (Clients::Anyone, "tls"),
        ];
        for (clients, mode) in clients {
            let mut config = fronts::config(&scene.cart, &clients, &[version]);
            config.send_tls13_tickets = tickets;
            let (_, target) = scene.look(fronts::tls_with(config), &[]);
            assert_eq!(target["mode"], mode, "{version:?} {tickets}: {target:#}");
        }
    }
}

#[test]
fn openssl_insists_and_is_seen_to_do_so() {
    let scene = Scene::new();
    for more in [
        &["-tls1_2"][..],
        &["-tls1_3"],
        &["-tls1_3", "-num_tickets", "0"],
    ] {
        let server = SServer::start(scene.dir.path(), &scene.root, &scene.cart, more);
        let look = scene.look(server.addr, &[]);
        assert_eq!(short(&look), ("strict", "closed", 0), "{more:?}: {look:#?}");
        assert_eq!(
            (&look.1["proved"], &look.1["spiffe_id"]),
            (&true.into(), &CART.into())
        );
    }
}

#[test]
fn a_server_whose_tls_is_too_old_is_broken_and_an_echo_is_plain_text() {
    let scene = Scene::new();
    let old = ["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"];
    let server = SServer::start(scene.dir.path(), &scene.root, &scene.cart, &old);
    let look = scene.look(server.addr, &[]);
    assert_eq!(short(&look), ("broken", "broken", 4), "{look:#?}");
    let because = look.1["because"].as_str().unwrap();
    assert!(because.contains("alert protocol_version"), "{because}");

    let echo = fronts::serve(|stream| {
        let mut back = stream.try_clone().unwrap();
        let _gone = std::io::copy(&mut &stream, &mut back);
    });
    let look = scene.look(echo, &[]);
    assert_eq!(short(&look), ("disabled", "open", 4), "{look:#?}");
    assert_eq!(look.1["tls"]["without_certificate"]["outcome"], "not-tls");
}

#[test]
fn nothing_is_said_to_the_service_once_tls_stands() {
    let scene = Scene::new();
    let clients = Clients::Certified(&scene.root);
    for tickets in [0, 1] {
        let mut config = fronts::config(&scene.cart, &clients, &[&TLS13]);
        config.send_tls13_tickets = tickets;
        let (addr, told) = fronts::tls_that_listens(config);
        let look = scene.look(addr, &[]);
        assert_eq!(short(&look), ("strict", "closed", 0), "{look:#?}");
        // Plain text by HTTP/1.1, TLS without a certificate, TLS with ours.
        let heard: Vec<Vec<u8>> = (0..3)
            .map(|_| told.recv_timeout(fronts::LIMIT).unwrap())
            .collect();
        assert_eq!(heard, vec![Vec::<u8>::new(); 3]);
    }
}

#[test]
fn the_word_of_a_server_far_away_is_heard_after_our_goodbye() {
    let scene = Scene::new();
    let stranger = Root::new("stranger");
    for (root, mode) in [(&scene.root, "strict"), (&stranger, "broken")] {
        let mut config = fronts::config(&scene.cart, &Clients::Certified(root), &[&TLS13]);
        config.send_tls13_tickets = 0;
        let addr = fronts::far_away(fronts::tls_with(config));
        let (_, target) = scene.look(addr, &[]);
        assert_eq!(target["mode"], mode, "{target:#}");
    }
}

#[test]
fn a_server_that_hangs_up_after_a_ticket_has_let_us_in() {
    let scene = Scene::new();
    let clients = Clients::Certified(&scene.root);
    let mut config = fronts::config(&scene.cart, &clients, &[&TLS13]);
    config.send_tls13_tickets = 1;
    let look = scene.look(fronts::tls_that_hangs_up(config), &[]);
    assert_eq!(short(&look), ("strict", "closed", 0), "{look:#?}");
    assert_eq!(look.1["proved"], true);
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let scene = Scene::new();
    let addr = fronts::nobody().to_string();
    for (args, code) in [(&["--roots", "roots.pem", &addr][..], 1), (&[&addr], 2)] {
        let output = Command::new(&binaries().ca_client)
            .args(["mtls", "check"])
            .args(args)
            .env("OUTPUT_CERTS", "")
            .current_dir(scene.dir.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    }
}

#[test]
fn without_a_certificate_of_ours_a_strict_server_is_strict_as_far_as_seen() {
    let scene = Scene::new();
    let addr = fronts::tls(&scene.cart, &Clients::Certified(&scene.root));
    let look = scene.look_with(addr, &["--roots", "roots.pem"]);
    assert_eq!(short(&look), ("strict", "closed", 0), "{look:#?}");
    assert_eq!(look.1["proved"], false);
    assert_eq!(look.1["tls"]["with_certificate"], Value::Null);
    let because = look.1["because"].as_str().unwrap();
    assert!(because.contains("not tried with one"), "{because}");
}

#[test]
fn plain_text_that_is_not_tried_or_not_answered_leaves_strictness_unproven() {
    let scene = Scene::new();
    let clients = Clients::Certified(&scene.root);
    let tls = fronts::tls(&scene.cart, &clients);
    let look = scene.look(tls, &["--plain-probe", "none"]);
    assert_eq!(short(&look), ("unproven", "half", 3), "{look:#?}");
    let slow = fronts::tls_or(&scene.cart, &clients, |mut stream| {
        let _end = stream.read_to_end(&mut Vec::new());
    });
    let look = scene.look(slow, &["--timeout=5s"]);
    assert_eq!(short(&look), ("unproven", "half", 3), "{look:#?}");
}

#[test]
fn a_service_that_hangs_up_on_http_is_found_out_by_a_request_that_it_answers() {
    let scene = Scene::new();
    fs::write(scene.dir.path().join("ping"), "PING\r\n").unwrap();
    let clients = Clients::Certified(&scene.root);
    let addr = fronts::tls_or(
        &scene.cart,
        &clients,
        fronts::answers(b"PING\r\n", b"+PONG\r\n"),
    );
    let look = scene.look(addr, &[]);
    assert_eq!(short(&look), ("strict", "closed", 0), "{look:#?}");
    let look = scene.look(addr, &["--plain-probe", "@ping"]);
    assert_eq!(short(&look), ("permissive", "half", 3), "{look:#?}");
    assert_eq!(look.1["plain"]["how"], "'+PONG'");
}

#[test]
fn what_a_stranger_says_does_not_steer_the_terminal() {
    let scene = Scene::new();
    let addr = fronts::http("HTTP/1.1 200 \u{1b}[2J\r\n\r\n");
    let certs = scene.certs.to_str().unwrap();
    let output = scene.run(&["--certs", certs, &addr.to_string()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("HTTP/1.1 200 ") && !said.contains('\u{1b}'),
        "{said}"
    );
}

#[test]
fn what_cannot_be_used_is_refused_before_anybody_is_asked() {
    let scene = Scene::new();
    let (other, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = scene.root.install(&scene.root.expired(PROBE), other.path());
    let (old, empty) = (old.to_str().unwrap(), empty.path().to_str().unwrap());
    let cases: [(&[&str], i32, &str); 7] = [
        (&["h:1"], 2, "--roots"),
        (&["--roots", "roots.pem"], 2, "<TARGET>"),
        (&["--roots", "roots.pem", "nowhere"], 2, "HOST:PORT"),
        (
            &["--roots", "roots.pem", "--plain-probe", "smtp", "h:1"],
            2,
            "@FILE",
        ),
        (&["--roots", "missing.pem", "h:1"], 1, "missing.pem"),
        (&["--certs", empty, "h:1"], 1, "no certificate in"),
        (&["--certs", old, "h:1"], 1, "not now"),
    ];
    for (args, code, said) in cases {
        let output = scene.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}

/// RFC 9113 section 3.4.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
