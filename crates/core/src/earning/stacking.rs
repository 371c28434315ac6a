//! Which of the rules that hold give: exclusive groups, and rules that let none after them give.

use super::prepare::Candidate;
use super::rule::Choice;

/// A rule that holds, and what it offers before caps.
pub(super) struct Offer<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) points: i64,
    /// What its condition found in the account.
    pub(super) facts: Vec<(&'a str, i64)>,
}

/// Why a rule that holds gives nothing.
pub(super) enum PassedOver<'a> {
    /// Another one of its group gave.
    LostTo(&'a str),
    /// An earlier one lets none after it give.
    StoppedBy(&'a str),
}

impl<'a> Offer<'a> {
    pub(super) fn id(&self) -> &'a str {
        &self.candidate.rule.rule.id
    }

    fn group(&self) -> Option<&'a str> {
        self.candidate.rule.rule.exclusive.as_ref().map(|exclusive| exclusive.group.as_str())
    }
}

/// For each offer, in the order of evaluation, why it is passed over; `None`: it gives.
pub(super) fn passed_over<'a>(offers: &[Offer<'a>]) -> Vec<Option<PassedOver<'a>>> {
    // A rule stops the others only where it gives itself, so it must win its group among those up to it.
    let stops = |index: usize, offer: &Offer<'_>| {
        offer.candidate.rule.rule.stop && winner(offers.get(..=index).unwrap_or(offers), offer).0 == index
    };
    let last = offers.iter().enumerate().find(|(index, offer)| stops(*index, offer)).map(|(index, _)| index);
    let reached = last.map_or(offers, |last| offers.get(..=last).unwrap_or(offers));
    let judged = offers.iter().enumerate().map(|(index, offer)| match last.and_then(|last| offers.get(last)) {
        Some(stopper) if index >= reached.len() => Some(PassedOver::StoppedBy(stopper.id())),
        _ => offer.group().and_then(|_| {
            let (first, id) = winner(reached, offer);
            (first != index).then_some(PassedOver::LostTo(id))
        }),
    });
    judged.collect()
}

/// Which of the offers reached gives for the group of one of them: its place and its rule.
fn winner<'a>(reached: &[Offer<'a>], of: &Offer<'a>) -> (usize, &'a str) {
    let same = |other: &Offer<'_>| match of.group() {
        Some(group) => other.group() == Some(group),
        None => std::ptr::eq(other.candidate, of.candidate),
    };
    let mut members = reached.iter().enumerate().filter(|(_, other)| same(other));
    let Some(first) = members.next() else { return (usize::MAX, of.id()) };
    let choice = first.1.candidate.rule.rule.exclusive.as_ref().map_or(Choice::First, |exclusive| exclusive.choose);
    let won = match choice {
        Choice::First => first,
        Choice::Best => members.fold(first, |best, next| if next.1.points > best.1.points { next } else { best }),
    };
    (won.0, won.1.id())
}
