//! The codes of the member's own order: to read, to copy, and to show at a till.

use guerdon_core::redemption::Order;

use crate::AppState;
use crate::console::Frame;
use crate::fulfilment::codes::{self, OpenCode, Terms};
use crate::picture::svg_qr;
use crate::problem::Problem;

/// Codes that are shown with a picture; of more the texts are enough.
const PICTURES: usize = 10;

/// A code as it is shown.
pub struct CodeLine {
    /// The part of a bundle that it is for.
    pub part: Option<String>,
    /// The code.
    pub code: String,
    /// Its QR code; empty: none.
    pub qr: String,
    /// What it is worth, in words.
    pub terms: Option<String>,
}

/// The codes of an order of the member; none: nothing was handed out.
pub async fn lines(frame: &Frame, state: &AppState, order: &Order) -> Result<Vec<CodeLine>, Problem> {
    let codes = codes::of_order(state, order).await?;
    let pictures = codes.len() <= PICTURES;
    let line = |OpenCode { part, code, terms, .. }: OpenCode| CodeLine {
        part: part.map(|part| frame.reward_name(&part)),
        qr: Some(&code)
            .filter(|_| pictures)
            .and_then(|code| svg_qr(code, &frame.say_text("order-code-qr", "code", code)))
            .unwrap_or_default(),
        terms: terms.map(|terms| in_words(frame, &terms)),
        code,
    };
    Ok(codes.into_iter().map(line).collect())
}

/// What a coupon is worth.
pub fn in_words(frame: &Frame, terms: &Terms) -> String {
    let money = |major| frame.major_money(major).unwrap_or_default();
    let value = frame.say_text("order-code-value", "money", &money(terms.value));
    let minimum = terms.minimum.map(|minimum| frame.say_text("order-code-minimum", "money", &money(minimum)));
    let until = terms.valid_until.map(|until| frame.say_text("order-code-until", "time", &frame.time(until)));
    [Some(value), minimum, until].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}
