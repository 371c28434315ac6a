//! What the program should do, written down a second time and in the simplest way, knowing none of the kernel's code.

use std::collections::BTreeMap;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Event, Receipt, Refusal, Reply};
use guerdon_core::redemption::OrderMove;

use crate::fixtures::{TEA, VOUCHER};
use crate::orders::{Order, Where, place};
use crate::wishes::{Want, What};
use crate::world::{DAY, HOUR, SKEW, Summary, VOUCHERS};

/// A lot: when it expires, when it becomes active (0: it is), what is free and what is held.
pub(crate) type Row = (i64, i64, i64, i64);

/// What the program should do, written down a second time and in the simplest way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) members: BTreeMap<i64, Member>,
    /// Whether stock is not looked at, within a batch that is committed.
    pub(crate) stock_is_open: bool,
    /// Whether points decay, are reminded of, and are owed.
    pub(crate) lives: bool,
    pub(crate) externals: BTreeMap<String, i64>,
    pub(crate) enrolments: BTreeMap<String, i64>,
    pub(crate) orders: BTreeMap<i64, Order>,
    pub(crate) answers: BTreeMap<(i64, String), Answer>,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    request: What,
    pub(crate) receipt: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    /// Expiry → free, held.
    pub(crate) active: BTreeMap<i64, (i64, i64)>,
    /// Expiry, activation → points.
    pub(crate) pending: BTreeMap<(i64, i64), i64>,
    /// Earned, redeemed, expired, revoked, adjusted.
    pub(crate) lifetime: [i64; 5],
    pub(crate) version: i64,
    latest: i64,
    pub(crate) status: Status,
    /// The brand's number for the member.
    pub(crate) external: String,
    /// Who was merged into this account, in order.
    merged_from: Vec<i64>,
    /// Whether points decay, are reminded of, and are owed.
    pub(crate) lives: bool,
    pub(crate) owed: i64,
    pub(crate) remind_at: Option<i64>,
    pub(crate) decay_at: Option<i64>,
    /// Money spent less what was returned, purchases, and the rank of the tier that they led to.
    spend: i64,
    orders: i64,
    pub(crate) rank: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Status {
    #[default]
    Active,
    Closed,
    Merged(i64),
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Merged(_) => "merged",
        }
    }
}

/// What an accepted command must say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) points: i64,
    pub(crate) forgiven: i64,
    pub(crate) owed: i64,
    pub(crate) repaid: i64,
    pub(crate) matured: i64,
    pub(crate) expired: i64,
    pub(crate) decayed: i64,
    forfeited: i64,
    /// Expiry, days ahead, points.
    pub(crate) reminded: Vec<(i64, i64, i64)>,
    /// Points by rule.
    rules: Vec<(&'static str, i64)>,
}

impl Member {
    pub(crate) fn rows(&self) -> Vec<Row> {
        let active = self.active.iter().filter(|(_, points)| **points != (0, 0));
        let mut rows: Vec<Row> = active.map(|(expires, (free, held))| (*expires, 0, *free, *held)).collect();
        rows.extend(self.pending.iter().map(|((expires, active), points)| (*expires, *active, *points, 0)));
        rows.sort();
        rows
    }

    pub(crate) fn merged_from(&self) -> Vec<MemberId> {
        self.merged_from.iter().map(|member| MemberId(*member)).collect()
    }

