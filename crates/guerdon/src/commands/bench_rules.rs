//! The benchmark of the rule engine: fifty rules in force over a basket of ten lines, outside of the batch and inside. What it
//! costs goes by how many rules have something to tell, so there are two kinds of basket: from two shelves and from all.

use std::fmt::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Command, Loaded, Receipt};
use guerdon_core::ledger::Account;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::time::{EARLIEST, Timestamp};
use hdrhistogram::Histogram;
use serde_json::json;

/// Baskets before the measured ones, so that accounts have a history and caches are warm.
const WARM_UP: usize = 2_000;
/// Baskets that are measured.
const BASKETS: usize = 20_000;
/// Members in turn: each batch has one command of each.
const MEMBERS: i64 = 100;

/// From how many shelves the lines of a basket are.
#[derive(Clone, Copy)]
enum Shelves {
    Two,
    All,
}

/// Measures, and prints.
pub fn measure(json: bool) -> Result<()> {
    let runs = [("two shelves", run(Shelves::Two)?), ("all shelves", run(Shelves::All)?)];
    if json {
        let told = runs.iter().map(|(what, run)| ((*what).to_owned(), run.json()));
        println!("{}", serde_json::Value::Object(told.collect()));
        return Ok(());
    }
    runs.iter().for_each(|(what, run)| run.print(what));
    Ok(())
}

