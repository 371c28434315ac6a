//! Joining: who has proved an address that no member has, or is vouched for by an identity provider, gives a name and
//! becomes a member. Between the two steps the proof is a record that a cookie names; the form cannot change it.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Arrival, Command, Receipt};
use guerdon_core::limits;
use guerdon_core::members::Profile;
use guerdon_store::{CommandError, Record, RecordChange};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::sign_in::go;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, render};
use crate::identity::access::{Needs, Pages};
use crate::identity::actor::{Actor, Who};
use crate::identity::guard::cookie;
use crate::identity::member_session;
use crate::identity::session::set_cookie;
use crate::identity::sign_in::{Cookies, Visitor};
use crate::identity::sso::{self, member::Newcomer};
use crate::identity::token::{Token, TokenKind, random_bytes};
use crate::messages::Channel;
use crate::privacy::consent::{self, Purpose};
use crate::problem::Problem;

/// The kind of the records of proofs; the id is the digest of the cookie's token.
const PROOF: &str = "join";
const JOIN_COOKIE: &str = "guerdon_join";
/// How long a proof serves, in milliseconds.
const LIFE_MS: i64 = 30 * 60_000;
/// What the keyring seals the proof for.
const SEALED: &str = "join proof";

/// The pages of joining.
pub fn pages() -> Pages {
    Pages::default().get("/portal/join", Needs::Nothing, page).post("/portal/join", Needs::Nothing, join)
}

/// What somebody has proved.
#[derive(Serialize, Deserialize)]
pub enum Proven {
    /// An address, by a code.
    Address(Channel, String),
    /// Who they are, by an identity provider.
    By(Box<Newcomer>),
}

impl Proven {
    /// E-mail address and phone number, as far as they are proved.
    fn addresses(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Address(Channel::Email, email) => (Some(email.clone()), None),
            Self::Address(Channel::Phone, phone) => (None, Some(phone.clone())),
            Self::By(newcomer) => (newcomer.email.clone(), newcomer.phone.clone()),
        }
    }

    /// The sentence that says what was proved.
    fn why(&self, frame: &Frame, state: &AppState) -> String {
        match self {
            Self::Address(_, address) => frame.say_text("portal-join-why", "address", address),
            Self::By(by) => frame.say_text("portal-join-by", "provider", state.sso.member_provider(&by.provider)),
        }
    }

    fn method(&self) -> &'static str {
        match self {
            Self::Address(..) => "code",
            Self::By(_) => "sso",
        }
    }
}

/// A proof as it is stored.
#[derive(Serialize, Deserialize)]
struct Proof {
    /// JSON of [`Proven`], sealed.
    proven: String,
    next: String,
}

/// A proof that a browser's cookie names.
struct Proved {
    record: Record,
    proven: Proven,
    next: String,
}

/// Keeps what was proved.
pub async fn keep(state: &AppState, proven: &Proven, next: &str) -> Result<Cookies, CommandError> {
    let unusable = |problem: String| CommandError::Unavailable(problem);
    let token = Token::generate(TokenKind::OneTime);
    let plain = serde_json::to_vec(proven).map(Zeroizing::new).map_err(|error| unusable(error.to_string()))?;
    let sealed = state.keys().seal_secret(SEALED, &token.digest(), &plain, random_bytes());
    let proof = Proof { proven: sealed.map_err(|error| unusable(error.to_string()))?, next: next.to_owned() };
    let record = Record::new(PROOF, &token.digest(), "", &proof).map_err(|error| unusable(error.to_string()))?;
    let record = record.until(state.clock().plus_millis(LIFE_MS));
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    let life = Some(LIFE_MS / 1_000);
    Ok(Cookies::new(vec![set_cookie(JOIN_COOKIE, token.reveal(), state.people.https(), life)]))
}

async fn proved(frame: &Frame, state: &AppState, headers: &HeaderMap) -> Result<Option<Proved>, PortalError> {
    let token = cookie(headers, JOIN_COOKIE, state.people.https())
        .and_then(|text| Token::parse_as(TokenKind::OneTime, text).ok());
    let Some(token) = token else { return Ok(None) };
    let found = state.reader.record(PROOF, &token.digest(), state.clock()).await.or_trouble(frame)?;
    let Some(record) = found else { return Ok(None) };
    let proof: Proof = record.read().or_trouble(frame)?;
    let plain = state.keys().open_secret(SEALED, &record.id, &proof.proven).or_trouble(frame)?;
    let proven = serde_json::from_slice(&plain).or_trouble(frame)?;
    Ok(Some(Proved { record, proven, next: proof.next }))
}

