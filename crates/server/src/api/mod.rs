//! The HTTP API, `/v1`.

mod accounts;
mod activities;
mod allowances;
mod api_keys;
mod appointments;
mod approvals;
mod assortment;
mod audit;
mod backtests;
mod benefits;
mod campaigns;
mod cards;
mod catalogue;
mod checkouts;
mod clients;
mod codes;
mod configuration;
mod currencies;
mod disputes;
mod drafts;
mod events;
mod extensions;
pub(crate) mod extract;
mod groups;
mod imports;
mod keys;
mod log;
mod members;
mod oauth;
mod operators;
mod orders;
mod payments;
mod pictures;
mod privacy;
mod profile;
pub(crate) mod quotes;
mod reviews;
mod rewards;
mod statements;
mod stock;
mod suppliers;
mod tasks;
mod tiers;
mod tracking;
mod views;
pub(crate) mod vouchers;
mod waiting_room;

use utoipa_axum::router::OpenApiRouter;

use crate::AppState;

pub(crate) use appointments::free_slots;
pub(crate) use privacy::member_archive;
pub(crate) use quotes::{quote, split_quote};
pub(crate) use views::wallets;

/// All endpoints of `/v1`, with their description.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(members::router())
        .merge(profile::router())
        .merge(accounts::router())
        .merge(statements::router())
        .merge(activities::router())
        .merge(campaigns::router())
        .merge(configuration::router())
        .merge(drafts::router())
        .merge(backtests::router())
        .merge(events::router())
        .merge(tasks::router())
        .merge(tiers::router())
        .merge(rewards::router())
        .merge(catalogue::router())
        .merge(assortment::router())
        .merge(stock::router())
        .merge(waiting_room::router())
        .merge(pictures::router())
        .merge(reviews::router())
        .merge(currencies::router())
        .merge(orders::router())
        .merge(disputes::router())
        .merge(appointments::router())
        .merge(benefits::router())
        .merge(codes::router())
        .merge(tracking::router())
        .merge(suppliers::router())
        .merge(vouchers::router())
        .merge(checkouts::router())
        .merge(allowances::router())
        .merge(quotes::router())
        .merge(payments::router())
        .merge(groups::router())
        .merge(extensions::router())
        .merge(cards::router())
        .merge(log::router())
        .merge(keys::router())
        .merge(operators::router())
        .merge(audit::router())
        .merge(approvals::router())
        .merge(imports::router())
        .merge(privacy::router())
        .merge(api_keys::router())
        .merge(clients::router())
        .merge(oauth::router())
}
