//! One sending thread: its connections, its schedule and what it counts.

use crate::{
    answer,
    arrivals::Schedule,
    choice::{Chooser, Chosen, Step},
    failure::{Failure, Kind},
    generator::Shared,
    link::{Event, Link},
    message::{Request, Trace},
    plan::{Arrivals, MAX_CONNECTIONS, OpenSchedule, Plan, Protocol},
    tally::{Record, Tally},
    transport::Destination,
};
use bytes::Bytes;
use mio::{Events, Poll, Token};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use slab::Slab;
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, MutexGuard, atomic::Ordering},
    time::Duration,
};

/// Tokens that are no connection.
pub const WAKE: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);

/// Pauses before a connection is made again: they double. Nanoseconds.
const FIRST_PAUSE: u64 = 1_000_000;
const LONGEST_PAUSE: u64 = 500_000_000;

/// A request under way.
struct Flight {
    /// Distinguishes it from others that had the same place.
    serial: u64,
    due: u64,
    sent: u64,
    workload: usize,
    payload: usize,
    link: usize,
    stream: u32,
    step: Option<Step>,
    trace: Option<[u8; 16]>,
    measured: bool,
    received: u64,
    responses: u64,
    first: u64,
    /// From due, of each answer, where they are recorded.
    moments: Vec<u64>,
}

struct Slot {
    link: Option<Link>,
    /// When to connect again, and the pause after that.
    retry: u64,
    pause: u64,
    /// Requests under way.
    load: usize,
    touched: bool,
}

/// When requests are due.
enum Pace {
    /// A request for each moment in the list, which is when its predecessor ended.
    Closed(VecDeque<u64>),
    Open(Schedule),
}

