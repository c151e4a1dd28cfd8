//! Where does a row live? The keys of layout 2, all in one tree.
//!
//! One tree, because one sled batch on one tree is atomic: a token is spent together with the
//! intent it was spent on, and an intent never lacks its index rows. Every kind of row starts with
//! its own letter and goes on with time, most significant byte first, so that writes go to the end
//! of their range. All keys of one kind have one length.

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;

use crate::ledger::InstanceId;
use crate::ledger::Target;
use crate::ledger::Terms;
use crate::ledger::TokenId;
use crate::x509::Serial;

/// The number of the layout that this file describes.
pub(super) const LAYOUT: u32 = 2;
/// The layout before: without marks, so that a program of that time must not add entries to this one.
pub(super) const LAYOUT_WITHOUT_MARKS: u32 = 1;

/// Key of the row that says which layout this is; its value is four bytes, big-endian.
pub(super) const LAYOUT_ROW: [u8; 1] = *b"V";
/// Key of the row that a probe writes.
pub(super) const PROBE_ROW: [u8; 1] = *b"P";
/// Key of the row with the terms in force.
pub(super) const TERMS_ROW: [u8; 1] = *b"G";
/// `A instance hash` → what the agent acknowledged last under that SPIFFE ID.
pub(super) const ACKNOWLEDGEMENTS: u8 = b'A';
/// `D kind hash` → the denial. Not led by time: a row is looked for by what it is aimed at, and few are written.
pub(super) const DENIALS: u8 = b'D';
/// `E serial` → the intent.
pub(super) const ENTRIES: u8 = b'E';
/// `H issuer bundle instance hash` → last second of the longest-lived leaf, root and holder. The last two are zero for
/// callers who name no instance.
pub(super) const MARKS: u8 = b'H';
/// `L serial` → the leaf's DER.
pub(super) const LEAVES: u8 = b'L';
/// `N instance hash` → serial and root of the leaf that was reserved last for the agent.
pub(super) const NEWEST: u8 = b'N';
/// `R fingerprint of the root` → last second of the longest-lived leaf under it.
pub(super) const ROOTS: u8 = b'R';
/// `S day hash serial` → last second of the leaf. The day is the serial's, so that days and serials sort alike.
pub(super) const BY_SPIFFE_ID: u8 = b'S';
/// `T id` → the token.
pub(super) const TOKENS: u8 = b'T';
/// `X hour serial` → last second of the leaf, which lies in that hour.
pub(super) const BY_EXPIRY: u8 = b'X';

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const HOUR_SECONDS: u64 = 60 * 60;

/// Sixteen bytes of the SHA-256 of a SPIFFE ID: short, of one length, and compared again on the entry.
pub(super) type IdHash = [u8; 16];

/// An agent under one SPIFFE ID, as keys name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct HolderKey {
    instance: [u8; 16],
    hash: IdHash,
}

impl HolderKey {
    pub(super) fn of(instance: InstanceId, id: &SpiffeId) -> Self {
        Self {
            instance: *instance.as_bytes(),
            hash: hash_of(id),
        }
    }

    pub(super) fn instance(&self) -> InstanceId {
        InstanceId::from(self.instance)
    }

    /// What a key of the rows about holders ends in.
    pub(super) fn at_end_of(key: &[u8]) -> Option<Self> {
        let (rest, hash) = key.split_last_chunk::<16>()?;
        Some(Self {
            instance: *rest.last_chunk::<16>()?,
            hash: *hash,
        })
    }
}

pub(super) fn denial(target: &Target) -> Vec<u8> {
    let (kind, hash) = match target {
        Target::SpiffeId(id) => (b'i', Fingerprint::of(id.as_str().as_bytes())),
        Target::Serial(number) => (b's', Fingerprint::of(number.to_string().as_bytes())),
        Target::Key(key) => (b'k', *key),
    };
    join(&[&[DENIALS, kind], hash.as_bytes()])
}

pub(super) fn entry(serial: Serial) -> Vec<u8> {
    join(&[&[ENTRIES], serial.as_bytes()])
}

