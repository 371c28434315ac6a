//! The benchmark of a program's size: the demo's replay with its three rules, and with twenty.

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
    let twenty = format!("{GIFT_CLUB}{}", more_rules());
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        small.push(replay(&folder.join(format!("three-{run}")), GIFT_CLUB)?);
        large.push(replay(&folder.join(format!("twenty-{run}")), &twenty)?);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).map(Duration::as_secs_f64).unwrap_or_default()
    };
    let (small, large) = (median(&mut small), median(&mut large));
    let ratio = large / small.max(0.001);
    if json {
        println!("{}", serde_json::json!({ "three_rules_s": small, "twenty_rules_s": large, "ratio": ratio }));
        return Ok(());
    }
    println!(
        "replay of thirteen months, median of {RUNS}: {small:.2} s with three rules, {large:.2} s with twenty; ratio {ratio:.2}"
    );
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

/// Seventeen rules beside the three of the demo that give points.
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
    for word in ["HEART", "RETROSPOT", "VINTAGE", "LUNCH BAG", "PAPER"] {
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
        let bundle = Bundle::parse(&format!("{GIFT_CLUB}{}", more_rules())).unwrap();
        assert_eq!(bundle.rules.iter().filter(|rule| rule.trigger.listens("purchase")).count(), 20);
    }
}
