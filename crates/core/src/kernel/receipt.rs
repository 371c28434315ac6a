//! Receipts: what a command answers when accepted, and keeps as its explanation.

use serde::{Deserialize, Serialize};

use super::{Event, Refusal, RefusalCode, Restocking};
use crate::earning::{Counted, Moments, Outcome, ReturnedPurchase, Spent};
use crate::id::{ActivityId, MemberId, OrderId, TransactionId};
use crate::ledger::{
    AccountStatus, Balance, CurrencyId, Extended, FinalPurchase, Merge, TransactionKind, WalletAgenda,
};
use crate::redemption::{Granted, HandedOut, OrderState, Paid, Payment, PaymentState, PaymentTender};
use crate::serial::is_zero;
use crate::tiers::TierReceipt;
use crate::time::Timestamp;

/// The activity that a receipt is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityReceipt {
    /// Its id.
    pub id: ActivityId,
    /// Its kind.
    pub kind: String,
    /// Its money in minor units.
    pub amount: i64,
    /// Whether it is counted by days, for windows that roll.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_day: bool,
}

/// The order that a receipt is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReceipt {
    /// Its id.
    pub id: OrderId,
    /// What is redeemed.
    pub reward_id: String,
    /// How many.
    pub quantity: i64,
    /// Points in all.
    pub points: i64,
    /// Their currency.
    pub currency: CurrencyId,
    /// Where it stands now.
    pub state: OrderState,
    /// Points for one unit, where the order costs less than its units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<i64>,
    /// Whether it was made at the price of a quote.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quoted: bool,
    /// Whether it was disputed by this, or the dispute declined; left out: neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disputed: Option<bool>,
    /// The variant that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The slot of its appointment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// What is paid in money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentReceipt>,
    /// Where it was handed out, when that is said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_out: Option<HandedOut>,
    /// What it pays of a checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tender: Option<TenderReceipt>,
    /// What a terminal may spend without network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<AllowanceReceipt>,
    /// What a terminal has spent without network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<OfflineReceipt>,
}

/// What an order is paid in money, on a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReceipt {
    /// How.
    pub tender: PaymentTender,
    /// Minor units of the program's money.
    pub amount: i64,
    /// Where it stands.
    pub state: PaymentState,
    /// What the tender calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl PaymentReceipt {
    /// Of a payment as it stands.
    pub(super) fn of(payment: &Payment) -> Self {
        let reference = payment.reference().map(str::to_owned);
        Self { tender: payment.tender, amount: payment.amount, state: payment.state(), reference }
    }
}

/// What points pay of a checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenderReceipt {
    /// The till's own number of the checkout.
    pub reference: String,
    /// In which store.
    pub store: String,
    /// What the whole basket costs, in minor units of money.
    pub basket: i64,
    /// What was set aside.
    pub authorised: Paid,
    /// What was spent of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Paid>,
    /// What was given back of what was spent, in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Paid>,
    /// When it is given back, unless it is captured before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_at: Option<Timestamp>,
}

/// What a terminal may spend without network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowanceReceipt {
    /// Which allowance of the member it is, counted from 1.
    pub number: i64,
    /// In which store.
    pub store: String,
    /// At which terminal alone.
    pub terminal: String,
    /// How many points, and what they pay.
    pub granted: Paid,
    /// Until when.
    pub ends_at: Timestamp,
    /// All allowances of the member that are good at the moment, this one among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lent: Vec<Granted>,
    /// The same in receipts of former versions, whose accounts did not keep them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<Granted>,
}

/// What a terminal has spent without network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfflineReceipt {
    /// So many points, by the terminal.
    pub points: i64,
    /// How many of them were beyond the allowance, or on one of another terminal.
    pub beyond: i64,
    /// What was charged.
    pub charged: Paid,
    /// Points that the member owes since.
    pub owed: i64,
    /// Points that nobody pays.
    pub lost: i64,
    /// The order of what was charged and is owed, by which it is reversed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tender: Option<OrderId>,
}

