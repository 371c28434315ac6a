//! What is done to a member's account by hand, each on a page of its own: adjust, close, ask for erasure.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::ledger::AccountStatus;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::member::{self, Subject};
use super::nav::Place;
use super::prove;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::acts::{self, By};
use crate::identity::access::{Needs, Pages};
use crate::privacy::erasure;
use crate::problem::Problem;

const DAY_MS: i64 = 86_400_000;

/// The pages of acts.
pub fn pages() -> Pages {
    let adjust = Needs::Permission(Permission::MembersAdjust);
    let close = Needs::Permission(Permission::MembersClose);
    let erase = Needs::Permission(Permission::MembersErase);
    Pages::default()
        .get("/console/members/{id}/adjust", adjust, adjust_page)
        .post("/console/members/{id}/adjust", adjust, do_adjust)
        .get("/console/members/{id}/close", close, close_page)
        .post("/console/members/{id}/close", close, do_close)
        .get("/console/members/{id}/erase", erase, erase_page)
        .post("/console/members/{id}/erase", erase, do_erase)
}

/// Which act.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Adjust,
    Close,
    Erase,
}

impl Kind {
    /// The end of its address, and the beginning of the keys of its words.
    fn name(self) -> &'static str {
        match self {
            Self::Adjust => "adjust",
            Self::Close => "close",
            Self::Erase => "erase",
        }
    }

    /// Whether it asks for a fresh proof of identity: it cannot be undone.
    fn is_grave(self) -> bool {
        self == Self::Close
    }

    fn address(self, subject: &Subject) -> String {
        format!("/console/members/{}/{}", subject.id, self.name())
    }
}

/// What was typed.
#[derive(Deserialize, Default)]
struct ActForm {
    #[serde(default)]
    key: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    points: String,
    #[serde(default)]
    currency: String,
}

#[derive(Template)]
#[template(path = "console/act.html")]
struct ActPage {
    frame: Frame,
    id: String,
    name: String,
    address: String,
    title: String,
    /// What it comes to, a paragraph each.
    about: Vec<String>,
    go: String,
    /// What the account holds, of each currency.
    wallets: Vec<(String, String)>,
    /// Codes and names to choose from, where it is about points.
    currencies: Vec<(String, String)>,
    asks_points: bool,
    is_grave: bool,
    /// Where to prove anew who one is, when it is needed.
    prove: Option<String>,
    typed: ActForm,
    trouble: Option<String>,
}

/// What each wallet of an account has available.
pub(super) fn wallets(frame: &Frame, state: &AppState, subject: &Subject) -> Vec<(String, String)> {
    let now = state.engine.now();
    let name = |id| frame.program.currency(id).map_or("", |currency| currency.name.get(frame.language.tag()));
    let wallet = |wallet: &guerdon_core::ledger::Wallet| {
        let title = frame.say("wallet-title", [("currency", name(wallet.currency).into())]);
        (title, frame.points(wallet.currency, wallet.spendable(now)))
    };
    subject.account.wallets.iter().map(wallet).collect()
}

fn about(frame: &Frame, kind: Kind) -> Vec<String> {
    match kind {
        Kind::Adjust => vec![frame.t("act-adjust-about")],
        Kind::Close => vec![frame.t("act-close-about"), frame.t("act-no-way-back")],
        Kind::Erase => {
            let days = erasure::GRACE_MS / DAY_MS;
            vec![frame.say("act-erase-about", [("days", days.into())]), frame.t("act-erase-points")]
        }
    }
}

async fn show(
    frame: Frame,
    state: &AppState,
    kind: Kind,
    subject: &Subject,
    typed: ActForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let needs_proof = kind.is_grave() && !prove::is_fresh(state, &frame.actor).await.or_page(&frame)?;
    let language = frame.language.tag();
    let currencies = frame.program.currencies.iter();
    Ok(render(&ActPage {
        id: subject.id.to_string(),
        name: subject.name.clone(),
        address: kind.address(subject),
        title: frame.t(&format!("act-{}", kind.name())),
        about: about(&frame, kind),
        go: frame.t(&format!("act-{}-go", kind.name())),
        wallets: wallets(&frame, state, subject),
        currencies: currencies.map(|one| (one.code.clone(), one.name.get(language).to_owned())).collect(),
        asks_points: kind == Kind::Adjust,
        is_grave: kind != Kind::Adjust,
        prove: needs_proof.then(|| prove::address(&kind.address(subject))),
        typed,
        trouble,
        frame,
    }))
}

/// The page of an act, where the account can still take it.
async fn open(frame: Frame, state: &AppState, kind: Kind, text: &str) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let subject = member::find(state, &frame, text).await?;
    if kind != Kind::Erase && subject.account.status != AccountStatus::Active || subject.row.stored.erased_at.is_some()
    {
        return Err(PageError::not_found(&frame));
    }
    let typed = ActForm { key: prove::form_key(), ..ActForm::default() };
    show(frame, state, kind, &subject, typed, None).await
}

/// Back to the member when it was done, or waits; else the same page with what was wrong.
async fn answer(
    frame: Frame,
    state: &AppState,
    kind: Kind,
    subject: &Subject,
    form: ActForm,
    outcome: Result<(), Problem>,
) -> Result<Response, PageError> {
    let Err(problem) = outcome else {
        return Ok(Redirect::to(&format!("/console/members/{}", subject.id)).into_response());
    };
    let trouble = Some(frame.trouble(&problem)?);
    Ok(unprocessable(show(frame, state, kind, subject, form, trouble).await?))
}

impl ActForm {
    fn by<'a>(&'a self, frame: &'a Frame) -> By<'a> {
        By { actor: &frame.actor, key: &self.key, channel: "console", reason: self.reason.trim() }
    }
}

async fn adjust_page(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PageError> {
    open(frame, &state, Kind::Adjust, &text).await
}

async fn do_adjust(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let subject = member::find(&state, &frame, &text).await?;
    let currency = frame.program.currency_by_code(&form.currency).or_else(|| frame.program.currencies.first());
    let digits = currency.map_or(0, |currency| u32::from(currency.decimals));
    let code = currency.map(|currency| currency.code.clone());
    let Some(points) = format::parse(&form.points, digits).filter(|points| *points > 0) else {
        let trouble = Some(frame.t("act-points-wrong"));
        return Ok(unprocessable(show(frame, &state, Kind::Adjust, &subject, form, trouble).await?));
    };
    let points = if form.direction == "take" { -points } else { points };
    let done = acts::adjust(&state, &form.by(&frame), subject.id, code.as_deref(), points).await.map(drop);
    answer(frame, &state, Kind::Adjust, &subject, form, done).await
}

async fn close_page(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PageError> {
    open(frame, &state, Kind::Close, &text).await
}

async fn do_close(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let subject = member::find(&state, &frame, &text).await?;
    if !prove::is_fresh(&state, &frame.actor).await.or_page(&frame)? {
        return Ok(prove::lead(&Kind::Close.address(&subject)));
    }
    let done = acts::close(&state, &form.by(&frame), subject.id).await.map(drop);
    answer(frame, &state, Kind::Close, &subject, form, done).await
}

async fn erase_page(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PageError> {
    open(frame, &state, Kind::Erase, &text).await
}

async fn do_erase(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let subject = member::find(&state, &frame, &text).await?;
    let done = erasure::request(&state, &frame.actor, subject.id, form.reason.trim()).await.map(drop);
    answer(frame, &state, Kind::Erase, &subject, form, done).await
}
