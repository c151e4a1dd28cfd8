//! As whom do we look, and whom do we believe?

use std::io;
use std::time::SystemTime;

use ca_client::Svid;
use ca_client::files;
use proto::certificate::Certificate;
use proto::spiffe::TrustDomain;

use super::MtlsCheckError;
use crate::cli::MtlsCheckOptions;
use crate::verify;

/// Our certificate, if there is one, and what is trusted.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) svid: Option<Svid>,
    pub(super) roots: Vec<Certificate>,
    pub(super) trust_domain: Option<TrustDomain>,
}

impl Identity {
    /// Reads what the options name. A certificate that is not valid now is not used: every server would look broken.
    pub(super) fn read(
        options: &MtlsCheckOptions,
        now: SystemTime,
    ) -> Result<Self, MtlsCheckError> {
        let svid = match &options.certs {
            None => None,
            Some(dir) => {
                let dir = dir.clone();
                let Some(svid) = files::stored(&dir)? else {
                    return Err(MtlsCheckError::NoCerts { dir });
                };
                if !svid.is_valid_at(now) {
                    return Err(MtlsCheckError::CertsNotValid {
                        dir,
                        not_before: svid.not_before(),
                        not_after: svid.not_after(),
                    });
                }
                Some(svid)
            }
        };
        let own = svid.as_ref();
        let roots = match &options.roots {
            Some(path) => verify::certificates(path, io::empty())
                .map_err(|source| MtlsCheckError::Roots { source })?,
            None => own.map_or_else(Vec::new, |svid| svid.roots().to_vec()),
        };
        let own_domain = || own.map(|svid| svid.spiffe_id().trust_domain());
        Ok(Self {
            trust_domain: options.trust_domain.clone().or_else(own_domain),
            roots,
            svid,
        })
    }
}
