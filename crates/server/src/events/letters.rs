//! Messages to members that events ask for: written by a template of the program, sent where the member has agreed.
//!
//! What becomes of each is on record. It is marked before it is handed over and again afterwards, so that none is sent
//! twice; one that was on its way when the process died is put down as doubtful, and left so.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::time::Duration;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::Event;
use guerdon_core::ledger::AccountStatus;
use guerdon_core::members::Profile;
use guerdon_core::program::{Program, Template};
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoreError, StoredEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
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
/// How often is looked for letters.
const EVERY: Duration = Duration::from_millis(500);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The lease of the node that sends them.
const LEASE: &str = "job letters";
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

async fn in_stage(state: &AppState, stage: Stage) -> Result<Vec<Record>, StoreError> {
    let subject = Some(stage.name().to_owned());
    let query = RecordQuery { kind: LETTER.to_owned(), subject, after: None, limit: ROUND };
    state.reader.records(&query, state.clock()).await
}

/// Sends letters until `stop` says true: beside what else events lead to, so that a mail server that is slow keeps neither
/// tasks nor money waiting.
pub async fn letter_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match round(&state).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => EVERY,
            Err(problem) => {
                tracing::warn!(problem.detail, "letters could not be sent; trying again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Sends what waits, and puts down what is doubtful. One letter that goes wrong holds up no other. True: there may be more;
/// an error: some wait on.
async fn round(state: &AppState) -> Result<bool, Problem> {
    let (on_their_way, waiting) = (in_stage(state, Stage::Sending).await?, in_stage(state, Stage::Waiting).await?);
    let some = !on_their_way.is_empty() || !waiting.is_empty();
    // Few ask the writer for its lease when nothing waits.
    if !some || !state.engine.run(|store| store.lease(LEASE)).await? {
        return Ok(false);
    }
    let mut trouble = Ok(());
    for record in on_their_way {
        trouble = trouble.and(doubt(state, record).await);
    }
    let more = waiting.len() as i64 == ROUND;
    let (mut sending, mut known) = (JoinSet::new(), HashMap::new());
    for record in waiting {
        let (state, own) = (state.clone(), record.clone());
        known.insert(sending.spawn(async move { send(&state, own).await }).id(), record);
    }
    while let Some(ended) = sending.join_next_with_id().await {
        trouble = trouble.and(match ended {
            Ok((_, sent)) => sent,
            // It panicked: the same would come of it again.
            Err(error) => match known.remove(&error.id()) {
                Some(record) => give_up(state, record, &error).await,
                None => Ok(()),
            },
        });
    }
    trouble.map(|()| more).map_err(Problem::from)
}

/// Puts a letter down as doubtful that has been on its way for too long.
async fn doubt(state: &AppState, record: Record) -> Result<(), CommandError> {
    match record.read::<Letter>() {
        Ok(letter) if letter.at.plus_millis(DOUBTFUL_MS) < state.clock() => {
            noted(write(state, record, letter, Stage::Doubtful).await)
        }
        Ok(_) => Ok(()),
        Err(error) => give_up(state, record, &error).await,
    }
}

/// Writes where a letter stands. A conflict means that another node is at it.
async fn write(state: &AppState, record: Record, mut letter: Letter, stage: Stage) -> Result<Record, CommandError> {
    (letter.stage, letter.at) = (stage, state.clock());
    let record = record.with(&letter).map_err(|error| CommandError::Unavailable(error.to_string()))?;
    put(state, record, stage).await
}

async fn put(state: &AppState, mut record: Record, stage: Stage) -> Result<Record, CommandError> {
    stage.name().clone_into(&mut record.subject);
    let ended = !matches!(stage, Stage::Waiting | Stage::Sending);
    record.expires_at = ended.then(|| state.clock().plus_millis(KEPT_MS));
    state.engine.write_records(vec![RecordChange::Put(record.clone())], Vec::new()).await?;
    Ok(Record { version: record.version + 1, ..record })
}

/// Puts a letter down as failed that cannot be sent, now or later, so that it takes nobody's place in the rounds to come.
async fn give_up(state: &AppState, record: Record, error: &(dyn Display + Sync)) -> Result<(), CommandError> {
    tracing::error!(%error, letter = record.id, "a letter cannot be sent; it is put down as failed");
    count("failed");
    match record.read::<Letter>() {
        Ok(letter) => noted(write(state, record, letter, Stage::Failed).await),
        Err(_) => noted(put(state, record, Stage::Failed).await),
    }
}

/// Another node that was faster is no trouble.
fn noted(written: Result<Record, CommandError>) -> Result<(), CommandError> {
    match written {
        Ok(_) | Err(CommandError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("guerdon_letters_total", "outcome" => outcome).increment(1);
}

async fn send(state: &AppState, record: Record) -> Result<(), CommandError> {
    let letter: Letter = match record.read() {
        Ok(letter) => letter,
        Err(error) => return give_up(state, record, &error).await,
    };
    let message = match compose(state, &letter).await {
        Ok(Ok(message)) => message,
        Ok(Err(stage)) => return noted(write(state, record, letter, stage).await),
        // The store is away for a moment: the letter waits.
        Err(error @ (StoreError::Unavailable(_) | StoreError::Disconnected(_))) => {
            return Err(CommandError::Unavailable(error.to_string()));
        }
        Err(error) => return give_up(state, record, &error).await,
    };
    let record = match write(state, record, letter.clone(), Stage::Sending).await {
        Ok(record) => record,
        Err(error) => return noted(Err(error)),
    };
    let sent = state.post.deliver(message).await;
    count(if sent { "sent" } else { "failed" });
    noted(write(state, record, letter, if sent { Stage::Sent } else { Stage::Failed }).await)
}

/// The message as it is sent, or why it cannot be.
async fn compose(state: &AppState, letter: &Letter) -> Result<Result<Message, Stage>, StoreError> {
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use guerdon_core::kernel::Command;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};

    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::{Post, Sender, Sending};

    /// Takes a moment for each, and remembers what it has sent.
    #[derive(Default)]
    struct Slow(Mutex<Vec<&'static str>>);

    impl Sender for Slow {
        fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                self.0.lock().unwrap().push(message.kind);
                Ok(())
            })
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_letter_that_cannot_be_sent_holds_up_no_other() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let sender = Arc::new(Slow::default());
        let state = state(&scratch, keyring, Post::new(Some(sender.clone()), None));
        let mut changes = Vec::new();
        let ann = state.engine.new_member_id();
        let profile = Profile { email: Some("ann@example.org".to_owned()), ..Profile::default() };
        let enrol = Command::enrol(&state.keys(), rand::random(), ann, "enrol", state.engine.now(), &profile);
        state.engine.submit_one(enrol.unwrap()).await.unwrap();
        let letter = Letter {
            member_id: ann,
            template: ORDER_GIVEN_BACK.to_owned(),
            values: BTreeMap::new(),
            stage: Stage::Waiting,
            at: state.clock(),
        };
        let waits = Stage::Waiting.name();
        for id in ["a", "c"] {
            changes.push(RecordChange::Put(Record::new(LETTER, id, waits, &letter).unwrap()));
        }
        changes.push(RecordChange::Put(Record::new(LETTER, "b", waits, &"no letter").unwrap()));
        let lost = Stage::Sending.name();
        changes.push(RecordChange::Put(Record::new(LETTER, "d", lost, &"no letter").unwrap()));
        let old = Letter { stage: Stage::Sending, at: state.clock().plus_millis(-DOUBTFUL_MS - 1), ..letter };
        changes.push(RecordChange::Put(Record::new(LETTER, "e", lost, &old).unwrap()));
        state.engine.write_records(changes, Vec::new()).await.unwrap();

        assert!(!round(&state).await.unwrap());
        let query = RecordQuery { kind: LETTER.to_owned(), limit: 10, ..RecordQuery::default() };
        let stages: Vec<(String, String)> = state
            .reader
            .records(&query, state.clock())
            .await
            .unwrap()
            .into_iter()
            .map(|record| (record.id, record.subject))
            .collect();
        let expected = [("a", "sent"), ("b", "failed"), ("c", "sent"), ("d", "failed"), ("e", "doubtful")];
        assert_eq!(stages, expected.map(|(id, stage)| (id.to_owned(), stage.to_owned())));
        assert_eq!(sender.0.lock().unwrap().len(), 2);
    }
}