/// A purpose with the box to tick.
struct Tick {
    /// Id and version: who ticks agrees to the text on the page and to no later one.
    value: String,
    name: String,
    text: String,
    ticked: bool,
}

#[derive(Template)]
#[template(path = "portal/join.html")]
struct JoinPage {
    frame: Frame,
    place: &'static str,
    why: String,
    name: String,
    birth_date: String,
    boxes: Vec<Tick>,
    trouble: Option<String>,
}

/// What the form holds.
#[derive(Default)]
struct Wishes {
    name: String,
    birth_date: String,
    /// Ids and versions of the purposes that were ticked.
    consents: Vec<String>,
}

impl Wishes {
    fn read(fields: Vec<(String, String)>) -> Self {
        let mut wishes = Self::default();
        for (field, value) in fields {
            match field.as_str() {
                "name" => value.trim().clone_into(&mut wishes.name),
                "birth_date" => value.trim().clone_into(&mut wishes.birth_date),
                "consent" => wishes.consents.push(value),
                _ => {}
            }
        }
        wishes
    }

    /// The purposes that were ticked. `None`: one of them has another text by now.
    fn agreed<'a>(&self, purposes: &'a [(String, Purpose)]) -> Option<Vec<&'a str>> {
        let known = |ticked: &String| purposes.iter().find(|(id, purpose)| *ticked == box_value(id, purpose));
        self.consents.iter().map(|ticked| known(ticked).map(|(id, _)| id.as_str())).collect()
    }

    /// The key of the words for what is wrong.
    fn trouble(&self, profile: &Profile) -> Option<&'static str> {
        if limits::check_text("name", &self.name, limits::TEXT_CHARS).is_err() {
            return Some("portal-join-no-name");
        }
        profile.validate().err().map(|_| "portal-join-birth-date-wrong")
    }
}

fn box_value(id: &str, purpose: &Purpose) -> String {
    format!("{id} {}", purpose.version)
}

fn show(
    frame: Frame,
    state: &AppState,
    proved: &Proved,
    purposes: &[(String, Purpose)],
    wishes: Wishes,
    trouble: Option<&'static str>,
) -> Response {
    let language = frame.language.tag();
    let of = |(id, purpose): &(String, Purpose)| {
        let value = box_value(id, purpose);
        let (name, text) = (purpose.name.get(language).to_owned(), purpose.text.get(language).to_owned());
        Tick { name, text, ticked: wishes.consents.contains(&value), value }
    };
    let page = JoinPage {
        place: "",
        why: proved.proven.why(&frame, state),
        boxes: purposes.iter().map(of).collect(),
        trouble: trouble.map(|key| frame.t(key)),
        name: wishes.name,
        birth_date: wishes.birth_date,
        frame,
    };
    let page = render(&page);
    if trouble.is_some() { (StatusCode::UNPROCESSABLE_ENTITY, page).into_response() } else { page }
}

fn begin_anew() -> Response {
    Redirect::to("/portal/sign-in").into_response()
}

async fn page(frame: Frame, State(state): State<AppState>, headers: HeaderMap) -> Result<Response, PortalError> {
    let Some(proved) = proved(&frame, &state, &headers).await? else { return Ok(begin_anew()) };
    let purposes = consent::purposes(&state).await.map_err(|problem| problem.detail).or_trouble(&frame)?;
    let name = match &proved.proven {
        Proven::By(newcomer) => newcomer.name.clone().unwrap_or_default(),
        Proven::Address(..) => String::new(),
    };
    Ok(show(frame, &state, &proved, &purposes, Wishes { name, ..Wishes::default() }, None))
}

