//! The member portal: points, rewards, card and privacy, for members themselves, on their phones.

mod address;
mod book;
mod card;
mod choice;
mod disputes;
mod group_opening;
mod group_order;
mod groups;
mod join;
mod links;
mod order_codes;
mod orders;
mod own;
mod points;
mod privacy;
mod profile;
mod reviews;
mod reward;
mod reward_last_known;
mod rewards;
mod sign_in;
mod sso;
mod statement;
mod trouble;
mod waiting;

use axum::middleware;
use tower_http::compression::CompressionLayer;

use crate::console::{Frame, remember_language};
use crate::identity::access::{Needs, Pages};
pub(crate) use choice::{Choosing, DayOfSlots, days_of_slots};
pub(crate) use orders::{benefit_words, order_name, part_name};
pub(crate) use trouble::PortalError;

/// The pages of the portal.
pub fn pages() -> Pages {
    Pages::default()
        .get("/portal", Needs::Member, points::page)
        .post("/portal/extend", Needs::Member, points::extend)
        .get("/portal/rewards", Needs::Member, rewards::page)
        .get("/portal/rewards/suggestions", Needs::Member, rewards::suggestions)
        .get("/portal/rewards/{id}", Needs::Member, reward::page)
        .post("/portal/rewards/{id}", Needs::Member, reward::redeem)
        .get("/portal/rewards/{id}/wait", Needs::Member, waiting::page)
        .post("/portal/rewards/{id}/wait", Needs::Member, waiting::join)
        .get("/portal/rewards/{id}/wait/turn", Needs::Member, waiting::turn)
        .get("/portal/rewards/{id}/reviews", Needs::Member, reviews::page)
        .get("/portal/orders", Needs::Member, orders::list)
        .get("/portal/orders/{id}", Needs::Member, orders::page)
        .get("/portal/orders/{id}/voucher", Needs::Member, orders::voucher)
        .post("/portal/orders/{id}/cancel", Needs::Member, orders::cancel)
        .post("/portal/orders/{id}/review", Needs::Member, reviews::write)
        .post("/portal/orders/{id}/dispute", Needs::Member, disputes::write)
        .post("/portal/orders/{id}/rebook", Needs::Member, orders::rebook)
        .get("/portal/statements", Needs::Member, statement::latest)
        .get("/portal/statements/{month}", Needs::Member, statement::page)
        .get("/portal/card", Needs::Member, card::page)
        .get("/portal/card/picture", Needs::Member, card::picture)
        .get("/portal/{*rest}", Needs::Member, nowhere)
        .and(sign_in::pages())
        .and(sso::pages())
        .and(links::pages())
        .and(groups::pages())
        .and(group_opening::pages())
        .and(join::pages())
        .and(profile::pages())
        .and(address::pages())
        .and(book::pages())
        .and(privacy::pages())
        .around(|router| router.layer(middleware::from_fn(remember_language)).layer(CompressionLayer::new()))
}

async fn nowhere(frame: Frame) -> PortalError {
    PortalError::not_found(&frame)
}
