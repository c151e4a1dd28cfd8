//! File systems that a test may fill up or break. Each is gone when dropped, whoever still has it open.

use std::fs;
use std::fs::File;
use std::io::ErrorKind;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Whether `tests/mounts/run` started this program. Says so where it did not.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the group is switched on by a variable"
)]
pub fn group_is_on() -> bool {
    let is_on = std::env::var("SIGNET_TEST_MOUNTS").is_ok_and(|value| value == "1");
    if !is_on {
        skip("the mounts group needs root, and runs through tests/mounts/run");
    }
    is_on
}

/// Says, past the capture of the test runner, that a test proves nothing here.
pub fn skip(reason: &str) {
    let _closed = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

/// A mounted file system.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    source: PathBuf,
    options: String,
}

impl Mount {
    /// A tmpfs of `size` (such as `32m`) on `path`, which is made.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    pub fn tmpfs(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let mount = Self {
            path: path.to_owned(),
            source: "tmpfs".into(),
            options: format!("size={size},mode=0700"),
        };
        run(
            "mount",
            &["-t", "tmpfs", "-o", &mount.options, "tmpfs"],
            path,
        );
        mount
    }

    /// An ext4 of 64 MB in the file `image`, on `path`; both are made. `None` where there is no `mkfs.ext4` or
    /// no loop device.
    ///
    /// # Panics
    /// When the image cannot be made.
    #[must_use]
    pub fn ext4(image: &Path, path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        File::create(image)
            .unwrap()
            .set_len(64 * 1024 * 1024)
            .unwrap();
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(image)
            .output();
        if made.is_err() {
            return None;
        }
        let mount = Self {
            path: path.to_owned(),
            source: image.to_owned(),
            options: "loop".to_owned(),
        };
        mount.mount().then_some(mount)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file until there is no room for a byte more, and answers its path.
    ///
    /// # Panics
    /// When writing fails for another reason.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        let filler = self.path.join("filler");
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&filler)
            .unwrap();
        let block = vec![0xff; 64 * 1024];
        for len in [block.len(), 4096, 1] {
            loop {
                match file.write(&block[..len]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        filler
    }

    /// `mount -o remount,OPTION`
    ///
    /// # Panics
    /// When the system refuses.
    pub fn remount(&self, option: &str) {
        run("mount", &["-o", &format!("remount,{option}")], &self.path);
    }

    /// Unmounts and mounts again, as one does after a disk had errors. `false` while somebody has it open.
    ///
    /// # Panics
    /// When it does not mount any more.
    #[must_use]
    pub fn mount_again(&self) -> bool {
        let unmounted = Command::new("umount")
            .arg(&self.path)
            .output()
            .unwrap()
            .status
            .success();
        if unmounted {
            assert!(
                self.mount(),
                "{} does not mount any more",
                self.path.display()
            );
        }
        unmounted
    }

    fn mount(&self) -> bool {
        let mut command = Command::new("mount");
        command
            .args(["-o", &self.options])
            .arg(&self.source)
            .arg(&self.path);
        command.output().unwrap().status.success()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _was_gone = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .output();
    }
}

fn run(program: &str, args: &[&str], path: &Path) {
    let output = Command::new(program).args(args).arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {args:?} {}: {said}",
        path.display()
    );
}