    /// Refuses what only an active account does.
    fn must_be_active(&self) -> Result<(), &'static str> {
        match self.status {
            Status::Active => Ok(()),
            Status::Closed => Err("member_closed"),
            Status::Merged(_) => Err("member_merged"),
        }
    }

    fn must_be_settled(&self) -> Result<(), &'static str> {
        if self.active.values().any(|(_, held)| *held > 0) { Err("open_orders") } else { Ok(()) }
    }

    /// Reaches the tier to which the figures lead, which gives 11 points.
    fn reach(&mut self, at: i64, said: &mut Said) {
        let leads_to = match (self.spend, self.orders) {
            (100_000.., 4..) => 2,
            (30_000.., _) => 1,
            _ => 0,
        };
        if leads_to > self.rank {
            self.rank = leads_to;
            self.lifetime[0] += 11;
            let left = 11 - self.repay(11, said);
            self.give(expiry(at), left);
            said.points += left;
            said.rules.push(("welcome", 11));
        }
    }

    /// Free points, active or not.
    pub(crate) fn free(&self) -> i64 {
        self.active.values().map(|(free, _)| free).sum::<i64>() + self.pending.values().sum::<i64>()
    }

    pub(crate) fn spendable(&self, at: i64) -> i64 {
        self.active.iter().filter(|(expires, _)| **expires > at).map(|(_, (free, _))| free).sum()
    }

    /// Takes points from the lots that expire first; says from which.
    pub(crate) fn take(&mut self, mut points: i64, at: i64) -> Vec<(i64, i64)> {
        let mut taken = Vec::new();
        for (expires, (free, _)) in self.active.iter_mut().filter(|(expires, _)| **expires > at) {
            let part = points.min(*free);
            if part > 0 {
                *free -= part;
                points -= part;
                taken.push((*expires, part));
            }
        }
        taken
    }

    pub(crate) fn give(&mut self, expires: i64, points: i64) {
        if points > 0 {
            self.active.entry(expires).or_default().0 += points;
        }
    }
}

impl Model {
    /// Compares one answer with what it should be, and follows it.
    pub(crate) fn judge(
        &mut self,
        want: &Want,
        outcome: &Result<Reply, Refusal>,
        summary: &mut Summary,
    ) -> Result<(), String> {
        if !want.dry
            && let Some(answer) = self.answered(want)
        {
            return match outcome {
                _ if !answer.request.is_the_same_request(&want.what) => {
                    refused(outcome, "idempotency_mismatch", summary)
                }
                Ok(reply) if reply.replayed && *reply.receipt == answer.receipt => {
                    summary.replayed += 1;
                    Ok(())
                }
                other => Err(format!("should repeat {}, not {other:?}", answer.receipt)),
            };
        }
        let mut after = self.clone();
        let said = match after.decide(want) {
            Ok(said) => said,
            Err(code) => {
                summary.sold_out += u64::from(code == "out_of_stock");
                return refused(outcome, code, summary);
            }
        };
        let reply = outcome.as_ref().map_err(|refusal| format!("refused as {:?}: {refusal}", refusal.code))?;
        let receipt: Receipt = serde_json::from_str(&reply.receipt).map_err(|error| error.to_string())?;
        let rules: Vec<(&str, i64)> = receipt.explanation.iter().map(|o| (&*o.rule, o.points)).collect();
        let heard = Said {
            points: receipt.points,
            forgiven: receipt.forgiven,
            owed: receipt.owed,
            repaid: receipt.repaid,
            matured: receipt.matured,
            expired: receipt.expired,
            decayed: receipt.decayed,
            forfeited: receipt.forfeited,
            reminded: reminded(&receipt),
            rules: Vec::new(),
        };
        let rules = (rules, said.rules.clone());
        let said = Said { rules: Vec::new(), ..said };
        if heard != said || rules.0 != rules.1 {
            return Err(format!("says {heard:?}, the model {said:?}; by rule {rules:?}"));
        }
        if receipt.explanation.iter().any(|outcome| outcome.version != 1) {
            return Err("names a version of a rule that there is not".to_owned());
        }
        if reply.replayed {
            return Err("claims to be a replay of what never was".to_owned());
        }
        after.check_balances(want.member, &receipt)?;
        if want.dry {
            return Ok(());
        }
        if let (What::Redeem { .. }, Some(order)) = (&want.what, &receipt.order) {
            let made = after.orders.remove(&NEW_ORDER).ok_or("the model made no order")?;
            if after.orders.insert(order.id.0, made).is_some() {
                return Err(format!("order {} is there twice", order.id));
            }
        }
        summary.accepted += 1;
        summary.merged += u64::from(matches!(want.what, What::Merge { .. }));
        summary.closed += u64::from(want.what == What::Close);
        summary.renumbered += u64::from(matches!(want.what, What::Renumber { .. }));
        summary.refunded += u64::from(matches!(want.what, What::Move(_, OrderMove::Refund)));
        summary.fulfilled += u64::from(matches!(want.what, What::Fulfil(_, OrderMove::Complete)));
        summary.failed += u64::from(matches!(want.what, What::Fulfil(_, OrderMove::Fail)));
        summary.expired += said.expired;
        summary.forgiven += said.forgiven;
        summary.decayed += said.decayed;
        summary.repaid += said.repaid;
        summary.reminded += said.reminded.len() as u64;
        let answer = Answer { request: want.what.clone(), receipt: reply.receipt.to_string() };
        after.answers.insert((want.member, want.key.clone()), answer);
        *self = after;
        Ok(())
    }

