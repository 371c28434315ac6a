//! What would help somebody whose redemption was refused: money on top, a similar reward, how far it is and by when.

use std::sync::Arc;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Refusal, RefusalCode};
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::program::{Program, Text};
use guerdon_core::rewards::{Cash, Figures, Occasion, Place, Reward, Viewer, Wish};
use guerdon_core::time::{Day, Timestamp};
use guerdon_store::StoreError;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::AppState;
use crate::catalogue::Stand;
use crate::problem::Problem;

/// How many similar rewards are proposed.
pub const SIMILAR: usize = 3;
/// The days of a member's own earning from which is told by when a reward can be reached.
const DAYS: i32 = 90;
/// What lies further ahead, in days, is not told: too much will change until then.
const FORESEEN_DAYS: i64 = 730;
/// Members for whom is looked at the same time, by the API and in the portal. In a rush the others are answered without proposals.
static PLACES: Semaphore = Semaphore::const_new(8);

/// What would help.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Proposals {
    /// Points that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_points: Option<i64>,
    /// The day by which the member has them, if they earn as in the last 90 days; left out: that cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-09-01")]
    reachable_on: Option<String>,
    /// The split into points and money with the least money that the member can pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<SplitProposal>,
    /// Similar rewards that the member can order now, the most similar first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rewards: Vec<RewardProposal>,
}

/// A split into points and money.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct SplitProposal {
    /// Points to pay.
    points: i64,
    /// Money to pay, in minor units.
    cash: i64,
    /// ISO 4217 code of the money.
    money: String,
}

/// A reward that can be ordered instead.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct RewardProposal {
    /// Its id.
    reward_id: String,
    /// Its name by language, or one for all.
    #[schema(value_type = serde_json::Value)]
    name: Text,
    /// Points for one.
    price: i64,
    /// The currency's code.
    currency: String,
}

impl Proposals {
    fn is_empty(&self) -> bool {
        self.missing_points.is_none() && self.split.is_none() && self.rewards.is_empty()
    }
}

/// What was refused to whom.
pub struct Refused<'a> {
    /// To whom.
    pub member: MemberId,
    /// What.
    pub reward_id: &'a str,
    /// How many.
    pub quantity: i64,
    /// Where.
    pub place: &'a Place,
}

/// The problem of a refusal, with what would help where something does.
pub async fn helped(state: &AppState, refused: Refused<'_>, refusal: Refusal) -> Problem {
    let code = refusal.code;
    let problem = Problem::from(refusal);
    let helps =
        matches!(code, RefusalCode::InsufficientPoints | RefusalCode::OutOfStock | RefusalCode::RewardNotOffered);
    let Some(_place) = helps.then(|| PLACES.try_acquire().ok()).flatten() else { return problem };
    match propose(state, refused, code).await {
        Ok(proposals) => Problem { proposals: proposals.map(Box::new), ..problem },
        // What was refused stays refused, and is told.
        Err(error) => {
            tracing::warn!(%error, "nothing can be proposed");
            problem
        }
    }
}

async fn propose(state: &AppState, refused: Refused<'_>, code: RefusalCode) -> Result<Option<Proposals>, StoreError> {
    let Some(account) = state.reader.account(refused.member).await? else { return Ok(None) };
    if account.status != AccountStatus::Active {
        return Ok(None);
    }
    let stand = state.catalogue.stand(state).await?;
    let figures = state.catalogue.figures(state, &stand).await?;
    let (program, now) = (&stand.program, state.engine.now());
    let rows = match stand.shelf.row_of(refused.reward_id) {
        Some(row) => similar(state, (&stand, &figures), (&account, refused.place), row).await?,
        None => Vec::new(),
    };
    let viewer = Viewer::new(program, Some(&account), refused.place, now);
    let proposal = |row: &usize| {
        let reward = &stand.shelf.reward(*row)?.reward;
        Some(RewardProposal {
            reward_id: reward.id.clone(),
            name: reward.name.clone(),
            price: viewer.price_of(reward),
            currency: program.currency(reward.currency).map(|currency| currency.code.clone()).unwrap_or_default(),
        })
    };
    let mut proposals = Proposals { rewards: rows.iter().filter_map(proposal).collect(), ..Proposals::default() };
    if code == RefusalCode::InsufficientPoints
        && let Some(reward) = program.reward_at(refused.reward_id, now)
        && let Some(price) = price(state, program, &account, (reward, refused.quantity), now).await?
    {
        let missing = price.saturating_sub(viewer.spendable(reward.currency));
        proposals.missing_points = Some(missing).filter(|missing| *missing > 0);
        let reached = reachable_on(state, refused.member, reward, missing).await?;
        proposals.reachable_on = reached.map(|day| day.date().to_string());
        let is_taken = program.tenders_for(reward, now).any(|tender| state.payments.check(tender).is_ok());
        let available = Some(viewer.spendable(reward.currency)).filter(|_| is_taken);
        let split = available.and_then(|available| program.affordable_split(reward, price, available, now));
        proposals.split = split.map(|Cash { amount, points }| SplitProposal {
            points: price.saturating_sub(points),
            cash: amount,
            money: program.settings.money.clone(),
        });
    }
    Ok(Some(proposals).filter(|proposals| !proposals.is_empty()))
}

