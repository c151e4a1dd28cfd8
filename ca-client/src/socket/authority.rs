//! How do the bytes get from the socket to h2? Through [`Frames`], as they are read.

use std::io;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::ReadBuf;

use super::frames::Frames;
use super::frames::FramesError;

/// What `R` says after the preface, with authorities that are valid.
pub(super) struct WithAuthority<R> {
    reader: R,
    frames: Frames,
    ready: Vec<u8>,
    given: usize,
    /// What is left to be told when everything is given.
    broken: Option<FramesError>,
}

impl<R> WithAuthority<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            frames: Frames::new(),
            ready: Vec::new(),
            given: 0,
            broken: None,
        }
    }

    /// Whether anything was there to give.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = self.ready.get(self.given..).unwrap_or_default();
        let given = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..given).unwrap_or_default());
        self.given += given;
        if self.given == self.ready.len() {
            // The room of a large one is not kept for as long as the connection lives.
            self.ready = Vec::new();
            self.given = 0;
        }
        given > 0
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for WithAuthority<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if buf.remaining() == 0 || this.give(buf) {
                return Poll::Ready(Ok(()));
            }
            if let Some(broken) = this.broken {
                return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, broken)));
            }
            let mut bytes = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut bytes);
            std::task::ready!(Pin::new(&mut this.reader).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.broken = this.frames.feed(chunk.filled(), &mut this.ready).err();
        }
    }
}

/// Octets that are looked at without a break.
const CHUNK: usize = 4 * 1024;
