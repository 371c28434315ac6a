//! Points at tills in the model: what a checkout sets aside, spends and gives back; in whole numbers, by hand.

use guerdon_core::kernel::Share;

use crate::calendar::month_end;
use crate::member::Member;
use crate::model::{Model, NEW_ORDER, Said};
use crate::orders::Order;
use crate::wishes::Want;
use crate::world::{DAY, HOUR};

/// The rules of tills. A point pays 0.7 pence, so that most sums are to be rounded.
pub(crate) const TILLS: &str = r#"
[program.checkout]
value = "0.007"
least_percent = 10
most_percent = 50
step = 5
minutes = 1440
"#;
const STEP: i64 = 5;
/// For how long points are set aside.
const LIFE: i64 = 24 * HOUR;

/// What the order of a checkout is for.
pub(crate) const CHECKOUT: &str = "@checkout";

/// Expiry and points of lots.
type Lots = Vec<(i64, i64)>;

/// Points, and the pence that they pay.
pub(crate) type Paid = (i64, i64);

/// A part of a checkout that points pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tender {
    pub(crate) reference: String,
    pub(crate) store: String,
    pub(crate) authorised: Paid,
    pub(crate) captured: Option<Paid>,
    pub(crate) returned: Vec<Paid>,
    /// Points of what was spent that were not there and that the member came to owe.
    pub(crate) owed: i64,
    /// When it is given back, unless it is captured before.
    pub(crate) lapses: i64,
}

/// Pence for points, rounded down.
pub(crate) fn pence(points: i64) -> i64 {
    points * 7 / 10
}

/// The most points for no more than so many pence.
fn points_within(pence: i64) -> i64 {
    pence * 10 / 7
}

/// The fewest points for so many pence.
fn points_for(pence: i64) -> i64 {
    (pence * 10 + 6) / 7
}

fn whole(points: i64) -> i64 {
    points / STEP * STEP
}

impl Tender {
    /// What it holds, or has spent and not given back.
    pub(crate) fn left(&self) -> Paid {
        let (points, money) = self.captured.unwrap_or(self.authorised);
        let (back, money_back) = self.given_back();
        (points - back, money - money_back)
    }

    /// Points of what is left that the member came to owe: what is given back is of them first.
    pub(crate) fn owed_left(&self) -> i64 {
        (self.owed - self.given_back().0).max(0)
    }

    pub(crate) fn given_back(&self) -> Paid {
        self.returned.iter().fold((0, 0), |(points, money), back| (points + back.0, money + back.1))
    }

    fn tell(&self, said: &mut Said) {
        let (points, money) = self.authorised;
        said.tell("authorised points", points);
        said.tell("authorised money", money);
        if let Some((points, money)) = self.captured {
            said.tell("captured points", points);
            said.tell("captured money", money);
        }
        if !self.returned.is_empty() {
            let (points, money) = self.given_back();
            said.tell("returned points", points);
            said.tell("returned money", money);
        }
    }
}

/// How many points of a basket are set aside.
fn points_of(basket: i64, share: Share, partial: bool, spendable: i64) -> Result<i64, &'static str> {
    let (most, least) = (basket * 50 / 100, (basket * 10 + 99) / 100);
    let allowed = whole(points_within(most));
    let possible = allowed.min(whole(spendable));
    let wanted = match share {
        Share::All => possible,
        Share::Points(points) if points % STEP != 0 => return Err("invalid_amount"),
        Share::Points(points) => points,
        Share::Money(money) => {
            let below = whole(points_within(money));
            match [below, below + STEP].into_iter().find(|points| pence(*points) == money) {
                _ if partial => below,
                Some(exact) => exact,
                None => return Err("invalid_amount"),
            }
        }
    };
    if wanted > possible && !partial {
        return Err(if allowed < wanted { "invalid_amount" } else { "insufficient_points" });
    }
    let points = wanted.min(possible);
    match pence(points) {
        money if money > 0 && money >= least => Ok(points),
        _ if points_for(least.max(1)) > spendable => Err("insufficient_points"),
        _ => Err("invalid_amount"),
    }
}

