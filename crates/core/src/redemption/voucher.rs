//! The voucher of an order that is handed out at a store: a signed text for a QR code, which a till checks without asking
//! anyone, and a short code for whoever types.
//!
//! The text: `GV1.` · base32 of order id (8 bytes), end of its life in seconds since 1970 (4), quantity (2), all big-endian,
//! and the id of the reward · `.` · base32 of an Ed25519 signature.
//!
//! The code has nine characters and a check character, from 31 that nobody takes for one another. Each character counts as
//! often as its place says, and the sum is a multiple of 31: a prime, so that one wrong character, and any two that were
//! exchanged, never fit (as ISO/IEC 7064 does with other numbers).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Order, OrderState, Particulars, PaymentState};
use crate::id::OrderId;
use crate::limits;
use crate::members::{CardKey, CardPublicKey, Form, Unopened};
use crate::privacy::Keyring;
use crate::time::Timestamp;

/// The texts of vouchers.
const VOUCHER: Form = Form { format: "GV1.", domain: "guerdon voucher\n" };
/// Bytes of a body before the id of the reward.
const HEAD: usize = 14;
/// The characters of codes: neither `0` and `O`, nor `1`, `I` and `L`.
const CHARACTERS: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
/// How many there are.
const BASE: usize = CHARACTERS.len();
/// Characters of a code, the check character among them.
const LENGTH: usize = 10;
/// Keeps these digests of the keyring apart from others.
const CODE: &str = "voucher code";
const LOOK_UP: &str = "voucher look-up";

/// Why a voucher is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoucherError {
    /// The text is none of a voucher.
    #[error("this is no voucher: the text of its QR code begins with GV1., its code has 10 letters and digits")]
    Unreadable,
    /// A character of a code is wrong.
    #[error("a character of the code is wrong, or two were exchanged: its check character does not fit")]
    WrongCharacter,
    /// Not signed by the key of this program.
    #[error("the signature is wrong: the voucher is forged, or of another program")]
    Forged,
    /// Shown too long ago.
    #[error("the text of this voucher was good until {0}: let the member show it anew")]
    Stale(Timestamp),
}

/// What the text of a voucher says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// Which order.
    pub order: OrderId,
    /// Of what.
    pub reward_id: String,
    /// How many units are handed out.
    pub quantity: i64,
    /// Until when the text is good, in whole seconds.
    pub expires_at: Timestamp,
}

impl Voucher {
    /// The text for its QR code.
    pub fn sign(&self, key: &CardKey) -> String {
        let seconds = u32::try_from(self.expires_at.as_millis().div_euclid(1_000)).unwrap_or(u32::MAX);
        let quantity = u16::try_from(self.quantity).unwrap_or(u16::MAX);
        let (order, seconds, quantity) = (self.order.0.to_be_bytes(), seconds.to_be_bytes(), quantity.to_be_bytes());
        key.sign(&VOUCHER, &[order.as_slice(), &seconds, &quantity, self.reward_id.as_bytes()].concat())
    }

    /// Opens a text that the key has signed, also one that is good no longer.
    pub fn open(key: &CardPublicKey, text: &str) -> Result<Self, VoucherError> {
        let body = key.open(&VOUCHER, text).map_err(|unopened| match unopened {
            Unopened::Unreadable => VoucherError::Unreadable,
            Unopened::Forged => VoucherError::Forged,
        })?;
        let (head, reward) = body.split_first_chunk::<HEAD>().ok_or(VoucherError::Unreadable)?;
        let [a, b, c, d, e, f, g, h, s, t, u, v, x, y] = *head;
        let seconds = i64::from(u32::from_be_bytes([s, t, u, v]));
        Ok(Self {
            order: OrderId(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            reward_id: String::from_utf8(reward.to_vec()).map_err(|_| VoucherError::Unreadable)?,
            quantity: i64::from(u16::from_be_bytes([x, y])),
            expires_at: Timestamp::from_millis(seconds * 1_000),
        })
    }

    /// Refuses a text that was good until before `at`.
    pub fn check_life(&self, at: Timestamp) -> Result<(), VoucherError> {
        if at < self.expires_at { Ok(()) } else { Err(VoucherError::Stale(self.expires_at)) }
    }
}

/// The code of a voucher.
#[derive(Clone, PartialEq, Eq)]
pub struct VoucherCode([u8; LENGTH]);

impl VoucherCode {
    /// The code of an order. Only the program's keyring leads from the one to the other. `attempt` counts from 0: two orders in
    /// 26 million millions have the same, and then one of them takes the next.
    pub fn of(keyring: &Keyring, order: OrderId, attempt: u32) -> Self {
        let digest = keyring.digest(CODE, &[order.0.to_be_bytes().as_slice(), &attempt.to_be_bytes()].concat());
        let mut rest = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let mut values = [0; LENGTH];
        for value in values.iter_mut().take(LENGTH - 1) {
            *value = usize::try_from(rest % BASE as u128).unwrap_or_default();
            rest /= BASE as u128;
        }
        if let Some(check) = (0..BASE).find(|check| fits(&with_check(values, *check))) {
            values = with_check(values, check);
        }
        Self(values.map(|value| CHARACTERS.get(value).copied().unwrap_or(b'2')))
    }

