//! `verify_signature`: an RSA (PKCS #1 v1.5, 1024 to 8192 bits) or ECDSA (P-256, P-384) signature
//! of a text. Envoy knows more curves; keys of those are no keys here.

use std::borrow::Cow;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::DecodePublicKey;
use prost::Message;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::Digest;

use wasm_runtime::Guard;

use crate::abi::Status;
use crate::memory::Fault;

/// Most bytes of a key: those that are known are far shorter.
const MAX_KEY: usize = 64 << 10;

/// Bytes of the text between two looks at the clock.
const STEP: usize = 128 << 10;

/// Envoy's `ext/verify_signature.proto`.
#[derive(Message)]
struct Arguments {
    /// `sha1`, `sha224`, `sha256`, `sha384` or `sha512`, in any case.
    #[prost(string, tag = "1")]
    hash_function: String,
    /// A `SubjectPublicKeyInfo` in DER, or …
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
    /// … in PEM; exactly one of the two.
    #[prost(string, tag = "5")]
    public_key_pem: String,
}

#[derive(Message)]
struct Answer {
    #[prost(bool, tag = "1")]
    result: bool,
    /// Why not.
    #[prost(string, tag = "2")]
    error: String,
}

/// `BadArgument`: the arguments are no protobuf message, or the key is no such key. A signature
/// that does not fit, or an unknown hash, is in the answer.
pub(super) fn verify(guard: &mut Guard, arguments: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let arguments = Arguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let key = Key::read(&arguments).ok_or(Status::BadArgument)?;
    let error = match Hash::of(guard, &arguments.hash_function, &arguments.text)? {
        None => format!("{} is not supported.", arguments.hash_function),
        Some(hash) if key.verify(&hash, &arguments.signature) => String::new(),
        // Envoy's words, with OpenSSL's result.
        Some(_) => "Failed to verify digest. Error code: 0".to_owned(),
    };
    let answer = Answer {
        result: error.is_empty(),
        error,
    };
    answer.encode(out).map_err(|_| Status::InternalFailure)?;
    Ok(())
}

struct Hash {
    bytes: Vec<u8>,
    /// What stands before the hash in an RSA signature: its `DigestInfo` (RFC 8017, 9.2, note 1).
    prefix: Vec<u8>,
}

impl Hash {
    /// `None`: an unknown hash.
    fn of(guard: &mut Guard, name: &str, text: &[u8]) -> Result<Option<Hash>, Fault> {
        /// The object identifier's bytes, with tag and length.
        const SHA1: &[u8] = &[6, 5, 0x2b, 0x0e, 3, 2, 0x1a];
        const SHA2: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
        let sha2 = |last| Cow::Owned([SHA2, &[last]].concat());
        let (bytes, oid) = match name.to_ascii_lowercase().as_str() {
            "sha1" => (digest::<sha1::Sha1>(guard, text)?, Cow::Borrowed(SHA1)),
            "sha224" => (digest::<sha2::Sha224>(guard, text)?, sha2(4)),
            "sha256" => (digest::<sha2::Sha256>(guard, text)?, sha2(1)),
            "sha384" => (digest::<sha2::Sha384>(guard, text)?, sha2(2)),
            "sha512" => (digest::<sha2::Sha512>(guard, text)?, sha2(3)),
            _ => return Ok(None),
        };
        // Both lengths are below 128: SEQUENCE { SEQUENCE { oid, NULL }, OCTET STRING hash }.
        let algorithm = oid.len() as u8 + 2;
        let hash = bytes.len() as u8;
        let mut prefix = vec![0x30, algorithm + hash + 4, 0x30, algorithm];
        prefix.extend_from_slice(&oid);
        prefix.extend_from_slice(&[5, 0, 4, hash]);
        Ok(Some(Hash { bytes, prefix }))
    }
}

/// The hash of a text, which may be long.
fn digest<D: Digest>(guard: &mut Guard, text: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut hash = D::new();
    for part in text.chunks(STEP) {
        guard.check().map_err(Fault::Trap)?;
        hash.update(part);
    }
    Ok(hash.finalize().to_vec())
}

enum Key {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
}

impl Key {
    fn read(arguments: &Arguments) -> Option<Key> {
        let der = &arguments.public_key;
        let pem = &arguments.public_key_pem;
        if der.len().max(pem.len()) > MAX_KEY {
            return None;
        }
        match (der.is_empty(), pem.is_empty()) {
            (false, true) => Key::first(
                || RsaPublicKey::from_public_key_der(der).ok(),
                || p256::ecdsa::VerifyingKey::from_public_key_der(der).ok(),
                || p384::ecdsa::VerifyingKey::from_public_key_der(der).ok(),
            ),
            (true, false) => Key::first(
                || RsaPublicKey::from_public_key_pem(pem).ok(),
                || p256::ecdsa::VerifyingKey::from_public_key_pem(pem).ok(),
                || p384::ecdsa::VerifyingKey::from_public_key_pem(pem).ok(),
            ),
            _ => None,
        }
    }

    fn first(
        rsa: impl FnOnce() -> Option<RsaPublicKey>,
        p256: impl FnOnce() -> Option<p256::ecdsa::VerifyingKey>,
        p384: impl FnOnce() -> Option<p384::ecdsa::VerifyingKey>,
    ) -> Option<Key> {
        let key = rsa().map(Key::Rsa);
        let key = key.or_else(|| p256().map(Key::P256));
        key.or_else(|| p384().map(Key::P384))
    }

    fn verify(&self, hash: &Hash, signature: &[u8]) -> bool {
        match self {
            Key::Rsa(key) => {
                let scheme = Pkcs1v15Sign {
                    hash_len: Some(hash.bytes.len()),
                    prefix: hash.prefix.clone().into_boxed_slice(),
                };
                key.verify(scheme, &hash.bytes, signature).is_ok()
            }
            Key::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&hash.bytes, &signature).is_ok()),
            Key::P384(key) => {
                // The crate refuses a hash of less than half the curve's size. Zeros before it
                // change no number.
                let mut padded = vec![0; 48_usize.saturating_sub(hash.bytes.len())];
                padded.extend_from_slice(&hash.bytes);
                p384::ecdsa::Signature::from_der(signature)
                    .is_ok_and(|signature| key.verify_prehash(&padded, &signature).is_ok())
            }
        }
    }
}
