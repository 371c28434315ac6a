//! The catalogue as a member sees it: search, categories, what can be paid.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guerdon_core::rewards::{Category, CompiledReward, Cursor, Figures, Place, Rating, Sort, Viewer, Wish};
use guerdon_core::{limits, rewards};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::own::{Sight, own};
use super::reviews::rating_words;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::catalogue::{Availability, Stand};
use crate::console::{Frame, render};
use crate::pictures::Thumb;
use crate::reviews;

/// Rewards of one page.
const PAGE: usize = 24;

/// Where members stand who use the portal.
pub fn here() -> Place {
    Place { store: None, channel: Some("portal".to_owned()) }
}

/// What is to be shown. Whatever is wrong in an address is as if it were not there.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Browse {
    q: String,
    category: String,
    sort: String,
    affordable: String,
    after: String,
}

/// A link that changes what is shown.
pub struct Chip {
    words: String,
    address: String,
    current: bool,
}

/// A reward in a list.
pub struct Line {
    pub address: String,
    pub name: String,
    pub picture: Option<Thumb>,
    pub about: String,
    pub price: String,
    pub market: Option<String>,
    /// How many are left, where they are few, or that there are none.
    pub stock: Option<String>,
    /// What its reviews come to, in stars and words.
    pub rating: Option<String>,
    pub sold_out: bool,
    /// Whether the member has points enough.
    pub affordable: bool,
}

#[derive(Template)]
#[template(path = "portal/rewards.html")]
struct RewardsPage {
    frame: Frame,
    place: &'static str,
    available: String,
    browse: Browse,
    categories: Vec<Chip>,
    sorts: Vec<Chip>,
    affordable: Chip,
    total: String,
    /// What was searched for instead, or that only a part was found.
    remark: Option<String>,
    lines: Vec<Line>,
    /// Whether one of them has a picture: the others keep its place free.
    pictured: bool,
    next: Option<String>,
    /// The catalogue without any wish.
    all: &'static str,
}

#[derive(Template)]
#[template(path = "portal/suggestions.html")]
struct SuggestionsPart {
    words: Vec<String>,
}

impl Browse {
    fn text(&self) -> Option<&str> {
        let text = self.q.trim();
        (!text.is_empty() && text.chars().count() <= limits::SEARCH_CHARS).then_some(text)
    }

    fn sort(&self) -> Sort {
        let fallback = if self.text().is_some() { Sort::Relevance } else { Sort::default() };
        Sort::from_name(&self.sort).unwrap_or(fallback)
    }

    fn wish(&self) -> Wish<'_> {
        Wish {
            category: Some(self.category.as_str()).filter(|id| !id.is_empty()),
            affordable: self.affordable == "1",
            sort: self.sort(),
            after: self.after.parse::<Cursor>().ok(),
            limit: PAGE,
            ..Wish::default()
        }
    }

    /// The address of the same page with a change; it begins anew.
    fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut changed = Self { after: String::new(), ..self.clone() };
        change(&mut changed);
        let Self { q, category, sort, affordable, after } = &changed;
        let mut query = Serializer::new(String::new());
        for (name, value) in
            [("q", q), ("category", category), ("sort", sort), ("affordable", affordable), ("after", after)]
        {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            query if query.is_empty() => "/portal/rewards".to_owned(),
            query => format!("/portal/rewards?{query}"),
        }
    }
}

/// `/portal/rewards`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(browse): Query<Browse>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let stand = state.catalogue.stand(&state).await.or_trouble(&frame)?;
    let figures = state.catalogue.figures(&state, &stand).await.or_trouble(&frame)?;
    let sight = Sight::now(&state);
    let viewer = sight.viewer(&stand.program, &own);
    let answer = stand.browse(&viewer, &figures, &browse.wish(), browse.text()).or_trouble(&frame)?;
    state.catalogue.missed.note(browse.text(), &browse.wish(), &answer);
    let remark = match (&answer.corrected, answer.loose) {
        (Some(words), _) => Some(frame.say("rewards-corrected", [("words", words.as_str().into())])),
        (None, true) => Some(frame.t("rewards-loose")),
        (None, false) => None,
    };
    let currency = stand.program.currencies.iter().find(|currency| currency.spendable);
    let available = currency.map(|currency| frame.points(currency.id, viewer.spendable(currency.id)));
    let sort = |sort: Sort| Chip {
        words: frame.t(&format!("rewards-sort-{}", sort.name())),
        address: browse.with(|browse| browse.sort = sort.name().to_owned()),
        current: browse.sort() == sort,
    };
    let reviewed = reviews::policy(&state).is_some();
    let sorts = Sort::ALL.into_iter().filter(|one| match one {
        Sort::Relevance => browse.text().is_some(),
        Sort::Rating => reviewed,
        _ => true,
    });
    let on = browse.affordable == "1";
    let affordable = Chip {
        words: frame.t("rewards-affordable"),
        address: browse.with(|browse| browse.affordable = if on { String::new() } else { "1".to_owned() }),
        current: on,
    };
    let next = answer.listing.next.as_ref().map(|cursor| browse.with(|browse| browse.after = cursor.to_string()));
    let lines = lines(&frame, &stand, &figures, &viewer, answer.listing.rows.iter().copied());
    let page = RewardsPage {
        place: "rewards",
        available: available.map(|points| frame.say_text("rewards-available", "points", &points)).unwrap_or_default(),
        categories: category_chips(&frame, &stand, &browse, &answer.listing),
        sorts: sorts.map(sort).collect(),
        affordable,
        total: frame.say_count("rewards-total", &answer.listing.total),
        remark,
        pictured: lines.iter().any(|line| line.picture.is_some()),
        lines,
        next,
        all: "/portal/rewards",
        browse,
        frame,
    };
    Ok(render(&page))
}

