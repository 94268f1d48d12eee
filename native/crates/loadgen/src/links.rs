//! One thread's connections: which of them takes the next request, and when one that was lost is made again.

use crate::{
    failure::Failure,
    link::{Event, Link},
    message::Request,
    plan::{MAX_CONNECTIONS, Plan, Protocol},
    transport::Destination,
};
use mio::{Registry, Token};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    io,
    sync::Arc,
};

/// Pauses before a connection is made again: they double. Nanoseconds.
const FIRST_PAUSE: u64 = 1_000_000;
const LONGEST_PAUSE: u64 = 500_000_000;

/// So many requests share a write at most. All of a turn in one would make client and server work in turns; a few in each
/// would come to the server as smaller batches than callers who are many make. h2load's figures agree best with this.
const BURST: u32 = 32;

pub struct Links {
    plan: Arc<Plan>,
    destination: Arc<Destination>,
    registry: Registry,
    slots: Vec<Slot>,
    /// Slots without a connection and without a use.
    vacant: Vec<usize>,
    /// When to connect which slot.
    down: BinaryHeap<Reverse<(u64, usize)>>,
    /// HTTP/1.1: connections without a request, the longest unused first.
    free: VecDeque<usize>,
    /// Slots with something to be sent.
    touched: Vec<usize>,
    /// An early flush has made room on a connection.
    relieved: bool,
    /// Slots that were not read to their end.
    unread: Vec<usize>,
    /// Where the search for a connection begins.
    turn: usize,
    /// Slots that have a connection or are to have one, those that are leaving aside.
    live: usize,
    open: usize,
    /// Requests under way.
    load: usize,
    limit: usize,
    /// No more than these are opened until then.
    enough_until: u64,
    attempts: usize,
    /// The peer was seen to speak the protocol.
    proved: bool,
    lost: u32,
    error: String,
}

/// A connection's place, which its token and its requests name.
#[derive(Default)]
struct Slot {
    link: Option<Link>,
    pause: u64,
    load: usize,
    open: bool,
    /// It has brought an answer.
    served: bool,
    /// Another slot has taken its part; it ends with its last request.
    leaving: bool,
    touched: bool,
    /// Requests since the last flush.
    unflushed: u32,
    free: bool,
}

impl Links {
    /// For thread `index`, which has up to `most` requests under way.
    pub fn new(
        plan: Arc<Plan>,
        destination: Arc<Destination>,
        registry: Registry,
        index: usize,
        most: usize,
    ) -> Self {
        let live = plan.part(plan.connections, index).max(1);
        let limit = most.min(plan.part(MAX_CONNECTIONS as usize, index)).max(live);
        Self {
            plan,
            destination,
            registry,
            slots: (0..live).map(|_| Slot { pause: FIRST_PAUSE, ..Default::default() }).collect(),
            vacant: Vec::new(),
            down: (0..live).map(|slot| Reverse((0, slot))).collect(),
            free: VecDeque::new(),
            touched: Vec::new(),
            relieved: false,
            unread: Vec::new(),
            turn: 0,
            live,
            open: 0,
            load: 0,
            limit,
            enough_until: 0,
            attempts: index,
            proved: false,
            lost: 0,
            error: String::new(),
        }
    }

    /// How many can carry requests.
    pub fn open(&self) -> usize {
        self.open
    }

    pub fn all_open(&self) -> bool {
        self.open == self.live
    }

    /// Connections that were lost or could not be made since the last call, and why the last of them.
    pub fn losses(&mut self) -> Option<(u32, String)> {
        let lost = std::mem::take(&mut self.lost);
        (lost > 0).then(|| (lost, std::mem::take(&mut self.error)))
    }

    /// When the next connection is to be made.
    pub fn next_attempt(&self) -> Option<u64> {
        self.down.peek().map(|Reverse((moment, _))| *moment)
    }

    /// Makes the connections whose pause is over.
    pub fn connect(&mut self, now: u64) {
        while let Some(&Reverse((moment, slot))) = self.down.peek() {
            if moment > now {
                break;
            }
            self.down.pop();
            self.dial(slot, now);
        }
    }

