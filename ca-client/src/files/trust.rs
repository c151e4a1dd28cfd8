//! What was the trust bundle of a generation called? `trust-bundle.json` beside its roots, so that number and roots
//! change together. No link leads to it: it is the agent's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use pem::Pem;
use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use serde::Deserialize;
use serde::Serialize;

use super::FileNames;
use super::FilesError;
use super::Generation;
use super::OutputDir;
use super::read;
use crate::bundle::Beyond;
use crate::bundle::Bundle;
use crate::client::Enrolled;

/// The number of the roots, and those of them that must not authenticate the CA.
const TRUST_BUNDLE: &str = "trust-bundle.json";

#[derive(Debug, Default, Deserialize, Serialize)]
struct Numbered {
    #[serde(default)]
    number: Option<u64>,
    #[serde(default)]
    distrusted: Vec<String>,
    /// What was told beside the roots.
    #[serde(default)]
    beyond: Option<Stored>,
    /// The number that this came with.
    #[serde(default)]
    told: Option<u64>,
}

/// Roots of other trust domains and revocation lists, PEM.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Stored {
    #[serde(default)]
    others: BTreeMap<String, String>,
    #[serde(default)]
    crls: Vec<String>,
}

impl Stored {
    fn of(beyond: &Beyond) -> Self {
        let pem = |roots: &Vec<Certificate>| roots.iter().map(Certificate::to_pem).collect();
        let crl = |der: &Vec<u8>| pem::encode(&Pem::new(CRL, der.as_slice()));
        Self {
            others: beyond
                .others
                .iter()
                .map(|(name, roots)| (name.clone(), pem(roots)))
                .collect(),
            crls: beyond.crls.iter().map(crl).collect(),
        }
    }

    /// What cannot be read is learned anew from the CA.
    fn read(self) -> Beyond {
        let roots = |(name, pem): (String, String)| {
            let roots = Certificate::all_from_pem(pem.as_bytes()).ok()?;
            Some((name, roots))
        };
        let crl = |text: String| pem::parse(text).ok().map(Pem::into_contents);
        Beyond {
            others: self.others.into_iter().filter_map(roots).collect(),
            crls: self.crls.into_iter().filter_map(crl).collect(),
        }
    }
}

const CRL: &str = "X509 CRL";

impl OutputDir {
    /// Writes what the roots of one generation are called.
    pub(super) fn number(
        &self,
        generation: &Generation,
        bundle: Option<&Bundle>,
    ) -> Result<(), FilesError> {
        match bundle.and_then(content) {
            Some(text) => {
                let access = self.options.of_certificates();
                generation.put(TRUST_BUNDLE, text.as_bytes(), access)
            }
            None => Ok(()),
        }
    }

    /// As [`Self::write`], with the number of the roots where the CA told it, for an agent that takes over.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_enrolled(&self, enrolled: &Enrolled, now: SystemTime) -> Result<(), FilesError> {
        let svid = &enrolled.svid;
        let before = stored_bundle(&self.dir).ok().flatten();
        let bundle = Bundle::new(enrolled.bundle, svid.roots().to_vec())
            .distrusting(before.iter().flat_map(Bundle::distrusted))
            .beside_as_in(before.as_ref());
        self.write_with(svid, Some(&bundle), now)
    }
}

/// The content of the file; `None` where there is nothing to tell.
fn content(bundle: &Bundle) -> Option<String> {
    let numbered = Numbered {
        number: bundle.number(),
        distrusted: bundle
            .distrusted()
            .iter()
            .map(Fingerprint::to_string)
            .collect(),
        beyond: bundle.beyond().map(|beyond| Stored::of(beyond)),
        told: bundle.age().told,
    };
    let is_empty =
        numbered.number.is_none() && numbered.distrusted.is_empty() && numbered.beyond.is_none();
    let text = serde_json::to_string(&numbered).ok()?;
    (!is_empty).then_some(text)
}

/// The trust bundle that an earlier run wrote to `dir`, with its number where it had one; `None` if there was
/// no such run.
///
/// # Errors
/// When the roots are there but cannot be read.
pub(crate) fn stored_bundle(dir: &Path) -> Result<Option<Bundle>, FilesError> {
    let found = read::of_current(dir, |generation| {
        let roots = generation.join(FileNames::of(generation).roots());
        let numbered = std::fs::read(generation.join(TRUST_BUNDLE)).ok();
        Ok((read::read(&roots)?, numbered))
    })?;
    let Some((pem, numbered)) = found else {
        return Ok(None);
    };
    let roots = Certificate::all_from_pem(&pem).map_err(|source| FilesError::Certificates {
        path: dir.join(super::ROOT_CERT),
        source,
    })?;
    let numbered = numbered.map_or_else(Numbered::default, |json| understood(&json, dir));
    let distrusted: Vec<Fingerprint> = numbered
        .distrusted
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let bundle = Bundle::new(numbered.number, roots).distrusting(&distrusted);
    Ok(Some(match numbered.beyond {
        Some(stored) => bundle.telling(numbered.told, Arc::new(stored.read())),
        None => bundle,
    }))
}

/// A number that cannot be read is learned anew from the CA.
fn understood(json: &[u8], dir: &Path) -> Numbered {
    serde_json::from_slice(json).unwrap_or_else(|error| {
        tracing::warn!(dir = %dir.display(), %error, "the number of the trust bundle is lost; it is learned anew");
        Numbered::default()
    })
}