/// What may be meant by what was typed so far.
pub async fn suggestions(
    frame: Frame,
    State(state): State<AppState>,
    Query(browse): Query<Browse>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let stand = state.catalogue.stand(&state).await.or_trouble(&frame)?;
    let sight = Sight::now(&state);
    let viewer = sight.viewer(&stand.program, &own);
    let mut words = Vec::new();
    if let Some(text) = browse.text() {
        let found = stand.suggest(&viewer, text).or_trouble(&frame)?;
        let language = frame.language.tag();
        words.extend(found.categories.iter().map(|category| category.name.get(language).to_owned()));
        words.extend(found.rewards.iter().map(|offered| offered.reward.name.get(language).to_owned()));
    }
    Ok(render(&SuggestionsPart { words }))
}

/// The chips of categories: at first those at the top; of one that is chosen the way to it, and those below it.
fn category_chips(frame: &Frame, stand: &Stand, browse: &Browse, listing: &rewards::Listing) -> Vec<Chip> {
    let all = stand.shelf.categories();
    let named = |id: &str| all.iter().find(|category| category.id == id);
    let chosen = named(&browse.category);
    let mut way: Vec<&Category> = Vec::new();
    let mut next = chosen;
    while let Some(category) = next.filter(|_| way.len() < limits::CATEGORY_LEVELS) {
        way.insert(0, category);
        next = category.parent.as_deref().and_then(named);
    }
    let count = |category: &Category| {
        listing.categories.iter().find(|(id, _)| *id == category.id).map_or(0, |(_, count)| *count)
    };
    let parent = chosen.map(|category| category.id.as_str());
    let below = all.iter().filter(|category| category.parent.as_deref() == parent && count(category) > 0);
    let chip = |category: &Category| Chip {
        words: format!("{} {}", category.name.get(frame.language.tag()), count(category)),
        address: browse.with(|browse| browse.category.clone_from(&category.id)),
        current: chosen.is_some_and(|chosen| chosen.id == category.id),
    };
    if all.is_empty() {
        return Vec::new();
    }
    let everything = Chip {
        words: frame.t("rewards-all"),
        address: browse.with(|browse| browse.category.clear()),
        current: chosen.is_none(),
    };
    [everything].into_iter().chain(way.into_iter().map(chip)).chain(below.map(chip)).collect()
}

/// Rewards as lines of a list.
pub fn lines(
    frame: &Frame,
    stand: &Arc<Stand>,
    figures: &Figures,
    viewer: &Viewer<'_>,
    rows: impl Iterator<Item = usize>,
) -> Vec<Line> {
    let line = |row: usize| {
        let offered = stand.shelf.reward(row)?;
        let availability = Availability::of(figures.left(row, offered, viewer));
        Some(line(frame, viewer, offered, availability, figures.ratings.get(row)))
    };
    rows.filter_map(line).collect()
}

fn line(
    frame: &Frame,
    viewer: &Viewer<'_>,
    offered: &CompiledReward,
    availability: Availability,
    rating: Option<&Rating>,
) -> Line {
    let reward = &offered.reward;
    let language = frame.language.tag();
    let price = viewer.price_of(reward);
    let kind = reward.kind.as_ref().map(|kind| frame.t(&format!("reward-kind-{}", kind.name())));
    Line {
        address: format!("/portal/rewards/{}", reward.id),
        name: reward.name.get(language).to_owned(),
        picture: Thumb::first(reward, language),
        about: kind.unwrap_or_default(),
        price: frame.points(reward.currency, price),
        market: market_price(frame, offered).map(|money| frame.say_text("rewards-market", "money", &money)),
        stock: stock_words(frame, availability),
        rating: rating.filter(|rating| rating.count > 0).and_then(|rating| rating_words(frame, Some(rating))),
        sold_out: availability == Availability::SoldOut,
        affordable: price <= viewer.spendable(reward.currency),
    }
}

/// What a reward costs in shops.
pub fn market_price(frame: &Frame, offered: &CompiledReward) -> Option<String> {
    offered.reward.catalogue.market_price.and_then(|major| frame.major_money(major))
}

/// How many are left, where they are few, or that there are none.
pub fn stock_words(frame: &Frame, availability: Availability) -> Option<String> {
    match availability {
        Availability::Available => None,
        Availability::Few(left) => Some(frame.say("rewards-left", [("count", left.into())])),
        Availability::SoldOut => Some(frame.t("rewards-sold-out")),
    }
}
