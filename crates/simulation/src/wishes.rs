//! What clients wish for: random commands that collide, are repeated, duplicated and mixed up.

use guerdon_core::earning::Activity;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Refusal};
use guerdon_core::redemption::OrderMove;
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::Store;

use crate::fixtures::{POINTS, TEA, VOUCHER, basket, custom, enrol, paid, profile, renumber};
use crate::orders::{self, Where, place};
use crate::world::{DAY, MEMBERS, World};

/// SplitMix64: a seed must replay the same for ever, so no generator of a library that may change.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A wish of a client, in the terms of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Enrol {
        external: String,
    },
    Purchase {
        plain: i64,
        christmas: i64,
        at: i64,
    },
    Return {
        amount: i64,
        at: i64,
    },
    CheckIn {
        at: i64,
    },
    Redeem {
        reward: String,
        quantity: i64,
        capture: bool,
    },
    /// A move of an order by people.
    Move(i64, OrderMove),
    /// A step of the program's own in the fulfilment of an order.
    Fulfil(i64, OrderMove),
    Adjust(i64),
    Merge {
        from: i64,
    },
    Close,
    /// Another number in the profile that the client has read.
    Renumber {
        read: String,
        external: String,
    },
    Tick,
}

impl What {
    /// Whether two requests with one key are one request. What a client had read is no part of it.
    pub(crate) fn is_the_same_request(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Renumber { external, .. }, Self::Renumber { external: other, .. }) => external == other,
            _ => self == other,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) member: i64,
    pub(crate) key: String,
    pub(crate) at: i64,
    pub(crate) what: What,
    pub(crate) dry: bool,
}

impl<S: Store> World<S> {
    /// Random wishes; the scarce reward and few members make them collide.
    pub(crate) fn batch(&mut self) -> Vec<Want> {
        let mut wants: Vec<Want> = Vec::new();
        for _ in 0..=self.dice.below(6) {
            let want = match self.dice.below(100) {
                // A retry, in any order.
                0..20 if !self.unanswered.is_empty() => {
                    let index = self.dice.below(self.unanswered.len() as u64) as usize;
                    self.unanswered.swap_remove(index)
                }
                // A duplicate, long after its answer or in one batch with the first.
                20..30 if !self.sent.is_empty() => {
                    let index = self.dice.below(self.sent.len() as u64) as usize;
                    let mut want = self.sent[index].clone();
                    // A caller who asks for the member by a reference finds the one who goes on. The clock does not.
                    if !matches!(want.what, What::Enrol { .. } | What::Tick) && self.dice.percent(50) {
                        want.member = self.model.survivor(want.member);
                    }
                    want
                }
                30..34 if !wants.is_empty() => wants[0].clone(),
                // The key of one request on another.
                34..38 if !self.sent.is_empty() => {
                    let index = self.dice.below(self.sent.len() as u64) as usize;
                    let other = self.sent[index].clone();
                    let mut want = self.wish();
                    // The clock's own keys are not for clients, and the clock uses no other.
                    let own = |what: &What| matches!(what, What::Tick | What::Fulfil(..));
                    if own(&other.what) || own(&want.what) {
                        wants.push(self.address(want));
                        continue;
                    }
                    want.key = other.key;
                    // An enrolment that is mismatched must not be about a member who exists.
                    if !matches!(want.what, What::Enrol { .. } | What::Tick) {
                        want.member = other.member;
                    }
                    want
                }
                38..44 => Want { dry: true, ..self.wish() },
                _ => self.wish(),
            };
            wants.push(self.address(want));
        }
        wants
    }

    /// Each call of the API draws a fresh id for an enrolment, also when it is a retry.
    pub(crate) fn address(&mut self, mut want: Want) -> Want {
        if matches!(want.what, What::Enrol { .. }) {
            self.next_member += 1;
            want.member = self.next_member;
        }
        want
    }

