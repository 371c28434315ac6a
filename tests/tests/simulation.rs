//! Thousands of seeded runs; and proof that the simulation notices a store with a defect.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Changes, Footprint, Loaded};
use guerdon_core::ledger::Verifier;
use guerdon_core::program::Document;
use guerdon_core::proofs::{TileId, Tiles};
use guerdon_core::time::Timestamp;
use guerdon_store::{LogGrowth, LogHead, OutboxBatch, RamStore, Store, StoreError};
use guerdon_tests::run_seeds;
use guerdon_tests::simulation::{run, run_on};

const SEEDS: u64 = 10_000;
/// Within so many seeds each planted bug must be found.
const SEEDS_TO_FIND: u64 = 2_000;

/// What must happen in the runs more often than so many times, or more of it.
const DONE: &[(&str, u64)] = &[
    ("closed", SEEDS / 10),
    ("renumbered", SEEDS / 4),
    ("points expired", 0),
    ("points forgiven", 0),
    ("points decayed", 0),
    ("points repaid", 0),
    ("reminders", SEEDS / 4),
    // Orders, and what they take.
    ("refunded", SEEDS / 5),
    ("fulfilled", SEEDS / 40),
    ("failed", SEEDS / 20),
    ("mugs ordered", SEEDS / 10),
    ("biscuits ordered", SEEDS / 10),
    ("bundles ordered", SEEDS / 20),
    ("slots ordered", SEEDS / 20),
    ("lamps ordered", SEEDS / 20),
    ("rebooked", SEEDS / 100),
    ("units restocked", SEEDS / 2),
    ("units restocked by plan", SEEDS / 2),
    ("units lost", SEEDS / 10),
    ("handed out by scan", SEEDS / 40),
    ("handed out by typing", SEEDS / 40),
    // Money.
    ("ordered for points and money", SEEDS / 10),
    ("money authorised", SEEDS / 50),
    ("money declined", SEEDS / 100),
    ("money captured", SEEDS / 1_000),
    ("money failed", SEEDS / 2_000),
    ("money collected", SEEDS / 50),
    ("money let go", SEEDS / 1_000),
    ("money returned", SEEDS / 2_000),
    // Tills.
    ("authorised", SEEDS / 2),
    ("captured", SEEDS / 50),
    ("captured in part", SEEDS / 50),
    ("expired", SEEDS / 20),
    ("reversed before", SEEDS / 50),
    ("reversed", SEEDS / 50),
    ("reversed once more", SEEDS / 200),
    ("granted", SEEDS / 10),
    ("spent offline", SEEDS / 10),
    ("spent beyond", SEEDS / 20),
    ("owed offline", 0),
];

/// What must be refused more often than so many times, and with which code.
const REFUSED: &[(&str, &str, u64)] = &[
    ("mug", "out_of_stock", SEEDS / 50),
    ("breakfast", "out_of_stock", SEEDS / 50),
    ("massage", "out_of_stock", SEEDS / 100),
    ("lamp", "out_of_stock", SEEDS / 100),
    ("kettle", "out_of_stock", SEEDS / 100),
    ("biscuit", "limit_reached", SEEDS / 100),
    ("lamp", "reward_not_offered", SEEDS / 25),
    ("massage", "slot_not_offered", SEEDS / 20),
    ("mug", "choice_needed", SEEDS / 20),
    ("kettle", "split_not_offered", SEEDS / 20),
    ("kettle", "payment_due", SEEDS / 100),
    ("fulfil", "payment_due", SEEDS / 100),
    ("pay", "illegal_payment_move", SEEDS / 100),
    ("hand out", "voucher_redeemed", SEEDS / 20),
    ("hand out", "occurred_too_long_ago", SEEDS / 100),
    ("restock", "stock_reserved", SEEDS / 50),
    ("restock", "unknown_pool", SEEDS / 50),
    ("restock", "stock_unlimited", SEEDS / 50),
    ("authorise", "idempotency_mismatch", SEEDS / 100),
    ("authorise", "insufficient_points", SEEDS / 10),
    ("authorise", "invalid_amount", SEEDS / 10),
    ("capture", "checkout_over", SEEDS / 50),
    ("capture", "order_expired", SEEDS / 50),
    ("capture", "idempotency_mismatch", SEEDS / 200),
    ("reverse", "checkout_over", SEEDS / 100),
    ("reverse", "invalid_amount", SEEDS / 50),
    ("lapse", "illegal_order_move", SEEDS / 100),
    ("grant", "cap_reached", SEEDS / 500),
    ("grant", "invalid_request", SEEDS / 100),
    ("grant", "idempotency_mismatch", SEEDS / 100),
    ("spend", "idempotency_mismatch", SEEDS / 1_000),
];

