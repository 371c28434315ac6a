//! One reward while the database is away: what it is and what it costs, and nothing to send.

use askama::Template;
use axum::response::Response;
use guerdon_core::time::Timestamp;

use super::own::{Own, Sight, last_known_words};
use super::reward::facts;
use super::rewards::{market_price, stock_words};
use super::trouble::{OrTrouble, PortalError, unanswered};
use crate::AppState;
use crate::catalogue::Availability;
use crate::console::{Frame, render};
use crate::degraded::{earlier, mark};
use crate::pictures::Thumb;

#[derive(Template)]
#[template(path = "portal/reward_last_known.html")]
struct LastKnownPage {
    frame: Frame,
    place: &'static str,
    last_known: Option<String>,
    name: String,
    kind: Option<String>,
    description: String,
    price: String,
    market: Option<String>,
    stock: Option<String>,
    facts: Vec<String>,
    available: String,
    pictures: Vec<Thumb>,
}

/// The page for a member as the account was at a moment.
pub async fn page(
    frame: Frame,
    state: &AppState,
    own: &Own,
    id: &str,
    as_of: Timestamp,
) -> Result<Response, PortalError> {
    let stand = state.catalogue.stand(state).await.or_trouble(&frame)?;
    let seen = state.catalogue.seen(state, &stand).await.map_err(|why| unanswered(&frame, why))?;
    let as_of = earlier(seen.as_of, Some(as_of));
    let sight = Sight::now(state);
    let viewer = sight.viewer(&stand.program, own);
    let row = stand.shelf.row_of(id).ok_or_else(|| PortalError::not_found(&frame))?;
    let offered = stand.shelf.reward(row).filter(|offered| viewer.sees(offered).is_ok());
    let offered = offered.ok_or_else(|| PortalError::not_found(&frame))?;
    let (reward, language) = (&offered.reward, frame.language.tag());
    let available = frame.points(reward.currency, viewer.spendable(reward.currency));
    let page = LastKnownPage {
        place: "rewards",
        last_known: as_of.map(|at| last_known_words(&frame, at)),
        name: reward.name.get(language).to_owned(),
        kind: reward.kind.as_ref().map(|kind| frame.t(&format!("reward-kind-{}", kind.name()))),
        description: reward.catalogue.description.as_ref().map_or("", |text| text.get(language)).to_owned(),
        price: frame.points(reward.currency, viewer.price_of(reward)),
        market: market_price(&frame, offered).map(|money| frame.say_text("reward-market", "money", &money)),
        stock: stock_words(&frame, Availability::of(seen.value.left(row, offered, &viewer))),
        facts: facts(&frame, offered),
        available: frame.say_text("rewards-available", "points", &available),
        pictures: reward.catalogue.pictures.iter().map(|picture| Thumb::of(picture, language)).collect(),
        frame,
    };
    Ok(mark(render(&page), as_of, state.clock()))
}
