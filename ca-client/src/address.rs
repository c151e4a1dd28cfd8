//! Where is the CA? `HOST:PORT`, and the name its certificate must carry.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::ServerName;

/// A host and a port: `ca.example:15012`, `10.0.0.1:15012` or `[::1]:15012`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaAddress {
    host: ServerName<'static>,
    port: u16,
}

impl CaAddress {
    /// The host without brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.to_str().into_owned()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as a name that a certificate can carry.
    #[must_use]
    pub fn server_name(&self) -> &ServerName<'static> {
        &self.host
    }
}

impl FromStr for CaAddress {
    type Err = CaAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || CaAddressError {
            seen: text.to_owned(),
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let bracketed = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        // An IPv6 address without brackets would hide where the port begins.
        if bracketed.is_none() && host.contains(':') {
            return Err(refused());
        }
        let host = ServerName::try_from(bracketed.unwrap_or(host).to_owned())
            .map_err(|_not_a_name| refused())?;
        Ok(Self {
            host,
            port: port.ok_or_else(refused)?,
        })
    }
}

impl fmt::Display for CaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", authority_host(&self.host), self.port)
    }
}

/// The text is not `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{seen}' is not HOST:PORT, such as ca.example:15012 or [::1]:15012")]
pub struct CaAddressError {
    /// What was given.
    pub seen: String,
}

/// `name` as it stands in a URI (RFC 3986 section 3.2.2: IPv6 in brackets).
pub(crate) fn authority_host(name: &ServerName<'_>) -> String {
    match name {
        ServerName::IpAddress(rustls::pki_types::IpAddr::V6(_)) => format!("[{}]", name.to_str()),
        _ => name.to_str().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_both_kinds_of_addresses_read_back_as_written() {
        for text in ["ca.example:15012", "10.0.0.1:15012", "[::1]:15012"] {
            let address: CaAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_host_and_port_is_refused() {
        let bad = [
            "",
            "ca.example",
            ":15012",
            "ca.example:",
            "ca.example:0",
            "ca.example:70000",
            "::1:15012",
            "https://ca.example:15012",
            "a b:1",
        ];
        for text in bad {
            assert!(text.parse::<CaAddress>().is_err(), "{text:?}");
        }
    }
}
