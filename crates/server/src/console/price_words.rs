//! Prices in words: how one was made, step by step, and the rule by which it is made.

use guerdon_core::rewards::{Base, DemandStep, How, Occasion, Offer, Price, Priced, Reward, Season, TierPrice};
use guerdon_core::time::Timestamp;
use rust_decimal::Decimal;

use super::frame::Frame;
use super::tier::tier_name;

/// Digits after the decimal point of what a point is worth; more tell nobody anything.
const VALUE_DIGITS: u32 = 6;

/// A number as it is written, without zeroes at its end.
pub(super) fn plain(number: Decimal) -> String {
    number.normalize().to_string()
}

/// What a point of a reward's currency is worth, as a number of major units of money.
pub(super) fn point_value(value: Decimal) -> String {
    plain(value.round_dp(VALUE_DIGITS))
}

/// Money from major units.
pub(super) fn money(frame: &Frame, major: Decimal) -> String {
    frame.major_money(major).unwrap_or_else(|| plain(major))
}

/// Words about one reward's price, for somebody who may know what it costs the program, or may not.
pub(super) struct PriceWords<'a> {
    pub frame: &'a Frame,
    pub reward: &'a Reward,
    /// Whether who looks may read the program, and with it what rewards cost.
    pub knows_cost: bool,
}

