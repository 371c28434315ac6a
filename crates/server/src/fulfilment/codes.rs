//! Codes between people and the store: sealed on their way in, opened on their way out, never in a log.

use axum::http::StatusCode;
use guerdon_core::hex;
use guerdon_core::limits;
use guerdon_core::privacy::NONCE;
use guerdon_core::redemption::{Funds, Order};
use guerdon_core::rewards::{Fulfilment, RewardKind};
use guerdon_core::time::Timestamp;
use guerdon_store::{CodeUpload, CodesAdded, OrderCode, SealedCode};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// What sealed codes and their digests are for.
const PURPOSE: &str = "code";
/// Letters and digits that nobody takes for one another: <https://www.crockford.com/base32.html>.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// A coupon has four groups of four: 80 bits that nobody guesses.
const GROUPS: usize = 4;
const GROUP: usize = 4;
const DAY_MS: i64 = 86_400_000;
/// Lines that a refusal names at the most.
const LINES_NAMED: usize = 20;

/// What a coupon is worth, as it was when it was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Terms {
    /// How much, in major units of the program's money.
    #[schema(value_type = String)]
    pub value: Decimal,
    /// From which purchase on, in the same; left out: from any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub minimum: Option<Decimal>,
    /// Until when it is good; left out: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub valid_until: Option<Timestamp>,
}

/// A code as its owner sees it.
#[derive(Debug, Clone)]
pub struct OpenCode {
    /// The reward that is a part of a bundle; `None`: the order is for nothing else.
    pub part: Option<String>,
    /// Its number within the order, or within the part, from 1.
    pub unit: i64,
    /// The code.
    pub code: String,
    /// What it is worth, where it says so.
    pub terms: Option<Terms>,
}

/// Seals a code of a reward.
pub fn seal(state: &AppState, reward: &str, code: &str, terms: Option<String>) -> Result<SealedCode, Problem> {
    let keys = state.keys();
    let digest = keys.digest(PURPOSE, code.as_bytes());
    let nonce: [u8; NONCE] = rand::random();
    let sealed = keys.seal_secret(PURPOSE, &owner(reward, &digest), code.as_bytes(), nonce).map_err(unsealed)?;
    Ok(SealedCode { digest, sealed, terms })
}

/// What binds a sealed code to its row.
fn owner(reward: &str, digest: &[u8; 32]) -> String {
    format!("{reward} {}", hex::encode(digest))
}

fn unsealed(error: guerdon_core::privacy::PrivacyError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable", format!("codes cannot be sealed: {error}"))
}

/// A coupon that is made up.
pub fn coupon(state: &AppState, reward: &str, terms: Option<String>) -> Result<SealedCode, Problem> {
    seal(state, reward, &random_code(), terms)
}

fn random_code() -> String {
    let random: [u8; GROUPS * GROUP] = rand::random();
    // 256 is a multiple of the alphabet's length: each letter is as likely as any other.
    let letter = |byte: &u8| ALPHABET.get(usize::from(*byte) % ALPHABET.len()).map_or('0', |byte| char::from(*byte));
    let group = |bytes: &[u8]| bytes.iter().map(letter).collect::<String>();
    random.chunks(GROUP).map(group).collect::<Vec<_>>().join("-")
}

/// What a coupon is worth that is handed out now.
pub fn terms(state: &AppState, kind: &RewardKind) -> Result<Option<String>, Problem> {
    let RewardKind::Coupon { value, minimum, valid_days, .. } = kind else { return Ok(None) };
    let now = state.engine.now();
    let valid_until = valid_days.map(|days| now.plus_millis(days.saturating_mul(DAY_MS)));
    let terms = Terms { value: *value, minimum: *minimum, valid_until };
    serde_json::to_string(&terms)
        .map(Some)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", error.to_string()))
}

/// Opens the codes of an order that was handed out; of others there are none to be seen.
pub async fn of_order(state: &AppState, order: &Order) -> Result<Vec<OpenCode>, Problem> {
    if order.state.funds() != Funds::Spent {
        return Ok(Vec::new());
    }
    let mut opened = Vec::new();
    for handing in state.program().handings(order) {
        let codes = state.reader.codes_of(handing.reward_id, order.id).await?;
        let open = |code: &OrderCode| open(state, handing.reward_id, handing.is_part, code).transpose();
        for code in codes.iter().filter_map(open) {
            opened.push(code?);
        }
    }
    Ok(opened)
}

/// Opens a code; `None`: its member was erased.
fn open(state: &AppState, reward: &str, is_part: bool, code: &OrderCode) -> Result<Option<OpenCode>, Problem> {
    let Some(sealed) = &code.sealed else { return Ok(None) };
    let opened = state.keys().open_secret(PURPOSE, &owner(reward, &code.digest), sealed).map_err(unsealed)?;
    let damaged = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "a stored code is damaged");
    let text = String::from_utf8(opened.to_vec()).map_err(|_| damaged())?;
    let terms = code.terms.as_deref().map(serde_json::from_str).transpose().map_err(|_| damaged())?;
    Ok(Some(OpenCode { part: is_part.then(|| reward.to_owned()), unit: code.unit, code: text, terms }))
}

