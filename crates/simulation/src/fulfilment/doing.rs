//! What a node asks for is done: in the store, by the kernel, or by a supplier.

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Footprint};
use guerdon_core::redemption::{Order, OrderMove};
use guerdon_core::time::Timestamp;
use guerdon_fulfilment::{Aside, DIFFERENCE, Difference, Writing};
use guerdon_store::{CodeClaim, RecordChange, SealedCode, Store, StoreError};

use super::Fulfilments;
use super::acting::{Effect, Heard};
use crate::wishes::{Want, What};
use crate::world::Decided;

/// A code as the store keeps it. Nothing in here is secret.
pub(super) fn sealed(code: &str) -> SealedCode {
    SealedCode { digest: digest(code), sealed: code.to_owned(), terms: None }
}

/// What tells a code from others.
pub(super) fn digest(code: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.iter_mut().zip(code.bytes()).for_each(|(to, from)| *to = from);
    digest
}

impl Fulfilments {
    /// An order as it is stored.
    pub(super) fn stored(&mut self, id: OrderId) -> Result<Option<Order>, String> {
        let Some(known) = self.world.model.orders.get(&id.0) else { return Ok(None) };
        let owner = MemberId(known.member);
        let footprint = Footprint { orders: vec![(owner, id)], ..Footprint::default() };
        let mut loaded = self.world.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        Ok(loaded.orders.remove(&(owner, id)))
    }

    /// Does what a node asks for, by its clock.
    pub(super) fn perform(&mut self, node: usize, effect: Effect, now: i64) -> Result<Heard, String> {
        let at = Timestamp::from_millis(now);
        let wrong = |error: StoreError| error.to_string();
        Ok(match effect {
            Effect::Order(id) => Heard::Order(self.stored(id)?.map(Box::new)),
            Effect::Mover(member) => Heard::Mover(MemberId(self.world.model.survivor(member.0))),
            Effect::Supplier(name) => {
                Heard::Supplier(self.partners.get(name.as_str()).and_then(|partner| partner.terms))
            }
            Effect::Record(kind, id) => Heard::Record(self.world.store.record(&kind, &id, at).map_err(wrong)?),
            Effect::Differences => Heard::Differences(self.told.len()),
            Effect::Submit(commands, steps) => {
                let decided = self.decide(node, commands, &steps)?;
                if !self.world.commit(&decided)? {
                    return Err("a step conflicts with nobody".to_owned());
                }
                let answers = decided.outcomes.into_iter().map(|outcome| outcome.answer.map(drop));
                Heard::Submitted(answers.collect())
            }
            Effect::Write(what, change) => Heard::Written(self.write(node, what, &change, at)?),
            Effect::SetAside { reward, order, member, quantity, given } => {
                let made =
                    given.map(|(origin, codes)| (origin, codes.iter().map(|code| sealed(code)).collect::<Vec<_>>()));
                let digests: Vec<[u8; 32]> = made.iter().flat_map(|(_, codes)| codes).map(|code| code.digest).collect();
                let claim = CodeClaim { reward_id: reward, order, member, quantity, at, made };
                Heard::Aside(Aside::of(&self.world.store.claim_codes(&claim).map_err(wrong)?, &digests))
            }
            Effect::Settle(reward, order, fate) => {
                self.world.store.settle_codes(&reward, order, fate).map_err(wrong)?;
                Heard::Settled
            }
            Effect::Ask { supplier, key, quantity } => {
                let partner = self.partners.get_mut(supplier.as_str()).ok_or("nobody of this name is asked")?;
                let (dice, callbacks) = (&mut self.world.dice, &mut self.callbacks);
                let (act, called) = partner.ask((&key, quantity), self.world.now, dice, callbacks);
                self.world.summary.note(acted(act), 1);
                Heard::Called(called)
            }
            Effect::Cancel { supplier, key } => {
                let partner = self.partners.get_mut(supplier.as_str()).ok_or("nobody of this name is told")?;
                let answer = partner.cancel(&key, self.world.now, &mut self.world.dice);
                self.world.summary.note("suppliers told of cancelling", 1);
                Heard::Undoing(answer)
            }
        })
    }

    /// What the kernel decides of the steps of an order, as it is now.
    pub(super) fn decide(
        &mut self,
        node: usize,
        commands: Vec<Command>,
        steps: &[OrderMove],
    ) -> Result<Decided, String> {
        let want = |(command, step): (&Command, &OrderMove)| {
            let order = command.idempotency_key.rsplit(':').next().and_then(|id| id.parse::<OrderId>().ok())?;
            let (member, key, at) = (command.member_id.0, command.idempotency_key.clone(), command.at.as_millis());
            Some(Want { member, key, at, what: What::Fulfil(order.0, *step), dry: false })
        };
        let wants: Option<Vec<Want>> = commands.iter().zip(steps).map(want).collect();
        self.world.decide_commands(node, wants.ok_or("a step names no order")?, commands)
    }

    fn write(&mut self, node: usize, what: Writing, change: &RecordChange, at: Timestamp) -> Result<bool, String> {
        match self.world.write_records(node, std::slice::from_ref(change), at) {
            Ok(()) => {}
            Err(StoreError::Conflict) => {
                self.world.summary.note("records that others had written", 1);
                return Ok(false);
            }
            Err(error) => return Err(error.to_string()),
        }
        if let (Writing::Difference, RecordChange::Put(record)) = (what, change) {
            if record.kind != DIFFERENCE {
                return Err(format!("a difference is kept as {}", record.kind));
            }
            let difference: Difference = record.read().map_err(|error| error.to_string())?;
            self.told.insert((difference.order, difference.what));
        }
        Ok(true)
    }
}

fn acted(act: super::partner::Act) -> &'static str {
    use super::partner::Act;
    match act {
        Act::Deliver => "suppliers asked",
        Act::DeliverUnheard => "delivered unheard",
        Act::Unreached => "suppliers not reached",
        Act::Refuse => "refused by suppliers",
        Act::Promise => "promised",
        Act::Lie => "lied",
        Act::GiveOthersCodes => "gave codes of others",
        Act::GiveOtherCodes => "gave other codes",
    }
}
