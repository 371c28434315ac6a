//! The review of the range for operators: which rewards to take out, to restock, and what members want besides.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guerdon_core::identity::Permission;
use guerdon_core::rewards::Uptake;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::assortment::{BELOW_PERCENT, DAYS, Report, review};
use crate::identity::access::{Needs, Pages};

/// The days that can be chosen.
const CHOICES: [i64; 4] = [30, 90, 180, 365];

/// The page of the review.
pub fn pages() -> Pages {
    Pages::default().get("/console/catalogue/range", Needs::Permission(Permission::ReportsRead), page)
}

/// What is to be shown. Whatever is wrong in an address is as if it were not there.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    days: String,
}

struct Line {
    id: String,
    name: String,
    ordered: String,
    /// Per cent, to a tenth.
    share: String,
    /// Of how many.
    of: String,
    free: String,
}

struct Choice {
    days: i64,
    words: String,
    current: bool,
}

struct Category {
    name: String,
    words: String,
}

struct Search {
    text: String,
    count: String,
    last: String,
}

#[derive(Template)]
#[template(path = "console/range.html")]
struct RangePage {
    frame: Frame,
    choices: Vec<Choice>,
    about: String,
    retire_about: String,
    /// Whether there are no orders of the whole time yet.
    early: bool,
    retire: Vec<Line>,
    restock: Vec<Line>,
    categories: Vec<Category>,
    searches: Vec<Search>,
    may_open: bool,
    may_restock: bool,
    may_write: bool,
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Catalogue);
    let days = CHOICES.into_iter().find(|days| days.to_string() == wanted.days).unwrap_or(DAYS);
    let report = review(&state, days, BELOW_PERCENT).await.or_page(&frame)?;
    let Report { stand, window, assortment, searches } = &report;
    let line = |one: &Uptake| {
        let reward = &stand.shelf.reward(one.row)?.reward;
        let of = match one.free {
            Some(_) => format::number(one.of),
            None => frame.say_text("range-of-average", "average", &format::number(one.of)),
        };
        Some(Line {
            id: reward.id.clone(),
            name: reward.name.get(frame.language.tag()).to_owned(),
            ordered: format::number(one.ordered),
            share: format!("{}.{} %", format::number(one.permille() / 10), one.permille() % 10),
            of,
            free: one.free.map_or_else(|| frame.t("catalogue-unlimited"), format::number),
        })
    };
    let name_of = |id: &str| {
        let found = stand.shelf.categories().iter().find(|category| category.id == id);
        found.map_or(id, |category| category.name.get(frame.language.tag())).to_owned()
    };
    let (listed, ordered) = (format::number(assortment.listed), format::number(assortment.ordered));
    let about = [("listed", listed.into()), ("ordered", ordered.into()), ("from", frame.time(window.from).into())];
    Ok(render(&RangePage {
        choices: CHOICES
            .into_iter()
            .map(|choice| Choice {
                days: choice,
                words: frame.say_count("range-days", &usize::try_from(choice).unwrap_or_default()),
                current: choice == days,
            })
            .collect(),
        about: frame.say("range-about", about),
        retire_about: frame.say_text("range-retire-about", "percent", &window.below_percent.to_string()),
        early: window.first_order_at.is_none_or(|first| first > window.from),
        retire: assortment.retire.iter().filter_map(line).collect(),
        restock: assortment.nearly_gone.iter().filter_map(line).collect(),
        categories: assortment
            .categories
            .iter()
            .map(|one| {
                let (rewards, ordered) = (format::number(one.rewards), format::number(one.ordered));
                let places = [("rewards", rewards.into()), ("ordered", ordered.into())];
                Category { name: name_of(&one.id), words: frame.say("range-category", places) }
            })
            .collect(),
        searches: searches
            .iter()
            .map(|one| Search {
                text: one.text.clone(),
                count: format::number(one.count),
                last: frame.time(one.last_at),
            })
            .collect(),
        may_open: frame.actor.may(Permission::ProgramRead),
        may_restock: frame.actor.may(Permission::RewardsRead),
        may_write: frame.actor.may(Permission::ProgramWrite),
        frame,
    }))
}
