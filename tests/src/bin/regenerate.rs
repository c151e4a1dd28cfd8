//! `cargo testdata`: makes everything in `testdata/` anew, with openssl, so that Signet's own code judges what others made.

#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::fs;
use std::path::Path;

use tests::binaries::workspace;
use tests::openssl::shell;

fn main() -> std::io::Result<()> {
    let testdata = workspace().join("testdata");
    for (name, key) in [
        (
            "rsa2048",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        ),
        (
            "rsa4096",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096",
        ),
        (
            "p256",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        ),
        (
            "p384",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        ),
    ] {
        bundle(
            &fresh(&testdata.join("bundles").join(name))?,
            key,
            STRICT,
            "pkcs8 -topk8 -nocrypt",
        );
    }
    let sample = fresh(&testdata.join("bundles/sample-shape"))?;
    bundle(
        &sample,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        SAMPLE,
        "rsa -traditional",
    );
    // The published sample sends its CA certificate alone as the chain.
    fs::copy(sample.join("ca-cert.pem"), sample.join("cert-chain.pem"))?;
    csrs(&fresh(&testdata.join("csr/good"))?, GOOD_CSRS);
    csrs(&fresh(&testdata.join("csr/bad"))?, BAD_CSRS);
    wrong_signature(
        &testdata.join("csr/bad"),
        &testdata.join("csr/good/p256-sha256.pem"),
    );
    println!("made {}", testdata.display());
    Ok(())
}

/// Extensions of root and CA.
struct Extensions {
    root: &'static str,
    ca: &'static str,
}

const STRICT: Extensions = Extensions {
    root: "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
    ca: "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
};

/// As in the sample bundle that OpenShift Service Mesh documents: no key identifiers on the CA, no key usage on the root.
const SAMPLE: Extensions = Extensions {
    root: "basicConstraints=CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
    ca: "keyUsage=keyCertSign\nbasicConstraints=CA:TRUE\nsubjectAltName=DNS:ca.example.org\n\
         subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n",
};

fn bundle(dir: &Path, key: &str, extensions: Extensions, encode: &str) {
    let script = format!(
        "printf '%s' '{root}' > root.ext; printf '%s' '{ca}' > ca.ext
         openssl {key} -out root.key 2>/dev/null; openssl {key} -out ca.key 2>/dev/null
         openssl req -new -key root.key -subj '/C=US/O=Example/OU=Test/CN=Example Root CA' -out root.csr
         openssl x509 -req -in root.csr -signkey root.key -days 36500 -sha256 -extfile root.ext -out root-cert.pem 2>/dev/null
         openssl req -new -key ca.key -subj '/C=US/O=Example/CN=Example Issuing CA' -out ca.csr
         openssl x509 -req -in ca.csr -CA root-cert.pem -CAkey root.key -days 36500 -sha256 -extfile ca.ext \
             -set_serial 0x0123456789abcdef -out ca-cert.pem 2>/dev/null
         openssl {encode} -in ca.key -out ca-key.pem 2>/dev/null
         cat ca-cert.pem root-cert.pem > cert-chain.pem
         chmod 0600 ca-key.pem; rm -f ./*.ext ./*.csr ./*.key ./*.srl",
        root = extensions.root,
        ca = extensions.ca,
    );
    shell(dir, &script);
}

const P256: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-384";

/// File name and what makes it; all issue, without what they ask for beside a key.
const GOOD_CSRS: &[(&str, &str, &str)] = &[
    ("p256-sha256", P256, ""),
    ("p256-sha384", P256, "-sha384"),
    ("p384-sha384", P384, "-sha384"),
    ("p384-sha256", P384, "-sha256"),
    ("rsa2048-sha256", "-newkey rsa:2048", ""),
    ("rsa2048-sha512", "-newkey rsa:2048", "-sha512"),
    ("rsa4096-sha384", "-newkey rsa:4096", "-sha384"),
    (
        "rsa2048-pss-sha256",
        "-newkey rsa:2048",
        "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
    ),
    (
        "asks-for-ca",
        P256,
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign",
    ),
    (
        "foreign-names",
        P256,
        "-addext subjectAltName=DNS:evil.example,URI:spiffe://other.domain/admin,IP:10.0.0.1",
    ),
    (
        "unknown-extension",
        P256,
        "-addext 1.2.3.4=critical,ASN1:UTF8String:anything",
    ),
    (
        "two-uris",
        P256,
        "-addext subjectAltName=URI:spiffe://cluster.local/a,URI:spiffe://cluster.local/b",
    ),
];

/// File name (the rule it breaks) and what makes it.
const BAD_CSRS: &[(&str, &str, &str)] = &[
    ("sha1", "-newkey rsa:2048", "-sha1"),
    ("rsa1024", "-newkey rsa:1024", ""),
    // Five primes: two of that size take minutes to find.
    (
        "rsa16384",
        "-newkey rsa:16384 -pkeyopt rsa_keygen_primes:5",
        "",
    ),
    ("p521", "-newkey ec -pkeyopt ec_paramgen_curve:P-521", ""),
    ("p224", "-newkey ec -pkeyopt ec_paramgen_curve:P-224", ""),
    ("ed25519", "-newkey ed25519", ""),
    ("p256-sha512", P256, "-sha512"),
    (
        "pss-sha1",
        "-newkey rsa:2048",
        "-sha1 -sigopt rsa_padding_mode:pss",
    ),
];

fn csrs(dir: &Path, table: &[(&str, &str, &str)]) {
    for (name, key, options) in table {
        let subject = if *name == "foreign-names" {
            "/O=evil/CN=admin"
        } else {
            "/"
        };
        shell(
            dir,
            &format!(
                "openssl req -new {key} -nodes -keyout /dev/null -subj '{subject}' {options} -out {name}.pem 2>/dev/null"
            ),
        );
    }
}

/// A good request whose signature's last byte is another one.
fn wrong_signature(dir: &Path, good: &Path) {
    let good = good.display();
    shell(
        dir,
        &format!(
            "openssl req -in {good} -outform DER -out d; last=$(tail -c 1 d | od -An -tu1 | tr -d ' ')
             head -c -1 d > e; printf \"\\\\x$(printf %02x $((last ^ 1)))\" >> e
             openssl req -inform DER -in e -out wrong-signature.pem; rm d e"
        ),
    );
}

fn fresh(dir: &Path) -> std::io::Result<std::path::PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    Ok(dir.to_owned())
}