/// What whoever referred the member got by the same command, or lost; on the receipt of the member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferrerShare {
    /// The referrer.
    pub member_id: MemberId,
    /// The entry in the referrer's journal.
    pub transaction_id: TransactionId,
    /// Which rule gave or took how much, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explanation: Vec<Outcome>,
}

/// Whose doing an entry comes from; on the receipt of the referrer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The member who was referred.
    pub member_id: MemberId,
    /// The entry in that member's journal.
    pub transaction_id: TransactionId,
}

/// What a command answers when accepted. Stored as it is answered, so that a retry gets the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The member.
    pub member_id: MemberId,
    /// What the transaction is about.
    pub kind: TransactionKind,
    /// When it happened.
    pub at: Timestamp,
    /// Who sent the command: the id of an API key, a client or an operator, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The change of the points that the member can spend now.
    pub points: i64,
    /// The change of the member's tier value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub growth: i64,
    /// Which rule gave or took how much, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explanation: Vec<Outcome>,
    /// What the activity added to the counters of caps and conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Counted>,
    /// What the activity took out of budgets that members share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Spent>,
    /// The purchase that a return names, and how much of it was returned by this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnedPurchase>,
    /// Points that a return should have taken back but that were not there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forgiven: i64,
    /// Points that a return should have taken back, or that were spent without network and not there, and that the member owes since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owed: i64,
    /// Points owed that are owed no longer, because what was had for them came back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub debt_cancelled: i64,
    /// Points owed that were taken out of what was earned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repaid: i64,
    /// Points that matured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub matured: i64,
    /// Points that expired.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expired: i64,
    /// Points that were lost to the yearly decay.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decayed: i64,
    /// Points that were lost because the account was closed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forfeited: i64,
    /// Why a balance was adjusted, an account closed or merged, an order refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which fields of the profile were changed: their names, never what stands in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The activity, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<ActivityReceipt>,
    /// The order, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderReceipt>,
    /// The units that came into stock or out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restock: Option<Restocking>,
    /// Where the account stands since, when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AccountStatus>,
    /// Who referred the member, when that is said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer: Option<MemberId>,
    /// What whoever referred the member got or lost by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_share: Option<ReferrerShare>,
    /// Whose doing it comes from, when it is another member's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What it did to the member's standing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierReceipt>,
    /// The merge, on both of its entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<Merge>,
    /// That lots came to live longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<Extended>,
    /// What was collected for it, in minor units of money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<i64>,
    /// The purchase that was made final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_final: Option<FinalPurchase>,
    /// What is due on wallets, and owed, where that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agenda: Vec<WalletAgenda>,
    /// What is to be told because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// Balances after the transaction.
    pub balances: Vec<Balance>,
}

/// What stands in a receipt before its outcomes.
#[derive(Serialize)]
struct Head<'a> {
    transaction_id: TransactionId,
    member_id: MemberId,
    kind: TransactionKind,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    points: i64,
    #[serde(skip_serializing_if = "is_zero")]
    growth: i64,
}

impl Receipt {
    /// As JSON, as it is answered and stored: the same bytes that `Serialize` makes. Outcomes and counters are nearly all of it,
    /// and are put between what serde writes of the rest.
    pub(super) fn written(&mut self) -> Result<String, Refusal> {
        let unwritten = |problem: String| Refusal::new(RefusalCode::InvalidRequest, problem);
        let (explanation, counted) = (std::mem::take(&mut self.explanation), std::mem::take(&mut self.counted));
        let json = self.with(&explanation, &counted).map_err(|error| unwritten(error.to_string()));
        (self.explanation, self.counted) = (explanation, counted);
        String::from_utf8(json?).map_err(|error| unwritten(error.to_string()))
    }

