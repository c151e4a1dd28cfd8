//! Whatever a client's frames are like and however their bytes come, its requests say the same afterwards, with an
//! authority that h2 takes. Blocks are written and read by another HPACK than the one that is used.

use httlib_hpack::Decoder;
use httlib_hpack::Encoder;

use crate::socket::frames::Frames;
use crate::socket::frames::FramesError;

type Field = (Vec<u8>, Vec<u8>);

const HEADERS: u8 = 1;
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// As gRPC's C core has it.
const PATH: &str = "%2Ftmp%2Fagent%2Fapi.sock";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Kind, flags, stream, payload.
fn split(mut bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, s0, s1, s2, s3, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]).try_into().unwrap();
        let stream = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
        frames.push((*kind, *flags, stream, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "half a frame");
    frames
}

fn request(authority: &str) -> Vec<Field> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/SpiffeWorkloadAPI/FetchX509SVID"),
        (":authority", authority),
        ("te", "trailers"),
        ("workload.spiffe.io", "true"),
    ];
    let owned = fields.map(|(name, value)| (name.into(), value.into()));
    owned.to_vec()
}

/// A client's encoder, which uses its table wherever it can and Huffman's code.
struct Client(Encoder<'static>);

impl Client {
    fn new() -> Self {
        Self(Encoder::default())
    }

    fn block(&mut self, fields: &[Field]) -> Vec<u8> {
        let flags = Encoder::WITH_INDEXING
            | Encoder::HUFFMAN_NAME
            | Encoder::HUFFMAN_VALUE
            | Encoder::BEST_FORMAT;
        let mut block = Vec::new();
        for (name, value) in fields {
            let field = (name.clone(), value.clone(), flags);
            self.0.encode(field, &mut block).unwrap();
        }
        block
    }
}

fn read(decoder: &mut Decoder<'_>, mut block: Vec<u8>) -> Vec<Field> {
    let mut fields = Vec::new();
    decoder.decode(&mut block, &mut fields).unwrap();
    let bare = fields.into_iter().map(|(name, value, _)| (name, value));
    bare.collect()
}

fn fed(bytes: &[u8]) -> Result<Vec<u8>, FramesError> {
    let mut out = Vec::new();
    Frames::new().feed(bytes, &mut out)?;
    Ok(out)
}

#[test]
fn only_an_authority_that_is_none_is_replaced() {
    let table = [
        (PATH, "localhost"),
        ("", "localhost"),
        ("unix:/x", "localhost"),
        ("a b", "localhost"),
        ("localhost", "localhost"),
        ("ca.example:443", "ca.example:443"),
        ("[::1]:80", "[::1]:80"),
    ];
    for (said, heard) in table {
        let block = Client::new().block(&request(said));
        let out = fed(&frame(HEADERS, END_HEADERS, 1, &block)).unwrap();
        let frames = split(&out);
        assert_eq!(frames.len(), 1);
        let fields = read(&mut Decoder::default(), frames[0].3.clone());
        assert_eq!(fields, request(heard), "{said}");
    }
}

#[test]
fn all_but_header_blocks_passes_untouched_however_the_bytes_come() {
    let mut client = Client::new();
    let first = client.block(&request(PATH));
    let second = client.block(&request(PATH));
    assert!(second.len() < 10, "the second refers to the table");
    let (head, tail) = first.split_at(7);
    let said = [
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(HEADERS, 0, 1, head),
        frame(CONTINUATION, END_HEADERS, 1, tail),
        frame(DATA, END_STREAM, 1, &[0; 300]),
        frame(SETTINGS, 1, 0, &[]),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, &second),
        frame(0xbe, 0xef, 3, b"unknown kinds too"),
    ]
    .concat();
    let whole = fed(&said).unwrap();
    let frames = split(&whole);
    let kinds: Vec<_> = frames.iter().map(|it| (it.0, it.1, it.2)).collect();
    let expected = [
        (SETTINGS, 0, 0),
        (HEADERS, END_HEADERS, 1),
        (DATA, END_STREAM, 1),
        (SETTINGS, 1, 0),
        (HEADERS, END_HEADERS | END_STREAM, 3),
        (0xbe, 0xef, 3),
    ];
    assert_eq!(kinds, expected);
    let mut decoder = Decoder::default();
    for block in [&frames[1].3, &frames[4].3] {
        assert_eq!(read(&mut decoder, block.clone()), request("localhost"));
    }
    assert_eq!(frames[2].3, [0; 300]);
    for at in 0..=said.len() {
        let (mut parts, mut out) = (Frames::new(), Vec::new());
        for part in [&said[..at], &said[at..]] {
            parts.feed(part, &mut out).unwrap();
        }
        assert!(out == whole, "cut at {at}");
    }
    let (mut octets, mut out) = (Frames::new(), Vec::new());
    for octet in said.chunks(1) {
        octets.feed(octet, &mut out).unwrap();
    }
    assert!(out == whole, "one by one");
}

