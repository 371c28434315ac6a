//! Two accounts of one person, each with an allowance for a till without network, become one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{AllowanceRequest, Batch, Command, Loaded, Receipt, Refusal, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId, Transaction};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::time::Timestamp;

const ANN: MemberId = MemberId(1);
const ANNA: MemberId = MemberId(2);

const SHOP: &str = r#"
currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
[program]
id = "shop"
name = "Shop"
money = "CNY"
time_zone = "Asia/Shanghai"
checkout = { offline = { points = 500, hours = 24, reserve = false } }
"#;

fn at(hours: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap().plus_millis(hours * 3_600_000)
}

struct Shop {
    program: Program,
    accounts: BTreeMap<MemberId, Account>,
    journal: Vec<Transaction>,
    ids: IdGenerator,
}

impl Shop {
    fn new() -> Self {
        let program = Program::from_documents(&Bundle::parse(SHOP).unwrap().documents().unwrap()).unwrap();
        let accounts = [ANN, ANNA].map(|member| (member, Account::default())).into();
        let mut shop = Self { program, accounts, journal: Vec::new(), ids: IdGenerator::new(1) };
        for member in [ANN, ANNA] {
            shop.decide(&Command::adjust(member, "gift", at(0), CurrencyId(1), 1_000, "welcome").unwrap()).unwrap();
        }
        shop
    }

    fn decide(&mut self, command: &Command) -> Result<Receipt, Refusal> {
        let committed = self.journal.iter().map(|done| {
            let key = (done.member_id, done.idempotency_key.clone());
            let (request_digest, receipt) = (done.request_digest, done.receipt.clone());
            (key, guerdon_core::kernel::Committed { request_digest, receipt })
        });
        let accounts = self.accounts.iter().map(|(member, account)| (*member, account.clone()));
        let loaded = Loaded { accounts: accounts.collect(), committed: committed.collect(), ..Loaded::default() };
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(command)?;
        let changes = batch.finish();
        self.journal.extend(changes.decisions.into_iter().map(|decision| decision.transaction));
        for change in changes.accounts {
            // What is stored is what is read again.
            let stored = Account::decode(change.account.version, &change.account.encode()).unwrap();
            assert_eq!(stored, change.account);
            self.accounts.insert(change.member_id, stored);
        }
        Ok(serde_json::from_str(&reply.receipt).unwrap())
    }

    fn grant(&mut self, member: MemberId, number: i64, points: Option<i64>, hours: i64) -> Result<i64, Refusal> {
        let wanted = AllowanceRequest { store: "North".to_owned(), terminal: "till 3".to_owned(), points, number };
        let receipt = self.decide(&Command::grant_allowance(member, at(hours), wanted)?)?;
        Ok(receipt.order.unwrap().allowance.unwrap().granted.points)
    }
}

#[test]
fn what_both_were_granted_counts_for_the_one_who_goes_on() {
    let mut shop = Shop::new();
    assert_eq!(shop.grant(ANN, 1, Some(100), 1).unwrap(), 100);
    assert_eq!(shop.grant(ANNA, 1, Some(300), 2).unwrap(), 300);
    shop.decide(&Command::merge(ANNA, ANN, "one", at(3), "one person").unwrap()).unwrap();
    assert!(shop.accounts[&ANNA].lent.is_empty());
    assert_eq!(shop.grant(ANN, 2, None, 4).unwrap(), 100, "500 in all, of which 400 are granted");
    let refusal = shop.grant(ANN, 3, None, 5).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::CapReached);
    // What the one had ends after a day, then what the other brought.
    assert_eq!(shop.grant(ANN, 3, None, 25).unwrap(), 100);
    assert_eq!(shop.grant(ANN, 4, None, 26).unwrap(), 300);
    // The journal alone leads to the same.
    for (member, account) in &shop.accounts {
        let mut followed = Account::default();
        shop.journal.iter().filter(|done| done.member_id == *member).for_each(|done| followed.follow(done).unwrap());
        assert_eq!(&followed.lent, &account.lent);
    }
}
