//! Codes in plain RAM.

use std::collections::BTreeMap;

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::time::Timestamp;

use crate::code::{Claimed, CodeClaim, CodeFate, CodeOrigin, CodeUpload, CodesAdded, OrderCode, SealedCode};

/// To whom a code belongs: order, member and unit, and when it was handed over.
#[derive(Debug, Clone)]
struct Taken {
    order: OrderId,
    member: MemberId,
    unit: i64,
    issued_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Row {
    sealed: Option<String>,
    terms: Option<String>,
    origin: CodeOrigin,
    added_at: Timestamp,
    taken: Option<Taken>,
}

/// A code as it lies in the store, for whoever checks what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCode {
    /// Its reward.
    pub reward_id: String,
    /// What tells it from others.
    pub digest: [u8; 32],
    /// Where it comes from.
    pub origin: CodeOrigin,
    /// The order that it belongs to; `None`: it is free.
    pub order: Option<OrderId>,
    /// When it was handed over; `None`: it was not.
    pub issued_at: Option<Timestamp>,
}

/// All codes, by reward and digest.
#[derive(Debug, Default, Clone)]
pub(crate) struct Codes(BTreeMap<(String, [u8; 32]), Row>);

impl Codes {
    fn present(&self, codes: &[SealedCode]) -> Vec<usize> {
        let there = |code: &SealedCode| self.0.keys().any(|(_, digest)| *digest == code.digest);
        codes.iter().enumerate().filter(|(_, code)| there(code)).map(|(place, _)| place).collect()
    }

    pub(crate) fn check(&self, upload: &CodeUpload) -> CodesAdded {
        let there = self.present(&upload.codes);
        let count = self.0.keys().filter(|(reward, _)| *reward == upload.reward_id).count() + upload.codes.len();
        match there.is_empty() {
            false => CodesAdded::Duplicates(there),
            true if count as i64 > upload.most => CodesAdded::TooMany,
            true => CodesAdded::Added,
        }
    }

    pub(crate) fn add(&mut self, upload: &CodeUpload) {
        for SealedCode { digest, sealed, terms } in &upload.codes {
            let (sealed, terms, added_at) = (Some(sealed.clone()), terms.clone(), upload.at);
            let row = Row { sealed, terms, origin: CodeOrigin::Vault, added_at, taken: None };
            self.0.insert((upload.reward_id.clone(), *digest), row);
        }
    }

    fn of_order(&self, reward: &str, order: OrderId) -> Vec<OrderCode> {
        let own = self.0.iter().filter(|((of, _), _)| of == reward);
        let mut codes: Vec<OrderCode> = own
            .filter_map(|((_, digest), row)| {
                let taken = row.taken.as_ref().filter(|taken| taken.order == order)?;
                let (sealed, terms, origin) = (row.sealed.clone(), row.terms.clone(), row.origin);
                Some(OrderCode { unit: taken.unit, digest: *digest, sealed, terms, origin, issued_at: taken.issued_at })
            })
            .collect();
        codes.sort_by_key(|code| code.unit);
        codes
    }

    pub(crate) fn claim(&mut self, claim: &CodeClaim) -> Claimed {
        let there = self.of_order(&claim.reward_id, claim.order);
        if !there.is_empty() {
            return Claimed::Codes(there);
        }
        let taken = |unit| Taken { order: claim.order, member: claim.member, unit, issued_at: None };
        match &claim.made {
            None => {
                let free = self.0.iter().filter(|((of, _), row)| *of == claim.reward_id && row.taken.is_none());
                let mut free: Vec<(Timestamp, [u8; 32])> =
                    free.map(|((_, digest), row)| (row.added_at, *digest)).collect();
                free.sort();
                let wanted = usize::try_from(claim.quantity).unwrap_or(usize::MAX);
                if free.len() < wanted {
                    return Claimed::Dry;
                }
                for (unit, (_, digest)) in (1..).zip(free.into_iter().take(wanted)) {
                    if let Some(row) = self.0.get_mut(&(claim.reward_id.clone(), digest)) {
                        row.taken = Some(taken(unit));
                    }
                }
            }
            Some((_, codes)) if !self.present(codes).is_empty() => return Claimed::Taken,
            Some((origin, codes)) => {
                for (unit, SealedCode { digest, sealed, terms }) in (1..).zip(codes) {
                    let (sealed, terms, taken) = (Some(sealed.clone()), terms.clone(), Some(taken(unit)));
                    let row = Row { sealed, terms, origin: *origin, added_at: claim.at, taken };
                    self.0.insert((claim.reward_id.clone(), *digest), row);
                }
            }
        }
        Claimed::Codes(self.of_order(&claim.reward_id, claim.order))
    }

    pub(crate) fn settle(&mut self, reward: &str, order: OrderId, fate: CodeFate) {
        let open = |of: &str, row: &Row| {
            of == reward && row.taken.as_ref().is_some_and(|taken| taken.order == order && taken.issued_at.is_none())
        };
        if fate == CodeFate::Released {
            self.0.retain(|(of, _), row| !open(of, row) || row.origin == CodeOrigin::Vault);
        }
        for (_, row) in self.0.iter_mut().filter(|((of, _), row)| open(of, row)) {
            match fate {
                CodeFate::Issued(at) => row.taken.iter_mut().for_each(|taken| taken.issued_at = Some(at)),
                CodeFate::Released => row.taken = None,
            }
        }
    }

    pub(crate) fn kept(&self) -> Vec<KeptCode> {
        let kept = self.0.iter().map(|((reward, digest), row)| KeptCode {
            reward_id: reward.clone(),
            digest: *digest,
            origin: row.origin,
            order: row.taken.as_ref().map(|taken| taken.order),
            issued_at: row.taken.as_ref().and_then(|taken| taken.issued_at),
        });
        kept.collect()
    }

    pub(crate) fn erase(&mut self, member: MemberId) {
        let own = |row: &&mut Row| row.taken.as_ref().is_some_and(|taken| taken.member == member);
        self.0.values_mut().filter(own).for_each(|row| (row.sealed, row.terms) = (None, None));
    }
}