/// The codes of an order for somebody of the staff, which the audit log tells before they are shown.
pub async fn read_by_staff(state: &AppState, actor: &Actor, order: &Order) -> Result<Vec<OpenCode>, Problem> {
    let codes = of_order(state, order).await?;
    let mut event = actor.event(state.clock(), "code.read", &order.id.to_string());
    event.after = json!({ "codes": codes.len() });
    state.engine.write_records(Vec::new(), vec![event]).await?;
    Ok(codes)
}

/// Puts codes into the vault of a reward: all of them or, where one does not fit, none. Returns how many.
pub async fn upload(state: &AppState, actor: &Actor, reward: &str, codes: &[String]) -> Result<usize, Problem> {
    let known = state.program();
    let known = known.reward(reward).ok_or_else(|| {
        let shown: String = reward.chars().take(64).collect();
        Problem::not_found("unknown_reward", format!("there is no reward `{shown}`"))
    })?;
    if known.fulfilment != Some(Fulfilment::Vault {}) {
        let detail = format!("the reward `{reward}` takes no codes: its `fulfilment` is not `{{ by = \"vault\" }}`");
        return Err(Problem::new(StatusCode::CONFLICT, "no_vault", detail));
    }
    let codes = checked(codes)?;
    let sealed = codes.iter().map(|code| seal(state, reward, code, None)).collect::<Result<Vec<_>, _>>()?;
    let (count, at) = (sealed.len(), state.engine.now());
    let mut event = actor.event(state.clock(), "code.upload", &format!("reward {reward}"));
    event.after = json!({ "codes": count });
    let upload = CodeUpload { reward_id: reward.to_owned(), codes: sealed, at, most: limits::REWARD_CODES };
    match state.engine.add_codes(upload, vec![event]).await? {
        CodesAdded::Added => Ok(count),
        CodesAdded::Duplicates(places) => {
            let lines = named(places.into_iter());
            let detail = format!("these codes are in a vault already: number {lines} of the list; nothing was taken");
            Err(Problem::new(StatusCode::CONFLICT, "duplicate_codes", detail))
        }
        CodesAdded::TooMany => {
            let detail = format!("a reward may have {} codes, those handed out among them", limits::REWARD_CODES);
            Err(Problem::new(StatusCode::CONFLICT, "too_many_codes", detail))
        }
    }
}

/// Codes without the space around them, each of a fit length and there once.
fn checked(codes: &[String]) -> Result<Vec<&str>, Problem> {
    let invalid = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_codes", detail);
    if !(1..=limits::CODE_UPLOAD).contains(&codes.len()) {
        return Err(invalid(format!("`codes` must hold 1 to {} codes, not {}", limits::CODE_UPLOAD, codes.len())));
    }
    let codes: Vec<&str> = codes.iter().map(|code| code.trim()).collect();
    let [least, most] = limits::CODE_CHARS;
    let fits = |code: &str| (least..=most).contains(&code.chars().count()) && !code.chars().any(char::is_control);
    let unfit: Vec<usize> =
        (0..codes.len()).filter(|place| codes.get(*place).is_some_and(|code| !fits(code))).collect();
    if !unfit.is_empty() {
        let lines = named(unfit.into_iter());
        return Err(invalid(format!("a code has {least} to {most} characters; number {lines} of the list has not")));
    }
    let mut seen = std::collections::BTreeSet::new();
    let again: Vec<usize> =
        codes.iter().enumerate().filter(|(_, code)| !seen.insert(**code)).map(|(at, _)| at).collect();
    if !again.is_empty() {
        return Err(invalid(format!(
            "number {} of the list stood there before; give each code once",
            named(again.into_iter())
        )));
    }
    Ok(codes)
}

/// Places counted from 1, the first of them.
fn named(mut places: impl ExactSizeIterator<Item = usize>) -> String {
    let more = places.len().saturating_sub(LINES_NAMED);
    let shown: Vec<String> = places.by_ref().take(LINES_NAMED).map(|place| (place + 1).to_string()).collect();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_checked_and_the_unfit_ones_named() {
        let list = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<String>>();
        assert_eq!(checked(&list(&[" ABCD ", "EFGH"])).unwrap(), ["ABCD", "EFGH"]);
        assert!(checked(&[]).unwrap_err().detail.contains("1 to 5000"));
        let short = checked(&list(&["ABCD", "x", "EFGH", "y"])).unwrap_err();
        assert!(short.detail.contains("number 2, 4 of the list"), "{}", short.detail);
        let twice = checked(&list(&["ABCD", "EFGH", "ABCD "])).unwrap_err();
        assert!(twice.detail.contains("number 3 of the list"), "{}", twice.detail);
        assert!(!twice.detail.contains("ABCD"), "a code stands in no message");
        assert_eq!(named(vec![0; 30].into_iter()), format!("{} and 10 more", vec!["1"; 20].join(", ")));
    }

    #[test]
    fn a_coupon_is_four_groups_of_letters_and_digits_and_never_the_same() {
        let (one, other) = (random_code(), random_code());
        assert_ne!(one, other);
        assert_eq!(one.len(), 19);
        assert!(one.bytes().enumerate().all(|(at, byte)| if at % 5 == 4 {
            byte == b'-'
        } else {
            ALPHABET.contains(&byte)
        }));
    }
}
