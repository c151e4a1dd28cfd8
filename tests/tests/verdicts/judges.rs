//! Who judges beside Signet? `openssl verify -x509_strict` and rustls-webpki by itself, for the same purposes at the same time.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;
use proto::chain::Profile;
use proto::verdict::Question;
use proto::verdict::Verdict;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use tests::openssl::openssl;
use webpki::EndEntityCert;
use webpki::KeyUsage;

/// A chain, who is trusted, and what the leaf is for.
pub(crate) struct Material {
    pub(crate) chain: Vec<Certificate>,
    pub(crate) roots: Vec<Certificate>,
    pub(crate) profile: Profile,
    pub(crate) at: SystemTime,
}

impl Material {
    pub(crate) fn signet(&self) -> Verdict {
        let domain = "cluster.local".parse().unwrap();
        Question {
            chain: &self.chain,
            roots: &self.roots,
            trust_domain: Some(&domain).filter(|_| self.profile == Profile::X509Svid),
            spiffe_id: None,
            profile: self.profile,
            at: self.at,
        }
        .verdict()
    }

    /// Whether openssl accepts.
    pub(crate) fn openssl(&self) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let pem = |certificates: &[Certificate]| -> String {
            certificates.iter().map(Certificate::to_pem).collect()
        };
        let files = [
            ("leaf.pem", &self.chain[..1]),
            ("rest.pem", &self.chain[1..]),
            ("roots.pem", &self.roots[..]),
        ];
        for (name, certificates) in files {
            std::fs::write(dir.path().join(name), pem(certificates)).unwrap();
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        let at = self.at.duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.for_its_purposes(&["sslserver", "sslclient"], |purpose| {
            let mut command = vec!["verify", "-x509_strict", "-no-CApath", "-no-CAstore"];
            let (roots, rest, leaf) = (path("roots.pem"), path("rest.pem"), path("leaf.pem"));
            let at = at.to_string();
            command.extend(["-attime", &at, "-purpose", purpose, "-CAfile", &roots]);
            if self.chain.len() > 1 {
                command.extend(["-untrusted", &rest]);
            }
            command.push(&leaf);
            openssl(command).ok
        })
    }

    /// Whether webpki accepts.
    pub(crate) fn webpki(&self) -> bool {
        let der = |one: &Certificate| CertificateDer::from(one.der().to_vec());
        let chain: Vec<_> = self.chain.iter().map(der).collect();
        let roots: Vec<_> = self.roots.iter().map(der).collect();
        let anchors: Vec<_> = roots
            .iter()
            .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
            .collect();
        let at = UnixTime::since_unix_epoch(self.at.duration_since(UNIX_EPOCH).unwrap());
        let Ok(leaf) = EndEntityCert::try_from(&chain[0]) else {
            return false;
        };
        let purposes = [KeyUsage::server_auth(), KeyUsage::client_auth()];
        self.for_its_purposes(&purposes, |purpose| {
            let algorithms = webpki::ALL_VERIFICATION_ALGS;
            let rest = &chain[1..];
            leaf.verify_for_usage(algorithms, &anchors, rest, at, *purpose, None, None)
                .is_ok()
        })
    }

    /// An X509-SVID is for both purposes, another leaf for one of them.
    fn for_its_purposes<P>(&self, purposes: &[P; 2], accepts: impl Fn(&P) -> bool) -> bool {
        match self.profile {
            Profile::X509Svid => purposes.iter().all(accepts),
            Profile::Pkix => purposes.iter().any(accepts),
        }
    }
}
