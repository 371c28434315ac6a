//! Vouchers that are redeemed at a store, by scan or by typing: whichever way the same order is found, it is handed out once.

use std::sync::LazyLock;

use guerdon_core::id::OrderId;
use guerdon_core::members::CardKey;
use guerdon_core::redemption::{OrderMove, Voucher, VoucherCode};
use guerdon_core::time::Timestamp;

use crate::fixtures::test_keyring;
use crate::member::Member;
use crate::model::{Model, Said};
use crate::wishes::Want;
use crate::world::SKEW;

/// What a till wants to hand out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    pub(crate) order: i64,
    pub(crate) store: &'static str,
    pub(crate) terminal: &'static str,
    /// When it was handed out, by the clock of the till.
    pub(crate) at: i64,
    /// Whether its code was typed, or its text scanned.
    pub(crate) typed: bool,
}

impl Presented {
    /// Whether it is the same request, whenever and however it comes.
    pub(crate) fn is_the_same(&self, other: &Self) -> bool {
        (self.order, self.store, self.terminal) == (other.order, other.store, other.terminal)
    }

    /// The order to which its voucher leads.
    pub(crate) fn found(&self, orders: impl Iterator<Item = i64>) -> OrderId {
        static KEY: LazyLock<CardKey> = LazyLock::new(|| CardKey::of(test_keyring()));
        let keyring = test_keyring();
        let order = OrderId(self.order);
        if !self.typed {
            let expires_at = Timestamp::from_millis(self.at).plus_millis(1_000);
            let voucher = Voucher { order, reward_id: "mug".to_owned(), quantity: 1, expires_at };
            return Voucher::open(&KEY.public(), &voucher.sign(&KEY)).expect("a voucher of this program").order;
        }
        let typed = VoucherCode::of(keyring, order, 0).to_string().to_lowercase();
        let typed = VoucherCode::parse(&typed).expect("a code").look_up(keyring);
        let mut with_code = orders.filter(|one| VoucherCode::of(keyring, OrderId(*one), 0).look_up(keyring) == typed);
        with_code.next().map_or(order, OrderId)
    }
}

impl Model {
    pub(crate) fn hand_out(
        &mut self,
        want: &Want,
        member: &mut Member,
        presented: &Presented,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let order = self.own(want, member, presented.order)?;
        match order.state {
            "shipped" => return Err("illegal_order_move"),
            "completed" => return Err("voucher_redeemed"),
            _ if presented.at + SKEW < order.at => return Err("occurred_too_long_ago"),
            _ => order.follow(OrderMove::Complete, member, want.at, said)?,
        }
        order.handed_out = Some((presented.store.to_owned(), presented.terminal.to_owned()));
        said.tell("handed out", presented.at);
        said.note(if presented.typed { "handed out by typing" } else { "handed out by scan" }, 1);
        Ok(())
    }
}
