//! Messages to members that events ask for: written by a template of the program, sent where the member has agreed.
//!
//! What becomes of each is on record. It is marked before it is handed over and again afterwards, so that none is sent
//! twice; one that was on its way when the process died is put down as doubtful, and left so.

use std::collections::BTreeMap;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::Event;
use guerdon_core::ledger::AccountStatus;
use guerdon_core::members::Profile;
use guerdon_core::program::{Program, Template};
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange, RecordQuery, StoredEvent};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::AppState;
use crate::language::Language;
use crate::messages::{Address, Channel, Message, Notice};
use crate::privacy::consent;
use crate::problem::Problem;

/// The kind of the records. The id is that of the event, the subject the state.
const LETTER: &str = "letter";
/// The purpose that a member must have agreed to.
pub const PURPOSE: &str = "marketing";
/// The template of what a member is told of an order that was given back. It is no advertisement: it asks for no consent, and
/// is sent in the server's own words where the program has none.
pub(super) const ORDER_GIVEN_BACK: &str = "order_given_back";
/// Letters of one round.
const ROUND: i64 = 50;
/// How long what became of a letter is kept, in milliseconds (90 days).
const KEPT_MS: i64 = 90 * 86_400_000;
/// A letter that is on its way for longer was on its way when its process died, in milliseconds (10 minutes).
const DOUBTFUL_MS: i64 = 600_000;

/// Where a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// To be sent.
    Waiting,
    /// Handed over.
    Sending,
    /// The mail server or the gateway has taken it.
    Sent,
    /// The member has not agreed.
    NotAgreed,
    /// No address that this server can write to.
    NoAddress,
    /// The program has no such template any more.
    NoTemplate,
    /// The member's account is closed or erased.
    MemberGone,
    /// The mail server or the gateway did not take it.
    Failed,
    /// The process ended while it was on its way: it may have arrived.
    Doubtful,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::NotAgreed => "not_agreed",
            Self::NoAddress => "no_address",
            Self::NoTemplate => "no_template",
            Self::MemberGone => "member_gone",
            Self::Failed => "failed",
            Self::Doubtful => "doubtful",
        }
    }
}

/// A message on its way to a member. Its text is made when it is sent, so that nothing personal lies here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Letter {
    member_id: MemberId,
    template: String,
    /// What fills places of the template, beside the names.
    values: BTreeMap<String, String>,
    stage: Stage,
    at: Timestamp,
}

/// The letter of an event.
pub(super) fn of(state: &AppState, stored: &StoredEvent, template: &str) -> Result<Record, Problem> {
    let mut values = BTreeMap::new();
    match &stored.event {
        Event::PointsExpiring { points, expires_at, .. } => {
            values.insert("points".to_owned(), points.to_string());
            values.insert("date".to_owned(), state.program().calendar.last_day_before(*expires_at));
        }
        Event::OrderGivenBack { reward, points, reason, .. } => {
            values.insert("reward".to_owned(), reward.clone());
            values.insert("points".to_owned(), points.to_string());
            values.insert("reason".to_owned(), reason.clone());
        }
        Event::TierAtRisk { tier, .. } => drop(values.insert("tier".to_owned(), tier.clone())),
        Event::TierChanged { to: Some(to), .. } => drop(values.insert("tier".to_owned(), to.clone())),
        _ => {}
    }
    let (stage, at) = (Stage::Waiting, stored.at);
    let letter = Letter { member_id: stored.member_id, template: template.to_owned(), values, stage, at };
    Ok(Record::new(LETTER, &stored.id(), stage.name(), &letter)?)
}

/// The letter of an event, where the program has a template for it.
pub(super) fn of_known(state: &AppState, stored: &StoredEvent, template: &str) -> Result<Option<Record>, Problem> {
    let known = state.program().template(template).is_some();
    if known { of(state, stored, template).map(Some) } else { Ok(None) }
}

async fn in_stage(state: &AppState, stage: Stage) -> Result<Vec<Record>, Problem> {
    let subject = Some(stage.name().to_owned());
    let query = RecordQuery { kind: LETTER.to_owned(), subject, after: None, limit: ROUND };
    Ok(state.reader.records(&query, state.clock()).await?)
}

/// Sends what waits, and puts down what is doubtful.
pub(super) async fn send_waiting(state: &AppState) -> Result<(), Problem> {
    let now = state.clock();
    for record in in_stage(state, Stage::Sending).await? {
        let letter: Letter = record.read()?;
        if letter.at.plus_millis(DOUBTFUL_MS) < now {
            write(state, record, letter, Stage::Doubtful).await?;
        }
    }
    let mut on_their_way = JoinSet::new();
    for record in in_stage(state, Stage::Waiting).await? {
        let state = state.clone();
        on_their_way.spawn(async move { send(&state, record).await });
    }
    while let Some(sent) = on_their_way.join_next().await {
        sent.map_err(|error| {
            Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "internal_error", error.to_string())
        })??;
    }
    Ok(())
}

