//! What happens to points by themselves, as the model has it: decay on New Year, reminders, and what members owe.

use crate::calendar::{expiry, new_year_after};
use crate::member::{Member, Status};
use crate::model::Said;
use crate::world::DAY;

/// What every second seed adds to the currency of the program.
pub(crate) const LIFE: &str = r#"
[currencies.life]
reminders = { days = [90, 30] }
decay = { percent = "10" }
shortfall = { policy = "owe", up_to = 200 }
"#;
const REMINDED: [i64; 2] = [90, 30];
const OWED_AT_MOST: i64 = 200;

impl Member {
    /// When a lot is reminded of, how many days ahead, when it expires, and its points.
    fn reminders(&self) -> impl Iterator<Item = (i64, i64, i64, i64)> {
        let active = self.active.iter().map(|(expires, (free, _))| (*expires, *free));
        let lots = active.chain(self.pending.iter().map(|((expires, _), points)| (*expires, *points)));
        let lots = lots.filter(|(_, points)| *points > 0);
        lots.flat_map(|(expires, points)| REMINDED.map(|days| (expires - days * DAY, days, expires, points)))
    }

    fn agenda(&self) -> Option<i64> {
        self.remind_at.into_iter().chain(self.decay_at).min()
    }

    /// Sets what comes next after a moment; what is late stays.
    pub(crate) fn plan(&mut self, clock: i64) {
        if !self.lives {
            return;
        }
        if self.status != Status::Active {
            (self.remind_at, self.decay_at, self.owed) = (None, None, 0);
            return;
        }
        let late = |due: Option<i64>| due.filter(|due| *due <= clock);
        let next = self.reminders().map(|(due, ..)| due).filter(|due| *due > clock).min();
        self.remind_at = late(self.remind_at).or(next);
        let new_year = (self.free() > 0).then(|| new_year_after(clock));
        self.decay_at = late(self.decay_at).or(new_year);
    }

    /// Everything that is due at one moment.
    fn happen(&mut self, moment: i64, said: &mut Said) {
        let ripe: Vec<(i64, i64)> = self.pending.keys().filter(|(_, active)| *active <= moment).copied().collect();
        for key in ripe {
            let points = self.pending.remove(&key).unwrap_or_default();
            said.matured += points;
            said.points += points;
            self.give(key.0, points);
        }
        let mut gone = 0;
        for (_, (free, _)) in self.active.iter_mut().filter(|(expires, _)| **expires <= moment) {
            gone += *free;
            *free = 0;
        }
        said.expired += gone;
        if self.decay_at.is_some_and(|due| due <= moment) {
            let lost = self.spendable(moment) / 10;
            self.take(lost, moment);
            said.decayed += lost;
            gone += lost;
            self.decay_at = None;
        }
        said.points -= gone;
        self.lifetime[2] += gone;
        if self.remind_at.is_some_and(|due| due <= moment) {
            let due = self.reminders().filter(|(due, ..)| *due == moment);
            let mut told: Vec<(i64, i64, i64)> = Vec::new();
            for (_, days, expires, points) in due {
                match told.iter_mut().find(|known| (known.0, known.1) == (expires, days)) {
                    Some(known) => known.2 += points,
                    None => told.push((expires, days, points)),
                }
            }
            told.sort();
            said.reminded.extend(told);
            self.remind_at = None;
        }
        self.plan(moment);
    }

    /// All that is due until then.
    pub(crate) fn tick(&mut self, at: i64, said: &mut Said) {
        while let Some(moment) = self.due_at().filter(|due| *due <= at) {
            self.happen(moment, said);
        }
    }

    /// What must happen before a command: all until nothing of the agenda is late.
    pub(crate) fn catch_up(&mut self, at: i64, said: &mut Said) {
        while self.agenda().is_some_and(|due| due <= at) {
            let Some(moment) = self.due_at() else { return };
            self.happen(moment, said);
        }
    }

    pub(crate) fn due_at(&self) -> Option<i64> {
        let expiries = self.active.iter().filter(|(_, (free, _))| *free > 0).map(|(expires, _)| *expires);
        expiries.chain(self.pending.keys().map(|(_, active)| *active)).chain(self.agenda()).min()
    }

    /// What a return could not take back, or a spending without network did not find. An account that has ended owes nothing.
    pub(crate) fn fall_short(&mut self, points: i64, said: &mut Said) {
        let owes = self.lives && self.status == Status::Active;
        let owed = if owes { points.min(OWED_AT_MOST - self.owed).max(0) } else { 0 };
        self.owed += owed;
        said.owed += owed;
        said.forgiven += points - owed;
    }

    /// Gives back points that a spending without network came to owe: what is owed yet is owed no longer, and what was repaid
    /// meanwhile comes back.
    pub(crate) fn give_back_owed(&mut self, points: i64, at: i64, said: &mut Said) {
        if self.status != Status::Active {
            return;
        }
        let cancelled = self.owed.min(points);
        self.owed -= cancelled;
        said.debt_cancelled += cancelled;
        self.lifetime[3] -= points - cancelled;
        self.give(expiry(at), points - cancelled);
        said.points += points - cancelled;
    }

    /// How many of the points that a rule gives go into what is owed.
    pub(crate) fn repay(&mut self, points: i64, said: &mut Said) -> i64 {
        let repaid = points.min(self.owed);
        self.owed -= repaid;
        self.lifetime[3] += repaid;
        said.repaid += repaid;
        repaid
    }
}
