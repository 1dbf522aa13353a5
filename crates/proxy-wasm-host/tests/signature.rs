//! The foreign function `verify_signature`, with keys and signatures made by OpenSSL: `genpkey`
//! (RSA of 2048 bits, P-256, P-384, Ed25519), `dgst -sha… -sign`; the private keys are gone.

use crate::common::guest::bytes;
use crate::common::{MockStream, run};

const OK: u32 = 0;
const BAD_ARGUMENT: u32 = 2;

const TEXT: &[u8] = b"The text that was signed.\n";

macro_rules! data {
    ($name:expr) => {
        include_bytes!(concat!("keys/", $name)).as_slice()
    };
}

/// Hash, signature.
macro_rules! signatures {
    ($key:literal) => {
        [
            ("sha1", data!(concat!($key, ".sha1.sig"))),
            ("sha224", data!(concat!($key, ".sha224.sig"))),
            ("sha256", data!(concat!($key, ".sha256.sig"))),
            ("sha384", data!(concat!($key, ".sha384.sig"))),
            ("sha512", data!(concat!($key, ".sha512.sig"))),
        ]
    };
}

/// A protobuf message of fields with bytes.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, value) in fields {
        message.push(number << 3 | 2);
        message.extend([value.len() as u8 | 0x80, (value.len() >> 7) as u8]);
        message.extend_from_slice(value);
    }
    message
}

/// Hash, key, signature, text.
fn arguments(hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Vec<u8> {
    message(&[(1, hash.as_bytes()), (2, key), (3, signature), (4, text)])
}

/// Status, and the answer: true, or the error of a false.
fn verify(arguments: &[u8]) -> (u32, Result<(), String>) {
    let body = format!(
        "(call $note (call $proxy_call_foreign_function {{verify_signature}} {} @)) (call $say)",
        bytes(arguments)
    );
    let (statuses, said) = run(&body, &MockStream::default());
    let answer = said[0].as_bytes();
    let answer = match answer {
        b"\x08\x01" => Ok(()),
        [0x12, len, error @ ..] => {
            assert_eq!(usize::from(*len), error.len());
            Err(String::from_utf8(error.to_vec()).unwrap())
        }
        other => Err(format!("no answer: {other:?}")),
    };
    (statuses[0], answer)
}

fn differs() -> (u32, Result<(), String>) {
    let error = "Failed to verify digest. Error code: 0";
    (OK, Err(error.to_owned()))
}

#[test]
fn good_signatures() {
    let keys = [
        (data!("rsa.der"), signatures!("rsa")),
        (data!("p256.der"), signatures!("p256")),
        (data!("p384.der"), signatures!("p384")),
    ];
    for (key, signatures) in keys {
        for (hash, signature) in signatures {
            let good = arguments(hash, key, signature, TEXT);
            assert_eq!(verify(&good), (OK, Ok(())), "{hash}");
        }
    }
    // In any case, and in PEM.
    let [.., (_, signature)] = signatures!("rsa");
    let upper = arguments("SHA512", data!("rsa.der"), signature, TEXT);
    assert_eq!(verify(&upper), (OK, Ok(())));
    for (pem, signatures) in [
        (data!("rsa.pem"), signatures!("rsa")),
        (data!("p256.pem"), signatures!("p256")),
    ] {
        let (hash, signature) = signatures[2];
        let fields = [(1, hash.as_bytes()), (5, pem), (3, signature), (4, TEXT)];
        assert_eq!(verify(&message(&fields)), (OK, Ok(())));
    }
}

#[test]
fn signatures_that_differ() {
    for (key, signatures) in [
        (data!("rsa.der"), signatures!("rsa")),
        (data!("p256.der"), signatures!("p256")),
    ] {
        let (hash, good) = signatures[2];
        assert_eq!(verify(&arguments(hash, key, good, b"another")), differs());
        assert_eq!(verify(&arguments("sha384", key, good, TEXT)), differs());
        assert_eq!(verify(&arguments(hash, key, b"", TEXT)), differs());
        let cut = &good[..good.len() - 1];
        assert_eq!(verify(&arguments(hash, key, cut, TEXT)), differs());
        let longer = [good, b"\0"].concat();
        assert_eq!(verify(&arguments(hash, key, &longer, TEXT)), differs());
        let mut changed = good.to_vec();
        changed[good.len() / 2] ^= 1;
        assert_eq!(verify(&arguments(hash, key, &changed, TEXT)), differs());
    }
    // Another key's, and another padding.
    let (hash, other) = signatures!("p384")[2];
    let p256 = data!("p256.der");
    assert_eq!(verify(&arguments(hash, p256, other, TEXT)), differs());
    let (rsa, pss) = (data!("rsa.der"), data!("rsa.pss.sig"));
    assert_eq!(verify(&arguments("sha256", rsa, pss, TEXT)), differs());
}

#[test]
fn unknown_hashes() {
    let (_, good) = signatures!("rsa")[2];
    for hash in ["md5", "", "sha-256", "sha2560"] {
        let answer = verify(&arguments(hash, data!("rsa.der"), good, TEXT));
        assert_eq!(answer, (OK, Err(format!("{hash} is not supported."))));
    }
}

#[test]
fn keys_that_are_none() {
    let (_, good) = signatures!("rsa")[2];
    let rsa = data!("rsa.der");
    for key in [
        &b""[..],
        b"no key",
        &rsa[..rsa.len() - 1],
        data!("rsa.pem"),
        data!("ed25519.der"),
    ] {
        let (status, _) = verify(&arguments("sha256", key, good, TEXT));
        assert_eq!(status, BAD_ARGUMENT, "{} bytes", key.len());
    }
    // Both forms at once, and no message.
    let both = message(&[
        (1, b"sha256"),
        (2, rsa),
        (5, data!("rsa.pem")),
        (3, good),
        (4, TEXT),
    ]);
    assert_eq!(verify(&both).0, BAD_ARGUMENT);
    assert_eq!(verify(&both[..both.len() - 1]).0, BAD_ARGUMENT);
}
