//! The catalogue as a member sees it: what is offered to them, narrowed, sorted, counted and cut into pages. What is searched
//! for is found elsewhere; here it comes as rows in the order in which they fit.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Category, CompiledReward, Left, Rating, StockLevel, Viewer, Zone, keys_of, level_of};
use crate::limits;
use crate::program::Program;

/// All rewards of a program in rows, prepared once for a snapshot. Rows are in the order of the ids.
pub struct Shelf {
    rows: Vec<Row>,
    categories: Vec<Category>,
    tags: Vec<String>,
}

struct Row {
    offered: Arc<CompiledReward>,
    /// Its categories and all above them, as places in `categories`, each once.
    categories: Vec<u32>,
    /// As places in `tags`.
    tags: Vec<u32>,
}

/// What changes from moment to moment, row by row.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The stock of each row; `None`: unlimited.
    pub stock: Vec<Option<StockLevel>>,
    /// How many units of each were ordered.
    pub ordered: Vec<i64>,
    /// The stock of rewards that are shared out, by its keys.
    pub parts: BTreeMap<String, StockLevel>,
    /// What the reviews of each come to; empty: nobody reviews rewards.
    pub ratings: Vec<Rating>,
}

impl Figures {
    /// What a viewer may have of the reward in a row; `None`: there is no limit.
    pub fn left(&self, row: usize, offered: &CompiledReward, viewer: &Viewer<'_>) -> Option<Left> {
        if !offered.reward.scarcity.is_empty() {
            return viewer.left(offered, &self.parts, None);
        }
        let level = self.stock.get(row).copied().flatten();
        level.map(|level| Left { units: level.free(), all: level.all() })
    }
}

/// How rewards are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// Fewest points first.
    Points,
    /// The newest first.
    #[default]
    Newest,
    /// What was ordered most first.
    Popularity,
    /// What fits the search best first; without a search like `Newest`.
    Relevance,
    /// The best reviewed first, and of those equally good what more have reviewed.
    Rating,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Relevance, Self::Newest, Self::Popularity, Self::Points, Self::Rating];

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Newest => "newest",
            Self::Popularity => "popularity",
            Self::Relevance => "relevance",
            Self::Rating => "rating",
        }
    }

    /// The order of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.name() == name)
    }
}

/// Where a page begins: behind the reward with this place in the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    key: (i64, i64),
    id: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.key.0, self.key.1, self.id)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '.');
        let mut number = || parts.next().and_then(|part| part.parse::<i64>().ok()).ok_or(());
        let key = (number()?, number()?);
        let id = parts.next().filter(|id| !id.is_empty() && id.len() <= 64).ok_or(())?;
        Ok(Self { key, id: id.to_owned() })
    }
}

/// What somebody wants to see.
#[derive(Debug, Clone, Default)]
pub struct Wish<'a> {
    /// Only what stands in this category, or in one below it.
    pub category: Option<&'a str>,
    /// Only what has all of these tags.
    pub tags: Vec<&'a str>,
    /// Only what stands in this zone.
    pub zone: Option<Zone>,
    /// Only what the viewer can pay now.
    pub affordable: bool,
    /// Only what there is a unit of.
    pub in_stock: bool,
    /// In which order.
    pub sort: Sort,
    /// Behind which reward.
    pub after: Option<Cursor>,
    /// How many at most, [`limits::CATALOGUE_PAGE`] at the most.
    pub limit: usize,
}

/// A page of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The rows on the page, in order.
    pub rows: Vec<usize>,
    /// How many there are on all pages.
    pub total: usize,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<Cursor>,
    /// How many there would be in each category, with all other wishes as they are; in the order of the ids.
    pub categories: Vec<(String, usize)>,
    /// How many there would be with each tag as well; the most frequent first.
    pub tags: Vec<(String, usize)>,
}

