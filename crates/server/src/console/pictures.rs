//! Pictures of rewards: the form that uploads one, and all that are kept.

use askama::Template;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::limits;
use guerdon_store::{StoredPicture, named_pictures};
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::trouble::PageError;
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::pictures::{self, Thumb, UNNAMED_MS};
use crate::problem::Problem;

/// Pictures of one page.
const PAGE: usize = 48;
/// Bytes of the form around the file.
const FORM_BYTES: usize = limits::PICTURE_BYTES + (64 << 10);

/// The pages of pictures.
pub fn pages() -> Pages {
    Pages::default()
        .get("/console/pictures", Needs::Permission(Permission::ProgramRead), page)
        .post("/console/pictures", Needs::Permission(Permission::ProgramWrite), upload)
        .around(|router| router.layer(DefaultBodyLimit::max(FORM_BYTES)))
}

/// Which page, and what was uploaded a moment ago.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    page: usize,
    new: String,
}

struct Card {
    thumb: Thumb,
    /// Where it is seen in its largest size.
    whole: String,
    name: String,
    size: String,
    uploaded: String,
    /// The ids of the rewards that name it.
    named_by: Vec<String>,
    /// When it is swept, where none does.
    swept: Option<String>,
    is_new: bool,
}

#[derive(Template)]
#[template(path = "console/pictures.html")]
struct PicturesPage {
    frame: Frame,
    cards: Vec<Card>,
    may_write: bool,
    next: Option<usize>,
    trouble: Option<String>,
}

async fn show(frame: Frame, state: &AppState, asked: &Asked, trouble: Option<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Pictures);
    let found = pictures::latest(state).await.map_err(|_| PageError::store(&frame))?;
    let begin = asked.page.saturating_mul(PAGE);
    let next = (found.len() > begin.saturating_add(PAGE)).then(|| asked.page.saturating_add(1));
    let named = named_pictures(state.program().documents(), state.engine.now());
    let mut cards = Vec::new();
    for (digest, picture) in found.into_iter().skip(begin).take(PAGE) {
        let named_by = named.get(&digest).map(|rewards| rewards.iter().cloned().collect()).unwrap_or_default();
        let is_new = digest == asked.new;
        cards.push(Card { named_by, is_new, ..card(&frame, state, digest, picture).await });
    }
    let may_write = frame.actor.may(Permission::ProgramWrite);
    Ok(render(&PicturesPage { frame, cards, may_write, next, trouble }))
}

async fn card(frame: &Frame, state: &AppState, digest: String, picture: StoredPicture) -> Card {
    let who = operators::name(state, frame, &picture.uploaded_by).await;
    let kilobytes = format::number(i64::try_from(picture.bytes.div_ceil(1_024)).unwrap_or(i64::MAX));
    let (width, height) = (picture.width.to_string(), picture.height.to_string());
    let swept = picture.unnamed_since.map(|since| since.plus_millis(UNNAMED_MS));
    let thumb = Thumb { digest, alt: String::new() };
    Card {
        whole: thumb.at(960),
        thumb,
        name: picture.file_name,
        size: frame
            .say("picture-size", [("width", width.into()), ("height", height.into()), ("kilobytes", kilobytes.into())]),
        uploaded: frame
            .say("picture-uploaded", [("who", who.into()), ("when", frame.clock_time(picture.uploaded_at).into())]),
        named_by: Vec::new(),
        swept: swept.map(|at| frame.say_text("picture-swept", "when", &frame.clock_time(at))),
        is_new: false,
    }
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    show(frame, &state, &asked, None).await
}

async fn upload(
    frame: Frame,
    State(state): State<AppState>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, PageError> {
    let read = match form {
        Ok(form) => read(form).await,
        Err(rejection) => Err(Problem::bad_request("invalid_body", rejection.body_text())),
    };
    let taken = match read {
        Ok((name, bytes)) => pictures::upload(&state, &frame.actor, &name, bytes).await,
        Err(problem) => Err(problem),
    };
    match taken {
        Ok((digest, _)) => Ok(Redirect::to(&format!("/console/pictures?new={digest}")).into_response()),
        Err(problem) if problem.status == 500 => Err(PageError::store(&frame)),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let trouble = picture_trouble(&frame, &problem);
            Ok((status, show(frame, &state, &Asked::default(), Some(trouble)).await?).into_response())
        }
    }
}

fn picture_trouble(frame: &Frame, problem: &Problem) -> String {
    match problem.code.as_str() {
        "invalid_picture" => frame.say_text("picture-unfit", "why", &problem.detail),
        "body_too_large" => frame.t("picture-too-large"),
        "busy" => frame.t("picture-busy"),
        _ => frame.problem(problem),
    }
}

/// The name and the bytes of the one file in a form.
async fn read(mut form: Multipart) -> Result<(String, Vec<u8>), Problem> {
    let broken = |error: axum::extract::multipart::MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => pictures::too_large(),
        _ => Problem::bad_request("invalid_body", format!("the form cannot be read: {}", error.body_text())),
    };
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if field.name() == Some("file") {
            let name = field.file_name().unwrap_or_default();
            // Some browsers give the whole path.
            let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            return Ok((name, field.bytes().await.map_err(broken)?.to_vec()));
        }
    }
    Err(Problem::bad_request("invalid_body", "the form has no `file`"))
}