    /// Reads a code as people type it: in small letters as well, with spaces and hyphens.
    pub fn parse(text: &str) -> Result<Self, VoucherError> {
        if text.len() > 4 * LENGTH {
            return Err(VoucherError::Unreadable);
        }
        let typed: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).collect();
        let typed: [u8; LENGTH] = typed.try_into().map_err(|_| VoucherError::Unreadable)?;
        if !typed.iter().all(u8::is_ascii_alphanumeric) {
            return Err(VoucherError::Unreadable);
        }
        let typed = typed.map(|byte| byte.to_ascii_uppercase());
        let place = |byte: u8| CHARACTERS.iter().position(|known| *known == byte);
        let mut values = [0; LENGTH];
        for (value, byte) in values.iter_mut().zip(typed) {
            *value = place(byte).ok_or(VoucherError::WrongCharacter)?;
        }
        if fits(&values) { Ok(Self(typed)) } else { Err(VoucherError::WrongCharacter) }
    }

    /// By what the code is found: the database alone says no code.
    pub fn look_up(&self, keyring: &Keyring) -> [u8; 32] {
        keyring.digest(LOOK_UP, &self.0)
    }
}

/// Two groups of five, for people.
impl fmt::Display for VoucherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            write!(f, "{}{}", if place == LENGTH / 2 { "-" } else { "" }, char::from(*byte))?;
        }
        Ok(())
    }
}

impl fmt::Debug for VoucherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VoucherCode(…)")
    }
}

fn with_check(mut values: [usize; LENGTH], check: usize) -> [usize; LENGTH] {
    if let Some(last) = values.last_mut() {
        *last = check;
    }
    values
}

fn fits(values: &[usize; LENGTH]) -> bool {
    let sum: usize = values.iter().enumerate().map(|(place, value)| (place + 1) * value).sum();
    sum.is_multiple_of(BASE)
}

/// That something was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOut {
    /// When, by the clock of whoever did it.
    pub at: Timestamp,
    /// In which store.
    pub store: String,
    /// At which terminal.
    pub terminal: String,
}

impl HandedOut {
    /// Checks the lengths; the message names the field.
    pub fn validate(&self) -> Result<(), String> {
        limits::check_text("store", &self.store, limits::KEY_CHARS)?;
        limits::check_text("terminal", &self.terminal, limits::KEY_CHARS)
    }
}

impl fmt::Display for HandedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} at {}", self.at, self.store, self.terminal)
    }
}

/// Whether an order is to be handed out against its voucher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoucherStanding {
    /// Yes.
    Good,
    /// Not yet: somebody looks at it first, it may still be called off, its group is not full, or its money is not confirmed.
    NotYet,
    /// Not yet: whoever hands it out takes its money first.
    Unpaid,
    /// It was handed out, or counts as done.
    HandedOut,
    /// No longer: it was sent, called off, given back, or its time has run out.
    Over,
}

impl VoucherStanding {
    /// Of an order at `at`.
    pub fn of(order: &Order, at: Timestamp) -> Self {
        match order.state {
            OrderState::Completed => Self::HandedOut,
            OrderState::InReview => Self::NotYet,
            OrderState::Placed | OrderState::Approved | OrderState::Fulfilling if order.is_due(at) => Self::Over,
            OrderState::Placed | OrderState::Approved | OrderState::Fulfilling
                if order.details.cooling_until.is_some_and(|until| until > at) =>
            {
                Self::NotYet
            }
            OrderState::Placed | OrderState::Approved | OrderState::Fulfilling | OrderState::Issued => {
                Self::of_particulars(&order.details.particulars)
            }
            _ => Self::Over,
        }
    }

