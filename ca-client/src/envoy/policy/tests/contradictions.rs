//! Which policies cannot both be meant?

use super::*;

#[test]
fn callers_that_are_made_to_speak_what_no_policy_takes_are_refused() {
    let policy = |documents: &[String]| documents.to_vec();
    let old = older(
        "Policy",
        "p",
        "targets: [{name: cart}], peers: [{mtls: {}}]",
    );
    for (host, others, is_refused) in [
        ("*.local", policy(&[]), true),
        (
            "*.local",
            policy(&[peer("istio-system", "PERMISSIVE", "")]),
            false,
        ),
        (
            "*.local",
            policy(&[peer("istio-system", "DISABLE", "")]),
            true,
        ),
        ("*.local", policy(&[peer("shop", "STRICT", "")]), true),
        (
            "*.shop.svc.cluster.local",
            policy(&[peer("shop", "STRICT", "")]),
            false,
        ),
        (
            "*.shop.svc.cluster.local",
            policy(&[peer("istio-system", "STRICT", "")]),
            false,
        ),
        (
            "*.shop.svc.cluster.local",
            policy(&[
                peer("istio-system", "STRICT", ""),
                peer("shop", "DISABLE", ""),
            ]),
            true,
        ),
        ("cart", policy(&[]), true),
        ("cart", policy(&[peer("shop", "DISABLE", "")]), true),
        (
            "cart",
            policy(&[peer("shop", "DISABLE", ""), peer("shop", "STRICT", TILL)]),
            false,
        ),
        ("cart", policy(&[old]), false),
        (
            "cart.bank.svc.cluster.local",
            policy(&[peer("shop", "STRICT", "")]),
            true,
        ),
        ("www.example.com", policy(&[]), false),
    ] {
        let documents: Vec<String> = [rule(host, "ISTIO_MUTUAL")]
            .into_iter()
            .chain(others)
            .collect();
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        match (read(&texts), is_refused) {
            (Ok(_), false) => {}
            (Err(seen), true) => {
                let line = seen[0].to_string();
                assert!(
                    line.starts_with("0.yaml:3: mtls-without-policy: "),
                    "{line}"
                );
            }
            (seen, _) => panic!("{host}: {texts:#?}\n{seen:#?}"),
        }
    }
}

#[test]
fn a_strict_policy_whose_callers_are_told_otherwise_is_refused() {
    let mesh = || peer("istio-system", "STRICT", "");
    let shop = || peer("shop", "STRICT", "");
    let old = older(
        "Policy",
        "p",
        "targets: [{name: cart}], peers: [{mtls: {}}]",
    );
    for (host, mode, others, is_refused) in [
        ("*.local", "DISABLE", vec![mesh()], true),
        ("*.local", "SIMPLE", vec![mesh()], true),
        ("*.local", "DISABLE", vec![shop()], true),
        (
            "*.local",
            "DISABLE",
            vec![peer("shop", "PERMISSIVE", "")],
            false,
        ),
        (
            "*.local",
            "DISABLE",
            vec![shop(), rule("*.shop.svc.cluster.local", "ISTIO_MUTUAL")],
            false,
        ),
        (
            "*.local",
            "DISABLE",
            vec![peer("shop", "STRICT", CART)],
            true,
        ),
        (
            "*.local",
            "DISABLE",
            vec![
                shop(),
                peer("shop", "STRICT", CART),
                rule("cart", "ISTIO_MUTUAL"),
            ],
            true,
        ),
        ("*.shop.svc.cluster.local", "DISABLE", vec![shop()], true),
        ("*.shop.svc.cluster.local", "DISABLE", vec![mesh()], true),
        (
            "*.shop.svc.cluster.local",
            "DISABLE",
            vec![mesh(), peer("shop", "PERMISSIVE", "")],
            false,
        ),
        ("*.bank.svc.cluster.local", "DISABLE", vec![shop()], false),
        ("cart", "DISABLE", vec![shop()], true),
        ("cart", "DISABLE", vec![mesh()], true),
        (
            "cart",
            "DISABLE",
            vec![shop(), peer("shop", "PERMISSIVE", CART)],
            false,
        ),
        ("cart", "DISABLE", vec![old], true),
        ("till", "DISABLE", vec![peer("shop", "STRICT", CART)], false),
    ] {
        let documents: Vec<String> = [rule(host, mode)].into_iter().chain(others).collect();
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        match (read(&texts), is_refused) {
            (Ok(_), false) => {}
            (Err(seen), true) => {
                let line = seen[0].to_string();
                let starts = format!(
                    "0.yaml:3: strict-without-mtls: DestinationRule shop/r has {mode} for callers, and "
                );
                assert!(
                    line.starts_with(&starts) && line.contains("yaml:"),
                    "{line}"
                );
            }
            (seen, _) => panic!("{host} {mode}: {texts:#?}\n{seen:#?}"),
        }
    }
}

#[test]
fn what_is_known_of_the_workload_itself_makes_more_certain() {
    let ports = "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 9090}, tls: {mode: DISABLE}}]}";
    let take = peer("shop", "PERMISSIVE", "");
    for (mode, selector, rule, answer) in [
        (
            "STRICT",
            CART,
            rule("cart", "DISABLE"),
            Some(
                "2.yaml:3: strict-without-mtls: DestinationRule shop/r has DISABLE for callers, and this workload has STRICT by PeerAuthentication shop/STRICT (1.yaml:3)",
            ),
        ),
        (
            "DISABLE",
            CART,
            rule("cart", "ISTIO_MUTUAL"),
            Some("2.yaml:3: mtls-without-policy: "),
        ),
        ("STRICT", CART, rule("till", "DISABLE"), None),
        ("STRICT", CART, rule_with("cart", ports), None),
        (
            "STRICT",
            CART,
            rule_with("cart", &ports.replace("9090", "8080")),
            Some("2.yaml:2: strict-without-mtls: "),
        ),
        ("PERMISSIVE", CART, rule("cart", "DISABLE"), None),
        ("STRICT", TILL, rule("cart", "DISABLE"), None),
    ] {
        let policies = read(&[&take, &peer("shop", mode, selector), &rule]).unwrap();
        let decided = policies.inbound(&cart()).unwrap();
        let seen = policies.check_callers(&cart(), &decided);
        match answer {
            None => assert_eq!(seen, Ok(()), "{rule}"),
            Some(answer) => {
                let line = refused(seen).remove(0);
                assert!(line.starts_with(answer), "{line}");
            }
        }
    }
}

#[test]
fn a_port_of_which_the_policies_say_otherwise_is_no_contradiction() {
    let level = |mode: &str| format!("{CART} portLevelMtls: {{9090: {{mode: {mode}}}}},");
    let ports = |mode: &str| {
        format!(
            "trafficPolicy: {{portLevelSettings: [{{port: {{number: 9090}}, tls: {{mode: {mode}}}}}]}}"
        )
    };
    for host in ["*.local", "*.shop.svc.cluster.local", "cart"] {
        let off = [
            peer("istio-system", "STRICT", ""),
            peer("shop", "UNSET", &level("DISABLE")),
            rule_with(host, &ports("DISABLE")),
        ];
        let on = [
            peer("istio-system", "DISABLE", ""),
            peer("shop", "UNSET", &level("STRICT")),
            rule_with(host, &ports("ISTIO_MUTUAL")),
        ];
        for documents in [off, on] {
            let [mesh, workload, rule] = &documents;
            assert!(read(&[mesh, workload, rule]).is_ok(), "{documents:#?}");
            assert!(read(&[mesh, rule]).is_err(), "{documents:#?}");
        }
    }
}
