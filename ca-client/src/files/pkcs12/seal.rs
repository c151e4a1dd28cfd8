//! What does the password protect, and how? The key by PBES2 (RFC 8018 section 6.2), the file by a MAC
//! (RFC 7292 section 5.1 and appendix B).

use std::num::NonZeroU32;

use aes::Aes256;
use aes::cipher::Array;
use aes::cipher::BlockModeEncrypt as _;
use aes::cipher::KeyIvInit as _;
use ring::digest;
use ring::hmac;
use ring::pbkdf2;
use ring::rand::SecureRandom;
use yasna::ASN1Result;
use yasna::BERReaderSeq;
use yasna::DERWriter;
use yasna::DERWriterSeq;
use yasna::Tag;
use zeroize::Zeroizing;

use super::StorePassword;
use super::oid;
use crate::files::FilesError;
use crate::key::PrivateKey;

/// A private key that only the password opens.
pub(super) struct SealedKey {
    salt: [u8; SALT],
    iv: [u8; BLOCK],
    /// In its place the key was.
    ciphertext: Zeroizing<Vec<u8>>,
}

/// Encrypts `key` where it is copied to, so that no copy of it stays.
pub(super) fn key(
    key: &PrivateKey,
    password: &StorePassword,
    random: &dyn SecureRandom,
) -> Result<SealedKey, FilesError> {
    let (salt, iv) = (drawn(random)?, drawn(random)?);
    let mut secret = Zeroizing::new([0; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        &salt,
        password.as_bytes(),
        secret.as_mut_slice(),
    );
    let mut ciphertext = padded(key.der());
    let (blocks, _nothing) = Array::slice_as_chunks_mut(&mut ciphertext);
    let mut cipher = cbc::Encryptor::<Aes256>::new((&*secret).into(), (&iv).into());
    cipher.encrypt_blocks(blocks);
    Ok(SealedKey {
        salt,
        iv,
        ciphertext,
    })
}

/// `text` in whole blocks, the last of them filled as RFC 8018 section 6.1.1 step 4 says.
fn padded(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let filling = BLOCK - text.len() % BLOCK;
    let byte = u8::try_from(filling).unwrap_or_default();
    // At its full length from the start: a buffer that grows leaves copies behind.
    let mut blocks = Zeroizing::new(Vec::with_capacity(text.len() + filling));
    blocks.extend_from_slice(text);
    blocks.extend(std::iter::repeat_n(byte, filling));
    blocks
}

impl SealedKey {
    /// `EncryptedPrivateKeyInfo` (RFC 5958 section 3).
    pub(super) fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&oid(PBES2));
                writer.next().write_sequence(|writer| {
                    self.write_derivation(writer);
                    writer.next().write_sequence(|writer| {
                        writer.next().write_oid(&oid(AES256_CBC));
                        writer.next().write_bytes(&self.iv);
                    });
                });
            });
            writer.next().write_bytes(&self.ciphertext);
        });
    }

    /// `PBKDF2-params` (RFC 8018 appendix A.2).
    fn write_derivation(&self, writer: &mut DERWriterSeq<'_>) {
        writer.next().write_sequence(|writer| {
            writer.next().write_oid(&oid(PBKDF2));
            writer.next().write_sequence(|writer| {
                writer.next().write_bytes(&self.salt);
                writer.next().write_u32(ITERATIONS.get());
                writer.next().write_u8(32);
                algorithm(writer.next(), HMAC_SHA256);
            });
        });
    }
}

/// `MacData` (RFC 7292 section 4).
pub(super) struct Mac {
    salt: [u8; SALT],
    tag: hmac::Tag,
}

impl Mac {
    pub(super) fn over(
        content: &[u8],
        password: &StorePassword,
        random: &dyn SecureRandom,
    ) -> Result<Self, FilesError> {
        let salt = drawn(random)?;
        let key = mac_key(password, &salt, ITERATIONS.get());
        let tag = hmac::sign(&key, content);
        Ok(Self { salt, tag })
    }