async fn join(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PortalError> {
    let Some(proved) = proved(&frame, &state, &headers).await? else { return Ok(begin_anew()) };
    let purposes = consent::purposes(&state).await.map_err(|problem| problem.detail).or_trouble(&frame)?;
    let wishes = Wishes::read(fields);
    let profile = profile(&frame, &proved.proven, &wishes);
    let agreed = match (wishes.trouble(&profile), wishes.agreed(&purposes)) {
        (None, Some(agreed)) => agreed,
        (trouble, _) => {
            let trouble = trouble.or(Some("portal-join-text-changed"));
            return Ok(show(frame, &state, &proved, &purposes, wishes, trouble));
        }
    };
    let member = match enrol(&state, &proved.record.id, &profile).await {
        Ok(member) => member,
        Err(CommandError::Refused(refusal)) => {
            // Somebody was faster with the same address, or this form was sent before with other words.
            tracing::info!(%refusal, "a member could not join");
            return Ok(begin_anew());
        }
        Err(error) => return Err(error).or_trouble(&frame),
    };
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    let next = proved.next.clone();
    let session = welcome(&state, &visitor, member, &agreed, proved).await;
    let session = session.map_err(|problem| problem.detail).or_trouble(&frame)?;
    let spent = Cookies::new(vec![set_cookie(JOIN_COOKIE, "", state.people.https(), Some(0))]);
    Ok(go(&[spent, session], &next))
}

fn profile(frame: &Frame, proven: &Proven, wishes: &Wishes) -> Profile {
    let (email, phone) = proven.addresses();
    Profile {
        name: Some(wishes.name.clone()),
        email,
        phone,
        birth_date: Some(wishes.birth_date.clone()).filter(|date| !date.is_empty()),
        language: Some(frame.language.tag().to_owned()),
        ..Profile::default()
    }
}

/// Enrols the member. The proof is the key: the same form sent twice makes one member.
async fn enrol(state: &AppState, proof: &str, profile: &Profile) -> Result<MemberId, CommandError> {
    let (key, now) = (format!("join {proof}"), state.engine.now());
    let arrival = Arrival { channel: Some("portal".to_owned()), ..Arrival::default() };
    let command = Command::enrol(&state.keys(), random_bytes(), state.engine.new_member_id(), &key, now, profile)
        .and_then(|command| command.welcomed(&state.program(), &arrival))
        .map_err(CommandError::Refused)?;
    let reply = state.engine.submit_one(command.from_channel("portal")).await?;
    let receipt: Receipt =
        serde_json::from_str(&reply.receipt).map_err(|error| CommandError::Unavailable(error.to_string()))?;
    Ok(receipt.member_id)
}

/// Writes down what the new member agreed to, and lets them in; the proof is used up with it.
async fn welcome(
    state: &AppState,
    visitor: &Visitor<'_>,
    member: MemberId,
    agreed: &[&str],
    proved: Proved,
) -> Result<Cookies, Problem> {
    let who = Who::Member { id: member, session: String::new() };
    let actor = Actor { who, ..Actor::anonymous(visitor.address) };
    for purpose in agreed {
        consent::decide(state, &actor, member, purpose, true).await?;
    }
    if let Proven::By(newcomer) = &proved.proven {
        sso::member::link(state, visitor, member, &newcomer.link, &newcomer.provider).await?;
    }
    let spent = vec![RecordChange::Delete(proved.record)];
    member_session::let_in(state, visitor, member, proved.proven.method(), spent).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(version: i64) -> Purpose {
        serde_json::from_value(serde_json::json!({ "name": "News", "text": "We write to you.", "version": version }))
            .unwrap()
    }

    #[test]
    fn a_tick_counts_for_the_text_that_was_shown_and_no_other() {
        let purposes = [("news".to_owned(), purpose(2)), ("study".to_owned(), purpose(1))];
        let ticked = |value: &str| Wishes::read(vec![("consent".to_owned(), value.to_owned())]);
        assert_eq!(ticked("news 2").agreed(&purposes), Some(vec!["news"]));
        assert_eq!(ticked("news 1").agreed(&purposes), None);
        assert_eq!(ticked("other 1").agreed(&purposes), None);
        assert_eq!(Wishes::default().agreed(&purposes), Some(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let trouble = |name: &str, birth_date: &str| {
            let wishes = Wishes { name: name.to_owned(), birth_date: birth_date.to_owned(), consents: Vec::new() };
            let birth_date = Some(wishes.birth_date.clone()).filter(|date| !date.is_empty());
            wishes.trouble(&Profile { name: Some(wishes.name.clone()), birth_date, ..Profile::default() })
        };
        assert_eq!(trouble("Ann", "1990-05-17"), None);
        assert_eq!(trouble("Ann", ""), None);
        assert_eq!(trouble("", ""), Some("portal-join-no-name"));
        assert_eq!(trouble(&"a".repeat(2_000), ""), Some("portal-join-no-name"));
        assert_eq!(trouble("Ann", "17.5.1990"), Some("portal-join-birth-date-wrong"));
    }
}
