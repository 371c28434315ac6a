//! The catalogue: what is offered to a member or to everybody, with search, facets and suggestions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::limits;
use guerdon_core::program::{Program, Text};
use guerdon_core::rewards::{CompiledReward, Cursor, Left, Picture, Place, Rating, Sort, Viewer, Wish, Zone, keys_of};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Params, id};
use super::members::unknown_member;
use super::reviews::RatingView;
use crate::AppState;
use crate::catalogue::Availability;
use crate::identity::actor::Actor;
use crate::language::Language;
use crate::pictures::{Thumb, WIDTHS};
use crate::problem::Problem;
use crate::reviews;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(suggestions)).routes(routes!(categories))
}

/// What is to be shown.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CatalogueQuery {
    /// Words in any language; typing errors are forgiven.
    #[param(max_length = 100)]
    q: Option<String>,
    /// Only what stands in this category, or below it.
    category: Option<String>,
    /// Only what has all of these tags, with commas between them.
    tags: Option<String>,
    /// `base`, `upgraded` or `premium`.
    zone: Option<String>,
    /// Only what the member can pay now.
    affordable: Option<bool>,
    /// Only what there is a unit of.
    in_stock: Option<bool>,
    /// `relevance`, `newest`, `popularity`, `points` or `rating`; left out: `relevance` with `q`, `newest` without.
    sort: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many; 24 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// For this member, with what their tier opens; left out: what everybody may see.
    member_id: Option<String>,
    /// In this store.
    store: Option<String>,
    /// Through this channel.
    channel: Option<String>,
}

/// Who looks, and where.
struct Onlooker {
    account: Option<Account>,
    place: Place,
    thresholds: Arc<BTreeMap<String, i64>>,
}

impl Onlooker {
    async fn of(
        state: &AppState,
        actor: &Actor,
        member: Option<&str>,
        store: Option<String>,
        channel: Option<String>,
    ) -> Result<Self, Problem> {
        let place = Place { store, channel };
        place.validate().map_err(|problem| Problem::bad_request("invalid_query", problem))?;
        if place.store.is_some() {
            actor.require_at(Permission::RewardsRead, place.store.as_deref())?;
        }
        let account = match member {
            None => None,
            Some(text) => {
                // What is shown tells of the member's tier, and whether there are points enough.
                actor.require_at(Permission::MembersRead, place.store.as_deref())?;
                let (_, account) =
                    state.reader.resolve(id::<MemberId>(text)?).await?.ok_or_else(|| unknown_member(text))?;
                Some(account).filter(|account| account.status == AccountStatus::Active)
            }
        };
        Ok(Self { account, place, thresholds: state.catalogue.scarce.thresholds() })
    }

    fn viewer<'a>(&'a self, state: &AppState, program: &'a Program) -> Viewer<'a> {
        Viewer::new(program, self.account.as_ref(), &self.place, state.engine.now()).with_presale(&self.thresholds)
    }
}

/// A picture of a reward.
#[derive(Serialize, ToSchema)]
struct OfferedPicture {
    /// The SHA-256 of what was uploaded.
    digest: String,
    /// What is to be seen, by language or one for all.
    #[schema(value_type = serde_json::Value)]
    alt: Text,
    /// Where its sizes are served, by their width in pixels; each is at most twice as high.
    sizes: BTreeMap<u32, String>,
}

impl OfferedPicture {
    fn of(picture: &Picture) -> Self {
        let thumb = Thumb::of(picture, "");
        let sizes = WIDTHS.iter().map(|width| (*width, thumb.at(*width))).collect();
        Self { digest: picture.digest.clone(), alt: picture.alt.clone(), sizes }
    }
}

/// A reward as it is offered.
#[derive(Serialize, ToSchema)]
struct OfferView {
    /// Its id.
    id: String,
    /// Its name by language, or one for all.
    #[schema(value_type = serde_json::Value)]
    name: Text,
    /// What it is, in the same way; left out: it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    description: Option<Text>,
    /// Its pictures; the first stands in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pictures: Vec<OfferedPicture>,
    /// `physical`, `virtual_code`, `service`, `coupon`, `privilege`, `experience`, `trial`, `top_up`, `charity` or `bundle`; left
    /// out: it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Points for one, as the member's tier pays them when demand changes nothing.
    price: i64,
    /// The currency's code.
    currency: String,
    /// What it costs in shops, in major units of the program's money.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    market_price: Option<Decimal>,
    /// `base`, `upgraded` or `premium`.
    zone: &'static str,
    /// The ids of its categories.
    categories: Vec<String>,
    /// Its tags.
    tags: Vec<String>,
    /// `available`, `few` or `sold_out`.
    availability: &'static str,
    /// Units that can still be ordered; only where they are `few`, a tenth or less of what there was.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<i64>,
    /// What its reviews come to; left out: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<RatingView>,
    /// Whether the member can pay for one now; left out: nobody was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    affordable: Option<bool>,
}

