//! The batch writer: queues commands, and for each batch loads, decides, commits and only then answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Command, Footprint, Refusal, Reply};
use guerdon_core::limits::BATCH_COMMANDS;
use guerdon_core::program::Program;
use guerdon_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::{Store, StoreError, load_program};

/// Jobs that may wait before callers are told to come back.
const QUEUE_JOBS: usize = 4_096;
/// How often a batch is decided again because another writer was faster.
const CONFLICT_TRIES: usize = 10;
/// How long a batch waits for a lost database before its callers are told to come back.
const RECONNECT_TIME: Duration = Duration::from_secs(10);
/// How long to wait before the first attempt to connect again; doubled each time, up to the most.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
const RECONNECT_PAUSE_MOST: Duration = Duration::from_secs(1);

/// Why a command was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// The kernel said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The queue is full or the store cannot write; nothing was done, the caller may try again.
    #[error("{0}")]
    Unavailable(String),
    /// A defect; the log holds it in full under this reference.
    #[error("an internal error was logged under the reference {0}")]
    Failed(String),
}

/// What became of a command.
pub type Outcome = Result<Reply, CommandError>;

struct Job {
    commands: Vec<Command>,
    answer: oneshot::Sender<Vec<Outcome>>,
}

enum Message {
    Job(Job),
    Due { now: Timestamp, limit: usize, answer: oneshot::Sender<Result<Vec<(MemberId, i64)>, StoreError>> },
}

/// The handle through which every command goes. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    queue: mpsc::Sender<Message>,
    program: Arc<RwLock<Arc<Program>>>,
    clock_offset: Arc<AtomicI64>,
    member_ids: Arc<Mutex<IdGenerator>>,
}

/// The writer thread and its store.
pub struct Engine<S> {
    handle: EngineHandle,
    thread: JoinHandle<S>,
}

impl<S: Store + 'static> Engine<S> {
    /// Starts the writer thread over a store that holds a program.
    pub fn start(mut store: S) -> Result<Self, StoreError> {
        let (queue, inbox) = mpsc::channel(QUEUE_JOBS);
        let revision = store.revision()?;
        let program = Arc::new(load_program(&mut store)?);
        let ids = IdGenerator::after(store.node()?, store.last_id()?);
        let published = Arc::new(RwLock::new(Arc::clone(&program)));
        let handle = EngineHandle {
            queue,
            program: Arc::clone(&published),
            clock_offset: Arc::new(AtomicI64::new(0)),
            member_ids: Arc::new(Mutex::new(ids.clone())),
        };
        let spawned = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            Writer { store: &mut store, program, published, revision, ids }.run(inbox);
            store
        });
        let thread = spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { handle, thread })
    }

    /// A handle for callers.
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Stops when every other handle is gone and the queue is empty, and gives the store back.
    pub fn stop(self) -> Result<S, StoreError> {
        drop(self.handle);
        self.thread.join().map_err(|_| StoreError::Unavailable("the writer thread panicked".to_owned()))
    }
}

impl EngineHandle {
    /// The program in force: the one that was published last, on this node or another.
    pub fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The program's time: the machine's clock, set back by the offset of a replayed data directory.
    pub fn now(&self) -> Timestamp {
        system_now().plus_millis(self.clock_offset.load(Ordering::Relaxed))
    }

    /// Sets the offset of the program's clock, in milliseconds.
    pub fn set_clock_offset(&self, millis: i64) {
        self.clock_offset.store(millis, Ordering::Relaxed);
    }

    /// A fresh id for a member to be enrolled.
    pub fn new_member_id(&self) -> MemberId {
        MemberId(self.member_ids.lock().unwrap_or_else(PoisonError::into_inner).next(system_now()))
    }

