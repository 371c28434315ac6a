//! The program's figures by month and rule, added up from the flows; kept for a moment, since it takes a scan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{CurrencyId, LedgerAccount};
use guerdon_core::members::Profile;
use guerdon_core::privacy::mask;
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::{Day, months_between};
use guerdon_store::StoreError;
use guerdon_store::read::{Flow, TransactionRow};
use tokio::sync::Mutex;

use crate::AppState;

/// How long the figures are kept.
const FRESH: Duration = Duration::from_secs(2);
/// Latest transactions on the overview.
const LATEST: i64 = 12;

/// Points that moved, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Issued by earning rules.
    pub earned: i64,
    /// Spent on captured orders.
    pub redeemed: i64,
    /// Expired unspent.
    pub expired: i64,
    /// Taken back after returns.
    pub taken_back: i64,
    /// Net of manual adjustments.
    pub adjusted: i64,
}

impl Totals {
    fn add(&mut self, flow: &Flow) {
        for (account, amount) in [(flow.debit, flow.amount), (flow.credit, -flow.amount)] {
            match account {
                LedgerAccount::Issuance => self.earned += amount,
                LedgerAccount::Redemption => self.redeemed -= amount,
                LedgerAccount::Breakage => self.expired -= amount,
                LedgerAccount::Revocation => self.taken_back -= amount,
                LedgerAccount::Adjustment => self.adjusted += amount,
                // A merge puts in what it takes out.
                LedgerAccount::MemberAvailable
                | LedgerAccount::MemberPending
                | LedgerAccount::MemberHeld
                | LedgerAccount::Merge
                | LedgerAccount::Extension => {}
            }
        }
    }

    /// Points that members hold after these movements: what they received less what left them.
    pub fn outstanding(&self) -> i64 {
        self.earned + self.adjusted - self.redeemed - self.expired - self.taken_back
    }
}

/// One month of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// Its year.
    pub year: i16,
    /// 1 for January.
    pub month: i8,
    /// What moved in it.
    pub moved: Totals,
    /// Points that members held at its end.
    pub outstanding: i64,
}

/// What one rule gave (above zero) and took back (below).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTotal {
    /// The rule.
    pub rule: String,
    /// Points.
    pub points: i64,
    /// How often.
    pub times: i64,
}

/// Everything that the overview shows, in no language yet.
pub struct Summary {
    /// The currency of the figures: the program's first.
    pub currency: CurrencyId,
    /// Members.
    pub members: i64,
    /// Over all time.
    pub totals: Totals,
    /// By month, without gaps, to the month that is now.
    pub months: Vec<Month>,
    /// By rule, the most points first.
    pub rules: Vec<RuleTotal>,
    /// Of every limited reward.
    pub stock: BTreeMap<String, StockLevel>,
    /// Newest first, each with the name of its member.
    pub latest: Vec<(TransactionRow, String)>,
}

/// The latest summary and when it was made.
#[derive(Default)]
pub struct Cache {
    latest: Mutex<Option<(Instant, Arc<Summary>)>>,
}

impl Cache {
    /// The summary, at most two seconds old. While one caller adds up, the others wait for its result.
    pub async fn get(&self, state: &AppState) -> Result<Arc<Summary>, StoreError> {
        let mut latest = self.latest.lock().await;
        if let Some((made_at, summary)) = latest.as_ref()
            && made_at.elapsed() < FRESH
        {
            return Ok(Arc::clone(summary));
        }
        let summary = Arc::new(read(state).await?);
        *latest = Some((Instant::now(), Arc::clone(&summary)));
        Ok(summary)
    }
}

async fn read(state: &AppState) -> Result<Summary, StoreError> {
    let (program, reader) = (state.program(), &state.reader);
    let currency =
        program.currencies.iter().find(|currency| currency.spendable).map_or(CurrencyId(1), |currency| currency.id);
    let mut flows = reader.flows().await?;
    flows.retain(|flow| flow.currency == currency);
    let mut totals = Totals::default();
    flows.iter().for_each(|flow| totals.add(flow));
    let mut latest = Vec::new();
    for row in reader.latest_transactions(LATEST).await? {
        let name = name_of(state, row.member_id).await?;
        latest.push((row, name));
    }
    Ok(Summary {
        currency,
        members: reader.counts().await?.members,
        totals,
        months: by_month(&flows, program.calendar.day_of(state.engine.now())),
        rules: by_rule(&flows),
        stock: reader.stock().await?,
        latest,
    })
}

