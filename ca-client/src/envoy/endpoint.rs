//! Where does a sidecar send to? `HOST:PORT`, and whether the host has to be looked up.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host and a port: `127.0.0.1:8080`, `[::1]:8080` or `ratings.bookinfo:9080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// The host without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is an address and no name.
    pub(crate) fn is_ip(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || EndpointError {
            seen: text.to_owned(),
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(address) => {
                address.filter(|address| address.contains(':') && address.parse::<IpAddr>().is_ok())
            }
            None => Some(host).filter(|host| is_name(host)),
        };
        Ok(Self {
            host: host.ok_or_else(refused)?.to_owned(),
            port: port.ok_or_else(refused)?,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The text is not `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{seen}' is not HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or ratings.bookinfo:9080")]
pub(crate) struct EndpointError {
    /// What was given.
    pub(crate) seen: String,
}

/// Whether `text` is a host name by its characters and lengths (RFC 1123 section 2.1), underscores allowed.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.len() <= MAX_NAME_LEN
        && text
            .split('.')
            .all(|label| (1..=MAX_LABEL_LEN).contains(&label.len()) && label.chars().all(allowed))
}

/// RFC 1035 section 2.3.4.
const MAX_NAME_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_a_port() {
        for (text, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080),
            ("[::1]:8080", "::1", 8080),
            ("ratings.bookinfo:9080", "ratings.bookinfo", 9080),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host(), endpoint.port()), (host, port));
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for text in [
            "",
            ":80",
            "host",
            "host:0",
            "host:65536",
            "::1:80",
            "[::1]",
            "[host]:80",
            "a b:80",
            "a..b:80",
            "http://a:80",
            "host:80/x",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }
}
