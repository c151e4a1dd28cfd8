//! What does `ca-client agent --node` do? An agent for each workload of a list, and the sockets and the port of all.

use std::path::Path;
use std::time::Duration;

use ca_client::Node;
use ca_client::SystemClock;
use ca_client::agent::Output;
use ca_client::health::Health;
use ca_client::node::Workload;
use tokio::time::Instant;

use crate::agent_command;
use crate::agent_error::AgentError;
use crate::agent_sockets::Sockets;
use crate::cli::AgentOptions;
use crate::fetch;
use crate::node_file;
use crate::node_file::Entry;
use crate::supervisor;
use crate::supervisor::Signals;

/// Runs until a signal ends it.
pub(crate) async fn run(options: &AgentOptions, file: &Path) -> Result<(), AgentError> {
    refuse_what_each_has(options)?;
    if agent_command::first_contact(&options.ca).is_none() {
        return Err(AgentError::NodeNeedsTrust);
    }
    let entries = node_file::read(file).map_err(|source| AgentError::NodeFile {
        path: file.to_owned(),
        source,
    })?;
    let sockets = Sockets::checked(options).await?;
    supervisor::raise_file_limit();
    let mut node = Node::new(workloads(options, entries).await?, SystemClock);
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

/// An agent for each, with the settings of all and the paths of one. One directory that cannot be used must not keep
/// the others from theirs.
async fn workloads(
    options: &AgentOptions,
    entries: Vec<Entry>,
) -> Result<Vec<Workload>, AgentError> {
    let wanted = fetch::output_options(&options.ca.files)?;
    let opening = entries.iter().map(|entry| {
        let (name, out, wanted) = (entry.name.clone(), entry.out.clone(), wanted.clone());
        tokio::task::spawn_blocking(move || {
            let _in_its_name = tracing::info_span!("workload", name).entered();
            Output::open_or_later(out, wanted)
        })
    });
    let opening: Vec<_> = opening.collect();
    let end = Instant::now() + PATIENCE;
    let mut workloads = Vec::new();
    for (entry, opening) in entries.into_iter().zip(opening) {
        let output = match tokio::time::timeout_at(end, opening).await {
            Ok(Ok(opened)) => opened?,
            _ => {
                let out = entry.out.display();
                tracing::error!(workload = entry.name, %out, "the directory does not answer, trying again");
                Output::later(&entry.out, wanted.clone())
            }
        };
        workloads.push(workload(options, entry, output)?);
    }
    Ok(workloads)
}

fn workload(options: &AgentOptions, entry: Entry, output: Output) -> Result<Workload, AgentError> {
    let mut own = options.clone();
    own.ca.token_file = Some(entry.token_file);
    own.ca.spiffe_id = entry.spiffe_id;
    Ok(Workload {
        name: entry.name,
        allow: entry.allow,
        agent: agent_command::agent(&own, Sockets::none(), output)?,
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
        (
            "--hook-pid-file",
            options.hook_pid_file.is_some(),
            not_there,
        ),
    ];
    match flags.into_iter().find(|(_, is_given, _)| *is_given) {
        Some((flag, _, instead)) => Err(AgentError::NotWithNode { flag, instead }),
        None => Ok(()),
    }
}

/// For all directories together to be opened.
const PATIENCE: Duration = Duration::from_secs(5);