/// What one kind of basket came to.
struct Run {
    times: [(&'static str, Histogram<u64>); 3],
    outcomes: usize,
    points: i64,
}

fn run(shelves: Shelves) -> Result<Run> {
    let program = program()?;
    let (mut outside, mut inside, mut all) =
        (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    let mut ids = IdGenerator::new(0);
    let mut accounts: Vec<(MemberId, Account)> = (1..=MEMBERS).map(|id| (MemberId(id), Account::default())).collect();
    let (mut outcomes, mut points, mut done) = (0, 0, 0);
    while done < WARM_UP + BASKETS {
        let now = Timestamp::parse_rfc3339("2026-03-07T11:00:00Z")
            .map_err(anyhow::Error::msg)?
            .plus_millis(i64::try_from(done)? * 60_000);
        let mut commands = Vec::with_capacity(accounts.len());
        for (member, _) in &accounts {
            let activity = basket(done + commands.len(), shelves);
            let started = Instant::now();
            let command = Command::record(&program, *member, &format!("basket-{done}"), &activity, now, EARLIEST)?;
            commands.push((command, started.elapsed()));
        }
        let loaded = Loaded { accounts: accounts.iter().cloned().collect(), ..Loaded::default() };
        let mut batch = Batch::new(&program, loaded, &mut ids, now);
        for (command, before) in &commands {
            let started = Instant::now();
            let reply = batch.decide(command)?;
            let within = started.elapsed();
            if done >= WARM_UP {
                outside.record(u64::try_from(before.as_nanos())?)?;
                inside.record(u64::try_from(within.as_nanos())?)?;
                all.record(u64::try_from((*before + within).as_nanos())?)?;
                let receipt: Receipt = serde_json::from_str(&reply.receipt)?;
                outcomes += receipt.explanation.len();
                points += receipt.points;
            }
        }
        done += commands.len();
        accounts = batch.finish().accounts.into_iter().map(|change| (change.member_id, change.account)).collect();
    }
    let times = [("outside the batch", outside), ("inside the batch", inside), ("in all", all)];
    Ok(Run { times, outcomes, points })
}

#[expect(clippy::float_arithmetic, reason = "times for people, not points")]
impl Run {
    fn told(&self) -> f64 {
        self.outcomes as f64 / BASKETS as f64
    }

    fn micros(nanos: &Histogram<u64>) -> [f64; 3] {
        [0.5, 0.9, 0.99].map(|quantile| nanos.value_at_quantile(quantile) as f64 / 1_000.0)
    }

    fn json(&self) -> serde_json::Value {
        let times = self.times.iter().map(|(what, nanos)| {
            let [p50, p90, p99] = Self::micros(nanos);
            ((*what).to_owned(), json!({ "p50_us": p50, "p90_us": p90, "p99_us": p99 }))
        });
        let times: serde_json::Map<String, serde_json::Value> = times.collect();
        json!({ "baskets": BASKETS, "outcomes_per_basket": self.told(), "points": self.points, "times": times })
    }

    fn print(&self, what: &str) {
        let told = self.told();
        println!("{BASKETS} baskets of ten lines from {what} under fifty rules; {told:.1} of them tell of each basket");
        println!("{:<24} {:>10} {:>10} {:>10}", "", "p50 µs", "p90 µs", "p99 µs");
        for (what, nanos) in &self.times {
            let [p50, p90, p99] = Self::micros(nanos);
            println!("{what:<24} {p50:>10.1} {p90:>10.1} {p99:>10.1}");
        }
    }
}

fn program() -> Result<Program> {
    let mut documents = Bundle::parse(&rules()).and_then(|bundle| bundle.documents()).map_err(anyhow::Error::msg)?;
    documents.iter_mut().for_each(|document| document.version = 1);
    Program::from_documents(&documents).map_err(anyhow::Error::msg).context("the program of the benchmark")
}

/// A mix as programs have it: by lines, by the whole, by the moment, by the account, multipliers, shares and caps.
fn rules() -> String {
    let mut file = r#"
        program = { id = "bench", name = "Bench", money = "CNY", time_zone = "Asia/Shanghai", caps = [
            { window = "day", points = 1000000 } ] }
        currencies = [
            { id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = { after = 12, granule = "month" } },
            { id = 2, code = "growth", name = "Growth", per_money_unit = 1 },
        ]
    "#
    .to_owned();
    let mut number = 0;
    let mut rule = |rest: &str| {
        number += 1;
        let _ = write!(
            file,
            "\n[[rules]]\nid = \"rule-{number}\"\nname = \"Rule {number}\"\ntrigger = \"purchase\"\n{rest}\n"
        );
    };
    let per_money = |rate: &str, lines: &str| {
        format!("effect = {{ type = \"points_per_money\", rate = \"{rate}\", lines = \"{lines}\" }}")
    };
    let fixed = |points: i64, condition: &str| {
        format!("condition = \"{condition}\"\neffect = {{ type = \"fixed_points\", points = {points} }}")
    };
    // 12 over lines, and the base.
    rule(r#"effect = { type = "points_per_money", rate = "1" }"#);
    rule("currency = 2\neffect = { type = \"points_per_money\", rate = \"1\" }");
    for category in ["tea", "coffee", "cake", "juice", "gifts", "books"] {
        rule(&per_money("0.5", &format!("line.category == '{category}'")));
    }
    rule(&per_money("0.25", "line.sku.startsWith('85')"));
    rule(&per_money("0.3", "line.description.contains('CHRISTMAS') && line.amount > 500"));
    rule(&per_money("0.1", "line.category in ['tea', 'coffee'] && activity.channel == 'app'"));
    rule(&per_money("0.2", "line.amount >= 10000 || line.description.endsWith('SET')"));
    // 9 by the activity.
    for (index, condition) in [
        "activity.net > 10000",
        "activity.net > 50000 && activity.channel == 'app'",
        "activity.store == 'bund'",
        "activity.store in ['bund', 'north', 'west'] && activity.net >= 5000",
        "activity.channel == 'web'",
        "activity.attributes.payment == 'wallet'",
        "has(activity.attributes.coupon) && activity.net > 3000",
        "activity.store.startsWith('b') && !(activity.channel == 'pos')",
        "activity.net % 7 == 0",
    ]
    .iter()
    .enumerate()
    {
        let cap = if index % 3 == 0 { "caps = [{ window = \"day\", points = 500 }]\n" } else { "" };
        rule(&format!("{cap}{}", fixed(10, condition)));
    }
    // 6 by all lines.
    for condition in [
        "lines.exists(l, l.category == 'tea' && l.amount > 2000)",
        "lines.exists(l, l.sku == 'A-17') && lines.exists(l, l.sku == 'A-18')",
        "size(lines) >= 10",
        "size(lines.filter(l, l.category == 'coffee')) >= 3",
        "lines.all(l, l.amount > 0)",
        "lines.exists_one(l, l.category == 'gifts')",
    ] {
        rule(&fixed(5, condition));
    }
    // 6 by the moment.
    for condition in [
        "context.weekday >= 6",
        "context.hour >= 14 && context.hour < 17",
        "context.month == 12",
        "context.day == 8 && context.store == 'bund'",
        "context.weekday == 3 && context.channel == 'app'",
        "context.hour < 10 || context.hour > 20",
    ] {
        rule(&fixed(5, condition));
    }
    // 9 by the account.
    for (index, condition) in [
        "history.purchase.lifetime.count == 0",
        "history.purchase.month.count == 4",
        "history.purchase.month.amount + activity.net > 100000",
        "history.purchase.days_since > 30",
        "history.purchase.streak % 7 == 0",
        "member.available > 5000",
        "member.earned < 1000000 && activity.net > 2000",
        "history.days_since < 7 && history.purchase.year.count > 10",
        "history.purchase.day.count < 3",
    ]
    .iter()
    .enumerate()
    {
        let cap = if index % 2 == 0 {
            "caps = [{ window = \"month\", points = 300 }, { window = \"day\", count = 5 }]\n"
        } else {
            ""
        };
        rule(&format!("{cap}{}", fixed(20, condition)));
    }
    // 8 of others, 5 of them in one group.
    for (factor, condition) in [
        ("1.5", "context.weekday >= 6"),
        ("2", "history.purchase.lifetime.count < 3"),
        ("3", "history.purchase.days_since <= 7 && history.purchase.month.count >= 3"),
        ("1.1", "activity.channel == 'app'"),
        ("1.3", "member.earned > 20000"),
    ] {
        rule(&format!(
            "condition = \"{condition}\"\nexclusive = {{ group = \"times\" }}\neffect = {{ type = \"multiply\", factor = \"{factor}\", rule = \"rule-1\" }}"
        ));
    }
    rule("effect = { type = \"multiply\", factor = \"1.2\", rule = \"rule-1\", lines = \"line.category == 'books'\" }");
    rule(
        "condition = \"activity.net > 20000\"\neffect = { type = \"percent_of_rule\", rule = \"rule-1\", percent = \"10\" }",
    );
    rule(
        "effect = { type = \"points_per_step\", points = 10, step = \"100\" }\ncaps = [{ window = \"week\", points = 2000 }]",
    );
    file
}

/// A basket of ten lines, one of a few dozen.
fn basket(number: usize, shelves: Shelves) -> Activity {
    let categories = ["tea", "coffee", "cake", "juice", "gifts", "books", "toys", "garden"];
    let names =
        ["GREEN TEA SET", "CHRISTMAS BAUBLE", "OAK TABLE", "PAPER CHAIN KIT", "WHITE HANGING HEART T-LIGHT HOLDER"];
    let pick =
        |from: &[&str], index: usize| from.get(index % from.len().max(1)).copied().unwrap_or_default().to_owned();
    let lines = (0..10).map(|line| guerdon_core::earning::ActivityLine {
        sku: Some(format!("{}{}", if (number + line).is_multiple_of(3) { "85" } else { "A-" }, (number + line) % 40)),
        description: Some(pick(&names, number + line)),
        category: Some(pick(
            &categories,
            number / 3 + if matches!(shelves, Shelves::Two) { line % 2 } else { line * 5 },
        )),
        quantity: (1 + (number + line) % 4).into(),
        unit_price: rust_decimal::Decimal::new(255 + ((number * 37 + line * 91) % 4_000) as i64, 2),
    });
    Activity {
        kind: "purchase".to_owned(),
        occurred_at: None,
        currency: None,
        amount: None,
        lines: lines.collect(),
        store: Some(pick(&["bund", "north", "airport"], number)),
        channel: Some(pick(&["app", "pos", "web"], number / 2)),
        purchase: None,
        referrer: None,
        attributes: [("payment".to_owned(), pick(&["wallet", "card"], number))].into(),
        body: None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_of_the_benchmark_has_fifty_rules() {
        assert_eq!(super::program().unwrap().rules.len(), 50);
    }
}