impl Shelf {
    /// The rewards and categories that a program shows.
    pub fn new(program: &Program) -> Self {
        let categories: Vec<Category> = program.categories().cloned().collect();
        let places: BTreeMap<&str, u32> =
            categories.iter().zip(0..).map(|(one, place)| (one.id.as_str(), place)).collect();
        let with_those_above = |named: &[String]| {
            let mut found: Vec<u32> = Vec::new();
            for id in named {
                let mut next = Some(id.as_str());
                for _ in 0..limits::CATEGORY_LEVELS {
                    let Some(place) = next.and_then(|id| places.get(id)) else { break };
                    if !found.contains(place) {
                        found.push(*place);
                    }
                    let own = usize::try_from(*place).ok().and_then(|place| categories.get(place));
                    next = own.and_then(|category| category.parent.as_deref());
                }
            }
            found
        };
        let mut known: BTreeMap<&str, u32> = BTreeMap::new();
        let mut tags: Vec<String> = Vec::new();
        let mut rows = Vec::new();
        for offered in program.offered() {
            let catalogue = &offered.reward.catalogue;
            let mut own = Vec::with_capacity(catalogue.tags.len());
            for tag in &catalogue.tags {
                let next = u32::try_from(tags.len()).unwrap_or(u32::MAX);
                let place = *known.entry(tag).or_insert_with(|| {
                    tags.push(tag.clone());
                    next
                });
                own.push(place);
            }
            let categories = with_those_above(&catalogue.categories);
            rows.push(Row { offered: Arc::clone(offered), categories, tags: own });
        }
        Self { rows, categories, tags }
    }

    /// The rewards in their rows.
    pub fn rewards(&self) -> impl ExactSizeIterator<Item = &CompiledReward> {
        self.rows.iter().map(|row| &*row.offered)
    }

    /// The reward of a row.
    pub fn reward(&self, row: usize) -> Option<&CompiledReward> {
        self.rows.get(row).map(|row| &*row.offered)
    }

    /// The row of a reward.
    pub fn row_of(&self, id: &str) -> Option<usize> {
        self.rows.binary_search_by(|row| row.offered.reward.id.as_str().cmp(id)).ok()
    }

    /// The categories, in the order of their ids.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The categories in which a row stands, those above included.
    pub fn categories_of(&self, row: usize) -> impl Iterator<Item = &Category> {
        let places = self.rows.get(row).map_or(&[][..], |row| &row.categories);
        places.iter().filter_map(|place| self.categories.get(usize::try_from(*place).ok()?))
    }

    /// What is known of stock and orders, by rows.
    pub fn figures(&self, stock: &BTreeMap<String, StockLevel>, ordered: &BTreeMap<String, i64>) -> Figures {
        let rewards = || self.rows.iter().map(|row| &row.offered.reward);
        let scarce = rewards().filter(|reward| !reward.scarcity.is_empty());
        Figures {
            stock: rewards().map(|reward| level_of(reward, stock)).collect(),
            ordered: rewards()
                .map(|reward| &reward.id)
                .map(|id| ordered.get(id).copied().unwrap_or_default())
                .collect(),
            parts: scarce.flat_map(keys_of).filter_map(|key| Some((key.clone(), *stock.get(&key)?))).collect(),
            ratings: Vec::new(),
        }
    }

    /// What the reviews of each row come to.
    pub fn ratings(&self, ratings: &BTreeMap<String, Rating>) -> Vec<Rating> {
        let ids = self.rows.iter().map(|row| &row.offered.reward.id);
        ids.map(|id| ratings.get(id).copied().unwrap_or_default()).collect()
    }