#[test]
fn seeds_keep_every_invariant() {
    let Some(summary) = run_seeds("simulation", SEEDS, run) else { return };
    // Runs in which nothing happens prove nothing.
    assert!(summary.accepted > 10 * SEEDS && summary.refused > 2 * SEEDS && summary.replayed > SEEDS, "{summary:?}");
    assert!(summary.crashes > SEEDS && summary.conflicts > SEEDS && summary.ghosts > SEEDS / 10, "{summary:?}");
    assert!(summary.merged > SEEDS / 4 && summary.logged > 10 * SEEDS, "{summary:?}");
    for (what, least) in DONE {
        assert!(summary.count(what) > *least, "{what}: {} of {least}\n{summary:#?}", summary.count(what));
    }
    for (what, code, least) in REFUSED {
        let times = summary.refusals_of(what, code);
        assert!(times > *least, "{what} refused as {code}: {times} of {least}\n{summary:#?}");
    }
    assert!(summary.refused_as("out_of_stock") > SEEDS / 5, "{summary:#?}");
}

#[test]
fn each_planted_bug_is_found() {
    use guerdon_core::planted::{Bug, with};
    for bug in [
        Bug::LastExpiringFirst,
        Bug::KeysIgnored,
        Bug::ReleasedToAnotherLot,
        Bug::StockTakenBeforeCheck,
        Bug::RoundedUp,
        Bug::MergedTooEarly,
        Bug::RefundedTwice,
        Bug::ProfileOverwritten,
        Bug::BundlesInPart,
        Bug::RestockedTwice,
        Bug::FulfilledUnpaid,
        Bug::ReversedTwice,
        Bug::GrantedToEach,
    ] {
        let found = with(bug, || (0..SEEDS_TO_FIND).find_map(|seed| run(seed).err().map(|problem| (seed, problem))));
        let (seed, problem) = found.unwrap_or_else(|| panic!("{SEEDS_TO_FIND} seeds did not find {bug:?}"));
        println!("{bug:?}: seed {seed}: {}", problem.chars().take(200).collect::<String>());
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 77] {
        assert_eq!(format!("{:?}", run(seed)), format!("{:?}", run(seed)));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    LosesKeys,
    DoublesStock,
    CreditsTheWrongLot,
    ForgetsACommit,
    ChangesAReceipt,
    LosesAPoint,
    FindsNothingDue,
    KeepsOrdersHeld,
    ForgetsWhatCameIn,
    WidensSlots,
}

/// A store with one defect.
struct Faulty {
    store: RamStore,
    defect: Defect,
    commits: u32,
}

impl Store for Faulty {
    fn prefetch(&mut self, footprint: &Footprint) -> Result<Loaded, StoreError> {
        let mut loaded = self.store.prefetch(footprint)?;
        if self.defect == Defect::LosesKeys {
            loaded.committed.clear();
        }
        Ok(loaded)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.commits += 1;
        let mut changes = Changes {
            decisions: changes.decisions.clone(),
            accounts: changes.accounts.clone(),
            orders: changes.orders.clone(),
            stock: changes.stock.clone(),
            opened: changes.opened.clone(),
            budgets: changes.budgets.clone(),
        };
        match self.defect {
            Defect::DoublesStock => {
                for change in changes.stock.values_mut() {
                    change.issued *= 2;
                }
            }
            Defect::CreditsTheWrongLot => {
                for wallet in changes.accounts.iter_mut().flat_map(|change| &mut change.account.wallets) {
                    if let [first, .., last] = wallet.lots.as_mut_slice()
                        && first.remaining > 0
                    {
                        // The balance stays right; only the lots tell.
                        first.remaining -= 1;
                        last.remaining += 1;
                    }
                }
            }
            Defect::ForgetsACommit if self.commits == 9 => return Ok(()),
            Defect::ChangesAReceipt if self.commits == 9 => {
                if let Some(decision) = changes.decisions.first_mut() {
                    std::sync::Arc::make_mut(&mut decision.transaction.receipt).push(' ');
                }
            }
            Defect::LosesAPoint if self.commits == 9 => {
                if let Some(transfer) =
                    changes.decisions.iter_mut().flat_map(|decision| &mut decision.transaction.transfers).next()
                {
                    transfer.amount -= 1;
                }
            }
            Defect::ForgetsWhatCameIn => {
                changes.stock.values_mut().for_each(|change| change.restocked = 0);
            }
            Defect::WidensSlots => {
                changes.opened.values_mut().for_each(|places| *places += 1);
            }
            Defect::KeepsOrdersHeld => changes.orders.retain(|(_, is_new)| *is_new),
            _ => {}
        }
        self.store.commit(&changes)
    }

    fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        if self.defect == Defect::FindsNothingDue {
            return Ok(Vec::new());
        }
        self.store.due(now, limit)
    }
    fn accounts_after(&mut self, after: MemberId, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        self.store.accounts_after(after, limit)
    }

    fn last_id(&mut self) -> Result<i64, StoreError> {
        self.store.last_id()
    }

    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        self.store.documents()
    }

    fn add_documents(
        &mut self,
        documents: &[Document],
        stock: &[(String, i64)],
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        self.store.add_documents(documents, stock, events, ids)
    }

    fn revision(&mut self) -> Result<i64, StoreError> {
        self.store.revision()
    }

    fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        self.store.meta(key)
    }

    fn members_under(&mut self, key_id: &str, limit: usize) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError> {
        self.store.members_under(key_id, limit)
    }
    fn rewrap_members(&mut self, from: &str, to: &str, members: &[(MemberId, Vec<u8>)]) -> Result<(), StoreError> {
        self.store.rewrap_members(from, to, members)
    }
    fn set_keyring(&mut self, from: Option<&str>, to: &str, unused: Option<&str>) -> Result<bool, StoreError> {
        self.store.set_keyring(from, to, unused)
    }
    fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.store.set_meta(key, value)
    }

    fn outbox(&mut self, limit: usize) -> Result<Vec<OutboxBatch>, StoreError> {
        self.store.outbox(limit)
    }

    fn log_head(&mut self) -> Result<LogHead, StoreError> {
        self.store.log_head()
    }

    fn log_tiles(&mut self, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError> {
        self.store.log_tiles(ids)
    }

    fn append_log(&mut self, growth: &LogGrowth) -> Result<(), StoreError> {
        self.store.append_log(growth)
    }

    fn audit(&mut self, verifier: &mut Verifier) -> Result<(), StoreError> {
        self.store.audit(verifier)
    }
}

#[test]
fn a_store_with_a_defect_is_noticed() {
    for defect in [
        Defect::LosesKeys,
        Defect::DoublesStock,
        Defect::CreditsTheWrongLot,
        Defect::ForgetsACommit,
        Defect::ChangesAReceipt,
        Defect::LosesAPoint,
        Defect::FindsNothingDue,
        Defect::KeepsOrdersHeld,
        Defect::ForgetsWhatCameIn,
        Defect::WidensSlots,
    ] {
        let found = (0..200).find_map(|seed| {
            run_on(seed, Faulty { store: RamStore::new(), defect, commits: 0 }).err().map(|problem| (seed, problem))
        });
        let (seed, problem) = found.unwrap_or_else(|| panic!("200 seeds did not notice a store that {defect:?}"));
        println!("{defect:?}: seed {seed}: {}", problem.chars().take(200).collect::<String>());
    }
}