pub struct Worker {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    index: usize,
    poll: Poll,
    timer: Timer,
    destination: Arc<Destination>,
    slots: Vec<Slot>,
    /// Where the search for a connection with room begins.
    turn: usize,
    flights: Slab<Flight>,
    /// Ends of the requests' time, in the order of sending.
    deadlines: VecDeque<(u64, usize, u64)>,
    chooser: Chooser,
    pace: Pace,
    most: usize,
    /// The next request has been held back.
    held: bool,
    serial: u64,
    random: Xoshiro256PlusPlus,
    events: Vec<Event>,
    attempts: usize,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        index: usize,
        poll: Poll,
        destination: Arc<Destination>,
    ) -> io::Result<Self> {
        let plan = shared.plan.clone();
        let threads = plan.threads;
        let part = |total: usize| (total + threads - 1 - index) / threads;
        let most = part(plan.arrivals.most());
        let pace = match &plan.arrivals {
            Arrivals::Closed { .. } => Pace::Closed(VecDeque::new()),
            Arrivals::Open { schedule, .. } => Pace::Open(match schedule {
                OpenSchedule::Constant(rate) => Schedule::constant(*rate, index, threads),
                OpenSchedule::Poisson(rate) => Schedule::poisson(*rate, index, threads, plan.seed),
                OpenSchedule::Replay(gaps) => Schedule::replay(gaps.clone(), index, threads),
            }),
        };
        let mut random = Xoshiro256PlusPlus::seed_from_u64(plan.seed ^ 0x0074_7261_6365);
        (0..index).for_each(|_| random.jump());
        let connections = part(plan.connections).max(1);
        Ok(Self {
            timer: Timer::new(&poll)?,
            chooser: Chooser::new(&plan, index, threads, most),
            slots: (0..connections).map(|_| Slot::new()).collect(),
            shared,
            plan,
            index,
            poll,
            destination,
            turn: 0,
            flights: Slab::new(),
            deadlines: VecDeque::new(),
            pace,
            most,
            held: false,
            serial: 0,
            random,
            events: Vec::new(),
            attempts: index,
        })
    }

    /// Until the generator is closed.
    pub fn run(mut self) {
        quick_timers();
        let mut events = Events::with_capacity(256);
        let mut started = false;
        loop {
            let now = self.shared.now();
            let start = self.shared.start.load(Ordering::Acquire);
            if self.shared.closed.load(Ordering::Acquire) {
                break;
            }
            if !started && now >= start {
                started = true;
                self.begin(start);
            }
            self.connect(now);
            self.expire(now, start);
            let stopping = self.shared.stopping.load(Ordering::Acquire);
            if started && !stopping {
                self.issue(now, start);
            }
            self.report(started, stopping);
            for slot in self.slots.iter_mut().filter(|slot| slot.touched) {
                slot.touched = false;
                if let Some(link) = &mut slot.link {
                    link.flush();
                }
            }
            if let Err(error) = self.wait(&mut events, started && !stopping, start) {
                self.tally().connection_error = format!("waiting for the network: {error}");
                break;
            }
            self.shared.cpu[self.index].store(thread_cpu(), Ordering::Relaxed);
            for event in &events {
                match event.token() {
                    WAKE => {}
                    TIMER => self.timer.clear(),
                    Token(slot) => self.ready(slot),
                }
            }
        }
        for slot in self.slots {
            if let Some(link) = slot.link {
                link.close();
            }
        }
    }

    fn begin(&mut self, start: u64) {
        if let Pace::Closed(free) = &mut self.pace {
            free.extend(std::iter::repeat_n(start, self.most));
        }
    }

    /// Sends what is due, as far as there is room.
    fn issue(&mut self, now: u64, start: u64) {
        loop {
            let due = match &self.pace {
                Pace::Closed(free) => match free.front() {
                    Some(due) => *due,
                    None => return,
                },
                Pace::Open(schedule) => {
                    let due = start + schedule.next();
                    if due > now {
                        return;
                    }
                    if self.flights.len() >= self.most {
                        self.held = true;
                        return;
                    }
                    due
                }
            };
            let measured = due >= self.shared.measure.load(Ordering::Relaxed);
            if measured && !self.shared.allows(1) {
                return;
            }
            let Some(chosen) = self.chooser.next(&self.plan) else {
                self.hold(measured);
                return;
            };
            let Some(slot) = self.room(chosen.workload) else {
                self.chooser.put_back(chosen);
                self.hold(measured);
                return;
            };
            self.send(chosen, slot, due, now, measured);
            self.held = false;
            match &mut self.pace {
                Pace::Closed(free) => drop(free.pop_front()),
                Pace::Open(schedule) => schedule.advance(),
            }
        }
    }

    fn hold(&mut self, measured: bool) {
        self.held = true;
        if measured {
            self.shared.give_back(1);
        }
    }

    fn send(&mut self, chosen: Chosen, slot: usize, due: u64, now: u64, measured: bool) {
        let plan = self.plan.clone();
        let workload = &plan.workloads[chosen.workload];
        let payload = &workload.payloads[chosen.payload];
        let traced = plan.trace_share > 0.0 && self.random.random_bool(plan.trace_share);
        let trace = traced.then(|| {
            let (mut id, mut span) = ([0; 16], [0; 8]);
            self.random.fill_bytes(&mut id);
            self.random.fill_bytes(&mut span);
            Trace { id, span }
        });
        let request = Request {
            kind: chosen.workload,
            workload,
            payload,
            step: chosen.step.as_ref(),
            trace,
            collect: !payload.expected.is_empty(),
        };
        self.serial += 1;
        let entry = self.flights.vacant_entry();
        let ticket = entry.key();
        let place = &mut self.slots[slot];
        place.load += 1;
        place.touched = true;
        let stream = place.link.as_mut().map_or(0, |link| link.send(&plan, ticket, &request));
        entry.insert(Flight {
            serial: self.serial,
            due,
            sent: now,
            workload: chosen.workload,
            payload: chosen.payload,
            link: slot,
            stream,
            trace: trace.map(|trace| trace.id),
            step: chosen.step,
            measured,
            received: 0,
            responses: 0,
            first: 0,
            moments: Vec::new(),
        });
        if let Some(timeout) = plan.timeout {
            self.deadlines.push_back((due + timeout, ticket, self.serial));
        }
        let late = matches!(self.pace, Pace::Open(_)) && !self.held;
        let mut tally = self.tally();
        if late && measured {
            tally.lateness.record(now - due);
        }
        let counts = &mut tally.workloads[chosen.workload];
        counts.sent += 1;
        counts.sent_bytes += payload.body.len() as u64;
        if measured {
            counts.lag.record(now - due);
        }
    }

    /// A connection that takes another request of this kind: the one with the least under way.
    fn room(&mut self, kind: usize) -> Option<usize> {
        let count = self.slots.len();
        self.turn = (self.turn + 1) % count;
        let found = (0..count)
            .map(|step| (self.turn + step) % count)
            .filter(|&slot| self.slots[slot].link.as_ref().is_some_and(|link| link.has_room(kind)))
            .min_by_key(|&slot| self.slots[slot].load);
        if found.is_none() && self.plan.endpoint.protocol == Protocol::Http {
            // One request at a time on each: more need more connections.
            let waiting = self.slots.iter().any(|slot| slot.link.is_none() || !slot.is_open());
            if !waiting && count < self.most.min(MAX_CONNECTIONS as usize) {
                self.slots.push(Slot::new());
                self.dial(count, self.shared.now());
            }
        }
        found
    }

    fn connect(&mut self, now: u64) {
        for slot in 0..self.slots.len() {
            let place = &mut self.slots[slot];
            if place.link.as_ref().is_some_and(Link::is_spent) && place.load == 0 {
                if let Some(link) = place.link.take() {
                    link.close();
                }
            }
            if place.link.is_none() && place.retry <= now && !self.shared.stopping.load(Ordering::Relaxed) {
                self.dial(slot, now);
            }
        }
    }

    fn dial(&mut self, slot: usize, now: u64) {
        self.attempts += 1;
        let registry = self.poll.registry();
        match Link::connect(&self.plan, &self.destination, self.attempts, registry, Token(slot)) {
            Ok(link) => self.slots[slot].link = Some(link),
            Err(error) => self.lost(slot, Failure::connection(error.to_string()), now),
        }
    }

    fn ready(&mut self, slot: usize) {
        let mut events = std::mem::take(&mut self.events);
        let place = &mut self.slots[slot];
        let Some(link) = &mut place.link else { return };
        let result = link.ready(&mut events);
        place.touched = true;
        if link.is_open() {
            place.pause = FIRST_PAUSE;
        }
        let now = self.shared.now();
        for event in events.drain(..) {
            match event {
                Event::Message { ticket, message } => self.message(ticket, message, now),
                Event::End { ticket, result, received } => {
                    if let Some(flight) = self.flights.get_mut(ticket) {
                        flight.received += received;
                    }
                    self.end(ticket, result, now);
                }
            }
        }
        self.events = events;
        if let Err(failure) = result {
            self.lost(slot, failure, now);
        }
    }

    /// The connection has failed, and with it every request on it.
    fn lost(&mut self, slot: usize, failure: Failure, now: u64) {
        let place = &mut self.slots[slot];
        // A peer that said it would leave has left.
        let announced = place.link.as_ref().is_some_and(Link::is_spent) && place.load == 0;
        place.link = None;
        place.retry = now + place.pause;
        place.pause = (place.pause * 2).min(LONGEST_PAUSE);
        if !announced {
            let mut tally = self.tally();
            tally.connections_lost += 1;
            tally.connection_error = failure.message.clone();
        }
        let affected: Vec<_> =
            self.flights.iter().filter(|(_, flight)| flight.link == slot).map(|(ticket, _)| ticket).collect();
        for ticket in affected {
            self.end(ticket, Err(failure.clone()), now);
        }
    }

    /// One answer on a stream.
    fn message(&mut self, ticket: usize, message: Bytes, now: u64) {
        let plan = self.plan.clone();
        let Some(flight) = self.flights.get_mut(ticket) else { return };
        let workload = &plan.workloads[flight.workload];
        flight.received += message.len() as u64;
        let (over, result) = match answer::streamed(message) {
            Err(failure) => (true, Err(failure)),
            Ok(streamed) => {
                let over = streamed.is_final || !workload.decoupled;
                if streamed.is_empty {
                    (over, Ok(Bytes::new()))
                } else {
                    flight.responses += 1;
                    if flight.responses == 1 {
                        flight.first = now;
                    }
                    if plan.max_records > 0 {
                        flight.moments.push(now - flight.due);
                    }
                    let expected = &workload.payloads[flight.payload].expected;
                    let checked = match expected.is_empty() {
                        true => Ok(()),
                        false => answer::check_response(streamed.response, expected, &workload.tolerance),
                    };
                    (over || checked.is_err(), checked.map(|()| Bytes::new()))
                }
            }
        };
        if over {
            let (slot, stream) = (flight.link, flight.stream);
            if let Some(link) = &mut self.slots[slot].link {
                // Further answers of a request that is over would be taken for the next one's.
                match &result {
                    Err(failure) if workload.decoupled && failure.kind == Kind::WrongAnswer => {
                        link.cancel(stream);
                    }
                    _ => link.release(stream),
                }
            }
            self.finish(ticket, result.map(drop), now);
        }
    }

    fn end(&mut self, ticket: usize, result: Result<Bytes, Failure>, now: u64) {
        let plan = self.plan.clone();
        let Some(flight) = self.flights.get_mut(ticket) else { return };
        let workload = &plan.workloads[flight.workload];
        let expected = &workload.payloads[flight.payload].expected;
        let result = result.and_then(|message| match (expected.is_empty(), plan.endpoint.protocol) {
            (true, _) => Ok(()),
            (false, Protocol::Http) => answer::check_http(message, expected, &workload.tolerance),
            (false, _) => answer::check_grpc(message, expected, &workload.tolerance),
        });
        if result.is_ok() {
            flight.responses = 1;
        }
        self.finish(ticket, result, now);
    }

    /// Counts a request that is over, and lets the next one come in a closed loop.
    fn finish(&mut self, ticket: usize, result: Result<(), Failure>, now: u64) {
        let flight = self.flights.remove(ticket);
        self.slots[flight.link].load -= 1;
        if let Some(step) = flight.step {
            self.chooser.ended(flight.workload, step, result.is_err());
        }
        // Requests that fail at once for want of a connection would otherwise be as many as the processor manages.
        let lost = matches!(&result, Err(failure) if failure.kind == Kind::Connection);
        if let Pace::Closed(free) = &mut self.pace {
            free.push_back(if lost { now.max(self.slots[flight.link].retry) } else { now });
        }
        let record = Record {
            latency: now - flight.due,
            due: flight.due,
            lag: flight.sent - flight.due,
            service: now.saturating_sub(flight.sent),
            payload: flight.payload as u32,
            connection: (flight.link * self.plan.threads + self.index) as u32,
            error: result.as_ref().err().map(|failure| failure.kind.clone()),
            trace: flight.trace,
            responses: flight.moments,
        };
        let (slowest, records) = (self.plan.slowest, self.plan.max_records);
        let mut tally = self.tally();
        let counts = &mut tally.workloads[flight.workload];
        counts.received_bytes += flight.received;
        counts.responses += flight.responses;
        if result.is_ok() {
            counts.completed += 1;
        }
        if !flight.measured {
            return;
        }
        if flight.first > 0 {
            counts.first_response.record(flight.first - flight.sent);
        }
        match result {
            Ok(()) => counts.answered(&record),
            Err(failure) => counts.failed(&record, failure),
        }
        if counts.records.len() < records {
            counts.records.push(record.clone());
        }
        if counts.is_slow(record.latency, slowest) {
            counts.keep_slow(record, slowest);
        }
    }

    /// Gives up what has taken too long, sent or not.
    fn expire(&mut self, now: u64, start: u64) {
        while let Some(&(deadline, ticket, serial)) = self.deadlines.front() {
            let live = self.flights.get(ticket).is_some_and(|flight| flight.serial == serial);
            if live && deadline > now {
                break;
            }
            self.deadlines.pop_front();
            if live {
                self.give_up(ticket, now);
            }
        }
        let Some(timeout) = self.plan.timeout.filter(|_| self.held) else { return };
        while let Pace::Open(schedule) = &mut self.pace {
            let due = start + schedule.next();
            if due + timeout > now {
                break;
            }
            schedule.advance();
            if due >= self.shared.measure.load(Ordering::Relaxed) && self.shared.allows(1) {
                let record = Record {
                    latency: now - due,
                    due,
                    lag: now - due,
                    error: Some(Kind::Timeout),
                    ..Default::default()
                };
                let failure =
                    Failure::new(Kind::Timeout, "not sent within its time: too many requests are under way");
                self.tally().workloads[0].failed(&record, failure);
            }
        }
    }

    fn give_up(&mut self, ticket: usize, now: u64) {
        let Some(flight) = self.flights.get(ticket) else { return };
        let (slot, stream) = (flight.link, flight.stream);
        let place = &mut self.slots[slot];
        place.touched = true;
        let goes_on = place.link.as_mut().is_none_or(|link| link.cancel(stream));
        self.finish(ticket, Err(Failure::new(Kind::Timeout, "not answered within its time")), now);
        if !goes_on {
            // An answer that comes later would be taken for the next request's.
            self.slots[slot].link = None;
            self.slots[slot].retry = now;
        }
    }

    /// What the generator asks of its threads.
    fn report(&mut self, started: bool, stopping: bool) {
        let (count, all) = (self.slots.iter().filter(|slot| slot.is_open()).count(), self.slots.len());
        let state = &self.shared.states[self.index];
        state.connections.store(count as u32, Ordering::Relaxed);
        state.outstanding.store(self.flights.len() as u32, Ordering::Relaxed);
        let start = self.shared.start.load(Ordering::Relaxed);
        let end = self.shared.end.load(Ordering::Acquire).min(self.shared.now());
        let unsent = match &self.pace {
            Pace::Open(schedule) if started && (self.held || stopping) => {
                schedule.due_before(end.saturating_sub(start))
            }
            Pace::Closed(_) | Pace::Open(_) => 0,
        };
        state.unsent.store(unsent, Ordering::Relaxed);
        let exhausted = self.shared.exhausted();
        let idle = started && self.flights.is_empty() && (stopping || exhausted);
        if stopping && self.shared.given_up.load(Ordering::Acquire) && !self.flights.is_empty() {
            let now = self.shared.now();
            for ticket in self.flights.iter().map(|(ticket, _)| ticket).collect::<Vec<_>>() {
                self.give_up(ticket, now);
            }
        }
        self.shared.tell(self.index, count == all, idle);
    }

    fn wait(&mut self, events: &mut Events, sending: bool, start: u64) -> io::Result<()> {
        let now = self.shared.now();
        // In whole milliseconds, which is what the poll can: they are not what the figures hang on.
        let mut coarse = self.deadlines.front().map(|(deadline, ..)| *deadline);
        for slot in &self.slots {
            if slot.link.is_none() {
                coarse = Some(coarse.map_or(slot.retry, |other| other.min(slot.retry)));
            }
        }
        let mut fine = None;
        if sending {
            match &self.pace {
                Pace::Open(schedule) if !self.held => fine = Some(start + schedule.next()),
                Pace::Open(_) => {
                    // Held back: its own time may run out.
                    if let (Pace::Open(schedule), Some(timeout)) = (&self.pace, self.plan.timeout) {
                        let end = start + schedule.next() + timeout;
                        coarse = Some(coarse.map_or(end, |other| other.min(end)));
                    }
                }
                Pace::Closed(free) => fine = free.front().filter(|due| **due > now).copied(),
            }
        } else if start > now && start < u64::MAX {
            fine = Some(start);
        }
        if fine.is_some_and(|due| due <= now) {
            return self.poll(events, Some(Duration::ZERO));
        }
        if let Some(due) = fine {
            self.timer.set(due - now)?;
        }
        let timeout = coarse.map(|end| Duration::from_nanos(end.saturating_sub(now)));
        self.poll(events, timeout)
    }

    fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.shared.tally(self.index)
    }
}

impl Slot {
    fn new() -> Self {
        Self { link: None, retry: 0, pause: FIRST_PAUSE, load: 0, touched: false }
    }

    fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }
}

/// Wakes the poll to some ten microseconds, where it alone would round up to a millisecond.
#[cfg(target_os = "linux")]
struct Timer(rustix::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Timer {
    fn new(poll: &Poll) -> io::Result<Self> {
        use rustix::{
            fd::AsRawFd,
            time::{TimerfdClockId, TimerfdFlags, timerfd_create},
        };
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        poll.registry().register(
            &mut mio::unix::SourceFd(&timer.as_raw_fd()),
            TIMER,
            mio::Interest::READABLE,
        )?;
        Ok(Self(timer))
    }

    fn set(&mut self, nanoseconds: u64) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let value = Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as i64,
            tv_nsec: (nanoseconds % 1_000_000_000).max(1) as _,
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Edge-triggered: setting it again is all it needs.
    fn clear(&mut self) {}
}

/// The kernel may let a thread sleep 50 microseconds longer than it asked, to wake several at once.
#[cfg(target_os = "linux")]
fn quick_timers() {
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000));
}

fn thread_cpu() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}
