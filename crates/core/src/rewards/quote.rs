//! Quotes: a price that is promised to a member for a short time, in a token that only the program can make.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::cash::Cash;
use super::pricing::Priced;
use crate::id::MemberId;
use crate::ledger::CurrencyId;
use crate::limits;
use crate::privacy::Keyring;
use crate::time::Timestamp;

/// What tokens begin with: the form of what follows, without and with a part in money. A quote in points alone is written
/// as it always was.
const FORM: u8 = 1;
const FORM_WITH_CASH: u8 = 2;
/// Bytes of the keyed digest at the end.
const MAC_BYTES: usize = 32;
/// Keeps these digests apart from others of the keyring.
const PURPOSE: &str = "quote";

/// What a quote promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Points for one unit, before the curve.
    pub unit: i64,
    /// Points in all, without what is paid in money.
    pub points: i64,
    /// What is paid in money besides.
    pub cash: Option<Cash>,
    /// Their currency.
    pub currency: CurrencyId,
    /// Until when: at this moment it is over.
    pub expires_at: Timestamp,
}

/// A price that is promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// To whom.
    pub member_id: MemberId,
    /// For what.
    pub reward_id: String,
    /// For how many.
    pub quantity: i64,
    /// What is promised.
    pub promise: Promise,
}

/// A quote as it came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The program has made it.
    Genuine(Quote),
    /// Something in it is not as the program has made it. It is good for no more than to say what was wanted.
    Altered(Quote),
}

/// What stands in a token.
#[derive(Serialize, Deserialize)]
struct Payload {
    member: i64,
    reward: String,
    quantity: i64,
    currency: u16,
    unit: i64,
    points: i64,
    expires_ms: i64,
}

impl Quote {
    /// Promises a price at `at` for [`limits::QUOTE_MS`].
    pub fn new(
        (member_id, reward_id, quantity): (MemberId, &str, i64),
        currency: CurrencyId,
        priced: &Priced,
        at: Timestamp,
    ) -> Self {
        let expires_at = at.plus_millis(limits::QUOTE_MS);
        let promise = Promise { unit: priced.unit, points: priced.points, cash: None, currency, expires_at };
        Self { member_id, reward_id: reward_id.to_owned(), quantity, promise }
    }

    /// The same with a part in money, which the points of the price are without.
    pub fn with_cash(mut self, cash: Option<Cash>) -> Self {
        self.promise.cash = cash;
        self
    }

    /// The token: URL-safe base64, without padding, of the form, the payload in postcard and a keyed digest of both. All nodes
    /// share the key, and it stays when the master key is changed.
    pub fn seal(&self, keyring: &Keyring) -> String {
        let Promise { unit, points, cash, currency, expires_at } = self.promise;
        let payload = Payload {
            member: self.member_id.0,
            reward: self.reward_id.clone(),
            quantity: self.quantity,
            currency: currency.0,
            unit,
            points,
            expires_ms: expires_at.as_millis(),
        };
        let mut bytes = match cash {
            None => postcard::to_extend(&payload, vec![FORM]),
            Some(cash) => postcard::to_extend(&(payload, cash), vec![FORM_WITH_CASH]),
        }
        .unwrap_or_default();
        bytes.extend(keyring.digest(PURPOSE, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a token. `None`: it is no quote at all.
    pub fn open(keyring: &Keyring, token: &str) -> Option<Opened> {
        let token = Some(token).filter(|token| token.len() <= limits::QUOTE_CHARS)?;
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        let (payload, cash, rest) = match signed.split_first()? {
            (&FORM, rest) => {
                let (payload, rest) = postcard::take_from_bytes::<Payload>(rest).ok()?;
                (payload, None, rest)
            }
            (&FORM_WITH_CASH, rest) => {
                let ((payload, cash), rest) = postcard::take_from_bytes::<(Payload, Cash)>(rest).ok()?;
                (payload, Some(cash), rest)
            }
            _ => return None,
        };
        let Payload { member, reward, quantity, currency, unit, points, expires_ms } = payload;
        let expires_at = Timestamp::from_millis(expires_ms);
        let promise = Promise { unit, points, cash, currency: CurrencyId(currency), expires_at };
        let quote = Self { member_id: MemberId(member), reward_id: reward, quantity, promise };
        Some(match rest.is_empty() && keyring.is_digest(PURPOSE, signed, mac) {
            true => Opened::Genuine(quote),
            false => Opened::Altered(quote),
        })
    }
}

impl Opened {
    /// What it says, whether or not it is true.
    pub fn claimed(&self) -> &Quote {
        match self {
            Self::Genuine(quote) | Self::Altered(quote) => quote,
        }
    }
}
