//! How does a person write a way out? `LISTEN=PEER`, and what is to be said of the peer behind commas.

use std::net::SocketAddr;
use std::str::FromStr;

use super::endpoint::Endpoint;
use super::endpoint::is_name;
use super::peer::Peer;
use super::sidecar::Protocol;

/// One `--outbound`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutboundWish {
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Endpoint,
    /// Who the peer must be; none if a rule is to say.
    pub(crate) peers: Vec<Peer>,
    /// The name that rules know it by, if it is not the host's.
    pub(crate) service: Option<String>,
    /// The port that rules know it by.
    pub(crate) service_port: Option<u16>,
    pub(crate) mtls: Option<bool>,
    pub(crate) protocol: Option<Protocol>,
}

impl FromStr for OutboundWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = "expected LISTEN=PEER, such as 127.0.0.1:9080=ratings:9080,spiffe://…";
        let (listen, rest) = text.split_once('=').ok_or_else(|| shape.to_owned())?;
        let mut parts = rest.split(',');
        let upstream = parts.next().unwrap_or_default();
        let mut wish = Self {
            listen: listen
                .parse()
                .map_err(|error| format!("{listen:?} is not IP:PORT: {error}"))?,
            upstream: upstream
                .parse()
                .map_err(|error: super::endpoint::EndpointError| error.to_string())?,
            peers: Vec::new(),
            service: None,
            service_port: None,
            mtls: None,
            protocol: None,
        };
        for part in parts {
            wish.add(part)?;
        }
        match wish.mtls == Some(false) && !wish.peers.is_empty() {
            true => Err("in plain text nobody proves a SPIFFE ID: drop it, or mtls=off".to_owned()),
            false => Ok(wish),
        }
    }
}

impl OutboundWish {
    fn add(&mut self, part: &str) -> Result<(), String> {
        if part.starts_with("spiffe://") {
            let peer = part.parse().map_err(|error| format!("{part:?}: {error}"))?;
            self.peers.push(peer);
            return Ok(());
        }
        match part.split_once('=') {
            Some(("service", name)) if is_name(name) => self.service = Some(name.to_owned()),
            Some(("port", text)) => self.service_port = Some(port(text)?),
            Some(("mtls", "on")) => self.mtls = Some(true),
            Some(("mtls", "off")) => self.mtls = Some(false),
            Some(("protocol", "http")) => self.protocol = Some(Protocol::Http),
            Some(("protocol", "http2")) => self.protocol = Some(Protocol::Http2),
            Some(("protocol", "tcp")) => self.protocol = Some(Protocol::Tcp),
            _ => {
                let known =
                    "spiffe://…, service=HOST, port=N, mtls=on|off or protocol=http|http2|tcp";
                return Err(format!("expected {known}, not {part:?}"));
            }
        }
        Ok(())
    }
}

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| format!("expected a port from 1 to 65535, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_names_its_peer() {
        let text = "127.0.0.1:9080=ratings.bookinfo:15006,spiffe://td/a,spiffe://td/b/*,service=ratings,port=9080,mtls=on,protocol=tcp";
        let wish: OutboundWish = text.parse().unwrap();
        assert_eq!(wish.upstream.to_string(), "ratings.bookinfo:15006");
        assert_eq!((wish.peers.len(), wish.mtls), (2, Some(true)));
        assert_eq!(wish.service.as_deref(), Some("ratings"));
        assert_eq!(wish.service_port, Some(9080));
        assert_eq!(wish.protocol, Some(Protocol::Tcp));
    }

    #[test]
    fn what_is_no_way_out_is_refused() {
        for text in [
            "",
            "127.0.0.1:1",
            "localhost:1=a:2",
            "127.0.0.1:1=a",
            "127.0.0.1:1=a:2,",
            "127.0.0.1:1=a:2,mtls=maybe",
            "127.0.0.1:1=a:2,service=",
            "127.0.0.1:1=a:2,port=0",
            "127.0.0.1:1=a:2,port=http",
            "127.0.0.1:1=a:2,spiffe://TD/a",
            "127.0.0.1:1=a:2,spiffe://td/a,mtls=off",
        ] {
            assert!(text.parse::<OutboundWish>().is_err(), "{text:?}");
        }
    }
}
