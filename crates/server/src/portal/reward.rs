//! One reward: what it is, what it costs, and its redemption by one tap.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::kernel::{Command, Receipt, Refusal, RefusalCode, Tendering};
use guerdon_core::members::Profile;
use guerdon_core::redemption::PaymentTender;
use guerdon_core::rewards::{CompiledReward, LimitUse, Quote, Reward, RewardKind, Split, StockLevel, keys_of};
use guerdon_core::time::Timestamp;
use guerdon_store::CommandError;
use serde::Deserialize;

use super::choice::{Asked, ChoiceForm, Choosing};
use super::group_opening;
use super::own::{Own, Sight, own, own_or_last_known};
use super::reviews;
use super::reward_last_known;
use super::rewards::{Line, here, lines, market_price, stock_words};
use super::trouble::{OrTrouble, PortalError};
use super::waiting::must_wait;
use crate::AppState;
use crate::api::{quote, split_quote};
use crate::catalogue::Availability;
use crate::console::{Frame, form_key, render};
use crate::pictures::Thumb;
use crate::proposals::{Instead, instead};
use crate::scarcity::{self, Entry, may_private};
use crate::{fulfilment, order_choice, payments};

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
    /// Whether the waiting room comes first.
    waiting: bool,
    /// What there is to choose before.
    asked: Asked,
    /// How it may be paid, where there is a choice: the first is checked.
    splits: Vec<Payable>,
    /// How money may be paid, by the names of tenders.
    tenders: Vec<(&'static str, String)>,
    /// By when it can be reached.
    reach: Option<String>,
    /// What a group of friends pays.
    group: Option<group_opening::Offer>,
    proposals: Vec<Line>,
    /// Whether one of the proposals has a picture.
    pictured: bool,
    pictures: Vec<Thumb>,
    reviews: Option<reviews::Part>,
}

/// One way to pay: the quote that promises it, and its words.
struct Payable {
    quote: String,
    words: String,
}

/// `/portal/rewards/{id}`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, PortalError> {
    match own_or_last_known(&state, &frame).await? {
        (own, None) => show(frame, &state, &own, &id, None).await,
        (own, Some(as_of)) => reward_last_known::page(frame, &state, &own, &id, as_of).await,
    }
}

