//! What is in a header block (HPACK, RFC 7541), and what does it say once its `:authority` is a valid one? Every block of a
//! connection has to pass here, in order, since each changes the table that the next refers to.

use httlib_huffman::DecoderSpeed;
use loona_hpack::Decoder;
use loona_hpack::Encoder;

use super::frames::FramesError;

/// Reads what the client writes, with its table, and writes it anew without one.
pub(super) struct Fields {
    decoder: Decoder<'static>,
    encoder: Encoder<'static>,
}

impl Fields {
    pub(super) fn new() -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(TABLE);
        let mut encoder = Encoder::new();
        encoder.set_max_table_size(0);
        Self { decoder, encoder }
    }

    /// The block that says the same with an authority that h2 takes.
    ///
    /// # Errors
    /// When it breaks the standard or a limit; the connection is of no use any more.
    pub(super) fn rewrite(&mut self, block: &[u8]) -> Result<Vec<u8>, FramesError> {
        let plain = plain(block)?;
        let mut written = Vec::with_capacity(plain.len());
        let (mut size, mut is_written) = (0, true);
        let encoder = &mut self.encoder;
        let decoded = self.decoder.decode_with_cb(&plain, |name, value| {
            size += name.len() + value.len();
            if size <= LONGEST_LIST {
                let value = match *name == *AUTHORITY && !is_authority(&value) {
                    true => LOCALHOST,
                    false => &*value,
                };
                let put = encoder.encode_header_into((&name, value), &mut written);
                is_written &= put.is_ok();
            }
        });
        match decoded {
            Err(_) => Err(FramesError::NotHpack),
            Ok(()) if size > LONGEST_LIST || !is_written => Err(FramesError::LongList { size }),
            Ok(()) => Ok(written),
        }
    }
}

/// By the rule that h2 has for it.
fn is_authority(value: &[u8]) -> bool {
    http::uri::Authority::try_from(value).is_ok()
}

/// The same block with no string in Huffman's code (RFC 7541 section 5.2): the decoder would make a table of its own for
/// each, so that a block of many short ones would cost a thousand times its bytes. Lengths in tables are the same.
fn plain(block: &[u8]) -> Result<Vec<u8>, FramesError> {
    let mut plain = Vec::with_capacity(block.len() * 2);
    let mut rest = block;
    let mut count = 0;
    while let Some(first) = rest.first() {
        count += 1;
        if count > MOST_FIELDS {
            return Err(FramesError::ManyFields);
        }
        // RFC 7541 section 6: the leading bits say what it is, and how many bits are left for an index.
        let (bits, is_literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let (index, after) = integer(rest, bits)?;
        let head = rest.len() - after.len();
        plain.extend_from_slice(rest.get(..head).unwrap_or_default());
        rest = after;
        if is_literal {
            if index == 0 {
                rest = string(rest, &mut plain)?;
            }
            rest = string(rest, &mut plain)?;
        }
    }
    Ok(plain)
}

/// Writes the string to `plain`; what comes after it.
fn string<'a>(bytes: &'a [u8], plain: &mut Vec<u8>) -> Result<&'a [u8], FramesError> {
    let is_coded = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let (length, rest) = integer(bytes, 7)?;
    let (text, rest) = rest.split_at_checked(length).ok_or(FramesError::NotHpack)?;
    if !is_coded {
        put(text, plain);
        return Ok(rest);
    }
    let mut decoded = Vec::with_capacity(length * 2);
    match httlib_huffman::decode(text, &mut decoded, DecoderSpeed::FiveBits) {
        Ok(()) => put(&decoded, plain),
        Err(_invalid) => return Err(FramesError::NotHpack),
    }
    Ok(rest)
}

/// A string as it is, after its length.
fn put(text: &[u8], plain: &mut Vec<u8>) {
    let mut left = text.len();
    match u8::try_from(left) {
        Ok(short) if short < 0x7f => plain.push(short),
        _ => {
            plain.push(0x7f);
            left -= 0x7f;
            while left >= 0x80 {
                plain.push(0x80 | u8::try_from(left & 0x7f).unwrap_or_default());
                left >>= 7;
            }
            plain.push(u8::try_from(left).unwrap_or_default());
        }
    }
    plain.extend_from_slice(text);
}

/// The integer (RFC 7541 section 5.1) in the last `bits` of the first octet and those that follow.
fn integer(bytes: &[u8], bits: u32) -> Result<(usize, &[u8]), FramesError> {
    let (first, mut rest) = bytes.split_first().ok_or(FramesError::NotHpack)?;
    let largest = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & largest;
    if value < largest {
        return Ok((value, rest));
    }
    for shift in [0, 7, 14, 21] {
        let (octet, after) = rest.split_first().ok_or(FramesError::NotHpack)?;
        rest = after;
        value += usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    Err(FramesError::NotHpack)
}

const AUTHORITY: &[u8] = b":authority";
const LOCALHOST: &[u8] = b"localhost";
/// The table that a client may use, as long as our settings allow it no other (RFC 9113 section 6.5.2).
const TABLE: usize = 4096;
/// In one block; gRPC's clients send about ten.
const MOST_FIELDS: usize = 128;
/// Octets of all names and values; h2 says no to less than that by itself.
const LONGEST_LIST: usize = 64 * 1024;
