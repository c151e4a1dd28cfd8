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
    /// Whether it is somebody else's turn.
    is_busy: bool,
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
            is_busy: false,
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
            if std::mem::take(&mut this.is_busy) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut bytes = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut bytes);
            std::task::ready!(Pin::new(&mut this.reader).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let before = this.frames.blocks();
            this.broken = this.frames.feed(chunk.filled(), &mut this.ready).err();
            this.is_busy = this.frames.blocks() != before;
        }
    }
}

/// Octets that are looked at without a break: whoever sends header after header waits for the others each time.
const CHUNK: usize = 1024;
