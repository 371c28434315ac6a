//! Fuzzing on a stable compiler: examples are mutated, and what behaves in a new way is kept and mutated further.
//!
//! Each target runs in a process of its own, so that also an overflow of the stack, an abort for want of memory, or an
//! input that never ends is found together with its input. An input that did harm goes into `tests/regressions/<target>`;
//! what lies there is tried first, every time.
//!
//! `FUZZ_SECONDS` says how long each target runs (2 by default), `FUZZ_SEED` repeats the choices of a run, and `FUZZ_INPUT`
//! names a file to try alone.

mod memory;
mod mutate;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use memory::{Guarded, within};
use mutate::Mutator;

/// What the threads of the server have: an input that overflows less than this would overflow theirs.
const STACK_BYTES: usize = 2 << 20;
/// How long one input may take, in a debug build.
const INPUT_TIME: Duration = Duration::from_secs(10);
/// Said when the known inputs are read: none of them may run out of memory.
const EXPLORING: &str = "exploring";
/// Inputs that are kept because they behaved in a new way.
const KEPT: usize = 4_000;

/// A parser, and what is known of what it takes.
pub struct Target {
    /// The name of the test, which must be at the top of its file.
    pub name: &'static str,
    /// Examples that it accepts.
    pub seeds: Vec<Vec<u8>>,
    /// Words of its language.
    pub words: &'static [&'static str],
    /// Longest input.
    pub input_bytes: usize,
    /// Memory that it may hold at once while it reads one input.
    pub memory_bytes: usize,
    /// Whether it may ask for more than that, which is the end of its process: what it reads is never a stranger's.
    pub may_run_out: bool,
}

