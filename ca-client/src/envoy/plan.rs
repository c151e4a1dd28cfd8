//! How do flags and policies become one sidecar?

use std::net::SocketAddr;

use super::EnvoyError;
use super::OutboundWish;
use super::Peer;
use super::error::MAX_SOCKET_PATH;
use super::input;
use super::policy::Destination;
use super::policy::Mesh;
use super::policy::Policies;
use super::policy::Workload;
use super::sidecar::Inbound;
use super::sidecar::Mode;
use super::sidecar::Outbound;
use super::sidecar::Secrets;
use super::sidecar::Security;
use super::sidecar::Sidecar;
use super::whole_path::WholePath;
use crate::cli::EnvoyOptions;
use crate::cli::PolicyOptions;

/// The sidecar, and what a person should know of how it came about.
pub(super) fn sidecar(options: &EnvoyOptions) -> Result<(Sidecar, Vec<String>), EnvoyError> {
    distinct_listeners(options)?;
    if let Some(flag) = options
        .policy
        .flag()
        .filter(|_| options.policy.policies.is_empty())
    {
        return Err(EnvoyError::WithoutPolicies { flag });
    }
    let mut planner = Planner::new(options)?;
    let sidecar = Sidecar {
        node: options.node.clone(),
        inbound: planner.inbound()?,
        outbound: options
            .outbound
            .iter()
            .map(|wish| planner.outbound(wish))
            .collect::<Result<_, _>>()?,
        secrets: secrets(options)?,
        max_connection_duration: options.max_connection_duration,
        admin: options.admin,
    };
    Ok((sidecar, planner.notes))
}

struct Planner<'a> {
    options: &'a EnvoyOptions,
    policies: Option<Policies>,
    workload: Workload,
    notes: Vec<String>,
}

impl<'a> Planner<'a> {
    fn new(options: &'a EnvoyOptions) -> Result<Self, EnvoyError> {
        let asked = &options.policy;
        let policies = match asked.policies.is_empty() {
            true => None,
            false => Some(Policies::read(&input::read(&asked.policies)?, mesh(asked))?),
        };
        let known = policies.as_ref().map(|policies| policies.notes.clone());
        let ports = asked.port.map_or_else(
            || {
                let upstream = options.upstream.as_ref().map(|upstream| upstream.port());
                let listen = options.listen.map(|listen| listen.port());
                upstream.into_iter().chain(listen).collect()
            },
            |port| vec![port],
        );
        Ok(Self {
            options,
            policies,
            workload: Workload {
                namespace: namespace(asked),
                labels: asked.labels.clone(),
                service: asked.service.clone(),
                ports,
                service_port: asked.service_port,
            },
            notes: known.unwrap_or_default(),
        })
    }

    fn inbound(&mut self) -> Result<Option<Inbound>, EnvoyError> {
        let options = self.options;
        let (Some(listen), Some(upstream)) = (options.listen, options.upstream.clone()) else {
            return Ok(None);
        };
        let mode = match (&self.policies, options.mtls) {
            (Some(policies), _) => {
                let decision = policies.inbound(&self.workload)?;
                policies.check_callers(&self.workload, &decision)?;
                let (mode, because) = (decision.value, decision.because);
                self.notes
                    .push(format!("inbound {listen}: {mode}: {because}"));
                mode
            }
            (None, Some(mode)) => mode.into(),
            // The command line asks for one of the two.
            (None, None) => Mode::Strict,
        };
        let mut callers = options.allow.clone();
        if callers.is_empty() {
            callers.extend(Peer::any_of(&options.trust_domain));
        } else if mode != Mode::Strict {
            let whom = "--allow holds for callers over mutual TLS; those in plain text are let in";
            self.notes.push(format!("inbound {listen}: {mode}: {whom}"));
        }
        Ok(Some(Inbound {
            mode,
            listen,
            upstream,
            protocol: options.protocol.into(),
            callers,
        }))
    }

    fn outbound(&mut self, wish: &OutboundWish) -> Result<Outbound, EnvoyError> {
        let to = Destination {
            host: wish
                .service
                .as_deref()
                .unwrap_or_else(|| wish.upstream.host()),
            service_port: wish.service_port,
            peers: &wish.peers,
            mtls: wish.mtls,
        };
        let security = match &self.policies {
            Some(policies) => {
                let decision = policies.outbound(&self.workload, &to)?;
                let how = match decision.value {
                    Security::Plain => "plain text",
                    Security::Mutual { .. } => "mutual TLS",
                };
                let (listen, because) = (wish.listen, decision.because);
                self.notes
                    .push(format!("outbound {listen}: {how}: {because}"));
                decision.value
            }
            None if wish.mtls == Some(false) => Security::Plain,
            None => Security::Mutual {
                peers: wish.peers.clone(),
                sni: None,
            },
        };
        match &security {
            Security::Mutual { peers, .. } if peers.is_empty() => Err(EnvoyError::NoPeer {
                upstream: wish.upstream.to_string(),
            }),
            _ => Ok(Outbound {
                listen: wish.listen,
                upstream: wish.upstream.clone(),
                protocol: wish
                    .protocol
                    .unwrap_or_else(|| self.options.protocol.into()),
                security,
            }),
        }
    }
}

fn mesh(asked: &PolicyOptions) -> Mesh {
    Mesh {
        root_namespace: asked.root_namespace.clone(),
        cluster_domain: asked.cluster_domain.clone(),
        default_namespace: namespace(asked),
    }
}

fn namespace(asked: &PolicyOptions) -> String {
    asked
        .namespace
        .clone()
        .unwrap_or_else(|| "default".to_owned())
}

/// Paths as Envoy will see them, wherever it is started.
fn secrets(options: &EnvoyOptions) -> Result<Secrets, EnvoyError> {
    let identity = options.identity.clone();
    if let (Some(certs), Some(secrets)) = (&options.certs, &options.secrets_dir) {
        return match identity {
            Some(_) => Err(EnvoyError::IdentityOfFiles),
            None => Ok(Secrets::Files {
                certs: WholePath::of(certs)?,
                names: options.names,
                secrets: WholePath::of(secrets)?,
            }),
        };
    }
    let path = WholePath::of(&options.sds_socket)?;
    match path.as_str().len() {
        len if len > MAX_SOCKET_PATH => Err(EnvoyError::SocketPath { len }),
        _ => Ok(Secrets::Socket { path, identity }),
    }
}

fn distinct_listeners(options: &EnvoyOptions) -> Result<(), EnvoyError> {
    let outbound = options.outbound.iter().map(|wish| wish.listen);
    let mut seen: Vec<SocketAddr> = Vec::new();
    for listen in options
        .listen
        .into_iter()
        .chain(outbound)
        .chain(options.admin)
    {
        if listen.port() != 0 && seen.contains(&listen) {
            return Err(EnvoyError::SameListener { listen });
        }
        seen.push(listen);
    }
    Ok(())
}
