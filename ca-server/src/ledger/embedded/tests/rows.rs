//! The bytes of rows, which ledgers on disks are made of.

use super::super::keys;
use super::super::marks::Marked;
use super::super::rows;
use super::*;
use crate::ledger::Denial;
use crate::ledger::LedgerError;
use crate::ledger::Spent;
use crate::ledger::Target;
use crate::ledger::Terms;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of the rows of an intent, and what they are, for when it differs.
fn print_of(rows: Vec<rows::Row>) -> (String, String) {
    let mut text = String::new();
    for (key, value) in rows {
        text.push_str(&format!("{} {}\n", hex(&key), hex(&value)));
    }
    let digest = hex(Fingerprint::of(text.as_bytes()).as_bytes());
    (digest[..16].to_owned(), text)
}

#[test]
fn intents_are_read_as_layout_one_wrote_them() {
    let (issuer, subject, serial) = ("iss".to_owned(), "sub".to_owned(), "01".to_owned());
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let serving = LeafName::Serving {
        dns_names: vec!["ca".to_owned()],
        ip_addresses: vec![address],
    };
    let table = [
        (intent(NOON, 1), "394d71730245d068"),
        (paid(1, "a"), "d55ae221ec25c485"),
        (
            Intent {
                evidence: Evidence::Jwt { issuer, subject },
                ..intent(NOON, 1)
            },
            "b797b699dde7e5ce",
        ),
        (
            Intent {
                evidence: Evidence::ClientCertificate { serial },
                ..intent(NOON, 1)
            },
            "fe17511132a1b375",
        ),
        (
            Intent {
                name: serving,
                ..intent(NOON, 1)
            },
            "02155c719a2b3134",
        ),
        (
            Intent {
                name: LeafName::Trial,
                ..intent(NOON, 1)
            },
            "23e5b13cf979a161",
        ),
    ];
    for (intent, expected) in table {
        let mut rows = rows::of_intent(&intent).unwrap();
        rows[0].1 = of_version_1(&rows[0].1);
        assert_eq!(rows::decode(&rows[0].0, &rows[0].1), Ok(intent));
        let (digest, text) = print_of(rows);
        assert_eq!(digest, expected, "{text}");
    }
}

#[test]
fn the_bytes_of_intents_do_not_change() {
    let table = [
        (intent(NOON, 1), "edc17c11d42af278"),
        (held(1, 7, 1), "8d4df6705e680a3d"),
    ];
    for (intent, expected) in table {
        let (digest, text) = print_of(rows::of_intent(&intent).unwrap());
        assert_eq!(digest, expected, "{text}");
    }
}

#[test]
fn the_bytes_of_marks_terms_and_acknowledgements_do_not_change() {
    let held = held(1, 7, 1);
    let marked = Marked::by(&held).unwrap();
    let (newest_key, newest) = marked.newest.unwrap();
    let said = said(1, 7, Some(serial(NOON, 1)));
    let holder = keys::HolderKey::of(said.instance, &said.spiffe_id);
    let terms = Terms {
        issuer: key("issuer"),
        bundle: 300,
    };
    let rows = [
        (marked.key, rows::encode(&marked.mark)),
        (newest_key, rows::encode(&newest)),
        (keys::acknowledgement(&holder), rows::encode(&said)),
        (keys::TERMS_ROW.to_vec(), rows::encode(&terms)),
    ];
    let seen = rows.map(|(key, value)| print_of(vec![(key, value.unwrap())]).0);
    assert_eq!(
        seen,
        [
            "0ffe23f218790f5e",
            "70be894e8e688adb",
            "f7d928bc83f939d2",
            "4c6ef006369e6db4"
        ]
    );
}

#[test]
fn the_bytes_of_tokens_and_leaves_do_not_change() {
    let spent = Some(Spent {
        serial: serial(NOON, 1),
        key: key("a"),
    });
    let token = rows::encode(&Token { spent, ..token() }).unwrap();
    let digest = hex(Fingerprint::of(&token).as_bytes());
    assert_eq!(&digest[..16], "415b78946728d30c", "{}", hex(&token));
    let (key, value) = rows::of_leaf(serial(NOON, 1), &[0x30, 0x82]).unwrap();
    assert_eq!(hex(&key), "4c019e7044880000000000000000000001");
    assert_eq!(hex(&value), "01023082");
}

#[test]
fn the_bytes_of_denials_do_not_change() {
    let number = Target::from(serial(NOON, 1));
    let table = [Target::SpiffeId(id(CART)), number, Target::Key(key("a"))];
    let mut seen = Vec::new();
    for target in table {
        let denial_key = keys::denial(&target);
        let reason = "lost".parse().unwrap();
        let since = at(NOON);
        let denial = Denial {
            target,
            reason,
            since,
        };
        let row = [denial_key, rows::encode(&denial).unwrap()].concat();
        let digest = hex(Fingerprint::of(&row).as_bytes());
        seen.push(digest[..16].to_owned());
    }
    assert_eq!(
        seen,
        ["d8acdac3c5f5deff", "189d359fd5ee998d", "9a94468f92d6924b"]
    );
}

#[test]
fn a_row_that_is_not_as_it_was_written_names_its_key() {
    let key = keys::entry(serial(NOON, 1));
    let good = rows::encode(&intent(NOON, 1)).unwrap();
    assert_eq!(rows::decode(&key, &good), Ok(intent(NOON, 1)));

    let other_version = [&[3], &good[1..]].concat();
    let longer = [&good[..], &[0]].concat();
    for bad in [
        &[],
        &good[..good.len() - 1],
        &of_version_1(&good)[..good.len() - 3],
        &[&of_version_1(&good)[..], &[0]].concat(),
        &other_version[..],
        &longer[..],
    ] {
        let key_hex = hex(&key);
        assert_eq!(
            rows::decode::<Intent>(&key, bad),
            Err(LedgerError::Malformed { key: key_hex })
        );
    }
}

#[test]
fn keys_of_a_kind_sort_as_their_serials_do() {
    let (early, late) = (serial(NOON, 9), serial(NOON + DAY, 1));
    let hash = keys::hash_of(&id(CART));
    assert!(keys::entry(early) < keys::entry(late));
    let by_id = |serial| keys::by_spiffe_id(keys::day_of(serial), &hash, serial);
    assert!(by_id(early) < by_id(late));
    assert_eq!(u64::from(keys::day_of(early)), NOON / DAY);
}
