//! The socket comes when it answers, goes with its agent, and takes nothing that is somebody's.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use tempfile::TempDir;

use crate::socket::LocalSocket;
use crate::socket::LocalSocketError;

fn at(path: &Path) -> LocalSocket {
    LocalSocket::new(path, 0o640, None).unwrap()
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
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    assert!(bound.is_there());
    drop(bound);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_so_is_what_was_left_of_binding() {
    let dir = dir();
    let path = dir.path().join("socket");
    for left in ["socket", "socke~"] {
        drop(UnixListener::bind(dir.path().join(left)).unwrap());
    }
    let bound = at(&path).bind().await.unwrap();
    assert!(bound.is_there());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
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
    assert!(tokio::net::UnixStream::connect(&longest).await.is_ok());
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
