//! Membership cards: the public key, whose card it is, and cards in place of member ids.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::members::{CardError, CardKey, RefKind, STEP_SECONDS, parse_card_number, verify_card};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, id};
use super::members::unknown_member;
use crate::AppState;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(key)).routes(routes!(verify))
}

/// What a till needs to check cards offline.
#[derive(Serialize, ToSchema)]
struct CardKeyView {
    /// What the texts of cards begin with.
    #[schema(example = "GD1")]
    format: &'static str,
    /// How cards are signed.
    #[schema(example = "Ed25519")]
    algorithm: &'static str,
    /// 32 bytes in hexadecimal digits.
    public_key: String,
    /// How long a card is shown before the next one; it is good for one step more.
    #[schema(example = 30)]
    step_seconds: i64,
}

/// Get the public key of membership cards, with which a till checks them offline.
#[utoipa::path(get, path = "/v1/cards/key", tag = "cards", security(()),
    responses((status = 200, body = CardKeyView)))]
async fn key(State(state): State<AppState>) -> Json<CardKeyView> {
    let public_key = CardKey::of(&state.keys()).public().to_string();
    Json(CardKeyView { format: "GD1", algorithm: "Ed25519", public_key, step_seconds: STEP_SECONDS })
}

/// A card as it was read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CardRequest {
    /// The text of the QR code, or the number of the bar code.
    #[schema(example = "0223 2992 7279 4177 5368")]
    card: String,
}

/// Whose card it is.
#[derive(Serialize, ToSchema)]
struct CardView {
    /// The member; of an account that was merged, the one that it was merged into.
    #[schema(value_type = String, example = "mem_066ahg5mr0000")]
    member_id: MemberId,
    /// Whether it proves that the member's portal showed it within the last minute: a QR code does, a bar code does not.
    proved: bool,
    /// `active`, `closed` or `erased`.
    #[schema(example = "active")]
    status: &'static str,
}

/// Check a membership card. The same card may be checked again while it is good: noticing that is up to the till.
#[utoipa::path(post, path = "/v1/cards/verify", tag = "cards",
    security(("key" = ["cards:verify@store"])), request_body = CardRequest,
    responses((status = 200, body = CardView), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 422, description = "`card_unreadable`, `card_wrong_digit`, `card_forged`, `card_stale` or `card_early`",
            body = Problem)))]
async fn verify(State(state): State<AppState>, Body(request): Body<CardRequest>) -> Result<Json<CardView>, Problem> {
    let (shown, proved) = read(&state, &request.card)?;
    let found = state.reader.resolve(shown).await?;
    let (member_id, account) = found.ok_or_else(|| unknown_member(&shown.to_string()))?;
    Ok(Json(CardView { member_id, proved, status: account.status.name() }))
}

/// The member of a card, and whether the card proves that it was shown just now. By the machine's clock, as tills do.
fn read(state: &AppState, card: &str) -> Result<(MemberId, bool), Problem> {
    let signed = card.contains('.');
    let member = if signed {
        verify_card(&CardKey::of(&state.keys()).public(), card, state.clock())
    } else {
        parse_card_number(card)
    };
    member.map(|member| (member, signed)).map_err(Problem::from)
}

/// The member whom a request names in one of the three ways.
pub(super) async fn named_member(
    state: &AppState,
    member_id: Option<&str>,
    external_id: Option<&str>,
    card: Option<&str>,
) -> Result<MemberId, Problem> {
    match (member_id, external_id, card) {
        (Some(text), None, None) => id(text),
        (None, Some(external_id), None) => {
            let reference = state.keys().reference(RefKind::ExternalId, external_id);
            state.reader.member_by_reference(&reference).await?.ok_or_else(|| unknown_member(external_id))
        }
        (None, None, Some(card)) => {
            // The card of an account that was merged leads to the one that goes on: nobody takes printed cards back.
            let (shown, _) = read(state, card)?;
            let found = state.reader.resolve(shown).await?;
            found.map(|(member, _)| member).ok_or_else(|| unknown_member(&shown.to_string()))
        }
        _ => Err(Problem::bad_request("invalid_request", "give one of `member_id`, `external_id` and `card`")),
    }
}

impl From<CardError> for Problem {
    fn from(error: CardError) -> Self {
        let code = match error {
            CardError::Unreadable => "card_unreadable",
            CardError::WrongDigit => "card_wrong_digit",
            CardError::Forged => "card_forged",
            CardError::Stale => "card_stale",
            CardError::Early => "card_early",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}
