//! Brings batches and instances together.
//!
//! An instance runs on its own thread, or, while the model's batches are short, on the network thread that received
//! the requests: a hand-over between threads and back costs more than such a batch takes. The network thread does it
//! at the end of its turn (`Drive::Here`), so that everything it has read by then shares the batch.
//!
//! `shared` is what its threads share, `serve` the loop of an instance's thread, `run` what becomes of a batch.

mod run;
mod serve;
mod shared;

use crate::{
    Backend, Buckets, Failure, Policy, Rehearsal, Request, Stats, Tensor, gather::Scratch, queue::Next,
    ragged::Plan, sequence::Concerns, waiting::Waiting, warm_up::Experience,
};
use infermesh_wire::{Code, DataType, Error};
use shared::{INLINE_LIMIT, Instance, Shared, State, locked};
use std::{
    sync::{Arc, Condvar, Mutex, OnceLock, atomic::AtomicU64, mpsc::channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Element types of a model's tensors, in the order of its signature, and the batch sizes it runs with.
#[derive(Debug, Clone, Default)]
pub struct Signature {
    pub inputs: Vec<DataType>,
    pub outputs: Vec<DataType>,
    pub buckets: Buckets,
    /// Where inputs are ragged.
    pub ragged: Option<Plan>,
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

/// Told why a batch failed.
pub type OnFailure = Box<dyn Fn(&Error) + Send + Sync>;

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