    fn answered(&self, want: &Want) -> Option<&Answer> {
        let member = match want.what {
            What::Enrol { .. } => *self.enrolments.get(&want.key)?,
            _ => want.member,
        };
        // A person's keys hold for the person; the clock's for one account.
        let older = match want.what {
            What::Enrol { .. } | What::Tick => &[],
            _ => self.members.get(&member).map_or(&[][..], |member| &member.merged_from),
        };
        [member].iter().chain(older).find_map(|member| self.answers.get(&(*member, want.key.clone())))
    }

    /// Who goes on after all merges.
    pub(crate) fn survivor(&self, member: i64) -> i64 {
        match self.members.get(&member).map(|member| member.status) {
            Some(Status::Merged(into)) => self.survivor(into),
            _ => member,
        }
    }

    /// The numbers that lead to a member.
    fn led_to(&self, member: i64) -> Vec<String> {
        let led = self.externals.iter().filter(|(_, owner)| self.survivor(**owner) == member);
        led.map(|(external, _)| external.clone()).collect()
    }

    pub(crate) fn is_active(&self, member: i64) -> bool {
        self.members.get(&member).is_some_and(|member| member.status == Status::Active)
    }

    fn merge(&mut self, from: i64, want: &Want) -> Result<Said, &'static str> {
        let into = want.member;
        if from == into {
            return Err("invalid_request");
        }
        let mut source = self.members.get(&from).ok_or("unknown_member")?.clone();
        let target = self.members.get_mut(&into).ok_or("unknown_member")?;
        target.must_be_active()?;
        source.must_be_active()?;
        source.must_be_settled()?;
        if want.at + SKEW < source.latest.max(target.latest) {
            return Err("out_of_order");
        }
        let mut said = Said::default();
        source.catch_up(want.at, &mut Said::default());
        target.catch_up(want.at, &mut said);
        said.points += source.active.values().map(|(free, _)| free).sum::<i64>();
        target.owed += std::mem::take(&mut source.owed);
        for (expires, (free, _)) in std::mem::take(&mut source.active) {
            target.give(expires, free);
        }
        for (key, points) in std::mem::take(&mut source.pending) {
            *target.pending.entry(key).or_default() += points;
        }
        for (total, brought) in target.lifetime.iter_mut().zip(std::mem::take(&mut source.lifetime)) {
            *total += brought;
        }
        target.merged_from.extend(source.merged_from.iter().copied().chain([from]));
        target.spend += std::mem::take(&mut source.spend);
        target.orders += std::mem::take(&mut source.orders);
        target.rank = target.rank.max(std::mem::take(&mut source.rank));
        target.reach(want.at, &mut said);
        source.status = Status::Merged(into);
        for member in [target, &mut source] {
            member.version += 1;
            member.latest = member.latest.max(want.at);
            member.plan(member.latest);
        }
        self.members.insert(from, source);
        Ok(said)
    }

    fn check_balances(&self, member: i64, receipt: &Receipt) -> Result<(), String> {
        let rows = self.members.get(&member).map(Member::rows).unwrap_or_default();
        let sum = |of: &dyn Fn(&Row) -> i64| rows.iter().map(of).sum::<i64>();
        let available = sum(&|(_, active, free, _)| if *active == 0 { *free } else { 0 });
        let pending = sum(&|(_, active, free, _)| if *active == 0 { 0 } else { *free });
        let held = sum(&|(_, _, _, held)| *held);
        match receipt.balances.as_slice() {
            [balance] if (balance.available, balance.pending, balance.held) == (available, pending, held) => Ok(()),
            other => Err(format!("balances {other:?}, in the model {available}, {pending}, {held}")),
        }
    }

    /// Follows a wish, or says with which code it is refused.
    fn decide(&mut self, want: &Want) -> Result<Said, &'static str> {
        if let What::Enrol { external } = &want.what {
            if self.externals.contains_key(external) || self.enrolments.contains_key(&want.key) {
                return Err("already_enrolled");
            }
            self.externals.insert(external.clone(), want.member);
            self.enrolments.insert(want.key.clone(), want.member);
            let external = external.clone();
            let lives = self.lives;
            let member = Member { version: 1, latest: want.at, external, lives, ..Member::default() };
            self.members.insert(want.member, member);
            return Ok(Said::default());
        }
        if let What::Merge { from } = want.what
            && self.members.contains_key(&want.member)
        {
            return self.merge(from, want);
        }
        let led: Vec<String> = self.led_to(want.member);
        let Some(member) = self.members.get_mut(&want.member) else { return Err("unknown_member") };
        if !matches!(want.what, What::Move(..) | What::Fulfil(..) | What::Tick) {
            member.must_be_active()?;
        }
        let mut said = Said::default();
        let happened = match &want.what {
            What::Purchase { at, .. } | What::Return { at, .. } | What::CheckIn { at } => *at,
            _ => want.at,
        };
        if want.what != What::Tick {
            member.catch_up(happened, &mut said);
        }
        match &want.what {
            What::Enrol { .. } | What::Merge { .. } => {}
            What::Purchase { plain, christmas, at } => {
                let total = plain + christmas;
                let base = total / 100;
                let bonus = if total > 10_000 { base / 10 } else { 0 };
                let rules = [("base", base), ("big-basket", bonus), ("christmas", christmas / 200)];
                said.rules = rules.into_iter().filter(|(_, points)| *points > 0).collect();
                let earned = said.rules.iter().map(|(_, points)| points).sum::<i64>();
                member.lifetime[0] += earned;
                let left = earned - member.repay(earned, &mut said);
                said.points += left;
                member.give(expiry(*at), left);
                member.spend += total;
                member.orders += 1;
                member.reach(*at, &mut said);
            }
            What::Return { amount, at } => {
                let wanted = amount / 100;
                let taken: i64 = member.take(wanted, *at).iter().map(|(_, points)| points).sum();
                said.points -= taken;
                member.fall_short(wanted - taken, &mut said);
                if wanted > 0 {
                    said.rules.push(("return-back", -taken));
                }
                member.lifetime[3] += taken;
                member.spend -= amount;
                member.reach(*at, &mut said);
            }
            What::CheckIn { at } => {
                let active = start_of_day(local_day(*at) + 2);
                let left = 5 - member.repay(5, &mut said);
                if left > 0 {
                    *member.pending.entry((expiry(active), active)).or_default() += left;
                }
                member.lifetime[0] += 5;
                said.rules.push(("check-in", 5));
            }
            What::Redeem { reward, quantity, capture } => {
                let price = match reward.as_str() {
                    VOUCHER => 500,
                    TEA => 40,
                    _ => return Err("unknown_reward"),
                };
                if want.at + SKEW < member.latest {
                    return Err("out_of_order");
                }
                let points = price * quantity;
                if member.spendable(want.at) < points {
                    return Err("insufficient_points");
                }
                let promised: i64 = self
                    .orders
                    .values()
                    .filter(|order| order.reward == VOUCHER && place(order.state) != Where::Back)
                    .map(|order| order.quantity)
                    .sum();
                if reward == VOUCHER && !self.stock_is_open && promised + quantity > VOUCHERS {
                    return Err("out_of_stock");
                }
                let holds = member.take(points, want.at);
                if *capture {
                    member.lifetime[1] += points;
                } else {
                    for (expires, part) in &holds {
                        member.active.entry(*expires).or_default().1 += part;
                    }
                }
                let state = if *capture { "completed" } else { "placed" };
                let order =
                    Order { member: want.member, reward: reward.clone(), quantity: *quantity, points, holds, state };
                self.orders.insert(NEW_ORDER, order);
                said.points -= points;
            }
            What::Move(id, step) | What::Fulfil(id, step) => {
                if let Status::Merged(_) = member.status {
                    return Err("member_merged");
                }
                let mine = |owner: i64| owner == want.member || member.merged_from.contains(&owner);
                let order = self.orders.get_mut(id).filter(|order| mine(order.member));
                order.ok_or("unknown_order")?.follow(*step, member, want.at, &mut said)?;
            }
            What::Renumber { read, external } => {
                if member.external != *read {
                    return Err("profile_changed");
                }
                if self.externals.contains_key(external) && !led.contains(external) {
                    return Err("already_enrolled");
                }
                if read != external {
                    self.externals.remove(read);
                    self.externals.entry(external.clone()).or_insert(want.member);
                }
                member.external.clone_from(external);
            }
            What::Close => {
                member.must_be_settled()?;
                if want.at + SKEW < member.latest {
                    return Err("out_of_order");
                }
                said.points -= member.active.values().map(|(free, _)| free).sum::<i64>();
                said.forgiven += std::mem::take(&mut member.owed);
                said.forfeited = member.free();
                member.lifetime[2] += said.forfeited;
                member.active.clear();
                member.pending.clear();
                member.status = Status::Closed;
            }
            What::Adjust(points) => {
                if *points > 0 {
                    member.give(expiry(want.at), *points);
                } else if member.spendable(want.at) < -points {
                    return Err("insufficient_points");
                } else {
                    member.take(-points, want.at);
                }
                member.lifetime[4] += points;
                said.points += *points;
            }
            What::Tick => {
                if member.due_at().is_none_or(|due_at| due_at > want.at) {
                    return Err("nothing_due");
                }
                member.tick(want.at, &mut said);
            }
        }
        member.version += 1;
        member.latest = member.latest.max(happened);
        member.plan(member.latest);
        Ok(said)
    }
}

