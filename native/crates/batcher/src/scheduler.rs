//! Brings batches and instances together.
//!
//! An instance runs on its own thread, or, while the model's batches are short, on the network thread that received
//! the requests: a hand-over between threads and back costs more than such a batch takes. The network thread does it
//! at the end of its turn (`Drive::Here`), so that everything it has read by then shares the batch.

use crate::{
    Answer, Backend, Buckets, Failure, Many, Outcome, Policy, Rehearsal, Reply, Request, Sample, Stats,
    Tensor, Timing,
    batch::{Scratch, split},
    decoupled,
    mailbox::{self, Posting},
    order::{Order, Ticket},
    queue::Next,
    sequence::Concerns,
    stats::{Phases, Stay},
    trace,
    waiting::Waiting,
    warm_up::{Experience, run_in},
};
use infermesh_wire::{Code, DataType, Error};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Batches up to this long run on the network thread. Two hand-overs cost 20 to 100 us on the machines measured
/// (docs/performance.md); beyond that, blocking the thread's other connections costs more than it saves.
const INLINE_LIMIT: Duration = Duration::from_micros(150);

/// Element types of a model's tensors, in the order of its signature, and the batch sizes it runs with.
#[derive(Debug, Clone, Default)]
pub struct Signature {
    pub inputs: Vec<DataType>,
    pub outputs: Vec<DataType>,
    pub buckets: Buckets,
}

/// Told of the error after which a model cannot be used any more, on the thread that met it: it must not wait.
pub type OnFatal = Box<dyn Fn(&Error) + Send + Sync>;

/// What the submitting thread has to do for its request to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Drive {
    /// Call `run_here` at the end of the turn.
    Here,
    /// Nothing: another thread does it.
    Elsewhere,
}

pub struct Scheduler {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    complaints: Vec<String>,
}

struct Shared {
    state: Mutex<State>,
    /// One per instance: woken when there may be work for it.
    work: Vec<Condvar>,
    policy: Policy,
    signature: Signature,
    stats: Stats,
    /// Of answers, where that is asked for and several instances could break it.
    order: Option<Mutex<Order<Vec<Posting>>>>,
    /// Moving average of a batch's duration.
    duration_ns: AtomicU64,
    on_failure: OnceLock<OnFailure>,
    on_fatal: OnFatal,
}

/// Told why a batch failed.
pub type OnFailure = Box<dyn Fn(&Error) + Send + Sync>;

struct State {
    waiting: Waiting,
    /// `None` while the instance runs.
    instances: Vec<Option<Instance>>,
    /// Threads that sleep, until a batch is due or until they are woken.
    asleep: Vec<Option<Sleep>>,
    /// A network thread has promised to call `run_here`.
    drive_promised: bool,
    closed: bool,
    /// What everybody is answered since the model cannot be used any more.
    failed: Option<Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Idle,
    Until(Instant),
}

struct Instance {
    backend: Box<dyn Backend>,
    scratch: Scratch,
    /// Of the batch that it runs, where answers keep their order.
    ticket: Ticket,
}

/// What a batch leaves behind.
#[derive(Debug, Default)]
pub struct Ran {
    /// How long it took, if that says something about the next one.
    pub took: Option<Duration>,
    /// The states that it wrote, row by row.
    pub states: Vec<Vec<Tensor>>,
}

