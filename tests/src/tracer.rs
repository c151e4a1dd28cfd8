//! strace on the one thread of a server that changes its files: what it does there, and a fault at the n-th of it.
//!
//! strace counts the calls of each thread for itself. The conductor has a thread of its own, so that the n-th call is
//! the n-th; what the ledger writes comes from others.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

/// A running strace. It lets go when dropped.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
}

impl Tracer {
    /// Attaches to the threads `tids`, with these arguments.
    ///
    /// # Panics
    /// When it may not.
    #[must_use]
    pub fn attach(tids: &[u32], args: &[String]) -> Self {
        let mut child = Command::new("strace")
            .args(args)
            .args(tids.iter().map(|tid| format!("--attach={tid}")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        for _ in tids {
            let line = said.next().expect("strace says that it attached").unwrap();
            assert!(line.contains(" attached"), "{line}");
        }
        Self { child }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // An interrupted strace detaches first; one that is killed may leave a thread stopped.
        let pid = self.child.id().to_string();
        let _ended_before = Command::new("kill").args(["-INT", &pid]).output();
        let _reaped = self.child.wait();
    }
}

/// The thread of a server that changes what is in force.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn conductor(pid: u32) -> u32 {
    threads(pid, "conductor").into_iter().min().unwrap()
}

/// The threads of a process that are called `name`.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn threads(pid: u32, name: &str) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let tasks = tasks.flatten().map(|task| task.path());
    let is_called =
        |task: &Path| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let named = tasks.filter(|task| is_called(task));
    named
        .map(|task| task.file_name().unwrap().to_string_lossy().parse().unwrap())
        .collect()
}

/// Whether `tests/kills/run` started this program; if not, says so.
#[must_use]
#[expect(
    clippy::print_stderr,
    reason = "the group is switched on by a variable, and says aloud when it is not"
)]
pub fn group_is_on() -> bool {
    let is_on = std::env::var_os("SIGNET_TEST_STRACE").is_some();
    if !is_on {
        eprintln!("SKIPPED: run tests/kills/run");
    }
    is_on
}