impl OfferView {
    fn new(
        program: &Program,
        offered: &CompiledReward,
        left: Option<Left>,
        rating: Option<&Rating>,
        (price, affordable): (i64, Option<bool>),
    ) -> Self {
        let reward = &offered.reward;
        let availability = Availability::of(left);
        Self {
            id: reward.id.clone(),
            name: reward.name.clone(),
            description: reward.catalogue.description.clone(),
            pictures: reward.catalogue.pictures.iter().map(OfferedPicture::of).collect(),
            kind: reward.kind.as_ref().map(|kind| kind.name()),
            price,
            currency: program.currency(reward.currency).map(|currency| currency.code.clone()).unwrap_or_default(),
            market_price: reward.catalogue.market_price,
            zone: reward.catalogue.zone.name(),
            categories: reward.catalogue.categories.clone(),
            tags: reward.catalogue.tags.clone(),
            availability: availability.name(),
            left: availability.left(),
            rating: RatingView::of(rating),
            affordable,
        }
    }
}

/// How many rewards there would be with a value.
#[derive(Serialize, ToSchema)]
struct FacetView {
    /// The id of the category, or the tag.
    value: String,
    /// How many.
    count: usize,
}

/// How many there are by category and tag.
#[derive(Serialize, ToSchema)]
struct FacetsView {
    /// In each category, with those below it, as if none were chosen; in the order of the ids.
    categories: Vec<FacetView>,
    /// With each tag besides those that were chosen; the most frequent first.
    tags: Vec<FacetView>,
}

/// A page of the catalogue.
#[derive(Serialize, ToSchema)]
struct CatalogueView {
    /// The rewards.
    items: Vec<OfferView>,
    /// Give this as `after` for the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many there are on all pages.
    total: usize,
    /// What was searched for instead of `q`, because some of its words stand nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrected: Option<String>,
    /// Whether nothing holds all of `q`, so that what holds a part of it was found.
    loose: bool,
    /// What can be chosen besides.
    facets: FacetsView,
}

fn facets(counted: Vec<(String, usize)>) -> Vec<FacetView> {
    counted.into_iter().map(|(value, count)| FacetView { value, count }).collect()
}

fn unfit(problem: impl Into<Cow<'static, str>>) -> Problem {
    Problem::bad_request("invalid_query", problem.into())
}

/// Reads a text to search for; one without anything in it is none.
fn search_text(text: Option<&str>) -> Result<Option<&str>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > limits::SEARCH_CHARS => {
            Err(unfit(format!("`q` is longer than {} characters", limits::SEARCH_CHARS)))
        }
        text => Ok(text),
    }
}

impl CatalogueQuery {
    fn wish(&self) -> Result<(Wish<'_>, Option<&str>), Problem> {
        let text = search_text(self.q.as_deref())?;
        let limit = self.limit.unwrap_or(24);
        if !(1..=limits::CATALOGUE_PAGE).contains(&limit) {
            return Err(unfit(format!("`limit` must be 1 to {}, not {limit}", limits::CATALOGUE_PAGE)));
        }
        let named = |what: &str, names: Vec<&str>, text: &str| {
            let shown: String = text.chars().take(40).collect();
            unfit(format!("`{what}`: there is no `{shown}`; there are {}", names.join(", ")))
        };
        let sort = match self.sort.as_deref() {
            None if text.is_some() => Sort::Relevance,
            None => Sort::default(),
            Some(name) => Sort::from_name(name)
                .ok_or_else(|| named("sort", Sort::ALL.iter().map(|sort| sort.name()).collect(), name))?,
        };
        let zone = self.zone.as_deref().map(|name| {
            Zone::from_name(name).ok_or_else(|| named("zone", Zone::ALL.iter().map(|zone| zone.name()).collect(), name))
        });
        let after = self.after.as_deref().map(str::parse::<Cursor>).transpose();
        let tags: Vec<&str> = self.tags.as_deref().unwrap_or_default().split(',').map(str::trim).collect();
        if tags.len() > limits::REWARD_TAGS {
            return Err(unfit(format!("`tags` names more than {} tags", limits::REWARD_TAGS)));
        }
        let wish = Wish {
            category: self.category.as_deref(),
            tags: tags.into_iter().filter(|tag| !tag.is_empty()).collect(),
            zone: zone.transpose()?,
            affordable: self.affordable.unwrap_or_default(),
            in_stock: self.in_stock.unwrap_or_default(),
            sort,
            after: after.map_err(|()| unfit("`after` is no cursor; give the `next` of the page before"))?,
            limit,
        };
        Ok((wish, text))
    }
}

