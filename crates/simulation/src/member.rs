//! A member in the model: lots of points, what they were used for, and how they move.

use std::collections::BTreeMap;

use guerdon_core::id::MemberId;

use crate::model::{Model, Said};
use crate::wishes::Want;
use crate::world::SKEW;

/// A lot: when it expires, when it becomes active (0: it is), what is free and what is held.
pub(crate) type Row = (i64, i64, i64, i64);

#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    /// Expiry → free, held.
    pub(crate) active: BTreeMap<i64, (i64, i64)>,
    /// Expiry, activation → points.
    pub(crate) pending: BTreeMap<(i64, i64), i64>,
    /// Earned, redeemed, expired, revoked, adjusted.
    pub(crate) lifetime: [i64; 5],
    pub(crate) version: i64,
    pub(crate) latest: i64,
    pub(crate) status: Status,
    /// The brand's number for the member.
    pub(crate) external: String,
    /// Who was merged into this account, in order.
    pub(crate) merged_from: Vec<i64>,
    /// Points and ends of the allowances that were good when the latest was granted.
    pub(crate) lent: Vec<(i64, i64)>,
    /// Whether points decay, are reminded of, and are owed.
    pub(crate) lives: bool,
    pub(crate) owed: i64,
    pub(crate) remind_at: Option<i64>,
    pub(crate) decay_at: Option<i64>,
    /// Money spent less what was returned, purchases, and the rank of the tier that they led to.
    pub(crate) spend: i64,
    pub(crate) orders: i64,
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
    pub(crate) fn must_be_active(&self) -> Result<(), &'static str> {
        match self.status {
            Status::Active => Ok(()),
            Status::Closed => Err("member_closed"),
            Status::Merged(_) => Err("member_merged"),
        }
    }

    /// Refuses what belongs to the account that goes on.
    pub(crate) fn must_go_on(&self) -> Result<(), &'static str> {
        if let Status::Merged(_) = self.status { Err("member_merged") } else { Ok(()) }
    }

    fn must_be_settled(&self) -> Result<(), &'static str> {
        if self.active.values().any(|(_, held)| *held > 0) { Err("open_orders") } else { Ok(()) }
    }

    /// Refuses what would come before what has happened.
    pub(crate) fn must_not_precede(&self, at: i64) -> Result<(), &'static str> {
        if at + SKEW < self.latest { Err("out_of_order") } else { Ok(()) }
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

    /// Sets points aside that were taken.
    pub(crate) fn hold(&mut self, taken: &[(i64, i64)]) {
        taken.iter().for_each(|(expires, part)| self.active.entry(*expires).or_default().1 += part);
    }

    /// Takes points out of what is set aside.
    pub(crate) fn unhold(&mut self, held: &[(i64, i64)]) {
        held.iter().for_each(|(expires, part)| self.active.entry(*expires).or_default().1 -= part);
    }

    pub(crate) fn close(&mut self, at: i64, said: &mut Said) -> Result<(), &'static str> {
        self.must_be_settled()?;
        self.must_not_precede(at)?;
        said.points -= self.active.values().map(|(free, _)| free).sum::<i64>();
        said.forgiven += std::mem::take(&mut self.owed);
        said.forfeited = self.free();
        self.lifetime[2] += said.forfeited;
        self.active.clear();
        self.pending.clear();
        self.status = Status::Closed;
        said.note("closed", 1);
        Ok(())
    }

    pub(crate) fn adjust(&mut self, points: i64, at: i64, said: &mut Said) -> Result<(), &'static str> {
        if points > 0 {
            self.give(crate::calendar::expiry(at), points);
        } else if self.spendable(at) < -points {
            return Err("insufficient_points");
        } else {
            self.take(-points, at);
        }
        self.lifetime[4] += points;
        said.points += points;
        Ok(())
    }
}

impl Model {
    pub(crate) fn merge(&mut self, from: i64, want: &Want) -> Result<Said, &'static str> {
        let into = want.member;
        if from == into {
            return Err("invalid_request");
        }
        let mut source = self.members.get(&from).ok_or("unknown_member")?.clone();
        let target = self.members.get_mut(&into).ok_or("unknown_member")?;
        target.must_be_active()?;
        source.must_be_active()?;
        source.must_be_settled()?;
        source.must_not_precede(want.at)?;
        target.must_not_precede(want.at)?;
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
        target.lent.append(&mut source.lent);
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
        said.note("merged", 1);
        Ok(said)
    }
}
