//! Cash on delivery: whoever hands the order over takes the money, and says so. No system is asked.

use super::tender::{Answer, Asking, Charge, TenderWay};

/// Money that goes from hand to hand.
pub struct ByHand;

fn by_hand<'a>() -> Asking<'a> {
    Box::pin(async { Ok(Answer::ByHand) })
}

impl TenderWay for ByHand {
    fn authorise<'a>(&'a self, _: &'a Charge<'a>) -> Asking<'a> {
        by_hand()
    }

    fn capture<'a>(&'a self, _: &'a Charge<'a>) -> Asking<'a> {
        by_hand()
    }

    fn void<'a>(&'a self, _: &'a Charge<'a>) -> Asking<'a> {
        by_hand()
    }

    fn refund<'a>(&'a self, _: &'a Charge<'a>) -> Asking<'a> {
        by_hand()
    }
}
