//! One sending thread: it sends what is due, takes what comes, and counts.

use crate::{
    answer,
    choice::{Chooser, Chosen},
    failure::{Failure, Kind},
    flights::{Counts, Flight, Flights},
    generator::{Phase, Shared},
    link::Event,
    links::Links,
    message::{Request, Trace},
    pace::Pace,
    plan::{Plan, Protocol},
    tally::{Record, Tally},
    timer::{Timer, processor_time, wake_exactly},
    transport::Destination,
};
use bytes::Bytes;
use mio::{Events, Poll, Token};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::{
    io,
    sync::{Arc, MutexGuard, atomic::Ordering},
    time::Duration,
};

/// Tokens that are no connection.
pub const WAKE: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);

/// How often what waits is counted while nothing else happens, and processor time at most. Nanoseconds.
const COUNTED_EVERY: u64 = 10_000_000;
const CLOCKED_EVERY: u64 = 100_000;

pub struct Worker {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    index: usize,
    poll: Poll,
    timer: Timer,
    links: Links,
    flights: Flights,
    chooser: Chooser,
    pace: Pace,
    /// Requests under way at most.
    most: usize,
    random: Xoshiro256PlusPlus,
    events: Vec<Event>,
    /// What was told last, and when the processor time was.
    told: (bool, Phase),
    clocked: u64,
}

