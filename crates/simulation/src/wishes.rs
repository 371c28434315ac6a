//! What clients wish for: random commands that collide, are repeated, duplicated and mixed up.

use guerdon_core::kernel::Share;
use guerdon_core::redemption::{OrderMove, PaymentMove};
use guerdon_store::Store;

use crate::baskets::Basket;
use crate::fixtures::{TEA, VOUCHER};
use crate::offline::Spending;
use crate::orders::{Order, Where, place};
use crate::vouchers::Presented;
use crate::world::{DAY, MEMBERS, World};

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
    Redeem(Basket),
    /// A move of an order by people.
    Move(i64, OrderMove),
    /// A step of the program's own in the fulfilment of an order.
    Fulfil(i64, OrderMove),
    /// The end of an order whose time has run out, by the program's own clock.
    Lapse(i64),
    /// An appointment that is moved to another slot.
    Rebook(i64, String),
    /// A voucher that is presented at a store.
    HandOut(Presented),
    /// What a tender tells of the money of an order, of which it knows so many steps.
    Pay {
        order: i64,
        step: PaymentMove,
        steps: usize,
    },
    /// Money that somebody has taken by hand.
    Collect(i64),
    /// Units that come in by hand, or that a count did not find.
    Restock {
        reward: &'static str,
        part: Option<&'static str>,
        quantity: i64,
    },
    /// Units that come in by themselves at a moment.
    PlannedRestock(i64),
    Authorise {
        reference: String,
        store: &'static str,
        basket: i64,
        share: Share,
        partial: bool,
    },
    Capture(i64, Share),
    /// What is given back, under a till's own number of it.
    Reverse(i64, Share, Option<String>),
    /// Points for a terminal to be spent without network.
    Grant {
        store: &'static str,
        terminal: &'static str,
        points: Option<i64>,
        number: i64,
    },
    Spend(Spending),
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
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Enrol { .. } => "enrol",
            Self::Purchase { .. } => "purchase",
            Self::Return { .. } => "return",
            Self::CheckIn { .. } => "check in",
            Self::Redeem(basket) => basket.reward,
            Self::Move(..) => "move",
            Self::Fulfil(..) => "fulfil",
            Self::Lapse(_) => "lapse",
            Self::Rebook(..) => "rebook",
            Self::HandOut(_) => "hand out",
            Self::Pay { .. } => "pay",
            Self::Collect(_) => "collect",
            Self::Restock { .. } => "restock",
            Self::PlannedRestock(_) => "planned restock",
            Self::Authorise { .. } => "authorise",
            Self::Capture(..) => "capture",
            Self::Reverse(..) => "reverse",
            Self::Grant { .. } => "grant",
            Self::Spend(_) => "spend",
            Self::Adjust(_) => "adjust",
            Self::Merge { .. } => "merge",
            Self::Close => "close",
            Self::Renumber { .. } => "renumber",
            Self::Tick => "tick",
        }
    }

    /// Whether two requests with one key are one request. What a client had read is no part of it, nor are clocks of tills.
    pub(crate) fn is_the_same_request(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Renumber { external, .. }, Self::Renumber { external: other, .. }) => external == other,
            (Self::HandOut(one), Self::HandOut(other)) => one.is_the_same(other),
            (Self::Spend(one), Self::Spend(other)) => one.is_the_same(other),
            _ => self == other,
        }
    }

    /// Whether it begins something, which only an active account does.
    pub(crate) fn begins(&self) -> bool {
        !matches!(
            self,
            Self::Move(..)
                | Self::Fulfil(..)
                | Self::Lapse(_)
                | Self::Rebook(..)
                | Self::HandOut(_)
                | Self::Pay { .. }
                | Self::Collect(_)
                | Self::Capture(..)
                | Self::Reverse(..)
                | Self::Spend(_)
                | Self::Tick
        )
    }

    /// Whether its key follows from what it is about: no client chooses it.
    pub(crate) fn has_its_own_key(&self) -> bool {
        matches!(
            self,
            Self::Tick
                | Self::Fulfil(..)
                | Self::Lapse(_)
                | Self::Pay { .. }
                | Self::PlannedRestock(_)
                | Self::Authorise { .. }
                | Self::Capture(..)
                | Self::Reverse(..)
                | Self::Grant { .. }
                | Self::Spend(_)
        )
    }

    /// Whether it stays with the account that it was about at first.
    fn stays_with_its_account(&self) -> bool {
        matches!(
            self,
            Self::Enrol { .. } | Self::Tick | Self::Grant { .. } | Self::Restock { .. } | Self::PlannedRestock(_)
        )
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
                    if !want.what.stays_with_its_account() && self.dice.percent(50) {
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
                    // Keys that follow from what is wished are not for clients.
                    if other.what.has_its_own_key() || want.what.has_its_own_key() {
                        wants.push(self.address(want));
                        continue;
                    }
                    want.key = other.key;
                    // An enrolment that is mismatched must not be about a member who exists.
                    if !want.what.stays_with_its_account() {
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
        if let Some(want) = self.special_wish(member, &key) {
            return want;
        }
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
                What::Redeem(Basket { reward, quantity, capture, ..Basket::default() })
            }
            58..76 => {
                // Mostly one that is not at its end.
                let (open, also_tills) = (self.dice.percent(85), self.dice.percent(15));
                let fits = |order: &Order| (!open || order.is_open()) && (also_tills || !order.is_at_till());
                let orders = self.model.orders.iter().filter(|(_, order)| fits(order));
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
        let member = match self.dice.below(100) {
            _ if matches!(what, What::Fulfil(..)) => self.model.survivor(order.member),
            _ => self.mover(order.member, stranger),
        };
        Want { member, key, at, what, dry: false }
    }

    /// Who does something with what somebody has: mostly whoever goes on for the owner, sometimes the owner, sometimes a stranger.
    pub(crate) fn mover(&mut self, owner: i64, stranger: i64) -> i64 {
        match self.dice.below(100) {
            0..90 => self.model.survivor(owner),
            90..95 => owner,
            _ => stranger,
        }
    }
}