/// Under this number stands an order until the kernel's answer tells its id.
const NEW_ORDER: i64 = -1;

fn reminded(receipt: &Receipt) -> Vec<(i64, i64, i64)> {
    let told = receipt.events.iter().filter_map(|event| match event {
        Event::PointsExpiring { points, expires_at, days, .. } => {
            Some((expires_at.as_millis(), i64::from(*days), *points))
        }
        _ => None,
    });
    told.collect()
}

/// The first beginning of a year after a moment: London has winter time then.
pub(crate) fn new_year_after(at: i64) -> i64 {
    (2020..2200).map(|year| days_of(year, 1, 1) * DAY).find(|begin| *begin > at).unwrap_or(i64::MAX)
}

fn refused(outcome: &Result<Reply, Refusal>, code: &str, summary: &mut Summary) -> Result<(), String> {
    match outcome {
        Err(refusal) if refusal.code.name() == code => {
            summary.refused += 1;
            Ok(())
        }
        other => Err(format!("should be refused as {code}, not {other:?}")),
    }
}

/// Days since 1970 of a date, by the well-known formula for the civil calendar.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// British summer time: from 01:00 UTC on the last Sunday of March to that of October.
fn is_summer(at: i64) -> bool {
    (2020..2100).any(|year| {
        // Both months have 31 days; 1970-01-01 was a Thursday.
        let last_sunday = |month| {
            let last = days_of(year, month, 31);
            (last - (last + 4).rem_euclid(7)) * DAY + HOUR
        };
        at >= last_sunday(3) && at < last_sunday(10)
    })
}

fn local_day(at: i64) -> i64 {
    (at + if is_summer(at) { HOUR } else { 0 }).div_euclid(DAY)
}

/// London's clocks change after midnight, so an hour before it tells the offset.
fn start_of_day(day: i64) -> i64 {
    let midnight = day * DAY;
    if is_summer(midnight - HOUR) { midnight - HOUR } else { midnight }
}

/// The end of the local month that lies 24 months after.
fn expiry(at: i64) -> i64 {
    month_end(at, 2)
}

/// The end of the local month that lies some years after.
pub(crate) fn month_end(at: i64, years: i64) -> i64 {
    let today = local_day(at);
    let (mut year, mut month) = (2020, 1);
    let next = |year: i64, month: i64| if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    while {
        let (year, month) = next(year, month);
        days_of(year, month, 1) <= today
    } {
        (year, month) = next(year, month);
    }
    let (year, month) = next(year + years, month);
    start_of_day(days_of(year, month, 1))
}
