//! The membership card as the portal shows it.

use guerdon_core::id::MemberId;
use guerdon_core::members::{CardKey, STEP_SECONDS, card_number, grouped_card_number};

use crate::AppState;
use crate::picture::{svg_bar_code, svg_qr};

/// A card at a moment.
pub struct ShownCard {
    /// The text of the QR code.
    pub text: String,
    /// The QR code, SVG.
    pub qr: String,
    /// The card number in groups.
    pub number: String,
    /// The bar code of the number, SVG.
    pub bar_code: String,
    /// Milliseconds until the next card takes its place.
    pub next_in: i64,
}

/// The card of a member now. The labels say to a screen reader what the two pictures are.
pub fn show_card(state: &AppState, member: MemberId, qr_label: &str, bar_code_label: &str) -> ShownCard {
    let now = state.clock();
    let text = CardKey::of(&state.keys()).show(member, now);
    let step = STEP_SECONDS * 1_000;
    ShownCard {
        // Both are of a length that fits, so neither picture is ever missing.
        qr: svg_qr(&text, qr_label).unwrap_or_default(),
        bar_code: svg_bar_code(&card_number(member), bar_code_label).unwrap_or_default(),
        number: grouped_card_number(member),
        next_in: step - now.as_millis().rem_euclid(step),
        text,
    }
}
