//! Signed texts that a till checks without asking anyone: a format, base32 of a body, a dot, base32 of an Ed25519 signature.
//!
//! All of it is in the alphanumeric alphabet of QR codes, which makes the code a size smaller than base64 would, and scanners
//! that type what they read do not stumble over the layout of a keyboard.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Longest text that is looked at; that of an allowance with the longest names of store and terminal has fewer.
const TEXT_BYTES: usize = 1_100;
/// The alphabet of base32, RFC 4648.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A kind of signed text.
pub(crate) struct Form {
    /// What its texts begin with: format and version, such as `GD1.`.
    pub format: &'static str,
    /// Stands before what is signed, so that the signature is good for nothing else.
    pub domain: &'static str,
}

/// Why a text does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is no text of this form.
    Unreadable,
    /// It is not signed by the key.
    Forged,
}

impl Form {
    /// The text of a body.
    pub(crate) fn sign(&self, key: &SigningKey, body: &[u8]) -> String {
        let signed = format!("{}{}", self.format, encode(body));
        let signature = key.sign(format!("{}{signed}", self.domain).as_bytes()).to_bytes();
        format!("{signed}.{}", encode(&signature))
    }

    /// The body of a text that the key has signed. Upper and lower case are the same.
    pub(crate) fn open(&self, key: &VerifyingKey, text: &str) -> Result<Vec<u8>, Unopened> {
        let text = text.trim();
        if text.len() > TEXT_BYTES {
            return Err(Unopened::Unreadable);
        }
        let text = text.to_ascii_uppercase();
        let (signed, signature) = text.rsplit_once('.').ok_or(Unopened::Unreadable)?;
        let body = signed.strip_prefix(self.format).and_then(decode).ok_or(Unopened::Unreadable)?;
        let signature = decode(signature).and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signature = signature.ok_or(Unopened::Unreadable)?;
        let signed = format!("{}{signed}", self.domain);
        key.verify_strict(signed.as_bytes(), &signature).map_err(|_| Unopened::Forged)?;
        Ok(body)
    }
}

/// Base32 without padding.
fn encode(bytes: &[u8]) -> String {
    let (mut text, mut rest, mut bits) = (String::with_capacity(bytes.len() * 8 / 5 + 1), 0_u32, 0);
    for byte in bytes {
        rest = rest << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(digit(rest >> bits));
        }
    }
    if bits > 0 {
        text.push(digit(rest << (5 - bits)));
    }
    text
}

fn digit(value: u32) -> char {
    ALPHABET.get((value & 31) as usize).copied().map_or('A', char::from)
}

/// The bytes of base32 in upper case without padding; nothing when the text could not have come from [`encode`].
fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest, mut bits) = (Vec::with_capacity(text.len() * 5 / 8), 0_u32, 0);
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == byte)?;
        rest = (rest << 5 | u32::try_from(value).ok()?) & 0xFFF;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(rest >> bits & 0xFF).ok()?);
        }
    }
    (bits < 5 && rest & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_standard() {
        for (plain, text) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), plain.as_bytes());
        }
        for wrong in ["M", "MZ", "MZXW6YTBOJ", "m", "1", "MY======"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_text_of_one_form_is_none_of_another() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let (one, other) = (Form { format: "GX1.", domain: "one\n" }, Form { format: "GX1.", domain: "other\n" });
        let text = one.sign(&key, b"body");
        assert_eq!(one.open(&key.verifying_key(), &format!(" {} ", text.to_lowercase())), Ok(b"body".to_vec()));
        assert_eq!(other.open(&key.verifying_key(), &text), Err(Unopened::Forged));
        let longer = Form { format: "GY1.", domain: "one\n" };
        assert_eq!(longer.open(&key.verifying_key(), &text), Err(Unopened::Unreadable));
        assert_eq!(one.open(&key.verifying_key(), &"A".repeat(400)), Err(Unopened::Unreadable));
    }
}