    /// Whether this machine had a socket for it.
    fn dial(&mut self, slot: usize, now: u64) -> bool {
        self.attempts += 1;
        // One is enough to tell what the server speaks.
        let probe = !self.proved && slot == 0;
        let (turn, token) = (self.attempts, Token(slot));
        match Link::connect(&self.plan, &self.destination, turn, probe, &self.registry, token) {
            Ok(link) => {
                self.slots[slot].link = Some(link);
                return true;
            }
            // A unix socket whose queue is full: the server is there.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.count(&Failure::connection(error.to_string())),
        }
        self.retry(slot, now);
        false
    }

    fn retry(&mut self, slot: usize, now: u64) {
        let place = &mut self.slots[slot];
        self.down.push(Reverse((now + place.pause, slot)));
        place.pause = (place.pause * 2).min(LONGEST_PAUSE);
    }

    fn count(&mut self, failure: &Failure) {
        self.lost += 1;
        self.error.clone_from(&failure.message);
    }

    /// A connection that takes another request of this workload's route.
    pub fn room(&mut self, route: usize) -> Option<usize> {
        if self.plan.endpoint.protocol != Protocol::Http {
            return self.least_loaded(route);
        }
        while let Some(slot) = self.free.pop_front() {
            let place = &mut self.slots[slot];
            place.free = false;
            if place.link.as_ref().is_some_and(|link| link.has_room(route)) {
                return Some(slot);
            }
        }
        None
    }

    /// One with no more under way than the mean, or else the one with the least: with thousands of them, a search for the
    /// very least would take longer than a request.
    fn least_loaded(&mut self, route: usize) -> Option<usize> {
        let count = self.slots.len();
        self.turn = if self.turn + 1 < count { self.turn + 1 } else { 0 };
        let mean = self.load / self.open.max(1);
        let mut best: Option<usize> = None;
        for slot in (self.turn..count).chain(0..self.turn) {
            let place = &self.slots[slot];
            let better = best.is_none_or(|best| place.load < self.slots[best].load);
            if better && place.link.as_ref().is_some_and(|link| link.has_room(route)) {
                if place.load <= mean {
                    return Some(slot);
                }
                best = Some(slot);
            }
        }
        if best.is_none() && self.plan.endpoint.protocol == Protocol::GrpcStream {
            for slot in 0..count {
                if self.slots[slot].link.as_mut().is_some_and(|link| link.make_room(route)) {
                    self.touch(slot);
                }
            }
        }
        best
    }

    /// A connection that `room` gave is not used after all.
    pub fn put_back(&mut self, slot: usize) {
        if self.plan.endpoint.protocol == Protocol::Http
            && !std::mem::replace(&mut self.slots[slot].free, true)
        {
            self.free.push_front(slot);
        }
    }

    /// HTTP/1.1 carries one request at a time on each connection: opens as many as `waiting` ones need.
    pub fn grow(&mut self, waiting: u64, now: u64) {
        if self.plan.endpoint.protocol != Protocol::Http || !self.proved {
            return;
        }
        while self.live < self.limit && ((self.live - self.open) as u64) < waiting && now >= self.enough_until
        {
            let slot = self.place();
            if !self.dial(slot, now) {
                // This machine has no more to give: it is not asked again for a while.
                self.enough_until = now + LONGEST_PAUSE;
            }
        }
    }

    fn place(&mut self) -> usize {
        self.live += 1;
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        self.slots[slot] = Slot { pause: FIRST_PAUSE, ..Default::default() };
        slot
    }

    /// Returns what `cancel` and `release` want to know the request by.
    pub fn send(&mut self, slot: usize, ticket: usize, request: &Request<'_>) -> u32 {
        self.load += 1;
        self.touch(slot);
        let place = &mut self.slots[slot];
        place.load += 1;
        let Some(link) = &mut place.link else { return 0 };
        let stream = link.send(&self.plan, ticket, request);
        place.unflushed += 1;
        if place.unflushed == BURST {
            place.unflushed = 0;
            self.relieved |= link.flush();
        }
        stream
    }

