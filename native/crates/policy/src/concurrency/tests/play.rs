//! Servers and their clients in virtual time.

use crate::chance::Chance;
use crate::concurrency::{Ended, Limit, Settings};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

/// What waits when one of its slots becomes free runs together, up to the largest batch, for `fixed + each *
/// batch` milliseconds, give or take the noise. Workers that do not batch are slots whose largest batch is
/// one request.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    pub slots: usize,
    pub largest: usize,
    pub fixed: f64,
    pub each: f64,
    pub noise: Noise,
}

#[derive(Debug, Clone, Copy)]
pub enum Noise {
    None,
    /// Exponentially distributed.
    Exponential,
    /// One in ten takes thirty times as long as the others.
    Mixed,
}

/// What requests a client has.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// Always another one that waits for its turn.
    Endless,
    /// So many per second, at random moments (Poisson).
    Random(f64),
}

/// What became of the requests of some time.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    /// Answers per second.
    pub rate: f64,
    /// Seconds at the server and on the way, on average.
    pub latency: f64,
    /// Requests that found a free place.
    pub at_once: f64,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    client: usize,
    sent: u64,
    started: u64,
}

#[derive(Debug)]
enum Event {
    Comes(usize),
    Arrives(Request),
    Ends(Vec<Request>),
    Returns(Request),
}

/// A server whose clients each have a limit.
pub struct Play {
    pub server: Server,
    pub limits: Vec<Limit>,
    /// Whether the server says how long a request waited.
    pub tells: bool,
    pub load: Load,
    /// Milliseconds from a client to the server, and back.
    pub way: f64,
    start: Instant,
    now: u64,
    random: Chance,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    details: BTreeMap<u64, Event>,
    waiting: VecDeque<Request>,
    busy: usize,
    number: u64,
    at_home: Vec<usize>,
    came: usize,
    at_once: usize,
    answers: usize,
    seconds: f64,
}

impl Play {
    pub fn new(server: Server, clients: usize, settings: &Settings, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            server,
            limits: (0..clients).map(|_| Limit::new(settings.clone(), start)).collect(),
            tells: false,
            load: Load::Endless,
            way: 0.1,
            start,
            now: 0,
            random: Chance::seeded(seed),
            events: BinaryHeap::new(),
            details: BTreeMap::new(),
            waiting: VecDeque::new(),
            busy: 0,
            number: 0,
            at_home: vec![0; clients],
            came: 0,
            at_once: 0,
            answers: 0,
            seconds: 0.0,
        }
    }

    /// What a server does with so many requests in flight.
    pub fn fixed(server: Server, level: usize, seconds: f64) -> Tally {
        Self::new(server, 1, &Settings { min: level, max: level }, 1).run(seconds)
    }

    fn at(&self) -> Instant {
        self.start + Duration::from_nanos(self.now)
    }

    fn after(&mut self, millis: f64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((self.now + (millis * 1e6) as u64, self.number)));
        self.details.insert(self.number, event);
    }

    pub fn run(&mut self, seconds: f64) -> Tally {
        (self.came, self.at_once, self.answers, self.seconds) = (0, 0, 0, 0.0);
        let end = self.now + (seconds * 1e9) as u64;
        if self.number == 0
            && let Load::Random(_) = self.load
        {
            (0..self.limits.len()).for_each(|client| self.after(0.0, Event::Comes(client)));
        }
        (0..self.limits.len()).for_each(|client| self.send(client));
        while self.now < end {
            let Reverse((at, number)) = self.events.pop().unwrap();
            self.now = at;
            match self.details.remove(&number).unwrap() {
                Event::Comes(client) => {
                    let Load::Random(rate) = self.load else { continue };
                    let gap = -(1.0 - self.random.unit()).ln() / rate * 1e3;
                    self.after(gap, Event::Comes(client));
                    self.at_home[client] += 1;
                    self.came += 1;
                    self.send(client);
                    self.at_once += usize::from(self.at_home[client] == 0);
                }
                Event::Arrives(request) => {
                    self.waiting.push_back(request);
                    self.start_some();
                }
                Event::Ends(batch) => {
                    self.busy -= 1;
                    batch.into_iter().for_each(|request| self.after(self.way, Event::Returns(request)));
                    self.start_some();
                }
                Event::Returns(Request { client, sent, started }) => {
                    let latency = Duration::from_nanos(self.now - sent);
                    self.answers += 1;
                    self.seconds += latency.as_secs_f64();
                    let arrived = sent + (self.way * 1e6) as u64;
                    let queued = self.tells.then(|| Duration::from_nanos(started - arrived));
                    let at = self.at();
                    self.limits[client].release(Ended::Answered { latency, queued }, at);
                    self.send(client);
                }
            }
        }
        Tally {
            rate: self.answers as f64 / seconds,
            latency: self.seconds / self.answers as f64,
            at_once: self.at_once as f64 / self.came as f64,
        }
    }

    fn send(&mut self, client: usize) {
        let endless = matches!(self.load, Load::Endless);
        let now = self.at();
        while (endless || self.at_home[client] > 0) && self.limits[client].acquire(now) {
            if !endless {
                self.at_home[client] -= 1;
            }
            self.after(self.way, Event::Arrives(Request { client, sent: self.now, started: 0 }));
        }
    }

    fn start_some(&mut self) {
        let Server { slots, largest, fixed, each, noise } = self.server;
        while self.busy < slots && !self.waiting.is_empty() {
            let size = largest.min(self.waiting.len());
            let batch = self.waiting.drain(..size).map(|it| Request { started: self.now, ..it }).collect();
            let chance = self.random.unit();
            let factor = match noise {
                Noise::None => 1.0,
                Noise::Exponential => -(1.0 - chance).ln(),
                Noise::Mixed if chance < 0.1 => 30.0,
                Noise::Mixed => 1.0,
            };
            self.busy += 1;
            self.after((fixed + each * size as f64) * factor, Event::Ends(batch));
        }
    }
}
