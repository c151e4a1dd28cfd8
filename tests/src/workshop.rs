//! Where openssl makes CAs that are not like others, and a server that looks at them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::ca::Setup;
use crate::ca::TestCa;
use crate::openssl::shell;

/// A workshop of CAs made by openssl, and the directory where the CA looks.
#[derive(Debug)]
pub struct Workshop {
    dir: TempDir,
}

impl Workshop {
    /// With empty shelves.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("cacerts")).unwrap();
        fs::write(dir.path().join("lib"), LIBRARY).unwrap();
        Self { dir }
    }

    /// Runs shell with `root NAME SUBJECT`, `again ROOT NAME`, `issuer NAME ROOT`, `crl CA` and `put ISSUER ROOT MORE` at
    /// hand.
    pub fn run(&self, script: &str) {
        shell(self.dir.path(), &format!("source ./lib; {script}"));
    }

    /// Where the file `name` is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What it holds.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A server on what was put.
    #[must_use]
    pub fn start(&self) -> TestCa {
        self.start_on(None)
    }

    /// As [`Self::start`], with a data directory that outlives it.
    #[must_use]
    pub fn start_on(&self, data_dir: Option<&Path>) -> TestCa {
        let flags = [
            "--min-ttl=1s",
            "--default-ttl=8s",
            "--max-ttl=20s",
            "--unrecorded-ttl=1s",
            "--reload-interval=200ms",
        ];
        TestCa::start_with(Setup {
            root_ca_dir: Some(self.path("cacerts")),
            flags: flags.map(str::to_owned).to_vec(),
            data_dir: data_dir.map(Path::to_owned),
            ..Setup::default()
        })
    }
}

impl Default for Workshop {
    fn default() -> Self {
        Self::new()
    }
}

const LIBRARY: &str = r#"
EXT='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n'
BARE='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n'
ext() { printf "${EXTENSIONS:-$EXT}" > ext; }
req() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key 2>/dev/null || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; openssl req -new -key $1.key -subj "/CN=$2" -out $1.csr; }
# CA certificates sign once they have been valid for two minutes; older than an hour, they may have signed elsewhere.
SINCE=$(date -u -d '-30 min' +%Y%m%d%H%M%SZ)
printf '[ca]\ndefault_ca=c\n[c]\ndatabase=index\nrand_serial=yes\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' > ca.cnf
touch index
ca() { ext; openssl ca -batch -config ca.cnf -extfile ext -notext "$@" 2>/dev/null; }
root() { req $1 $2; ca -selfsign -keyfile $1.key -in $1.csr -startdate $SINCE -days 3650 -out $1.pem; }
sign() { ca -cert $3.pem -keyfile $3.key -in $2.csr -startdate $SINCE -days 3000 -out $1.pem; }
# The same root with other dates.
again() { cp $1.key $2.key; ca -selfsign -keyfile $1.key -in $1.csr -startdate $SINCE -days 5000 -out $2.pem; }
issuer() { req $1 $1; sign $1 $1 $2; }
crl() {
  printf "[ca]\ndefault_ca=c\n[c]\ndatabase=$1.index\ndefault_md=sha256\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid:always\n" > $1.cnf
  touch $1.index
  openssl ca -config $1.cnf -cert $1.pem -keyfile $1.key -gencrl ${2:--crldays 30} -out $1.crl 2>/dev/null
}
put() { cp $1.pem cacerts/ca-cert.pem; cp $1.key cacerts/ca-key.pem; chmod 600 cacerts/ca-key.pem; cp $2.pem cacerts/root-cert.pem; cat $1.pem ${3:-} > cacerts/cert-chain.pem; }
"#;
