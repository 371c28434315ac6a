//! What nodes are at: begun, led on by one thing at a time, and ended by a crash between any two.

use guerdon_core::fulfilment::{Called, DeliveryKey, Item, Said};
use guerdon_core::id::OrderId;
use guerdon_fulfilment::{ASKED_FOR, Effects, Taken, follow_watched, go_on, settle_codes, take_result};

use super::acting::{Acting, Broken, Effect, Ended, Heard, Slot, Task};
use super::partner::Callback;
use super::{DOOMS, End, Fulfilments};
use crate::dice::Dice;
use crate::world::NODES;

/// What a supplier says arrives as a thing of its own: its node may die before.
const HEAR: &str = "hear the supplier";

impl Fulfilments {
    fn slot(&mut self, node: usize) -> Slot {
        let dice = Dice(self.world.dice.roll());
        let (now, is_busy) = (self.world.now + self.skews[node], self.is_rough);
        let (look_again, told) = (Vec::new(), std::collections::BTreeMap::new());
        Slot { wanted: None, heard: None, now, dice, is_busy, look_again, told }
    }

    /// Begins a task, which waits for its first effect.
    fn begin<F>(&mut self, node: usize, order: OrderId, work: impl FnOnce(Acting) -> F) -> Task
    where
        F: Future<Output = Result<Ended, Broken>> + 'static,
    {
        let slot = self.slot(node);
        let mut task = Task::new((node, order), &self.program, slot, work);
        // All begin with an effect.
        task.run();
        task
    }

    pub(super) fn going_on(&mut self, node: usize, id: OrderId) -> Task {
        self.begin(node, id, move |acting| async move {
            if let Some(order) = acting.order(id).await? {
                go_on(&acting, &order).await?;
            }
            Ok(Ended::Done)
        })
    }

    pub(super) fn settling_codes(&mut self, node: usize, id: OrderId) -> Task {
        self.begin(node, id, move |acting| async move {
            if let Some(order) = acting.order(id).await? {
                settle_codes(&acting, &order).await?;
            }
            Ok(Ended::Done)
        })
    }

    pub(super) fn following(&mut self, node: usize, id: OrderId) -> Task {
        self.begin(node, id, move |acting| async move {
            let record = acting.record(ASKED_FOR, &id.to_string()).await?;
            if let Some((record, order)) = record.zip(acting.order(id).await?) {
                follow_watched(&acting, &order, record).await?;
            }
            Ok(Ended::Done)
        })
    }

    /// A supplier calls back. `None`: it has nothing to say any more.
    pub(super) fn calling(&mut self, node: usize, call: Callback) -> Result<Option<Task>, String> {
        let partner = self.partners.get_mut(call.supplier).ok_or("nobody of this name calls")?;
        // Whoever is kept no longer signs with a secret that is not known.
        if partner.terms.is_none() {
            return Ok(None);
        }
        let Some(said) = partner.says(&call) else { return Ok(None) };
        let key: DeliveryKey = call.key.parse().map_err(|_| "a key is none".to_owned())?;
        let (name, wanted) = (call.supplier, key.clone());
        let mut task = self.begin(node, key.order, move |acting| async move {
            let Some(order) = acting.order(wanted.order).await? else { return Ok(Ended::Done) };
            let program = acting.program();
            let its = |item: &Item<'_>| item.supplier() == Some(name) && item.key() == wanted;
            let Some(item) = Item::all(&program, &order).into_iter().find(its) else { return Ok(Ended::Done) };
            take_result(&acting, name, (item, &order), said).await.map(Ended::Call)
        });
        task.call = Some(call);
        Ok(Some(task))
    }

    /// Some node takes an order up, unless it is at it.
    pub(super) fn start_going_on(&mut self) {
        let node = self.world.dice.below(NODES as u64) as usize;
        let is_at = |task: &Task, id: i64| task.node == node && task.order.0 == id && task.call.is_none();
        let open = self.world.model.orders.iter().filter(|(_, order)| order.is_open()).map(|(id, _)| *id);
        let free: Vec<i64> = open.filter(|id| !self.tasks.iter().any(|task| is_at(task, *id))).collect();
        if free.is_empty() {
            return;
        }
        let id = OrderId(self.world.dice.one_of(&free));
        let task = self.going_on(node, id);
        self.tasks.push(task);
    }

    /// Some node looks after an order whose end may have been lost.
    pub(super) fn start_tidying(&mut self) {
        let node = self.world.dice.below(NODES as u64) as usize;
        let codes = self.world.dice.percent(50);
        let ids = if codes { self.with_open_codes() } else { self.watched() };
        if ids.is_empty() {
            return;
        }
        let id = self.world.dice.one_of(&ids);
        let task = if codes { self.settling_codes(node, id) } else { self.following(node, id) };
        self.tasks.push(task);
    }

    /// A supplier calls that has something to say by now.
    pub(super) fn start_call(&mut self) {
        let now = self.world.now;
        let Some(index) = self.callbacks.iter().position(|call| call.at <= now) else { return };
        let call = self.callbacks.swap_remove(index);
        let node = self.world.dice.below(NODES as u64) as usize;
        if let Ok(Some(task)) = self.calling(node, call) {
            self.tasks.push(task);
        }
    }