/// Writes where a letter stands. A conflict means that another node is at it.
async fn write(state: &AppState, mut record: Record, mut letter: Letter, stage: Stage) -> Result<Record, Problem> {
    (letter.stage, letter.at) = (stage, state.clock());
    stage.name().clone_into(&mut record.subject);
    let ended = !matches!(stage, Stage::Waiting | Stage::Sending);
    record.expires_at = ended.then(|| letter.at.plus_millis(KEPT_MS));
    let record = record.with(&letter)?;
    state.engine.write_records(vec![RecordChange::Put(record.clone())], Vec::new()).await?;
    Ok(Record { version: record.version + 1, ..record })
}

async fn send(state: &AppState, record: Record) -> Result<(), Problem> {
    let letter: Letter = record.read()?;
    let message = match compose(state, &letter).await? {
        Ok(message) => message,
        Err(stage) => return write(state, record, letter, stage).await.map(drop),
    };
    let record = write(state, record, letter.clone(), Stage::Sending).await?;
    let sent = state.post.deliver(message).await;
    metrics::counter!("guerdon_letters_total", "outcome" => if sent { "sent" } else { "failed" }).increment(1);
    write(state, record, letter, if sent { Stage::Sent } else { Stage::Failed }).await.map(drop)
}

/// The message as it is sent, or why it cannot be.
async fn compose(state: &AppState, letter: &Letter) -> Result<Result<Message, Stage>, Problem> {
    let Some((member, account)) = state.reader.resolve(letter.member_id).await? else {
        return Ok(Err(Stage::MemberGone));
    };
    let row = state.reader.member(member).await?;
    let profile = row.as_ref().map(|row| state.profile(row)).transpose()?.flatten();
    let Some(profile) = profile.filter(|_| account.status == AccountStatus::Active) else {
        return Ok(Err(Stage::MemberGone));
    };
    let is_service = letter.template == ORDER_GIVEN_BACK;
    if !is_service && !consent::allows(state, member, PURPOSE).await? {
        return Ok(Err(Stage::NotAgreed));
    }
    let Some(to) = address(state, &profile) else { return Ok(Err(Stage::NoAddress)) };
    let program = state.program();
    let language = profile.language.as_deref().and_then(Language::from_tag).unwrap_or(Language::English);
    let tag = language.tag();
    let Some(template) = program.template(&letter.template) else {
        let own = is_service.then(|| given_back(&program, letter, language, to)).flatten();
        return Ok(own.ok_or(Stage::NoTemplate));
    };
    let known = |place: &str| match place {
        "program" => Some(program.settings.name.get(tag).to_owned()),
        "name" => profile.name.clone(),
        "reward" => letter.values.get(place).map(|id| reward_name(&program, id, language)),
        "reason" => letter.values.get(place).map(|reason| said_reason(reason, language)),
        place => letter.values.get(place).cloned(),
    };
    let filled = |text: &str| Template::filled(text, known);
    let (subject, text) = (filled(template.subject.get(tag)), filled(template.text.get(tag)));
    Ok(Ok(Message { kind: "letter", to, subject, text, html: None }))
}

/// What is said of an order that was given back, where the program has no words of its own.
fn given_back(program: &Program, letter: &Letter, language: Language, to: Address) -> Option<Message> {
    let value = |name: &str| letter.values.get(name).cloned().unwrap_or_default();
    let (reward, reason) = (reward_name(program, &value("reward"), language), said_reason(&value("reason"), language));
    let notice = Notice::OrderGivenBack { reward: &reward, points: &value("points"), reason: &reason };
    notice.compose(language, program.settings.name.get(language.tag()), to).ok()
}

fn reward_name(program: &Program, id: &str, language: Language) -> String {
    program.reward(id).map_or(id, |reward| reward.name.get(language.tag())).to_owned()
}

/// A reason in words: those that the program itself gives are codes.
fn said_reason(reason: &str, language: Language) -> String {
    language.say_if_known(&format!("order-reason-{reason}")).unwrap_or_else(|| reason.to_owned())
}

/// Where the member can be written to: by mail, else by text message.
fn address(state: &AppState, profile: &Profile) -> Option<Address> {
    let email = profile.email.as_deref().and_then(|email| Address::email(email).ok());
    let phone = profile.phone.as_deref().and_then(|phone| Address::phone(phone).ok());
    let takes = |channel| state.post.takes(channel);
    email.filter(|_| takes(Channel::Email)).or_else(|| phone.filter(|_| takes(Channel::Phone)))
}
