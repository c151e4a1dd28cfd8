//! Servers that do not say why they break off: no lock is closed, or open, on the strength of a silence.

use rustls::version::TLS12;
use rustls::version::TLS13;
use serde_json::Value;

use crate::Scene;
use crate::fronts;
use crate::fronts::Clients;
use crate::quitters;
use crate::short;

fn because(look: &(i32, Value)) -> &str {
    look.1["because"].as_str().unwrap()
}

#[test]
fn who_hangs_up_without_a_word_demands_nothing_that_could_be_seen() {
    let scene = Scene::new();
    let root = &scene.root;
    for version in [&TLS12, &TLS13] {
        for stop in [quitters::hangs_up, quitters::resets] {
            for clients in [Clients::Asked(root), Clients::Certified(root)] {
                let config = fronts::config(&scene.cart, &clients, &[version]);
                let addr = quitters::after_the_question(config, stop);
                let roots = ["--roots", "roots.pem"];
                for look in [scene.look(addr, &[]), scene.look_with(addr, &roots)] {
                    assert_eq!(short(&look), ("undecided", "none", 1), "{look:#?}");
                    assert_eq!(look.1["proved"], false);
                    assert_eq!(look.1["tls"]["asks_for_certificate"], true);
                    assert!(because(&look).contains("look again"), "{look:#?}");
                }
            }
        }
    }
}

#[test]
fn a_proxy_without_tickets_that_hangs_up_on_everybody_is_undecided() {
    let scene = Scene::new();
    for clients in [Clients::Asked(&scene.root), Clients::Certified(&scene.root)] {
        let mut config = fronts::config(&scene.cart, &clients, &[&TLS13]);
        config.send_tls13_tickets = 0;
        let look = scene.look(fronts::tls_that_hangs_up(config), &[]);
        assert_eq!(short(&look), ("undecided", "none", 1), "{look:#?}");
    }
}

#[test]
fn an_alert_that_is_not_about_certificates_demands_none() {
    let scene = Scene::new();
    let config = fronts::config(&scene.cart, &Clients::Asked(&scene.root), &[&TLS12]);
    let addr = quitters::after_the_question(config, quitters::fails);
    let look = scene.look_with(addr, &["--roots", "roots.pem"]);
    assert_eq!(short(&look), ("undecided", "none", 1), "{look:#?}");
    assert!(because(&look).contains("internal_error"), "{look:#?}");
}

#[test]
fn who_says_nothing_more_has_let_nobody_in() {
    let scene = Scene::new();
    let config = fronts::config(&scene.cart, &Clients::Asked(&scene.root), &[&TLS13]);
    let addr = quitters::after_the_question(config, quitters::freezes);
    let look = scene.look(addr, &["--timeout=5s"]);
    assert_eq!(short(&look), ("undecided", "none", 1), "{look:#?}");
    assert_eq!(look.1["proved"], false);
}

#[test]
fn a_refusal_that_a_reset_overtook_is_asked_for_again() {
    let scene = Scene::new();
    let config = fronts::config(&scene.cart, &Clients::Certified(&scene.root), &[&TLS13]);
    let look = scene.look(quitters::resets_at_first(config, 2), &[]);
    assert_eq!(short(&look), ("strict", "closed", 0), "{look:#?}");
    let alert = &look.1["tls"]["without_certificate"]["how"];
    assert_eq!(alert, "certificate_required");
}

#[test]
fn who_hangs_up_on_others_and_takes_our_certificate_is_half_closed() {
    let scene = Scene::new();
    for version in [&TLS12, &TLS13] {
        let mut config = fronts::config(&scene.cart, &Clients::Asked(&scene.root), &[version]);
        config.send_tls13_tickets = 0;
        let look = scene.look(quitters::refuses_without_a_word(config), &[]);
        let mode = match version == &TLS12 {
            // Before TLS 1.3 the end of the handshake is a word.
            true => "optional",
            false => "unproven",
        };
        assert_eq!(short(&look), (mode, "half", 3), "{look:#?}");
        assert_eq!(look.1["proved"], true);
    }
}

#[test]
fn a_hang_up_on_plain_text_says_nothing_where_mtls_is_hung_up_on_too() {
    let scene = Scene::new();
    let addr = quitters::nobody_behind(&scene.cart, &Clients::Certified(&scene.root));
    let look = scene.look(addr, &[]);
    assert_eq!(short(&look), ("unproven", "half", 3), "{look:#?}");
    assert!(because(&look).contains("look again"), "{look:#?}");
}

#[test]
fn plain_text_of_which_more_is_awaited_is_not_refused() {
    let scene = Scene::new();
    let clients = Clients::Certified(&scene.root);
    let addr = fronts::tls_or(&scene.cart, &clients, quitters::waits_for_more);
    let look = scene.look(addr, &["--timeout=5s"]);
    assert_eq!(short(&look), ("unproven", "half", 3), "{look:#?}");
    assert_eq!(look.1["plain"]["outcome"], "unanswered");
}

#[test]
fn plain_text_that_is_answered_is_open_whatever_tls_does() {
    let scene = Scene::new();
    let answer = |stream| fronts::answer_http(stream, "HTTP/1.1 200 OK\r\n\r\n");
    let config = || fronts::config(&scene.cart, &Clients::Asked(&scene.root), &[&TLS13]);
    let addr = quitters::hangs_up_over_tls(config(), answer);
    let look = scene.look_with(addr, &["--roots", "roots.pem"]);
    assert_eq!(short(&look), ("disabled", "open", 4), "{look:#?}");
    let look = scene.look(addr, &[]);
    assert_eq!(short(&look), ("broken", "broken", 4), "{look:#?}");
    assert!(because(&look).contains("plain text taken"), "{look:#?}");
}
