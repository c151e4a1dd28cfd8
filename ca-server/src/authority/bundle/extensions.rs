//! Which rules do the extensions of a CA certificate keep? (RFC 5280 section 4.2)

use proto::certificate::Certificate;
use proto::certificate::OID_CLIENT_AUTH;
use proto::certificate::OID_SERVER_AUTH;

use super::Finding;
use super::rules::Subject;

impl Subject<'_> {
    /// Judges all extensions.
    pub(super) fn judge_extensions(&self) -> impl Iterator<Item = Finding> {
        let rules = [
            self.is_ca(),
            self.key_cert_sign(),
            self.path_length(),
            self.unknown_critical_extension(),
            self.critical_policy(),
            self.name_constraints(),
            self.extended_key_usage(),
            self.subject_key_id(),
            self.authority_key_id(),
        ];
        rules.into_iter().flatten()
    }

    fn is_ca(&self) -> Option<Finding> {
        (!self.certificate.is_ca()).then(|| {
            self.error(
                "is-ca",
                "is not a CA: its basicConstraints do not say CA:TRUE",
                "a leaf or a server certificate cannot sign: have a subordinate CA certificate issued",
            )
        })
    }

    fn key_cert_sign(&self) -> Option<Finding> {
        match self.certificate.facts().key_usage {
            Some(usage) if usage.key_cert_sign => None,
            Some(_) => Some(self.error(
                "key-cert-sign",
                "has a keyUsage without keyCertSign",
                "have it issued with keyUsage keyCertSign and cRLSign",
            )),
            None => Some(self.warning(
                "has-key-usage",
                "has no keyUsage, which RFC 5280 section 4.2.1.3 asks of CAs",
                "have it issued with keyUsage keyCertSign and cRLSign at its next renewal",
            )),
        }
    }

    fn path_length(&self) -> Option<Finding> {
        let allowed = self.certificate.facts().basic_constraints?.path_len?;
        (allowed < self.cas_below).then(|| {
            self.error(
                "path-length",
                &format!(
                    "allows {allowed} CAs below it, there are {}",
                    self.cas_below
                ),
                "have it issued with a greater pathLen, or the issuing CA directly below it",
            )
        })
    }

    fn unknown_critical_extension(&self) -> Option<Finding> {
        let mut extensions = self.certificate.facts().extensions.iter();
        let unknown = extensions.find(|extension| {
            extension.critical && !KNOWN_EXTENSIONS.contains(&extension.oid.as_str())
        })?;
        Some(self.error(
            "unknown-critical-extension",
            &format!(
                "has the critical extension {}, which no verifier here knows",
                unknown.oid
            ),
            "have it issued without it, or not critical (RFC 5280 section 4.2)",
        ))
    }

    fn critical_policy(&self) -> Option<Finding> {
        let oid = critical_policy(self.certificate)?;
        Some(self.warning(
            "critical-policy-extension",
            &format!("has the critical policy extension {oid}"),
            "have it issued without it: rustls-based peers refuse it below a root",
        ))
    }

    fn name_constraints(&self) -> Option<Finding> {
        self.certificate.facts().has_name_constraints.then(|| {
            self.warning(
                "name-constraints",
                "has name constraints",
                "make sure that they permit spiffe:// URIs of the trust domain; rustls-based peers refuse constraints on URIs and directory names whatever they permit",
            )
        })
    }

    fn extended_key_usage(&self) -> Option<Finding> {
        let usages = self.certificate.facts().extended_key_usage.as_ref()?;
        let has = |wanted: &str| usages.iter().any(|usage| usage == wanted);
        if has(OID_SERVER_AUTH) && has(OID_CLIENT_AUTH) {
            return None;
        }
        let rule = "extended-key-usage";
        let seen = "has an extendedKeyUsage without both serverAuth and clientAuth";
        let fix =
            "have it issued with both or without the extension: peers apply it to everything below";
        // Nobody applies that of a root to what is below it.
        Some(match self.is_root {
            true => self.warning(rule, seen, fix),
            false => self.error(rule, seen, fix),
        })
    }

    fn subject_key_id(&self) -> Option<Finding> {
        self.certificate.facts().subject_key_id.is_none().then(|| {
            self.warning(
                "has-subject-key-id",
                "has no subjectKeyIdentifier, which RFC 5280 section 4.2.1.2 asks of CAs",
                "have it issued with one at its next renewal; until then leaves refer to the SHA-1 of its key",
            )
        })
    }

    fn authority_key_id(&self) -> Option<Finding> {
        let absent = self.certificate.facts().authority_key_id.is_none();
        (absent && !self.is_root).then(|| {
            self.warning(
                "has-authority-key-id",
                "has no authorityKeyIdentifier, which RFC 5280 section 4.2.1.1 asks for",
                "have it issued with one at its next renewal",
            )
        })
    }
}

/// Extensions that verifiers may meet as critical and refuse although they know them.
pub(super) fn critical_policy(certificate: &Certificate) -> Option<&str> {
    let mut extensions = certificate.facts().extensions.iter();
    extensions
        .find(|extension| extension.critical && POLICY_EXTENSIONS.contains(&extension.oid.as_str()))
        .map(|extension| extension.oid.as_str())
}

/// certificatePolicies, policyMappings, policyConstraints, inhibitAnyPolicy (RFC 5280 section 4.2.1).
const POLICY_EXTENSIONS: &[&str] = &["2.5.29.32", "2.5.29.33", "2.5.29.36", "2.5.29.54"];

/// Extensions of RFC 5280 section 4.2 that verifiers process.
const KNOWN_EXTENSIONS: &[&str] = &[
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.18",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.35",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
];
