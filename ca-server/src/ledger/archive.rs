//! What does a ledger look like in a backup? A stream of rows that proves that it is whole.
//!
//! Magic, layout, rows, an end mark with their number, and the SHA-256 of everything before it.
//! Numbers are four bytes, big-endian (the number of rows eight); a row is the length of its key, the
//! key, the length of its value, the value. The end mark is a key of length zero.

use std::io;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;

use ring::digest::Context;
use ring::digest::SHA256;

use super::LedgerError;
use super::LedgerOpenError;

/// Writes an archive.
pub(super) struct ArchiveWriter<W> {
    out: W,
    digest: Context,
    rows: u64,
}

impl<W: Write> ArchiveWriter<W> {
    pub(super) fn begin(out: W, layout: u32) -> Result<Self, ArchiveError> {
        let mut archive = Self {
            out,
            digest: Context::new(&SHA256),
            rows: 0,
        };
        archive.put(&MAGIC)?;
        archive.put(&layout.to_be_bytes())?;
        Ok(archive)
    }

    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), ArchiveError> {
        self.chunk(key)?;
        self.chunk(value)?;
        self.rows += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(W, u64), ArchiveError> {
        self.chunk(&[])?;
        self.put(&self.rows.to_be_bytes())?;
        let digest = self.digest.finish();
        self.out.write_all(digest.as_ref())?;
        self.out.flush()?;
        Ok((self.out, self.rows))
    }

    fn chunk(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let len = u32::try_from(bytes.len())
            .ok()
            .filter(|len| *len <= MAX_CHUNK_LEN)
            .ok_or(ArchiveError::TooLong { len: bytes.len() })?;
        self.put(&len.to_be_bytes())?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.digest.update(bytes);
        Ok(self.out.write_all(bytes)?)
    }
}

/// Reads an archive. Nothing in it is to be trusted before [`Self::row`] has answered `None`.
pub(super) struct ArchiveReader<R> {
    source: R,
    digest: Context,
    layout: u32,
    rows: u64,
}

impl<R: Read> ArchiveReader<R> {
    pub(super) fn begin(source: R) -> Result<Self, ArchiveError> {
        let mut archive = Self {
            source,
            digest: Context::new(&SHA256),
            layout: 0,
            rows: 0,
        };
        if archive.take::<8>()? != MAGIC {
            return Err(ArchiveError::NotAnArchive);
        }
        archive.layout = u32::from_be_bytes(archive.take()?);
        Ok(archive)
    }

    /// The layout of the ledger that was written out.
    pub(super) fn layout(&self) -> u32 {
        self.layout
    }

    /// The rows that were read so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The next row; `None` when the archive is at its end, and whole.
    pub(super) fn row(&mut self) -> Result<Option<ArchivedRow>, ArchiveError> {
        let key = self.chunk()?;
        if key.is_empty() {
            return self.check_end().map(|()| None);
        }
        let value = self.chunk()?;
        self.rows += 1;
        Ok(Some(ArchivedRow { key, value }))
    }

    fn check_end(&mut self) -> Result<(), ArchiveError> {
        let rows = u64::from_be_bytes(self.take()?);
        let expected = self.digest.clone().finish();
        let seen: [u8; 32] = self.take()?;
        if rows != self.rows || seen.as_slice() != expected.as_ref() {
            return Err(ArchiveError::Altered);
        }
        match self.source.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(ArchiveError::Altered),
        }
    }

    fn chunk(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let len = u32::from_be_bytes(self.take()?);
        if len > MAX_CHUNK_LEN {
            return Err(ArchiveError::Altered);
        }
        let mut bytes = Vec::new();
        let read = self
            .source
            .by_ref()
            .take(u64::from(len))
            .read_to_end(&mut bytes)?;
        if u32::try_from(read) != Ok(len) {
            return Err(ArchiveError::Truncated { rows: self.rows });
        }
        self.digest.update(&bytes);
        Ok(bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut bytes = [0; N];
        self.source
            .read_exact(&mut bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ArchiveError::Truncated { rows: self.rows },
                _ => error.into(),
            })?;
        self.digest.update(&bytes);
        Ok(bytes)
    }
}

/// One row of an archive.
pub(super) struct ArchivedRow {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Why a ledger was not written out or read in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The bytes are not those that were written.
    #[error(
        "the ledger's archive was altered or damaged: its checksum does not match; take another backup"
    )]
    Altered,
    /// Reading or writing the archive, or placing what was read.
    #[error("reading or writing the ledger's archive: {source}")]
    Io {
        /// What the system says.
        #[from]
        source: io::Error,
    },
    /// The ledger did not give or take the rows.
    #[error("{source}")]
    Ledger {
        /// Its own words.
        #[from]
        source: LedgerError,
    },
    /// The stream does not start as an archive does.
    #[error("this is not an archive of a ledger")]
    NotAnArchive,
    /// The target already holds something.
    #[error("{} is not empty: a ledger is restored into an empty directory only; set what is there aside", dir.display())]
    NotEmpty {
        /// The target.
        dir: PathBuf,
    },
    /// The new ledger could not be made, or the archive is of a layout that this program does not know.
    #[error("{source}")]
    Open {
        /// Its own words.
        #[from]
        source: LedgerOpenError,
    },
    /// A row is longer than any row can be.
    #[error("a row of {len} bytes does not fit into an archive")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The stream ends too early.
    #[error(
        "the ledger's archive ends after {rows} rows, before its end mark: it was cut off; take another backup"
    )]
    Truncated {
        /// Rows that were read.
        rows: u64,
    },
}

const MAGIC: [u8; 8] = *b"signetL1";
/// Far above any row, and far below what would hurt to hold.
const MAX_CHUNK_LEN: u32 = 1024 * 1024;
