//! The whole: threads that send, and whoever starts, reads and stops them.

use crate::{
    plan::{Address, Endpoint, FOR_EVER, Plan},
    proto, slice,
    tally::Tally,
    transport::Destination,
    worker::{WAKE, Worker},
};
use mio::{Poll, Waker};
use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

/// Why a generator cannot go on.
#[derive(Debug)]
pub enum Problem {
    /// The target cannot be reached, or does not speak the protocol.
    Target(String),
    /// This machine refuses what is needed.
    System(io::Error),
}

/// What the threads have in common.
pub struct Shared {
    pub plan: Arc<Plan>,
    origin: Instant,
    /// Nanoseconds since `origin`; `u64::MAX` until it is known.
    pub start: AtomicU64,
    pub measure: AtomicU64,
    pub end: AtomicU64,
    pub stopping: AtomicBool,
    pub given_up: AtomicBool,
    pub closed: AtomicBool,
    /// Measured requests so far, where their number is limited.
    counted: AtomicU64,
    pub states: Vec<State>,
    tallies: Vec<Mutex<Tally>>,
    /// Of each thread: whether all its connections stand, and how far it has come.
    told: Mutex<Vec<(bool, Phase)>>,
    changed: Condvar,
}

/// How one thread stands. Each has its own cache line: all of them write in every turn.
#[derive(Default)]
#[repr(align(64))]
pub struct State {
    pub connections: AtomicU32,
    pub outstanding: AtomicU32,
    pub unsent: AtomicU64,
    /// Processor time so far, in nanoseconds.
    pub cpu: AtomicU64,
}

/// How far a thread has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// There is something to send, or under way.
    Busy,
    /// The plan's number of requests is sent and answered.
    Sent,
    /// It was told to stop, and nothing is under way any more.
    Ended,
}

pub struct Generator {
    shared: Arc<Shared>,
    threads: Vec<(JoinHandle<()>, Waker)>,
    /// When the last slice ended, and the processor time of the threads then.
    cut: u64,
    cpu: u64,
    started_unix: u64,
}

impl Shared {
    /// Nanoseconds on the generator's clock.
    #[inline]
    pub fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    pub fn tally(&self, index: usize) -> MutexGuard<'_, Tally> {
        lock(&self.tallies[index])
    }

    /// Takes one measured request out of what is left of their number.
    pub fn allows_another(&self) -> bool {
        let Some(limit) = self.plan.request_count else { return true };
        let another = |counted| (counted < limit).then_some(counted + 1);
        self.counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, another).is_ok()
    }

    /// Whether all measured requests have been sent.
    pub fn exhausted(&self) -> bool {
        self.plan.request_count.is_some_and(|limit| self.counted.load(Ordering::Relaxed) >= limit)
    }

    pub fn tell(&self, index: usize, told: (bool, Phase)) {
        lock(&self.told)[index] = told;
        self.changed.notify_all();
    }

    /// A thread can do no more: without a word, the load would be less than it seems.
    fn fell(&self, index: usize, why: String) {
        {
            let mut tally = self.tally(index);
            tally.connections_lost += self.states[index].connections.swap(0, Ordering::Relaxed).max(1);
            tally.connection_error = why;
        }
        self.tell(index, (false, Phase::Ended));
    }
}

impl Generator {
    /// Nothing runs yet.
    pub fn new(plan: Plan) -> Self {
        let threads = plan.threads;
        let workloads = plan.workloads.len();
        let shared = Shared {
            plan: Arc::new(plan),
            origin: Instant::now(),
            start: AtomicU64::new(u64::MAX),
            measure: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
            stopping: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            counted: AtomicU64::new(0),
            states: (0..threads).map(|_| State::default()).collect(),
            tallies: (0..threads).map(|_| Mutex::new(Tally::new(workloads))).collect(),
            told: Mutex::new(vec![(false, Phase::Busy); threads]),
            changed: Condvar::new(),
        };
        Self { shared: Arc::new(shared), threads: Vec::new(), cut: 0, cpu: 0, started_unix: 0 }
    }