/// What the thread is told to do, at the beginning of a turn.
#[derive(Clone, Copy)]
struct Orders {
    now: u64,
    start: u64,
    stopping: bool,
    given_up: bool,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        index: usize,
        poll: Poll,
        destination: Arc<Destination>,
    ) -> io::Result<Self> {
        let plan = shared.plan.clone();
        let most = plan.part(plan.arrivals.most(), index);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(plan.seed ^ 0x0074_7261_6365);
        (0..index).for_each(|_| random.jump());
        Ok(Self {
            timer: Timer::new(&poll, TIMER)?,
            links: Links::new(plan.clone(), destination, poll.registry().try_clone()?, index, most),
            flights: Flights::new(),
            chooser: Chooser::new(&plan, index, most),
            pace: Pace::new(&plan, index),
            shared,
            plan,
            index,
            poll,
            most,
            random,
            events: Vec::new(),
            told: (false, Phase::Busy),
            clocked: 0,
        })
    }

    /// Until the generator is closed; an error if the system refuses to wait for the network.
    pub fn run(mut self) -> io::Result<()> {
        wake_exactly();
        let mut events = Events::with_capacity(256);
        let mut started = false;
        while let Some(orders) = self.orders() {
            let Orders { now, start, stopping, given_up } = orders;
            if !started && now >= start && !stopping {
                started = true;
                self.pace.begin(start, self.most);
            }
            if self.may_connect(orders) {
                self.links.connect(now);
            }
            self.expire(orders);
            if given_up {
                self.give_up_all(now);
            } else if stopping {
                self.end_sequences(now);
            } else if started {
                self.issue(now);
            }
            let relieved = self.links.flush();
            self.report(started, orders);
            self.wait(&mut events, orders, relieved)?;
            for slot in self.links.take_unread() {
                self.ready(slot, false);
            }
            for event in &events {
                match event.token() {
                    WAKE | TIMER => {}
                    Token(slot) => self.ready(slot, event.is_read_closed() || event.is_error()),
                }
            }
        }
        self.links.close();
        Ok(())
    }

    /// None if the generator is closed.
    fn orders(&self) -> Option<Orders> {
        let shared = &self.shared;
        let closed = shared.closed.load(Ordering::Acquire);
        (!closed).then(|| Orders {
            start: shared.start.load(Ordering::Acquire),
            stopping: shared.stopping.load(Ordering::Acquire),
            given_up: shared.given_up.load(Ordering::Acquire),
            now: shared.now(),
        })
    }

    /// At the end only sequences still need connections.
    fn may_connect(&self, orders: Orders) -> bool {
        !orders.stopping || !orders.given_up && self.chooser.has_sequences()
    }

    /// Sends what is due, as far as there is room.
    fn issue(&mut self, now: u64) {
        let plan = self.plan.clone();
        let measured_from = self.shared.measure.load(Ordering::Relaxed);
        while let Some(due) = self.pace.due().filter(|due| *due <= now) {
            let measured = due >= measured_from;
            if measured && self.shared.exhausted() {
                return;
            }
            if self.flights.len() >= self.most {
                return self.pace.hold();
            }
            let Some(chosen) = self.chooser.next(&plan) else { return self.pace.hold() };
            let Some(slot) = self.links.room(plan.workloads[chosen.workload].route) else {
                self.chooser.put_back(chosen);
                self.links.grow(self.pace.waiting(now), now);
                return self.pace.hold();
            };
            if measured && !self.shared.allows_another() {
                self.links.put_back(slot);
                return self.chooser.put_back(chosen);
            }
            let late = self.pace.sent(due, now).filter(|_| measured);
            let workload = chosen.workload;
            let bytes = plan.workloads[workload].payloads[chosen.payload].body.len() as u64;
            self.send(chosen, slot, due, now, if measured { Counts::Measured } else { Counts::WarmUp });
            self.pace.advance();
            let mut tally = self.tally();
            if let Some(late) = late {
                tally.lateness.record(late);
            }
            let counts = &mut tally.workloads[workload];
            counts.sent += 1;
            counts.sent_bytes += bytes;
            if measured {
                counts.lag.record(now - due);
            }
        }
    }

    /// One more request for each sequence that the end of the run leaves open: the server would keep its place for it.
    fn end_sequences(&mut self, now: u64) {
        let plan = self.plan.clone();
        while let Some(chosen) = self.chooser.last_step(&plan) {
            match self.links.room(plan.workloads[chosen.workload].route) {
                Some(slot) => self.send(chosen, slot, now, now, Counts::Nothing),
                None => return self.chooser.put_back(chosen),
            }
        }
    }

    fn send(&mut self, chosen: Chosen, slot: usize, due: u64, now: u64, counts: Counts) {
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
            workload,
            payload,
            step: chosen.step.as_ref(),
            trace,
            collect: !payload.expected.is_empty(),
        };
        let stream = self.links.send(slot, self.flights.next_ticket(), &request);
        self.flights.add(Flight {
            due,
            sent: now,
            workload: chosen.workload,
            payload: chosen.payload,
            link: slot,
            stream,
            trace: trace.map(|trace| trace.id),
            step: chosen.step,
            counts,
            received: 0,
            responses: 0,
            first: 0,
            moments: Vec::new(),
        });
    }

    fn ready(&mut self, slot: usize, ending: bool) {
        let mut events = std::mem::take(&mut self.events);
        let result = self.links.ready(slot, ending, &mut events);
        let now = self.shared.now();
        for event in events.drain(..) {
            match event {
                Event::Message { ticket, message } => self.message(ticket, message, now),
                Event::End { ticket, result, received } => self.end(ticket, result, received, now),
            }
        }
        self.events = events;
        if let Err(failure) = result {
            for ticket in self.links.fail(slot, &failure, now) {
                self.end(ticket, Err(failure.clone()), 0, now);
            }
        }
        self.links.settle(slot, now);
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
                    (over, Ok(()))
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
                    (over || checked.is_err(), checked)
                }
            }
        };
        if over {
            let (slot, stream) = (flight.link, flight.stream);
            if workload.decoupled && result.is_err() {
                // Further answers of a request that is over would be taken for the next one's.
                self.links.cancel(slot, stream, now);
            } else {
                self.links.release(slot, stream);
            }
            self.finish(ticket, result, now);
        }
    }

    fn end(&mut self, ticket: usize, result: Result<Bytes, Failure>, received: u64, now: u64) {
        let plan = self.plan.clone();
        let Some(flight) = self.flights.get_mut(ticket) else { return };
        let workload = &plan.workloads[flight.workload];
        let expected = &workload.payloads[flight.payload].expected;
        let result = result.and_then(|message| match (expected.is_empty(), plan.endpoint.protocol) {
            (true, _) => Ok(()),
            (false, Protocol::Http) => answer::check_http(message, expected, &workload.tolerance),
            (false, _) => answer::check_grpc(message, expected, &workload.tolerance),
        });
        flight.received += received;
        if result.is_ok() {
            flight.responses = 1;
        }
        self.finish(ticket, result, now);
    }

    /// Counts a request that is over, and lets the next one come in a closed loop.
    fn finish(&mut self, ticket: usize, result: Result<(), Failure>, now: u64) {
        let Some(flight) = self.flights.remove(ticket) else { return };
        let unanswered = matches!(&result, Err(failure) if failure.kind == Kind::Connection);
        self.links.ended(flight.link, !unanswered);
        if let Some(step) = flight.step {
            self.chooser.ended(flight.workload, step, result.is_err());
        }
        if flight.counts == Counts::Nothing {
            return;
        }
        self.pace.ended(now);
        let record = Record {
            latency: now - flight.due,
            due: flight.due,
            lag: flight.sent - flight.due,
            service: now - flight.sent,
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
        counts.completed += u64::from(result.is_ok());
        if flight.counts != Counts::Measured {
            return;
        }
        if flight.first > 0 {
            counts.first_response.record(flight.first - flight.sent);
        }
        match result {
            Ok(()) => counts.answered(&record),
            Err(failure) => counts.failed(&record, failure),
        }
        counts.keep(record, slowest, records);
    }

    /// Gives up what has taken too long, sent or not.
    fn expire(&mut self, orders: Orders) {
        let (Some(timeout), now) = (self.plan.timeout, orders.now) else { return };
        while let Some((ticket, _)) = self.flights.oldest().filter(|(_, flight)| flight.due + timeout <= now)
        {
            self.give_up(ticket, now);
        }
        if orders.stopping || !self.pace.is_held() {
            return;
        }
        while let Some(due) = self.pace.due().filter(|due| due.saturating_add(timeout) <= now) {
            let measured = due >= self.shared.measure.load(Ordering::Relaxed);
            if measured && !self.shared.allows_another() {
                return;
            }
            self.pace.advance();
            self.pace.ended(now);
            if measured {
                self.count_unsent(due, now);
            }
        }
    }

    fn count_unsent(&mut self, due: u64, now: u64) {
        let workload = self.chooser.skip();
        let (latency, error) = (now - due, Some(Kind::Timeout));
        let record = Record { latency, due, lag: latency, error, ..Default::default() };
        let failure = Failure::new(Kind::Timeout, "not sent within its time: nothing had room for it");
        let (slowest, records) = (self.plan.slowest, self.plan.max_records);
        let mut tally = self.tally();
        let counts = &mut tally.workloads[workload];
        counts.failed(&record, failure);
        counts.keep(record, slowest, records);
    }

    fn give_up(&mut self, ticket: usize, now: u64) {
        let Some(flight) = self.flights.get(ticket) else { return };
        let (slot, stream) = (flight.link, flight.stream);
        self.links.cancel(slot, stream, now);
        self.finish(ticket, Err(Failure::new(Kind::Timeout, "not answered within its time")), now);
        self.links.settle(slot, now);
    }

    fn give_up_all(&mut self, now: u64) {
        self.chooser.abandon();
        while let Some((ticket, _)) = self.flights.oldest() {
            self.give_up(ticket, now);
        }
    }

    /// Tells the generator how things stand.
    fn report(&mut self, started: bool, orders: Orders) {
        if let Some((lost, why)) = self.links.losses() {
            if orders.stopping && self.links.open() == 0 {
                // Nobody is there any more to be told that a sequence has ended.
                self.chooser.abandon();
            }
            let mut tally = self.tally();
            tally.connections_lost += lost;
            tally.connection_error = why;
        }
        let phase = match self.flights.is_empty() {
            true if orders.stopping && !self.chooser.has_sequences() => Phase::Ended,
            true if started && self.shared.exhausted() => Phase::Sent,
            _ => Phase::Busy,
        };
        let unsent = if started && (self.pace.is_held() || orders.stopping) {
            self.pace.unsent(self.shared.end.load(Ordering::Acquire).min(orders.now))
        } else {
            0
        };
        let state = &self.shared.states[self.index];
        state.connections.store(self.links.open() as u32, Ordering::Relaxed);
        state.outstanding.store(self.flights.len() as u32, Ordering::Relaxed);
        state.unsent.store(unsent, Ordering::Relaxed);
        let now = self.shared.now();
        if now >= self.clocked + CLOCKED_EVERY {
            self.clocked = now;
            state.cpu.store(processor_time(), Ordering::Relaxed);
        }
        let told = (self.links.all_open(), phase);
        if self.told != told {
            self.told = told;
            self.shared.tell(self.index, told);
        }
    }

    fn wait(&mut self, events: &mut Events, orders: Orders, relieved: bool) -> io::Result<()> {
        let now = self.shared.now();
        if self.links.has_unread() || relieved && self.pace.is_held() {
            return self.poll(events, Some(0));
        }
        let sending = orders.start <= now && !orders.stopping && !self.shared.exhausted();
        // In whole milliseconds, which is what the poll can: they are not what the figures hang on.
        let mut coarse = self.links.next_attempt().filter(|_| self.may_connect(orders));
        let mut by = |moment: Option<u64>| coarse = coarse.into_iter().chain(moment).min();
        if let Some(timeout) = self.plan.timeout {
            by(self.flights.oldest().map(|(_, flight)| flight.due + timeout));
            by(self
                .pace
                .due()
                .filter(|_| sending && self.pace.is_held())
                .map(|due| due.saturating_add(timeout)));
        }
        let fine = if sending {
            by(Some(now + COUNTED_EVERY).filter(|_| self.pace.has_backlog()));
            self.pace.due().filter(|_| !self.pace.is_held())
        } else {
            Some(orders.start).filter(|start| *start > now && *start < u64::MAX && !orders.stopping)
        };
        match fine {
            Some(due) if due <= now => return self.poll(events, Some(0)),
            Some(due) => self.timer.set(due, now)?,
            None => {}
        }
        self.poll(events, coarse.map(|moment| moment.saturating_sub(now)))
    }

    fn poll(&mut self, events: &mut Events, nanoseconds: Option<u64>) -> io::Result<()> {
        match self.poll.poll(events, nanoseconds.map(Duration::from_nanos)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.shared.tally(self.index)
    }
}
