//! What do Java and others find in the files that were made for them? Judged by openssl.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use ca_client::OutputDir;
use ca_client::Svid;
use ca_client::files::FileAccess;
use ca_client::files::FilesError;
use ca_client::files::OutputOptions;
use ca_client::files::StorePassword;
use rcgen::KeyPair;
use rcgen::PKCS_ECDSA_P256_SHA256;
use rcgen::PKCS_ECDSA_P384_SHA384;
use rcgen::SignatureAlgorithm;
use tempfile::TempDir;

use crate::CART;
use crate::files::svid;
use crate::pki::Leaf;
use crate::pki::Pki;
use crate::pki::moment;

const NEW: [&str; 3] = ["chain-without-root.pem", "keystore.p12", "truststore.p12"];

/// A password that was in a file.
fn password(text: &str) -> StorePassword {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{text}\n")).unwrap();
    StorePassword::from_file(file.path()).unwrap()
}

fn everything() -> OutputOptions {
    OutputOptions {
        chain_without_root: true,
        stores: Some(StorePassword::customary()),
        ..OutputOptions::default()
    }
}

fn written(svid: &Svid, options: OutputOptions) -> TempDir {
    let dir = TempDir::new().unwrap();
    let output = OutputDir::open(dir.path(), options).unwrap();
    output.write(svid, moment(0)).unwrap();
    assert!(output.is_as_asked());
    dir
}

fn shell(dir: &Path, script: &str) -> Output {
    let mut command = Command::new("sh");
    let command = command.args(["-c", script]).current_dir(dir);
    command.env("LC_ALL", "C").output().unwrap()
}

/// What `script` prints, of either kind.
fn said(dir: &Path, script: &str) -> String {
    let output = shell(dir, script);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{script}: {text}");
    text
}

/// An SVID whose key is of this kind, and whose trust bundle has more than one root.
fn svid_of(algorithm: &'static SignatureAlgorithm, others: &[Pki]) -> Svid {
    let (pki, key) = (
        Pki::new("stores"),
        KeyPair::generate_for(algorithm).unwrap(),
    );
    let chain = pki.answer(pki.leaf_for(&key, &Leaf::named(CART))).concat();
    let others: String = others.iter().map(Pki::roots_pem).collect();
    Svid::from_pem(
        chain.as_bytes(),
        key.serialize_pem().as_bytes(),
        (pki.roots_pem() + &others).as_bytes(),
    )
    .unwrap()
}

#[test]
fn the_key_store_holds_the_key_of_the_leaf_and_the_chain_without_the_root() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
        let dir = written(&svid_of(algorithm, &[]), everything());
        let open = "openssl pkcs12 -in keystore.p12 -passin pass:changeit";
        let keys = format!(
            "({open} -nocerts -noenc | openssl pkey -pubout; \
              {open} -clcerts -nokeys | openssl x509 -noout -pubkey; \
              openssl pkey -in key.pem -pubout) | sort | uniq -c | grep -c '^ *3 '"
        );
        let lines = said(dir.path(), "openssl pkey -in key.pem -pubout | wc -l");
        assert_eq!(said(dir.path(), &keys), lines, "{algorithm:?}");
        let certificates = "sed -n '/BEGIN CERT/,/END CERT/p'";
        let chain = format!("{open} -nokeys | {certificates} | diff - chain-without-root.pem");
        assert_eq!(said(dir.path(), &chain), "");
    }
}

#[test]
fn the_chain_without_root_is_the_chain_but_for_its_last_certificate() {
    let svid = svid();
    let dir = written(&svid, everything());
    let text = fs::read_to_string(dir.path().join(NEW[0])).unwrap();
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(format!("{text}{}", svid.roots_pem()), svid.chain_pem());
    let verify = "openssl verify -CAfile root-cert.pem -untrusted chain-without-root.pem chain-without-root.pem";
    assert_eq!(said(dir.path(), verify), "chain-without-root.pem: OK\n");
}

