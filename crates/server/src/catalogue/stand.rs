//! The catalogue of one snapshot of the configuration, ready to be searched and browsed.

use std::sync::Arc;

use guerdon_core::program::Program;
use guerdon_core::rewards::{Category, CompiledReward, Figures, Listing, RewardKind, Shelf, Viewer, Wish};
use guerdon_store::{Found, SearchIndex, SearchText, StoreError};
use moka::sync::Cache;

/// Rows of searches that are kept, of four bytes each: who searches for a word is seldom the only one.
const FOUND_ROWS: u64 = 2_000_000;
/// What a search counts as besides its rows.
const FOUND_BASE: usize = 50;
/// Suggestions of each kind.
const REWARDS: usize = 8;
const CATEGORIES: usize = 4;

/// What is searched and browsed.
pub struct Stand {
    /// What it was made from.
    pub program: Arc<Program>,
    /// The rewards in rows.
    pub shelf: Shelf,
    index: SearchIndex,
    found: Cache<String, Arc<Found>>,
}

/// A page, and what was made of the search.
pub struct Answer {
    /// The page.
    pub listing: Listing,
    /// What was searched for instead.
    pub corrected: Option<String>,
    /// Whether nothing holds all that was searched for.
    pub loose: bool,
}

/// What completes a search while it is typed.
#[derive(Default)]
pub struct Suggestions<'a> {
    /// Categories.
    pub categories: Vec<&'a Category>,
    /// Rewards.
    pub rewards: Vec<&'a CompiledReward>,
}

impl Stand {
    /// Indexes a program's rewards, and behind them its categories.
    pub fn build(program: Arc<Program>) -> Result<Self, StoreError> {
        let shelf = Shelf::new(&program);
        let of_rewards = shelf.rewards().enumerate().map(|(row, offered)| text_of_reward(&shelf, row, offered));
        let of_categories = shelf.categories().iter().map(|category| SearchText {
            name: category.name.all().map(String::as_str).collect::<Vec<_>>().join(" "),
            ..SearchText::default()
        });
        let index = SearchIndex::build(of_rewards.chain(of_categories))?;
        let weigh = |_: &String, found: &Arc<Found>| u32::try_from(found.rows.len() + FOUND_BASE).unwrap_or(u32::MAX);
        let found = Cache::builder().max_capacity(FOUND_ROWS).weigher(weigh).build();
        Ok(Self { program, shelf, index, found })
    }

    /// What a text finds, whoever may see it; behind the rewards there are rows of categories.
    pub fn search(&self, text: &str) -> Result<Arc<Found>, StoreError> {
        if let Some(found) = self.found.get(text) {
            return Ok(found);
        }
        let found = Arc::new(self.index.find(text)?);
        self.found.insert(text.to_owned(), Arc::clone(&found));
        Ok(found)
    }

    /// A page of what a viewer sees; `text`: only what is found by it.
    pub fn browse(
        &self,
        viewer: &Viewer<'_>,
        figures: &Figures,
        wish: &Wish<'_>,
        text: Option<&str>,
    ) -> Result<Answer, StoreError> {
        let found = text.map(|text| self.search(text)).transpose()?;
        let rows = found.as_ref().map(|found| found.rows.as_slice());
        let listing = self.shelf.browse(viewer, figures, wish, rows);
        // What somebody does not see is not told by what their search might have meant either.
        let found = found.filter(|_| listing.total > 0);
        let corrected = found.as_ref().and_then(|found| found.corrected.clone());
        Ok(Answer { listing, corrected, loose: found.is_some_and(|found| found.loose) })
    }

    /// The rewards and categories that somebody may mean who has typed so far.
    pub fn suggest(&self, viewer: &Viewer<'_>, text: &str) -> Result<Suggestions<'_>, StoreError> {
        let found = self.search(text)?;
        let mut suggestions = Suggestions::default();
        for row in found.rows.iter().filter_map(|row| usize::try_from(*row).ok()) {
            match self.shelf.reward(row) {
                Some(offered) if suggestions.rewards.len() < REWARDS && viewer.sees(offered).is_ok() => {
                    suggestions.rewards.push(offered);
                }
                Some(_) => {}
                None => {
                    let place = row.checked_sub(self.shelf.rewards().len());
                    let category = place.and_then(|place| self.shelf.categories().get(place));
                    suggestions.categories.extend(category.filter(|_| suggestions.categories.len() < CATEGORIES));
                }
            }
        }
        Ok(suggestions)
    }
}

fn text_of_reward(shelf: &Shelf, row: usize, offered: &CompiledReward) -> SearchText {
    let reward = &offered.reward;
    let joined = |texts: &mut dyn Iterator<Item = &String>| texts.map(String::as_str).collect::<Vec<_>>().join(" ");
    let categories = shelf.categories_of(row).flat_map(|category| category.name.all());
    let variants = match &reward.kind {
        Some(RewardKind::Physical { variants, .. }) => variants.as_slice(),
        _ => &[],
    };
    let variants = variants.iter().flat_map(|variant| variant.name.all());
    let mut description = reward.catalogue.description.iter().flat_map(|text| text.all()).chain(variants);
    SearchText {
        name: joined(&mut reward.name.all()),
        labels: joined(&mut reward.catalogue.tags.iter().chain(categories)),
        description: joined(&mut description),
    }
}
