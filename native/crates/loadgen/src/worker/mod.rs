//! One sending thread: it sends what is due, takes what comes, and counts.

mod ending;
mod sending;

use crate::{
    choice::Chooser,
    flights::Flights,
    generator::{Phase, Shared},
    link::Event,
    links::Links,
    pace::Pace,
    plan::Plan,
    tally::Tally,
    timer::{Timer, processor_time, wake_exactly},
    transport::Destination,
};
use mio::{Events, Poll, Token};
use rand::SeedableRng;
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
