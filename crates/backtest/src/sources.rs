//! Where the entries of a backtest come from: the ledger, or a file of purchases.

use anyhow::Result;
use guerdon_core::backtest::{Entry, Happened};
use guerdon_core::id::MemberId;
use guerdon_core::program::Program;
use guerdon_core::time::Timestamp;
use guerdon_import::{Mapping, Purchases, RowProblem, Source, read_purchases};
use guerdon_store::read::Reader;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{Feed, Programs, Ran, run};
use guerdon_core::backtest::Period;

/// Feeds everything that was recorded.
pub async fn from_ledger(reader: &Reader, feed: &mut Feed<'_>) -> Result<()> {
    Ok(reader.history(&mut |entry| feed.push(entry)).await?)
}

/// Runs a backtest over a file of purchases. Its members are not those of the ledger: all of them begin with nothing, and
/// nothing but the purchases happens to them. The period ends with the file unless `until` says otherwise.
pub fn from_file(
    programs: &Programs,
    mapping: &Mapping,
    source: &Source,
    (from, until): (Timestamp, Option<Timestamp>),
    watch: &dyn Fn(u64) -> bool,
) -> Result<Ran> {
    let Purchases { purchases, mut problems, .. } = read_purchases(&programs.live, mapping, source, &|_| ())?;
    let latest = purchases.last().map_or(Timestamp::ZERO, |purchase| purchase.at);
    let period = Period { from, until: until.unwrap_or(latest.plus_millis(1)) };
    let named: FxHashSet<String> = purchases.iter().filter_map(|one| one.activity.purchase.clone()).collect();
    let mut members = Numbers::default();
    let mut ran = run(programs, period, watch, |feed| {
        for purchase in purchases {
            if let Err(problem) = check(&programs.live, &purchase.activity) {
                problems.push(RowProblem { row: purchase.row, code: "invalid_row".to_owned(), reason: problem });
                continue;
            }
            let key = Some(purchase.key()).filter(|key| named.contains(key));
            let what = Happened::Activity { activity: Box::new(purchase.activity), key };
            if !feed.push(Entry { member: members.id(purchase.member), at: purchase.at, what }) {
                break;
            }
        }
        Ok(())
    })?;
    if let Ran::Done(done) = &mut ran {
        done.problems = problems;
        for affected in &mut done.comparison.most_affected {
            affected.number = members.number(affected.member);
        }
    }
    Ok(ran)
}

fn check(program: &Program, activity: &guerdon_core::earning::Activity) -> Result<(), String> {
    activity.validate(&program.settings.money).map_err(|(field, problem)| format!("`{field}`: {problem}"))
}

/// The members of a file, by their numbers.
#[derive(Default)]
struct Numbers {
    ids: FxHashMap<String, MemberId>,
}

impl Numbers {
    fn id(&mut self, number: String) -> MemberId {
        let next = MemberId(i64::try_from(self.ids.len()).unwrap_or(i64::MAX).saturating_add(1));
        *self.ids.entry(number).or_insert(next)
    }

    fn number(&self, member: MemberId) -> Option<String> {
        self.ids.iter().find(|(_, id)| **id == member).map(|(number, _)| number.clone())
    }
}