/// What to call a member by the id.
pub(super) async fn name_of(state: &AppState, id: MemberId) -> Result<String, StoreError> {
    let Some(row) = state.reader.member(id).await? else { return Ok(id.to_string()) };
    Ok(display_name(id, &state.profile(&row)?.unwrap_or_default()))
}

/// What to call a member: the masked name, else the brand's number, else the id.
pub fn display_name(id: MemberId, profile: &Profile) -> String {
    let name = profile.name.as_deref().map(mask::name);
    name.or_else(|| profile.external_id.clone()).unwrap_or_else(|| id.to_string())
}

/// Adds flows up by month, from the first that moved anything to that of `today` or of the last flow.
pub fn by_month(flows: &[Flow], today: Day) -> Vec<Month> {
    let mut moved: BTreeMap<(i16, i8), Totals> = BTreeMap::new();
    for flow in flows {
        let date = flow.day.date();
        moved.entry((date.year(), date.month())).or_default().add(flow);
    }
    let Some(first) = flows.iter().map(|flow| flow.day).min() else { return Vec::new() };
    let last = flows.iter().map(|flow| flow.day).max().unwrap_or(today).max(today);
    let mut outstanding = 0;
    let months = months_between(first, last).into_iter().map(|date| {
        let moved = moved.remove(&(date.year(), date.month())).unwrap_or_default();
        outstanding += moved.outstanding();
        Month { year: date.year(), month: date.month(), moved, outstanding }
    });
    months.collect()
}

/// Adds up what each rule gave and took back, the most points first.
pub fn by_rule(flows: &[Flow]) -> Vec<RuleTotal> {
    let mut rules: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for flow in flows {
        let Some((rule, _)) = &flow.rule else { continue };
        let (points, times) = rules.entry(rule).or_default();
        *points += if flow.credit.is_member() { flow.amount } else { -flow.amount };
        *times += flow.count;
    }
    let mut rules: Vec<RuleTotal> =
        rules.into_iter().map(|(rule, (points, times))| RuleTotal { rule: rule.to_owned(), points, times }).collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.points));
    rules
}

#[cfg(test)]
mod tests {
    use LedgerAccount::{Adjustment, Breakage, Issuance, MemberAvailable, MemberHeld, Redemption, Revocation};

    use super::*;

    fn flow(day: i32, debit: LedgerAccount, credit: LedgerAccount, amount: i64, rule: Option<&str>) -> Flow {
        let rule = rule.map(|rule| (rule.to_owned(), 1));
        Flow { day: Day(day), debit, credit, currency: CurrencyId(1), rule, amount, count: 2 }
    }

    /// Day 15000 is 2011-01-26, day 15005 is 2011-01-31 and day 15006 is 2011-02-01.
    fn story() -> Vec<Flow> {
        vec![
            flow(15_000, Issuance, MemberAvailable, 1_000, Some("base")),
            flow(15_005, Issuance, MemberAvailable, 50, Some("bonus")),
            flow(15_006, MemberAvailable, MemberHeld, 500, None),
            flow(15_006, MemberHeld, Redemption, 500, None),
            flow(15_006, MemberAvailable, Revocation, 100, Some("return")),
            flow(15_040, MemberAvailable, Breakage, 30, None),
            flow(15_070, Adjustment, MemberAvailable, 20, None),
            flow(15_070, MemberAvailable, Adjustment, 5, None),
        ]
    }

    #[test]
    fn months_have_no_gaps_and_the_outstanding_points_run_on() {
        let months = by_month(&story(), Day(15_130));
        let shown: Vec<_> = months.iter().map(|month| (month.year, month.month, month.outstanding)).collect();
        assert_eq!(
            shown,
            [(2011, 1, 1_050), (2011, 2, 450), (2011, 3, 420), (2011, 4, 435), (2011, 5, 435), (2011, 6, 435)]
        );
        assert_eq!(months[0].moved.earned, 1_050);
        assert_eq!(months[1].moved, Totals { redeemed: 500, taken_back: 100, ..Totals::default() });
        assert_eq!(months[2].moved.expired, 30);
        assert_eq!(months[3].moved.adjusted, 15);
        assert!(by_month(&[], Day(15_000)).is_empty());
    }

    #[test]
    fn rules_stand_by_what_they_gave() {
        let rules = by_rule(&story());
        let shown: Vec<_> = rules.iter().map(|rule| (rule.rule.as_str(), rule.points, rule.times)).collect();
        assert_eq!(shown, [("base", 1_000, 2), ("bonus", 50, 2), ("return", -100, 2)]);
    }
}
