//! Which password do PKCS#12 files have? One line of a file, or the customary one.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// The password of `keystore.p12` and `truststore.p12`. Wiped on drop; `Debug` prints no part of it.
#[derive(Clone)]
pub struct StorePassword(Zeroizing<String>);

impl StorePassword {
    /// `changeit`, which Java's own tools and documents use: the file's mode is what protects the key then, as
    /// it protects `key.pem`.
    #[must_use]
    pub fn customary() -> Self {
        Self(Zeroizing::new("changeit".to_owned()))
    }

    /// The one line in the file at `path`; the end of the line is no part of it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds nothing that Java would take.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PasswordError> {
        let path = path.as_ref();
        // At its full length from the start: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
        let most = u64::try_from(LONGEST + "\r\n?".len()).unwrap_or(u64::MAX);
        File::open(path)
            .and_then(|file| file.take(most).read_to_end(&mut text))
            .map_err(|source| PasswordError::Read {
                path: path.to_owned(),
                source,
            })?;
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let path = path.to_owned();
        match str::from_utf8(line) {
            Ok("") => Err(PasswordError::Empty { path }),
            _ if line.len() > LONGEST => Err(PasswordError::TooLong { path }),
            Ok(line) if line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
                Ok(Self(Zeroizing::new(line.to_owned())))
            }
            _ => Err(PasswordError::NotAscii { path }),
        }
    }

    /// As PBES2 takes it: these characters are the same bytes to everybody.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As the MAC takes it: big-endian UTF-16 with a zero at the end (RFC 7292 appendix B.1).
    pub(super) fn to_bmp(&self) -> Zeroizing<Vec<u8>> {
        let mut bmp = Zeroizing::new(Vec::with_capacity(2 * self.0.len() + 2));
        for byte in self.0.bytes().chain([0]) {
            bmp.extend([0, byte]);
        }
        bmp
    }
}

impl fmt::Debug for StorePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorePassword(..)")
    }
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Nothing, or nothing but the end of a line.
    #[error("the password file {} is empty; Java opens no PKCS#12 file without a password", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Programs differ in what bytes other characters are.
    #[error("the password file {} is not one line of visible ASCII and spaces, which is all that Java takes", path.display())]
    NotAscii {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the password file {}; does it exist, and may this user read it?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There is too much of it.
    #[error("the password in {} is longer than {LONGEST} characters; is that the right file?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Longer than any that is generated.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn password_in(content: impl AsRef<[u8]>) -> Result<StorePassword, PasswordError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        StorePassword::from_file(file.path())
    }

    #[test]
    fn the_end_of_the_line_is_no_part_of_a_password_and_nothing_else_is_cut_off() {
        let longest = "x".repeat(LONGEST);
        for password in [" a b ", "changeit", "~!\"#", &longest] {
            for end in ["", "\n", "\r\n"] {
                let read = password_in(format!("{password}{end}")).unwrap();
                assert_eq!(read.as_bytes(), password.as_bytes(), "{end:?}");
                assert!(!format!("{read:?}").contains(password));
            }
        }
    }

    #[test]
    fn what_is_no_password_is_refused_by_the_reason_without_showing_it() {
        let (too_long, very_long) = ("secret".repeat(50), "secret".repeat(100_000));
        let table = [
            ("", "is empty"),
            ("\n", "is empty"),
            ("\r\n", "is empty"),
            ("secret\nsecret\n", "one line"),
            ("secret\n\n", "one line"),
            ("secr\u{e9}t", "one line"),
            ("secret\0", "one line"),
            (&too_long, "longer than 256"),
            (&very_long, "longer than 256"),
        ];
        for (content, reason) in table {
            let said = password_in(content).unwrap_err().to_string();
            assert!(said.contains(reason), "{said}");
            assert!(!said.contains("secr"), "{said}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path(), &dir.path().join("missing")] {
            let error = StorePassword::from_file(path).unwrap_err();
            assert!(matches!(error, PasswordError::Read { .. }), "{error:?}");
            assert!(error.to_string().contains(path.to_str().unwrap()));
        }
    }
}
