//! What does `ca-client agent --node` do? An agent for each workload of a list, and the sockets and the port of all.

use std::path::Path;

use ca_client::Node;
use ca_client::SystemClock;
use ca_client::health::Health;
use ca_client::node::Workload;

use crate::agent_command;
use crate::agent_command::Start;
use crate::agent_error::AgentError;
use crate::agent_sockets::Sockets;
use crate::cli::AgentOptions;
use crate::node_file;
use crate::node_file::Entry;
use crate::supervisor;
use crate::supervisor::Signals;

/// Runs until a signal ends it.
pub(crate) async fn run(options: &AgentOptions, file: &Path) -> Result<(), AgentError> {
    refuse_what_each_has(options)?;
    let entries = node_file::read(file).map_err(|source| AgentError::NodeFile {
        path: file.to_owned(),
        source,
    })?;
    let sockets = Sockets::checked(options).await?;
    supervisor::raise_file_limit();
    let workloads = entries.into_iter().map(|entry| workload(options, entry));
    let mut node = Node::new(workloads.collect::<Result<_, _>>()?, SystemClock);
    if let Some(socket) = sockets.sds {
        node = node.sds(socket);
    }
    if let Some(socket) = sockets.workload_api {
        node = node.workload_api(socket);
    }
    let listener = agent_command::listen(options.http_addr).await?;
    let signals = Signals::new().map_err(|source| AgentError::Signals { source })?;
    let health = Health::of_node(node.status(), SystemClock);
    let (status, wake) = (node.status(), node.renew_now());
    tracing::info!(workloads = wake.len(), "serving a node");
    tokio::select! {
        () = node.run() => {}
        () = agent_command::serve(health, listener) => {}
        () = supervisor::tell_systemd_of_node(status) => {}
        name = signals.until_end(&wake) => {
            tracing::info!(signal = name, "stopping; the files stay");
            supervisor::tell_stopping();
        }
    }
    Ok(())
}

/// An agent with the settings of all and the paths of one.
fn workload(options: &AgentOptions, entry: Entry) -> Result<Workload, AgentError> {
    let mut own = options.clone();
    own.ca.out = Some(entry.out);
    own.ca.token_file = Some(entry.token_file);
    own.ca.spiffe_id = entry.spiffe_id;
    let span = tracing::info_span!("workload", name = entry.name);
    let agent = span.in_scope(|| agent_command::agent(&own, Sockets::none(), Start::Anyway))?;
    Ok(Workload {
        name: entry.name,
        allow: entry.allow,
        agent,
    })
}

fn refuse_what_each_has(options: &AgentOptions) -> Result<(), AgentError> {
    let ca = &options.ca;
    let in_the_list = "each workload has its own in the list";
    let not_there = "workloads of a node have none; run an agent of its own for this one";
    let flags = [
        ("--out", ca.out.is_some(), in_the_list),
        ("--token-file", ca.token_file.is_some(), in_the_list),
        ("--spiffe-id", ca.spiffe_id.is_some(), in_the_list),
        (
            "--workload-api-allow",
            options.workload_api_allow.is_some(),
            "each workload has its `allow` in the list",
        ),
        ("--combined", options.combined.is_some(), not_there),
        ("--hook-command", options.hook_command.is_some(), not_there),
        ("--hook-signal", options.hook_signal.is_some(), not_there),
        ("--hook-pid-file", options.hook_pid_file.is_some(), not_there),
    ];
    match flags.into_iter().find(|(_, is_given, _)| *is_given) {
        Some((flag, _, instead)) => Err(AgentError::NotWithNode { flag, instead }),
        None => Ok(()),
    }
}