pub(super) fn leaf(serial: Serial) -> Vec<u8> {
    join(&[&[LEAVES], serial.as_bytes()])
}

/// Without a holder: of all callers who name no instance.
pub(super) fn mark(issuer: &Fingerprint, bundle: u64, holder: Option<HolderKey>) -> Vec<u8> {
    let HolderKey { instance, hash } = holder.unwrap_or(HolderKey {
        instance: [0; 16],
        hash: [0; 16],
    });
    let bundle = bundle.to_be_bytes();
    join(&[&[MARKS], issuer.as_bytes(), &bundle, &instance, &hash])
}

pub(super) fn newest(holder: &HolderKey) -> Vec<u8> {
    join(&[&[NEWEST], &holder.instance, &holder.hash])
}

pub(super) fn acknowledgement(holder: &HolderKey) -> Vec<u8> {
    join(&[&[ACKNOWLEDGEMENTS], &holder.instance, &holder.hash])
}

pub(super) fn root(root: &Fingerprint) -> Vec<u8> {
    join(&[&[ROOTS], root.as_bytes()])
}

pub(super) fn token(id: TokenId) -> Vec<u8> {
    join(&[&[TOKENS], &id.0])
}

pub(super) fn by_spiffe_id(day: u32, hash: &IdHash, serial: Serial) -> Vec<u8> {
    join(&[&[BY_SPIFFE_ID], &day.to_be_bytes(), hash, serial.as_bytes()])
}

pub(super) fn by_expiry(hour: u32, serial: Serial) -> Vec<u8> {
    join(&[&[BY_EXPIRY], &hour.to_be_bytes(), serial.as_bytes()])
}

/// The smallest key behind all of kind `letter`.
pub(super) fn end_of(letter: u8) -> [u8; 1] {
    [letter.saturating_add(1)]
}

/// The day on which a serial was drawn, from its leading 48 bits of milliseconds.
pub(super) fn day_of(serial: Serial) -> u32 {
    let millis = serial
        .as_bytes()
        .iter()
        .take(6)
        .fold(0_u64, |millis, byte| (millis << 8) | u64::from(*byte));
    u32::try_from(millis / DAY_MS).unwrap_or(u32::MAX)
}

/// The hour, counted from 1970, in which a second lies.
pub(super) fn hour_of(seconds: u64) -> u32 {
    u32::try_from(seconds / HOUR_SECONDS).unwrap_or(u32::MAX)
}

pub(super) fn hash_of(id: &SpiffeId) -> IdHash {
    let digest = Fingerprint::of(id.as_str().as_bytes());
    let mut hash = [0; 16];
    for (short, long) in hash.iter_mut().zip(digest.as_bytes()) {
        *short = *long;
    }
    hash
}

/// The serial that a key ends in.
pub(super) fn serial_in(key: &[u8]) -> Option<Serial> {
    key.last_chunk::<16>().map(|bytes| Serial::from(*bytes))
}

/// The day or hour behind a key's letter.
pub(super) fn segment_in(key: &[u8]) -> Option<u32> {
    let bytes = key.get(1..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

/// The hash in a key of the index by SPIFFE ID.
pub(super) fn hash_in(key: &[u8]) -> Option<IdHash> {
    key.get(5..)?.first_chunk::<16>().copied()
}

/// Issuer and bundle number in the key of a mark.
pub(super) fn terms_in(key: &[u8]) -> Option<Terms> {
    let (issuer, rest) = key.get(1..)?.split_first_chunk::<32>()?;
    Some(Terms {
        issuer: Fingerprint::from(*issuer),
        bundle: u64::from_be_bytes(*rest.first_chunk::<8>()?),
    })
}

/// The root in a key of the rows about roots.
pub(super) fn root_in(key: &[u8]) -> Option<Fingerprint> {
    key.get(1..)?
        .first_chunk::<32>()
        .map(|bytes| Fingerprint::from(*bytes))
}

/// A key for people.
pub(super) fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