    /// Of an order that could be handed out now, from what it waits for besides.
    fn of_particulars(particulars: &Particulars) -> Self {
        let open = particulars.open_group().is_some();
        match &particulars.payment {
            _ if open => Self::NotYet,
            Some(payment) if !payment.lets_fulfil() => Self::NotYet,
            Some(payment) if payment.state() == PaymentState::Due => Self::Unpaid,
            _ => Self::Good,
        }
    }

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NotYet => "not_yet",
            Self::Unpaid => "unpaid",
            Self::HandedOut => "handed_out",
            Self::Over => "over",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_770_000_010_000);

    fn voucher() -> Voucher {
        Voucher {
            order: "ord_066ahg5mr0001".parse().unwrap(),
            reward_id: "tea-set".to_owned(),
            quantity: 2,
            expires_at: NOW,
        }
    }

    #[test]
    fn a_voucher_opens_under_its_key_alone_and_knows_its_end() {
        let (key, other) = (CardKey::new(&[7; 32]), CardKey::new(&[8; 32]));
        let text = voucher().sign(&key);
        let opened = Voucher::open(&key.public(), &text.to_lowercase()).unwrap();
        assert_eq!(opened, voucher());
        assert_eq!(opened.check_life(NOW.plus_millis(-1)), Ok(()));
        assert_eq!(opened.check_life(NOW), Err(VoucherError::Stale(NOW)));
        assert_eq!(Voucher::open(&other.public(), &text), Err(VoucherError::Forged));
        // A card is no voucher, though the same key has signed it.
        let card = key.show(crate::id::MemberId(42), NOW);
        assert_eq!(Voucher::open(&key.public(), &card), Err(VoucherError::Unreadable));
        let renamed = card.replacen("GD1.", "GV1.", 1);
        assert_eq!(Voucher::open(&key.public(), &renamed), Err(VoucherError::Forged));
    }

    /// The example of docs/pos.md, for whoever writes a till in another language.
    #[test]
    fn the_example_of_the_document_is_a_voucher() {
        let expires_at = Timestamp::parse_rfc3339("2026-02-03T02:40:10Z").unwrap();
        let text = Voucher { expires_at, ..voucher() }.sign(&CardKey::new(&[7; 32]));
        assert!(include_str!("../../../../docs/pos.md").contains(&text), "{text}");
    }

    #[test]
    fn the_longest_voucher_fits() {
        let key = CardKey::new(&[7; 32]);
        let longest = Voucher { reward_id: "r".repeat(64), quantity: limits::ORDER_QUANTITY, ..voucher() };
        let text = longest.sign(&key);
        assert!(text.len() < 260, "{}", text.len());
        assert_eq!(Voucher::open(&key.public(), &text), Ok(longest));
    }

    fn code_of(values: [usize; LENGTH]) -> String {
        values.iter().map(|value| char::from(CHARACTERS[*value])).collect()
    }

    /// A code that fits, from nine values.
    fn fitting(values: [usize; LENGTH]) -> [usize; LENGTH] {
        (0..BASE).map(|check| with_check(values, check)).find(fits).unwrap()
    }

    #[test]
    fn no_slip_of_a_finger_leads_to_another_code() {
        let values = fitting([3, 30, 0, 7, 19, 22, 1, 15, 28, 0]);
        assert!(VoucherCode::parse(&code_of(values)).is_ok());
        for place in 0..LENGTH {
            for wrong in (0..BASE).filter(|wrong| *wrong != values[place]) {
                let mut typed = values;
                typed[place] = wrong;
                assert_eq!(VoucherCode::parse(&code_of(typed)), Err(VoucherError::WrongCharacter));
            }
            for other in (0..LENGTH).filter(|other| values[*other] != values[place]) {
                let mut typed = values;
                typed.swap(place, other);
                assert_eq!(VoucherCode::parse(&code_of(typed)), Err(VoucherError::WrongCharacter));
            }
        }
    }

    #[test]
    fn a_code_is_read_however_it_is_written() {
        let code = code_of(fitting([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]));
        let known = VoucherCode::parse(&code).unwrap();
        let shown = known.to_string();
        assert_eq!((shown.len(), shown.as_bytes()[5]), (11, b'-'));
        for text in [shown.clone(), shown.to_lowercase(), format!(" {} ", shown.replace('-', " "))] {
            assert_eq!(VoucherCode::parse(&text).as_ref(), Ok(&known));
        }
        for wrong in ["", "ABC", "ABCDE-FGHJKM", "茶茶茶", "ABCDE_FGHJ"] {
            assert_eq!(VoucherCode::parse(wrong), Err(VoucherError::Unreadable), "{wrong}");
        }
        let mistaken = format!("0{}", &code[1..]);
        assert_eq!(VoucherCode::parse(&mistaken), Err(VoucherError::WrongCharacter), "there is no zero");
    }
}
