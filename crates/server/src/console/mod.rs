//! The console: server-rendered pages for operators.

mod account;
mod acts;
mod ahead;
mod answer;
mod approvals;
mod assortment;
mod audit;
mod backtest;
mod catalogue;
mod changes;
mod codes;
mod configuration;
mod consents;
mod disputes;
mod document_form;
mod draft_edit;
mod drafts;
mod dry_run;
mod erasures;
mod explain;
mod format;
mod frame;
#[cfg(test)]
mod golden;
mod history;
mod imports;
mod key_form;
mod keys;
mod member;
mod members;
mod merge;
mod nav;
mod operators;
mod order_codes;
mod order_money;
mod order_queue;
mod orders;
mod overview;
mod permissions;
mod pictures;
mod pos;
mod price_chart;
mod price_reward;
mod price_words;
mod prices;
mod profile;
mod proofs;
mod prove;
mod registers;
mod retention;
mod reviews;
mod roles;
mod sign_in;
mod sso;
mod statement;
mod stock;
mod summary;
mod suppliers;
mod tasks;
mod tier;
mod trouble;
mod why;

use std::sync::Arc;

use axum::Extension;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use tower_http::compression::CompressionLayer;

use crate::identity::access::{Needs, Pages};
use crate::identity::session::Https;
use crate::language::Language;
use trouble::PageError;

pub(crate) use account::device;
pub(crate) use ahead::ahead;
pub(crate) use answer::{go, refused, wait_words};
pub(crate) use disputes::kind_words as grievance_words;
pub(crate) use explain::explain as explain_row;
pub(crate) use format::number as plain_number;
pub(crate) use frame::{Frame, render};
pub(crate) use member::{expires_next, facts, worth};
pub(crate) use orders::{TrackingLine, tracking};
pub(crate) use prove::form_key;
pub(crate) use reviews::stars;
pub use sign_in::home;
pub(crate) use statement::{Sheet, sheet as statement_sheet};
pub(crate) use tier::{TierView, tier_view};

/// The pages of the console.
pub fn pages() -> Pages {
    let members = Needs::InStore(Permission::MembersRead);
    Pages::default()
        .get("/console", Needs::Permission(Permission::ReportsRead), overview::page)
        .get("/console/", Needs::Operator, async || Redirect::permanent("/console"))
        .get("/console/members", members, members::page)
        .get("/console/search", members, async || Redirect::to("/console/members"))
        .post("/console/search", members, members::search)
        .get("/console/members/{id}", members, member::page)
        .post("/console/members/{id}", Needs::InStore(Permission::MembersReveal), member::reveal)
        .post("/console/members/{id}/sessions", Needs::Permission(Permission::MembersWrite), member::end_sessions)
        .get("/console/members/{id}/transactions", members, history::rows)
        .get("/console/members/{id}/statements", members, statement::latest)
        .get("/console/members/{id}/statements/{month}", members, statement::page)
        .get("/console/proofs", Needs::Operator, proofs::page)
        .get("/console/{*rest}", Needs::Operator, nowhere)
        .and(sign_in::pages())
        .and(sso::pages())
        .and(profile::pages())
        .and(account::pages())
        .and(acts::pages())
        .and(merge::pages())
        .and(orders::pages())
        .and(approvals::pages())
        .and(configuration::pages())
        .and(assortment::pages())
        .and(catalogue::pages())
        .and(stock::pages())
        .and(prices::pages())
        .and(pictures::pages())
        .and(reviews::pages())
        .and(disputes::pages())
        .and(drafts::pages())
        .and(draft_edit::pages())
        .and(dry_run::pages())
        .and(backtest::pages())
        .and(order_queue::pages())
        .and(order_codes::pages())
        .and(codes::pages())
        .and(suppliers::pages())
        .and(pos::pages())
        .and(tasks::pages())
        .and(imports::pages())
        .and(audit::pages())
        .and(operators::pages())
        .and(roles::pages())
        .and(keys::pages())
        .and(consents::pages())
        .and(registers::pages())
        .and(retention::pages())
        .and(erasures::pages())
        .around(|router| {
            router
                .layer(Extension(Arc::<summary::Cache>::default()))
                .layer(middleware::from_fn(remember_language))
                .layer(CompressionLayer::new())
        })
}

/// The page that says that who looks may not see what was asked for.
pub fn forbidden(frame: &Frame) -> Response {
    PageError::forbidden(frame).into_response()
}

async fn nowhere(frame: Frame) -> PageError {
    PageError::not_found(&frame)
}

/// Remembers a language that was asked for.
pub(crate) async fn remember_language(request: Request, next: Next) -> Response {
    let https = request.extensions().get().is_some_and(|Https(https)| *https);
    let chosen = Language::in_query(request.uri().query().unwrap_or_default());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(cookie) = chosen.and_then(|language| HeaderValue::from_str(&language.cookie(https)).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    headers.append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    response
}
