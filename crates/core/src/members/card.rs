//! The membership card: a signed text in a QR code, new every 30 seconds, which a till checks without asking anyone.
//!
//! `GD1.` · base32 of member id (8 bytes) and time step (4 bytes) · `.` · base32 of an Ed25519 signature. All of it is in
//! the alphanumeric alphabet of QR codes, which makes the code a size smaller than base64 would, and scanners that type
//! what they read do not stumble over the layout of a keyboard.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::hex;
use crate::id::MemberId;
use crate::privacy::Keyring;
use crate::time::Timestamp;

/// How long a card is shown before the next one takes its place.
pub const STEP_SECONDS: i64 = 30;
/// What the text of a card begins with: its format and version.
const FORMAT: &str = "GD1.";
/// Stands before what is signed, so that the signature is good for nothing else.
const DOMAIN: &str = "guerdon card\n";
/// Longest text that is looked at; a card has 128 characters.
const TEXT_BYTES: usize = 200;
/// The alphabet of base32, RFC 4648.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Why a card is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The text is none of a card.
    #[error("this is no card: the text of a card begins with GD1. and has 128 characters, a card number has 20 digits")]
    Unreadable,
    /// A digit of a card number is wrong.
    #[error("a digit of the card number is wrong: its check digit does not fit")]
    WrongDigit,
    /// Not signed by the key of this program.
    #[error("the signature is wrong: the card is forged, or of another program")]
    Forged,
    /// Shown too long ago.
    #[error("the card was shown too long ago: let the member show it anew")]
    Stale,
    /// Shown in the future.
    #[error("the card is from the future: the clock of this device is slow")]
    Early,
}

/// The key that signs the cards of a program.
pub struct CardKey(SigningKey);

/// The public half, which is all that a till needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardPublicKey(VerifyingKey);

impl CardKey {
    /// A key of 32 random bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The key of a program.
    pub fn of(keyring: &Keyring) -> Self {
        Self(keyring.card_key().clone())
    }

    /// The public half.
    pub fn public(&self) -> CardPublicKey {
        CardPublicKey(self.0.verifying_key())
    }

    /// The text of a member's card at a moment.
    pub fn show(&self, member: MemberId, now: Timestamp) -> String {
        let step = u32::try_from(step(now)).unwrap_or_default();
        let body = [member.0.to_be_bytes().as_slice(), &step.to_be_bytes()].concat();
        let signed = format!("{FORMAT}{}", encode(&body));
        let signature = self.0.sign(format!("{DOMAIN}{signed}").as_bytes()).to_bytes();
        format!("{signed}.{}", encode(&signature))
    }
}

impl CardPublicKey {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, String> {
        let problem = || "a public key of cards has 64 hexadecimal digits, as `guerdon card key` shows it".to_owned();
        let bytes = hex::decode(text.trim()).ok_or_else(problem)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| problem())
    }
}

impl std::fmt::Display for CardPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

/// Whose card it is, when it was signed by the key and is shown now: at most a step ago or ahead, for clocks differ and
/// people fumble.
pub fn verify_card(key: &CardPublicKey, text: &str, now: Timestamp) -> Result<MemberId, CardError> {
    let text = text.trim();
    if text.len() > TEXT_BYTES {
        return Err(CardError::Unreadable);
    }
    let text = text.to_ascii_uppercase();
    let (signed, signature) = text.rsplit_once('.').ok_or(CardError::Unreadable)?;
    let body = signed.strip_prefix(FORMAT).and_then(decode).ok_or(CardError::Unreadable)?;
    let body: [u8; 12] = body.try_into().map_err(|_| CardError::Unreadable)?;
    let signature = decode(signature).and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signature = signature.ok_or(CardError::Unreadable)?;
    key.0.verify_strict(format!("{DOMAIN}{signed}").as_bytes(), &signature).map_err(|_| CardError::Forged)?;
    let [a, b, c, d, e, f, g, h, step_bytes @ ..] = body;
    let shown = i64::from(u32::from_be_bytes(step_bytes));
    match step(now) - shown {
        ..=-2 => Err(CardError::Early),
        2.. => Err(CardError::Stale),
        _ => Ok(MemberId(i64::from_be_bytes([a, b, c, d, e, f, g, h]))),
    }
}

/// Steps since 1970.
fn step(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(STEP_SECONDS * 1_000)
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

    const NOW: Timestamp = Timestamp::from_millis(1_770_000_010_000);

    #[test]
    fn a_card_is_good_for_its_step_and_the_ones_beside_it() {
        let key = CardKey::new(&[7; 32]);
        let text = key.show(MemberId(42), NOW);
        assert_eq!(text.len(), 128);
        let check = |millis: i64| verify_card(&key.public(), &text, NOW.plus_millis(millis));
        assert_eq!(check(0), Ok(MemberId(42)));
        assert_eq!(check(49_999), Ok(MemberId(42)), "the step began ten seconds before");
        assert_eq!(check(50_000), Err(CardError::Stale));
        assert_eq!(check(-40_000), Ok(MemberId(42)));
        assert_eq!(check(-40_001), Err(CardError::Early));
    }

    /// The example of docs/cards.md, for whoever writes a till in another language.
    #[test]
    fn the_example_of_the_document_is_a_card() {
        let document = include_str!("../../../../docs/cards.md");
        let key = CardKey::new(&[7; 32]);
        let (member, shown) = ("mem_066ahg5mr0000".parse().unwrap(), Timestamp::parse_rfc3339("2026-02-02T02:40:10Z"));
        let text = key.show(member, shown.unwrap());
        for part in [key.public().to_string(), text, crate::members::grouped_card_number(member)] {
            assert!(document.contains(&part), "{part}");
        }
    }

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
    fn a_key_reads_back_and_other_text_is_none() {
        let key = CardKey::new(&[9; 32]).public();
        assert_eq!(CardPublicKey::parse(&format!(" {key}\n")), Ok(key));
        for wrong in ["", "00", &"zz".repeat(32)] {
            assert!(CardPublicKey::parse(wrong).is_err());
        }
    }
}
