//! Do the files for Java and others belong to the set that they are in? Judged by openssl and by the PEM files beside them.

use std::collections::BTreeSet;
use std::path::Path;

use pem::Pem;

use crate::openssl::openssl;
use crate::workload::judge;

/// Opens `..data` once, and looks at the stores there (under `password`) and the chain without root.
/// The number of roots.
///
/// # Errors
/// What is missing, does not open, or does not fit together.
pub fn look_at_stores(out: &Path, password: &str) -> Result<usize, String> {
    let generation = std::fs::read_link(out.join("..data")).map_err(|error| error.to_string())?;
    let generation = out.join(generation);
    let pems = |name: &str| {
        let text = std::fs::read(generation.join(name)).map_err(|error| format!("{name}: {error}"));
        Ok::<_, String>(certificates(&text?))
    };
    let opened = |name: &str| {
        let (path, password) = (generation.join(name), format!("pass:{password}"));
        let said = openssl(
            ["pkcs12", "-noenc", "-passin", &password, "-in"]
                .map(str::to_owned)
                .into_iter()
                .chain([path.display().to_string()]),
        );
        said.ok
            .then_some(said.text.clone())
            .ok_or_else(|| format!("{name}: {}", said.text))
    };
    let (chain, roots) = (pems("cert-chain.pem")?, pems("root-cert.pem")?);
    let (key_store, trust_store) = (opened("keystore.p12")?, opened("truststore.p12")?);
    let presented = certificates(key_store.as_bytes());
    if presented != pems("chain-without-root.pem")? || !chain.starts_with(&presented) {
        return Err("the chain in the key store is another one".to_owned());
    }
    let trusted = certificates(trust_store.as_bytes());
    let set = |list: &[Vec<u8>]| list.iter().cloned().collect::<BTreeSet<_>>();
    if set(&trusted) != set(&roots) {
        return Err("the roots in the trust store are others".to_owned());
    }
    if chain.len() != presented.len() + 1 || presented.iter().any(|it| roots.contains(it)) {
        return Err("the chain without root has one, or lacks more".to_owned());
    }
    let whole: String = chain.iter().map(|der| encoded(der)).collect();
    let roots: String = trusted.iter().map(|der| encoded(der)).collect();
    let key = key_store
        .find("-----BEGIN PRIVATE KEY")
        .and_then(|at| key_store.get(at..));
    let key = key
        .and_then(|text| pem::parse(text).ok())
        .ok_or("no key in the key store")?;
    judge(
        whole.as_bytes(),
        pem::encode(&key).as_bytes(),
        roots.as_bytes(),
    )?;
    Ok(trusted.len())
}

/// Every certificate in a text that may have other things in it.
fn certificates(text: &[u8]) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    let certificates = blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE");
    certificates.map(Pem::into_contents).collect()
}

fn encoded(der: &[u8]) -> String {
    pem::encode(&Pem::new("CERTIFICATE", der))
}
