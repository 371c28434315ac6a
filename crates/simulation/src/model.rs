//! What the program should do, written down a second time and in the simplest way, knowing none of the kernel's code.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use guerdon_core::kernel::{Receipt, Refusal, Reply, STOCKROOM};
use guerdon_core::redemption::{OrderMove, PaymentMove};

use crate::catalogue::PLANNED;
use crate::member::{Member, Row, Status};
use crate::offline::Offline;
use crate::orders::Order;
use crate::shelf::Shelf;
use crate::summary::Summary;
use crate::wishes::{Want, What};

/// What the program should do, written down a second time and in the simplest way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) members: BTreeMap<i64, Member>,
    /// Whether stock is not looked at, within a batch that is committed.
    pub(crate) stock_is_open: bool,
    /// What new orders of a batch that is committed take, as it was when they were decided.
    pub(crate) foreseen: BTreeMap<i64, Vec<(String, i64)>>,
    pub(crate) shelves: BTreeMap<String, Shelf>,
    /// The moments of which the units have come in that come by plan.
    pub(crate) came_in: BTreeSet<i64>,
    pub(crate) offline: Offline,
    /// Whether points decay, are reminded of, and are owed.
    pub(crate) lives: bool,
    /// After how long orders expire to which nobody comes back; `None`: none does.
    pub(crate) expires: Option<i64>,
    pub(crate) externals: BTreeMap<String, i64>,
    pub(crate) enrolments: BTreeMap<String, i64>,
    pub(crate) orders: BTreeMap<i64, Order>,
    pub(crate) answers: BTreeMap<(i64, Rc<str>), Rc<Answer>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    request: What,
    pub(crate) receipt: Rc<str>,
}

/// What the kernel has answered, and the receipt as it reads.
pub(crate) struct Outcome {
    pub(crate) answer: Result<Reply, Refusal>,
    receipt: Option<Receipt>,
}

/// What an accepted command must say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) points: i64,
    pub(crate) forgiven: i64,
    pub(crate) owed: i64,
    pub(crate) repaid: i64,
    pub(crate) debt_cancelled: i64,
    pub(crate) matured: i64,
    pub(crate) expired: i64,
    pub(crate) decayed: i64,
    pub(crate) forfeited: i64,
    /// Expiry, days ahead, points.
    pub(crate) reminded: Vec<(i64, i64, i64)>,
    /// Points by rule.
    pub(crate) rules: Vec<(String, i64)>,
    /// Figures of orders, tills and stock, by their names.
    pub(crate) told: BTreeMap<&'static str, i64>,
    /// What is counted of a run; no receipt says it.
    pub(crate) notes: Vec<(&'static str, i64)>,
}

impl Said {
    /// What the receipt must name.
    pub(crate) fn tell(&mut self, what: &'static str, figure: i64) {
        self.told.insert(what, figure);
    }

    /// What a run counts, so that its tests know that it happens.
    pub(crate) fn note(&mut self, what: &'static str, how_much: i64) {
        self.notes.push((what, how_much));
    }
}

impl Outcome {
    pub(crate) fn of(answer: Result<Reply, Refusal>) -> Result<Self, String> {
        let fresh = answer.as_ref().ok().filter(|reply| !reply.replayed);
        let receipt = fresh.map(|reply| serde_json::from_str(&reply.receipt)).transpose();
        Ok(Self { receipt: receipt.map_err(|error| error.to_string())?, answer })
    }

    fn refused(&self, what: &'static str, code: &'static str, summary: &mut Summary) -> Result<(), String> {
        match &self.answer {
            Err(refusal) if refusal.code.name() == code => {
                summary.refused += 1;
                *summary.refusals.entry((what, code)).or_default() += 1;
                Ok(())
            }
            other => Err(format!("should be refused as {code}, not {other:?}")),
        }
    }
}

