//! What members earn and lose by what they do, as the rules of the program say, counted by hand.

use crate::calendar::{expiry, local_day, start_of_day};
use crate::member::Member;
use crate::model::Said;

impl Member {
    /// Reaches the tier to which the figures lead, which gives 11 points.
    pub(crate) fn reach(&mut self, at: i64, said: &mut Said) {
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
            said.rules.push(("welcome".to_owned(), 11));
        }
    }

    pub(crate) fn purchase(&mut self, plain: i64, christmas: i64, at: i64, said: &mut Said) {
        let total = plain + christmas;
        let base = total / 100;
        let bonus = if total > 10_000 { base / 10 } else { 0 };
        let rules = [("base", base), ("big-basket", bonus), ("christmas", christmas / 200)];
        let given = rules.into_iter().filter(|(_, points)| *points > 0);
        said.rules = given.map(|(rule, points)| (rule.to_owned(), points)).collect();
        let earned = said.rules.iter().map(|(_, points)| points).sum::<i64>();
        self.lifetime[0] += earned;
        let left = earned - self.repay(earned, said);
        said.points += left;
        self.give(expiry(at), left);
        self.spend += total;
        self.orders += 1;
        self.reach(at, said);
    }

    pub(crate) fn bring_back(&mut self, amount: i64, at: i64, said: &mut Said) {
        let wanted = amount / 100;
        let taken: i64 = self.take(wanted, at).iter().map(|(_, points)| points).sum();
        said.points -= taken;
        self.fall_short(wanted - taken, said);
        if wanted > 0 {
            said.rules.push(("return-back".to_owned(), -taken));
        }
        self.lifetime[3] += taken;
        self.spend -= amount;
        self.reach(at, said);
    }

    pub(crate) fn check_in(&mut self, at: i64, said: &mut Said) {
        let active = start_of_day(local_day(at) + 2);
        let left = 5 - self.repay(5, said);
        if left > 0 {
            *self.pending.entry((expiry(active), active)).or_default() += left;
        }
        self.lifetime[0] += 5;
        said.rules.push(("check-in".to_owned(), 5));
    }
}
