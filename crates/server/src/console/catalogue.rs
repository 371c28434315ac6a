//! The catalogue as operators see it: every reward, whether it is offered now, to whom, and what is left of it.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guerdon_core::identity::Permission;
use guerdon_core::limits;
use guerdon_core::rewards::{CompiledReward, Occasion, StockLevel, VisibleTo, Zone, keys_of, level_of};
use guerdon_core::time::Timestamp;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::pictures::Thumb;

/// Rewards of one page.
const PAGE: usize = 50;

/// The pages of the catalogue.
pub fn pages() -> Pages {
    Pages::default().get("/console/catalogue", Needs::Permission(Permission::RewardsRead), page)
}

/// Whether a reward is offered at a moment, to those without early access.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Listed,
    Coming,
    Over,
}

impl Standing {
    fn of(offered: &CompiledReward, at: Timestamp) -> Self {
        if offered.listed_to().is_some_and(|to| to <= at) {
            return Self::Over;
        }
        if offered.is_listed(at) { Self::Listed } else { Self::Coming }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Coming => "coming",
            Self::Over => "over",
        }
    }
}

/// What is to be shown. Whatever is wrong in an address is as if it were not there.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    q: String,
    /// `listed`, `coming`, `over`; empty: all.
    show: String,
    page: usize,
}

struct Line {
    id: String,
    name: String,
    picture: Option<Thumb>,
    price: String,
    standing: &'static str,
    listed: String,
    audience: String,
    stock: String,
    ordered: String,
}

struct Tab {
    words: String,
    show: &'static str,
    current: bool,
}

#[derive(Template)]
#[template(path = "console/catalogue.html")]
struct CataloguePage {
    frame: Frame,
    wanted: Wanted,
    tabs: Vec<Tab>,
    lines: Vec<Line>,
    /// Whether one of them has a picture.
    pictured: bool,
    /// Whether there are any rewards at all.
    any: bool,
    may_open: bool,
    may_write: bool,
    may_review: bool,
    next: Option<usize>,
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(mut wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Catalogue);
    let stand = state.catalogue.stand(&state).await.or_page(&frame)?;
    let figures = state.catalogue.figures(&state, &stand).await.or_page(&frame)?;
    wanted.q = wanted.q.trim().chars().take(limits::SEARCH_CHARS).collect();
    let now = state.engine.now();
    let rows: Vec<usize> = match wanted.q.as_str() {
        "" => (0..stand.shelf.rewards().len()).collect(),
        text => {
            let found = stand.search(text).or_page(&frame)?;
            found.rows.iter().filter_map(|row| usize::try_from(*row).ok()).collect()
        }
    };
    let fits = |row: usize| {
        let offered = stand.shelf.reward(row)?;
        let standing = Standing::of(offered, now);
        (wanted.show.is_empty() || wanted.show == standing.name()).then_some((row, offered, standing))
    };
    let begin = wanted.page.saturating_mul(PAGE);
    let mut shown: Vec<_> = rows.into_iter().filter_map(fits).skip(begin).take(PAGE + 1).collect();
    let more = shown.len() > PAGE;
    shown.truncate(PAGE);
    let keys: Vec<String> = shown.iter().flat_map(|(_, offered, _)| keys_of(&offered.reward)).collect();
    let stock = state.reader.stock_of(&keys).await.or_page(&frame)?;
    let line = |(row, offered, standing): (usize, &CompiledReward, Standing)| {
        let reward = &offered.reward;
        // Without demand, which takes a query for each.
        let price = stand.program.price(reward, Occasion { at: now, tier: None, figures: None, quantity: 1 });
        let price = price.map_or_else(|_| frame.t("none"), |priced| frame.points(reward.currency, priced.unit));
        Line {
            id: reward.id.clone(),
            name: reward.name.get(frame.language.tag()).to_owned(),
            picture: Thumb::first(reward, frame.language.tag()),
            price,
            standing: standing.name(),
            listed: listed_words(&frame, offered, standing),
            audience: audience_words(&frame, offered),
            stock: left_words(&frame, level_of(reward, &stock)),
            ordered: format::number(figures.ordered.get(row).copied().unwrap_or_default()),
        }
    };
    let lines: Vec<Line> = shown.into_iter().map(line).collect();
    let tabs = [("", "all"), ("listed", "listed"), ("coming", "coming"), ("over", "over")];
    let tab = |(show, key): (&'static str, &str)| Tab {
        words: frame.t(&format!("catalogue-show-{key}")),
        show,
        current: wanted.show == show,
    };
    Ok(render(&CataloguePage {
        tabs: tabs.into_iter().map(tab).collect(),
        pictured: lines.iter().any(|line| line.picture.is_some()),
        lines,
        any: stand.shelf.rewards().len() > 0,
        may_open: frame.actor.may(Permission::ProgramRead),
        may_write: frame.actor.may(Permission::ProgramWrite),
        may_review: frame.actor.may(Permission::ReportsRead),
        next: more.then(|| wanted.page.saturating_add(1)),
        wanted,
        frame,
    }))
}

/// When it is offered.
fn listed_words(frame: &Frame, offered: &CompiledReward, standing: Standing) -> String {
    let at = |moment: Option<Timestamp>| frame.time(moment.unwrap_or(Timestamp::ZERO));
    match standing {
        Standing::Listed => frame.t("catalogue-state-listed"),
        Standing::Coming => frame.say_text("catalogue-state-coming", "from", &at(offered.listed_from())),
        Standing::Over => frame.say_text("catalogue-state-over", "to", &at(offered.listed_to())),
    }
}

/// For whom, and where.
fn audience_words(frame: &Frame, offered: &CompiledReward) -> String {
    let catalogue = &offered.reward.catalogue;
    let mut words = Vec::new();
    if catalogue.zone != Zone::Base {
        let zone = frame.t(&format!("zone-{}", catalogue.zone.name()));
        words.push(frame.say_text("catalogue-for-zone", "zone", &zone));
    }
    words.extend(for_words(frame, &catalogue.visible_to));
    match words.is_empty() {
        true => frame.t("catalogue-for-everyone"),
        false => words.join(" · "),
    }
}

/// For whom something is, and where; empty: for everybody everywhere.
pub(super) fn for_words(frame: &Frame, visible_to: &VisibleTo) -> Vec<String> {
    let mut words = Vec::new();
    if !visible_to.tiers.is_empty() {
        words.push(frame.say_text("catalogue-for-tiers", "tiers", &visible_to.tiers.join(", ")));
    }
    if visible_to.audience.is_some() {
        words.push(frame.t("catalogue-for-audience"));
    }
    if !visible_to.stores.is_empty() {
        words.push(frame.say_count("catalogue-for-stores", &visible_to.stores.len()));
    }
    if !visible_to.channels.is_empty() {
        words.push(frame.say_text("catalogue-for-channels", "channels", &visible_to.channels.join(", ")));
    }
    words
}

/// What is left, in figures: operators see them all.
fn left_words(frame: &Frame, stock: Option<StockLevel>) -> String {
    match stock {
        None => frame.t("catalogue-unlimited"),
        Some(level) => {
            let (free, all) = (format::number(level.free()), format::number(level.all()));
            frame.say("catalogue-left", [("free", free.into()), ("all", all.into())])
        }
    }
}