    fn wish(&mut self) -> Want {
        self.next_key += 1;
        let key = format!("key-{}", self.next_key);
        let known: Vec<i64> = self.model.members.keys().copied().collect();
        let active: Vec<i64> = known.iter().copied().filter(|member| self.model.is_active(*member)).collect();
        // Few of the first ones are replaced once their accounts have ended: a run is about those who have points.
        let percent = if known.len() < MEMBERS as usize { 30 } else { 4 };
        let enrol = active.is_empty() || (active.len() < MEMBERS as usize && self.dice.percent(percent));
        if enrol || self.dice.percent(2) {
            let external = format!("C-{}", self.dice.below(MEMBERS * 4));
            return Want { member: 0, key, at: self.now, what: What::Enrol { external }, dry: false };
        }
        // Now and then a member whom nobody knows, or one whose account has ended.
        let member = match self.dice.below(100) {
            0..2 => 1,
            2..8 => known[self.dice.below(known.len() as u64) as usize],
            _ => active[self.dice.below(active.len() as u64) as usize],
        };
        let at = if self.dice.percent(15) { self.now - self.dice.between(1, 25 * DAY) } else { self.now };
        let what = match self.dice.below(100) {
            0..22 => {
                let plain = if self.dice.percent(40) {
                    self.dice.between(10_001, 90_000)
                } else {
                    self.dice.between(0, 10_001)
                };
                let christmas = if self.dice.percent(30) { self.dice.between(1, 9_999) } else { 0 };
                What::Purchase { plain, christmas, at }
            }
            22..30 => What::Return { amount: self.dice.between(0, 30_000), at },
            30..38 => What::CheckIn { at },
            38..58 => {
                let reward = if self.dice.percent(60) { VOUCHER } else { TEA };
                let reward = if self.dice.percent(2) { "yacht" } else { reward };
                let capture = self.dice.percent(40);
                let quantity = if self.dice.percent(80) { 1 } else { self.dice.between(2, 3) };
                What::Redeem { reward: reward.to_owned(), quantity, capture }
            }
            58..76 => {
                // Mostly one that is not at its end.
                let open = self.dice.percent(85);
                let orders = self.model.orders.iter().filter(|(_, order)| !open || order.is_open());
                return self.order_wish(orders.map(|(id, _)| *id).collect(), member, key);
            }
            76..80 if self.model.orders.values().any(|order| place(order.state) == Where::Spent) => {
                let orders = self.model.orders.iter().filter(|(_, order)| place(order.state) == Where::Spent);
                return self.order_wish(orders.map(|(id, _)| *id).collect(), member, key);
            }
            80..82 => {
                let from = known[self.dice.below(known.len() as u64) as usize];
                let from = if self.dice.percent(3) { 1 } else { from };
                return Want { member, key, at: self.now, what: What::Merge { from }, dry: false };
            }
            82..83 => What::Close,
            83..86 => {
                let known = self.model.members.get(&member).filter(|_| self.dice.percent(90));
                let read = known.map(|known| known.external.clone());
                let read = read.unwrap_or_else(|| format!("C-{}", self.dice.below(MEMBERS * 4)));
                What::Renumber { read, external: format!("C-{}", self.dice.below(MEMBERS * 4)) }
            }
            76..88 => match self.dice.between(-600, 6_000) {
                0 => What::Adjust(1),
                points => What::Adjust(points),
            },
            _ => {
                let due = self.model.members.iter().find(|(_, state)| state.due_at().is_some_and(|due| due <= at));
                let member = due.map_or(member, |(member, _)| *member);
                let version = self.model.members.get(&member).map_or(1, |state| state.version);
                return Want { member, key: format!("tick:{version}"), at: self.now, what: What::Tick, dry: false };
            }
        };
        Want { member, key, at: self.now, what, dry: false }
    }

    /// A move of one of some orders; now and then of one that is not there, or by a stranger.
    fn order_wish(&mut self, orders: Vec<i64>, stranger: i64, key: String) -> Want {
        let at = self.now;
        if orders.is_empty() || self.dice.percent(4) {
            return Want { member: stranger, key, at, what: What::Move(7, OrderMove::Complete), dry: false };
        }
        let id = orders[self.dice.below(orders.len() as u64) as usize];
        let order = self.model.orders[&id].clone();
        let (key, what) = order.wish(id, &key, &mut self.dice);
        // Mostly whoever goes on for the owner, sometimes the owner, sometimes a stranger.
        let member = match self.dice.below(100) {
            _ if matches!(what, What::Fulfil(..)) => self.model.survivor(order.member),
            0..90 => self.model.survivor(order.member),
            90..95 => order.member,
            _ => stranger,
        };
        Want { member, key, at, what, dry: false }
    }

    pub(crate) fn command(&self, want: &Want) -> Result<Command, Refusal> {
        let (member, key, at) = (MemberId(want.member), want.key.as_str(), Timestamp::from_millis(want.at));
        let record = |activity: Activity| Command::record(&self.program, member, key, &activity, at, EARLIEST);
        let command = match &want.what {
            What::Enrol { external } => enrol(member, key, at, &profile(external))?,
            What::Purchase { plain, christmas: 0, at } => {
                record(paid("purchase", Timestamp::from_millis(*at), *plain))?
            }
            What::Purchase { plain, christmas, at } => {
                let price = |pence: &i64| format!("{}.{:02}", pence / 100, pence % 100);
                let lines = [("OAK TABLE", "1", &*price(plain)), ("BOX OF CHRISTMAS STARS", "1", &*price(christmas))];
                record(basket(Timestamp::from_millis(*at), &lines))?
            }
            What::Return { amount, at } => record(paid("return", Timestamp::from_millis(*at), *amount))?,
            What::CheckIn { at } => record(custom("check_in", Timestamp::from_millis(*at)))?,
            What::Redeem { reward, quantity, capture } => {
                Command::redeem(member, key, at, reward, *quantity, *capture)?
            }
            What::Move(order, step) => {
                let owner = self.model.orders.get(order).map_or(want.member, |order| order.member);
                orders::step(want, *order, *step, owner)?
            }
            What::Fulfil(order, step) => {
                let owner = self.model.orders.get(order).map_or(want.member, |order| order.member);
                orders::fulfilment_step(*order, owner, want.at, want.member, *step)
            }
            What::Merge { from } => Command::merge(MemberId(*from), member, key, at, "for the simulation")?,
            What::Renumber { read, external } => renumber(member, key, at, read, external)?,
            What::Close => Command::close(member, key, at, "for the simulation")?,
            What::Adjust(points) => Command::adjust(member, key, at, POINTS, *points, "for the simulation")?,
            What::Tick => {
                let tick = Command::tick(member, 0, at);
                Command { idempotency_key: key.to_owned(), ..tick }
            }
        };
        Ok(if want.dry { command.dry() } else { command })
    }
}
