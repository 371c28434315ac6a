//! The monthly statement of a member's points: read for the API, the console and the portal alike.

use std::collections::BTreeMap;

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{CurrencyId, Statement};
use guerdon_core::time::Month;
use guerdon_store::StoreError;

use crate::AppState;

/// The statements of one member for one month.
pub struct Monthly {
    /// The month.
    pub month: Month,
    /// The month before, when there is a statement of it.
    pub previous: Option<Month>,
    /// The month after, when there is a statement of it.
    pub next: Option<Month>,
    /// Whether it is over.
    pub complete: bool,
    /// By currency: those of the program, and those in which something moved.
    pub wallets: BTreeMap<CurrencyId, Statement>,
}

/// The months of which a member has statements, newest first: from the first entry in the journal to the present one.
pub async fn months(state: &AppState, member: MemberId) -> Result<Vec<Month>, StoreError> {
    let Some(first) = state.reader.first_day(member).await? else { return Ok(Vec::new()) };
    let first = Month::of(first);
    let last = Month::of(state.program().calendar.day_of(state.engine.now()));
    let months = std::iter::successors(Some(last), |month| Some(month.previous()));
    Ok(months.take_while(|month| *month >= first).take(MONTHS).collect())
}

/// Months that are offered at the most: a hundred years.
const MONTHS: usize = 1_200;

/// The statement of a month. `None`: the month is not among [`months`].
pub async fn read(state: &AppState, member: MemberId, month: Month) -> Result<Option<Monthly>, StoreError> {
    let months = months(state, member).await?;
    let there = |month: Month| Some(month).filter(|month| months.contains(month));
    let Some(month) = there(month) else { return Ok(None) };
    let program = state.program();
    let today = program.calendar.day_of(state.engine.now());
    let (from, until) = (month.first_day(), month.next().first_day());
    let mut wallets = Statement::of(&state.reader.movements(member, from, until).await?);
    for currency in &program.currencies {
        wallets.entry(currency.id).or_default();
    }
    let (previous, next) = (there(month.previous()), there(month.next()));
    Ok(Some(Monthly { month, previous, next, complete: until <= today, wallets }))
}
