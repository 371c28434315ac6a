//! The batch writer: queues commands, and for each batch loads, decides, commits and only then answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Command, Footprint, Refusal, RefusalCode, Reply};
use guerdon_core::limits::BATCH_COMMANDS;
use guerdon_core::program::Program;
use guerdon_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::circuit::{AWAY, Circuit};
use crate::left::{Left, leaving};
use crate::to_fulfil::{ToFulfil, fulfilled_here};
use crate::{Store, StoreError, id_generator, load_program};

/// Jobs that may wait before callers are told to come back.
const QUEUE_JOBS: usize = 4_096;
/// Commands from which on a batch is worth its round trips, so that it waits for no more.
const ENOUGH_COMMANDS: usize = 16;
/// How often a batch is decided again because another writer was faster.
const CONFLICT_TRIES: usize = 64;
/// How long after a database was lost batches wait for it before their callers are told to come back.
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
    /// Someone else changed what this change was made over; nothing was done.
    #[error(
        "someone else has changed it in the meantime; read it again, and repeat the change if it still makes sense"
    )]
    Conflict,
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

/// Work between two batches, on the writer's own store.
type Errand = Box<dyn FnOnce(&mut dyn Store, &mut IdGenerator) + Send>;

enum Message {
    Job(Job),
    Errand(Errand),
}

/// The handle through which every command goes. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    /// One for each writer; a member's commands always go to the same.
    queues: Arc<[mpsc::Sender<Message>]>,
    program: Arc<RwLock<Arc<Program>>>,
    clock_offset: Arc<AtomicI64>,
    member_ids: Arc<Mutex<IdGenerator>>,
    to_fulfil: Arc<ToFulfil>,
    left: Arc<Left>,
    circuit: Arc<Circuit>,
}

/// The writer threads and their stores.
pub struct Engine<S> {
    handle: EngineHandle,
    threads: Vec<JoinHandle<S>>,
}

/// Outcomes on their way.
pub struct Answer {
    count: usize,
    /// From each writer that was asked: the places of its commands, and what became of them.
    parts: Vec<(Vec<usize>, oneshot::Receiver<Vec<Outcome>>)>,
}

impl<S: Store + 'static> Engine<S> {
    /// Starts the writer thread over a store that holds a program.
    pub fn start(store: S) -> Result<Self, StoreError> {
        Self::start_all(vec![store])
    }

    /// Starts a writer thread for each of several stores on one database. Each member has one writer, so that writers
    /// seldom want the same account; in which order two members are served is left open.
    pub fn start_all(mut stores: Vec<S>) -> Result<Self, StoreError> {
        let Some(first) = stores.first_mut() else {
            return Err(StoreError::Unusable("an engine needs a store".to_owned()));
        };
        let revision = first.revision()?;
        let program = Arc::new(RwLock::new(Arc::new(load_program(first)?)));
        let member_ids = id_generator(first)?;
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        let (to_fulfil, left, circuit) = (Arc::<ToFulfil>::default(), Arc::<Left>::default(), Arc::default());
        for (number, mut store) in stores.into_iter().enumerate() {
            let (queue, inbox) = mpsc::channel(QUEUE_JOBS);
            queues.push(queue);
            let ids = id_generator(&mut store)?;
            let (program, to_fulfil) = (Arc::clone(&program), Arc::clone(&to_fulfil));
            let (left, circuit) = (Arc::clone(&left), Arc::clone(&circuit));
            let spawned = std::thread::Builder::new().name(format!("writer {number}")).spawn(move || {
                Writer { store: &mut store, program, revision, ids, to_fulfil, left, circuit }.run(inbox);
                store
            });
            threads.push(spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?);
        }
        let handle = EngineHandle {
            queues: queues.into(),
            program,
            clock_offset: Arc::new(AtomicI64::new(0)),
            member_ids: Arc::new(Mutex::new(member_ids)),
            to_fulfil,
            left,
            circuit,
        };
        Ok(Self { handle, threads })
    }

    /// A handle for callers.
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Stops when every other handle is gone and the queues are empty, and gives the first store back.
    pub fn stop(self) -> Result<S, StoreError> {
        drop(self.handle);
        let stores: Result<Vec<S>, _> = self.threads.into_iter().map(JoinHandle::join).collect();
        let panicked = || StoreError::Unavailable("a writer thread panicked".to_owned());
        stores.map_err(|_| panicked())?.into_iter().next().ok_or_else(panicked)
    }
}

impl Answer {
    /// Waits for all outcomes, in the order of their commands.
    pub async fn receive(self) -> Vec<Outcome> {
        let mut outcomes = Outcomes::none(self.count);
        for (places, answer) in self.parts {
            outcomes.put(places, answer.await.ok());
        }
        outcomes.0
    }

