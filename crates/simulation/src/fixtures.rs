//! The program of the simulation and of the whole-system tests, and commands for it.

use std::sync::{Arc, LazyLock};

use guerdon_core::earning::{Activity, ActivityLine};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Footprint, Refusal};
use guerdon_core::ledger::{Account, CurrencyId};
use guerdon_core::members::Profile;
use guerdon_core::privacy::{Keyring, MasterKey, NONCE, SEAL_RANDOM, SECRETS_RANDOM, SealedProfile};
use guerdon_core::program::Bundle;
use guerdon_core::time::Timestamp;
use guerdon_store::Store;
use serde_json::Map;

/// The program of all whole-system tests.
pub const PROGRAM: &str = r#"
[program]
id = "gift-club"
name = "Gift Club"
money = "GBP"
time_zone = "Europe/London"

[[currencies]]
id = 1
code = "points"
name = "Points"
per_money_unit = 100
expiry = { after = 24, granule = "month" }

[[rules]]
id = "base"
name = "One point for each pound"
trigger = "purchase"
effect = { type = "points_per_money", rate = "1" }

[[rules]]
id = "big-basket"
name = "A tenth more above £100"
trigger = "purchase"
condition = "activity.net > 10000"
effect = { type = "percent_of_rule", rule = "base", percent = "10" }

[[rules]]
id = "christmas"
name = "Half a point more for Christmas goods"
trigger = "purchase"
effect = { type = "points_per_money", rate = "0.5", lines = "line.description.contains('CHRISTMAS')" }

[[rules]]
id = "return-back"
name = "Points go back with the goods"
trigger = "return"
effect = { type = "take_back_per_money", rate = "1" }

[[rules]]
id = "check-in"
name = "Five points for a visit"
trigger = "check_in"
pending_days = 2
effect = { type = "fixed_points", points = 5 }

[[rewards]]
id = "voucher-5"
name = "£5 voucher"
price = 500
stock = 100

[[rewards]]
id = "tea"
name = "A cup of tea"
price = 40
"#;

/// Tiers of the simulation: by money spent and purchases over all time, welcomed with 11 points each.
pub(crate) const TIERS: &str = r#"
[[tiers]]
id = "regular"
name = "Regular"
rank = 0

[[tiers]]
id = "silver"
name = "Silver"
rank = 1
qualify = [{ spend = "300" }]

[[tiers]]
id = "gold"
name = "Gold"
rank = 2
qualify = [{ spend = "1000", orders = 4 }]

[[rules]]
id = "welcome"
name = "Welcome to a tier"
trigger = "tier_changed"
condition = "tier.rank > tier.rank_before"
effect = { type = "fixed_points", points = 11 }
"#;

/// The program's only currency.
pub const POINTS: CurrencyId = CurrencyId(1);
/// The reward with a stock of 100, at 500 points.
pub const VOUCHER: &str = "voucher-5";
/// The reward without a limit, at 40 points.
pub const TEA: &str = "tea";

/// An instant written in RFC 3339.
pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

/// The moment at which most tests play.
pub fn today() -> Timestamp {
    at("2026-03-10T09:00:00Z")
}

/// The parsed program file.
pub fn bundle() -> Bundle {
    Bundle::parse(PROGRAM).expect("the program of the tests")
}

/// A purchase or return of an amount in minor units.
pub fn paid(kind: &str, occurred_at: Timestamp, amount: i64) -> Activity {
    Activity { amount: Some(amount), ..custom(kind, occurred_at) }
}

/// An activity without money.
pub fn custom(kind: &str, occurred_at: Timestamp) -> Activity {
    Activity { kind: kind.to_owned(), occurred_at: Some(occurred_at), ..Activity::default() }
}

/// A purchase of lines, each a description, a quantity and a unit price in major units.
pub fn basket(occurred_at: Timestamp, lines: &[(&str, &str, &str)]) -> Activity {
    let line = |(description, quantity, unit_price): &(&str, &str, &str)| ActivityLine {
        sku: None,
        description: Some((*description).to_owned()),
        category: None,
        quantity: quantity.parse().expect("a quantity"),
        unit_price: unit_price.parse().expect("a price"),
    };
    Activity { lines: lines.iter().map(line).collect(), ..custom("purchase", occurred_at) }
}

/// The profile of a member whom the brand knows by a number.
pub fn profile(external_id: &str) -> Profile {
    Profile { external_id: Some(external_id.to_owned()), ..Profile::default() }
}

/// The keys of the tests and of the simulation. No secret.
pub fn test_keyring() -> &'static Keyring {
    static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
        let master = Arc::new(MasterKey::new([1; 32]));
        Keyring::generate(master, [2; SECRETS_RANDOM]).expect("a keyring").0
    });
    &KEYRING
}

/// A command that enrols a member, sealed with the same bytes each time: a seed replays a run exactly.
pub fn enrol(member: MemberId, key: &str, at: Timestamp, profile: &Profile) -> Result<Command, Refusal> {
    Command::enrol(test_keyring(), [3; SEAL_RANDOM], member, key, at, profile)
}

/// The profile of a member whom the brand knows by a number, as [`enrol`] and [`renumber`] seal it.
pub fn sealed(member: MemberId, external_id: &str) -> SealedProfile {
    test_keyring().seal_profile(member, &profile(external_id), [3; SEAL_RANDOM]).expect("a sealed profile")
}

/// A command that gives a member another number, over a profile in which the client has read `read`.
pub fn renumber(member: MemberId, key: &str, at: Timestamp, read: &str, external_id: &str) -> Result<Command, Refusal> {
    let patch = Map::from_iter([("external_id".to_owned(), external_id.into())]);
    Command::change_profile(test_keyring(), [3; NONCE], member, key, at, &sealed(member, read), &patch)
}

/// The account of a member, when there is one.
pub fn stored_account(store: &mut dyn Store, member: MemberId) -> Option<Account> {
    let footprint = Footprint { members: vec![member], ..Footprint::default() };
    store.prefetch(&footprint).expect("loaded").accounts.remove(&member)
}
