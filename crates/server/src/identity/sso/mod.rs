//! Single sign-on by OpenID Connect: authorization code with PKCE. An attempt is a record of ten minutes, named by a cookie
//! and used up by the first answer. A provider vouches for operators, whose roles are what its claims say at each sign-in, or
//! for members.

pub mod member;
mod person;
pub mod provider;
mod settings;
mod way;

use axum::http::HeaderMap;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, StoreError};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::guard::cookie;
use super::operators;
use super::session::{self, Proof};
use super::sign_in::{self, Attempt, Cookies, Refused, Visitor};
use super::token::{Token, TokenKind, same_secret};
use crate::AppState;
use crate::problem::Problem;

use provider::{Proved, Provider, Secrets};

pub use settings::{Mapping, MemberSettings, ProviderSettings, SsoSettings};
pub use way::{Asked, barred, refused};

/// The kind of the records of attempts.
const SINGLE_SIGN_ON: &str = "single_sign_on";
/// The cookie that names an attempt.
const SSO_COOKIE: &str = "guerdon_sso";
/// How long an attempt may take, in milliseconds.
const ATTEMPT_MS: i64 = 10 * 60_000;
/// How far the clock of a provider may be behind ours, in milliseconds.
const LEEWAY_MS: i64 = 60_000;
/// Longest code that a provider may send.
const CODE_BYTES: usize = 4_096;

/// Why someone does not come in this way. The person reads a plain sentence; the details are for the log.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such provider.
    Unknown,
    /// The attempt has run out, was used before, or is another's.
    Over,
    /// The provider says that the person did not sign in.
    Cancelled(String),
    /// The provider cannot be asked.
    Unavailable(String),
    /// What the provider says cannot be believed.
    Invalid(String),
    /// The provider vouches for the person, and they have no access here.
    NoAccess(&'static str),
    /// The server cannot do it now.
    Trouble(String),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Trouble(problem.detail)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Trouble(error.to_string())
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Conflict => Self::Over,
            error => Self::Trouble(error.to_string()),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Trouble(problem) => problem.into(),
            _ => Self::Over,
        }
    }
}

impl Refusal {
    /// The names of the sentences that a person may read.
    pub const SENTENCES: [&'static str; 4] = ["sso-over", "sso-cancelled", "sso-unavailable", "sso-no-access"];

    /// The name of the sentence for this one.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Unknown | Self::Over => "sso-over",
            Self::Cancelled(_) => "sso-cancelled",
            Self::Unavailable(_) | Self::Invalid(_) | Self::Trouble(_) => "sso-unavailable",
            Self::NoAccess(_) => "sso-no-access",
        }
    }
}

/// Where a provider vouches for people: for operators in the console, for members in the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// For operators.
    Console,
    /// For members.
    Portal,
}

impl Face {
    /// Where its page of signing in is.
    fn sign_in(self) -> &'static str {
        match self {
            Self::Console => "/console/sign-in",
            Self::Portal => "/portal/sign-in",
        }
    }

    /// Below what its ways to providers are.
    pub fn path(self) -> &'static str {
        match self {
            Self::Console => "/console/sso",
            Self::Portal => "/portal/sso",
        }
    }

    fn of(settings: &ProviderSettings) -> Self {
        if settings.members.is_some() { Self::Portal } else { Self::Console }
    }
}

/// The providers.
#[derive(Default)]
pub struct SingleSignOn(Vec<Provider>);

impl SingleSignOn {
    /// With the providers of a file, each with its client's secret.
    pub fn new(
        settings: SsoSettings,
        secret: impl Fn(&ProviderSettings) -> Result<Option<Zeroizing<String>>, String>,
    ) -> Result<Self, String> {
        settings.check()?;
        let provider = |settings: ProviderSettings| {
            let secret = secret(&settings).map_err(|problem| format!("provider `{}`: {problem}", settings.id))?;
            Ok(Provider::new(settings, secret))
        };
        settings.providers.into_iter().map(provider).collect::<Result<_, String>>().map(Self)
    }

    fn at(&self, face: Face) -> impl Iterator<Item = &Provider> {
        self.0.iter().filter(move |provider| Face::of(&provider.settings) == face)
    }

    fn find(&self, face: Face, id: &str) -> Result<&Provider, Refusal> {
        self.at(face).find(|provider| provider.settings.id == id).ok_or(Refusal::Unknown)
    }

    /// The ways in for the sign-in page: path and name.
    pub fn ways(&self, face: Face, next: &str) -> Vec<(String, String)> {
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let way = |provider: &Provider| {
            let ProviderSettings { id, name, .. } = &provider.settings;
            (format!("{}/{id}?next={next}", face.path()), name.clone())
        };
        self.at(face).map(way).collect()
    }

    /// The name of a provider for members; its id where it is gone from the file.
    pub fn member_provider<'a>(&'a self, id: &'a str) -> &'a str {
        self.find(Face::Portal, id).map_or(id, |provider| provider.settings.name.as_str())
    }
}

/// An attempt between the way there and the way back.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    /// The provider that was asked: an answer in the name of another is not taken.
    provider: String,
    next: String,
    /// Since when the provider must have seen the person, where they are to prove anew who they are.
    #[serde(default)]
    since: Option<Timestamp>,
}

/// What a provider sends back with the browser.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    iss: Option<String>,
}