/// A part of what is there: all the money goes with all the points.
fn part(share: Share, (points, money): Paid) -> Result<Paid, &'static str> {
    let part = match share {
        Share::All => (points, money),
        Share::Points(wanted) if wanted == points => (points, money),
        Share::Money(wanted) if wanted == money => (points, money),
        Share::Points(wanted) => (wanted, pence(wanted).min(money)),
        Share::Money(wanted) => (points_for(wanted).min(points), wanted),
    };
    if part.0 > points || part.1 > money { Err("invalid_amount") } else { Ok(part) }
}

/// The first so many points of some lots, and the others.
pub(crate) fn split(lots: &[(i64, i64)], points: i64) -> (Lots, Lots) {
    let (mut first, mut others, mut left) = (Vec::new(), Vec::new(), points);
    for (expires, there) in lots {
        let taken = left.min(*there);
        left -= taken;
        if taken > 0 {
            first.push((*expires, taken));
        }
        if taken < *there {
            others.push((*expires, there - taken));
        }
    }
    (first, others)
}

impl Model {
    pub(crate) fn authorise(
        &mut self,
        want: &Want,
        member: &mut Member,
        (reference, store, basket): (&str, &str, i64),
        (share, partial): (Share, bool),
        said: &mut Said,
    ) -> Result<(), &'static str> {
        member.must_not_precede(want.at)?;
        let points = points_of(basket, share, partial, member.spendable(want.at))?;
        let holds = member.take(points, want.at);
        member.hold(&holds);
        let tender = Tender {
            reference: reference.to_owned(),
            store: store.to_owned(),
            authorised: (points, pence(points)),
            captured: None,
            returned: Vec::new(),
            owed: 0,
            lapses: want.at + LIFE,
        };
        tender.tell(said);
        said.points -= points;
        said.note("authorised", 1);
        let order = Order { tender: Some(tender), ..Order::new(want, CHECKOUT, 1, (points, holds), "placed") };
        self.orders.insert(NEW_ORDER, order);
        Ok(())
    }
}

impl Order {
    /// Spends what was set aside, or a part of it; the rest goes back to its lots.
    pub(crate) fn capture(
        &mut self,
        share: Share,
        member: &mut Member,
        at: i64,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let tender = self.tender.as_mut().ok_or("unknown_order")?;
        if self.state != "placed" {
            return Err("checkout_over");
        }
        if tender.lapses <= at {
            return Err("order_expired");
        }
        let paid = part(share, tender.authorised)?;
        let (spent, rest) = split(&self.holds, paid.0);
        member.unhold(&self.holds);
        rest.iter().for_each(|(expires, points)| member.give(*expires, *points));
        member.lifetime[1] += paid.0;
        said.points += tender.authorised.0 - paid.0;
        said.note(if paid == tender.authorised { "captured" } else { "captured in part" }, 1);
        tender.captured = Some(paid);
        tender.tell(said);
        (self.points, self.holds, self.state) = (paid.0, spent, "completed");
        Ok(())
    }

    /// Gives back what was set aside, or a part of what was spent: what expires last comes back first.
    pub(crate) fn reverse(
        &mut self,
        share: Share,
        member: &mut Member,
        at: i64,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let tender = self.tender.as_mut().ok_or("unknown_order")?;
        match (self.state, share) {
            ("placed", Share::All) => {
                member.unhold(&self.holds);
                self.holds.iter().for_each(|(expires, points)| member.give(*expires, *points));
                said.points += self.points;
                said.note("reversed before", 1);
                self.state = "cancelled";
            }
            ("placed", _) => return Err("invalid_amount"),
            ("completed", _) => {
                let left = tender.left();
                let back = part(share, left)?;
                let owed = tender.owed_left().min(back.0);
                let (kept, given) = split(&self.holds, left.0 - tender.owed_left() - (back.0 - owed));
                let good_until = month_end(at + 7 * DAY, 0);
                given.iter().for_each(|(expires, points)| member.give(good_until.max(*expires), *points));
                member.lifetime[1] -= back.0 - owed;
                said.points += back.0 - owed;
                member.give_back_owed(owed, at, said);
                tender.returned.push(back);
                said.note(if tender.returned.len() > 1 { "reversed once more" } else { "reversed" }, 1);
                self.points = kept.iter().map(|(_, points)| points).sum();
                self.holds = kept;
                if tender.left().0 == 0 {
                    self.state = "refunded";
                }
            }
            _ => return Err("checkout_over"),
        }
        tender.tell(said);
        Ok(())
    }
}