    /// The JSON of this receipt, which has neither, with outcomes and counters.
    fn with(&self, explanation: &[Outcome], counted: &[Counted]) -> serde_json::Result<Vec<u8>> {
        // Room for all of it: a text that grows is copied again and again.
        let mut json = Vec::with_capacity(768 + 160 * explanation.len() + 112 * counted.len());
        let Self { transaction_id, member_id, kind, at, points, growth, .. } = *self;
        let actor = self.actor.as_deref();
        serde_json::to_writer(&mut json, &Head { transaction_id, member_id, kind, at, actor, points, growth })?;
        // Without the bracket that ends the head: the rest begins where it stood.
        json.pop();
        let place = json.len();
        write_list(&mut json, br#","explanation":["#, explanation, Outcome::write_json)?;
        write_list(&mut json, br#","counted":["#, counted, Counted::write_json)?;
        let whole = serde_json::to_vec(self)?;
        json.extend_from_slice(whole.get(place..).unwrap_or_default());
        Ok(json)
    }
}

fn write_list<T>(
    json: &mut Vec<u8>,
    name: &[u8],
    items: &[T],
    write: impl Fn(&T, &mut Vec<u8>, &mut Moments) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    let mut moments = Moments::default();
    for (index, item) in items.iter().enumerate() {
        json.extend_from_slice(if index == 0 { name } else { b"," });
        write(item, json, &mut moments)?;
    }
    if !items.is_empty() {
        json.push(b']');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that outcomes and counters may say, with texts that must be escaped.
    const FULL: &str = r#"{"transaction_id":"txn_0000000000001","member_id":"mem_0000000000001","kind":"activity",
        "at":"2026-03-07T11:00:00.123Z","actor":"a \"b\"","points":3,"growth":4,"explanation":[
            {"rule":"a\\\"\n\u0001é","version":2,"points":-3,"currency":1,"amount":5,"rate":"1.50","step":"10","factor":"2",
             "of_rule":"b\t","act":{"type":"message","template":"\"t\""},"facts":{"history.\"x\"":-1,"y":2},
             "trimmed":{"offered":9,"cap":"rule","window":"day","points":3,"count":1},"lost_to":"c","stopped_by":"d",
             "active_at":"2026-03-08T00:00:00Z","expires_at":"2027-03-01T00:00:00.5Z","until_final":true,"repaid":1,
             "funding":7},
            {"rule":"plain","version":1,"points":0,"currency":2,"expires_at":"2027-03-01T00:00:00.5Z"}],
        "counted":[{"rule":"\"","window":"day","ends_at":"2026-03-08T00:00:00Z","count":1,"sum":2},
            {"currency":1,"window":"month","ends_at":"2026-04-01T00:00:00Z","count":1,"sum":-2},
            {"kind":"k","window":"year","ends_at":"2026-04-01T00:00:00Z","count":1,"sum":0},
            {"campaign":"c","window":"hour","ends_at":"2026-03-08T00:00:00Z","count":1,"sum":0},
            {"reward":"mug","window":"month","ends_at":"2026-03-08T00:00:00Z","count":-1,"sum":-2},
            {"private":"mug","window":"event","ends_at":"2026-03-08T00:00:00Z","count":1,"sum":2},
            {"referred":"r","window":"week","ends_at":"2026-03-08T00:00:00Z","count":1,"sum":0}],
        "forgiven":1,"reason":"r","balances":[]}"#;

    #[test]
    fn it_is_written_as_serde_writes_it() {
        let full: Receipt = serde_json::from_str(FULL).unwrap();
        let outcome = &full.explanation[0];
        assert!(outcome.act.is_some() && outcome.trimmed.is_some() && outcome.until_final && outcome.repaid == 1);
        let only_outcomes = Receipt { counted: Vec::new(), growth: 0, actor: None, ..full.clone() };
        let only_counters = Receipt { explanation: Vec::new(), ..full.clone() };
        let neither = Receipt { counted: Vec::new(), ..only_counters.clone() };
        for mut receipt in [full, only_outcomes, only_counters, neither] {
            let before = receipt.clone();
            assert_eq!(receipt.written().unwrap(), serde_json::to_string(&before).unwrap());
            assert_eq!(receipt, before);
        }
    }
}