#[test]
fn key_and_file_are_sealed_by_what_openssl_3_and_java_read_by_themselves() {
    let dir = written(&svid(), everything());
    let info = "openssl pkcs12 -info -noenc -in keystore.p12 -passin pass:changeit 2>&1 >/dev/null";
    let text = said(dir.path(), info);
    let key = "Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256";
    for part in ["MAC: sha256, Iteration 10000", key] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let friendly = said(
        dir.path(),
        "openssl pkcs12 -in keystore.p12 -passin pass:changeit -noenc",
    );
    assert_eq!(
        friendly.matches("friendlyName: workload").count(),
        2,
        "key and leaf"
    );
}

#[test]
fn passwords_of_any_length_open_the_stores_and_others_do_not() {
    let (svid, longest) = (svid(), "y".repeat(256));
    for text in [
        "a",
        &"b".repeat(31),
        &"c".repeat(32),
        "with space ",
        "$`'\"\\!",
        &longest,
    ] {
        let options = OutputOptions {
            stores: Some(password(text)),
            ..everything()
        };
        let dir = written(&svid, options);
        fs::write(dir.path().join("right"), text).unwrap();
        fs::write(dir.path().join("wrong"), format!("{text}x")).unwrap();
        for store in &NEW[1..] {
            let open = format!("openssl pkcs12 -noenc -in {store} -passin file:");
            said(dir.path(), &format!("{open}right"));
            for other in [
                format!("{open}wrong"),
                format!("openssl pkcs12 -in {store} -passin pass:"),
            ] {
                let refused = shell(dir.path(), &other);
                let why = String::from_utf8_lossy(&refused.stderr).into_owned();
                assert!(
                    !refused.status.success() && why.contains("Mac verify error"),
                    "{why}"
                );
            }
        }
    }
}

#[test]
fn the_trust_store_has_each_root_of_a_rotation_once_and_trusts_it_as_java_wants() {
    let (new, again) = (Pki::new("new"), Pki::new("again"));
    let twice = format!("{}{}", again.roots_pem(), again.roots_pem());
    let svid = svid_of(&PKCS_ECDSA_P256_SHA256, &[new]);
    let roots = svid.roots_pem() + &twice;
    let key = svid.private_key_pem();
    let svid = Svid::from_pem(
        svid.chain_pem().as_bytes(),
        key.as_bytes(),
        roots.as_bytes(),
    )
    .unwrap();
    let dir = written(&svid, everything());
    let shown = said(
        dir.path(),
        "openssl pkcs12 -in truststore.p12 -passin pass:changeit -noenc",
    );
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 3, "{shown}");
    assert!(!shown.contains("PRIVATE KEY"));
    for root in svid.roots() {
        let body = root.to_pem();
        assert!(shown.contains(body.trim()), "{body}");
    }
    let mut names: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains("friendlyName: root-"))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3, "{shown}");
    assert_eq!(
        shown.matches("2.16.840.1.113894.746875.1.1").count(),
        3,
        "{shown}"
    );
}

#[test]
fn each_file_has_the_permissions_and_the_owner_that_were_asked_for_it() {
    // Only root may give files away.
    let mine = fs::metadata("/proc/self").unwrap();
    let (uid, gid) = match mine.uid() {
        0 => (65_533, 65_532),
        uid => (uid, mine.gid()),
    };
    let options = OutputOptions {
        exceptions: vec![
            FileAccess {
                name: "keystore.p12".to_owned(),
                mode: Some(0o440),
                owner: Some(format!("{uid}:{gid}").parse().unwrap()),
            },
            FileAccess {
                name: "root-cert.pem".to_owned(),
                mode: Some(0o604),
                owner: None,
            },
        ],
        ..everything()
    };
    let table = [("keystore.p12", 0o440), ("root-cert.pem", 0o604)];
    let others = [
        ("key.pem", 0o600),
        ("cert-chain.pem", 0o644),
        ("truststore.p12", 0o644),
        (NEW[0], 0o644),
    ];
    let dir = written(&svid(), options);
    for (name, mode) in table.into_iter().chain(others) {
        let seen = fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(seen.mode() & 0o777, mode, "{name}");
        let is_given = (seen.uid(), seen.gid()) == (uid, gid);
        let is_ours = (seen.uid(), seen.gid()) == (mine.uid(), mine.gid());
        assert!(is_given || name != "keystore.p12", "{name}");
        assert!(is_ours || name == "keystore.p12", "{name}");
    }
    let plain = written(&svid(), everything());
    let seen = fs::metadata(plain.path().join("keystore.p12")).unwrap();
    assert_eq!(seen.mode() & 0o777, 0o600, "the key is in it");
}

