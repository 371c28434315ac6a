//! When a price changes by what is published already: versions that take effect later, values of a point, seasons and offers.
//! What the demand will be nobody knows, so it is left out.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use rust_decimal::Decimal;

use super::price::Price;
use super::pricing::Occasion;
use super::{Base, Reward};
use crate::limits;
use crate::program::Program;
use crate::time::{Timestamp, months_between};

/// Why a price changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnCause {
    /// Another version of the reward takes effect.
    Version,
    /// The reward is withdrawn.
    Withdrawn,
    /// The margin, the value of a point or the tiers of the program change.
    Program,
    /// A season begins, in per cent of the price before.
    SeasonBegins(Decimal),
    /// A season is over.
    SeasonEnds(Decimal),
    /// An offer begins, in per cent of the price before.
    OfferBegins(Decimal),
    /// An offer is over.
    OfferEnds(Decimal),
}

/// A moment at which a price changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTurn {
    /// From when on it costs that.
    pub at: Timestamp,
    /// Points for one unit, for each tier that was asked for; `None`: it is not there, or costs more than can be paid.
    pub points: Vec<Option<i64>>,
    /// Why.
    pub causes: Vec<TurnCause>,
}

impl Program {
    /// The moments after `from` and up to `until` at which the price of one unit of a reward changes for one of `tiers`, where
    /// demand changes nothing; `None` among `tiers` is what anyone pays. At most [`limits::PRICE_TURNS`], the earliest first.
    ///
    /// What it costs before and after is what [`Program::price`] says: only the moments are looked for here.
    pub fn price_turns(
        &self,
        id: &str,
        tiers: &[Option<&str>],
        (from, until): (Timestamp, Timestamp),
    ) -> Vec<PriceTurn> {
        let mut before = self.points_for_tiers(id, tiers, from);
        let mut turns = Vec::new();
        for at in self.possible_turns(id, (from, until)) {
            let points = self.points_for_tiers(id, tiers, at);
            if points == before {
                continue;
            }
            turns.push(PriceTurn { at, points: points.clone(), causes: self.turn_causes(id, at) });
            if turns.len() == limits::PRICE_TURNS {
                break;
            }
            before = points;
        }
        turns
    }

    /// What a price of `points` brings above what a unit costs the program, in per cent of that cost with one digit, at the
    /// value of a point at `at`. `None`: the price names no cost.
    pub fn margin_of(&self, reward: &Reward, points: i64, at: Timestamp) -> Option<Decimal> {
        let Base::Cost { cost, .. } = reward.price.base else { return None };
        let worth = Decimal::from(points).checked_mul(self.point_value(reward.currency, at))?;
        let share = worth.checked_sub(cost)?.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(cost)?;
        Some(share.round_dp_with_strategy(1, rust_decimal::RoundingStrategy::MidpointAwayFromZero))
    }

    fn points_for_tiers(&self, id: &str, tiers: &[Option<&str>], at: Timestamp) -> Vec<Option<i64>> {
        let reward = self.reward_at(id, at);
        let points = |tier: &Option<&str>| {
            let occasion = Occasion { at, tier: *tier, figures: None, quantity: 1 };
            self.price(reward?, occasion).ok().map(|priced| priced.points)
        };
        tiers.iter().map(points).collect()
    }

    /// Every moment at which it may change.
    fn possible_turns(&self, id: &str, (from, until): (Timestamp, Timestamp)) -> BTreeSet<Timestamp> {
        let within = |at: &Timestamp| *at > from && *at <= until;
        let mut moments: BTreeSet<Timestamp> = self.moments_of_price(id).into_iter().filter(within).collect();
        // Seasons and offers of every version that holds at some time between.
        let holding = std::iter::once(from).chain(moments.iter().copied()).collect::<Vec<_>>();
        for reward in holding.into_iter().filter_map(|at| self.reward_at(id, at)) {
            moments.extend(self.bounds(&reward.price, (from, until)).into_iter().filter(within));
        }
        moments
    }

    /// When seasons and offers of a price begin or end, and the beginnings of months where those matter.
    fn bounds(&self, price: &Price, (from, until): (Timestamp, Timestamp)) -> Vec<Timestamp> {
        let of_seasons = price.seasons.iter().flat_map(|season| [season.from, season.to]).flatten();
        let of_offers = price.offers.iter().flat_map(|offer| [offer.from, offer.to]);
        let mut locals: Vec<DateTime> = of_seasons.chain(of_offers).collect();
        if price.seasons.iter().any(|season| !season.months.is_empty()) {
            let months = months_between(self.calendar.day_of(from), self.calendar.day_of(until));
            locals.extend(months.into_iter().map(|first| first.at(0, 0, 0, 0)));
        }
        locals.into_iter().map(|local| self.calendar.instant_of(local)).collect()
    }

    fn turn_causes(&self, id: &str, at: Timestamp) -> Vec<TurnCause> {
        let moment_before = at.plus_millis(-1);
        let Some(now) = self.reward_at(id, at) else { return vec![TurnCause::Withdrawn] };
        let mut causes = Vec::new();
        if self.reward_at(id, moment_before).is_none_or(|before| before.price != now.price) {
            causes.push(TurnCause::Version);
        } else {
            let (earlier, later) = (self.calendar.local(moment_before), self.calendar.local(at));
            for season in &now.price.seasons {
                match (season.holds(earlier), season.holds(later)) {
                    (false, true) => causes.push(TurnCause::SeasonBegins(season.percent)),
                    (true, false) => causes.push(TurnCause::SeasonEnds(season.percent)),
                    _ => {}
                }
            }
            for offer in &now.price.offers {
                match (offer.holds(earlier), offer.holds(later)) {
                    (false, true) => causes.push(TurnCause::OfferBegins(offer.percent)),
                    (true, false) => causes.push(TurnCause::OfferEnds(offer.percent)),
                    _ => {}
                }
            }
        }
        if causes.is_empty() {
            causes.push(TurnCause::Program);
        }
        causes
    }
}
