//! Sees to groups: ends what is over, tells the orders how their group ended, and takes on what was cut off in between.

use std::time::Duration;

use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::redemption::Funds;
use guerdon_store::{CommandError, Record};
use tokio::sync::watch;

use super::joining::order;
use super::{CUT_OFF_MS, Group, KIND, LEFT, PAGE, Stage, change};
use crate::AppState;
use crate::acts::mover;
use crate::due;
use crate::problem::Problem;

/// How often is looked for groups.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// The lease of the node that does it.
const LEASE: &str = "job groups";
/// How long a group is left alone that could not be seen to, in milliseconds.
const PUT_OFF_MS: i64 = 10_000;
/// Why the orders of a group are given back that did not come together.
const NOT_FULL: &str = "group_not_full";

/// Sees to groups until `stop` says true.
pub async fn group_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match round(&state).await {
            Ok(()) => EVERY,
            Err(problem) => {
                tracing::warn!(problem.detail, "groups could not be seen to; trying again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Sees to all groups that are due.
pub(super) async fn round(state: &AppState) -> Result<(), Problem> {
    let mut last: Option<Record> = None;
    loop {
        let due = due::records(state, (KIND, state.engine.now()), last.as_ref(), PAGE).await?;
        // Few ask the writer for its lease when nothing waits.
        if due.is_empty() || !state.engine.run(|store| store.lease(LEASE)).await? {
            return Ok(());
        }
        let more = due.len() as i64 == PAGE;
        for record in &due {
            let Some(group) = due::read_or_set_aside(state, record).await else { continue };
            // One that cannot be seen to does not hold up the others.
            if let Err(problem) = see_to(state, &record.id, group).await {
                tracing::warn!(problem.detail, group = record.id, "a group could not be seen to; trying again");
                due::put_off(state, record, state.engine.now().plus_millis(PUT_OFF_MS)).await;
            }
        }
        last = due.into_iter().last().filter(|_| more);
        if last.is_none() {
            return Ok(());
        }
    }
}

/// The places whose order nobody has come back with.
fn cut_off<'a>(state: &AppState, group: &'a Group) -> impl Iterator<Item = &'a super::GroupPlace> {
    let before = state.clock().plus_millis(-CUT_OFF_MS);
    group.places.iter().filter(move |place| place.order.is_none() && place.since <= before)
}

async fn see_to(state: &AppState, code: &str, mut group: Group) -> Result<(), Problem> {
    let missing: Vec<_> = cut_off(state, &group).map(|place| place.member).collect();
    for member in missing {
        // Found where it was made, made where it was not, and the place is free where it is refused.
        if let Err(problem) = order(state, code, &group, &[member]).await {
            tracing::info!(problem.code, "a place in a group is free again");
        }
        group = change(state, code, |_| Ok(None)).await?;
    }
    if group.stage == Stage::Open {
        group = free(state, code, &group).await?;
    }
    if group.stage == Stage::Open && group.places.iter().any(|place| place.unpaid) {
        group = look_for_money(state, code, &group).await?;
    }
    if group.stage == Stage::Open && state.engine.now() >= group.ends_at {
        let ends = |mut group: Group| {
            // Who was about to join may have ordered in time.
            let settled = group.places.iter().all(|place| place.order.is_some() && !place.leaving);
            if group.stage != Stage::Open || !settled {
                return Ok(None);
            }
            group.settle_stage();
            if group.stage == Stage::Open {
                group.stage = Stage::NotFull;
            }
            Ok(Some(group))
        };
        group = change(state, code, ends).await?;
    }
    if group.stage != Stage::Open {
        tell(state, code, &group).await?;
    }
    Ok(())
}

/// Counts those in whose money is there by now, and frees the places of those whose money never came. As long as one is waited
/// for, the group is looked at again.
async fn look_for_money(state: &AppState, code: &str, group: &Group) -> Result<Group, Problem> {
    let (mut paid, mut over) = (Vec::new(), Vec::new());
    for id in group.places.iter().filter(|place| place.unpaid).filter_map(|place| place.order) {
        let order = state.reader.order(id).await?;
        let stands = order.filter(|order| order.state.funds() != Funds::Returned);
        match stands.and_then(|order| order.details.particulars.payment) {
            Some(payment) if payment.lets_fulfil() => paid.push(id),
            Some(_) => {}
            None => over.push(id),
        }
    }
    change(state, code, |mut group| {
        let among = |ids: &[OrderId], place: &super::GroupPlace| place.order.is_some_and(|id| ids.contains(&id));
        if group.stage == Stage::Open {
            group.places.retain(|place| !among(&over, place));
        }
        group.places.iter_mut().filter(|place| among(&paid, place)).for_each(|place| place.unpaid = false);
        group.settle_stage();
        // Written anew in any case: from the moment of writing it waits again.
        Ok(Some(group))
    })
    .await
}

/// Tells the orders of a group how it ended: those of one that is full go on, those of one that is not are given back.
pub(super) async fn tell(state: &AppState, code: &str, group: &Group) -> Result<(), Problem> {
    let mut told = Vec::new();
    for place in group.places.iter().filter(|place| !place.told) {
        let Some(id) = place.order else { continue };
        match group.stage {
            Stage::Full => fill(state, id).await?,
            Stage::NotFull => give_up(state, id).await?,
            Stage::Open => continue,
        }
        told.push(place.place.clone());
    }
    let all_told = |mut group: Group| {
        for place in group.places.iter_mut().filter(|place| told.contains(&place.place)) {
            place.told = true;
        }
        Ok(Some(group))
    };
    change(state, code, all_told).await.map(drop)
}

/// Gives back the orders of those who leave, and frees their places.
pub(super) async fn free(state: &AppState, code: &str, group: &Group) -> Result<Group, Problem> {
    let mut left = Vec::new();
    for place in group.places.iter().filter(|place| place.leaving) {
        if let Some(id) = place.order {
            give_back(state, id, LEFT).await?;
        }
        left.push(place.place.clone());
    }
    change(state, code, |mut group| {
        let before = group.places.len();
        group.places.retain(|place| !left.contains(&place.place));
        Ok((group.places.len() != before).then_some(group))
    })
    .await
}

async fn fill(state: &AppState, id: OrderId) -> Result<(), Problem> {
    let Some(order) = state.reader.order(id).await? else { return Ok(()) };
    let member = mover(state, &order).await?;
    done(state, Command::fill_group(member, state.engine.now(), &order)).await
}

async fn give_up(state: &AppState, id: OrderId) -> Result<(), Problem> {
    let Some(order) = state.reader.order(id).await? else { return Ok(()) };
    let member = mover(state, &order).await?;
    done(state, Command::give_up_group(member, state.engine.now(), &order, NOT_FULL)).await
}

/// Gives the order of who leaves back. `reason` is a code.
pub(super) async fn give_back(state: &AppState, id: OrderId, reason: &str) -> Result<(), Problem> {
    let Some(order) = state.reader.order(id).await? else { return Ok(()) };
    let member = mover(state, &order).await?;
    done(state, Command::leave_group(member, state.engine.now(), &order, reason)).await
}

/// An order that was rejected or has expired meanwhile stays so.
async fn done(state: &AppState, command: Command) -> Result<(), Problem> {
    match state.engine.submit_one(command).await {
        Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::IllegalOrderMove => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guerdon_core::id::MemberId;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_core::time::Timestamp;
    use guerdon_store::{RecordChange, RecordQuery};

    use super::super::{find, waits_until};
    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::Post;

    fn group(ends_at: Timestamp) -> Group {
        Group {
            reward_id: "mug".to_owned(),
            size: 3,
            percent: 80.into(),
            ends_at,
            stage: Stage::Open,
            opener: MemberId(1),
            places: Vec::new(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn groups_go_by_the_clock_of_the_program() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        state.engine.set_clock_offset(-86_400_000);
        let (code, group) = ("a".repeat(20), group(state.engine.now().plus_millis(3_600_000)));
        let record = Record::new(KIND, &code, &waits_until(&state, &group), &group).unwrap();
        state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.unwrap();
        round(&state).await.unwrap();
        assert_eq!(find(&state, &code).await.unwrap().unwrap().stage, Stage::Open);
        // Whoever sets it on has them end.
        state.engine.set_clock_offset(-80_000_000);
        round(&state).await.unwrap();
        assert_eq!(find(&state, &code).await.unwrap().unwrap().stage, Stage::NotFull);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn groups_end_by_their_time_whatever_lies_beside_them() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let now = state.engine.now();
        let (over, open) = ("a".repeat(20), "b".repeat(20));
        let (over_group, open_group) = (group(now.plus_millis(-1)), group(now.plus_millis(3_600_000)));
        let records = [
            Record::new(KIND, &"0".repeat(20), &due::subject(now.plus_millis(-10)), &"not a group").unwrap(),
            Record::new(KIND, &over, &waits_until(&state, &over_group), &over_group).unwrap(),
            Record::new(KIND, &open, &waits_until(&state, &open_group), &open_group).unwrap(),
        ];
        state.engine.write_records(records.map(RecordChange::Put).into(), Vec::new()).await.unwrap();
        let due = async || {
            let due = due::records(&state, (KIND, state.engine.now()), None, 10).await.unwrap();
            due.into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        assert_eq!(due().await, ["0".repeat(20), over.clone()], "what has time is not read");

        round(&state).await.unwrap();
        assert_eq!(find(&state, &over).await.unwrap().unwrap().stage, Stage::NotFull);
        assert_eq!(find(&state, &open).await.unwrap().unwrap().stage, Stage::Open);
        assert_eq!(due().await, Vec::<String>::new(), "what cannot be read does not come up again");
        let query = RecordQuery { kind: KIND.to_owned(), limit: 10, ..RecordQuery::default() };
        assert_eq!(state.reader.records(&query, state.clock()).await.unwrap().len(), 3, "nor is it lost");
    }
}
