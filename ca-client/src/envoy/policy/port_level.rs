//! What does a rule say for one port of a service? Settings of a port stand in for those of the whole host.

use super::destination_rule::ClientTls;
use super::destination_rule::DestinationRule;
use super::refusal::Place;

/// What a rule has for one port.
#[derive(Clone, Debug)]
pub(crate) struct PortLevel {
    /// The service's, which need not be the workload's.
    pub(crate) port: u16,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) place: Place,
}

impl PortLevel {
    fn answer(&self) -> Answer<'_> {
        Answer {
            place: &self.place,
            tls: self.tls.as_ref(),
        }
    }
}

/// What a rule says, where it says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) place: &'a Place,
    pub(super) tls: Option<&'a ClientTls>,
}

impl Answer<'_> {
    /// Whether callers do the same by `other`.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        match (self.tls, other.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                one.mode == other.mode
                    && one.sni == other.sni
                    && one.names == other.names
                    && one.not_honoured.is_empty()
                    && other.not_honoured.is_empty()
            }
            _ => false,
        }
    }
}

impl DestinationRule {
    /// What it says for a port of the service: one answer, or all that it has where the port is not known.
    pub(super) fn answers(&self, port: Option<u16>) -> Vec<Answer<'_>> {
        let of_host = Answer {
            place: &self.place,
            tls: self.tls.as_ref(),
        };
        match port {
            None => [of_host]
                .into_iter()
                .chain(self.ports.iter().map(PortLevel::answer))
                .collect(),
            Some(port) => {
                let level = self.ports.iter().find(|level| level.port == port);
                vec![level.map_or(of_host, PortLevel::answer)]
            }
        }
    }
}
