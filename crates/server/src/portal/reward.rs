//! One reward: what it is, what it costs, and its redemption by one tap.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::kernel::{Command, Receipt, Refusal, RefusalCode};
use guerdon_core::members::Profile;
use guerdon_core::rewards::{
    CompiledReward, LimitUse, Quote, Reward, RewardKind, Sort, StockLevel, Viewer, Wish, keys_of, level_of,
};
use guerdon_core::time::Timestamp;
use guerdon_store::CommandError;
use serde::Deserialize;

use super::choice::{Asked, ChoiceForm};
use super::own::{Own, own};
use super::reviews;
use super::rewards::{Line, here, lines, market_price, stock_words};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::api::quote;
use crate::catalogue::{Availability, Stand};
use crate::console::{Frame, form_key, render};
use crate::pictures::Thumb;
use crate::{fulfilment, order_choice};

/// How many rewards are proposed in the place of one that cannot be had.
const PROPOSALS: usize = 3;

#[derive(Template)]
#[template(path = "portal/reward.html")]
struct RewardPage {
    frame: Frame,
    place: &'static str,
    address: String,
    name: String,
    kind: Option<String>,
    description: String,
    price: String,
    market: Option<String>,
    stock: Option<String>,
    /// What belongs to its kind, line by line.
    facts: Vec<String>,
    /// What the member has.
    available: String,
    /// What stands in the way: too few points, none left, or what was refused.
    trouble: Option<String>,
    /// What is left afterwards; none: it cannot be redeemed now.
    afterwards: Option<String>,
    redeem: String,
    key: String,
    /// What promises the price to the member.
    quote: String,
    /// What there is to choose before.
    asked: Asked,
    proposals: Vec<Line>,
    /// Whether one of the proposals has a picture.
    pictured: bool,
    pictures: Vec<Thumb>,
    reviews: Option<reviews::Part>,
}

/// `/portal/rewards/{id}`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    show(frame, &state, &own, &id, (None, &ChoiceForm::default())).await
}

/// The form of one redemption.
#[derive(Deserialize)]
pub struct RedeemForm {
    #[serde(default)]
    key: String,
    #[serde(default)]
    quote: String,
    #[serde(flatten)]
    choice: ChoiceForm,
}

/// Redeems one unit at the price that was shown, and leads to the receipt.
pub async fn redeem(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<RedeemForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    // The same form sent twice redeems once.
    let key = format!("portal redeem {}", form.key);
    let command = match at_quote(&state, &own, &key, (&id, &form.quote)) {
        Ok(command) => command.from_channel("portal").by(frame.actor.name()),
        Err(refusal) => return refused(frame, &state, &own, &id, (&refusal, &form.choice)).await,
    };
    let chosen = order_choice::choose(&state, command, (own.id, &id), form.choice.said()).await;
    let command = chosen.map_err(|problem| problem.detail).or_trouble(&frame)?;
    match state.engine.submit_one(command).await {
        Ok(reply) => {
            let receipt: Receipt = serde_json::from_str(&reply.receipt).or_trouble(&frame)?;
            let order = receipt.order.ok_or("a redemption without an order").or_trouble(&frame)?;
            if state.program().reward(&id).is_some_and(|reward| reward.fulfilment.is_some()) {
                // What comes at once is there when the receipt is; where it fails, the receipt says so later.
                drop(fulfilment::settled(&state, order.id).await);
            }
            Ok(Redirect::to(&format!("/portal/orders/{}", order.id)).into_response())
        }
        Err(CommandError::Refused(refusal)) => refused(frame, &state, &own, &id, (&refusal, &form.choice)).await,
        Err(error) => Err(error).or_trouble(&frame),
    }
}

/// The order at a quote that was made for the member and this page.
fn at_quote(state: &AppState, own: &Own, key: &str, (id, token): (&str, &str)) -> Result<Command, Refusal> {
    let opened = Quote::open(&state.keys(), token).filter(|opened| {
        let claimed = opened.claimed();
        claimed.member_id == own.id && claimed.reward_id == id && claimed.quantity == 1
    });
    let opened = opened.ok_or_else(|| Refusal::new(RefusalCode::QuoteAltered, "this page did not show the quote"))?;
    Command::redeem_at(&opened, token, key, state.engine.now(), false)?.in_place(here())
}

