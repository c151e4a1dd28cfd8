//! Which bytes of a client are header blocks? HTTP/2 frames (RFC 9113 section 4), fed as they come: headers go through
//! [`Fields`], all else passes untouched and at once.

use super::fields::Fields;

/// Why a connection is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FramesError {
    #[error("the frame in the middle of a header block is none of it")]
    Interleaved,
    #[error("a header block of more than {MAX_BLOCK} octets, or of more than {MOST_FRAMES} frames")]
    LongBlock,
    #[error("a header block with {size} octets of names and values")]
    LongList { size: usize },
    #[error("a header block with too many fields")]
    ManyFields,
    #[error("a header block that is not HPACK")]
    NotHpack,
    #[error("more padding than there is room for")]
    Padding,
}

/// One direction of one connection, after the preface.
pub(super) struct Frames {
    fields: Fields,
    place: Place,
    /// Of the frame head or payload that is not whole yet.
    held: Vec<u8>,
    block: Option<Block>,
    /// Header blocks so far.
    blocks: u64,
}

/// Where in a frame we are.
#[derive(Clone, Copy)]
enum Place {
    Head,
    Passing { left: usize },
    Collecting { head: Head },
}

#[derive(Clone, Copy)]
struct Head {
    length: usize,
    flags: u8,
    /// With the reserved bit.
    stream: [u8; 4],
}

/// A header block that has begun.
struct Block {
    flags: u8,
    stream: [u8; 4],
    priority: Vec<u8>,
    fragments: Vec<u8>,
    frames: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            fields: Fields::new(),
            place: Place::Head,
            held: Vec::new(),
            block: None,
            blocks: 0,
        }
    }

    /// How many header blocks were rewritten, each of which is work.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Takes the next bytes, and appends to `out` what can go on.
    ///
    /// # Errors
    /// When the connection must end; what is in `out` is whole frames and may go on.
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FramesError> {
        while !bytes.is_empty() {
            let wanted = match self.place {
                Place::Head => HEAD - self.held.len(),
                Place::Passing { left } => left,
                Place::Collecting { head } => head.length - self.held.len(),
            };
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            match &mut self.place {
                Place::Passing { left } => {
                    *left -= taken.len();
                    out.extend_from_slice(taken);
                }
                Place::Head | Place::Collecting { .. } => self.held.extend_from_slice(taken),
            }
            if taken.len() == wanted {
                self.step(out)?;
            }
        }
        Ok(())
    }

    /// What was wanted is there.
    fn step(&mut self, out: &mut Vec<u8>) -> Result<(), FramesError> {
        match self.place {
            Place::Head => self.begin(out),
            Place::Passing { .. } => {
                self.place = Place::Head;
                Ok(())
            }
            Place::Collecting { head } => {
                self.place = Place::Head;
                let payload = std::mem::take(&mut self.held);
                self.collected(head, &payload, out)
            }
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), FramesError> {
        let held = std::mem::take(&mut self.held);
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *held.as_slice() else {
            return Ok(());
        };
        let head = Head {
            length: usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2),

            flags,
            stream: [s0, s1, s2, s3],
        };
        let is_of_the_block = match &self.block {
            Some(block) if kind != CONTINUATION || block.stream != head.stream => {
                return Err(FramesError::Interleaved);
            }
            Some(_) => true,
            None => kind == HEADERS,
        };
        if !is_of_the_block {
            out.extend_from_slice(&held);
            self.place = Place::Passing { left: head.length };
        } else if head.length > MAX_BLOCK {
            return Err(FramesError::LongBlock);
        } else {
            self.place = Place::Collecting { head };
        }
        match head.length {
            0 => self.step(out),
            _ => Ok(()),
        }
    }

    fn collected(
        &mut self,
        head: Head,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), FramesError> {
        let block = match self.block.take() {
            None => Block::begin(head, payload)?,
            Some(block) => block.with(payload)?,
        };
        if head.flags & END_HEADERS == 0 {
            self.block = Some(block);
            return Ok(());
        }
        self.blocks = self.blocks.wrapping_add(1);
        let mut content = block.priority;
        content.extend(self.fields.rewrite(&block.fragments)?);
        let mut pieces = content.chunks(MAX_FRAME).peekable();
        let (mut kind, mut flags) = (HEADERS, block.flags & !(END_HEADERS | PADDED));
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= END_HEADERS;
            }
            put(out, kind, flags, block.stream, piece);
            (kind, flags) = (CONTINUATION, 0);
        }
        if content.is_empty() {
            put(out, HEADERS, flags | END_HEADERS, block.stream, &[]);
        }
        Ok(())
    }
}

impl Block {
    /// Without the padding (RFC 9113 section 6.2).
    fn begin(head: Head, payload: &[u8]) -> Result<Self, FramesError> {
        let mut content = payload;
        if head.flags & PADDED != 0 {
            let (padding, rest) = payload.split_first().ok_or(FramesError::Padding)?;
            let end = rest.len().checked_sub(usize::from(*padding));
            content = end
                .and_then(|end| rest.get(..end))
                .ok_or(FramesError::Padding)?;
        }
        let priority = match head.flags & PRIORITY {
            0 => 0,
            _ => PRIORITY_LENGTH,
        };
        let (priority, fragment) = content
            .split_at_checked(priority)
            .ok_or(FramesError::Padding)?;
        Ok(Self {
            flags: head.flags,
            stream: head.stream,
            priority: priority.to_vec(),
            fragments: fragment.to_vec(),
            frames: 1,
        })
    }

    fn with(mut self, fragment: &[u8]) -> Result<Self, FramesError> {
        self.frames += 1;
        self.fragments.extend_from_slice(fragment);
        match self.frames > MOST_FRAMES || self.fragments.len() > MAX_BLOCK {
            true => Err(FramesError::LongBlock),
            false => Ok(self),
        }
    }
}

fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: [u8; 4], payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let [_, length @ ..] = length.to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream);
    out.extend_from_slice(payload);
}

const HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_LENGTH: usize = 5;
/// What every receiver takes (RFC 9113 section 4.2).
const MAX_FRAME: usize = 16 * 1024;
/// Octets of a block as it comes.
const MAX_BLOCK: usize = 16 * 1024;
/// In which a block may come.
const MOST_FRAMES: usize = 64;
