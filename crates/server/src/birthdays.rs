//! Records the activity `birthday` for members on their day, by the calendar of the program.
//!
//! Profiles lie sealed, so nothing can look for a date: one node opens them page by page, once a day and not too fast, and
//! only where a rule asks for birthdays. It remembers how far it has come. After an outage it goes through the days that
//! were missed as well, and each birthday is recorded once, under `birthday:YEAR`. Members who join later in the day follow
//! behind, for their ids are higher.

use std::time::Duration;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::Command;
use guerdon_core::ledger::AccountStatus;
use guerdon_core::members::has_birthday;
use guerdon_core::program::Program;
use guerdon_core::time::Day;
use guerdon_store::read::MemberRow;
use guerdon_store::{CommandError, Record, RecordChange, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::AppState;
use crate::problem::Problem;

/// Members of one page, and the pause behind each: 2,500 profiles a second at the most.
const PAGE: i64 = 500;
const PAUSE: Duration = Duration::from_millis(200);
/// How often is looked whether a new day has begun or somebody has joined.
const EVERY: Duration = Duration::from_secs(10);
/// Days that are caught up with after an outage; a birthday longer ago is no occasion any more.
const MISSED_DAYS: i32 = 31;
/// The lease of the node that does it, the kind of activity, and where its progress stands.
const LEASE: &str = "job birthdays";
const KIND: &str = "birthday";
const PROGRESS: (&str, &str) = ("birthdays", "progress");

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The days that are gone through, in days since 1970-01-01.
    from: i32,
    until: i32,
    /// The last member who was looked at.
    after: Option<MemberId>,
    /// Whether all were.
    complete: bool,
}

impl Progress {
    /// The same, or the next pass when a day has begun.
    fn on(self, today: Day) -> Self {
        if self.until >= today.0 {
            return self;
        }
        let from = if self.complete { self.until + 1 } else { self.from };
        Self { from: from.max(today.0 - MISSED_DAYS), until: today.0, after: None, complete: false }
    }

    fn begin(today: Day) -> Self {
        Self { from: today.0, until: today.0, after: None, complete: false }
    }
}

/// Records birthdays until `stop` says true.
pub async fn birthday_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match page(&state).await {
            Ok(true) => PAUSE,
            Ok(false) => EVERY,
            Err(problem) => {
                tracing::warn!(problem.detail, "birthdays could not be recorded; trying again");
                EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Looks at the next members. True: there are more.
async fn page(state: &AppState) -> Result<bool, Problem> {
    let program = state.program();
    if !program.asks_for(KIND) || !state.engine.run(|store| store.lease(LEASE)).await? {
        return Ok(false);
    }
    let today = program.calendar.day_of(state.engine.now());
    let (kind, id) = PROGRESS;
    let record = state.reader.record(kind, id, state.clock()).await?;
    let before: Option<Progress> = record.as_ref().map(Record::read).transpose()?;
    let progress = before.clone().map_or_else(|| Progress::begin(today), |progress| progress.on(today));
    let rows = state.reader.members(progress.after, PAGE).await?;
    let mut commands = Vec::new();
    for row in &rows {
        commands.extend(birthday_of(state, &program, row, &progress)?);
    }
    record_all(state, commands).await?;
    let more = rows.len() as i64 == PAGE;
    let after = rows.last().map(|row| row.id).or(progress.after);
    let progress = Progress { after, complete: progress.complete || !more, ..progress };
    if before.as_ref() != Some(&progress) {
        let record = match record {
            Some(record) => record.with(&progress)?,
            None => Record::new(kind, id, "", &progress)?,
        };
        state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    }
    Ok(more)
}

/// The birthday of a member among the days that are gone through. Who was erased or is closed has none, and who joined
/// after it was no member then.
fn birthday_of(
    state: &AppState,
    program: &Program,
    row: &MemberRow,
    progress: &Progress,
) -> Result<Option<Command>, Problem> {
    if row.status != AccountStatus::Active {
        return Ok(None);
    }
    let profile = match state.profile(row) {
        Ok(Some(profile)) => profile,
        // The key service is away: nobody is passed over.
        Err(error @ StoreError::Unavailable(_)) => return Err(error.into()),
        // One that is damaged does not keep the others from their birthdays.
        Ok(None) | Err(_) => return Ok(None),
    };
    let Some(birth_date) = profile.birth_date else { return Ok(None) };
    let joined = program.calendar.day_of(row.enrolled_at).0;
    let mut days = (progress.from.max(joined)..=progress.until).rev().map(Day);
    let Some(day) = days.find(|day| has_birthday(&birth_date, *day)) else { return Ok(None) };
    let at = program.calendar.start_of(day).max(row.enrolled_at);
    Ok(Some(Command::birthday(program, row.id, day.date().year(), at)?))
}

async fn record_all(state: &AppState, commands: Vec<Command>) -> Result<(), Problem> {
    let mut recorded = 0;
    for outcome in state.engine.submit(commands).await {
        match outcome {
            Ok(reply) => recorded += u64::from(!reply.replayed),
            // Closed or merged meanwhile, or a cap that refuses: nothing that a later try would change.
            Err(CommandError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    metrics::counter!("guerdon_birthdays_total").increment(recorded);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_day_is_passed_over_and_none_too_long_ago_is_gone_through() {
        let progress = |from, until, after: Option<i64>, complete| {
            let after = after.map(MemberId);
            Progress { from, until, after, complete }
        };
        assert_eq!(Progress::begin(Day(100)), progress(100, 100, None, false));
        let done = progress(100, 100, Some(7), true);
        assert_eq!(done.clone().on(Day(100)), done, "who joins later in the day follows");
        assert_eq!(done.clone().on(Day(101)), progress(101, 101, None, false));
        assert_eq!(done.clone().on(Day(104)), progress(101, 104, None, false));
        // Cut off: those who were not looked at have missed the first day as well.
        assert_eq!(progress(100, 100, Some(7), false).on(Day(101)), progress(100, 101, None, false));
        assert_eq!(done.on(Day(200)), progress(169, 200, None, false));
    }
}