/// What a redemption costs a member now.
async fn price(
    state: &AppState,
    program: &Program,
    account: &Account,
    (reward, quantity): (&Reward, i64),
    at: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let figures = state.demand.figures(&state.reader, reward, at).await?;
    let tier = program.tiers.at(at).level_of(&account.standing).map(|level| level.tier.id.as_str());
    Ok(program.price(reward, Occasion { at, tier, figures, quantity }).ok().map(|priced| priced.points))
}

/// The day on which a member will have earned so many points more, if they go on as in the last 90 days. `None`: they earned
/// nothing, or it lies too far ahead.
async fn reachable_on(
    state: &AppState,
    member: MemberId,
    reward: &Reward,
    missing: i64,
) -> Result<Option<Day>, StoreError> {
    let today = state.program().calendar.day_of(state.engine.now());
    let from = Day(today.0.saturating_sub(DAYS));
    let earned = state.reader.earned_since(member, reward.currency, from).await?;
    Ok(days_to_earn(missing, earned).map(|days| Day(today.0.saturating_add(days))))
}

/// In how many days `missing` points are earned at `earned` points in [`DAYS`] days.
fn days_to_earn(missing: i64, earned: i64) -> Option<i32> {
    if missing <= 0 || earned <= 0 {
        return None;
    }
    let days = (i128::from(missing) * i128::from(DAYS) + i128::from(earned) - 1) / i128::from(earned);
    i32::try_from(days).ok().filter(|days| i64::from(*days) <= FORESEEN_DAYS)
}

/// What a member is shown who cannot have what they look at.
#[derive(Debug, Default)]
pub struct Instead {
    /// Rows of similar rewards that they may order and can pay now, the most similar first.
    pub rows: Vec<usize>,
    /// The day by which they have the points that are missing.
    pub reachable_on: Option<Day>,
}

/// Looks for what a member could have instead of the reward of a row, and by when they reach it where points are `missing`.
/// Nothing of it while it is looked for many others: whoever loads a page in a rush sees it without.
pub async fn instead(
    state: &AppState,
    shelf: (&Arc<Stand>, &Arc<Figures>),
    (member, account, place): (MemberId, &Account, &Place),
    row: usize,
    missing: Option<i64>,
) -> Result<Instead, StoreError> {
    let Ok(_place) = PLACES.try_acquire() else { return Ok(Instead::default()) };
    let rows = similar(state, shelf, (account, place), row).await?;
    let offered = shelf.0.shelf.reward(row);
    let reachable_on = match missing.zip(offered) {
        Some((missing, offered)) => reachable_on(state, member, &offered.reward, missing).await?,
        None => None,
    };
    Ok(Instead { rows, reachable_on })
}

/// The rewards most similar to that of a row, which the member may order and can pay now. All of the catalogue is looked
/// through, on a thread that serves no requests meanwhile.
async fn similar(
    state: &AppState,
    (stand, figures): (&Arc<Stand>, &Arc<Figures>),
    (account, place): (&Account, &Place),
    row: usize,
) -> Result<Vec<usize>, StoreError> {
    let (at, thresholds) = (state.engine.now(), state.catalogue.scarce.thresholds());
    let (stand, figures) = (Arc::clone(stand), Arc::clone(figures));
    let (account, place) = (account.clone(), place.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let viewer = Viewer::new(&stand.program, Some(&account), &place, at).with_presale(&thresholds);
        most_similar(&stand, &figures, &viewer, row)
    });
    looked.await.map_err(|error| StoreError::Unusable(error.to_string()))?
}

