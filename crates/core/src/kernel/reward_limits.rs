//! Limits of what one member may order of a reward: refused beyond, counted with the order, and given back with it.

use super::decide::Draft;
use super::refusal::{Refusal, RefusalCode};
use crate::earning::{Counted, CounterOf};
use crate::redemption::{Funds, Order};
use crate::rewards::{CountedIn, LimitUse, Reward};
use crate::time::Timestamp;

impl Draft<'_> {
    /// Refuses an order beyond a limit of its reward. Answers the windows in which it counts.
    pub(super) fn check_limits(&self, reward: &Reward, quantity: i64) -> Result<Vec<CountedIn>, Refusal> {
        let uses = reward.limit_uses(&self.program.calendar, &self.account, self.command.at);
        uses.map(|known| match known.left() >= quantity {
            true => Ok(CountedIn { window: known.limit.per, ends_at: known.ends_at }),
            false => Err(beyond(reward, quantity, &known)),
        })
        .collect()
    }

    /// Counts the units of a new order.
    pub(super) fn count_limits(&mut self, order: &mut Order, windows: Vec<CountedIn>) {
        self.count_units(&order.reward_id, &windows, order.quantity);
        order.details.particulars.counted = windows;
    }

    /// Takes the units of an order that is given back out of what was counted.
    pub(super) fn uncount_limits(&mut self, order: &Order, to: Funds) {
        if to == Funds::Returned && order.state.funds() != Funds::Returned {
            self.count_units(&order.reward_id, &order.details.particulars.counted, -order.quantity);
        }
    }

    fn count_units(&mut self, reward: &str, windows: &[CountedIn], units: i64) {
        for CountedIn { window, ends_at } in windows {
            let (of, count) = (CounterOf::Reward(reward.into()), units.signum());
            let counted = Counted { of, window: *window, ends_at: *ends_at, count, sum: units };
            self.account.history.count(&counted);
            self.receipt.counted.push(counted);
        }
    }
}

fn beyond(reward: &Reward, quantity: i64, known: &LimitUse) -> Refusal {
    let (most, window) = (known.limit.quantity, known.limit.per.name());
    let limited = format!("`{}` is limited to {most} per {window} for each member", reward.id);
    let problem = match known.used {
        None => format!("{limited}, and this member has ordered too many limited rewards to be counted"),
        Some(_) if quantity > most => format!("{limited}; {quantity} are too many at any time"),
        Some(used) if known.ends_at == Timestamp::NEVER => {
            format!("{limited}; {used} were ordered, {} are left of them for ever", known.left())
        }
        Some(used) => {
            format!("{limited}; {used} were ordered, {} are left until {}", known.left(), known.ends_at)
        }
    };
    Refusal::new(RefusalCode::LimitReached, problem)
}