    /// The same from a thread that may block.
    pub fn blocking_receive(self) -> Vec<Outcome> {
        let mut outcomes = Outcomes::none(self.count);
        for (places, answer) in self.parts {
            outcomes.put(places, answer.blocking_recv().ok());
        }
        outcomes.0
    }
}

/// Outcomes in the order of their commands; a writer that has gone away leaves its places as they are.
struct Outcomes(Vec<Outcome>);

impl Outcomes {
    fn none(count: usize) -> Self {
        Self(vec![Err(stopped()); count])
    }

    fn put(&mut self, places: Vec<usize>, found: Option<Vec<Outcome>>) {
        for (place, outcome) in places.into_iter().zip(found.into_iter().flatten()) {
            if let Some(here) = self.0.get_mut(place) {
                *here = outcome;
            }
        }
    }
}

impl EngineHandle {
    /// The program in force: the one that was published last, on this node or another, as it is shown now.
    pub fn program(&self) -> Arc<Program> {
        let program = Arc::clone(&self.program.read().unwrap_or_else(PoisonError::into_inner));
        let now = self.now();
        if program.shows(now) {
            return program;
        }
        // A scheduled version has taken effect. What is decided goes by its own moment anyway.
        let shown = Arc::new(program.as_of(now));
        let mut current = self.program.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&program, &current) {
            *current = Arc::clone(&shown);
        }
        shown
    }

    /// The program's time: the machine's clock, set back by the offset of a replayed data directory.
    pub fn now(&self) -> Timestamp {
        system_now().plus_millis(self.clock_offset.load(Ordering::Relaxed))
    }

    /// Sets the offset of the program's clock, in milliseconds.
    pub fn set_clock_offset(&self, millis: i64) {
        self.clock_offset.store(millis, Ordering::Relaxed);
    }

    /// Orders that this node has just committed and that the program itself fulfils.
    pub fn to_fulfil(&self) -> &ToFulfil {
        &self.to_fulfil
    }

    /// Who is told of members whose accounts this node has ended.
    pub fn left(&self) -> &Left {
        &self.left
    }

    /// A fresh id for a member to be enrolled.
    pub fn new_member_id(&self) -> MemberId {
        MemberId(self.member_ids.lock().unwrap_or_else(PoisonError::into_inner).next(system_now()))
    }

    /// Sends commands, those of one member to be decided in order, and waits for their outcomes. Refuses at once what a
    /// full queue cannot take, and everything while the database is away.
    pub async fn submit(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let count = commands.len();
        if self.circuit.refuses() {
            return vec![Err(CommandError::Unavailable(AWAY.to_owned())); count];
        }
        let (mut parts, mut refused) = (Vec::new(), Vec::new());
        for (queue, places, commands) in self.shares(commands) {
            let (answer, outcome) = oneshot::channel();
            if queue.try_send(Message::Job(Job { commands, answer })).is_ok() {
                parts.push((places, outcome));
            } else {
                metrics::counter!("guerdon_queue_full_total").increment(1);
                refused.push(places);
            }
        }
        let mut outcomes = Outcomes(Answer { count, parts }.receive().await);
        for places in refused {
            let problem = "the server is at its limit; try again in a second";
            let full = vec![Err(CommandError::Unavailable(problem.to_owned())); places.len()];
            outcomes.put(places, Some(full));
        }
        outcomes.0
    }

    /// What each writer gets of some commands: its queue, their places, and they themselves.
    fn shares(&self, commands: Vec<Command>) -> Vec<(&mpsc::Sender<Message>, Vec<usize>, Vec<Command>)> {
        let mut shares: Vec<_> = self.queues.iter().map(|queue| (queue, Vec::new(), Vec::new())).collect();
        for (place, command) in commands.into_iter().enumerate() {
            // Fibonacci hashing (Knuth, The Art of Computer Programming 6.4): members enrolled together spread out.
            let hash = (command.member_id.0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            let writer = usize::try_from(hash).unwrap_or_default() % self.queues.len().max(1);
            if let Some((_, places, own)) = shares.get_mut(writer) {
                places.push(place);
                own.push(command);
            }
        }
        shares.retain(|(_, places, _)| !places.is_empty());
        shares
    }

    /// Sends one command and waits for its outcome.
    pub async fn submit_one(&self, command: Command) -> Outcome {
        self.submit(vec![command]).await.pop().unwrap_or_else(|| Err(stopped()))
    }

    /// Sends commands from a thread that may block; waits for room in the queues. The answer gives the outcomes.
    pub fn submit_blocking(&self, commands: Vec<Command>) -> Answer {
        let count = commands.len();
        let mut parts = Vec::new();
        for (queue, places, commands) in self.shares(commands) {
            let (answer, outcome) = oneshot::channel();
            // When the writer is gone the answer is dropped, which the receiver sees.
            drop(queue.blocking_send(Message::Job(Job { commands, answer })));
            parts.push((places, outcome));
        }
        Answer { count, parts }
    }

    /// Runs background work on the first writer's store, between two batches.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CommandError> {
        self.run_with_ids(move |store, _| work(store)).await
    }

    /// The same for work that gives ids: from the generator of the batches, so that what it appends to the log falls
    /// into their order.
    pub(crate) async fn run_with_ids<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store, &mut IdGenerator) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CommandError> {
        if self.circuit.refuses() {
            return Err(CommandError::Unavailable(AWAY.to_owned()));
        }
        let (errand, result) = errand(work, &self.circuit);
        let first = self.queues.first().ok_or_else(stopped)?;
        first.send(errand).await.map_err(|_| stopped())?;
        settled(result.await.map_err(|_| stopped())?)
    }

    /// Runs background work as [`EngineHandle::run`] does, from a thread that may block.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CommandError> {
        let (errand, result) = errand(move |store, _| work(store), &self.circuit);
        let first = self.queues.first().ok_or_else(stopped)?;
        first.blocking_send(errand).map_err(|_| stopped())?;
        settled(result.blocking_recv().map_err(|_| stopped())?)
    }

    /// Decides a command under the program that it was made under, over the rows as they are, and changes nothing. `is_new`:
    /// for a member who is not there yet, as though enrolled.
    pub async fn try_out(&self, command: Command, is_new: bool) -> Outcome {
        let (command, program) = (command.dry(), self.program());
        let decide = move |store: &mut dyn Store, ids: &mut IdGenerator| {
            let mut loaded = Footprint::load(&program, &[&command], |footprint| store.prefetch(footprint))?;
            if is_new {
                loaded.accounts.entry(command.member_id).or_default();
            }
            // A panic here would end the thread that decides for everyone.
            let decided =
                catch_unwind(AssertUnwindSafe(|| Batch::new(&program, loaded, ids, system_now()).decide(&command)));
            decided
                .map_err(|_| StoreError::Rejected("the kernel panicked; see the log".to_owned()))?
                .map_err(Into::into)
        };
        self.run_with_ids(decide).await
    }

    /// Lets happen what is due at `now` on at most `limit` accounts. Returns on how many something happened.
    pub async fn tick(&self, now: Timestamp, limit: usize) -> Result<usize, CommandError> {
        let due = self.run(move |store| store.due(now, limit)).await?;
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

fn commands_of(messages: &[Message]) -> usize {
    let commands = |message: &Message| match message {
        Message::Job(job) => job.commands.len(),
        Message::Errand(_) => 0,
    };
    messages.iter().map(commands).sum()
}

/// Background work for a writer, and where what comes of it arrives.
fn errand<T: Send + 'static>(
    work: impl FnOnce(&mut dyn Store, &mut IdGenerator) -> Result<T, StoreError> + Send + 'static,
    circuit: &Arc<Circuit>,
) -> (Message, oneshot::Receiver<Result<T, StoreError>>) {
    let (answer, result) = oneshot::channel();
    let circuit = Arc::clone(circuit);
    let errand = move |store: &mut dyn Store, ids: &mut IdGenerator| {
        circuit.trying();
        let done = work(store, ids);
        // Work may be unable to go on for reasons of its own; that the database is away is said by the connection.
        if !matches!(done, Err(StoreError::Unavailable(_))) {
            circuit.note(&done);
        }
        drop(answer.send(done));
    };
    (Message::Errand(Box::new(errand)), result)
}

