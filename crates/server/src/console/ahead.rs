//! What lies ahead of a wallet, in sentences: for operators and for the member.

use std::collections::BTreeMap;

use guerdon_core::ledger::{Account, Wallet};
use guerdon_core::time::Timestamp;

use super::frame::Frame;

/// How many dates on which points become active are told.
const DATES: usize = 3;

/// When points become active, what is owed, and when a part decays or interest is paid.
pub(crate) fn ahead(frame: &Frame, account: &Account, wallet: &Wallet) -> Vec<String> {
    let calendar = &frame.program.calendar;
    let points = |points: i64| frame.points(wallet.currency, points).into();
    let mut pending: BTreeMap<Timestamp, i64> = BTreeMap::new();
    for lot in wallet.lots.iter().filter(|lot| lot.key.active_at != Timestamp::ZERO && lot.remaining > 0) {
        *pending.entry(lot.key.active_at).or_default() += lot.remaining;
    }
    let mut told: Vec<String> = Vec::new();
    for (active_at, waiting) in pending.into_iter().take(DATES) {
        let date = calendar.show(active_at).into();
        told.push(frame.say("ahead-pending", [("points", points(waiting)), ("date", date)]));
    }
    let agenda = account.agenda.wallet(wallet.currency);
    if agenda.owed > 0 {
        told.push(frame.say("ahead-owed", [("points", points(agenda.owed))]));
    }
    let Some(life) = frame.program.currency(wallet.currency).map(|currency| &currency.life) else { return told };
    if let (Some(at), Some(decay)) = (agenda.decay_at, &life.decay) {
        let percent = decay.percent.normalize().to_string().into();
        told.push(
            frame.say("ahead-decay", [("percent", percent), ("date", calendar.day_of(at).date().to_string().into())]),
        );
    }
    if let (Some(at), Some(interest)) = (agenda.interest_at, &life.interest) {
        let percent = interest.percent.normalize().to_string().into();
        let date = calendar.day_of(at).date().to_string().into();
        told.push(
            frame.say("ahead-interest", [("percent", percent), ("points", points(agenda.lowest)), ("date", date)]),
        );
    }
    told
}