impl Scheduler {
    /// Starts one thread per instance, named after the model, and runs every instance in on it.
    ///
    /// Fails with INTERNAL if the system refuses a thread, and with the error of a required rehearsal.
    pub fn start(
        name: &str,
        policy: Policy,
        signature: Signature,
        backends: Vec<Box<dyn Backend>>,
        rehearsals: Vec<Rehearsal>,
        on_fatal: OnFatal,
    ) -> Result<Self, Error> {
        let count = backends.len();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                waiting: Waiting::new(&policy, count),
                instances: backends
                    .into_iter()
                    .map(|backend| Some(Instance { backend, scratch: Scratch::default(), ticket: 0 }))
                    .collect(),
                asleep: vec![None; count],
                drive_promised: false,
                closed: false,
                failed: None,
            }),
            work: (0..count).map(|_| Condvar::new()).collect(),
            order: (policy.preserve_ordering && count > 1).then(Mutex::default),
            policy,
            signature,
            stats: Stats::default(),
            // Unknown is long: the first batches run on the instance's thread until the average says otherwise.
            duration_ns: AtomicU64::new(2 * INLINE_LIMIT.as_nanos() as u64),
            on_failure: OnceLock::new(),
            on_fatal,
        });
        let mut scheduler =
            Self { shared: shared.clone(), threads: Mutex::default(), complaints: Vec::new() };
        let (rehearsals, (report, reports)) = (Arc::new(rehearsals), channel());
        for index in 0..count {
            let (shared, rehearsals, report) = (shared.clone(), rehearsals.clone(), report.clone());
            let thread = thread::Builder::new()
                .name(format!("{name}/{index}"))
                .spawn(move || {
                    shared.run_in(index, &rehearsals, report);
                    drop(rehearsals);
                    shared.serve(index);
                })
                .map_err(|error| {
                    Error::internal(format!("no thread for an instance of '{name}': {error}"))
                })?;
            locked(&scheduler.threads).push(thread);
        }
        drop(report);
        for experience in reports {
            let Experience { samples, complaints } = experience?;
            shared.seed(&samples);
            scheduler.complaints.extend(complaints);
        }
        Ok(scheduler)
    }

    /// What went wrong while the instances were run in, without being a reason not to serve the model.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// Calls this for every batch that fails, on the thread that ran it and while `trace::current` is about the batch.
    /// Later calls are ignored.
    pub fn on_failure(&self, tell: OnFailure) {
        let _ = self.shared.on_failure.set(tell);
    }

    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Requests that wait.
    pub fn pending(&self) -> usize {
        self.shared.lock().waiting.pending()
    }

    /// Whether it admits nothing more, because its model is being unloaded or replaced.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// Whether the model cannot be used any more.
    pub fn has_failed(&self) -> bool {
        self.shared.lock().failed.is_some()
    }

    /// Queues a request. Fails with UNAVAILABLE if the queue is full, the model is being unloaded or cannot be used.
    pub fn submit(&self, request: Request) -> Result<Drive, Error> {
        let shared = &*self.shared;
        let now = request.enqueued;
        let mut state = shared.lock();
        if state.closed {
            return Err(Error::new(Code::Unavailable, "the model is being unloaded"));
        }
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let latest_start = state.waiting.latest_start(&request);
        match state.waiting.push(request, now) {
            Ok(Concerns::Anybody) => {}
            Ok(concerned) => {
                shared.wake(&mut state, concerned);
                return Ok(Drive::Elsewhere);
            }
            Err(error) => {
                drop(state);
                shared.stats.failed(Failure::Rejected, 1, Duration::ZERO);
                return Err(error);
            }
        }
        if state.drive_promised {
            return Ok(Drive::Elsewhere);
        }
        if shared.is_short() && shared.policy.is_immediate() && state.inline_instance().is_some() {
            state.drive_promised = true;
            return Ok(Drive::Here);
        }
        shared.wake_one(&mut state, latest_start);
        Ok(Drive::Elsewhere)
    }

    /// Runs one batch on the calling thread, as promised by `Drive::Here`. To be called again if it says so.
    pub fn run_here(&self) -> Drive {
        let shared = &*self.shared;
        let mut state = shared.lock();
        state.drive_promised = false;
        let (index, mut instance, batch) = loop {
            // All instances may be busy by now; the one that becomes free first goes on with the queue.
            let Some(index) = state.inline_instance() else { return Drive::Elsewhere };
            if shared.is_held_up() {
                return Drive::Elsewhere;
            }
            match state.waiting.next(index, Instant::now()) {
                Next::Run(batch) => {
                    let Some(instance) = shared.begin(&mut state, index, &batch) else {
                        return Drive::Elsewhere;
                    };
                    break (index, instance, batch);
                }
                Next::Refuse(refused) => {
                    drop(state);
                    shared.refuse(refused);
                    state = shared.lock();
                }
                Next::Wait(_) | Next::Empty => return Drive::Elsewhere,
            }
        };
        drop(state);

        let ran = shared.run(&mut instance, batch);

        let mut state = shared.lock();
        shared.end(&mut state, index, instance, ran);
        if state.closed {
            // Threads that wait for this instance in order to end, or to go on with the queue.
            shared.work.iter().for_each(Condvar::notify_one);
            return Drive::Elsewhere;
        }
        if !state.waiting.is_for_anybody() || state.drive_promised {
            return Drive::Elsewhere;
        }
        if shared.is_short() {
            state.drive_promised = true;
            return Drive::Here;
        }
        shared.wake_one(&mut state, None);
        Drive::Elsewhere
    }

    /// Little more will come: what waits for company or for others' silence waits no longer.
    pub fn wind_down(&self) {
        self.shared.lock().waiting.wind_down();
        self.shared.work.iter().for_each(Condvar::notify_one);
    }

    /// Admits nothing more, lets everything accepted finish, ends the threads.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.waiting.wind_down();
        drop(state);
        self.shared.work.iter().for_each(Condvar::notify_all);
        let threads = std::mem::take(&mut *locked(&self.threads));
        for thread in threads {
            // A panic was already reported by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn inline_instance(&self) -> Option<usize> {
        self.instances.iter().position(|slot| slot.as_ref().is_some_and(|it| it.backend.may_run_inline()))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Gives an instance back.
    fn end(&self, state: &mut State, index: usize, instance: Instance, ran: Ran) {
        state.instances[index] = Some(instance);
        state.waiting.finished(index, ran, Instant::now());
        if self.order.is_some() {
            // Threads that were held up.
            self.work.iter().for_each(Condvar::notify_one);
        }
    }

    /// Takes a free instance to run a batch.
    fn begin(&self, state: &mut State, index: usize, batch: &[Request]) -> Option<Instance> {
        let mut instance = state.instances[index].take()?;
        state.waiting.started(index, rows_of(batch), Instant::now());
        if let Some(order) = &self.order {
            instance.ticket = locked(order).ticket();
        }
        Some(instance)
    }

    /// Whether so many answers wait for earlier ones that no more should join them.
    fn is_held_up(&self) -> bool {
        self.order.as_ref().is_some_and(|order| locked(order).is_full())
    }

    fn is_short(&self) -> bool {
        self.duration_ns.load(Relaxed) <= INLINE_LIMIT.as_nanos() as u64
    }

    /// Wakes the threads of those instances, if they sleep.
    fn wake(&self, state: &mut State, concerned: Concerns) {
        match concerned {
            Concerns::Anybody => self.wake_one(state, None),
            Concerns::Instance(index) => self.work[index].notify_one(),
            Concerns::Everybody => self.work.iter().for_each(Condvar::notify_one),
        }
    }

    /// Wakes a sleeping thread whose instance is free, if what waits can concern it: `latest_start` is when a request
    /// that has just arrived must start.
    fn wake_one(&self, state: &mut State, latest_start: Option<Instant>) {
        let enough = state.waiting.is_enough();
        for index in 0..state.asleep.len() {
            if state.instances[index].is_none() {
                continue;
            }
            match state.asleep[index] {
                Some(Sleep::Idle) => {}
                // It wakes by itself when the batch is due; earlier only if the batch may be complete or in a hurry.
                Some(Sleep::Until(due)) if enough || latest_start.is_some_and(|latest| latest < due) => {}
                Some(Sleep::Until(_)) => return,
                None => continue,
            }
            state.asleep[index] = None;
            self.work[index].notify_one();
            return;
        }
    }

    /// Nothing else can use the instance meanwhile: the scheduler is not known to anybody yet.
    fn run_in(&self, index: usize, rehearsals: &[Rehearsal], report: Sender<Result<Experience, Error>>) {
        let Some(mut instance) = self.lock().instances[index].take() else { return };
        let experience = run_in(&mut *instance.backend, rehearsals);
        self.lock().instances[index] = Some(instance);
        // Nobody listens any more once another instance has failed.
        let _ = report.send(experience);
    }

    /// The first estimates of a batch's duration. Of the average: that of the smallest that an instance was run in with.
    fn seed(&self, samples: &[Sample]) {
        if let Some(smallest) = samples.iter().min_by_key(|sample| sample.rows) {
            self.duration_ns.store(smallest.took.as_nanos() as u64, Relaxed);
        }
        let mut state = self.lock();
        samples.iter().for_each(|sample| state.waiting.learn(sample.rows, sample.took));
    }

    /// Everybody who waits, and everybody to come, is refused: what failed stays broken.
    fn fail(&self, error: &Error) {
        let waiting = {
            let mut state = self.lock();
            if state.failed.is_some() {
                return;
            }
            let refusal = format!("the model has failed and is out of service: {}", error.message);
            state.failed = Some(Error::new(Code::Unavailable, refusal.clone()));
            let waiting = state.waiting.drain();
            waiting.into_iter().map(move |request| {
                let refusal = Error::new(Code::Unavailable, refusal.clone());
                (request.mailbox, request.reply, Err(refusal))
            })
        };
        mailbox::post_all(waiting);
        (self.on_fatal)(error);
    }

    /// The loop of an instance's thread.
    fn serve(&self, index: usize) {
        let mut state = self.lock();
        loop {
            let next = match state.instances[index] {
                Some(_) if (!state.drive_promised || state.closed) && !self.is_held_up() => {
                    state.waiting.next(index, Instant::now())
                }
                // It runs on a network thread or is about to.
                _ => Next::Empty,
            };
            match next {
                Next::Run(batch) => {
                    let Some(mut instance) = self.begin(&mut state, index, &batch) else { continue };
                    if state.waiting.is_for_anybody() {
                        self.wake_one(&mut state, None);
                    }
                    drop(state);
                    let ran = self.run(&mut instance, batch);
                    state = self.lock();
                    self.end(&mut state, index, instance, ran);
                }
                Next::Wait(until) => {
                    state.asleep[index] = Some(Sleep::Until(until));
                    let timeout = until.saturating_duration_since(Instant::now());
                    state = self.work[index]
                        .wait_timeout(state, timeout)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                    state.asleep[index] = None;
                }
                Next::Refuse(refused) => {
                    drop(state);
                    self.refuse(refused);
                    state = self.lock();
                }
                Next::Empty
                    if state.closed && state.instances[index].is_some() && state.waiting.is_done(index) =>
                {
                    return;
                }
                Next::Empty => {
                    state.asleep[index] = Some(Sleep::Idle);
                    state = self.work[index].wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.asleep[index] = None;
                }
            }
        }
    }

    /// Tells requests why they will not run.
    fn refuse(&self, refused: Vec<(Request, Error)>) {
        let awaited = refused.iter().filter(|(request, _)| request.reply.is_to_be_counted());
        let (count, waited) = awaited.fold((0, Duration::ZERO), |(count, waited), (request, _)| {
            (count + 1, waited + request.enqueued.elapsed())
        });
        self.stats.failed(Failure::Rejected, count, waited);
        let answers =
            refused.into_iter().map(|(request, error)| (request.mailbox, request.reply, Err(error)));
        mailbox::post_all(answers);
    }

    /// Executes a batch and answers its requests.
    fn run(&self, instance: &mut Instance, batch: Vec<Request>) -> Ran {
        if let [Request { reply: Reply::Many(answers), .. }] = &batch[..] {
            self.run_decoupled(instance, &batch, answers);
            return Ran::default();
        }
        let started = Instant::now();
        let rows = rows_of(&batch);
        let outcome = trace::during(&batch, || {
            catch_unwind(AssertUnwindSafe(|| self.execute(instance, &batch, rows, started)))
                .unwrap_or_else(|_| Err(Error::internal("the backend panicked")))
                .inspect_err(|error| self.tell(error))
        });
        let finished = Instant::now();
        self.learn(finished - started);
        let took = outcome.is_ok().then_some(finished - started);

        // Whoever gave up meanwhile has counted that himself.
        let awaited = batch.iter().filter(|request| !request.reply.is_closed());
        let stays = awaited.map(|request| Stay {
            queued: started.saturating_duration_since(request.enqueued),
            total: finished.saturating_duration_since(request.enqueued),
        });
        let mut states = Vec::new();
        let outcomes: Vec<Outcome> = match outcome {
            Ok((mut shares, phases)) => {
                if let Some(plan) = &self.policy.sequences {
                    let shared = shares.len() > 1;
                    states = shares.iter_mut().map(|share| plan.split_states(share, shared)).collect();
                }
                let (rows, requests) = asked_for(&batch);
                self.stats.executed(rows, phases, stays);
                let timing = Timing { started, phases, rows, requests };
                shares.into_iter().map(|outputs| Ok(Answer { outputs, timing })).collect()
            }
            Err(error) => {
                let (requests, total) = stays
                    .fold((0, Duration::ZERO), |(requests, total), stay| (requests + 1, total + stay.total));
                self.stats.failed(Failure::Backend, requests, total);
                if error.fatal {
                    self.fail(&error);
                }
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        };
        let letters = batch
            .into_iter()
            .zip(outcomes)
            .map(|(request, outcome)| (request.mailbox, request.reply, outcome));
        match &self.order {
            None => mailbox::post_all(letters),
            Some(order) => {
                let mut order = locked(order);
                // Posted under the lock, so that what becomes free later cannot overtake it.
                let going = order.done(instance.ticket, letters.collect());
                mailbox::post_all(going.into_iter().flatten());
            }
        }
        Ran { took, states }
    }

    /// Executes the one request of a decoupled model and hands out its answers as they come.
    fn run_decoupled(&self, instance: &mut Instance, batch: &[Request], answers: &Many) {
        let started = Instant::now();
        let outcome = trace::during(batch, || {
            catch_unwind(AssertUnwindSafe(|| {
                let rows = batch[0].rows;
                let inputs = instance.scratch.gather(batch, &self.signature.inputs, rows, &*instance.backend);
                decoupled::stream(&mut *instance.backend, &inputs, &answers.parts, &self.stats)
            }))
            .unwrap_or_else(|_| Err(Error::internal("the backend panicked")))
            .inspect_err(|error| self.tell(error))
        });
        let request = &batch[0];
        let total = request.enqueued.elapsed();
        // Counted first: who has read the end finds the request in the statistics.
        let awaited = answers.count.take();
        let end = match outcome {
            Ok(phases) => {
                let stay = Stay { queued: started.saturating_duration_since(request.enqueued), total };
                self.stats.executed(request.rows, phases, awaited.then_some(stay).into_iter());
                let _ = answers.timing.set(Timing { started, phases, rows: request.rows, requests: 1 });
                Ok(None)
            }
            Err(error) => {
                self.stats.failed(Failure::Backend, usize::from(awaited), total);
                if error.fatal {
                    self.fail(&error);
                }
                Err(error)
            }
        };
        // Without a reader there is nobody to tell.
        let _ = answers.parts.blocking_send(end);
    }

    #[allow(clippy::type_complexity)]
    fn execute(
        &self,
        instance: &mut Instance,
        batch: &[Request],
        rows: usize,
        started: Instant,
    ) -> Result<(Vec<smallvec::SmallVec<[Tensor; 2]>>, Phases), Error> {
        let padded = self.signature.buckets.fit(rows);
        let inputs = instance.scratch.gather(batch, &self.signature.inputs, padded, &*instance.backend);
        let gathered = Instant::now();
        let outputs = instance.backend.run(&inputs)?;
        let ran = Instant::now();
        let shares = split(batch, &outputs, &self.signature.outputs, padded)?;
        let phases = Phases { input: gathered - started, infer: ran - gathered, output: ran.elapsed() };
        Ok((shares, phases))
    }

    fn tell(&self, error: &Error) {
        if let Some(tell) = self.on_failure.get() {
            tell(error);
        }
    }

    fn learn(&self, duration: Duration) {
        let average = self.duration_ns.load(Relaxed);
        let sample = duration.as_nanos().min(u128::from(u64::MAX / 16)) as u64;
        self.duration_ns.store(average - average / 8 + sample / 8, Relaxed);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rows_of(batch: &[Request]) -> usize {
    batch.iter().map(|request| request.rows).sum()
}

/// Rows and requests of a batch that somebody asked for.
fn asked_for(batch: &[Request]) -> (usize, usize) {
    let asked = batch.iter().filter(|request| !matches!(request.reply, Reply::Nobody));
    asked.fold((0, 0), |(rows, requests), request| (rows + request.rows, requests + 1))
}