    /// Sends commands, to be decided in order, and waits for their outcomes. Refuses at once when the queue is full.
    pub async fn submit(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let count = commands.len();
        let (answer, outcome) = oneshot::channel();
        if self.queue.try_send(Message::Job(Job { commands, answer })).is_err() {
            metrics::counter!("guerdon_queue_full_total").increment(1);
            let problem = "the server is at its limit; try again in a second";
            return vec![Err(CommandError::Unavailable(problem.to_owned())); count];
        }
        outcome.await.unwrap_or_else(|_| vec![Err(stopped()); count])
    }

    /// Sends one command and waits for its outcome.
    pub async fn submit_one(&self, command: Command) -> Outcome {
        self.submit(vec![command]).await.pop().unwrap_or_else(|| Err(stopped()))
    }

    /// Sends commands from a thread that may block; waits for room in the queue. The receiver gives the outcomes.
    pub fn submit_blocking(&self, commands: Vec<Command>) -> oneshot::Receiver<Vec<Outcome>> {
        let (answer, outcome) = oneshot::channel();
        // When the writer is gone the answer is dropped, which the receiver sees.
        drop(self.queue.blocking_send(Message::Job(Job { commands, answer })));
        outcome
    }

    /// Lets happen what is due at `now` on at most `limit` accounts. Returns on how many something happened.
    pub async fn tick(&self, now: Timestamp, limit: usize) -> Result<usize, CommandError> {
        let (answer, due) = oneshot::channel();
        self.queue.send(Message::Due { now, limit, answer }).await.map_err(|_| stopped())?;
        let due = due.await.map_err(|_| stopped())?.map_err(|error| CommandError::Unavailable(error.to_string()))?;
        let commands: Vec<Command> =
            due.iter().map(|(member, version)| Command::tick(*member, *version, now)).collect();
        let mut done = 0;
        for outcome in self.submit(commands).await {
            match outcome {
                Ok(_) => done += 1,
                Err(CommandError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// The machine's clock.
pub(crate) fn system_now() -> Timestamp {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

fn stopped() -> CommandError {
    CommandError::Unavailable("the server is shutting down".to_owned())
}

struct Writer<'a> {
    store: &'a mut dyn Store,
    program: Arc<Program>,
    /// Where everyone else sees the program.
    published: Arc<RwLock<Arc<Program>>>,
    /// The revision of the store that `program` was compiled from.
    revision: i64,
    ids: IdGenerator,
}

impl Writer<'_> {
    fn run(&mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(BATCH_COMMANDS);
        while inbox.blocking_recv_many(&mut messages, BATCH_COMMANDS) > 0 {
            let mut jobs = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Job(job) => jobs.push(job),
                    Message::Due { now, limit, answer } => {
                        let due = self.reload().and_then(|()| self.store.due(now, limit));
                        drop(answer.send(due));
                    }
                }
            }
            self.work_off(jobs);
        }
    }

    /// Takes over a program that was published since, by this node or another.
    fn reload(&mut self) -> Result<(), StoreError> {
        let revision = self.store.revision()?;
        if revision != self.revision {
            self.program = Arc::new(load_program(self.store)?);
            self.revision = revision;
            *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&self.program);
            tracing::info!(revision, "a newly published program is in force");
        }
        Ok(())
    }

    /// Decides the commands of all jobs in order, in batches of at most 1,024, and answers each job once it is whole.
    fn work_off(&mut self, jobs: Vec<Job>) {
        let commands: Vec<&Command> = jobs.iter().flat_map(|job| &job.commands).collect();
        let mut outcomes = Vec::with_capacity(commands.len());
        for batch in commands.chunks(BATCH_COMMANDS) {
            let started = Instant::now();
            outcomes.extend(self.commit_or_halve(batch));
            metrics::histogram!("guerdon_batch_seconds").record(started.elapsed().as_secs_f64());
            metrics::histogram!("guerdon_batch_commands").record(batch.len() as f64);
        }
        count(&outcomes);
        let mut outcomes = outcomes.into_iter();
        for job in jobs {
            let answer = outcomes.by_ref().take(job.commands.len()).collect();
            // A caller that has gone away hears nothing; the command stands, and a retry finds it.
            drop(job.answer.send(answer));
        }
    }

    /// Commits a batch; one that the store refuses is halved until the culprit stands alone.
    fn commit_or_halve(&mut self, commands: &[&Command]) -> Vec<Outcome> {
        let problem = match self.commit(commands) {
            Ok(outcomes) => return outcomes,
            Err(StoreError::Unavailable(problem)) => {
                tracing::error!(%problem, "a batch could not be written");
                return vec![Err(CommandError::Unavailable(format!("nothing was written: {problem}"))); commands.len()];
            }
            Err(StoreError::Disconnected(problem)) => {
                tracing::error!(%problem, "a batch is in doubt: the database cannot be reached");
                let problem =
                    format!("the database cannot be reached; repeat with the same idempotency key: {problem}");
                return vec![Err(CommandError::Unavailable(problem)); commands.len()];
            }
            Err(other) => other,
        };
        match commands {
            [] => Vec::new(),
            [culprit] => {
                let reference = format!("err_{:013x}", self.ids.next(system_now()));
                tracing::error!(reference, %problem, member = %culprit.member_id, key = culprit.idempotency_key, "a command failed");
                vec![Err(CommandError::Failed(reference))]
            }
            _ => {
                let (first, second) = commands.split_at(commands.len() / 2);
                let mut outcomes = self.commit_or_halve(first);
                outcomes.extend(self.commit_or_halve(second));
                outcomes
            }
        }
    }

    /// Tries until the batch is committed: again at once when another node was faster, and after a moment when the
    /// connection was lost. Then the first thing is to look for the idempotency keys: what had arrived is answered with
    /// the receipt that it has, and is not done twice.
    fn commit(&mut self, commands: &[&Command]) -> Result<Vec<Outcome>, StoreError> {
        let (started, mut conflicts, mut pause) = (Instant::now(), 0, RECONNECT_PAUSE);
        loop {
            match self.try_commit(commands) {
                Err(StoreError::Conflict) if conflicts < CONFLICT_TRIES => {
                    metrics::counter!("guerdon_conflicts_total").increment(1);
                    conflicts += 1;
                }
                Err(StoreError::Disconnected(problem)) if started.elapsed() < RECONNECT_TIME => {
                    metrics::counter!("guerdon_disconnections_total").increment(1);
                    tracing::warn!(%problem, "the database cannot be reached; trying again");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(RECONNECT_PAUSE_MOST);
                }
                result => return result,
            }
        }
    }

    fn try_commit(&mut self, commands: &[&Command]) -> Result<Vec<Outcome>, StoreError> {
        let mut loaded = self.store.prefetch(&Footprint::of(commands.iter().copied()))?;
        if let Some(more) = Footprint::follow_up(commands.iter().copied(), &loaded) {
            loaded.merge(self.store.prefetch(&more)?);
        }
        let (program, ids) = (Arc::clone(&self.program), &mut self.ids);
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = Batch::new(&program, loaded, ids, system_now());
            let outcomes: Vec<Outcome> =
                commands.iter().map(|command| batch.decide(command).map_err(CommandError::Refused)).collect();
            (outcomes, batch.finish())
        }));
        let (outcomes, changes) =
            decided.map_err(|_| StoreError::Rejected("the kernel panicked; see the log".to_owned()))?;
        self.store.commit(&changes)?;
        Ok(outcomes)
    }
}

fn count(outcomes: &[Outcome]) {
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    metrics::counter!("guerdon_commands_total", "outcome" => "accepted").increment(accepted as u64);
    for outcome in outcomes {
        match outcome {
            Ok(_) => {}
            Err(CommandError::Refused(refusal)) => {
                metrics::counter!("guerdon_refusals_total", "code" => refusal.code.name()).increment(1);
            }
            Err(CommandError::Unavailable(_)) => {
                metrics::counter!("guerdon_commands_total", "outcome" => "unavailable").increment(1)
            }
            Err(CommandError::Failed(_)) => {
                metrics::counter!("guerdon_commands_total", "outcome" => "failed").increment(1)
            }
        }
    }
}
