//! What does `ca-client agent` do around the agent of the library? Settings, refusals, the port.

use std::net::SocketAddr;
use std::path::Path;

use ca_client::Agent;
use ca_client::SystemClock;
use ca_client::agent::FirstContact;
use ca_client::agent::Hook;
use ca_client::agent::Output;
use ca_client::agent::Renewal;
use ca_client::files;
use ca_client::files::Combined;
use ca_client::files::FileAccess;
use ca_client::health::Health;
use ca_client::workload_api::AllowRule;
use ca_client::workload_api::WorkloadApi;
use tokio::net::TcpListener;

use crate::agent_error::AgentError;
use crate::agent_sockets::Sockets;
use crate::cli::AgentOptions;
use crate::cli::CaOptions;
use crate::fetch;
use crate::node_command;
use crate::supervisor;
use crate::supervisor::Signals;

/// Runs until a signal ends it.
pub(crate) async fn run(options: AgentOptions) -> Result<(), AgentError> {
    if let Some(file) = options.node.clone() {
        return node_command::run(&options, &file).await;
    }
    let sockets = Sockets::checked(&options).await?;
    let out = fetch::required(&options.ca.out, "--out DIR", "OUTPUT_CERTS")?;
    refuse_the_impossible(&options.ca, &out)?;
    let output = output(&options, &out)?;
    let agent = agent(&options, sockets, output)?;
    let listener = listen(options.http_addr).await?;
    let signals = Signals::new().map_err(|source| AgentError::Signals { source })?;
    let health = Health::of_agent(agent.status(), SystemClock);
    let (status, wake) = (agent.status(), [agent.renew_now()]);
    tokio::select! {
        () = agent.run() => {}
        () = serve(health, listener) => {}
        () = supervisor::tell_systemd(status) => {}
        name = signals.until_end(&wake) => {
            tracing::info!(signal = name, "stopping; the files stay");
            supervisor::tell_stopping();
        }
    }
    Ok(())
}

/// The agent that these settings describe, which writes to `output`.
pub(crate) fn agent(
    options: &AgentOptions,
    sockets: Sockets,
    output: Output,
) -> Result<Agent, AgentError> {
    let ca = &options.ca;
    let address = fetch::required(&ca.ca_addr, "--ca-addr HOST:PORT", "CA_ADDR")?;
    let request = fetch::client(address, ca);
    request.check()?;
    let hook = hook(options)?;
    let share = 1.0 - options.grace_period_ratio;
    let renewal = Renewal::new(share, options.grace_period_ratio_jitter)?;
    let mut builder = Agent::builder(request)
        .output(output)
        .renewal(renewal)
        .settle(options.settle);
    if let Some(first_contact) = first_contact(ca) {
        builder = builder.first_contact(first_contact);
    }
    if let Some(path) = &ca.token_file {
        builder = builder.token_file(path);
    }
    if let Some(sds) = sockets.sds {
        builder = builder.sds(sds);
    }
    if let Some(socket) = sockets.workload_api {
        let allow = options.workload_api_allow.clone();
        let allow = allow.unwrap_or_else(AllowRule::own_user_and_root);
        builder = builder.workload_api(WorkloadApi::new(socket, allow));
    }
    if let Some(hook) = hook {
        builder = builder.hook(hook);
    }
    Ok(builder.build())
}

/// The set of files, and the combined one, which may have permissions and an owner of its own too.
fn output(options: &AgentOptions, out: &Path) -> Result<Output, AgentError> {
    let files = &options.ca.files;
    let mut wanted = fetch::output_options(files)?;
    let Some(path) = &options.combined else {
        return Ok(Output::open(out, wanted, None)?);
    };
    let (mut mode, mut owner) = (files.key_mode, files.key_owner);
    let of_the_set: Vec<&str> = wanted.wanted().collect();
    let is_combined =
        |it: &FileAccess| Path::new(&it.name) == path && !of_the_set.contains(&it.name.as_str());
    for exception in wanted.exceptions.extract_if(.., |it| is_combined(it)) {
        mode = exception.mode.unwrap_or(mode);
        owner = exception.owner.or(owner);
    }
    if mode & 0o007 != 0 {
        let path = path.display();
        tracing::warn!("everybody on this machine may read the private key in {path}");
    }
    let combined = Combined::new(path, mode, owner.unwrap_or_default());
    Ok(Output::open(out, wanted, Some(combined))?)
}

/// What would wait for ever for something that nobody is going to give.
fn refuse_the_impossible(ca: &CaOptions, out: &Path) -> Result<(), AgentError> {
    let token_file = ca.token_file.as_deref();
    if token_file == Some(Path::new("-")) {
        return Err(AgentError::TokenFromStdin);
    }
    // What is there but cannot be read is reported by the agent, which goes on without it.
    let is_stored = !matches!(files::stored_roots(out), Ok(None));
    if first_contact(ca).is_none() && !is_stored {
        return Err(AgentError::NoTrust {
            out: out.to_owned(),
        });
    }
    if token_file.is_none() && !is_stored {
        return Err(AgentError::NoCredential {
            out: out.to_owned(),
        });
    }
    Ok(())
}

pub(crate) fn first_contact(ca: &CaOptions) -> Option<FirstContact> {
    match (ca.ca_fingerprint, &ca.ca_roots) {
        (Some(fingerprint), _) => Some(FirstContact::fingerprint(fingerprint)),
        (None, Some(path)) => Some(FirstContact::roots_file(path)),
        (None, None) => None,
    }
}

/// Judged here and not by clap, which does not look at values of the settings file together.
fn hook(options: &AgentOptions) -> Result<Option<Hook>, AgentError> {
    let (command, signal) = (&options.hook_command, options.hook_signal);
    match (command, signal, &options.hook_pid_file) {
        (None, None, None) => Ok(None),
        (Some(command), None, None) => Ok(Some(Hook::command(command, options.hook_timeout))),
        (None, Some(signal), Some(pid_file)) => Ok(Some(Hook::signal(signal, pid_file))),
        (Some(_), _, _) => Err(AgentError::TwoHooks),
        (None, _, _) => Err(AgentError::HalfAHook),
    }
}

pub(crate) async fn listen(addr: Option<SocketAddr>) -> Result<Option<TcpListener>, AgentError> {
    let Some(addr) = addr else {
        return Ok(None);
    };
    let failed = |source| AgentError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(http = %bound, "listening");
    Ok(Some(listener))
}

/// Never ends: an agent without its port is better than none.
pub(crate) async fn serve(health: Health, listener: Option<TcpListener>) {
    if let Some(listener) = listener
        && let Err(error) = health.serve(listener).await
    {
        tracing::error!(%error, "the HTTP port is lost");
    }
    std::future::pending::<()>().await;
}