    /// A page of what a viewer sees. `found`: only these rows, in the order in which they fit a search.
    pub fn browse(&self, viewer: &Viewer<'_>, figures: &Figures, wish: &Wish<'_>, found: Option<&[u32]>) -> Listing {
        let place = |known: Option<usize>| known.and_then(|place| u32::try_from(place).ok());
        let category = wish.category.map(|id| place(self.categories.iter().position(|one| one.id == id)));
        let tags: Vec<Option<u32>> =
            wish.tags.iter().map(|tag| place(self.tags.iter().position(|known| known == tag))).collect();
        let mut in_categories: FxHashMap<u32, usize> = FxHashMap::default();
        let mut with_tags: FxHashMap<u32, usize> = FxHashMap::default();
        let mut matching: Vec<((i64, i64), usize)> = Vec::new();
        let mut look = |rank: usize, index: usize| {
            let Some(row) = self.rows.get(index) else { return };
            if !self.fits(viewer, figures, wish, (index, row)) {
                return;
            }
            let in_category = category.is_none_or(|place| place.is_some_and(|place| row.categories.contains(&place)));
            let has_tags = tags.iter().all(|tag| tag.is_some_and(|tag| row.tags.contains(&tag)));
            if has_tags {
                row.categories.iter().for_each(|place| *in_categories.entry(*place).or_default() += 1);
            }
            if in_category && has_tags {
                row.tags.iter().for_each(|tag| *with_tags.entry(*tag).or_default() += 1);
                matching.push((key(viewer, wish.sort, found.map(|_| rank), figures, (index, row)), index));
            }
        };
        match found {
            Some(found) => {
                let rows = found.iter().filter_map(|row| usize::try_from(*row).ok());
                rows.enumerate().for_each(|(rank, row)| look(rank, row));
            }
            None => (0..self.rows.len()).for_each(|row| look(row, row)),
        }
        matching.sort_unstable();
        let total = matching.len();
        let begin = wish.after.as_ref().map_or(0, |after| {
            matching.partition_point(|(key, row)| {
                let id = self.rows.get(*row).map_or("", |row| row.offered.reward.id.as_str());
                (*key, id) <= (after.key, after.id.as_str())
            })
        });
        let page: Vec<((i64, i64), usize)> = matching.iter().skip(begin).take(wish.limit).copied().collect();
        let next = page
            .last()
            .filter(|_| begin + page.len() < total)
            .and_then(|(key, row)| Some(Cursor { key: *key, id: self.rows.get(*row)?.offered.reward.id.clone() }));
        Listing {
            rows: page.into_iter().map(|(_, row)| row).collect(),
            total,
            next,
            categories: self.counted_categories(&in_categories),
            tags: self.counted_tags(&with_tags),
        }
    }

    /// Whether a row is offered and fits everything but category and tags.
    fn fits(&self, viewer: &Viewer<'_>, figures: &Figures, wish: &Wish<'_>, (index, row): (usize, &Row)) -> bool {
        let reward = &row.offered.reward;
        let has_left = || figures.left(index, &row.offered, viewer).is_none_or(|left| left.units > 0);
        wish.zone.is_none_or(|zone| reward.catalogue.zone == zone)
            && (!wish.affordable || viewer.price_of(reward) <= viewer.spendable(reward.currency))
            && viewer.sees(&row.offered).is_ok()
            && (!wish.in_stock || has_left())
    }

    fn counted_categories(&self, counts: &FxHashMap<u32, usize>) -> Vec<(String, usize)> {
        let count = |place: u32| counts.get(&place).copied().unwrap_or_default();
        let all = self.categories.iter().zip(0..).map(|(category, place)| (category.id.clone(), count(place)));
        all.filter(|(_, count)| *count > 0).take(limits::FACETS).collect()
    }

    fn counted_tags(&self, counts: &FxHashMap<u32, usize>) -> Vec<(String, usize)> {
        let mut counted: Vec<(Reverse<usize>, &str)> = counts
            .iter()
            .filter_map(|(place, count)| {
                Some((Reverse(*count), self.tags.get(usize::try_from(*place).ok()?)?.as_str()))
            })
            .collect();
        counted.sort_unstable();
        counted.into_iter().take(limits::FACETS).map(|(Reverse(count), tag)| (tag.to_owned(), count)).collect()
    }
}

/// The place of a row in an order: smaller comes first, and the id decides between equals.
fn key(
    viewer: &Viewer<'_>,
    sort: Sort,
    rank: Option<usize>,
    figures: &Figures,
    (index, row): (usize, &Row),
) -> (i64, i64) {
    let (since, position) = row.offered.newness;
    match (sort, rank) {
        (Sort::Relevance, Some(rank)) => (i64::try_from(rank).unwrap_or(i64::MAX), 0),
        (Sort::Newest | Sort::Relevance, _) => (-since.as_millis(), -position),
        (Sort::Popularity, _) => (-figures.ordered.get(index).copied().unwrap_or_default(), 0),
        (Sort::Points, _) => (viewer.price_of(&row.offered.reward), 0),
        (Sort::Rating, _) => {
            let rating = figures.ratings.get(index).copied().unwrap_or_default();
            (-rating.average_hundredths().unwrap_or_default(), -rating.count)
        }
    }
}
