//! One-time codes: six digits to an e-mail address or phone, which prove that it is the caller's.
//!
//! - **Nobody learns who is a member.** Sending and checking never look a member up; what to do for an address that is
//!   proved is up to the caller, afterwards.
//! - **The database alone says nothing.** The challenge's token is with the caller, and the database has its digest. The
//!   token is the key of the code's HMAC (so it takes the place of a salt) and of the sealed address. Whose address it is,
//!   only the program's keyring tells, by a digest.
//! - **Guessing.** Each guess is answered only after the record with one attempt less is written over the version that was
//!   read, so guesses that come at once are counted one by one. Five guesses a code and five codes an hour make 600 guesses
//!   a day against a million codes.
//! - **Limits** are records as well, so they hold for all nodes together, also the ceiling on text messages, which cost
//!   money whoever asks for them. Who asks for codes for somebody else's address
//!   uses up that address's five; a passkey or identity provider is the way in meanwhile.

use std::net::IpAddr;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guerdon_core::hex;
use guerdon_core::privacy::{Keyring, open, seal};
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{CommandError, EngineHandle, Record, RecordChange, StoreError};
use hmac::Mac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::mac::hmac_sha256;
use super::network::Network;
use super::token::{Token, TokenKind, random_bytes};
use crate::AppState;
use crate::language::Language;
use crate::messages::{Address, Channel, CodePurpose, Notice, PostError};
use crate::problem::Problem;

/// The kind of the records of challenges; the id is the digest of the token, the subject that of the address.
pub const CODE: &str = "code";
/// The kind of the records that count codes, by address and by network, and text messages by the hour.
pub const CODE_LIMIT: &str = "code_limit";

/// How long a code is good for, in milliseconds.
pub const LIFE_MS: i64 = 10 * 60_000;
/// Guesses for one code.
pub const GUESSES: u8 = 5;
/// Between two codes for one address, in milliseconds.
pub const RESEND_MS: i64 = 30_000;
/// Codes for one address, and for one network, in an hour.
const PER_ADDRESS: usize = 5;
const PER_NETWORK: usize = 20;
const HOUR_MS: i64 = 3_600_000;
/// How often a write that another one overtook is tried again.
const TRIES: u32 = 20;
const SEALED: &str = "the address of a code";

/// A wish for a code.
#[derive(Debug, Clone, Copy)]
pub struct CodeRequest<'a> {
    /// To where.
    pub to: &'a Address,
    /// What for.
    pub purpose: CodePurpose,
    /// For whom alone it counts, such as the member who changes the address; empty: for nobody in particular.
    pub bound_to: &'a str,
    /// Who asks.
    pub client: IpAddr,
}

/// A code that was made.
pub struct Started {
    /// To be handed to the caller, and back with the code.
    pub challenge: Token,
    /// To be sent.
    pub code: Zeroizing<String>,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// A code as somebody typed it.
#[derive(Clone, Copy)]
pub struct CodeGuess<'a> {
    /// The token of the challenge.
    pub challenge: &'a str,
    /// The code.
    pub code: &'a str,
    /// What it is to prove the address for.
    pub purpose: CodePurpose,
    /// For whom, as in the request.
    pub bound_to: &'a str,
}