    fn touch(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.slots[slot].touched, true) {
            self.touched.push(slot);
        }
    }

    /// A request on this connection is over. To be followed by `settle`.
    pub fn ended(&mut self, slot: usize, answered: bool) {
        self.load -= 1;
        let place = &mut self.slots[slot];
        place.load -= 1;
        place.served |= answered;
    }

    /// Takes note of what has become of a connection.
    pub fn settle(&mut self, slot: usize, now: u64) {
        let place = &mut self.slots[slot];
        let Some(link) = &place.link else { return };
        self.proved |= link.is_settled();
        let open = link.is_open();
        if open != place.open {
            place.open = open;
            if open {
                place.pause = FIRST_PAUSE;
                self.open += 1;
            } else {
                self.open -= 1;
            }
        }
        if link.is_leaving() && !place.leaving {
            place.leaving = true;
            self.live -= 1;
            let other = self.place();
            self.down.push(Reverse((now, other)));
        }
        let place = &mut self.slots[slot];
        if place.leaving && place.load == 0 {
            if let Some(link) = place.link.take() {
                link.close();
            }
            self.vacant.push(slot);
        } else if self.plan.endpoint.protocol == Protocol::Http
            && !place.free
            && place.link.as_ref().is_some_and(|link| link.has_room(0))
        {
            place.free = true;
            self.free.push_back(slot);
        }
    }

    /// The socket has something to say. Events are to be followed by `settle`, a failure by `fail`.
    pub fn ready(&mut self, slot: usize, ending: bool, events: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(link) = &mut self.slots[slot].link else { return Ok(()) };
        if link.ready(ending, events)? {
            self.unread.push(slot);
        }
        self.touch(slot);
        Ok(())
    }

    /// Connections that were not read to their end: they are `ready`, and no event will say so.
    pub fn take_unread(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.unread)
    }

    /// Whether there is something to read that no event announces.
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// The connection has failed; returns the requests that were under way on it, which are to be ended.
    pub fn fail(&mut self, slot: usize, failure: &Failure, now: u64) -> Vec<usize> {
        let tickets = self.drop_link(slot);
        let place = &mut self.slots[slot];
        // One that has done its work may be closed at any time: a peer that said so has left, and HTTP/1.1 need not say.
        let idle = tickets.is_empty()
            && (place.leaving || place.served && self.plan.endpoint.protocol == Protocol::Http);
        if !idle {
            self.count(failure);
        }
        let place = &mut self.slots[slot];
        if place.leaving {
            self.vacant.push(slot);
        } else if idle {
            place.served = false;
            self.down.push(Reverse((now, slot)));
        } else {
            self.retry(slot, now);
        }
        tickets
    }

    fn drop_link(&mut self, slot: usize) -> Vec<usize> {
        let place = &mut self.slots[slot];
        self.open -= usize::from(std::mem::take(&mut place.open));
        place.link.take().map(|link| link.tickets()).unwrap_or_default()
    }

    /// Gives up a request; to be followed by `ended` and `settle`.
    pub fn cancel(&mut self, slot: usize, stream: u32, now: u64) {
        self.touch(slot);
        let goes_on = self.slots[slot].link.as_mut().is_none_or(|link| link.cancel(stream));
        if !goes_on {
            // An answer that comes later would be taken for the next request's.
            self.drop_link(slot);
            if self.slots[slot].leaving {
                self.vacant.push(slot);
            } else {
                self.down.push(Reverse((now, slot)));
            }
        }
    }

    /// The last answer was there of a request on a stream that carries several.
    pub fn release(&mut self, slot: usize, stream: u32) {
        self.touch(slot);
        if let Some(link) = &mut self.slots[slot].link {
            link.release(stream);
        }
    }

    /// Sends what waits. Whether there is room now that was taken by bytes before.
    pub fn flush(&mut self) -> bool {
        let mut relieved = std::mem::take(&mut self.relieved);
        while let Some(slot) = self.touched.pop() {
            let place = &mut self.slots[slot];
            place.touched = false;
            place.unflushed = 0;
            if let Some(link) = &mut place.link {
                relieved |= link.flush();
            }
        }
        relieved
    }

    /// Ends all of them in the regular way.
    pub fn close(self) {
        self.slots.into_iter().filter_map(|slot| slot.link).for_each(Link::close);
    }
}
