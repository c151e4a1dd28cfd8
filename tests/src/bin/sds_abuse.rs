//! A process that is a bad neighbour on an SDS socket, until its standard input ends.

use std::io::Read as _;
use std::path::PathBuf;

use tests::greed::be_greedy;

#[tokio::main]
async fn main() {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    if let Some(path) = path {
        tokio::select! {
            () = be_greedy(&path) => {}
            _over = end => {}
        }
    }
    // What stands in other tasks is not waited for.
    std::process::exit(0);
}