/// Why there is no code, or it does not count.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CodeError {
    /// Codes were asked for too often.
    #[error("too many codes were asked for; try again in {0} seconds")]
    TooMany(u64),
    /// As many text messages were sent as may be in an hour, whoever has asked for them.
    #[error(
        "no more text messages can be sent within this hour; ask for a code by e-mail, or try again in {0} seconds"
    )]
    NoMoreTexts(u64),
    /// Not six digits.
    #[error("a code has six digits")]
    Form,
    /// Another code was sent.
    #[error("this is not the code that was sent; guesses left: {0}")]
    Wrong(u8),
    /// Used, guessed at too often, too old, for something else, or never sent.
    #[error("this code does not count any more; ask for a new one")]
    Gone,
    /// It cannot be sent.
    #[error(transparent)]
    Post(#[from] PostError),
    /// It cannot be stored or read.
    #[error(transparent)]
    Store(#[from] CommandError),
}

impl From<CodeError> for Problem {
    fn from(error: CodeError) -> Self {
        let (status, code) = match &error {
            CodeError::TooMany(seconds) => {
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_codes", error.to_string());
                return problem.after(*seconds);
            }
            CodeError::NoMoreTexts(seconds) => {
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "no_more_texts", error.to_string());
                return problem.after(*seconds);
            }
            CodeError::Store(inner) => return inner.clone().into(),
            CodeError::Form => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_code"),
            CodeError::Wrong(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_code"),
            CodeError::Gone => (StatusCode::UNPROCESSABLE_ENTITY, "code_gone"),
            CodeError::Post(PostError::NoSender(_)) => (StatusCode::UNPROCESSABLE_ENTITY, "channel_unavailable"),
            CodeError::Post(PostError::Full) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<StoreError> for CodeError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a one-time code could not be read or written");
        CommandError::Unavailable("codes cannot be sent or checked at the moment; try again in a second".to_owned())
            .into()
    }
}

/// A challenge as it is stored.
#[derive(Serialize, Deserialize)]
struct Challenge {
    channel: Channel,
    purpose: CodePurpose,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    bound_to: String,
    /// HMAC of the code under the token, in hexadecimal digits.
    mac: String,
    /// The address, sealed under a key from the token; base64.
    address: String,
    /// Guesses left.
    left: u8,
    sent_at: Timestamp,
}

/// When codes were sent, the latest last.
#[derive(Default, Serialize, Deserialize)]
struct Sent(Vec<Timestamp>);

impl Sent {
    /// The seconds to wait when `limit` were sent within the hour or the latest is younger than `pause`.
    fn wait(&self, limit: usize, pause: i64, now: Timestamp) -> Option<u64> {
        let within: Vec<i64> = self.within(now).collect();
        let full = within.len().checked_sub(limit).and_then(|first| within.get(first)).map(|oldest| oldest + HOUR_MS);
        let soon = within.last().map(|latest| latest + pause).filter(|until| *until > now.as_millis());
        let until = full.max(soon)?;
        u64::try_from((until - now.as_millis()).max(1)).ok().map(|millis| millis.div_ceil(1_000))
    }

    fn within(&self, now: Timestamp) -> impl Iterator<Item = i64> {
        // A clock that was set back must not keep anyone waiting for longer than the hour.
        let range = now.as_millis() - HOUR_MS + 1..=now.as_millis();
        self.0.iter().map(|at| at.as_millis()).filter(move |at| range.contains(at))
    }

    fn and(&self, now: Timestamp) -> Self {
        Self(self.within(now).map(Timestamp::from_millis).chain([now]).collect())
    }
}

/// Text messages with codes that were sent within an hour of the clock.
#[derive(Default, Serialize, Deserialize)]
struct Texts {
    sent: u32,
}

/// Makes and checks codes.
pub struct Codes<'a> {
    /// Where they are written.
    pub engine: &'a EngineHandle,
    /// Where they are read.
    pub reader: &'a Reader,
    /// Makes the digests of addresses.
    pub keyring: &'a Keyring,
    /// The machine's clock.
    pub now: Timestamp,
    /// How many text messages may be sent in an hour.
    pub texts_per_hour: u32,
}

impl Codes<'_> {
    /// Makes a code, unless there were too many. It is to be sent by the caller; [`send_code`] does both.
    pub async fn start(&self, request: &CodeRequest<'_>) -> Result<Started, CodeError> {
        let address = self.digest("code address", &format!("{}:{}", request.to.channel().name(), request.to.normal()));
        let network = self.digest("code network", &Network::of(request.client).to_string());
        let limits = [(address.as_str(), PER_ADDRESS, RESEND_MS), (network.as_str(), PER_NETWORK, 0)];
        let challenge = Token::generate(TokenKind::OneTime);
        let code = Zeroizing::new(format!("{:06}", u64::from_be_bytes(random_bytes()) % 1_000_000));
        let expires_at = self.now.plus_millis(LIFE_MS);
        let stored = Record::new(CODE, &challenge.digest(), &address, &self.stored(request, &challenge, &code)?)?;
        let stored = stored.until(expires_at);
        for _ in 0..TRIES {
            let mut changes = vec![RecordChange::Put(stored.clone())];
            for (id, limit, pause) in limits {
                changes.push(self.counted(id, limit, pause).await?);
            }
            if request.to.channel() == Channel::Phone {
                changes.push(self.counted_text().await?);
            }
            match self.engine.write_records(changes, Vec::new()).await {
                Ok(()) => return Ok(Started { challenge, code, expires_at }),
                Err(CommandError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CodeError::TooMany(1))
    }

    fn stored(&self, request: &CodeRequest<'_>, challenge: &Token, code: &str) -> Result<Challenge, CodeError> {
        let plain = request.to.as_str().as_bytes();
        let sealed = seal(SEALED, &sealing_key(challenge), random_bytes(), SEALED.as_bytes(), plain);
        let sealed = sealed.map_err(|error| StoreError::Unusable(error.to_string()))?;
        Ok(Challenge {
            channel: request.to.channel(),
            purpose: request.purpose,
            bound_to: request.bound_to.to_owned(),
            mac: hex::encode(&code_mac(challenge, code).finalize().into_bytes().into()),
            address: STANDARD.encode(sealed),
            left: GUESSES,
            sent_at: self.now,
        })
    }

    /// One more code for an address or network.
    async fn counted(&self, id: &str, limit: usize, pause: i64) -> Result<RecordChange, CodeError> {
        let before = self.reader.record(CODE_LIMIT, id, self.now).await?;
        let sent: Sent = before.as_ref().map(Record::read).transpose()?.unwrap_or_default();
        if let Some(seconds) = sent.wait(limit, pause, self.now) {
            return Err(CodeError::TooMany(seconds));
        }
        let sent = sent.and(self.now);
        let record = match before {
            Some(record) => record.with(&sent)?,
            None => Record::new(CODE_LIMIT, id, "", &sent)?,
        };
        Ok(RecordChange::Put(record.until(self.now.plus_millis(HOUR_MS))))
    }

    /// One more text message of this hour.
    async fn counted_text(&self) -> Result<RecordChange, CodeError> {
        let hour = self.now.as_millis().div_euclid(HOUR_MS);
        let end = Timestamp::from_millis((hour + 1) * HOUR_MS);
        let id = format!("texts of hour {hour}");
        let before = self.reader.record(CODE_LIMIT, &id, self.now).await?;
        let Texts { sent } = before.as_ref().map(Record::read).transpose()?.unwrap_or_default();
        if sent >= self.texts_per_hour {
            tracing::warn!(sent, "no more text messages are sent within this hour");
            metrics::counter!("guerdon_messages_total", "kind" => "code", "outcome" => "ceiling").increment(1);
            let wait = u64::try_from(end.as_millis() - self.now.as_millis()).unwrap_or_default();
            return Err(CodeError::NoMoreTexts(wait.div_ceil(1_000)));
        }
        let texts = Texts { sent: sent + 1 };
        let record = match before {
            Some(record) => record.with(&texts)?,
            None => Record::new(CODE_LIMIT, &id, "", &texts)?,
        };
        Ok(RecordChange::Put(record.until(end)))
    }

    /// The address that a code proves, once.
    pub async fn check(&self, guess: &CodeGuess<'_>) -> Result<Address, CodeError> {
        let challenge = Token::parse_as(TokenKind::OneTime, guess.challenge).map_err(|_| CodeError::Gone)?;
        let code: Zeroizing<String> = Zeroizing::new(guess.code.chars().filter(|c| *c != ' ').take(7).collect());
        if code.len() != 6 || !code.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(CodeError::Form);
        }
        for _ in 0..TRIES {
            let record = self.reader.record(CODE, &challenge.digest(), self.now).await?.ok_or(CodeError::Gone)?;
            let mut stored: Challenge = record.read()?;
            if stored.purpose != guess.purpose || stored.bound_to != guess.bound_to {
                return Err(CodeError::Gone);
            }
            let expected = hex::decode(&stored.mac).unwrap_or_default();
            let right = code_mac(&challenge, &code).verify_slice(&expected).is_ok();
            stored.left = stored.left.saturating_sub(1);
            let answer = if right { opened(&challenge, &stored) } else { Err(CodeError::Wrong(stored.left)) };
            let spent = right || stored.left == 0;
            let change = if spent { RecordChange::Delete(record) } else { RecordChange::Put(record.with(&stored)?) };
            match self.engine.write_records(vec![change], Vec::new()).await {
                // Only who has spent a guess hears what it was worth.
                Ok(()) => return answer,
                Err(CommandError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CodeError::TooMany(1))
    }

    fn digest(&self, purpose: &str, text: &str) -> String {
        hex::encode(&self.keyring.digest(purpose, text.as_bytes()))
    }
}

fn opened(challenge: &Token, stored: &Challenge) -> Result<Address, CodeError> {
    let damaged = |problem: String| CodeError::from(StoreError::Unusable(problem));
    let sealed = STANDARD.decode(&stored.address).map_err(|error| damaged(error.to_string()))?;
    let plain = open(SEALED, &sealing_key(challenge), SEALED.as_bytes(), &sealed);
    let plain = plain.map_err(|error| damaged(error.to_string()))?;
    let text = std::str::from_utf8(&plain).map_err(|error| damaged(error.to_string()))?;
    Address::of(stored.channel, text).map_err(damaged)
}

fn sealing_key(challenge: &Token) -> Zeroizing<[u8; 32]> {
    let mac = hmac_sha256(challenge.reveal().as_bytes()).chain_update(b"guerdon code address");
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn code_mac(challenge: &Token, code: &str) -> hmac::Hmac<sha2::Sha256> {
    hmac_sha256(challenge.reveal().as_bytes()).chain_update(b"guerdon code digits ").chain_update(code)
}

fn codes<'a>(state: &'a AppState, keyring: &'a Keyring) -> Codes<'a> {
    let (engine, reader, now) = (&state.engine, &state.reader, state.clock());
    Codes { engine, reader, keyring, now, texts_per_hour: state.post.texts_per_hour() }
}

/// Makes a code and sends it, in a language. The answer is the same, and takes the same time, whoever the address is of.
pub async fn send_code(state: &AppState, language: Language, request: &CodeRequest<'_>) -> Result<Started, CodeError> {
    let channel = request.to.channel();
    if !state.post.takes(channel) {
        return Err(PostError::NoSender(channel).into());
    }
    let keyring = state.keyring.get();
    let codes = codes(state, &keyring);
    let started = codes.start(request).await?;
    let program = state.program();
    let name = program.settings.name.get(language.tag());
    let notice = Notice::Code { purpose: request.purpose, code: &started.code, minutes: LIFE_MS / 60_000 };
    let message = notice.compose(language, name, request.to.clone());
    state.post.send(message.map_err(|error| StoreError::Unusable(error.to_string()))?)?;
    Ok(started)
}

/// Checks a code that was sent by [`send_code`]: the address that it proves, once.
pub async fn check_code(state: &AppState, guess: &CodeGuess<'_>) -> Result<Address, CodeError> {
    let keyring = state.keyring.get();
    let codes = codes(state, &keyring);
    codes.check(guess).await
}

/// To where the code of a challenge went, for the one who holds its token: to show it, or to send another.
pub async fn code_address(state: &AppState, challenge: &str) -> Result<Address, CodeError> {
    let challenge = Token::parse_as(TokenKind::OneTime, challenge).map_err(|_| CodeError::Gone)?;
    let record = state.reader.record(CODE, &challenge.digest(), state.clock()).await?.ok_or(CodeError::Gone)?;
    opened(&challenge, &record.read()?)
}

#[cfg(test)]
mod tests;