    pub(super) fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                algorithm(writer.next(), SHA256);
                writer.next().write_bytes(self.tag.as_ref());
            });
            writer.next().write_bytes(&self.salt);
            writer.next().write_u32(ITERATIONS.get());
        });
    }
}

/// Whether `file` is whole, ours and under this password.
pub(in crate::files) fn opens(file: &[u8], password: &StorePassword) -> bool {
    let read = yasna::parse_der(file, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            let content = reader.next().read_sequence(|reader| {
                reader.next().read_oid()?;
                reader
                    .next()
                    .read_tagged(Tag::context(0), |reader| reader.read_bytes())
            })?;
            Ok((content, reader.next().read_sequence(mac_data)?))
        })
    });
    read.is_ok_and(|(content, (tag, salt, iterations))| {
        // Nobody else's count is computed: it could be any.
        iterations == ITERATIONS.get()
            && hmac::verify(&mac_key(password, &salt, iterations), &content, &tag).is_ok()
    })
}

fn mac_data(reader: &mut BERReaderSeq<'_, '_>) -> ASN1Result<(Vec<u8>, Vec<u8>, u32)> {
    let tag = reader.next().read_sequence(|reader| {
        reader.next().read_der()?;
        reader.next().read_bytes()
    })?;
    Ok((tag, reader.next().read_bytes()?, reader.next().read_u32()?))
}

/// The key of the MAC (RFC 7292 appendix B.2): one block of SHA-256 is all that is needed of it.
fn mac_key(password: &StorePassword, salt: &[u8], iterations: u32) -> hmac::Key {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&[PURPOSE_MAC; HASH_BLOCK]);
    hash.update(&filled(salt));
    hash.update(&filled(&password.to_bmp()));
    let mut derived = hash.finish();
    for _ in 1..iterations {
        derived = digest::digest(&digest::SHA256, derived.as_ref());
    }
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

/// `text` again and again, until blocks of the hash are full.
fn filled(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = text.len().next_multiple_of(HASH_BLOCK);
    let mut blocks = Zeroizing::new(Vec::with_capacity(length));
    blocks.extend(text.iter().cycle().take(length));
    blocks
}

fn drawn<const N: usize>(random: &dyn SecureRandom) -> Result<[u8; N], FilesError> {
    let mut bytes = [0; N];
    random
        .fill(&mut bytes)
        .map_err(|_unspecified| FilesError::NoRandomness)?;
    Ok(bytes)
}

/// An algorithm whose parameters are NULL.
fn algorithm(writer: DERWriter<'_>, name: &[u64]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(name));
        writer.next().write_null();
    });
}

/// What Java and its `keytool` take: more is slow to open, and the password should not be one that can be guessed.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);
const SALT: usize = 16;
/// Of AES.
const BLOCK: usize = 16;
/// Of SHA-256.
const HASH_BLOCK: usize = 64;
/// RFC 7292 appendix B.3.
const PURPOSE_MAC: u8 = 3;
/// RFC 8018 appendix A and C.
const PBES2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 13];
const PBKDF2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 12];
const HMAC_SHA256: &[u64] = &[1, 2, 840, 113_549, 2, 9];
/// RFC 3565 section 4.1 and RFC 5754 section 2.2.
const AES256_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 42];
const SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_filled_up_to_the_next_block_and_by_a_whole_one_where_it_ends_with_one() {
        for (length, filling) in [(0, 16), (1, 15), (15, 1), (16, 16), (138, 6), (160, 16)] {
            let blocks = padded(&vec![0xaa; length]);
            let (text, end) = blocks.split_at(length);
            assert!(text.iter().all(|byte| *byte == 0xaa));
            assert_eq!(
                end,
                vec![u8::try_from(filling).unwrap(); filling],
                "{length}"
            );
        }
    }
}
