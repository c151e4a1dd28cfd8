//! How is a CA bundle looked at, made, or taken over from a corporate CA? `bundle …`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::Subcommand;

use super::Output;

/// `bundle …`
#[derive(Debug, Subcommand)]
pub enum Bundle {
    /// Would this bundle work? Names file, rule, what was seen and the fix for each finding.
    ///
    /// Runs the checks of server start, signs a trial leaf and verifies it with rustls-webpki.
    /// Exit status: 0 good, 3 warnings, 4 errors.
    Check(BundleCheck),
    /// Make an offline root, an issuing CA for one cluster, or a request to a corporate CA.
    ///
    /// Each makes one new directory, whole or not at all, and never touches one that has something in it.
    #[command(subcommand, after_help = CREATE_EXAMPLES)]
    Create(BundleCreate),
    /// Make a bundle of what a corporate CA answered to `bundle create csr`.
    ///
    /// Finds the certificate for the request's key, sorts the chain, and checks all as `bundle check` does; what would
    /// not work is not put in place. The key in the request's directory stays: delete it when the bundle is in use.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(BundleImport),
}

/// `bundle check DIR`
#[derive(Debug, Args)]
pub struct BundleCheck {
    /// Directory with ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem, or tls.crt, tls.key and ca.crt.
    pub dir: PathBuf,
    /// How to print the findings.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `bundle create …`
#[derive(Debug, Subcommand)]
pub enum BundleCreate {
    /// Make an offline root: root-cert.pem, and root-key.pem with mode 0600.
    ///
    /// Run it on a machine that you can lock away: `create issuer` is all that ever needs the key.
    #[command(after_help = ROOT_EXAMPLES)]
    Root(CreateRoot),
    /// Make an issuing CA for one cluster under an offline root: the four files that `serve --root-ca-dir` wants.
    ///
    /// They are checked as `bundle check` does before they are put in place. One issuing CA for each cluster, all
    /// under one root: the clusters trust each other, and one of them can be replaced alone.
    #[command(after_help = ISSUER_EXAMPLES)]
    Issuer(CreateIssuer),
    /// Make a key and a request for an issuing CA, for a corporate CA to sign: ca.csr, and ca-key.pem with mode 0600.
    ///
    /// Asks for CA:TRUE, pathlen 0, keyCertSign and cRLSign, and prints what the corporate CA must set.
    #[command(after_help = CSR_EXAMPLES)]
    Csr(CreateCsr),
}

/// `bundle create root`
#[derive(Debug, Args)]
pub struct CreateRoot {
    /// Directory to make; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// p256 or p384. For rsa, the answer is how openssl makes it.
    #[arg(long, value_name = "KIND", default_value = "p256", value_parser = root_key_type)]
    pub key_type: KeyType,
    /// How long it lives, such as 3650d.
    #[arg(long, value_name = "DURATION", default_value = "3650d", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// Who it belongs to; its issuing CAs take this over.
    #[arg(long, value_name = "NAME")]
    pub organization: Option<String>,
    /// Its name, to which eight digits are added: no two roots share a subject.
    #[arg(long, value_name = "NAME", default_value = "Signet Root CA")]
    pub common_name: String,
    /// How to print what was made.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `bundle create issuer`
#[derive(Debug, Args)]
pub struct CreateIssuer {
    /// Directory with root-cert.pem and root-key.pem (also one made by openssl, with an RSA key too).
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Directory to make; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The cluster; the common name is `NAME Issuing CA` and eight digits.
    #[arg(long, value_name = "CLUSTER")]
    pub name: String,
    /// How long it lives, such as 365d; a year, or what the root has left, unless told otherwise.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub ttl: Option<Duration>,
    /// p256 or p384. For rsa, the answer is how openssl makes it.
    #[arg(long, value_name = "KIND", default_value = "p256", value_parser = issuer_key_type)]
    pub key_type: KeyType,
    /// Trust domain whose ID the CA certificate carries, as X509-SVID recommends; none unless told.
    #[arg(long, value_name = "NAME")]
    pub trust_domain: Option<String>,
    /// How to print what was made.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `bundle create csr`
#[derive(Debug, Args)]
pub struct CreateCsr {
    /// Directory to make; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The name to ask for.
    #[arg(long, value_name = "NAME")]
    pub common_name: String,
    /// The organization to ask for.
    #[arg(long, value_name = "NAME")]
    pub organization: Option<String>,
    /// p256 or p384. For rsa, the answer is how openssl makes it.
    #[arg(long, value_name = "KIND", default_value = "p256", value_parser = csr_key_type)]
    pub key_type: KeyType,
    /// How to print what was made.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `bundle import`
#[derive(Debug, Args)]
pub struct BundleImport {
    /// Directory that `bundle create csr` made; its ca-key.pem is what the certificate must belong to.
    #[arg(long, value_name = "DIR")]
    pub csr_dir: PathBuf,
    /// What the corporate CA handed out, PEM or DER; it may hold the chain too.
    #[arg(long, value_name = "FILE")]
    pub certificate: PathBuf,
    /// The CAs between the certificate and the root, PEM or DER, in any order.
    #[arg(long, value_name = "FILE")]
    pub chain: Option<PathBuf>,
    /// The root, or all roots that are to be trusted.
    #[arg(long, value_name = "FILE")]
    pub roots: PathBuf,
    /// Directory to make; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How to print what was made.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// A kind of key that `bundle create` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
}

fn root_key_type(text: &str) -> Result<KeyType, String> {
    key_type(text, RSA_ROOT)
}

fn issuer_key_type(text: &str) -> Result<KeyType, String> {
    key_type(text, RSA_ISSUER)
}

fn csr_key_type(text: &str) -> Result<KeyType, String> {
    key_type(text, RSA_CSR)
}

/// ring signs with RSA keys and makes none, so that those come from openssl.
fn key_type(text: &str, with_rsa: &str) -> Result<KeyType, String> {
    match text.to_ascii_lowercase().replace('-', "").as_str() {
        "p256" => Ok(KeyType::P256),
        "p384" => Ok(KeyType::P384),
        rsa if rsa.starts_with("rsa") => Err(format!(
            "expected p256 or p384; RSA keys are used here but not made, openssl makes them:\n{with_rsa}"
        )),
        _ => Err("expected p256 or p384".to_owned()),
    }
}

const RSA_ROOT: &str = r#"  mkdir -m 700 DIR
  openssl req -x509 -newkey rsa:4096 -sha256 -nodes -days 3650 -subj "/CN=NAME" -addext keyUsage=critical,keyCertSign,cRLSign -keyout DIR/root-key.pem -out DIR/root-cert.pem
`bundle create issuer --root DIR` takes it from there"#;

const RSA_ISSUER: &str = r#"  mkdir -m 700 DIR
  openssl req -new -newkey rsa:3072 -sha256 -nodes -subj "/CN=CLUSTER Issuing CA" -keyout DIR/ca-key.pem -out DIR/ca.csr
  printf "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n" > DIR/extensions
  openssl x509 -req -in DIR/ca.csr -CA ROOT/root-cert.pem -CAkey ROOT/root-key.pem -CAcreateserial -sha256 -days 365 -extfile DIR/extensions -out DIR/answer.pem
`bundle import --csr-dir DIR --certificate DIR/answer.pem --roots ROOT/root-cert.pem` takes it from there"#;

const RSA_CSR: &str = r#"  mkdir -m 700 DIR
  openssl req -new -newkey rsa:3072 -sha256 -nodes -subj "/CN=NAME" -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign -keyout DIR/ca-key.pem -out DIR/ca.csr
`bundle import --csr-dir DIR` takes it from there"#;

const CREATE_EXAMPLES: &str = "\
Two ways to a CA to plug in. Your own root, on a machine that you can lock away:
  ca-server bundle create root --out mesh-root --organization Acme
  ca-server bundle create issuer --root mesh-root --name east --out east
Or under a corporate CA:
  ca-server bundle create csr --common-name 'Mesh Issuing CA' --out request
  ca-server bundle import --csr-dir request --certificate answer.pem --roots root.pem --out east
Then, either way:
  ca-server serve --root-ca-dir east";

const ROOT_EXAMPLES: &str = "\
Example:
  ca-server bundle create root --out mesh-root --organization Acme --common-name 'Acme Mesh Root' --key-type p384
      then `ca-server bundle create issuer --root mesh-root …` for each cluster, and lock root-key.pem away";

const ISSUER_EXAMPLES: &str = "\
Example:
  ca-server bundle create issuer --root mesh-root --name east --out east
  ca-server serve --root-ca-dir east
      or, for istiod: kubectl create secret generic cacerts --namespace istio-system --from-file=east";

const CSR_EXAMPLES: &str = "\
Example:
  ca-server bundle create csr --common-name 'Mesh Issuing CA' --organization Acme --out request
      send request/ca.csr with the list that is printed; `ca-server bundle import` takes the answer";

const IMPORT_EXAMPLES: &str = "\
Example:
  ca-server bundle import --csr-dir request --certificate answer.pem --chain intermediates.pem --roots root.pem --out east
  ca-server serve --root-ca-dir east";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_key_is_read_and_rsa_is_answered_with_a_command() {
        for (text, kind) in [("p256", KeyType::P256), ("P-384", KeyType::P384)] {
            assert_eq!(csr_key_type(text), Ok(kind));
        }
        for parse in [root_key_type, issuer_key_type, csr_key_type] {
            let said = parse("rsa2048").unwrap_err();
            assert!(
                said.contains("openssl req") && said.contains("rsa:"),
                "{said}"
            );
            assert!(!parse("ed25519").unwrap_err().contains("openssl"));
        }
    }
}