    /// Opens the connections; returns how many.
    pub fn connect(&mut self, timeout: Duration) -> Result<u32, Problem> {
        let plan = self.shared.plan.clone();
        let endpoint = &plan.endpoint;
        let destination = Destination::look_up(&endpoint.address)
            .map_err(|error| Problem::Target(format!("cannot find {endpoint}: {error}")))?;
        let destination = Arc::new(destination);
        for index in self.threads.len()..plan.threads {
            self.spawn(index, destination.clone()).map_err(Problem::System)?;
        }
        let deadline = Instant::now() + timeout;
        let mut told = lock(&self.shared.told);
        while !told.iter().all(|(connected, _)| *connected) {
            let refused = (0..plan.threads).find_map(|index| {
                let tally = self.shared.tally(index);
                (tally.connections_lost > 0).then(|| tally.connection_error.clone())
            });
            if let Some(why) = refused {
                return Err(Problem::Target(format!("cannot reach {endpoint}: {why}")));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = format!("no connection within {} s", timeout.as_secs_f64());
                return Err(Problem::Target(format!("cannot reach {endpoint}: {why}")));
            }
            // A connection that fails says so in a tally, which nobody waits for.
            let pause = left.min(Duration::from_millis(5));
            told = self.shared.changed.wait_timeout(told, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(told);
        Ok(self.sum(|state| &state.connections))
    }

    fn spawn(&mut self, index: usize, destination: Arc<Destination>) -> io::Result<()> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let worker = Worker::new(self.shared.clone(), index, poll, destination)?;
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name(format!("load-{index}")).spawn(move || {
            match catch_unwind(AssertUnwindSafe(|| worker.run())) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => shared.fell(index, format!("waiting for the network: {error}")),
                Err(_) => shared.fell(index, "a sending thread has failed: this is a defect".into()),
            }
        })?;
        self.threads.push((thread, waker));
        Ok(())
    }

    /// Begins to send after `delay`.
    pub fn start(&mut self, delay: Duration) {
        let delay = nanoseconds(delay);
        let start = self.shared.now() + delay;
        self.cut = start;
        self.cpu = self.cpu_now();
        self.started_unix = unix_now() + delay;
        self.shared.start.store(start, Ordering::Release);
        self.wake();
    }

    /// Requests count if they are due from `delay` on.
    pub fn measure(&self, delay: Duration) {
        self.shared.measure.store(self.shared.now() + nanoseconds(delay), Ordering::Release);
    }

    /// What has happened since the last call.
    pub fn take(&mut self) -> proto::LoadSlice {
        let workloads = self.shared.plan.workloads.len();
        let start = self.shared.start.load(Ordering::Relaxed);
        let tallies: Vec<_> = (0..self.shared.plan.threads)
            .map(|index| std::mem::replace(&mut *self.shared.tally(index), Tally::new(workloads)))
            .collect();
        let (now, cpu) = (self.shared.now().max(self.cut), self.cpu_now());
        let mut told = slice::told(slice::merged(&self.shared.plan, tallies), start);
        told.start_ns = self.cut.saturating_sub(start);
        told.end_ns = now.saturating_sub(start);
        told.started_unix_ns = self.started_unix;
        told.cpu_ns = cpu.saturating_sub(self.cpu);
        told.threads = self.shared.plan.threads as u32;
        told.outstanding = self.sum(|state| &state.outstanding);
        told.connections = self.sum(|state| &state.connections);
        told.unsent = self.shared.states.iter().map(|state| state.unsent.load(Ordering::Relaxed)).sum();
        told.finished = lock(&self.shared.told).iter().all(|(_, phase)| *phase >= Phase::Sent);
        (self.cut, self.cpu) = (now, cpu);
        told
    }

    /// Sends no more but the ends of sequences; waits for what is under way, for `drain` at most, and gives up the rest.
    pub fn stop(&self, drain: Duration) {
        self.shared.end.store(self.shared.now(), Ordering::Release);
        self.shared.stopping.store(true, Ordering::Release);
        self.wake();
        if !self.wait_for(Phase::Ended, drain) {
            self.shared.given_up.store(true, Ordering::Release);
            self.wake();
            // The threads have nothing to wait for any more.
            self.wait_for(Phase::Ended, Duration::from_secs(5));
        }
    }

    /// Until the plan's number of requests is sent and answered, or given up; false if that takes longer.
    pub fn wait(&self, patience: Duration) -> bool {
        self.wait_for(Phase::Sent, patience)
    }

    fn wait_for(&self, wanted: Phase, patience: Duration) -> bool {
        let told = lock(&self.shared.told);
        let behind = |told: &mut Vec<(bool, Phase)>| told.iter().any(|(_, phase)| *phase < wanted);
        let waited = self.shared.changed.wait_timeout_while(told, patience, behind);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn wake(&self) {
        for (_, waker) in &self.threads {
            // It only fails where the thread is gone.
            let _ = waker.wake();
        }
    }

    fn cpu_now(&self) -> u64 {
        self.shared.states.iter().map(|state| state.cpu.load(Ordering::Relaxed)).sum()
    }

    fn sum(&self, part: impl Fn(&State) -> &AtomicU32) -> u32 {
        self.shared.states.iter().map(|state| part(state).load(Ordering::Relaxed)).sum()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.wake();
        for (thread, _) in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(why) => out.write_str(why),
            Self::System(error) => write!(out, "this machine refuses a thread or a socket: {error}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(host, port) if host.contains(':') => write!(out, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(out, "{host}:{port}"),
            Address::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// Nanoseconds since 1970, for people and for other machines; nothing is measured by it.
#[allow(clippy::disallowed_methods)]
fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(FOR_EVER).min(FOR_EVER)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