impl Model {
    /// Compares one answer with what it should be, and follows it.
    pub(crate) fn judge(&mut self, want: &Want, outcome: &Outcome, summary: &mut Summary) -> Result<(), String> {
        let what = want.what.name();
        if !want.dry
            && let Some(answer) = self.answered(want)
        {
            return match &outcome.answer {
                _ if !answer.request.is_the_same_request(&want.what) => {
                    outcome.refused(what, "idempotency_mismatch", summary)
                }
                Ok(reply) if reply.replayed && **reply.receipt == *answer.receipt => {
                    summary.replayed += 1;
                    Ok(())
                }
                other => Err(format!("should repeat {}, not {other:?}", answer.receipt)),
            };
        }
        let mut after = self.clone();
        let mut said = match after.decide(want) {
            Ok(said) => said,
            Err(code) => return outcome.refused(what, code, summary),
        };
        let reply = outcome.answer.as_ref().map_err(|refusal| format!("refused as {:?}: {refusal}", refusal.code))?;
        let receipt = outcome.receipt.as_ref().ok_or("claims to be a replay of what never was")?;
        let notes = std::mem::take(&mut said.notes);
        let heard = crate::receipts::heard(receipt);
        if heard != said {
            return Err(format!("says {heard:?}, the model {said:?}"));
        }
        if receipt.explanation.iter().any(|outcome| outcome.version != 1) {
            return Err("names a version of a rule that there is not".to_owned());
        }
        after.check_balances(want.member, receipt)?;
        if want.dry {
            return Ok(());
        }
        after.name_order(receipt)?;
        summary.accepted += 1;
        summary.merged += u64::from(matches!(want.what, What::Merge { .. }));
        notes.into_iter().for_each(|(what, how_much)| summary.note(what, how_much));
        let answer = Answer { request: want.what.clone(), receipt: reply.receipt.as_str().into() };
        after.answers.insert((want.member, want.key.as_str().into()), Rc::new(answer));
        *self = after;
        Ok(())
    }

    /// Gives the order that was made the id that the kernel has given it.
    fn name_order(&mut self, receipt: &Receipt) -> Result<(), String> {
        let Some(mut made) = self.orders.remove(&NEW_ORDER) else { return Ok(()) };
        let order = receipt.order.as_ref().ok_or("the receipt names no order")?;
        let id = order.offline.map_or(Some(order.id), |offline| offline.tender).ok_or("the receipt names no tender")?;
        if let Some(takes) = self.foreseen.get(&id.0) {
            made.takes.clone_from(takes);
        }
        if self.orders.insert(id.0, made).is_some() {
            return Err(format!("order {id} is there twice"));
        }
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
        let key: Rc<str> = want.key.as_str().into();
        let mut members = [member].into_iter().chain(older.iter().copied());
        members.find_map(|member| self.answers.get(&(member, key.clone()))).map(|answer| &**answer)
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

    /// An order of the member, or of an account that was merged into the member's.
    pub(crate) fn own(&mut self, want: &Want, member: &Member, id: i64) -> Result<&mut Order, &'static str> {
        member.must_go_on()?;
        let mine = |owner: i64| owner == want.member || member.merged_from.contains(&owner);
        self.orders.get_mut(&id).filter(|order| mine(order.member)).ok_or("unknown_order")
    }

    fn check_balances(&self, member: i64, receipt: &Receipt) -> Result<(), String> {
        if member == STOCKROOM.0 {
            return if receipt.balances.is_empty() { Ok(()) } else { Err("stock has points".to_owned()) };
        }
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
        let mut said = Said::default();
        match want.what {
            What::Enrol { ref external } => return self.enrol(want, external),
            What::Merge { from } if self.members.contains_key(&want.member) => return self.merge(from, want),
            What::Restock { reward, part, quantity } => {
                return self.restock((reward, part), quantity, want.at, &mut said).map(|()| said);
            }
            What::PlannedRestock(moment) => {
                if !self.came_in.insert(moment) && !want.dry {
                    return Err("what came in before");
                }
                self.restock(("biscuit", None), PLANNED, want.at, &mut said)?;
                said.note("units restocked by plan", PLANNED);
                return Ok(said);
            }
            _ => {}
        }
        let led: Vec<String> = self.led_to(want.member);
        let mut member = self.members.remove(&want.member).ok_or("unknown_member")?;
        if want.what.begins() {
            member.must_be_active()?;
        }
        let happened = match &want.what {
            What::Purchase { at, .. } | What::Return { at, .. } | What::CheckIn { at } => *at,
            _ => want.at,
        };
        if want.what != What::Tick {
            member.catch_up(happened, &mut said);
        }
        self.follow(want, &mut member, &led, &mut said)?;
        member.version += 1;
        member.latest = member.latest.max(happened);
        member.plan(member.latest);
        self.members.insert(want.member, member);
        said.note("points expired", said.expired);
        said.note("points forgiven", said.forgiven);
        said.note("points decayed", said.decayed);
        said.note("points repaid", said.repaid);
        said.note("debts cancelled", said.debt_cancelled);
        said.note("reminders", said.reminded.len() as i64);
        Ok(said)
    }