/// The form of one redemption.
#[derive(Deserialize)]
pub struct RedeemForm {
    #[serde(default)]
    key: String,
    #[serde(default)]
    quote: String,
    #[serde(default)]
    tender: String,
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
    let command = match at_quote(&state, &own, &key, (&id, &form)) {
        Ok(command) => command.from_channel("portal").by(frame.actor.name()),
        Err(refusal) => return refused(frame, &state, &own, &id, (&refusal, &form.choice)).await,
    };
    let chosen = order_choice::choose(&state, command, (own.id, &id), form.choice.said()).await;
    let command = chosen.map_err(|problem| problem.detail).or_trouble(&frame)?;
    match scarcity::submit(&state, command, Entry::Own).await {
        Ok(reply) => {
            let receipt: Receipt = serde_json::from_str(&reply.receipt).or_trouble(&frame)?;
            let order = receipt.order.ok_or("a redemption without an order").or_trouble(&frame)?;
            if order.payment.is_some()
                && let Err(problem) = payments::see_to(&state, order.id).await
            {
                if problem.status >= 500 {
                    return Err(problem.detail).or_trouble(&frame);
                }
                return with_trouble(frame, &state, &own, &id, "split-declined").await;
            }
            if fulfilment::hands_out(&state, &id) {
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
fn at_quote(state: &AppState, own: &Own, key: &str, (id, form): (&str, &RedeemForm)) -> Result<Command, Refusal> {
    let token = form.quote.as_str();
    let opened = Quote::open(&state.keys(), token).filter(|opened| {
        let claimed = opened.claimed();
        claimed.member_id == own.id && claimed.reward_id == id && claimed.quantity == 1
    });
    let opened = opened.ok_or_else(|| Refusal::new(RefusalCode::QuoteAltered, "this page did not show the quote"))?;
    let tender = opened.claimed().promise.cash.and_then(|_| PaymentTender::from_name(&form.tender));
    tender.map_or(Ok(()), |tender| state.payments.check(tender))?;
    let tendering = tender.map(|tender| Tendering { tender, split: None });
    Command::redeem_at(&opened, token, key, state.engine.now(), false)?.paid_by(tendering).in_place(here())
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
        RefusalCode::SplitNotOffered | RefusalCode::TenderNotOffered => Some(frame.t("split-not-now")),
        RefusalCode::WaitingRoomRequired => Some(frame.t("reward-waiting")),
        RefusalCode::ChoiceNeeded => Some(frame.t("reward-choose")),
        RefusalCode::InvalidRequest => Some(frame.t("reward-choice-wrong")),
        _ => Some(frame.t("reward-not-now")),
    };
    let mut response = show(frame, state, own, id, Some((words, form))).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// The page again, with words of what was in the way.
async fn with_trouble(
    frame: Frame,
    state: &AppState,
    own: &Own,
    id: &str,
    words: &str,
) -> Result<Response, PortalError> {
    let words = Some(frame.t(words));
    let mut response = show(frame, state, own, id, Some((words, &ChoiceForm::default()))).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// The ways in which money may be paid here, with their words.
pub(super) fn tenders(frame: &Frame, state: &AppState, reward: &Reward) -> Vec<(&'static str, String)> {
    let program = state.program();
    let tenders = program.tenders_for(reward, state.engine.now());
    let taken = tenders.filter(|tender| state.payments.check(*tender).is_ok());
    taken.map(|tender| (tender.name(), frame.t(&format!("tender-{}", tender.name())))).collect()
}

/// Up to three splits of a price that the member can pay: with the least money, with the most, and half-way.
async fn payable(
    frame: &Frame,
    state: &AppState,
    own: &Own,
    reward: &Reward,
    price: i64,
    available: i64,
) -> Vec<Payable> {
    let (program, now) = (state.program(), state.engine.now());
    let Some(range) = program.cash_range(reward, price, now) else { return Vec::new() };
    let least = range.least.points.max(price.saturating_sub(available));
    let most = range.most.points;
    if least > most {
        return Vec::new();
    }
    let mut wanted = vec![least, least.midpoint(most), most];
    wanted.dedup();
    let mut choices = Vec::new();
    for by_money in wanted {
        let split = Some(Split::Points(price.saturating_sub(by_money)));
        // What is not offered any more is left out.
        let Ok(quote) = split_quote(state, own.id, (&reward.id, 1), split).await else { continue };
        let points = frame.points(reward.currency, quote.points);
        let Some(money) = quote.cash_amount().map(|amount| frame.money(amount)) else { continue };
        let words = frame.say("split-part", [("points", points.into()), ("money", money.into())]);
        choices.push(Payable { quote: quote.quote, words });
    }
    choices
}

/// The page; `again`: what was in the way of its form, and what was typed there.
async fn show(
    frame: Frame,
    state: &AppState,
    own: &Own,
    id: &str,
    again: Option<(Option<String>, &ChoiceForm)>,
) -> Result<Response, PortalError> {
    let stand = state.catalogue.stand(state).await.or_trouble(&frame)?;
    let figures = state.catalogue.figures(state, &stand).await.or_trouble(&frame)?;
    let now = state.engine.now();
    let sight = Sight::now(state);
    let viewer = sight.viewer(&stand.program, own);
    let row = stand.shelf.row_of(id).ok_or_else(|| PortalError::not_found(&frame))?;
    let offered = stand.shelf.reward(row).filter(|offered| viewer.sees(offered).is_ok());
    let offered = offered.ok_or_else(|| PortalError::not_found(&frame))?;
    let reward = &offered.reward;
    if again.is_none() {
        state.demand.seen(reward, now);
    }
    let nothing_typed = ChoiceForm::default();
    let (trouble, form) = again.unwrap_or((None, &nothing_typed));
    let stock = state.reader.stock_of(&keys_of(reward)).await.or_trouble(&frame)?;
    let private = may_private(state, own.id, offered).await.or_trouble(&frame)?;
    let availability = Availability::of(viewer.left(offered, &stock, private));
    let available = viewer.spendable(reward.currency);
    let quote = quote(state, own.id, id, 1).await.map_err(|problem| problem.detail).or_trouble(&frame)?;
    let missing = quote.points.saturating_sub(available);
    let (limit, used_up) = limit_words(&frame, reward, own, now);
    // That points are missing says more than that the price is another.
    let trouble = trouble.filter(|words| missing <= 0 || *words != frame.t("reward-price-anew"));
    let trouble = match trouble {
        _ if availability == Availability::SoldOut => Some(frame.t("reward-gone")),
        _ if used_up => limit.clone(),
        None if missing > 0 => {
            Some(frame.say_text("reward-missing", "points", &frame.points(reward.currency, missing)))
        }
        words => words,
    };
    let waiting = must_wait(state, own, offered).await.or_trouble(&frame)? && availability != Availability::SoldOut;
    let asked = asked(&frame, state, Choosing::of(reward, now), own, &stock, form).await?;
    let no_slot = asked.lacks_slot();
    let trouble = if no_slot { Some(frame.t("reward-no-slot")) } else { trouble };
    let there = availability != Availability::SoldOut && !used_up && !no_slot && !waiting;
    let can = missing <= 0 && there;
    let limit = limit.filter(|_| !used_up);
    let tenders = tenders(&frame, state, reward);
    let mut splits = Vec::new();
    if there && !tenders.is_empty() {
        splits = payable(&frame, state, own, reward, quote.points, available).await;
        if can && !splits.is_empty() {
            let words = frame.say_text("split-points", "points", &frame.points(reward.currency, quote.points));
            splits.insert(0, Payable { quote: quote.quote.clone(), words });
        }
    }
    let Instead { rows, reachable_on } = match can || waiting {
        true => Instead::default(),
        false => {
            let (who, missing) =
                ((own.id, &own.account, &sight.place), Some(missing).filter(|missing| *missing > 0 && there));
            instead(state, (&stand, &figures), who, row, missing).await.or_trouble(&frame)?
        }
    };
    let reach = reachable_on.map(|day| frame.say_text("reach-by", "date", &day.date().to_string()));
    let proposals = lines(&frame, &stand, &figures, &viewer, rows.into_iter());
    let group = group_opening::offer(&frame, state, &viewer, reward, (quote.unit(), &asked, !tenders.is_empty()))
        .filter(|_| there);
    let afterwards = frame.points(reward.currency, available.saturating_sub(quote.points));
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
        splits,
        tenders,
        reach,
        group,
        waiting,
        pictured: proposals.iter().any(|line| line.picture.is_some()),
        proposals,
        pictures: reward.catalogue.pictures.iter().map(|picture| Thumb::of(picture, language)).collect(),
        frame,
    };
    Ok(render(&page))
}

/// What there is to choose; the address book is read only where something is sent.
pub(super) async fn asked(
    frame: &Frame,
    state: &AppState,
    choosing: Choosing<'_>,
    own: &Own,
    stock: &BTreeMap<String, StockLevel>,
    form: &ChoiceForm,
) -> Result<Asked, PortalError> {
    let profile = match choosing.is_sent(&frame.program) {
        true => {
            let row = state.reader.member(own.id).await.or_trouble(frame)?;
            let profile = row.map(|row| state.profile(&row)).transpose().or_trouble(frame)?;
            profile.flatten().unwrap_or_default()
        }
        false => Profile::default(),
    };
    Asked::of(frame, state, choosing, &profile, stock, form).await.or_trouble(frame)
}

/// How many of it the member may still have, in words, and whether that is none.
pub(super) fn limit_words(frame: &Frame, reward: &Reward, own: &Own, now: Timestamp) -> (Option<String>, bool) {
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
pub(super) fn facts(frame: &Frame, offered: &CompiledReward) -> Vec<String> {
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
