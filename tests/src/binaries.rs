//! Where are the real binaries? Built here once, because testing this package does not build the others.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The two programs that users run.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `ca-server`.
    pub ca_server: PathBuf,
    /// `ca-client`.
    pub ca_client: PathBuf,
}

/// Builds both programs, once per process, in the profile that this crate was built in.
///
/// # Panics
/// When the build fails.
pub fn binaries() -> &'static Binaries {
    static BUILT: OnceLock<Binaries> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        // Of the whole workspace, as the tests are: with fewer packages, features of dependencies are others, and
        // everything is compiled again.
        let bins = ["--bin", "ca-server", "--bin", "ca-client"];
        build.args(["build", "--quiet", "--workspace"]).args(bins);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        if let Some(features) = std::env::var_os("SIGNET_TEST_FEATURES") {
            build.arg("--features").arg(features);
        }
        // What cargo says to this program about its package would make ring's build script, and all that rests on
        // it, stale: here now, and in the next build outside.
        for (name, _) in std::env::vars_os() {
            if PACKAGE_VARIABLES
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                build.env_remove(name);
            }
        }
        let status = build
            .current_dir(workspace())
            .status()
            .expect("cargo starts");
        assert!(status.success(), "the binaries do not build");
        let profile = profile_dir();
        Binaries {
            ca_server: profile.join("ca-server"),
            ca_client: profile.join("ca-client"),
        }
    })
}

/// The root of the repository.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `target/debug` or `target/release`: above the folder this very program lies in.
fn profile_dir() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let dir = this.parent().expect("a file lies in a folder");
    if dir.ends_with("deps") {
        dir.parent().expect("deps lies in a folder").to_owned()
    } else {
        dir.to_owned()
    }
}

/// Set by cargo for the programs that it runs.
const PACKAGE_VARIABLES: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];
