//! Fulfilments that are run once without a crash, and then with one at each of their steps: the end must be the same.

use std::collections::BTreeMap;

use guerdon_core::redemption::OrderMove;

use super::catalogue::{CARDS, PHONE};
use super::partner::Act;
use super::{End, Fulfilments};
use crate::baskets::Basket;
use crate::wishes::What;

/// A fulfilment that always goes the same way.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    reward: &'static str,
    /// Codes in the vault.
    codes: i64,
    /// What the supplier does at first, in order.
    script: &'static [Act],
    /// What it does from then on.
    habit: Act,
    /// Whether the staff calls the order off once a supplier was asked.
    called_off: bool,
}

/// All of them.
pub const SCENARIOS: [Scenario; 12] = [
    Scenario { name: "vault", reward: "film", ..PLAIN },
    Scenario { name: "empty vault", reward: "film", codes: 0, ..PLAIN },
    Scenario { name: "coupon", reward: "tenner", ..PLAIN },
    Scenario { name: "supplier", reward: "gift", ..PLAIN },
    Scenario { name: "supplier that promises and calls back", reward: "gift", habit: Act::Promise, ..PLAIN },
    Scenario { name: "supplier that fails to the end", reward: "topup", habit: Act::Unreached, ..PLAIN },
    Scenario { name: "supplier that is heard at last", reward: "gift", script: &[Act::DeliverUnheard], ..PLAIN },
    Scenario { name: "bundle", reward: "night", ..PLAIN },
    Scenario { name: "bundle whose second part is refused", reward: "night", habit: Act::Refuse, ..PLAIN },
    Scenario { name: "bundle that people complete", reward: "box", ..PLAIN },
    Scenario { name: "called off while it is fulfilled", reward: "topup", called_off: true, ..PROMISED },
    Scenario { name: "bundle that is called off while it is fulfilled", reward: "duo", called_off: true, ..PROMISED },
];

const PLAIN: Scenario =
    Scenario { name: "", reward: "", codes: 5, script: &[], habit: Act::Deliver, called_off: false };
const PROMISED: Scenario = Scenario { habit: Act::Promise, ..PLAIN };

/// How a scenario ended, in words that are the same whoever went on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Things done that change something.
    pub steps: usize,
    /// Where everything is in the end.
    pub end: String,
    /// Between which things the node died.
    pub crossed: BTreeMap<(&'static str, &'static str), (u64, u64)>,
}

/// Runs a scenario; with `crash`, the node that does a thing of this number dies at it, and another one goes on.
pub fn run_scenario(scenario: &Scenario, crash: Option<(usize, End)>) -> Result<Ended, String> {
    let mut run = Fulfilments::new(1)?;
    (run.is_rough, run.doomed) = (false, None);
    run.skews = [0; crate::world::NODES];
    for name in [PHONE, CARDS] {
        if let Some(partner) = run.partners.get_mut(name) {
            (partner.script, partner.habit) = (scenario.script.iter().copied().collect(), Some(scenario.habit));
        }
    }
    run.want(101, What::Enrol { external: "C-1".to_owned() })?;
    run.want(101, What::Adjust(1_000))?;
    if scenario.codes > 0 {
        run.upload(scenario.codes)?;
    }
    run.want(101, What::Redeem(Basket { reward: scenario.reward, quantity: 1, ..Basket::default() }))?;
    (run.crash, run.done, run.calls_off) = (crash, 0, scenario.called_off);
    run.rounds()?;
    if run.crash.is_some() {
        return Err("the node that was to die did not get so far".to_owned());
    }
    run.world.compare()?;
    run.check_the_end()?;
    let (steps, end) = (run.done, run.ended()?);
    run.world.settle()?;
    Ok(Ended { steps, end, crossed: run.world.summary.crossed })
}

impl Fulfilments {
    /// The staff calls off what a supplier was asked for.
    pub(super) fn something_is_called_off(&mut self) -> Result<(), String> {
        let is_asked = self.partners.values().any(|partner| partner.memory.values().any(|memory| memory.promised));
        if !self.calls_off || !is_asked {
            return Ok(());
        }
        self.calls_off = false;
        let (id, member) =
            self.world.model.orders.iter().map(|(id, order)| (*id, order.member)).next().ok_or("there is no order")?;
        self.want(member, What::Move(id, OrderMove::Cancel))
    }

    /// Where everything is.
    fn ended(&mut self) -> Result<String, String> {
        let mut end = Vec::new();
        for order in self.world.model.orders.values() {
            end.push(format!("{}: {}", order.reward, order.state));
        }
        for member in self.world.model.members.values() {
            end.push(format!("{} points", member.free()));
        }
        let mut codes: BTreeMap<(String, bool, bool), usize> = BTreeMap::new();
        for code in self.world.store.kept_codes() {
            *codes.entry((code.reward_id, code.order.is_some(), code.issued_at.is_some())).or_default() += 1;
        }
        end.push(format!("{codes:?}"));
        for partner in self.partners.values() {
            for memory in partner.memory.values() {
                let (delivered, refused, cancelled) = (memory.delivered.is_some(), memory.refused, memory.cancelled);
                end.push(format!("{}: {delivered} {refused} {cancelled}", partner.name));
            }
        }
        end.push(format!("{:?}", self.told.iter().map(|(_, what)| what).collect::<Vec<_>>()));
        Ok(end.join("; "))
    }
}