    pub(super) fn some_task_goes_on(&mut self) -> Result<(), String> {
        if self.tasks.is_empty() {
            return Ok(());
        }
        let index = self.world.dice.below(self.tasks.len() as u64) as usize;
        let mut task = self.tasks.swap_remove(index);
        if self.is_doomed(&task) {
            let node = task.node;
            self.tasks.push(task);
            return self.node_dies(node);
        }
        if !self.advance(&mut task)? {
            self.tasks.push(task);
        }
        Ok(())
    }

    /// Whether the node of a task dies before what it does next: every second time, between some steps.
    pub(super) fn is_doomed(&mut self, task: &Task) -> bool {
        let Some((next, doomed)) = self.next_step(task).zip(self.doomed) else { return false };
        let names = task.last_step.bytes().chain(next.bytes());
        // FNV-1a: the same for ever.
        let mixed =
            names.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let dies = (mixed >> 32) % DOOMS == doomed && self.deaths_left > 0 && self.world.dice.percent(50);
        self.deaths_left -= u32::from(dies);
        dies
    }

    /// What a task does next that is more than to read something.
    fn next_step(&self, task: &Task) -> Option<&'static str> {
        if task.on_its_way.is_some() { Some(HEAR) } else { task.slot().wanted.as_ref().and_then(Effect::step) }
    }

    /// Does the next thing of a task. True: it has come to its end.
    pub(super) fn advance(&mut self, task: &mut Task) -> Result<bool, String> {
        let now = self.world.now + self.skews[task.node];
        let heard = match task.on_its_way.take() {
            Some(heard) => {
                self.cross(task, HEAR);
                heard
            }
            None => {
                let effect = task.slot().wanted.take().ok_or("a task waits for nothing")?;
                let (step, is_outward) = (effect.step(), effect.is_outward());
                let asked = match &effect {
                    Effect::Ask { supplier, key, .. } => Some((supplier.clone(), key.clone())),
                    _ => None,
                };
                let heard = self.perform(task.node, effect, now)?;
                if let Some(step) = step {
                    self.cross(task, step);
                }
                if let Heard::Called(Called::Said(Said::Delivered { .. })) = &heard {
                    task.heard_of = asked;
                }
                if is_outward {
                    task.on_its_way = Some(heard);
                    return Ok(false);
                }
                heard
            }
        };
        {
            let mut slot = task.slot();
            slot.heard = Some(heard);
            slot.now = now;
        }
        let Some(ended) = task.run() else { return Ok(false) };
        let ended = ended.map_err(|broken| broken.0)?;
        self.end(task, &ended);
        Ok(true)
    }

    fn cross(&mut self, task: &mut Task, step: &'static str) {
        self.world.summary.cross(task.last_step, step, false);
        task.last_step = step;
        self.done += 1;
    }

    /// What a task leaves behind.
    fn end(&mut self, task: &mut Task, ended: &Ended) {
        let told = std::mem::take(&mut task.slot().told);
        told.into_iter().for_each(|(what, times)| self.world.summary.note(what, times));
        if let Some((supplier, key)) = task.heard_of.take() {
            self.confirm(&supplier, key);
        }
        let (Some(mut call), Ended::Call(taken)) = (task.call.take(), ended) else { return };
        match taken {
            Taken::Heard => {
                self.world.summary.note("calls taken in", 1);
                self.confirm(call.supplier, call.key);
            }
            Taken::Refused(..) => self.world.summary.note("calls refused", 1),
            Taken::CallAgain => {
                self.world.summary.note("calls to be made again", 1);
                (call.at, call.tries) = (self.world.now + 5_000, call.tries + 1);
                self.callbacks.push(call);
            }
        }
    }

    /// Somebody has heard, and lived to follow it, that a supplier has delivered.
    fn confirm(&mut self, supplier: &str, key: String) {
        if let Some(partner) = self.partners.get_mut(supplier) {
            let memory = partner.memory.entry(key).or_default();
            memory.confirmed = memory.confirmed || memory.delivered.is_some();
        }
    }

    pub(super) fn some_node_dies(&mut self) -> Result<(), String> {
        let node = self.world.dice.below(NODES as u64) as usize;
        self.node_dies(node)
    }

    fn node_dies(&mut self, node: usize) -> Result<(), String> {
        let (dead, alive) = std::mem::take(&mut self.tasks).into_iter().partition(|task: &Task| task.node == node);
        self.tasks = alive;
        for task in dead {
            let end = self.world.dice.one_of(&[End::Lost, End::Lost, End::Done, End::Late]);
            self.crash_at(task, end)?;
        }
        self.world.die(node, Vec::new());
        Ok(())
    }

    /// The node of a task dies, and with it all that it knows.
    pub(super) fn crash_at(&mut self, mut task: Task, end: End) -> Result<(), String> {
        let now = self.world.now + self.skews[task.node];
        let next = self.next_step(&task);
        let wanted = task.slot().wanted.take();
        if let Some(next) = next {
            self.world.summary.cross(task.last_step, next, true);
        }
        // Whoever has called hears nothing, and calls again.
        if let Some(call) = task.call.take() {
            self.callbacks.push(Callback { at: self.world.now + 60_000, tries: call.tries + 1, ..call });
        }
        match (wanted, end) {
            (Some(effect), End::Done) => {
                self.perform(task.node, effect, now).map(drop::<Heard>)?;
            }
            (Some(Effect::Submit(commands, steps)), End::Late) => {
                let decided = self.decide(task.node, commands, &steps)?;
                self.world.push_ghost(decided);
            }
            (Some(effect), End::Late) if effect.step().is_some() => self.late.push(effect),
            _ => {}
        }
        Ok(())
    }
}
