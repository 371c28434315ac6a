//! A shop with one member and what its rewards have in stock, as a store keeps them: each command loads what its footprint
//! names, and nothing else.

use std::collections::BTreeMap;

use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Batch, Command, Footprint, Loaded, OrderChange, Receipt, Refusal};
use guerdon_core::ledger::{Account, CurrencyId, Transaction};
use guerdon_core::program::{Bundle, Document, Program};
use guerdon_core::redemption::{Funds, Order, OrderDetails, OrderMove};
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::Timestamp;

pub const ANN: MemberId = MemberId(1);
pub const POINTS: i64 = 1_000_000;
const HOUR: i64 = 3_600_000;

/// Monday, 2 March 2026, 16:00 in Shanghai, and hours later.
pub fn at(hours: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap().plus_millis(hours * HOUR)
}

pub fn documents(rewards: &str) -> Vec<Document> {
    let rules = if rewards.contains("[[rules]]") { "" } else { "rules = []" };
    let file = format!(
        r#"
        currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = {{ after = 12, granule = "month" }} }}]
        {rules}
        [program]
        id = "shop"
        name = "Shop"
        money = "CNY"
        time_zone = "Asia/Shanghai"
        {rewards}
        "#
    );
    let bundle = Bundle::parse(&file).unwrap_or_else(|problem| panic!("{problem}: {file}"));
    let mut documents = bundle.documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    documents
}

#[allow(dead_code, reason = "each test uses what it needs")]
pub struct Shop {
    pub program: Program,
    pub account: Account,
    pub orders: BTreeMap<i64, Order>,
    pub stock: BTreeMap<String, StockLevel>,
    pub journal: Vec<Transaction>,
    ids: IdGenerator,
}

#[allow(dead_code, reason = "each test uses what it needs")]
impl Shop {
    pub fn of(rewards: &str, stock: &[(&str, i64)]) -> Self {
        let program = Program::from_documents(&documents(rewards)).unwrap();
        let stock = stock.iter().map(|(key, units)| ((*key).to_owned(), StockLevel::new(*units))).collect();
        let (account, orders, ids) = (Account::default(), BTreeMap::new(), IdGenerator::new(1));
        let mut shop = Self { program, account, orders, stock, journal: Vec::new(), ids };
        shop.decide(&Command::adjust(ANN, "a", at(0), CurrencyId(1), POINTS, "to spend").unwrap()).unwrap();
        shop
    }

    pub fn decide(&mut self, command: &Command) -> Result<Receipt, Refusal> {
        let prefetch = |footprint: &Footprint| -> Result<Loaded, Refusal> {
            let order = |key: &(MemberId, OrderId)| Some((*key, self.orders.get(&key.1.0)?.clone()));
            Ok(Loaded {
                accounts: footprint.members.iter().map(|member| (*member, self.account.clone())).collect(),
                orders: footprint.orders.iter().filter_map(order).collect(),
                stock: footprint.stock.iter().filter_map(|key| Some((key.clone(), *self.stock.get(key)?))).collect(),
                ..Loaded::default()
            })
        };
        let loaded = Footprint::load(&self.program, &[command], prefetch)?;
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(command)?;
        let changes = batch.finish();
        for (order, _) in changes.orders {
            assert_eq!(OrderDetails::decode(&order.details.encode()).unwrap(), order.details);
            self.orders.insert(order.id.0, order);
        }
        for (key, units) in &changes.opened {
            self.stock.entry(key.clone()).or_insert_with(|| StockLevel::new(*units));
        }
        for (key, change) in &changes.stock {
            let level = self.stock.get_mut(key).unwrap();
            *level = level.plus(*change);
        }
        self.journal.extend(changes.decisions.into_iter().map(|decision| decision.transaction));
        let account = changes.accounts.into_iter().next().unwrap().account;
        self.account = Account::decode(account.version, &account.encode()).unwrap();
        Ok(serde_json::from_str(&reply.receipt).unwrap())
    }

    pub fn key(&self) -> String {
        format!("key-{}", self.journal.len())
    }

    pub fn redeem(&mut self, reward: &str, quantity: i64, hours: i64) -> Result<OrderId, Refusal> {
        let command = Command::redeem(ANN, &self.key(), at(hours), reward, quantity, false).unwrap();
        self.decide(&command).map(|receipt| receipt.order.unwrap().id)
    }

    pub fn step(&mut self, order: OrderId, step: OrderMove, hours: i64) -> Result<Receipt, Refusal> {
        let reason = step.needs_reason().then(|| "for the test".to_owned());
        let change = OrderChange { order, owner: ANN, step, reason, shipment: None };
        self.decide(&Command::move_order(ANN, &self.key(), at(hours), change).unwrap().by("opr_1".to_owned()))
    }

    pub fn order(&self, order: OrderId) -> &Order {
        &self.orders[&order.0]
    }

    /// Points of the member are where the orders say, and the journal leads to the account as it is.
    pub fn check(&self) {
        let sum = |funds: Funds| -> i64 {
            self.orders.values().filter(|order| order.state.funds() == funds).map(|order| order.points).sum()
        };
        let balance = self.account.wallet(CurrencyId(1)).unwrap().balance();
        let (held, spent) = (sum(Funds::Held), sum(Funds::Spent));
        assert_eq!((balance.held, balance.available), (held, POINTS - held - spent));
        let mut followed = Account::default();
        self.journal.iter().for_each(|transaction| followed.follow(transaction).unwrap());
        assert_eq!(followed, self.account);
    }
}