fn settled<T>(result: Result<T, StoreError>) -> Result<T, CommandError> {
    result.map_err(|error| match error {
        StoreError::Conflict => CommandError::Conflict,
        StoreError::Refused(refusal) => CommandError::Refused(refusal),
        error => CommandError::Unavailable(error.to_string()),
    })
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
    /// The program in force, shared with every writer and caller. The first writer exchanges it.
    program: Arc<RwLock<Arc<Program>>>,
    /// The revision of the store that the program was compiled from.
    revision: i64,
    ids: IdGenerator,
    to_fulfil: Arc<ToFulfil>,
    left: Arc<Left>,
    circuit: Arc<Circuit>,
}

impl Writer<'_> {
    fn run(&mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(BATCH_COMMANDS);
        let gathers_for = self.store.gathers_for();
        let mut in_company = false;
        while inbox.blocking_recv_many(&mut messages, BATCH_COMMANDS) > 0 {
            // Who comes alone waits for nobody.
            if in_company && !gathers_for.is_zero() && commands_of(&messages) < ENOUGH_COMMANDS {
                std::thread::sleep(gathers_for);
                while messages.len() < BATCH_COMMANDS
                    && let Ok(message) = inbox.try_recv()
                {
                    messages.push(message);
                }
            }
            in_company = messages.len() > 1;
            let mut jobs = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Job(job) => jobs.push(job),
                    Message::Errand(errand) => {
                        if let Err(error) = self.reload() {
                            tracing::warn!(%error, "whether a new program was published is not known");
                        }
                        errand(self.store, &mut self.ids);
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
            let program = Arc::new(load_program(self.store)?);
            *self.program.write().unwrap_or_else(PoisonError::into_inner) = program;
            self.revision = revision;
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

    /// Tries until the batch is committed: again at once what another node was faster with, and after a moment when the
    /// connection was lost. Then the first thing is to look for the idempotency keys: what had arrived is answered with
    /// the receipt that it has, and is not done twice. Once the database has been away for long, a batch tries no more than once.
    fn commit(&mut self, commands: &[&Command]) -> Result<Vec<Outcome>, StoreError> {
        let (mut conflicts, mut pause) = (0, RECONNECT_PAUSE);
        let mut outcomes = vec![None; commands.len()];
        // The places of the commands that are not done yet. Those of one member stay together, and in order.
        let mut open: Vec<usize> = (0..commands.len()).collect();
        loop {
            let left: Vec<&Command> = open.iter().filter_map(|place| commands.get(*place).copied()).collect();
            self.circuit.trying();
            let tried = self.try_commit(&left);
            let away_for = self.circuit.note(&tried);
            match tried {
                Ok((decided, stale)) => {
                    for ((place, command), outcome) in open.iter().zip(&left).zip(decided) {
                        if !stale.contains(&command.member_id)
                            && let Some(here) = outcomes.get_mut(*place)
                        {
                            *here = Some(outcome);
                        }
                    }
                    open.retain(|place| outcomes.get(*place).is_some_and(Option::is_none));
                    if open.is_empty() {
                        return Ok(outcomes.into_iter().flatten().collect());
                    }
                    metrics::counter!("guerdon_conflicts_total").increment(1);
                }
                Err(StoreError::Conflict) if conflicts < CONFLICT_TRIES => {
                    metrics::counter!("guerdon_conflicts_total").increment(1);
                    conflicts += 1;
                }
                Err(StoreError::Disconnected(problem)) if away_for < RECONNECT_TIME => {
                    metrics::counter!("guerdon_disconnections_total").increment(1);
                    tracing::warn!(%problem, "the database cannot be reached; trying again");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(RECONNECT_PAUSE_MOST);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Decides and commits once. Returns the outcomes, and the members with whom another node was faster: theirs do not
    /// hold.
    fn try_commit(&mut self, commands: &[&Command]) -> Result<(Vec<Outcome>, Vec<MemberId>), StoreError> {
        let program = Arc::clone(&self.program.read().unwrap_or_else(PoisonError::into_inner));
        let loaded = Footprint::load(&program, commands, |footprint| self.store.prefetch(footprint))?;
        let ids = &mut self.ids;
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = Batch::new(&program, loaded, ids, system_now());
            let outcomes: Vec<Outcome> =
                commands.iter().map(|command| batch.decide(command).map_err(CommandError::Refused)).collect();
            (outcomes, batch.finish())
        }));
        let (outcomes, changes) =
            decided.map_err(|_| StoreError::Rejected("the kernel panicked; see the log".to_owned()))?;
        // Who was refused for want of stock or budget may have been so for the sake of a member who is then left out.
        let sold_out = |outcome: &Outcome| matches!(outcome, Err(CommandError::Refused(refusal)) if matches!(refusal.code, RefusalCode::OutOfStock | RefusalCode::StockReserved | RefusalCode::CapReached));
        // A merge stands on two accounts, and neither may be left out without the other.
        let (to_fulfil, leaving) = (fulfilled_here(&program, &changes), leaving(&changes));
        if changes.are_inseparable() || outcomes.iter().any(sold_out) {
            self.store.commit(&changes)?;
            self.left.left(&leaving);
            self.to_fulfil.add(to_fulfil);
            return Ok((outcomes, Vec::new()));
        }
        let stale = self.store.commit_what_fits(changes)?;
        self.left.left(&leaving);
        self.to_fulfil.add(to_fulfil);
        Ok((outcomes, stale))
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
            // A batch is decided again after a conflict; its callers hear of none.
            Err(CommandError::Unavailable(_) | CommandError::Conflict) => {
                metrics::counter!("guerdon_commands_total", "outcome" => "unavailable").increment(1)
            }
            Err(CommandError::Failed(_)) => {
                metrics::counter!("guerdon_commands_total", "outcome" => "failed").increment(1)
            }
        }
    }
}
