//! The membership card: a signed text in a QR code, new every 30 seconds, which a till checks without asking anyone.
//!
//! `GD1.` · base32 of member id (8 bytes) and time step (4 bytes) · `.` · base32 of an Ed25519 signature.

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::signed::{Form, Unopened};

use crate::hex;
use crate::id::MemberId;
use crate::privacy::Keyring;
use crate::time::Timestamp;

/// How long a card is shown before the next one takes its place.
pub const STEP_SECONDS: i64 = 30;
/// The texts of cards.
const CARD: Form = Form { format: "GD1.", domain: "guerdon card\n" };

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
        self.sign(&CARD, &body)
    }

    /// Another text that is signed by the same key.
    pub(crate) fn sign(&self, form: &Form, body: &[u8]) -> String {
        form.sign(&self.0, body)
    }
}

impl CardPublicKey {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, String> {
        let problem = || "a public key of cards has 64 hexadecimal digits, as `guerdon card key` shows it".to_owned();
        let bytes = hex::decode(text.trim()).ok_or_else(problem)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| problem())
    }

    /// Opens another text that the key has signed.
    pub(crate) fn open(&self, form: &Form, text: &str) -> Result<Vec<u8>, Unopened> {
        form.open(&self.0, text)
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
    let body = key.open(&CARD, text).map_err(|unopened| match unopened {
        Unopened::Unreadable => CardError::Unreadable,
        Unopened::Forged => CardError::Forged,
    })?;
    let body: [u8; 12] = body.try_into().map_err(|_| CardError::Unreadable)?;
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
    fn a_key_reads_back_and_other_text_is_none() {
        let key = CardKey::new(&[9; 32]).public();
        assert_eq!(CardPublicKey::parse(&format!(" {key}\n")), Ok(key));
        for wrong in ["", "00", &"zz".repeat(32)] {
            assert!(CardPublicKey::parse(wrong).is_err());
        }
    }
}
