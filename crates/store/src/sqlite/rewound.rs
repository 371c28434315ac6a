//! What an order waits for again once the database went back to before it came: it is asked for anew, since the event that asked
//! for it then has been seen to.

use guerdon_core::id::{IdGenerator, TransactionId};
use guerdon_core::kernel::Event;
use guerdon_core::redemption::Order;
use rusqlite::{Connection, params};

use super::store::foreign;
use crate::engine::system_now;
use crate::feed::{StoredEvent, body};
use crate::rows;

/// The orders in groups of friends that are taken away with the entries that made them, from an id on.
pub(super) fn taken_from_groups(connection: &Connection, from: i64) -> rusqlite::Result<Vec<Order>> {
    let sql = format!("SELECT {} FROM orders WHERE order_id >= ?1", rows::ORDER_COLUMNS);
    let mut made = connection.prepare(&sql)?;
    let orders = made.query_map([from], |row| rows::order(row).map_err(foreign))?;
    orders.filter(|order| order.as_ref().map_or(true, |order| order.details.particulars.group.is_some())).collect()
}

/// Tells that the group of an order which was taken away has it no longer.
pub(super) fn tell_taken(connection: &Connection, order: &Order, ids: &mut IdGenerator) -> rusqlite::Result<()> {
    put(connection, order, Event::GroupWanted { order_id: order.id }, ids)
}

/// Asks for the money of an order as it stands again, and how its group ended.
pub(super) fn ask_again(connection: &Connection, order: &Order, ids: &mut IdGenerator) -> rusqlite::Result<()> {
    let (order_id, particulars) = (order.id, &order.details.particulars);
    let payment = particulars.payment.as_ref().and_then(|payment| payment.wants(order.state.funds()));
    let payment = payment.map(|step| Event::PaymentWanted { order_id, step });
    let group = particulars.group.as_ref().filter(|group| group.is_open());
    let group = group.map(|_| Event::GroupWanted { order_id });
    payment.into_iter().chain(group).try_for_each(|event| put(connection, order, event, ids))
}

fn put(connection: &Connection, order: &Order, event: Event, ids: &mut IdGenerator) -> rusqlite::Result<()> {
    let sql = "INSERT INTO event (txn_id, place, member_id, at, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    let at = system_now();
    // An id of its own: the feed may have told under that of the order's last entry before.
    let transaction_id = TransactionId(ids.next(at));
    let stored = StoredEvent { transaction_id, place: 0, member_id: order.member_id, at, event };
    let row = params![transaction_id.0, stored.place, stored.member_id.0, at.as_millis(), body(&stored)];
    connection.execute(sql, row).map(drop)
}
