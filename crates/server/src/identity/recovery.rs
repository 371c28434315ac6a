//! Recovery codes: ten one-time codes to print, for whoever lost the second factor. Only their digests are stored; at 120
//! bits each there is nothing to guess, so that no slow hash is needed. Those that were made with 80 bits still count.

use guerdon_core::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::identity::token::{random_bytes, same_bytes};

/// How many codes a set has.
pub const CODES: usize = 10;
/// Crockford's base32 in lower case: what looks alike reads alike.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 24 characters of 5 bits.
const DIGITS: usize = 24;
/// What codes had before.
const FORMER_DIGITS: usize = 16;

/// A fresh set: the codes to show once, and what to store.
pub struct NewCodes {
    /// The codes in groups, such as `k7m2-9xqp-04fd-tz3r-8hbn-5wvc`.
    pub codes: Vec<Zeroizing<String>>,
    /// What to store.
    pub stored: RecoveryCodes,
}

/// What is stored of a set: the digests of the codes that are left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCodes {
    #[serde(with = "hex::list")]
    digests: Vec<[u8; 32]>,
}

impl RecoveryCodes {
    /// Ten new codes; the old set is to be forgotten.
    pub fn generate() -> NewCodes {
        let codes: Vec<_> = (0..CODES).map(|_| grouped(&Zeroizing::new(random_bytes::<DIGITS>()))).collect();
        let digests = codes.iter().filter_map(|code| digest(code)).collect();
        NewCodes { codes, stored: Self { digests } }
    }

    /// Uses a code up: true once for each code. The caller stores what is left, over the version it read, so that of two
    /// who come at once with the same code one fails.
    pub fn redeem(&mut self, code: &str) -> bool {
        let Some(wanted) = digest(code) else { return false };
        let before = self.digests.len();
        self.digests.retain(|digest| !same_bytes(digest, &wanted));
        self.digests.len() < before
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.digests.len()
    }
}

/// 32 divides 256: the low five bits of a random byte are an even choice.
fn grouped(bytes: &[u8; DIGITS]) -> Zeroizing<String> {
    let mut code = Zeroizing::new(String::with_capacity(DIGITS + DIGITS / 4));
    for (position, byte) in bytes.iter().enumerate() {
        if position > 0 && position % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'0')));
    }
    code
}

/// The digest of a code as people type it: capitals, spaces and dashes do not matter, and `o`, `i` and `l` are digits.
fn digest(code: &str) -> Option<[u8; 32]> {
    if code.len() > 64 {
        return None;
    }
    let mut plain = Zeroizing::new(String::with_capacity(64));
    for character in code.chars().filter(|character| !character.is_whitespace() && *character != '-') {
        plain.push(match character.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        });
    }
    let known = [DIGITS, FORMER_DIGITS].contains(&plain.len()) && plain.bytes().all(|byte| ALPHABET.contains(&byte));
    known.then(|| Sha256::digest(plain.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_code_works_once() {
        let NewCodes { codes, mut stored } = RecoveryCodes::generate();
        assert_eq!(codes.iter().map(|code| code.as_str()).collect::<HashSet<_>>().len(), CODES);
        for (used, code) in codes.iter().enumerate() {
            assert_eq!(stored.left(), CODES - used);
            assert!(stored.redeem(code));
            assert!(!stored.redeem(code));
        }
        assert_eq!(stored.left(), 0);
    }

    #[test]
    fn people_may_type_as_they_like() {
        let NewCodes { codes, stored } = RecoveryCodes::generate();
        let code = codes[3].as_str();
        assert_eq!(code.len(), 29, "24 characters of 5 bits in six groups");
        let typed = [
            code.to_uppercase(),
            code.replace('-', " "),
            code.replace('-', ""),
            format!(" {} ", code.replace('0', "O").replace('1', "l")),
        ];
        for typed in typed {
            assert!(stored.clone().redeem(&typed), "{typed}");
        }
        for wrong in ["", "0000-0000-0000-0000", &code[..28], &format!("{code}0"), &"-".repeat(10_000), "ü"] {
            assert!(!stored.clone().redeem(wrong), "{wrong}");
        }
    }

    #[test]
    fn codes_that_were_made_shorter_still_count() {
        let digests = vec![digest("k7m2-9xqp-04fd-tz3r").unwrap()];
        let mut stored = RecoveryCodes { digests };
        assert!(stored.redeem("K7M2 9XQP O4FD TZ3R") && !stored.redeem("k7m2-9xqp-04fd-tz3r"));
    }

    #[test]
    fn what_is_stored_reads_back_and_shows_no_code() {
        let NewCodes { codes, stored } = RecoveryCodes::generate();
        let text = serde_json::to_string(&stored).unwrap();
        assert!(codes.iter().all(|code| !text.contains(code.as_str()) && !text.contains(&code.replace('-', ""))));
        let mut read: RecoveryCodes = serde_json::from_str(&text).unwrap();
        assert_eq!(read, stored);
        assert!(read.redeem(&codes[9]));
    }
}
