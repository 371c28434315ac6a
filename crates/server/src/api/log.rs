//! The transparency log: its head, its keys, its leaves, and proofs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use guerdon_core::hex;
use guerdon_core::id::TransactionId;
use guerdon_core::proofs::{Hash, LogKey};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Params, Path, id};
use crate::AppState;
use crate::problem::Problem;

/// Leaves of one answer.
const LEAVES: u64 = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(head))
        .routes(routes!(inclusion))
        .routes(routes!(consistency))
        .routes(routes!(leaves))
        .routes(routes!(proof))
}

/// The head of the log.
#[derive(Serialize, ToSchema)]
struct HeadView {
    /// Leaves.
    size: u64,
    /// The signed head, in the form of c2sp.org/tlog-checkpoint; empty while nothing is in the log.
    checkpoint: String,
    /// The keys of the log, oldest first, each endorsed by the one before it.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<LogKey>,
}

/// The latest signed head of the log, and its keys.
#[utoipa::path(get, path = "/v1/log/head", tag = "log",
    security(()), responses((status = 200, body = HeadView)))]
async fn head(State(state): State<AppState>) -> Result<Json<HeadView>, Problem> {
    let head = state.reader.log_head().await?;
    Ok(Json(HeadView { size: head.size, checkpoint: head.checkpoint, keys: state.reader.log_keys().await? }))
}

/// Hashes of a proof, hexadecimal.
#[derive(Serialize, ToSchema)]
struct InclusionView {
    transaction_id: String,
    leaf_index: u64,
    /// The size of the tree that the proof is for.
    size: u64,
    /// From the leaf upwards, as in RFC 9162, 2.1.3.
    path: Vec<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct InclusionParams {
    /// `txn_…`.
    transaction_id: String,
    /// The size of the tree; the latest when left out.
    size: Option<u64>,
}

fn digits(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(hex::encode).collect()
}

fn not_logged(transaction: TransactionId) -> Problem {
    let detail = format!("{transaction} is not in the log of this size; new transactions are in it within a second");
    Problem::not_found("not_in_log", detail)
}

/// The inclusion proof of a transaction.
#[utoipa::path(get, path = "/v1/log/inclusion", tag = "log",
    security(()), params(InclusionParams),
    responses((status = 200, body = InclusionView), (status = 404, description = "`not_in_log`", body = Problem)))]
async fn inclusion(
    State(state): State<AppState>,
    Params(params): Params<InclusionParams>,
) -> Result<Json<InclusionView>, Problem> {
    let transaction: TransactionId = id(&params.transaction_id)?;
    let latest = state.reader.log_head().await?.size;
    let size = up_to(params.size.unwrap_or(latest), latest)?;
    let leaf_index = state.reader.log_position(transaction).await?.ok_or_else(|| not_logged(transaction))?;
    let path = state.reader.inclusion(leaf_index, size).await?.ok_or_else(|| not_logged(transaction))?;
    Ok(Json(InclusionView { transaction_id: transaction.to_string(), leaf_index, size, path: digits(&path) }))
}

fn up_to(size: u64, latest: u64) -> Result<u64, Problem> {
    if size <= latest {
        return Ok(size);
    }
    Err(Problem::bad_request("invalid_query", format!("the log has {latest} leaves, not {size}")))
}

/// Hashes of a proof, hexadecimal.
#[derive(Serialize, ToSchema)]
struct ConsistencyView {
    from: u64,
    to: u64,
    /// As in RFC 9162, 2.1.4.
    proof: Vec<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ConsistencyParams {
    /// The size of the older head.
    from: u64,
    /// The size of the newer head; the latest when left out.
    to: Option<u64>,
}

/// The proof that the log of one head begins with the log of an older one.
#[utoipa::path(get, path = "/v1/log/consistency", tag = "log",
    security(()), params(ConsistencyParams),
    responses((status = 200, body = ConsistencyView), (status = 400, body = Problem)))]
async fn consistency(
    State(state): State<AppState>,
    Params(ConsistencyParams { from, to }): Params<ConsistencyParams>,
) -> Result<Json<ConsistencyView>, Problem> {
    let latest = state.reader.log_head().await?.size;
    let to = up_to(to.unwrap_or(latest), latest)?;
    let proof = state.reader.consistency(from, to).await?.ok_or_else(|| {
        Problem::bad_request("invalid_query", format!("`from` is {from}, but the log of `to` has {to} leaves"))
    })?;
    Ok(Json(ConsistencyView { from, to, proof: digits(&proof) }))
}

/// A leaf of the log.
#[derive(Serialize, ToSchema)]
struct LeafView {
    index: u64,
    /// `transaction`, or `audit` for an entry of the audit log.
    kind: &'static str,
    transaction_id: String,
    /// SHA-256, hexadecimal.
    leaf_hash: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LeavesParams {
    /// The first leaf; 0 when left out.
    from: Option<u64>,
    /// Leaves, 1–1,000; 1,000 when left out.
    limit: Option<u64>,
}

/// The leaves of the log, in order. Fewer than asked for: the log ends there.
#[utoipa::path(get, path = "/v1/log/leaves", tag = "log",
    security(()), params(LeavesParams),
    responses((status = 200, body = Vec<LeafView>), (status = 400, body = Problem)))]
async fn leaves(
    State(state): State<AppState>,
    Params(params): Params<LeavesParams>,
) -> Result<Json<Vec<LeafView>>, Problem> {
    let (from, limit) = (params.from.unwrap_or(0), params.limit.unwrap_or(LEAVES));
    if !(1..=LEAVES).contains(&limit) {
        let detail = format!("`limit` must be 1 to {LEAVES}, not {limit}");
        return Err(Problem::bad_request("invalid_query", detail));
    }
    if i64::try_from(from).is_err() {
        return Err(Problem::bad_request("invalid_query", format!("`from` must be below 2^63, not {from}")));
    }
    let rows = state.reader.log_leaves(from..from.saturating_add(limit)).await?;
    let view = |leaf: guerdon_store::read_log::LeafRow| LeafView {
        index: leaf.index,
        kind: leaf.kind.name(),
        transaction_id: leaf.transaction_id.to_string(),
        leaf_hash: hex::encode(&leaf.hash),
    };
    Ok(Json(rows.into_iter().map(view).collect()))
}

/// The transaction in full with the proof that it is in the log: a file that `guerdon audit --proof` checks anywhere.
#[utoipa::path(get, path = "/v1/transactions/{transaction_id}/proof", tag = "log",
    security(("key" = ["members:read"])),
    params(("transaction_id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "`not_in_log`", body = Problem)))]
async fn proof(
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<([(HeaderName, HeaderValue); 2], String), Problem> {
    let transaction: TransactionId = id(&text)?;
    let proof = state.reader.transaction_proof(transaction).await?.ok_or_else(|| not_logged(transaction))?;
    let internal = |_| Problem::not_found("not_in_log", "the proof cannot be written");
    let body = serde_json::to_string_pretty(&proof).map_err(internal)?;
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{transaction}.proof.json\""));
    let name = name.unwrap_or(HeaderValue::from_static("attachment"));
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json), (header::CONTENT_DISPOSITION, name)], body))
}
