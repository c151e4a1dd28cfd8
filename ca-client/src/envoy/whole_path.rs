//! Where is a file, wherever the reader stands? An absolute path in UTF-8: Envoy's settings can have no other.

use std::path::Path;

use super::EnvoyError;

/// A path from the root on, in UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WholePath(String);

impl WholePath {
    /// `path` as it is seen from the root.
    ///
    /// # Errors
    /// A path that is not UTF-8, or begins at a working directory that is gone.
    pub(crate) fn of(path: &Path) -> Result<Self, EnvoyError> {
        let whole = std::path::absolute(path).map_err(|source| EnvoyError::Write {
            path: path.to_owned(),
            source,
        })?;
        match whole.into_os_string().into_string() {
            Ok(text) => Ok(Self(text)),
            Err(odd) => Err(EnvoyError::PathNotText { path: odd.into() }),
        }
    }

    /// The path of `name` in this directory.
    pub(crate) fn join(&self, name: &str) -> String {
        format!("{}/{name}", self.0.trim_end_matches('/'))
    }

    /// The path itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_path_is_absolute_and_utf8_or_refused() {
        let whole = |text: &str| WholePath::of(Path::new(text)).unwrap();
        assert_eq!(whole("/a/b/").join("c"), "/a/b/c");
        assert_eq!(whole("/").join("c"), "/c");
        assert!(whole("a").as_str().starts_with('/'));
        let odd = Path::new(OsStr::from_bytes(b"/w\xe4g"));
        let refused = WholePath::of(odd).unwrap_err();
        assert!(refused.is_usage(), "{refused:?}");
    }
}