#[test]
fn padding_goes_and_priority_stays() {
    let block = Client::new().block(&request(PATH));
    let priority = [0, 0, 0, 0, 15];
    let padded = [&[4], &priority[..], &block, &[0; 4]].concat();
    let flags = END_HEADERS | PADDED | PRIORITY;
    let frames = split(&fed(&frame(HEADERS, flags, 5, &padded)).unwrap());
    assert_eq!((frames[0].1, frames[0].2), (END_HEADERS | PRIORITY, 5));
    let (before, block) = frames[0].3.split_at(5);
    assert_eq!(before, priority);
    let fields = read(&mut Decoder::default(), block.to_vec());
    assert_eq!(fields, request("localhost"));
}

#[test]
fn a_block_that_grows_beyond_a_frame_is_cut() {
    let mut fields = request(PATH);
    // Huffman's code has five bits for each of these.
    fields.push((b"x-long".to_vec(), vec![b'a'; 24 * 1024]));
    let block = Client::new().block(&fields);
    assert!(block.len() < 16 * 1024);
    let frames = split(&fed(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).unwrap());
    let kinds: Vec<_> = frames.iter().map(|it| (it.0, it.1, it.2)).collect();
    let expected = [(HEADERS, END_STREAM, 1), (CONTINUATION, END_HEADERS, 1)];
    assert_eq!(kinds, expected);
    assert!(frames.iter().all(|it| it.3.len() <= 16 * 1024));
    let whole = frames.into_iter().flat_map(|it| it.3).collect();
    fields[3].1 = b"localhost".to_vec();
    assert_eq!(read(&mut Decoder::default(), whole), fields);
}

#[test]
fn what_breaks_the_standard_or_a_limit_ends_the_connection() {
    let block = Client::new().block(&request(PATH));
    let mut stormy = frame(HEADERS, 0, 1, &block);
    stormy.extend(frame(CONTINUATION, 0, 1, &[]).repeat(100));
    let mut endless = frame(HEADERS, 0, 1, &[0; 16_000]);
    endless.extend(frame(CONTINUATION, 0, 1, &[0; 1000]));
    let bomb = {
        let mut block = vec![0x40, 1, b'x', 0x7f, 0x81, 0x1e];
        block.extend([b'x'; 127 + 1 + 30 * 128]);
        block.extend([0xbe; 60]);
        block
    };
    let table: [(Vec<u8>, FramesError); 12] = [
        (
            [frame(HEADERS, 0, 1, &block), frame(DATA, 0, 1, &[])].concat(),
            FramesError::Interleaved,
        ),
        (
            [frame(HEADERS, 0, 1, &[]), frame(CONTINUATION, 4, 3, &block)].concat(),
            FramesError::Interleaved,
        ),
        (stormy, FramesError::LongBlock),
        (endless, FramesError::LongBlock),
        (frame(HEADERS, 4, 1, &[0; 17_000]), FramesError::LongBlock),
        (
            frame(HEADERS, END_HEADERS | PADDED, 1, &[9, 0, 0]),
            FramesError::Padding,
        ),
        (
            frame(HEADERS, END_HEADERS | PADDED, 1, &[]),
            FramesError::Padding,
        ),
        (
            frame(HEADERS, END_HEADERS | PRIORITY, 1, &[0; 4]),
            FramesError::Padding,
        ),
        (
            frame(HEADERS, END_HEADERS, 1, &[0x3f]),
            FramesError::NotHpack,
        ),
        (
            frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff]),
            FramesError::NotHpack,
        ),
        (
            frame(HEADERS, END_HEADERS, 1, &[0x82; 200]),
            FramesError::ManyFields,
        ),
        (
            frame(HEADERS, END_HEADERS, 1, &bomb),
            FramesError::LongList { size: 61 * 3969 },
        ),
    ];
    for (number, (bytes, error)) in table.into_iter().enumerate() {
        assert_eq!(fed(&bytes).err(), Some(error), "line {number}");
    }
    // A larger table than our settings allow: 4097.
    let larger = frame(HEADERS, END_HEADERS, 1, &[0x3f, 0xe2, 0x1f, 0x82]);
    assert_eq!(fed(&larger).err(), Some(FramesError::NotHpack));
}

