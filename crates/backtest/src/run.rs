//! Feeds both sides the same entries, each on a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Result, anyhow};
use guerdon_core::backtest::{Comparison, Entry, Happened, Period, Side, compare};
use guerdon_import::RowProblem;
use serde::{Deserialize, Serialize};

use crate::Programs;

/// Entries that are handed over at once, and how many such parcels may wait for a side: what is read ahead is bounded.
const PARCEL: usize = 128;
const PARCELS_AHEAD: usize = 4;

/// What a backtest came to, and over what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backtest {
    /// Activities that were looked at.
    pub activities: u64,
    /// Their lines.
    pub lines: u64,
    /// Rows of the file that could not be read, or whose activities are none; there, `activities` does not count them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<RowProblem>,
    /// The two sides beside each other.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// How a run ended.
pub enum Ran {
    /// With a result.
    Done(Box<Backtest>),
    /// It was asked to stop.
    Stopped,
}

/// Where entries go.
pub struct Feed<'w> {
    sides: [SyncSender<Arc<Vec<Entry>>>; 2],
    parcel: Vec<Entry>,
    watch: &'w dyn Fn(u64) -> bool,
    activities: u64,
    lines: u64,
    stopped: bool,
}

impl Feed<'_> {
    /// Hands over the next entry. False: there is no use in more, because the run was stopped.
    pub fn push(&mut self, entry: Entry) -> bool {
        if let Happened::Activity { activity, .. } = &entry.what {
            self.activities += 1;
            self.lines += activity.lines.len() as u64;
        }
        self.parcel.push(entry);
        if self.parcel.len() >= PARCEL { self.send() } else { !self.stopped }
    }

    fn send(&mut self) -> bool {
        let parcel = Arc::new(std::mem::replace(&mut self.parcel, Vec::with_capacity(PARCEL)));
        let sent = self.sides.iter().all(|side| side.send(Arc::clone(&parcel)).is_ok());
        self.stopped |= !sent || !(self.watch)(self.activities);
        !self.stopped
    }
}

/// Runs a backtest. `feed` hands over the entries; `watch` hears how many activities were handed over, and says whether to
/// go on.
///
/// Memory holds the accounts of both sides, and of the entries no more than are on their way.
pub fn run(
    programs: &Programs,
    period: Period,
    watch: &dyn Fn(u64) -> bool,
    feed: impl FnOnce(&mut Feed<'_>) -> Result<()>,
) -> Result<Ran> {
    let (live, draft) = (&programs.live, &programs.draft);
    thread::scope(|scope| {
        let (to_live, of_live) = sync_channel(PARCELS_AHEAD);
        let (to_draft, of_draft) = sync_channel(PARCELS_AHEAD);
        let beside = scope.spawn(move || take(Side::new(live, live, period), &of_live));
        let tried = scope.spawn(move || take(Side::new(live, draft, period), &of_draft));
        let parcel = Vec::with_capacity(PARCEL);
        let mut feeding = Feed { sides: [to_live, to_draft], parcel, watch, activities: 0, lines: 0, stopped: false };
        let fed = feed(&mut feeding);
        feeding.send();
        let (activities, lines, stopped) = (feeding.activities, feeding.lines, feeding.stopped);
        // The sides go on until nobody can hand them anything.
        drop(feeding);
        let side = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().map_err(|_| anyhow!("a side panicked"));
        let (live, draft) = (side(beside)?, side(tried)?);
        fed?;
        if stopped {
            return Ok(Ran::Stopped);
        }
        let comparison = compare(live, draft, period);
        Ok(Ran::Done(Box::new(Backtest { activities, lines, problems: Vec::new(), comparison })))
    })
}

fn take<'p>(mut side: Side<'p>, parcels: &Receiver<Arc<Vec<Entry>>>) -> Side<'p> {
    for parcel in parcels {
        parcel.iter().for_each(|entry| side.step(entry));
    }
    side.finish();
    side
}
