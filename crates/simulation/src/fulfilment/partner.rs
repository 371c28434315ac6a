//! A supplier as the simulation has it: it remembers by key what it was asked for and delivers once, and misbehaves in every way
//! that a network and a supplier can.

use std::collections::{BTreeMap, VecDeque};

use guerdon_core::fulfilment::{Called, Said, Terms, Unbelievable, Undoing};

use crate::dice::Dice;
use crate::world::HOUR;

/// What a supplier does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It hands it out, and says so.
    Deliver,
    /// It hands it out, and nobody hears of it.
    DeliverUnheard,
    /// Nothing arrives there.
    Unreached,
    Refuse,
    /// It says that it will say.
    Promise,
    /// It answers what cannot be believed: fewer codes than units, or about another order.
    Lie,
    /// It answers with codes that another order was given.
    GiveOthersCodes,
    /// It answers with other codes than before.
    GiveOtherCodes,
}

/// What a supplier remembers of a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// How often it was asked, whether that arrived or not.
    pub(crate) asked: u32,
    pub(crate) told: u32,
    pub(crate) quantity: i64,
    /// What it gave, once.
    pub(crate) delivered: Option<Vec<String>>,
    pub(crate) refused: bool,
    pub(crate) promised: bool,
    /// It was cancelled: nothing is handed out for it from then on.
    pub(crate) cancelled: bool,
    /// It has said that it will not cancel.
    pub(crate) kept: bool,
    /// It was heard, by our side, to have delivered.
    pub(crate) confirmed: bool,
}

/// What it calls back with, and when.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) supplier: &'static str,
    pub(crate) key: String,
    pub(crate) refuses: bool,
    pub(crate) at: i64,
    /// How often it was called with.
    pub(crate) tries: u32,
}

/// A supplier.
#[derive(Debug, Clone)]
pub(crate) struct Partner {
    pub(crate) name: &'static str,
    /// As it is kept here; `None`: it was forgotten.
    pub(crate) terms: Option<Terms>,
    pub(crate) gives_codes: bool,
    /// Whether it knows of cancelling, while it is kept.
    pub(crate) cancels: bool,
    pub(crate) most_attempts: u32,
    /// Until when nothing arrives there.
    pub(crate) away_until: i64,
    /// What it does next, before chance or habit decides.
    pub(crate) script: VecDeque<Act>,
    /// What it does always; `None`: chance decides.
    pub(crate) habit: Option<Act>,
    pub(crate) memory: BTreeMap<String, Memory>,
    next_code: u64,
}

impl Partner {
    pub(crate) fn new(name: &'static str, cancels: bool, gives_codes: bool) -> Self {
        let terms = Terms { timeout_ms: 5_000, attempts: 4, first_retry_ms: 2_000, active: true, cancels };
        let (script, memory) = (VecDeque::new(), BTreeMap::new());
        Self {
            name,
            terms: Some(terms),
            gives_codes,
            cancels,
            most_attempts: terms.attempts,
            away_until: 0,
            script,
            habit: None,
            memory,
            next_code: 0,
        }
    }

    fn act(&mut self, dice: &mut Dice) -> Act {
        if let Some(act) = self.script.pop_front().or(self.habit) {
            return act;
        }
        match dice.below(100) {
            0..42 => Act::Deliver,
            42..52 => Act::DeliverUnheard,
            52..62 => Act::Unreached,
            62..68 => Act::Refuse,
            68..88 => Act::Promise,
            88..92 => Act::Lie,
            92..96 => Act::GiveOthersCodes,
            _ => Act::GiveOtherCodes,
        }
    }

    fn new_codes(&mut self, quantity: i64) -> Vec<String> {
        let units = if self.gives_codes { quantity } else { 0 };
        (0..units)
            .map(|_| {
                self.next_code += 1;
                format!("{}-{:05}", self.name, self.next_code)
            })
            .collect()
    }

    /// Hands it out, once; what was refused or cancelled is not.
    fn hand_out(&mut self, key: &str) -> Option<Vec<String>> {
        let memory = self.memory.entry(key.to_owned()).or_default();
        if memory.cancelled || memory.refused {
            return None;
        }
        if let Some(codes) = &memory.delivered {
            return Some(codes.clone());
        }
        let quantity = memory.quantity;
        let codes = self.new_codes(quantity);
        self.memory.entry(key.to_owned()).or_default().delivered = Some(codes.clone());
        Some(codes)
    }

