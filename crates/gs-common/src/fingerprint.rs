//! Stable identities: the same thing has the same fingerprint in every run, on every machine, and
//! whatever moved around it.
//!
//! There are two kinds, told apart by their first letter:
//!
//! | form | made by | for |
//! |---|---|---|
//! | `p1-` and 32 hexadecimal digits | [`plain`]: SHA-256 | things that anyone may know: an advisory in a package |
//! | `k1-` and 32 hexadecimal digits | [`Key::of`]: HMAC-SHA-256 (RFC 2104, FIPS 198-1) | secrets: without the key nobody can find a short one by trying |
//!
//! Both are cut to their first 128 bits, which is what a person can still read and far beyond where two
//! of them meet by chance. The number is the version of the form: a change of what goes in, or how, is
//! a new number, so that a stored fingerprint never silently stops to match.
//!
//! What goes in: a domain (which kind of thing it is, so that two kinds never share a fingerprint), then
//! each part, each preceded by its length in bytes as eight bytes, big-endian. So `("a", "bc")` and
//! `("ab", "c")` differ.

use std::io::Read;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The least number of bytes of a key: 128 bits, as much as a fingerprint has.
pub const SHORTEST_KEY: usize = 16;

/// The fingerprint of something that anyone may know.
#[must_use]
pub fn plain(domain: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    each(domain, parts.iter().map(|part| part.as_bytes()), |bytes| {
        hash.update(bytes);
    });
    shown("p1", &hash.finalize())
}

/// The key of keyed fingerprints. It cannot print itself.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// A key that is too short to protect anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint key of {0} bytes can be guessed: it needs at least {SHORTEST_KEY}")]
pub struct ShortKey(pub usize);

impl Key {
    /// Takes a key. Where it is written as text, its bytes are those of the text.
    ///
    /// # Errors
    /// It is shorter than [`SHORTEST_KEY`] bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, ShortKey> {
        if bytes.len() < SHORTEST_KEY {
            return Err(ShortKey(bytes.len()));
        }
        Hmac::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| ShortKey(bytes.len()))
    }

    /// The fingerprint of something that must not be found out by trying.
    #[must_use]
    pub fn of(&self, domain: &str, parts: &[&[u8]]) -> String {
        let mut hash = self.0.clone();
        each(domain, parts.iter().copied(), |bytes| hash.update(bytes));
        shown("k1", &hash.finalize().into_bytes())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Whether a text has the form of a fingerprint of either kind.
#[must_use]
pub fn is_one(text: &str) -> bool {
    let digits = text
        .strip_prefix("p1-")
        .or_else(|| text.strip_prefix("k1-"));
    digits.is_some_and(|digits| {
        digits.len() == 32
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn each<'a>(domain: &'a str, parts: impl Iterator<Item = &'a [u8]>, mut update: impl FnMut(&[u8])) {
    for part in std::iter::once(domain.as_bytes()).chain(parts) {
        update(&(part.len() as u64).to_be_bytes());
        update(part);
    }
}

fn shown(form: &str, digest: &[u8]) -> String {
    format!("{form}-{}", hex(&digest[..digest.len().min(16)]))
}

/// Bytes as lowercase hexadecimal digits, two a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| {
        char::from(if four < 10 {
            b'0' + four
        } else {
            b'a' + four - 10
        })
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The SHA-256 (FIPS 180-4) of what was read, in hexadecimal: what a report says of its inputs.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The same of a whole file or stream, which is never held in memory.
///
/// # Errors
/// It cannot be read to its end.
pub fn sha256_of(mut from: impl Read) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(count) => hash.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Stored fingerprints must match in every later release. The values are from Python's hashlib and
    /// hmac over the bytes that the module's page names.
    #[test]
    fn the_form_is_constant() {
        assert_eq!(
            plain("vulnerability", &["CVE-2021-23337", "npm", "lodash"]),
            "p1-324db99e23460004a63821cc540b3cd5"
        );
        let key = Key::new(b"0123456789abcdef").unwrap();
        assert_eq!(
            key.of("secret", &[b"hunter2hunter2"]),
            "k1-eb5ac87bbcd75ff98a3c7f84df1ee2ab"
        );
    }

    #[test]
    fn a_stream_has_the_hash_of_its_bytes() {
        let bytes = vec![7; (1 << 16) + 1];
        for bytes in [&[][..], b"abc", &bytes] {
            assert_eq!(sha256_of(bytes).unwrap(), sha256(bytes));
        }
        // The example of FIPS 180-4.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_short_key_is_refused_and_none_prints_itself() {
        assert_eq!(Key::new(b"short").unwrap_err(), ShortKey(5));
        let key = Key::new(b"0123456789abcdef").unwrap();
        assert_eq!(format!("{key:?}"), "Key(***)");
    }

    proptest! {
        #[test]
        fn parts_cannot_be_shifted_into_each_other(a in ".{1,9}", b in ".{0,9}", cut in 0_usize..9) {
            let joined = format!("{a}{b}");
            let cut = (0..=cut.min(joined.len())).rev().find(|at| joined.is_char_boundary(*at)).unwrap();
            let (left, right) = joined.split_at(cut);
            prop_assume!((left, right) != (a.as_str(), b.as_str()));
            prop_assert_ne!(plain("x", &[&a, &b]), plain("x", &[left, right]));
            prop_assert_ne!(plain("x", &[&a, &b]), plain("y", &[&a, &b]));
            prop_assert_ne!(plain("x", &[&a]), plain("x", &[&a, ""]));
        }

        #[test]
        fn another_key_is_another_fingerprint(secret in proptest::collection::vec(any::<u8>(), 0..40), one in any::<[u8; 16]>(), other in any::<[u8; 16]>()) {
            prop_assume!(one != other);
            let of = |key: &[u8]| Key::new(key).unwrap().of("secret", &[&secret]);
            prop_assert_ne!(of(&one), of(&other));
            prop_assert!(is_one(&of(&one)));
        }
    }
}
