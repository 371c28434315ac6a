//! Does what a fulfilment asks for: reads the database, writes through the engine, and calls suppliers.

use std::sync::{Arc, PoisonError};

use guerdon_core::fulfilment::{Called, DeliveryKey, Item, Terms, Undoing};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Refusal};
use guerdon_core::program::Program;
use guerdon_core::redemption::Order;
use guerdon_core::rewards::RewardKind;
use guerdon_core::time::Timestamp;
use guerdon_fulfilment::{Aside, CodesWanted, DIFFERENCE, Effects, Happened, MOST_DIFFERENCES, Writing};
use guerdon_store::{CodeClaim, CodeFate, CodeOrigin, CommandError, Record, RecordChange, RecordQuery, SealedCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::supplier::{self, call};
use super::{CALLS, Shared, codes};
use crate::AppState;
use crate::acts;
use crate::problem::Problem;

/// What a fulfilment is done with.
#[derive(Clone, Copy)]
pub(super) struct Doing<'s> {
    state: &'s AppState,
    /// The tasks of this node, where suppliers are called by them.
    shared: Option<&'s Shared>,
}

/// A supplier as it is kept, and how it is called.
pub(super) struct Known {
    kept: supplier::Supplier,
    terms: Terms,
}

impl AsRef<Terms> for Known {
    fn as_ref(&self) -> &Terms {
        &self.terms
    }
}

impl<'s> Doing<'s> {
    /// For whoever calls no supplier for an order that it is at.
    pub(super) fn of(state: &'s AppState) -> Self {
        Self { state, shared: None }
    }

    /// For the tasks of a node.
    pub(super) fn by(shared: &'s Shared) -> Self {
        Self { state: &shared.state, shared: Some(shared) }
    }

    fn made(&self, item: Item<'_>, wanted: CodesWanted<'_>) -> Result<Option<(CodeOrigin, Vec<SealedCode>)>, Problem> {
        let (state, reward) = (self.state, item.handing.reward_id);
        Ok(match wanted {
            CodesWanted::OfVault => None,
            CodesWanted::Coupons => {
                let terms = match item.handing.kind {
                    Some(kind @ RewardKind::Coupon { .. }) => codes::terms(state, kind)?,
                    _ => None,
                };
                let code = |_| codes::coupon(state, reward, terms.clone());
                let made = (0..item.handing.quantity).map(code).collect::<Result<Vec<_>, _>>()?;
                Some((CodeOrigin::Coupon, made))
            }
            CodesWanted::Given(given) => {
                let seal = |code: &String| codes::seal(state, reward, code, None);
                Some((CodeOrigin::Supplier, given.iter().map(seal).collect::<Result<Vec<_>, _>>()?))
            }
        })
    }
}

impl Effects for Doing<'_> {
    type Error = Problem;
    type Supplier = Known;
    type Place = Option<OwnedSemaphorePermit>;

    fn program(&self) -> Arc<Program> {
        self.state.program()
    }

    fn now(&self) -> Timestamp {
        self.state.engine.now()
    }

    fn clock(&self) -> Timestamp {
        self.state.clock()
    }

    fn chance(&self) -> i64 {
        i64::from(rand::random::<u16>())
    }

    fn place(&self, supplier: &str) -> Option<Self::Place> {
        let Some(shared) = self.shared else { return Some(None) };
        let calls = {
            let mut calls = shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(calls.entry(supplier.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(CALLS))))
        };
        calls.try_acquire_owned().ok().map(Some)
    }

    fn tell(&self, happened: Happened<'_>) {
        match happened {
            Happened::GivenBack { reason } => {
                metrics::counter!("guerdon_orders_given_back_total", "reason" => reason).increment(1);
            }
            Happened::Ended { stage } => {
                let stage = format!("{stage:?}").to_lowercase();
                metrics::counter!("guerdon_supplier_deliveries_total", "stage" => stage).increment(1);
            }
            Happened::Differs { supplier, order, what, detail } => {
                tracing::warn!(supplier, order, what, detail, "a supplier and we know an order differently");
                metrics::counter!("guerdon_supplier_differences_total", "what" => what.to_owned()).increment(1);
            }
        }
    }

    fn look_again(&self, order: OrderId) {
        self.state.engine.to_fulfil().add(vec![order]);
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, Problem> {
        Ok(self.state.reader.order(id).await?)
    }

    async fn mover(&self, order: &Order) -> Result<MemberId, Problem> {
        acts::mover(self.state, order).await
    }

    async fn supplier(&self, name: &str) -> Result<Option<Known>, Problem> {
        let found = supplier::find(self.state, name).await?;
        Ok(found.map(|(_, kept)| Known { terms: kept.terms(), kept }))
    }

    async fn record(&self, kind: &str, id: &str) -> Result<Option<Record>, Problem> {
        Ok(self.state.reader.record(kind, id, self.state.clock()).await?)
    }

    async fn differences(&self, supplier: &str) -> Result<usize, Problem> {
        let (kind, subject) = (DIFFERENCE.to_owned(), Some(supplier.to_owned()));
        let query = RecordQuery { kind, subject, after: None, limit: MOST_DIFFERENCES as i64 };
        Ok(self.state.reader.records(&query, self.state.clock()).await?.len())
    }

    async fn submit(&self, commands: Vec<Command>) -> Result<Vec<Result<(), Refusal>>, Problem> {
        let outcomes = self.state.engine.submit(commands).await.into_iter().map(|outcome| match outcome {
            Ok(_) => Ok(Ok(())),
            Err(CommandError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error),
        });
        Ok(outcomes.collect::<Result<_, _>>()?)
    }

    async fn write(&self, _: Writing, change: RecordChange) -> Result<bool, Problem> {
        match self.state.engine.write_records(vec![change], Vec::new()).await {
            Ok(()) => Ok(true),
            Err(CommandError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn set_aside(&self, item: Item<'_>, codes: CodesWanted<'_>) -> Result<Aside, Problem> {
        let made = self.made(item, codes)?;
        let given: Vec<[u8; 32]> = made.iter().flat_map(|(_, codes)| codes).map(|code| code.digest).collect();
        // Under the order's own id, and that of its part: a bundle holds no reward twice.
        let claim = CodeClaim {
            reward_id: item.handing.reward_id.to_owned(),
            order: item.order.id,
            member: item.order.member_id,
            quantity: item.handing.quantity,
            at: self.state.engine.now(),
            made,
        };
        Ok(Aside::of(&self.state.engine.claim_codes(claim).await?, &given))
    }

    async fn settle_codes(&self, reward: &str, order: OrderId, fate: CodeFate) -> Result<(), Problem> {
        Ok(self.state.engine.settle_codes(reward.to_owned(), order, fate).await?)
    }

    async fn ask(&self, name: &str, supplier: &Known, item: Item<'_>) -> Result<Called, Problem> {
        call::deliver(self.state, name, &supplier.kept, item).await
    }

    async fn cancel(&self, name: &str, supplier: &Known, key: &DeliveryKey) -> Result<Undoing, Problem> {
        call::cancel(self.state, name, &supplier.kept, key).await
    }
}
