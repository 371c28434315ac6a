//! What runs of fulfilments offer: rewards out of the vault, coupons, those of two suppliers, and bundles of them. As the program says
//! it, and beside it as it is written down by hand.

use crate::world::HOUR;

/// Appended to the program of the other runs.
pub(crate) const AUTOMATIC: &str = r#"
[program.orders]
expire_after_hours = 72

[[rewards]]
id = "film"
name = "A film"
price = 60
kind = { type = "virtual_code" }
fulfilment = { by = "vault" }

[[rewards]]
id = "tenner"
name = "Ten pounds off"
price = 50
kind = { type = "coupon", value = "10" }
fulfilment = { by = "coupon" }

[[rewards]]
id = "topup"
name = "Phone credit"
price = 40
kind = { type = "virtual_code" }
fulfilment = { by = "supplier", supplier = "phone" }

[[rewards]]
id = "gift"
name = "A gift card"
price = 45
kind = { type = "virtual_code" }
fulfilment = { by = "supplier", supplier = "cards" }

[[rewards]]
id = "poster"
name = "A poster"
price = 20
kind = { type = "physical" }

[[rewards]]
id = "night"
name = "A night at the cinema"
price = 120
kind = { type = "bundle", contents = [{ reward = "film", quantity = 2 }, { reward = "tenner" }, { reward = "topup" }] }

[[rewards]]
id = "duo"
name = "Credit and a card"
price = 80
kind = { type = "bundle", contents = [{ reward = "topup" }, { reward = "gift" }] }

[[rewards]]
id = "box"
name = "A film and its poster"
price = 70
kind = { type = "bundle", contents = [{ reward = "film" }, { reward = "poster" }] }
"#;

/// All of them that are ordered.
pub(crate) const ORDERED: [&str; 7] = ["film", "tenner", "topup", "gift", "night", "duo", "box"];

/// After how long an order expires that nobody comes back to, in milliseconds.
pub(crate) const EXPIRES: i64 = 72 * HOUR;

/// The supplier that knows of cancelling, and gives no codes.
pub(crate) const PHONE: &str = "phone";
/// The supplier that knows of no cancelling, and gives a code for each unit.
pub(crate) const CARDS: &str = "cards";

/// How a part comes to its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Vault,
    Coupon,
    /// By one of the suppliers.
    Supplier(&'static str),
}

/// What the program hands out of one unit of a reward: the part, how many of it, and how.
pub(crate) fn parts(reward: &str) -> &'static [(&'static str, i64, Way)] {
    match reward {
        "film" => &[("film", 1, Way::Vault)],
        "tenner" => &[("tenner", 1, Way::Coupon)],
        "topup" => &[("topup", 1, Way::Supplier(PHONE))],
        "gift" => &[("gift", 1, Way::Supplier(CARDS))],
        "night" => &[("film", 2, Way::Vault), ("tenner", 1, Way::Coupon), ("topup", 1, Way::Supplier(PHONE))],
        "duo" => &[("topup", 1, Way::Supplier(PHONE)), ("gift", 1, Way::Supplier(CARDS))],
        "box" => &[("film", 1, Way::Vault)],
        _ => &[],
    }
}

/// Whether an order for it is handed out part by part.
pub(crate) fn is_bundle(reward: &str) -> bool {
    ["night", "duo", "box"].contains(&reward)
}

/// Whether the program hands it out, or a part of it.
pub(crate) fn is_automatic(reward: &str) -> bool {
    !parts(reward).is_empty()
}

/// Whether a supplier is asked for it, or for a part of it.
pub(crate) fn is_by_supplier(reward: &str) -> bool {
    parts(reward).iter().any(|(_, _, way)| matches!(way, Way::Supplier(_)))
}

/// Whether people have something to send once the program has handed out its parts.
pub(crate) fn has_rest(reward: &str) -> bool {
    reward == "box"
}

/// Points for one unit.
pub(crate) fn price(reward: &str) -> Option<i64> {
    Some(match reward {
        "film" => 60,
        "tenner" => 50,
        "topup" => 40,
        "gift" => 45,
        "poster" => 20,
        "night" => 120,
        "duo" => 80,
        "box" => 70,
        _ => return None,
    })
}