    fn follow(
        &mut self,
        want: &Want,
        member: &mut Member,
        led: &[String],
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let at = want.at;
        match &want.what {
            What::Enrol { .. } | What::Merge { .. } | What::Restock { .. } | What::PlannedRestock(_) => {}
            What::Purchase { plain, christmas, at } => member.purchase(*plain, *christmas, *at, said),
            What::Return { amount, at } => member.bring_back(*amount, *at, said),
            What::CheckIn { at } => member.check_in(*at, said),
            What::Redeem(basket) => self.redeem(want, member, basket, said)?,
            What::Move(order, step) => {
                let order = self.own(want, member, *order)?;
                order.must_leave_to_program(*step)?;
                order.follow(*step, member, at, said)?;
            }
            What::Fulfil(order, step) => {
                let order = self.own(want, member, *order)?;
                order.follow(*step, member, at, said)?;
                match step {
                    OrderMove::Complete => said.note("fulfilled", 1),
                    OrderMove::Fail => said.note("failed", 1),
                    _ => {}
                }
            }
            What::Lapse(order) => {
                let order = self.own(want, member, *order)?;
                order.follow(OrderMove::Expire, member, at, said)?;
            }
            What::Rebook(order, slot) => self.rebook(want, member, (*order, slot), said)?,
            What::HandOut(presented) => self.hand_out(want, member, presented, said)?,
            What::Pay { order, step, .. } => self.pay(want, member, (*order, *step), said)?,
            What::Collect(order) => self.pay(want, member, (*order, PaymentMove::Collect), said)?,
            What::Authorise { reference, store, basket, share, partial } => {
                self.authorise(want, member, (reference, store, *basket), (*share, *partial), said)?;
            }
            What::Capture(order, share) => self.own(want, member, *order)?.capture(*share, member, at, said)?,
            What::Reverse(order, share, _) => self.own(want, member, *order)?.reverse(*share, member, at, said)?,
            What::Grant { store, terminal, points, number } => {
                self.grant(want, member, (store, terminal), (*points, *number), said)?;
            }
            What::Spend(spent) => self.spend(want, member, spent, said)?,
            What::Renumber { read, external } => self.renumber(want, member, (read, external), led, said)?,
            What::Close => member.close(at, said)?,
            What::Adjust(points) => member.adjust(*points, at, said)?,
            What::Tick => {
                if member.due_at().is_none_or(|due_at| due_at > at) {
                    return Err("nothing_due");
                }
                member.tick(at, said);
            }
        }
        Ok(())
    }

    fn enrol(&mut self, want: &Want, external: &str) -> Result<Said, &'static str> {
        if self.externals.contains_key(external) || self.enrolments.contains_key(&want.key) {
            return Err("already_enrolled");
        }
        self.externals.insert(external.to_owned(), want.member);
        self.enrolments.insert(want.key.clone(), want.member);
        let (external, lives) = (external.to_owned(), self.lives);
        let member = Member { version: 1, latest: want.at, external, lives, ..Member::default() };
        self.members.insert(want.member, member);
        Ok(Said::default())
    }

    fn renumber(
        &mut self,
        want: &Want,
        member: &mut Member,
        (read, external): (&str, &str),
        led: &[String],
        said: &mut Said,
    ) -> Result<(), &'static str> {
        if member.external != read {
            return Err("profile_changed");
        }
        if self.externals.contains_key(external) && !led.iter().any(|known| known == external) {
            return Err("already_enrolled");
        }
        if read != external {
            self.externals.remove(read);
            self.externals.entry(external.to_owned()).or_insert(want.member);
        }
        external.clone_into(&mut member.external);
        said.note("renumbered", 1);
        Ok(())
    }
}

/// Under this number stands an order until the kernel's answer tells its id.
pub(crate) const NEW_ORDER: i64 = -1;
