//! Do the settings fit together? Flags in, checked values out. After this nothing is optional that has a default.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use proto::spiffe::SpiffeId;
use proto::spiffe::SpiffeIdError;
use proto::spiffe::TrustDomain;

use crate::api::listener::Limits;
use crate::attest::issuers;
use crate::attest::issuers::IssuerSettings;
use crate::attest::issuers::IssuersError;
use crate::cli::Serve;
use crate::issuance::policy::SERVER_PATH;
use crate::issuance::profile::Profile;
use crate::issuance::profile::ProfileError;
use crate::x509::LeafName;

/// Settings of `serve` that were checked against each other.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where data lives.
    pub data_dir: PathBuf,
    /// Where an operator's bundle may be.
    pub root_ca_dir: PathBuf,
    /// Of every SPIFFE ID issued.
    pub trust_domain: TrustDomain,
    /// gRPC over TLS.
    pub grpc_addr: SocketAddr,
    /// HTTP.
    pub http_addr: SocketAddr,
    /// The SPIFFE bundle over HTTPS, where it is wanted.
    pub bundle_port: Option<BundlePort>,
    /// Whose JWTs are believed.
    pub issuers: Vec<IssuerSettings>,
    /// Lifetimes of leaves.
    pub profile: Profile,
    /// Who the listener is.
    pub serving_name: LeafName,
    /// What a peer may take.
    pub limits: Limits,
    /// A new root may take a lost one's place.
    pub allow_new_root: bool,
    /// The data directory may have been another trust domain's.
    pub allow_trust_domain_change: bool,
    /// A ledger that does not open may be set aside.
    pub fresh_ledger: bool,
    /// Longest lifetime of a leaf while a rotation is under way.
    pub rotation_ttl: Duration,
    /// How long leaves live that the ledger cannot know.
    pub unrecorded_ttl: Duration,
    /// An operator's bundle is copied to the data directory, with its key.
    pub keeps_copies: bool,
    /// How often the operator's directory is read, whatever is heard of it.
    pub reload_interval: Duration,
    /// The system is asked to tell of changes in the operator's directory.
    pub watches: bool,
}

impl Config {
    /// Checks `options`, and reads the issuers file. `host_name` is one of the default serving names.
    ///
    /// # Errors
    /// Names the flag that is wrong.
    pub fn new(options: &Serve, host_name: Option<String>) -> Result<Self, ConfigError> {
        let trust_domain =
            options
                .trust_domain
                .parse()
                .map_err(|source| ConfigError::TrustDomain {
                    value: options.trust_domain.clone(),
                    source,
                })?;
        refuse_zeros(options)?;
        Ok(Self {
            bundle_port: bundle_port(options, &trust_domain)?,
            data_dir: options.data_dir.clone(),
            root_ca_dir: options.root_ca_dir.clone(),
            trust_domain,
            grpc_addr: options.grpc_addr,
            http_addr: options.http_addr,
            issuers: read_issuers(options)?,
            profile: Profile::new(options.default_ttl, options.max_ttl, options.min_ttl)?,
            serving_name: serving_name(&options.serving_name, host_name)?,
            limits: Limits {
                connections: options.max_connections,
                handshake: options.handshake_timeout,
                request: options.request_timeout,
                drain: options.drain_timeout,
                ..Limits::default()
            },
            allow_new_root: options.allow_new_root,
            allow_trust_domain_change: options.allow_trust_domain_change,
            fresh_ledger: options.fresh_ledger,
            rotation_ttl: options.rotation_ttl,
            unrecorded_ttl: options.unrecorded_ttl,
            keeps_copies: !options.no_key_copy,
            reload_interval: options.reload_interval,
            watches: !options.no_inotify,
        })
    }
}

/// Where the SPIFFE bundle is served over HTTPS, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePort {
    /// Where.
    pub addr: SocketAddr,
    /// Whom its certificate names.
    pub server_id: SpiffeId,
}