    /// Asks it for so many units under a key; adds what it calls back with.
    pub(crate) fn ask(
        &mut self,
        (key, quantity): (&str, i64),
        now: i64,
        dice: &mut Dice,
        callbacks: &mut Vec<Callback>,
    ) -> (Act, Called) {
        let memory = self.memory.entry(key.to_owned()).or_default();
        memory.asked += 1;
        memory.quantity = quantity;
        let (is_settled, is_delivered) = (memory.cancelled || memory.refused, memory.delivered.is_some());
        let was_promised = memory.promised;
        let act = match if now < self.away_until { Act::Unreached } else { self.act(dice) } {
            Act::Unreached => Act::Unreached,
            _ if is_settled => Act::Refuse,
            // What it has handed out or promised it does not refuse when it is asked again.
            Act::Refuse if is_delivered || was_promised => Act::Deliver,
            Act::Promise if is_delivered => Act::Deliver,
            act => act,
        };
        if act == Act::Promise && !was_promised {
            self.call_back(key, now, dice, callbacks);
        }
        (act, self.answer(act, (key, quantity), dice))
    }

    /// Does it, and says what arrives at whoever has asked.
    fn answer(&mut self, act: Act, (key, quantity): (&str, i64), dice: &mut Dice) -> Called {
        let refusal = || Called::Said(Said::Refused { words: "not here".to_owned() });
        let silence = || Called::Failed("did not answer within 5000 ms".to_owned());
        let delivered =
            |codes: Vec<String>| Called::Said(Said::Delivered { codes, reference: Some("their number".to_owned()) });
        match act {
            Act::Unreached => silence(),
            Act::Refuse => {
                self.memory.entry(key.to_owned()).or_default().refused = true;
                refusal()
            }
            Act::Promise => {
                self.memory.entry(key.to_owned()).or_default().promised = true;
                Called::Said(Said::Accepted { reference: None })
            }
            Act::Lie => {
                self.hand_out(key);
                let what = "1 codes for 2 units".to_owned();
                let lie = if dice.percent(50) { Unbelievable::Unfit(what) } else { Unbelievable::OtherOrder(what) };
                Called::Lied(lie)
            }
            Act::GiveOthersCodes => {
                let fits = |codes: &Vec<String>| !codes.is_empty() && codes.len() as i64 == quantity;
                let others = self.memory.iter().filter(|(of, _)| *of != key);
                let other = others.filter_map(|(_, memory)| memory.delivered.clone()).rfind(fits);
                let own = self.hand_out(key);
                other.or(own).map_or_else(refusal, delivered)
            }
            Act::GiveOtherCodes => {
                self.hand_out(key);
                delivered(self.new_codes(quantity))
            }
            Act::DeliverUnheard => {
                self.hand_out(key);
                silence()
            }
            Act::Deliver => self.hand_out(key).map_or_else(refusal, delivered),
        }
    }

    /// Sets down when it calls back: at once, later, twice, or never.
    fn call_back(&mut self, key: &str, now: i64, dice: &mut Dice, callbacks: &mut Vec<Callback>) {
        let scripted = self.habit.is_some() || !self.script.is_empty();
        let at = match dice.below(10) {
            _ if scripted => now + 3 * HOUR,
            0..4 => now,
            4..8 => now + dice.between(1_000, 2 * HOUR),
            8 => now + dice.between(60 * HOUR, 90 * HOUR),
            _ => return,
        };
        let refuses = !scripted && dice.percent(20);
        let call = Callback { supplier: self.name, key: key.to_owned(), refuses, at, tries: 0 };
        if !scripted && dice.percent(20) {
            callbacks.push(Callback { at: at + dice.between(0, HOUR), ..call.clone() });
        }
        callbacks.push(call);
    }

    /// What it says when it calls back: what it has done in the end. `None`: there is nothing to be said any more.
    pub(crate) fn says(&mut self, call: &Callback) -> Option<Said> {
        let memory = self.memory.entry(call.key.clone()).or_default();
        if memory.cancelled {
            return None;
        }
        if call.refuses && memory.delivered.is_none() {
            memory.refused = true;
        }
        Some(match self.hand_out(&call.key) {
            Some(codes) => Said::Delivered { codes, reference: None },
            None => Said::Refused { words: "not any more".to_owned() },
        })
    }

    /// Tells it that a key is not wanted any more.
    pub(crate) fn cancel(&mut self, key: &str, now: i64, dice: &mut Dice) -> Undoing {
        let away = now < self.away_until;
        let chance = self.habit.is_none();
        let memory = self.memory.entry(key.to_owned()).or_default();
        memory.told += 1;
        if away || chance && dice.percent(10) {
            return Undoing::Failed("did not answer within 5000 ms".to_owned());
        }
        memory.kept = memory.kept || chance && memory.delivered.is_some() && !memory.cancelled && dice.percent(25);
        if memory.kept {
            return Undoing::Refused("sent long ago".to_owned());
        }
        memory.cancelled = true;
        if chance && dice.percent(10) {
            return Undoing::Failed("did not answer within 5000 ms".to_owned());
        }
        Undoing::Cancelled
    }
}
