//! Pictures of rewards: upload, list, get.

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::StatusCode;
use guerdon_core::limits;
use guerdon_store::{StoredPicture, named_pictures};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Params, Path, page_limit, read_at_most};
use super::views::Page;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::pictures::{self, Thumb, UNNAMED_MS, WIDTHS};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, upload)).routes(routes!(get))
}

/// A picture.
#[derive(Serialize, ToSchema)]
struct PictureView {
    /// The SHA-256 of the file that was uploaded, 64 hexadecimal digits: what a reward's `catalogue.pictures` names.
    digest: String,
    /// The name of the file, where it was uploaded in the console; else empty.
    file_name: String,
    /// Pixels of what was uploaded, as it is to be seen.
    width: u32,
    /// Pixels.
    height: u32,
    /// Bytes of what was uploaded.
    bytes: u64,
    /// Who uploaded it.
    uploaded_by: String,
    /// RFC 3339.
    uploaded_at: String,
    /// Where its sizes are served, by their width in pixels.
    addresses: Vec<SizeView>,
    /// The rewards that name it, now or from a moment to come on.
    named_by: Vec<String>,
    /// When it is swept if no reward names it until then, RFC 3339; left out: one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    swept_at: Option<String>,
}

/// A size of a picture.
#[derive(Serialize, ToSchema)]
struct SizeView {
    /// At most so many pixels wide.
    width: u32,
    /// Its path on this server.
    path: String,
}

fn view(state: &AppState, digest: String, picture: StoredPicture) -> PictureView {
    let named = named_pictures(state.program().documents(), state.engine.now());
    let named_by = named.get(&digest).map(|rewards| rewards.iter().cloned().collect()).unwrap_or_default();
    let thumb = Thumb { digest, alt: String::new() };
    let addresses = WIDTHS.iter().map(|width| SizeView { width: *width, path: thumb.at(*width) }).collect();
    PictureView {
        addresses,
        digest: thumb.digest,
        file_name: picture.file_name,
        width: picture.width,
        height: picture.height,
        bytes: picture.bytes,
        uploaded_by: picture.uploaded_by,
        uploaded_at: picture.uploaded_at.to_string(),
        named_by,
        swept_at: picture.unnamed_since.map(|since| since.plus_millis(UNNAMED_MS).to_string()),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PictureParams {
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List pictures, in the order of their digests.
#[utoipa::path(get, path = "/v1/pictures", tag = "rewards", security(("key" = ["program:read"])), params(PictureParams),
    responses((status = 200, body = Page<PictureView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<PictureParams>,
) -> Result<Json<Page<PictureView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let found = pictures::list(&state, params.after, limit + 1).await?;
    let page = Page::cut(found, limit, |(record, _)| record.id.clone());
    Ok(Json(page.map(|(record, picture)| view(&state, record.id, picture))))
}

/// Upload a picture: the bytes of a PNG, JPEG or WebP as the body, 8 MiB and 25 million pixels at most. What it is, its bytes
/// tell. It is turned as its metadata say, which are then thrown away, and made in several widths. One that is there already
/// is answered as it is.
#[utoipa::path(post, path = "/v1/pictures", tag = "rewards", security(("key" = ["program:write"])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file"),
    responses((status = 201, body = PictureView),
        (status = 409, description = "`too_many_pictures`", body = Problem),
        (status = 413, description = "`body_too_large`", body = Problem),
        (status = 422, description = "`invalid_picture`: it is none, or has too many pixels", body = Problem),
        (status = 503, description = "`busy`: another one is being read", body = Problem)))]
async fn upload(
    State(state): State<AppState>,
    actor: Actor,
    body: HttpBody,
) -> Result<(StatusCode, Json<PictureView>), Problem> {
    let bytes = read_at_most(body, limits::PICTURE_BYTES, pictures::too_large).await?;

    let (digest, picture) = pictures::upload(&state, &actor, "", bytes).await?;
    Ok((StatusCode::CREATED, Json(view(&state, digest, picture))))
}

/// Get what is known of a picture.
#[utoipa::path(get, path = "/v1/pictures/{digest}", tag = "rewards", security(("key" = ["program:read"])),
    params(("digest" = String, Path)), responses((status = 200, body = PictureView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(digest): Path<String>) -> Result<Json<PictureView>, Problem> {
    let (record, picture) = pictures::find(&state, &digest).await?.ok_or_else(|| {
        let shown: String = digest.chars().take(64).collect();
        Problem::not_found("unknown_picture", format!("there is no picture `{shown}`"))
    })?;
    Ok(Json(view(&state, record.id, picture)))
}
