//! Thousands of seeded runs, on both cores.

use std::ops::Range;

use guerdon_simulation::Summary;

/// A simulation of one seed.
pub type Run = fn(u64) -> Result<Summary, String>;

/// Runs the seeds below `all`, and answers what came of them together. `test` is the file, by which a failing seed is said to be
/// replayed. `None`: the environment asks for one alone (`GUERDON_SEED`) or for fewer (`GUERDON_SEEDS`), which prove less.
pub fn run_seeds(test: &str, all: u64, run: Run) -> Option<Summary> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let run_or_say_how_to_replay = |seed| {
        run(seed).unwrap_or_else(|problem| {
            panic!(
                "seed {seed} fails: {problem}\nreplay it with\n    \
                 GUERDON_SEED={seed} cargo test -p guerdon-tests --test {test} seeds_keep_every_invariant"
            )
        })
    };
    if let Some(seed) = number("GUERDON_SEED") {
        println!("{:#?}", run_or_say_how_to_replay(seed));
        return None;
    }
    let seeds = number("GUERDON_SEEDS").unwrap_or(all);
    let together =
        |seeds: Range<u64>| seeds.map(run_or_say_how_to_replay).fold(Summary::default(), |sum, one| sum.plus(&one));
    let summary = std::thread::scope(|scope| {
        let other = scope.spawn(|| together(0..seeds / 2));
        let one = together(seeds / 2..seeds);
        one.plus(&other.join().expect("a seed failed; see above"))
    });
    println!("{seeds} seeds: {summary:#?}");
    (seeds >= all).then_some(summary)
}