impl Target {
    /// A target with the usual limits: 64 KiB in, 64 MiB held.
    pub fn new<S: AsRef<[u8]>>(name: &'static str, seeds: &[S], words: &'static [&'static str]) -> Self {
        let seeds = seeds.iter().map(|seed| seed.as_ref().to_vec()).collect();
        Self { name, seeds, words, input_bytes: 64 << 10, memory_bytes: 64 << 20, may_run_out: false }
    }

    /// Runs the parser over mutated examples. It answers how it behaved, in words: an input with a new answer, digits and
    /// quotations apart, is worth to be mutated further.
    pub fn run(self, parser: impl FnMut(&[u8]) -> String + Send + 'static) {
        match std::env::var("FUZZ_CHILD") {
            Ok(name) if name == self.name => self.explore(parser),
            _ => self.supervise(),
        }
    }

    fn supervise(&self) {
        let end = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 2));
        while self.ran_out() && Instant::now() < end {}
    }

    /// Explores in a process of its own, and tells whether that ran out of memory, if it may.
    fn ran_out(&self) -> bool {
        let last = scratch(self.name);
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", self.name, "--nocapture"])
            .env("FUZZ_CHILD", self.name)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs once more");
        let mut words = Vec::new();
        child.stderr.take().expect("its words").read_to_end(&mut words).expect("they can be read");
        let words = String::from_utf8_lossy(&words);
        let status = child.wait().expect("it ends");
        if status.success() {
            println!("{}", words.lines().last().unwrap_or_default());
            return false;
        }
        if self.may_run_out && words.contains(EXPLORING) && words.contains("memory allocation of") {
            return true;
        }
        let input = recorded(&last);
        let folder = regressions(self.name);
        std::fs::create_dir_all(&folder).expect("a folder for regressions");
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let file = folder.join(format!("{:016x}", hasher.finish()));
        std::fs::write(&file, &input).expect("the input is kept");
        let end: String = words.chars().rev().take(3_000).collect::<Vec<_>>().into_iter().rev().collect();
        let shown: String = input.iter().take(1_000).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
        panic!(
            "{} fell ({status}) over the input in {}:\n{shown}\n\nIts last words:\n{end}",
            self.name,
            file.display()
        );
    }

    fn explore(self, mut parser: impl FnMut(&[u8]) -> String + Send + 'static) {
        let count = Arc::new(AtomicU64::new(0));
        watch(Arc::clone(&count));
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Telling of a panic takes memory too.
            memory::lift();
            usual(panic);
        }));
        let fuzzing = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let record = std::fs::File::create(scratch(self.name)).expect("a place for the input");
            let mut peak = 0;
            let mut attempt = |input: &[u8]| {
                let length = (input.len() as u64).to_le_bytes();
                record.write_all_at(&[&length, input].concat(), 0).expect("the input is recorded");
                count.fetch_add(1, Ordering::Relaxed);
                let (answer, held) = memory::within(self.memory_bytes, || parser(input));
                peak = peak.max(held);
                answer
            };
            if let Some(file) = std::env::var_os("FUZZ_INPUT") {
                let answer = attempt(&std::fs::read(file).expect("the input"));
                return eprintln!("{}: {answer}", self.name);
            }
            let mut kept = known_inputs(self.name);
            kept.extend(self.seeds.iter().cloned());
            let mut seen: HashSet<u64> = kept.iter().map(|input| kind_of(&attempt(input))).collect();
            eprintln!("{EXPLORING}");
            let (seconds, seed) = (setting("FUZZ_SECONDS", 2), setting("FUZZ_SEED", u64::from(std::process::id())));
            let mut mutator = Mutator::new(seed, self.words, self.input_bytes);
            let end = Instant::now() + Duration::from_secs(seconds);
            while Instant::now() < end {
                let input = mutator.next(&kept);
                if seen.insert(kind_of(&attempt(&input))) && kept.len() < KEPT {
                    kept.push(input);
                }
            }
            let inputs = count.load(Ordering::Relaxed);
            assert!(inputs as usize > self.seeds.len() + 50, "only {inputs} inputs in {seconds} s");
            let (kinds, held) = (seen.len(), peak >> 10);
            eprintln!("{}: {inputs} inputs, {kinds} behaviours, at most {held} KiB held, seed {seed}", self.name);
        });
        let fell = fuzzing.expect("a thread").join().is_err();
        // At once: nothing of the test harness may hide how it ended.
        std::process::exit(i32::from(fell));
    }
}

/// Ends the process when an input takes too long.
fn watch(count: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut last = 0;
        let mut since = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = count.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > INPUT_TIME {
                eprintln!("input {now} takes longer than {} s", INPUT_TIME.as_secs());
                std::process::exit(3);
            }
        }
    });
}

/// An answer without what differs from input to input: numbers, what stands in quotes, and lines of the input, which
/// messages show behind a bar.
fn kind_of(answer: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut quoted = None;
    for character in answer.chars() {
        match quoted {
            Some(quote) if character == quote => quoted = None,
            Some(_) => {}
            None if matches!(character, '`' | '"') => quoted = Some(character),
            None if character == '|' => quoted = Some('\n'),
            None if character.is_ascii_digit() => {}
            None => character.hash(&mut hasher),
        }
    }
    hasher.finish()
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}

fn regressions(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target)
}

fn known_inputs(target: &str) -> Vec<Vec<u8>> {
    let Ok(folder) = std::fs::read_dir(regressions(target)) else { return Vec::new() };
    folder.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("an input")).collect()
}

/// Where the input that is tried is written before it is.
fn scratch(target: &str) -> PathBuf {
    let folder = std::env::temp_dir().join("guerdon-fuzz");
    std::fs::create_dir_all(&folder).expect("a folder");
    let parent =
        if std::env::var_os("FUZZ_CHILD").is_some() { std::os::unix::process::parent_id() } else { std::process::id() };
    folder.join(format!("{target}-{parent}"))
}

fn recorded(file: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(file).unwrap_or_default();
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    bytes.drain(..bytes.len().min(8));
    bytes.truncate(length);
    bytes
}