/// List what is offered: to a member, or to everybody.
#[utoipa::path(get, path = "/v1/catalogue", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(CatalogueQuery),
    responses((status = 200, body = CatalogueView), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<CatalogueQuery>,
) -> Result<Json<CatalogueView>, Problem> {
    let (wish, text) = query.wish()?;
    let (store, channel) = (query.store.clone(), query.channel.clone());
    let onlooker = Onlooker::of(&state, &actor, query.member_id.as_deref(), store, channel).await?;
    if wish.affordable && onlooker.account.is_none() {
        return Err(unfit("`affordable` needs a `member_id` whose account is active: whose points?"));
    }
    let stand = state.catalogue.stand(&state).await?;
    let figures = state.catalogue.figures(&state, &stand).await?;
    let (answer, seen) = {
        let viewer = onlooker.viewer(&state, &stand.program);
        let answer = stand.browse(&viewer, &figures, &wish, text)?;
        state.catalogue.missed.note(text, &wish, &answer);
        let rows = answer.listing.rows.iter().filter_map(|row| stand.shelf.reward(*row));
        let named = onlooker.account.is_some();
        let priced = |offered: &CompiledReward| {
            let price = viewer.price_of(&offered.reward);
            (price, named.then(|| price <= viewer.spendable(offered.reward.currency)))
        };
        let seen: Vec<(&CompiledReward, (i64, Option<bool>))> =
            rows.map(|offered| (offered, priced(offered))).collect();
        (answer, seen)
    };
    let keys: Vec<String> = seen.iter().flat_map(|(offered, _)| keys_of(&offered.reward)).collect();
    let stock = state.reader.stock_of(&keys).await?;
    let ids: Vec<&str> = seen.iter().map(|(offered, _)| offered.reward.id.as_str()).collect();
    let ratings = reviews::ratings(&state, &ids).await?;
    let viewer = onlooker.viewer(&state, &stand.program);
    let view = |(offered, priced): (&CompiledReward, (i64, Option<bool>))| {
        let left = viewer.left(offered, &stock, None);
        OfferView::new(&stand.program, offered, left, ratings.get(&offered.reward.id), priced)
    };
    Ok(Json(CatalogueView {
        items: seen.into_iter().map(view).collect(),
        next: answer.listing.next.map(|cursor| cursor.to_string()),
        total: answer.listing.total,
        corrected: answer.corrected,
        loose: answer.loose,
        facets: FacetsView { categories: facets(answer.listing.categories), tags: facets(answer.listing.tags) },
    }))
}

/// What was typed so far.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SuggestionsQuery {
    /// What was typed so far.
    #[param(max_length = 100)]
    q: String,
    /// In which language to suggest: `en` or `zh-CN`; left out: `en`.
    language: Option<String>,
    /// For this member; left out: of what everybody may see.
    member_id: Option<String>,
    /// In this store.
    store: Option<String>,
    /// Through this channel.
    channel: Option<String>,
}

/// Something that may be meant.
#[derive(Serialize, ToSchema)]
struct SuggestionView {
    /// `reward` or `category`.
    kind: &'static str,
    /// Its id.
    id: String,
    /// Its name in the language.
    text: String,
}

/// Suggest categories and rewards while somebody types.
#[utoipa::path(get, path = "/v1/catalogue/suggestions", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(SuggestionsQuery),
    responses((status = 200, body = Vec<SuggestionView>), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
async fn suggestions(
    State(state): State<AppState>,
    actor: Actor,
    Params(query): Params<SuggestionsQuery>,
) -> Result<Json<Vec<SuggestionView>>, Problem> {
    let language = match query.language.as_deref() {
        None => Language::English,
        Some(tag) => Language::from_tag(tag).ok_or_else(|| unfit("`language` must be `en` or `zh-CN`"))?,
    };
    let onlooker = Onlooker::of(&state, &actor, query.member_id.as_deref(), query.store, query.channel).await?;
    let Some(text) = search_text(Some(&query.q))? else { return Ok(Json(Vec::new())) };
    let stand = state.catalogue.stand(&state).await?;
    let viewer = onlooker.viewer(&state, &stand.program);
    let found = stand.suggest(&viewer, text)?;
    let view = |kind: &'static str, id: &String, name: &Text| SuggestionView {
        kind,
        id: id.clone(),
        text: name.get(language.tag()).to_owned(),
    };
    let of_categories = found.categories.iter().map(|category| view("category", &category.id, &category.name));
    let of_rewards = found.rewards.iter().map(|offered| view("reward", &offered.reward.id, &offered.reward.name));
    Ok(Json(of_categories.chain(of_rewards).collect()))
}

/// A category.
#[derive(Serialize, ToSchema)]
struct CategoryView {
    /// Its id.
    id: String,
    /// Its name by language, or one for all.
    #[schema(value_type = serde_json::Value)]
    name: Text,
    /// The id of the category to which it belongs; left out: it stands at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
}

/// List the categories of the catalogue: a tree of three levels at the most.
#[utoipa::path(get, path = "/v1/categories", tag = "rewards",
    security(("key" = ["rewards:read@store"])), responses((status = 200, body = Vec<CategoryView>)))]
async fn categories(State(state): State<AppState>) -> Json<Vec<CategoryView>> {
    let program = state.program();
    let view = |category: &guerdon_core::rewards::Category| CategoryView {
        id: category.id.clone(),
        name: category.name.clone(),
        parent: category.parent.clone(),
    };
    Json(program.categories().map(view).collect())
}