/// The page again, with what was in the way.
async fn refused(
    frame: Frame,
    state: &AppState,
    own: &Own,
    id: &str,
    (refusal, form): (&Refusal, &ChoiceForm),
) -> Result<Response, PortalError> {
    let words = match refusal.code {
        // What is missing is told by the page itself.
        RefusalCode::InsufficientPoints | RefusalCode::LimitReached => None,
        RefusalCode::QuoteExpired | RefusalCode::QuoteAltered => Some(frame.t("reward-price-anew")),
        RefusalCode::OutOfStock | RefusalCode::SlotNotOffered if !form.slot.is_empty() => {
            Some(frame.t("reward-slot-gone"))
        }
        RefusalCode::OutOfStock => Some(frame.t("reward-gone")),
        RefusalCode::ChoiceNeeded => Some(frame.t("reward-choose")),
        RefusalCode::InvalidRequest => Some(frame.t("reward-choice-wrong")),
        _ => Some(frame.t("reward-not-now")),
    };
    let mut response = show(frame, state, own, id, (words, form)).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

async fn show(
    frame: Frame,
    state: &AppState,
    own: &Own,
    id: &str,
    (trouble, form): (Option<String>, &ChoiceForm),
) -> Result<Response, PortalError> {
    let stand = state.catalogue.stand(state).await.or_trouble(&frame)?;
    let figures = state.catalogue.figures(state, &stand).await.or_trouble(&frame)?;
    let now = state.engine.now();
    let here = here();
    let viewer = Viewer::new(&stand.program, Some(&own.account), &here, now);
    let row = stand.shelf.row_of(id).ok_or_else(|| PortalError::not_found(&frame))?;
    let offered = stand.shelf.reward(row).filter(|offered| viewer.sees(offered).is_ok());
    let offered = offered.ok_or_else(|| PortalError::not_found(&frame))?;
    let reward = &offered.reward;
    let keys = keys_of(reward);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let stock = state.reader.stock_of(&keys).await.or_trouble(&frame)?;
    let availability = Availability::of(level_of(reward, &stock).as_ref());
    let available = viewer.spendable(reward.currency);
    let quote = quote(state, own.id, id, 1).await.map_err(|problem| problem.detail).or_trouble(&frame)?;
    let missing = quote.points.saturating_sub(available);
    let (limit, used_up) = limit_words(&frame, reward, own, now);
    let trouble = match trouble {
        _ if availability == Availability::SoldOut => Some(frame.t("reward-gone")),
        _ if used_up => limit.clone(),
        _ if missing > 0 => Some(frame.say_text("reward-missing", "points", &frame.points(reward.currency, missing))),
        words => words,
    };
    let asked = asked(&frame, state, (reward, now), own, &stock, form).await?;
    let no_slot = asked.by_appointment && asked.days.is_empty();
    let trouble = if no_slot { Some(frame.t("reward-no-slot")) } else { trouble };
    let can = missing <= 0 && availability != Availability::SoldOut && !used_up && !no_slot;
    let limit = limit.filter(|_| !used_up);
    let afterwards = frame.points(reward.currency, available.saturating_sub(quote.points));
    let proposals = match can {
        true => Vec::new(),
        false => {
            let rows = similar(&stand, &figures, &viewer, row).or_trouble(&frame)?;
            lines(&frame, &stand, &figures, &viewer, rows.into_iter())
        }
    };
    let language = frame.language.tag();
    let description = reward.catalogue.description.as_ref().map_or("", |text| text.get(language));
    let price = frame.points(reward.currency, quote.points);
    let reviews = reviews::part(state, &frame, id).await.map_err(reviews::detail).or_trouble(&frame)?;
    let page = RewardPage {
        reviews,
        place: "rewards",
        address: format!("/portal/rewards/{}", reward.id),
        name: reward.name.get(language).to_owned(),
        kind: reward.kind.as_ref().map(|kind| frame.t(&format!("reward-kind-{}", kind.name()))),
        description: description.to_owned(),
        market: market_price(&frame, offered).map(|money| frame.say_text("reward-market", "money", &money)),
        stock: stock_words(&frame, availability).filter(|_| availability != Availability::SoldOut),
        facts: facts(&frame, offered).into_iter().chain(limit).collect(),
        asked,
        available: frame.say_text("rewards-available", "points", &frame.points(reward.currency, available)),
        trouble,
        afterwards: can.then(|| frame.say_text("reward-afterwards", "points", &afterwards)),
        redeem: frame.say_text("reward-redeem", "points", &price),
        price,
        key: form_key(),
        quote: quote.quote,
        pictured: proposals.iter().any(|line| line.picture.is_some()),
        proposals,
        pictures: reward.catalogue.pictures.iter().map(|picture| Thumb::of(picture, language)).collect(),
        frame,
    };
    Ok(render(&page))
}

/// Up to three rewards that the member can have now: out of the same categories first, what others ordered most first.
fn similar(
    stand: &Arc<Stand>,
    figures: &guerdon_core::rewards::Figures,
    viewer: &Viewer<'_>,
    row: usize,
) -> Result<Vec<usize>, guerdon_store::StoreError> {
    let mut found: Vec<usize> = Vec::new();
    let categories: Vec<&str> = stand.shelf.categories_of(row).map(|category| category.id.as_str()).collect();
    for category in categories.into_iter().map(Some).chain([None]) {
        let wish = Wish {
            category,
            affordable: true,
            in_stock: true,
            sort: Sort::Popularity,
            limit: PROPOSALS + 1,
            ..Wish::default()
        };
        let more = stand.browse(viewer, figures, &wish, None)?.listing.rows;
        for one in more.into_iter().filter(|one| *one != row) {
            if found.len() < PROPOSALS && !found.contains(&one) {
                found.push(one);
            }
        }
    }
    Ok(found)
}

/// What there is to choose; the address book is read only where something is sent.
async fn asked(
    frame: &Frame,
    state: &AppState,
    (reward, now): (&Reward, Timestamp),
    own: &Own,
    stock: &BTreeMap<String, StockLevel>,
    form: &ChoiceForm,
) -> Result<Asked, PortalError> {
    let profile = match reward.needs_address(&frame.program, now) {
        true => {
            let row = state.reader.member(own.id).await.or_trouble(frame)?;
            let profile = row.map(|row| state.profile(&row)).transpose().or_trouble(frame)?;
            profile.flatten().unwrap_or_default()
        }
        false => Profile::default(),
    };
    Asked::of(frame, state, (reward, now), &profile, stock, form).await.or_trouble(frame)
}

/// How many of it the member may still have, in words, and whether that is none.
fn limit_words(frame: &Frame, reward: &Reward, own: &Own, now: Timestamp) -> (Option<String>, bool) {
    let uses = reward.limit_uses(&frame.program.calendar, &own.account, now);
    let Some(narrowest) = uses.min_by_key(LimitUse::left) else { return (None, false) };
    let LimitUse { limit, ends_at, .. } = narrowest;
    let per = frame.t(&format!("limit-per-{}", limit.per.name()));
    let rule = frame.say("reward-limit", [("quantity", limit.quantity.into()), ("per", per.into())]);
    if narrowest.left() > 0 {
        return (
            Some(frame.say("reward-limit-left", [("limit", rule.into()), ("left", narrowest.left().into())])),
            false,
        );
    }
    let again = match ends_at {
        Timestamp::NEVER => frame.say_text("reward-limit-over", "limit", &rule),
        at => frame.say("reward-limit-until", [("limit", rule.into()), ("time", frame.time(at).into())]),
    };
    (Some(again), true)
}

/// What the kind of a reward says, in words.
fn facts(frame: &Frame, offered: &CompiledReward) -> Vec<String> {
    let language = frame.language.tag();
    let money = |major| frame.major_money(major).unwrap_or_default();
    let days = |key: &str, days: i64| frame.say(key, [("count", days.into())]);
    match &offered.reward.kind {
        Some(RewardKind::Coupon { value, minimum, valid_days, scope }) => {
            let value = frame.say_text("reward-coupon-value", "money", &money(*value));
            let minimum = minimum.map(|minimum| frame.say_text("reward-coupon-minimum", "money", &money(minimum)));
            let scope = scope.as_ref().map(|scope| frame.say_text("reward-coupon-scope", "scope", scope.get(language)));
            let valid = valid_days.map(|valid| days("reward-coupon-days", valid));
            [Some(value), minimum, scope, valid].into_iter().flatten().collect()
        }
        Some(RewardKind::Privilege { days: length } | RewardKind::Trial { days: length }) => {
            vec![days("reward-days", *length)]
        }
        Some(RewardKind::Bundle { contents }) => {
            let part = |content: &guerdon_core::rewards::Content| {
                let name = frame.reward_name(&content.reward);
                frame.say("reward-content", [("name", name.into()), ("quantity", content.quantity.into())])
            };
            contents.iter().map(part).collect()
        }
        _ => Vec::new(),
    }
}