fn redirect_uri(state: &AppState, settings: &ProviderSettings) -> String {
    state.people.link(&format!("{}/{}/callback", Face::of(settings).path(), settings.id))
}

/// Begins an attempt: the cookie for the browser, and where to send it. `next` is a path of the face. `anew`: the browser is
/// signed in here already, so this is to prove once more who it is, and the provider must not answer from memory.
pub async fn begin(
    state: &AppState,
    face: Face,
    provider: &str,
    next: String,
    anew: bool,
) -> Result<(Cookies, String), Refusal> {
    let provider = state.sso.find(face, provider)?;
    let (token, now) = (Token::generate(TokenKind::OneTime), state.clock());
    let redirect = redirect_uri(state, &provider.settings);
    let to = provider.begin(&state.outbound, &redirect, &Secrets::of(&token), anew).await?;
    let under_way = UnderWay { provider: provider.settings.id.clone(), next, since: anew.then_some(now) };
    let record = Record::new(SINGLE_SIGN_ON, &token.digest(), "", &under_way)?;
    let record = record.until(now.plus_millis(ATTEMPT_MS));
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    let cookie = session::set_cookie(SSO_COOKIE, token.reveal(), state.people.https(), Some(ATTEMPT_MS / 1_000));
    Ok((Cookies::new(vec![cookie]), to.to_string()))
}

/// Takes the cookie of an attempt away.
pub fn forget(state: &AppState) -> Cookies {
    Cookies::new(vec![session::set_cookie(SSO_COOKIE, "", state.people.https(), Some(0))])
}

/// Ends an attempt of an operator with what the provider has sent back: the cookies of the session, and where to go.
pub async fn end(
    state: &AppState,
    visitor: &Visitor<'_>,
    provider: &str,
    answer: Answer,
) -> Result<(Cookies, String), Refusal> {
    let provider = state.sso.find(Face::Console, provider)?;
    let (proved, next) = prove(state, visitor.headers, provider, answer).await?;
    let at = proved.at();
    let admitted = person::admit(state, visitor, &provider.settings, &proved).await?;
    if provider.settings.proves_second_factor(&proved.claims) {
        let proof = Proof { method: "sso".to_owned(), at };
        let who = (admitted.id.as_str(), admitted.email.as_str());
        return Ok((sign_in::let_in(state, visitor, who, &proof, Vec::new()).await?, next));
    }
    let (_, operator) = operators::find(state, &admitted.id).await?;
    let attempt = Attempt { next, ..Attempt::proved("sso", &operator) };
    Ok((sign_in::begin(state, &admitted.id, attempt).await?, "/console/sign-in/code".to_owned()))
}

/// Ends an attempt in the portal with what the provider has sent back: who it is, and where to go.
pub async fn end_of_member(
    state: &AppState,
    visitor: &Visitor<'_>,
    provider: &str,
    answer: Answer,
) -> Result<(member::Found, String), Refusal> {
    let provider = state.sso.find(Face::Portal, provider)?;
    let (proved, next) = prove(state, visitor.headers, provider, answer).await?;
    Ok((member::find(state, visitor, &provider.settings, &proved).await?, next))
}

/// Uses the attempt up, and has the provider prove what its answer says. Gives where to go as well.
async fn prove(
    state: &AppState,
    headers: &HeaderMap,
    provider: &Provider,
    answer: Answer,
) -> Result<(Proved, String), Refusal> {
    let (secrets, under_way) = use_up(state, headers, provider, &answer).await?;
    if let Some(error) = answer.error {
        return Err(Refusal::Cancelled(error.chars().filter(char::is_ascii_graphic).take(64).collect()));
    }
    let code = answer.code.filter(|code| !code.is_empty() && code.len() <= CODE_BYTES).ok_or(Refusal::Over)?;
    let redirect = redirect_uri(state, &provider.settings);
    let proved = provider.prove(&state.outbound, &redirect, code, &secrets).await?;
    if under_way.since.is_some_and(|since| proved.at() < since.plus_millis(-LEEWAY_MS)) {
        return Err(Refusal::Invalid("the provider has not asked the person anew, or does not say so".to_owned()));
    }
    Ok((proved, under_way.next))
}

/// Checks that an answer belongs to the attempt of this browser, and uses that up: a second answer finds nothing.
async fn use_up(
    state: &AppState,
    headers: &HeaderMap,
    provider: &Provider,
    answer: &Answer,
) -> Result<(Secrets, UnderWay), Refusal> {
    let token = cookie(headers, SSO_COOKIE, state.people.https())
        .and_then(|text| Token::parse_as(TokenKind::OneTime, text).ok());
    let token = token.ok_or(Refusal::Over)?;
    let record = state.reader.record(SINGLE_SIGN_ON, &token.digest(), state.clock()).await?.ok_or(Refusal::Over)?;
    let under_way: UnderWay = record.read()?;
    let secrets = Secrets::of(&token);
    let given = answer.state.as_deref().unwrap_or_default();
    let same_state = same_secret(given, &secrets.state);
    // RFC 9207: a provider that names itself must be the one that was asked.
    let same_issuer = answer.iss.as_ref().is_none_or(|issuer| *issuer == provider.settings.issuer);
    if !same_state || !same_issuer || under_way.provider != provider.settings.id {
        return Err(Refusal::Over);
    }
    state.engine.write_records(vec![RecordChange::Delete(record)], Vec::new()).await?;
    Ok((secrets, under_way))
}
