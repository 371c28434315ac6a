//! The benchmark of a program's size: the demo's replay with its three rules, with twenty, and with twenty and tiers.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use guerdon_core::program::Bundle;
use guerdon_store::{DataDir, SqliteStore, load_program, publish, start_keyring};

use super::bench::bench_master_key;
use super::demo;
use super::init::GIFT_CLUB;
use crate::open::system_now;

/// Replays of each program, in turns, of which the median is told.
const RUNS: usize = 5;

/// Measures, and prints.
#[expect(clippy::float_arithmetic, reason = "times and a ratio for people, not points")]
pub fn measure(folder: &Path, json: bool) -> Result<()> {
    let twenty = format!("{GIFT_CLUB}{}{LAST_RULE}", more_rules());
    let with_tiers = format!("{GIFT_CLUB}{}{TIERS}", more_rules());
    let (mut small, mut large, mut tiered) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        small.push(replay(&folder.join(format!("three-{run}")), GIFT_CLUB)?);
        large.push(replay(&folder.join(format!("twenty-{run}")), &twenty)?);
        tiered.push(replay(&folder.join(format!("tiers-{run}")), &with_tiers)?);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).map(Duration::as_secs_f64).unwrap_or_default()
    };
    let (small, large, tiered) = (median(&mut small), median(&mut large), median(&mut tiered));
    let (ratio, ratio_with_tiers) = (large / small.max(0.001), tiered / small.max(0.001));
    if json {
        let told = serde_json::json!({
            "three_rules_s": small,
            "twenty_rules_s": large,
            "ratio": ratio,
            "twenty_rules_and_tiers_s": tiered,
            "ratio_with_tiers": ratio_with_tiers,
        });
        println!("{told}");
        return Ok(());
    }
    println!("replay of thirteen months, median of {RUNS}: {small:.2} s with three rules");
    println!("{large:.2} s with twenty rules, ratio {ratio:.2}");
    println!("{tiered:.2} s with twenty rules and five tiers, ratio {ratio_with_tiers:.2}");
    Ok(())
}

/// One replay into a new directory, which is removed afterwards.
fn replay(directory: &Path, program: &str) -> Result<Duration> {
    let mut store = SqliteStore::open(DataDir::create(directory)?)?;
    let bundle = Bundle::parse(program).map_err(anyhow::Error::msg).context("the program of the benchmark")?;
    publish(&mut store, &bundle, system_now())?;
    let keyring = start_keyring(&mut store, Arc::new(bench_master_key()), rand::random())?;
    let program = load_program(&mut store)?;
    let (store, replay) = demo::replay(Box::new(store), &keyring, &program)?;
    drop(store);
    std::fs::remove_dir_all(directory)?;
    Ok(replay.time)
}

/// The seventeenth rule, where there are no tiers.
const LAST_RULE: &str = r#"
[[rules]]
id = "more-17"
name = "More 17"
trigger = "purchase"
effect = { type = "points_per_money", rate = "0.1", lines = "line.description.contains('PAPER')" }
"#;

/// Five tiers with their factors, and the growth value that leads to them as the seventeenth rule.
const TIERS: &str = r#"
[[currencies]]
id = 2
code = "growth"
name = "Growth value"
spendable = false

[[rules]]
id = "growth"
name = "Growth"
trigger = "purchase"
currency = 2
effect = { type = "points_per_money", rate = "1" }

[[tiers]]
id = "regular"
name = "Regular"
rank = 0

[[tiers]]
id = "silver"
name = "Silver"
rank = 1
qualify = [{ window = { months = 12 }, growth = 1000 }]
review = { after = { months = 13 }, grace_days = 30 }
benefits = { factors = [{ factor = "1.1" }] }

[[tiers]]
id = "gold"
name = "Gold"
rank = 2
qualify = [{ window = { months = 12 }, growth = 5000 }]
review = { after = { months = 13 }, grace_days = 30 }
benefits = { factors = [{ factor = "1.3" }] }

[[tiers]]
id = "diamond"
name = "Diamond"
rank = 3
qualify = [{ window = { months = 12 }, growth = 20000 }]
review = { after = { months = 13 }, grace_days = 30 }
benefits = { factors = [{ factor = "1.5" }] }

[[tiers]]
id = "black"
name = "Black"
rank = 4
qualify = [{ window = { months = 12 }, growth = 50000 }, { window = "quarter", spend = "30000", orders = 12 }]
review = { after = { years = 2 }, grace_days = 30 }
benefits = { factors = [{ factor = "2" }] }
"#;

/// Sixteen rules beside the three of the demo that give points; one more makes twenty.
fn more_rules() -> String {
    let mut rules = String::new();
    let mut number = 0;
    let mut rule = |rest: &str| {
        number += 1;
        let _ = write!(
            rules,
            "\n[[rules]]\nid = \"more-{number}\"\nname = \"More {number}\"\ntrigger = \"purchase\"\n{rest}\n"
        );
    };
    for word in ["HEART", "RETROSPOT", "VINTAGE", "LUNCH BAG"] {
        rule(&format!(
            "effect = {{ type = \"points_per_money\", rate = \"0.1\", lines = \"line.description.contains('{word}')\" }}"
        ));
    }
    for (points, condition) in [
        (10, "context.weekday >= 6"),
        (5, "context.hour < 10"),
        (25, "size(lines) >= 20"),
        (10, "lines.exists(l, l.sku.startsWith('85'))"),
        (100, "history.purchase.lifetime.count == 0"),
        (20, "history.purchase.month.count == 2"),
        (50, "history.purchase.days_since >= 60 && history.purchase.days_since < 36500"),
        (30, "history.purchase.year.amount + activity.net > 100000"),
    ] {
        let cap = if points % 20 == 10 { "caps = [{ window = \"month\", points = 100 }]\n" } else { "" };
        rule(&format!("condition = \"{condition}\"\n{cap}effect = {{ type = \"fixed_points\", points = {points} }}"));
    }
    rule(
        "effect = { type = \"points_per_step\", points = 10, step = \"100\" }\ncaps = [{ window = \"day\", points = 200 }]",
    );
    for (factor, condition) in
        [("1.5", "context.month == 12"), ("2", "history.purchase.month.count >= 5"), ("1.1", "activity.net > 50000")]
    {
        rule(&format!(
            "condition = \"{condition}\"\nexclusive = {{ group = \"times\" }}\neffect = {{ type = \"multiply\", factor = \"{factor}\", rule = \"base\" }}"
        ));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_rules_give_points() {
        for last in [LAST_RULE, TIERS] {
            let bundle = Bundle::parse(&format!("{GIFT_CLUB}{}{last}", more_rules())).unwrap();
            assert_eq!(bundle.rules.iter().filter(|rule| rule.trigger.listens("purchase")).count(), 20);
            assert_eq!(bundle.tiers.len(), if last == TIERS { 5 } else { 0 });
        }
    }
}
