//! The socket comes when it answers, goes with its agent, and takes nothing that is somebody's.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::socket::LocalSocket;
use crate::socket::LocalSocketError;

fn at(path: &Path) -> LocalSocket {
    LocalSocket::new(path, 0o640, None).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn it_has_its_mode_in_a_directory_of_its_own_and_goes_when_dropped() {
    let dir = dir();
    let path = dir.path().join("uds/socket");
    let bound = at(&path).bind().await.unwrap();
    let found = fs::metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o640);
    let made = fs::metadata(path.parent().unwrap()).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o750);
    assert!(bound.is_there());
    assert_eq!(names(path.parent().unwrap()), [".socket.lock", "socket"]);
    drop(bound);
    assert!(names(path.parent().unwrap()).is_empty());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_so_is_what_was_left_of_binding() {
    let dir = dir();
    let path = dir.path().join("socket");
    for left in ["socket", ".socket.new"] {
        drop(UnixListener::bind(dir.path().join(left)).unwrap());
    }
    fs::write(dir.path().join(".socket.lock"), "").unwrap();
    let bound = at(&path).bind().await.unwrap();
    assert!(bound.is_there());
    assert_eq!(names(dir.path()), [".socket.lock", "socket"]);
}

#[tokio::test]
async fn what_others_have_beside_it_is_left_alone() {
    let dir = dir();
    let path = dir.path().join("socket");
    // Bound, and about to listen: nobody can tell it from a stale one.
    let theirs = tokio::net::UnixSocket::new_stream().unwrap();
    theirs.bind(dir.path().join("socke~")).unwrap();
    let _ours = at(&path).bind().await.unwrap();
    assert!(dir.path().join("socke~").exists());
    drop(theirs);
}

#[tokio::test]
async fn who_holds_the_path_is_named_to_who_comes_second() {
    let dir = dir();
    let path = dir.path().join("socket");
    let ours = at(&path).bind().await.unwrap();
    // As the first one is between two of its sockets.
    fs::remove_file(&path).unwrap();
    for refused in [
        at(&path).bind().await.unwrap_err(),
        at(&path).claim().await.unwrap_err(),
    ] {
        let said = refused.to_string();
        assert!(matches!(refused, LocalSocketError::Held { .. }), "{said}");
        let process = format!("process {}", std::process::id());
        assert!(said.contains(&process), "{said}");
        assert!(said.contains(".socket.lock"), "{said}");
    }
    drop(ours);
    assert!(at(&path).bind().await.is_ok());
}

#[tokio::test]
async fn a_claim_is_kept_until_the_socket_is_opened() {
    let dir = dir();
    let path = dir.path().join("socket");
    let first = at(&path);
    first.claim().await.unwrap();
    let refused = at(&path).claim().await.unwrap_err();
    assert!(
        matches!(refused, LocalSocketError::Held { .. }),
        "{refused}"
    );
    assert!(first.clone().bind().await.is_ok());
    assert!(names(dir.path()).is_empty());
    assert!(at(&path).claim().await.is_ok());
}

#[test]
fn of_two_that_come_at_once_one_answers_and_the_other_says_so() {
    let dir = dir();
    let path = dir.path().join("socket");
    for round in 0..50 {
        let together = Barrier::new(2);
        let one = || bind_together(&path, &together);
        let outcomes: [bool; 2] = thread::scope(|scope| {
            let racing = [scope.spawn(one), scope.spawn(one)];
            racing.map(|thread| thread.join().unwrap())
        });
        assert_eq!(outcomes.iter().filter(|it| **it).count(), 1, "{round}");
        assert!(names(dir.path()).is_empty(), "{round}");
    }
}

/// Whether the socket is ours, and answers by us; who is refused holds nothing back.
fn bind_together(path: &Path, together: &Barrier) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let socket = at(path);
    together.wait();
    let bound = runtime.block_on(socket.bind());
    together.wait();
    let is_ours = match &bound {
        Ok(bound) => runtime.block_on(async {
            let (ours, _theirs) = tokio::join!(bound.listener.accept(), UnixStream::connect(path));
            ours.is_ok() && bound.is_there()
        }),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("choose another path"), "{said}");
            false
        }
    };
    together.wait();
    is_ours
}

#[tokio::test]
async fn neighbours_whose_names_differ_in_one_byte_do_not_meet() {
    let dir = dir();
    let [one, other] = ["socketa", "socketb"].map(|name| at(&dir.path().join(name)));
    for _ in 0..50 {
        let (one, other) = tokio::join!(one.bind(), other.bind());
        assert!(one.unwrap().is_there() && other.unwrap().is_there());
    }
}

#[tokio::test]
async fn a_socket_that_is_answered_is_left_alone() {
    let dir = dir();
    let path = dir.path().join("socket");
    let theirs = UnixListener::bind(&path).unwrap();
    let refused = at(&path).bind().await.unwrap_err();
    assert!(
        matches!(refused, LocalSocketError::InUse { .. }),
        "{refused}"
    );
    theirs.set_nonblocking(true).unwrap();
    assert!(theirs.accept().is_ok(), "it was asked");
    assert!(path.exists());
}

#[tokio::test]
async fn what_is_not_a_socket_is_left_alone() {
    let dir = dir();
    let path = dir.path().join("socket");
    fs::write(&path, "mine").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for taken in [&path, &link, dir.path()] {
        let refused = at(taken).bind().await.unwrap_err();
        assert!(
            matches!(refused, LocalSocketError::NotASocket { .. }),
            "{refused}"
        );
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn the_socket_of_a_successor_is_not_taken_away() {
    let dir = dir();
    let path = dir.path().join("socket");
    let ours = at(&path).bind().await.unwrap();
    fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    assert!(!ours.is_there());
    drop(ours);
    assert!(path.exists());
    drop(theirs);
}

#[tokio::test]
async fn a_path_may_be_as_long_as_the_system_takes_and_no_longer() {
    let dir = dir();
    let room = 107 - dir.path().as_os_str().len() - 1;
    let longest = dir.path().join("s".repeat(room));
    let bound = at(&longest).bind().await.unwrap();
    assert!(UnixStream::connect(&longest).await.is_ok());
    assert_eq!(names(dir.path()).len(), 2);
    drop(bound);
    let refused = LocalSocket::new(dir.path().join("s".repeat(room + 1)), 0o600, None);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("108 bytes") && refused.contains("at most 107"),
        "{refused}"
    );
    for nameless in ["", "/", "..", "/tmp/"] {
        let refused = LocalSocket::new(nameless, 0o600, None).unwrap_err();
        assert!(
            matches!(refused, LocalSocketError::NoName { .. }),
            "{refused}"
        );
    }
}