/// Numbers that are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }
}

#[test]
fn tables_stay_in_step_over_many_requests() {
    let mut dice = Dice(7);
    let (mut client, mut server) = (Client::new(), Decoder::default());
    let (mut frames, mut stream) = (Frames::new(), 1);
    for _ in 0..2000 {
        let mut fields = request(["localhost", PATH][dice.roll(2)]);
        for _ in 0..dice.roll(12) {
            let name = format!("x-{}", dice.roll(40));
            let value = "v".repeat(dice.roll(200));
            fields.push((name.into_bytes(), value.into_bytes()));
        }
        let block = client.block(&fields);
        let mut out = Vec::new();
        let said = frame(HEADERS, END_HEADERS, stream, &block);
        let (one, other) = said.split_at(dice.roll(said.len()));
        frames.feed(one, &mut out).unwrap();
        frames.feed(other, &mut out).unwrap();
        fields[3].1 = b"localhost".to_vec();
        let heard = split(&out).remove(0);
        assert_eq!(read(&mut server, heard.3), fields);
        stream += 2;
    }
}

#[test]
fn strings_in_huffmans_code_are_what_another_decoder_makes_of_them() {
    let mut dice = Dice(5);
    let (mut client, mut server) = (Client::new(), loona_hpack::Decoder::new());
    let mut judge = loona_hpack::Decoder::new();
    let mut frames = Frames::new();
    for length in 0..600 {
        let value: Vec<u8> = (0..length)
            .map(|_| u8::try_from(dice.roll(256)).unwrap())
            .collect();
        let mut fields = request("localhost");
        fields.push((b"x-any".to_vec(), value));
        let block = client.block(&fields);
        assert_eq!(judge.decode(&block).unwrap(), fields);
        let mut out = Vec::new();
        frames
            .feed(&frame(HEADERS, END_HEADERS, 1, &block), &mut out)
            .unwrap();
        let heard = split(&out).remove(0);
        assert_eq!(server.decode(&heard.3).unwrap(), fields);
    }
    // The code for the end of a string, and padding of another code's beginning.
    for coded in [&[0xff, 0xff, 0xff, 0xff][..], &[0x18 | 0b101]] {
        let mut block = vec![0, 1, b'x', 0x80 | u8::try_from(coded.len()).unwrap()];
        block.extend(coded);
        let refused = fed(&frame(HEADERS, END_HEADERS, 1, &block));
        assert_eq!(refused.err(), Some(FramesError::NotHpack), "{coded:?}");
    }
}

#[test]
fn no_bytes_whatsoever_make_it_panic() {
    let mut dice = Dice(11);
    let good = [
        frame(SETTINGS, 0, 0, &[]),
        frame(
            HEADERS,
            END_HEADERS,
            1,
            &Client::new().block(&request(PATH)),
        ),
        frame(DATA, END_STREAM, 1, &[0; 5]),
    ]
    .concat();
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(bytes.len());
            bytes[at] = u8::try_from(dice.roll(256)).unwrap();
        }
        drop(fed(&bytes));
    }
}