/// Why the settings do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The issuers file cannot be read.
    #[error("--issuers {}: {source}", path.display())]
    IssuersFile {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The issuers file is not good.
    #[error("--issuers {}: {source}", path.display())]
    Issuers {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IssuersError,
    },
    /// A serving name is neither a DNS name nor an IP address.
    #[error("--serving-name {name:?} is neither a DNS name nor an IP address")]
    ServingName {
        /// What was given.
        name: String,
    },
    /// The trust domain is not one.
    #[error("--trust-domain {value:?}: {source}")]
    TrustDomain {
        /// What was given.
        value: String,
        /// The rule that it breaks.
        source: SpiffeIdError,
    },
    /// The lifetimes do not fit.
    #[error("--default-ttl, --max-ttl, --min-ttl: {0}")]
    Ttl(#[from] ProfileError),
    /// A limit that nothing passes.
    #[error("{flag} is zero: nothing could pass; times are at least a second, numbers at least 1")]
    Zero {
        /// Which flag.
        flag: &'static str,
    },
}

/// A limit of nothing lets nobody in; it is a slip and not a wish.
fn refuse_zeros(options: &Serve) -> Result<(), ConfigError> {
    let zeros = [
        ("--max-connections", options.max_connections == 0),
        ("--min-ttl", options.min_ttl.as_secs() == 0),
        ("--rotation-ttl", options.rotation_ttl.as_secs() == 0),
        ("--reload-interval", options.reload_interval.is_zero()),
        ("--handshake-timeout", options.handshake_timeout.is_zero()),
        ("--request-timeout", options.request_timeout.is_zero()),
    ];
    match zeros.into_iter().find(|(_, is_zero)| *is_zero) {
        Some((flag, _)) => Err(ConfigError::Zero { flag }),
        None => Ok(()),
    }
}

fn bundle_port(
    options: &Serve,
    trust_domain: &TrustDomain,
) -> Result<Option<BundlePort>, ConfigError> {
    let Some(addr) = options.bundle_addr else {
        return Ok(None);
    };
    let server_id = SpiffeId::new(trust_domain, SERVER_PATH);
    let server_id = server_id.map_err(|source| ConfigError::TrustDomain {
        value: options.trust_domain.clone(),
        source,
    })?;
    Ok(Some(BundlePort { addr, server_id }))
}

fn read_issuers(options: &Serve) -> Result<Vec<IssuerSettings>, ConfigError> {
    let Some(path) = &options.issuers else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::IssuersFile {
        path: path.clone(),
        source,
    })?;
    issuers::parse(&text, &options.token_audiences).map_err(|source| ConfigError::Issuers {
        path: path.clone(),
        source,
    })
}

fn serving_name(given: &[String], host_name: Option<String>) -> Result<LeafName, ConfigError> {
    let mut names: Vec<String> = if given.is_empty() {
        DEFAULT_SERVING_NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .chain(host_name)
            .collect()
    } else {
        given.to_vec()
    };
    names
        .iter_mut()
        .for_each(|name| name.make_ascii_lowercase());
    let (mut dns_names, mut ip_addresses) = (Vec::new(), Vec::new());
    for name in names {
        match name.parse::<IpAddr>() {
            Ok(address) if !ip_addresses.contains(&address) => ip_addresses.push(address),
            Ok(_) => {}
            Err(_) if dns_names.contains(&name) => {}
            Err(_) if is_dns_name(&name) => dns_names.push(name),
            // The machine may be called what no certificate can say; a name that was asked for must be good.
            Err(_) if given.is_empty() => {}
            Err(_) => return Err(ConfigError::ServingName { name }),
        }
    }
    Ok(LeafName::Serving {
        dns_names,
        ip_addresses,
    })
}

/// RFC 1123 section 2.1, in lower case.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

const DEFAULT_SERVING_NAMES: [&str; 4] =
    ["localhost", "127.0.0.1", "::1", "istiod.istio-system.svc"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serving_names_are_sorted_into_dns_names_and_addresses() {
        let given = [
            "CA.example".to_owned(),
            "10.0.0.1".to_owned(),
            "ca.example".to_owned(),
        ];
        let name = serving_name(&given, None).unwrap();
        let expected = LeafName::Serving {
            dns_names: vec!["ca.example".to_owned()],
            ip_addresses: vec!["10.0.0.1".parse().unwrap()],
        };
        assert_eq!(name, expected);
    }

    #[test]
    fn a_name_that_no_certificate_can_carry_is_refused_where_it_was_asked_for() {
        for bad in ["", "a b", "-a", "a..b", "a_b", &"a".repeat(64)] {
            let refused = serving_name(&[bad.to_owned()], None);
            assert!(
                matches!(refused, Err(ConfigError::ServingName { .. })),
                "{bad:?}"
            );
        }
        assert!(serving_name(&[], Some("my_host".to_owned())).is_ok());
    }
}
