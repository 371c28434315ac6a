//! Thousands of seeded fulfilments, with crashes between every two of their steps; and each step of a few, one after the other.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use guerdon_core::planted::{Bug, with};
use guerdon_tests::run_seeds;
use guerdon_tests::simulation::{End, SCENARIOS, run_fulfilments, run_scenario};

const SEEDS: u64 = 4_000;
/// Within so many seeds each planted bug must be found.
const SEEDS_TO_FIND: u64 = 1_000;

/// What must happen in the runs more often than so many times.
const DONE: &[(&str, u64)] = &[
    ("fulfilled", SEEDS),
    ("refunded", SEEDS / 4),
    ("rejected", SEEDS / 20),
    ("expired", SEEDS / 4),
    ("called off while it was fulfilled", SEEDS / 4),
    ("runs with points that expire soon", SEEDS / 4),
    ("points given back that live on", SEEDS),
    ("given back: no codes", SEEDS / 10),
    ("given back: refused", SEEDS / 20),
    ("given back: failed", SEEDS / 10),
    ("suppliers asked", SEEDS / 2),
    ("delivered unheard", SEEDS / 10),
    ("suppliers not reached", SEEDS / 4),
    ("refused by suppliers", SEEDS / 20),
    ("promised", SEEDS / 4),
    ("calls taken in", SEEDS / 4),
    ("calls to be made again", SEEDS / 200),
    ("lied", SEEDS / 20),
    ("gave codes of others", SEEDS / 20),
    ("codes given before", SEEDS / 400),
    ("gave other codes", SEEDS / 20),
    ("other codes", SEEDS / 1_000),
    ("suppliers away", SEEDS / 4),
    ("suppliers away for long", SEEDS / 20),
    ("suppliers called no longer, or again", SEEDS / 4),
    ("suppliers forgotten", SEEDS / 40),
    ("suppliers told of cancelling", SEEDS / 4),
    ("to be cancelled by hand", SEEDS / 10),
    ("delivered after return", SEEDS / 20),
    ("delivered for nothing, and told", SEEDS / 10),
    ("found by reconciliation only", SEEDS / 100),
    ("records that others had written", SEEDS / 2),
    ("effects of dead nodes that arrived", SEEDS / 10),
];

/// Steps that follow one another, between which nodes must die more often than so many times.
const DIED: &[(&str, &str, u64)] = &[
    ("watch the order", "begin the order", SEEDS / 50),
    ("begin the order", "claim codes", SEEDS / 50),
    ("begin the order", "make coupons", SEEDS / 100),
    ("begin the order", "write a delivery", SEEDS / 50),
    ("claim codes", "make coupons", SEEDS / 50),
    ("claim codes", "hand over", SEEDS / 50),
    ("claim codes", "give back", SEEDS / 200),
    ("make coupons", "write a delivery", SEEDS / 200),
    ("make coupons", "hand over", SEEDS / 50),
    ("write a delivery", "count an attempt", SEEDS / 50),
    ("count an attempt", "ask the supplier", SEEDS / 50),
    ("ask the supplier", "hear the supplier", SEEDS / 50),
    ("hear the supplier", "take in codes", SEEDS / 200),
    ("hear the supplier", "note how it answers", SEEDS / 50),
    ("hear the supplier", "end a delivery", SEEDS / 100),
    ("take in codes", "end a delivery", SEEDS / 100),
    ("note how it answers", "wait for the next attempt", SEEDS / 100),
    ("note how it answers", "end a delivery", SEEDS / 400),
    ("end a delivery", "hand over", SEEDS / 100),
    ("end a delivery", "give back", SEEDS / 100),
    ("end a delivery", "write a delivery", SEEDS / 1_000),
    ("hand over", "issue codes", SEEDS / 20),
    ("hand over", "release codes", SEEDS / 1_000),
    ("issue codes", "issue codes", SEEDS / 200),
    ("issue codes", "strike out the order", SEEDS / 200),
    ("give back", "release codes", SEEDS / 100),
    ("release codes", "release codes", SEEDS / 100),
    ("release codes", "want a delivery no more", SEEDS / 1_000),
    ("want a delivery no more", "count a cancelling", SEEDS / 400),
    ("count a cancelling", "tell the supplier", SEEDS / 400),
    ("tell the supplier", "hear the supplier", SEEDS / 400),
    ("hear the supplier", "end a cancelling", 0),
    ("note how it answers", "wait for the next cancelling", 0),
    ("note a difference", "end a cancelling", SEEDS / 1_000),
    ("end a cancelling", "strike out the order", SEEDS / 400),
];

#[test]
fn seeds_keep_every_invariant() {
    let Some(summary) = run_seeds("fulfilments", SEEDS, run_fulfilments) else { return };
    // Runs in which nothing happens prove nothing.
    for (what, least) in DONE {
        assert!(summary.count(what) > *least, "{what}: {} of {least}\n{summary:#?}", summary.count(what));
    }
    assert!(summary.crashes > SEEDS && summary.ghosts > SEEDS / 40, "{summary:#?}");
    for (last, next, least) in DIED {
        let died = summary.crossed.get(&(*last, *next)).map_or(0, |(_, died)| *died);
        assert!(died > *least, "between `{last}` and `{next}` nodes died {died} times of {least}\n{summary:#?}");
    }
    for ((last, next), (passed, died)) in &summary.crossed {
        assert!(*died > 0 || *passed < SEEDS / 100, "nobody died between `{last}` and `{next}`\n{summary:#?}");
    }
}

#[test]
fn a_crash_at_any_step_leads_to_the_same_end() {
    let mut crossed: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut passed: BTreeSet<(&str, &str)> = BTreeSet::new();
    for scenario in &SCENARIOS {
        let whole = run_scenario(scenario, None).unwrap_or_else(|problem| panic!("{}: {problem}", scenario.name));
        println!("{}: {} steps, {}", scenario.name, whole.steps, whole.end);
        passed.extend(whole.crossed.keys());
        for at in 0..whole.steps {
            for end in [End::Lost, End::Done, End::Late] {
                let crashed = run_scenario(scenario, Some((at, end)));
                let crashed = crashed.unwrap_or_else(|problem| panic!("{}, {end:?} at {at}: {problem}", scenario.name));
                assert_eq!(crashed.end, whole.end, "{}, {end:?} at {at}", scenario.name);
                for (between, (_, died)) in crashed.crossed {
                    *crossed.entry(between).or_default() += died;
                }
            }
        }
    }
    for between in passed {
        assert!(crossed.get(&between).is_some_and(|died| *died >= 3), "nobody died between {between:?}");
    }
}

#[test]
fn each_planted_bug_is_found() {
    for bug in [Bug::AskedWithoutEnd, Bug::ForgottenOnceGivenBack, Bug::CodesKeptByReturned] {
        let run = |seed| run_fulfilments(seed).err().map(|problem| (seed, problem));
        let found = with(bug, || (0..SEEDS_TO_FIND).find_map(run));
        let (seed, problem) = found.unwrap_or_else(|| panic!("{SEEDS_TO_FIND} seeds did not find {bug:?}"));
        println!("{bug:?}: seed {seed}: {}", problem.chars().take(200).collect::<String>());
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 77] {
        assert_eq!(format!("{:?}", run_fulfilments(seed)), format!("{:?}", run_fulfilments(seed)));
    }
}