/// Out of the same category first, then with a tag in common, then of the same kind, then others; among those the nearest in
/// price.
fn most_similar(stand: &Stand, figures: &Figures, viewer: &Viewer<'_>, row: usize) -> Result<Vec<usize>, StoreError> {
    let Some(own) = stand.shelf.reward(row).map(|offered| &offered.reward) else { return Ok(Vec::new()) };
    let price = viewer.price_of(own);
    let all = stand.shelf.rewards().len();
    let wish = Wish { affordable: true, in_stock: true, limit: all, ..Wish::default() };
    let offered = stand.browse(viewer, figures, &wish, None)?.listing.rows;
    let categories: Vec<&str> = stand.shelf.categories_of(row).map(|category| category.id.as_str()).collect();
    let key = |other: usize| {
        let reward = &stand.shelf.reward(other)?.reward;
        let same_category = stand.shelf.categories_of(other).any(|one| categories.contains(&one.id.as_str()));
        let same_tag = reward.catalogue.tags.iter().any(|tag| own.catalogue.tags.contains(tag));
        let kind = |reward: &Reward| reward.kind.as_ref().map(|kind| kind.name());
        let same_kind = own.kind.is_some() && kind(reward) == kind(own);
        let rank = match (same_category, same_tag, same_kind) {
            (true, ..) => 0,
            (_, true, _) => 1,
            (_, _, true) => 2,
            _ => 3,
        };
        Some((rank, viewer.price_of(reward).abs_diff(price), other))
    };
    let mut ranked: Vec<_> = offered.into_iter().filter(|other| *other != row).filter_map(key).collect();
    ranked.sort_unstable();
    Ok(ranked.into_iter().take(SIMILAR).map(|(_, _, other)| other).collect())
}

#[cfg(test)]
mod tests {
    use guerdon_core::kernel::Command;
    use guerdon_core::ledger::CurrencyId;
    use guerdon_core::members::Profile;
    use guerdon_core::privacy::{Keyring, MasterKey, SEAL_RANDOM, SECRETS_RANDOM};

    use super::*;
    use crate::identity::testing::{scratch_of, state};
    use crate::messages::Post;

    #[tokio::test]
    async fn in_a_rush_a_page_comes_without_proposals() {
        let scratch = scratch_of(include_str!("../../../programs/examples/payments.toml")).await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let (member, now) = (state.engine.new_member_id(), state.engine.now());
        let enrol = Command::enrol(&state.keys(), [7; SEAL_RANDOM], member, "k", now, &Profile::default()).unwrap();
        state.engine.submit_one(enrol).await.unwrap();
        let opening = Command::adjust(member, "a", now, CurrencyId(1), 3_000, "opening balance").unwrap();
        state.engine.submit_one(opening).await.unwrap();
        let account = state.reader.account(member).await.unwrap().unwrap();
        let stand = state.catalogue.stand(&state).await.unwrap();
        let figures = state.catalogue.figures(&state, &stand).await.unwrap();
        let row = stand.shelf.row_of("teapot").unwrap();
        let look = async || {
            let who = (member, &account, &Place::default());
            let Instead { rows, reachable_on } =
                instead(&state, (&stand, &figures), who, row, Some(3_000)).await.unwrap();
            assert_eq!(reachable_on, None, "nothing was earned yet");
            let id = |row| stand.shelf.reward(row).unwrap().reward.id.clone();
            rows.into_iter().map(id).collect::<Vec<_>>()
        };
        // What others look at, at most eight of them, takes no place of the others while these wait.
        let others = PLACES.acquire_many(8).await.unwrap();
        assert_eq!(look().await, Vec::<String>::new());
        drop(others);
        assert_eq!(look().await, ["green-tea", "jasmine-tea", "movie"]);
    }

    #[test]
    fn what_cannot_be_known_is_not_said() {
        // 900 points in 90 days are 10 a day.
        for (missing, earned, days) in [
            (100, 900, Some(10)),
            (101, 900, Some(11)),
            (1, 900, Some(1)),
            (7_300, 900, Some(730)),
            (7_301, 900, None),
            (0, 900, None),
            (100, 0, None),
            (100, -5, None),
            (i64::MAX, 1, None),
        ] {
            assert_eq!(days_to_earn(missing, earned), days, "{missing} of {earned}");
        }
    }
}