impl PriceWords<'_> {
    fn points(&self, points: i64) -> String {
        self.frame.points(self.reward.currency, points)
    }

    fn percent(&self, key: &str, percent: Decimal) -> String {
        self.frame.say_text(key, "percent", &plain(percent))
    }

    /// What a step is.
    pub fn step(&self, how: &How) -> String {
        self.frame.t(match how {
            How::Points => "prices-step-points",
            How::Cost { .. } => "prices-step-cost",
            How::Tier { .. } => "prices-step-tier",
            How::Season(_) => "prices-step-season",
            How::Offer(_) => "prices-step-offer",
            How::Demand { .. } => "prices-step-demand",
            How::Cold { .. } => "prices-step-cold",
            How::Group(_) => "prices-step-group",
            How::Quantity(_) => "prices-step-quantity",
            How::Curve(_) => "prices-step-curve",
            How::Cash(_) => "prices-step-cash",
        })
    }

    /// What it does; `whole`: with what a point is worth, and the ceiling of demand.
    pub fn does(&self, how: &How, whole: bool) -> String {
        let frame = self.frame;
        match how {
            How::Points => String::new(),
            How::Cost { .. } if !self.knows_cost => frame.t("prices-of-cost-hidden"),
            How::Cost { cost, margin, value } => {
                let (cost, margin) = (money(frame, *cost), plain(*margin));
                if !whole {
                    return frame.say("prices-of-cost", [("cost", cost.into()), ("margin", margin.into())]);
                }
                let currency = frame.program.settings.money.as_str();
                let places = [("cost", cost.into()), ("margin", margin.into())];
                let worth = [("value", point_value(*value).into()), ("currency", currency.into())];
                frame.language.say_all("prices-of-cost-value", places.into_iter().chain(worth))
            }
            How::Tier { tier, price } => {
                let tier = tier_name(frame, tier).into();
                match price {
                    TierPrice::Percent(percent) => {
                        frame.say("prices-of-tier-percent", [("tier", tier), ("percent", plain(*percent).into())])
                    }
                    TierPrice::Points(points) => {
                        frame.say("prices-of-tier-points", [("tier", tier), ("points", self.points(*points).into())])
                    }
                }
            }
            How::Season(percent) | How::Offer(percent) | How::Group(percent) => {
                self.percent("prices-of-percent", *percent)
            }
            How::Demand { percent, .. } if !whole => self.percent("prices-of-premium", *percent),
            How::Demand { percent, ceiling } => frame
                .say("prices-of-demand", [("percent", plain(*percent).into()), ("ceiling", plain(*ceiling).into())]),
            How::Cold { days, percent } => {
                frame.say("prices-of-cold", [("days", i64::from(*days).into()), ("percent", plain(*percent).into())])
            }
            How::Quantity(quantity) => frame.say("prices-of-quantity", [("quantity", (*quantity).into())]),
            How::Curve(curve) => {
                let one = |step: &guerdon_core::rewards::CurveStep| {
                    let places = [("points", self.points(step.up_to).into()), ("percent", plain(step.worth).into())];
                    frame.say("prices-of-curve", places)
                };
                curve.iter().map(one).collect::<Vec<_>>().join(&frame.t("prices-list-comma"))
            }
            How::Cash(amount) => frame.money(*amount),
        }
    }

    /// How a price was made, in one line; of a number of points that nothing changes there is nothing to tell.
    pub fn made(&self, priced: &Priced) -> String {
        let telling = priced.steps.iter().filter(|step| !matches!(step.how, How::Points));
        let one = |step: &guerdon_core::rewards::Step| match step.how {
            // The figures alone say it.
            How::Cost { .. } if self.knows_cost => self.does(&step.how, false),
            How::Curve(_) => self.does(&step.how, false),
            _ => format!("{} {}", self.step(&step.how), self.does(&step.how, false)),
        };
        telling.map(one).collect::<Vec<_>>().join(" · ")
    }

    /// The rule, in sentences, in the order in which it is applied, at a moment.
    pub fn rule(&self, at: Timestamp) -> Vec<String> {
        let (frame, price) = (self.frame, &self.reward.price);
        let mut rule = vec![self.base(price, at)];
        // In the order of the tiers, not of their ids.
        for level in frame.program.tiers.at(at).levels() {
            if let Some(own) = price.tiers.get(&level.tier.id) {
                rule.push(self.tier(&level.tier.id, *own));
            }
        }
        rule.extend(price.seasons.iter().map(|season| self.season(season, at)));
        rule.extend(price.offers.iter().map(|offer| self.offer(offer, at)));
        if let Some(demand) = &price.demand {
            rule.extend(demand.steps.iter().map(|step| self.demand(step)));
            rule.push(self.percent("prices-rule-ceiling", demand.ceiling));
        }
        if let Some(cold) = &price.cold {
            let places = [("days", i64::from(cold.days).into()), ("percent", plain(cold.percent).into())];
            rule.push(frame.say("prices-rule-cold", places));
        }
        rule.extend(self.group(price));
        for step in &price.curve {
            let places = [("points", self.points(step.up_to).into()), ("percent", plain(step.worth).into())];
            rule.push(frame.say("prices-rule-curve", places));
        }
        rule.extend(self.cash(price));
        rule
    }

    fn base(&self, price: &Price, at: Timestamp) -> String {
        let frame = self.frame;
        match &price.base {
            Base::Points(points) => frame.say_text("prices-rule-points", "points", &self.points(*points)),
            Base::Cost { .. } if !self.knows_cost => frame.t("prices-rule-cost-hidden"),
            Base::Cost { cost, margin } => {
                let key = if margin.is_some() { "prices-rule-cost" } else { "prices-rule-cost-program" };
                let margin = margin.unwrap_or(frame.program.settings_at(at).reward_margin);
                frame.say(key, [("cost", money(frame, *cost).into()), ("margin", plain(margin).into())])
            }
        }
    }

    fn tier(&self, tier: &str, price: TierPrice) -> String {
        let tier = tier_name(self.frame, tier).into();
        match price {
            TierPrice::Percent(percent) => {
                self.frame.say("prices-rule-tier-percent", [("tier", tier), ("percent", plain(percent).into())])
            }
            TierPrice::Points(points) => {
                self.frame.say("prices-rule-tier-points", [("tier", tier), ("points", self.points(points).into())])
            }
        }
    }

    /// From when until when, and whether that is now or over.
    fn when(&self, (from, to): (Option<Timestamp>, Option<Timestamp>), holds: bool, now: Timestamp) -> String {
        let frame = self.frame;
        let span = match (from, to) {
            (Some(from), Some(to)) => {
                Some(frame.say("prices-between", [("from", frame.time(from).into()), ("to", frame.time(to).into())]))
            }
            (Some(from), None) => Some(frame.say_text("prices-from", "from", &frame.time(from))),
            (None, Some(to)) => Some(frame.say_text("prices-until", "to", &frame.time(to))),
            (None, None) => None,
        };
        let standing = match to {
            _ if holds => Some(frame.t("prices-holds")),
            Some(to) if to <= now => Some(frame.t("prices-over")),
            _ => None,
        };
        [span, standing].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    fn season(&self, season: &Season, now: Timestamp) -> String {
        let frame = self.frame;
        let months = season.months.iter().map(|month| frame.say("prices-month", [("month", i64::from(*month).into())]));
        let months = months.collect::<Vec<_>>().join(&frame.t("prices-list-comma"));
        let calendar = &frame.program.calendar;
        let [from, to] = [season.from, season.to].map(|local| local.map(|local| calendar.instant_of(local)));
        let span = self.when((from, to), season.holds(calendar.local(now)), now);
        let when = [months, span].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
        frame.say("prices-rule-season", [("when", when.into()), ("percent", plain(season.percent).into())])
    }

    fn offer(&self, offer: &Offer, now: Timestamp) -> String {
        let calendar = &self.frame.program.calendar;
        let [from, to] = [offer.from, offer.to].map(|local| Some(calendar.instant_of(local)));
        let when = self.when((from, to), offer.holds(calendar.local(now)), now);
        self.frame.say("prices-rule-offer", [("when", when.into()), ("percent", plain(offer.percent).into())])
    }

    fn demand(&self, step: &DemandStep) -> String {
        let said = |key: &str, count: Option<i64>| count.map(|count| self.frame.say(key, [("count", count.into())]));
        let orders = said("prices-rule-demand-orders", step.orders);
        let views = said("prices-rule-demand-views", step.views);
        let what = [orders, views].into_iter().flatten().collect::<Vec<_>>().join(&self.frame.t("prices-rule-or"));
        self.frame.say("prices-rule-demand", [("percent", plain(step.percent).into()), ("what", what.into())])
    }

    /// What friends pay who order together.
    pub fn group(&self, price: &Price) -> Option<String> {
        let group = price.group.as_ref()?;
        let (count, hours) = (group.members.into(), group.hours.into());
        let places = [("count", count), ("hours", hours), ("percent", plain(group.percent).into())];
        Some(self.frame.say("prices-rule-group", places))
    }

    /// Which share may be paid in money.
    pub fn cash(&self, price: &Price) -> Option<String> {
        let (frame, cash) = (self.frame, price.cash.as_ref()?);
        let share = [("from", plain(cash.from_percent).into()), ("to", plain(cash.to_percent).into())];
        let mut words = match cash.point_value {
            None => frame.say("prices-rule-cash", share),
            Some(value) => {
                let currency = frame.program.settings.money.as_str();
                let worth = [("value", point_value(value).into()), ("currency", currency.into())];
                frame.language.say_all("prices-rule-cash-value", share.into_iter().chain(worth))
            }
        };
        if cash.min_points > 0 {
            words = format!(
                "{words} {}",
                frame.say_text("prices-rule-cash-least", "points", &self.points(cash.min_points))
            );
        }
        Some(words)
    }

    /// Points above which demand does not lift the price of a unit for a tier.
    pub fn ceiling(&self, at: Timestamp, tier: Option<&str>) -> Option<String> {
        let demand = self.reward.price.demand.as_ref()?;
        let occasion = Occasion { at, tier, figures: None, quantity: 1 };
        let priced = self.frame.program.price(self.reward, occasion).ok()?;
        let base = priced.steps.first()?;
        let own = priced.steps.iter().find(|step| matches!(step.how, How::Tier { .. })).unwrap_or(base);
        demand.ceiling_points(own.after).map(|points| self.points(points))
    }
}
