//! Joins a group: a place first, then its order, under a key of that place.

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Receipt, Refusal, RefusalCode, Tendering};
use guerdon_core::redemption::Funds;
use guerdon_core::rewards::Place;
use guerdon_store::{CommandError, Record, RecordChange, StoreError};

use super::{
    CODE_BYTES, Group, GroupPlace, KEPT_MS, KIND, PLACE_BYTES, Stage, accounts_of, change, given_back, over, read,
    unknown, waits_until, worker,
};
use crate::AppState;
use crate::order_choice::{self, Chosen, Said};
use crate::payments;
use crate::problem::Problem;
use crate::scarcity::{self, Entry};

const HOUR_MS: i64 = 3_600_000;

/// Who joins, and how.
pub struct Joiner<'a> {
    /// Who.
    pub member: MemberId,
    /// Where.
    pub place: Place,
    /// Over which channel.
    pub channel: &'a str,
    /// In whose name.
    pub actor: Option<String>,
    /// What the member chooses of the reward: each their own.
    pub said: Said,
    /// How a part of it is paid in money; `None`: in points alone.
    pub tendering: Option<Tendering>,
}

/// Opens a group for a reward and takes the first place in it. The same key opens it once. Answers its code.
pub async fn open(
    state: &AppState,
    joiner: Joiner<'_>,
    reward_id: &str,
    key: &str,
) -> Result<(String, Group), Problem> {
    let digest = state.keys().digest("group", format!("{}|{reward_id}|{key}", joiner.member).as_bytes());
    let text: String = digest.iter().take(CODE_BYTES + PLACE_BYTES).map(|byte| format!("{byte:02x}")).collect();
    // The place follows from the key as well: asked again, it is the same order, whatever became of it.
    let (code, place) = text.split_at(CODE_BYTES * 2);
    let code = code.to_owned();
    if read(state, &code).await?.is_none() {
        let (program, now) = (state.program(), state.engine.now());
        let reward = program.reward_at(reward_id, now).ok_or_else(|| {
            let shown: String = reward_id.chars().take(64).collect();
            Problem::from(Refusal::new(RefusalCode::UnknownReward, format!("there is no reward `{shown}`")))
        })?;
        let price = reward.price.group.as_ref().ok_or_else(|| {
            let problem = format!("reward `{reward_id}` has no price for groups");
            Problem::from(Refusal::new(RefusalCode::RewardNotOffered, problem))
        })?;
        let open_ms = price.hours.saturating_mul(HOUR_MS);
        let group = Group {
            reward_id: reward_id.to_owned(),
            size: usize::try_from(price.members).unwrap_or_default(),
            percent: price.percent,
            ends_at: now.plus_millis(open_ms),
            stage: Stage::Open,
            opener: joiner.member,
            places: Vec::new(),
        };
        let kept = state.clock().plus_millis(open_ms.saturating_add(KEPT_MS));
        let record = Record::new(KIND, &code, &waits_until(state, &group), &group)?.until(kept);
        match state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await {
            // The same request came twice at once.
            Ok(()) | Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let member = joiner.member;
    match take_place(state, joiner, &code, Some(place)).await {
        Ok(group) => Ok((code, group)),
        Err(problem) => {
            forget(state, &code, member).await?;
            Err(problem)
        }
    }
}

/// Deletes a group in which its opener did not get a place.
async fn forget(state: &AppState, code: &str, opener: MemberId) -> Result<(), Problem> {
    let Some((record, group)) = read(state, code).await? else { return Ok(()) };
    if group.opener != opener || !group.places.is_empty() {
        return Ok(());
    }
    match state.engine.write_records(vec![RecordChange::Delete(record)], Vec::new()).await {
        Ok(()) | Err(CommandError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Joins a group: takes a place and orders. Who is in it already stays so, with what they have chosen.
pub async fn join(state: &AppState, joiner: Joiner<'_>, code: &str) -> Result<Group, Problem> {
    take_place(state, joiner, code, None).await
}

/// The same. `opened`: the place of whoever opens the group by a key.
async fn take_place(state: &AppState, joiner: Joiner<'_>, code: &str, opened: Option<&str>) -> Result<Group, Problem> {
    let Joiner { member, place, channel, actor, said, tendering } = joiner;
    place.validate().map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
    let (_, group) = read(state, code).await?.ok_or_else(unknown)?;
    let accounts = accounts_of(state, member).await?;
    // Looked up and sealed before it is kept, and kept with the place: whoever makes the order, and however late, makes the one
    // that was asked for.
    let asked = serde_json::to_vec(&(&said, &tendering, &place)).unwrap_or_default();
    let asked = state.keys().digest("group place", &asked);
    let name = opened.map_or_else(|| format!("{:08x}", rand::random::<u32>()), str::to_owned);
    let chosen = order_choice::prepare(state, (member, &group.reward_id), said).await?;
    let new = |chosen: Chosen| GroupPlace {
        member,
        place: name.clone(),
        asked: Some(asked),
        at: place.clone(),
        channel: channel.to_owned(),
        actor: actor.clone(),
        chosen: Some(chosen),
        tendering,
        order: None,
        unpaid: false,
        since: state.clock(),
        leaving: false,
        told: false,
    };
    let group = change(state, code, |mut group| {
        if let Some(place) = group.place_of(&accounts) {
            let is_another = opened == Some(&place.place) && place.asked.is_some_and(|before| before != asked);
            return match (place.leaving, is_another) {
                (true, _) => Err(over("you are leaving this group; join again in a moment")),
                (false, true) => Err(opened_otherwise()),
                (false, false) => Ok(None),
            };
        }
        if group.stage != Stage::Open || state.engine.now() >= group.ends_at {
            return Err(over("the group is over; open one of your own"));
        }
        if group.places.len() >= group.size {
            return Err(over("the group is full; open one of your own"));
        }
        group.places.push(new(chosen.clone()?));
        Ok(Some(group))
    })
    .await?;
    if group.order_of(&accounts).is_some() {
        return Ok(group);
    }
    order(state, code, &group, &accounts).await
}

/// Makes the order of a place that has none yet, or finds the one that was made. What is refused frees the place.
pub(super) async fn order(
    state: &AppState,
    code: &str,
    group: &Group,
    accounts: &[MemberId],
) -> Result<Group, Problem> {
    let place = group.place_of(accounts).ok_or_else(unknown)?;
    let command = match command_of(state, code, group, place).await {
        // Nobody can make an order of it.
        Err(problem) if problem.status < 500 => {
            free(state, code, &place.place).await?;
            return Err(problem);
        }
        command => command?,
    };
    match scarcity::submit(state, command, Entry::Own).await {
        Ok(reply) => {
            let receipt: Receipt = serde_json::from_str(&reply.receipt)
                .map_err(|error| Problem::from(CommandError::Unavailable(error.to_string())))?;
            let made = receipt.order.map(|order| order.id);
            let unpaid = match made.filter(|_| place.tendering.is_some()) {
                Some(order) => match is_unpaid(state, order).await {
                    // Its order is over, and its points are back.
                    Err(problem) if problem.status < 500 => {
                        free(state, code, &place.place).await?;
                        return Err(problem);
                    }
                    unpaid => unpaid?,
                },
                None => false,
            };
            let group = change(state, code, |mut group| {
                let own = group.places.iter_mut().find(|known| known.place == place.place);
                let Some(own) = own.filter(|own| own.order.is_none()) else { return Ok(None) };
                // The order has it from now on, and goes with its member when they are erased.
                (own.order, own.chosen, own.unpaid) = (made, None, unpaid);
                group.settle_stage();
                Ok(Some(group))
            })
            .await?;
            if let Some(made) = made
                && is_given_back(state, made).await?
            {
                given_back(state, made).await?;
                return Err(over("your order in this group was given back; open or join another"));
            }
            if group.stage == Stage::Full {
                // Whatever does not come to its end here, the worker sees to.
                if let Err(problem) = worker::tell(state, code, &group).await {
                    tracing::warn!(problem.detail, "a full group waits for the worker");
                }
            }
            Ok(group)
        }
        Err(CommandError::Refused(refusal)) => {
            free(state, code, &place.place).await?;
            Err(refusal.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn opened_otherwise() -> Problem {
    let problem = "this idempotency key has opened a group with another choice or payment; use a new key";
    Refusal::new(RefusalCode::IdempotencyMismatch, problem).into()
}

/// Whether an order was given back, before its place could name it.
async fn is_given_back(state: &AppState, order: OrderId) -> Result<bool, StoreError> {
    let order = state.reader.order(order).await?;
    Ok(order.is_some_and(|order| order.state.funds() == Funds::Returned))
}

/// Frees a place that has no order.
async fn free(state: &AppState, code: &str, place: &str) -> Result<(), Problem> {
    let frees = |mut group: Group| {
        let before = group.places.len();
        group.places.retain(|known| known.place != place || known.order.is_some());
        Ok((group.places.len() != before).then_some(group))
    };
    change(state, code, frees).await.map(drop)
}

/// Sees to the money of an order that was just made, while its member waits. Answers whether it is not confirmed yet; an error
/// says that it was declined.
async fn is_unpaid(state: &AppState, order: OrderId) -> Result<bool, Problem> {
    payments::see_to(state, order).await?;
    let order = state.reader.order(order).await?;
    let payment = order.and_then(|order| order.details.particulars.payment);
    Ok(payment.is_some_and(|payment| !payment.lets_fulfil()))
}

/// The order of a place, as its member asked for it.
pub(super) async fn command_of(
    state: &AppState,
    code: &str,
    group: &Group,
    place: &GroupPlace,
) -> Result<Command, Problem> {
    let (member, now) = (place.member, state.engine.now());
    let figures = match state.program().reward_at(&group.reward_id, now) {
        Some(reward) => state.demand.figures(&state.reader, reward, now).await?,
        None => None,
    };
    let terms = (group.terms(code), place.place.as_str());
    let command = Command::join_group(member, now, &group.reward_id, terms, figures);
    let command = match place.chosen.clone() {
        Some(chosen) => chosen.of(command)?,
        // Of a place that was taken before members could choose: it goes to where the member has things sent.
        None => order_choice::choose(state, command, (member, &group.reward_id), Said::default()).await?,
    };
    let command = command.paid_by(place.tendering).in_place(place.at.clone())?.from_channel(&place.channel);
    Ok(match &place.actor {
        Some(actor) => command.by(actor.clone()),
        None => command,
    })
}
