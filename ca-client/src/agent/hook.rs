//! Who else has to know that there are new files? A command, or a signal to a process whose number is
//! in a file. It never holds up a renewal, and never takes longer than its timeout.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;

/// What happens after each swap of the files.
#[derive(Clone, Debug)]
pub struct Hook {
    action: Action,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum Action {
    Command(String),
    Signal(HookSignal, PathBuf),
}

impl Hook {
    /// Runs `command` by `/bin/sh -c`, in a process group of its own, which is killed after `timeout`.
    #[must_use]
    pub fn command(command: impl Into<String>, timeout: Duration) -> Self {
        Self {
            action: Action::Command(command.into()),
            timeout,
        }
    }

    /// Sends `signal` to the process whose number is in `pid_file`, which is read each time.
    #[must_use]
    pub fn signal(signal: HookSignal, pid_file: impl Into<PathBuf>) -> Self {
        Self {
            action: Action::Signal(signal, pid_file.into()),
            timeout: Duration::ZERO,
        }
    }

    /// Runs it once.
    pub(super) async fn run(&self, serial: &str) -> Result<(), HookError> {
        match &self.action {
            Action::Command(command) => self.run_command(command, serial).await,
            Action::Signal(signal, pid_file) => send(*signal, pid_file),
        }
    }

    async fn run_command(&self, command: &str, serial: &str) -> Result<(), HookError> {
        let failed = |source| HookError::Start { source };
        let mut child = tokio::process::Command::new("/bin/sh")
            .args(["-c", command])
            .env("CA_CLIENT_SERIAL", serial)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        match tokio::time::timeout(self.timeout, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(HookError::Status { status }),
            Ok(Err(source)) => Err(failed(source)),
            Err(_elapsed) => {
                if let Some(group) = group.and_then(Pid::from_raw) {
                    // It may have ended just now.
                    let _ended_before = rustix::process::kill_process_group(group, Signal::KILL);
                }
                drop(child.wait().await);
                Err(HookError::TooLong {
                    limit: self.timeout,
                })
            }
        }
    }
}

/// A signal that programs take for "read your files again".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookSignal(Signal);

impl FromStr for HookSignal {
    type Err = HookSignalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        match upper.strip_prefix("SIG").unwrap_or(&upper) {
            "HUP" => Ok(Self(Signal::HUP)),
            "USR1" => Ok(Self(Signal::USR1)),
            "USR2" => Ok(Self(Signal::USR2)),
            "WINCH" => Ok(Self(Signal::WINCH)),
            "TERM" => Ok(Self(Signal::TERM)),
            "INT" => Ok(Self(Signal::INT)),
            _ => Err(HookSignalError {
                seen: text.to_owned(),
            }),
        }
    }
}

/// The text names no signal that makes sense here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{seen}' is not one of HUP, USR1, USR2, WINCH, TERM, INT")]
pub struct HookSignalError {
    /// What was given.
    pub seen: String,
}

/// Why a hook did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    #[error("the pid file {} cannot be read: {source}", path.display())]
    PidFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the pid file {} does not hold a process number", path.display())]
    NotAPid { path: PathBuf },
    #[error("the signal cannot be sent to process {pid}: {source}")]
    Send { pid: i32, source: std::io::Error },
    #[error("it cannot be started: {source}")]
    Start { source: std::io::Error },
    #[error("it ended with {status}")]
    Status { status: std::process::ExitStatus },
    #[error("it took longer than {} and was killed", humantime::format_duration(*limit))]
    TooLong { limit: Duration },
}

fn send(signal: HookSignal, pid_file: &Path) -> Result<(), HookError> {
    let text = std::fs::read_to_string(pid_file).map_err(|source| HookError::PidFile {
        path: pid_file.to_owned(),
        source,
    })?;
    let number = text.trim().parse::<i32>().ok().filter(|pid| *pid > 1);
    let pid = number
        .and_then(Pid::from_raw)
        .ok_or_else(|| HookError::NotAPid {
            path: pid_file.to_owned(),
        })?;
    rustix::process::kill_process(pid, signal.0).map_err(|errno| HookError::Send {
        pid: pid.as_raw_nonzero().get(),
        source: errno.into(),
    })
}