#[test]
fn permissions_for_what_is_not_written_are_refused_with_what_is() {
    for (name, options) in [
        ("keystore.p12", OutputOptions::default()),
        ("key.pme", everything()),
        ("tls.key", everything()),
        ("..data", everything()),
    ] {
        let dir = TempDir::new().unwrap();
        let options = OutputOptions {
            exceptions: vec![FileAccess {
                name: name.to_owned(),
                ..FileAccess::default()
            }],
            ..options
        };
        let error = OutputDir::open(dir.path().join("out"), options).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains(name),
            "{error}"
        );
        assert!(
            error.to_string().contains("cert-chain.pem, key.pem"),
            "{error}"
        );
        assert!(!dir.path().join("out").exists());
    }
}

#[test]
fn what_others_have_under_the_new_names_is_refused_when_they_are_wanted_and_left_alone_when_not() {
    for name in NEW {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        let error = OutputDir::open(dir.path(), everything()).unwrap_err();
        assert!(matches!(error, FilesError::Directory { .. }), "{error:?}");
        fs::remove_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name), "theirs").unwrap();
        let error = OutputDir::open(dir.path(), everything()).unwrap_err();
        assert!(matches!(error, FilesError::Stranger { .. }), "{error:?}");
        let output = OutputDir::open(dir.path(), OutputOptions::default()).unwrap();
        output.write(&svid(), moment(0)).unwrap();
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"theirs");
        assert!(output.is_as_asked());
    }
}

#[test]
fn files_that_are_not_wanted_any_more_go_with_the_next_set() {
    let dir = written(&svid(), everything());
    let output = OutputDir::open(dir.path(), OutputOptions::default()).unwrap();
    assert!(!output.is_as_asked(), "they are still there");
    output.write(&svid(), moment(60)).unwrap();
    for name in NEW {
        assert!(
            fs::symlink_metadata(dir.path().join(name)).is_err(),
            "{name}"
        );
    }
    assert!(output.is_as_asked());
}

#[test]
fn a_store_that_is_missing_torn_or_under_another_password_is_not_what_was_asked_for() {
    let torn: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.truncate(bytes.len() - 1);
            fs::write(path, bytes).unwrap();
        },
        |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[100] ^= 1;
            fs::write(path, bytes).unwrap();
        },
    ];
    for tear in torn {
        for store in &NEW[1..] {
            let dir = written(&svid(), everything());
            let path = fs::canonicalize(dir.path().join(store)).unwrap();
            tear(&path);
            let output = OutputDir::open(dir.path(), everything()).unwrap();
            assert!(!output.is_as_asked(), "{store}");
        }
    }
    let dir = written(&svid(), everything());
    let options = OutputOptions {
        stores: Some(password("another")),
        ..everything()
    };
    let output = OutputDir::open(dir.path(), options).unwrap();
    assert!(!output.is_as_asked());
}

#[test]
fn a_lost_link_of_a_new_file_is_noticed() {
    let dir = TempDir::new().unwrap();
    let output = OutputDir::open(dir.path(), everything()).unwrap();
    output.write(&svid(), moment(0)).unwrap();
    for name in NEW {
        let (path, leads) = (dir.path().join(name), Path::new("..data").join(name));
        fs::remove_file(&path).unwrap();
        let error = output.check().unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        symlink(leads, &path).unwrap();
        output.check().unwrap();
    }
}
