//! The policies together, as an engine uses them, in virtual time: three endpoints under steady load, one or
//! all of which have a fault for a while. What can be saved is saved, the extra load stays small, and they
//! are used again afterwards.

use infermesh_policy::{
    Chance, Deadline, Event, Outcome,
    balancer::{
        p2c::{Standing, pick},
        peak_ewma::{self, Flight, Load},
    },
    breaker::{self, Breaker, Permit, State},
    budget::{self, Budget},
    outcome::Bound,
    retry::{self, Attempt, Decision},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);
const FAULT: std::ops::Range<u32> = 10..20;
const END: u32 = 40;

/// Between two requests, and for an answer.
const GAP: Duration = Duration::from_millis(1);
const ANSWER: Duration = Duration::from_millis(8);

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// There is nobody to connect to, and what was under way is lost.
    Killed,
    /// It takes requests and says nothing, until they time out.
    Frozen,
    /// It says at once that it cannot.
    Failing,
    /// It says at once that it has too much to do.
    Overloaded,
    /// It takes thirty times as long.
    Slow,
}

impl Fault {
    fn does(self) -> (Duration, Event) {
        let moment = Duration::from_micros(200);
        match self {
            Self::Killed => (moment, Event::ConnectFailed),
            Self::Frozen => (Duration::from_millis(500), Event::TimedOut(Bound::Attempt)),
            Self::Failing => (moment, Event::Grpc(14)),
            Self::Overloaded => (moment, Event::Grpc(8)),
            Self::Slow => (30 * ANSWER, Event::Grpc(0)),
        }
    }
}

/// A request, and where it was tried.
#[derive(Debug, Default)]
struct Request {
    tried: Vec<usize>,
    deadline: Deadline,
}

enum Step {
    Send(Request),
    End { request: Request, flight: Flight, permit: Permit, event: Event },
}

struct Endpoint {
    load: Load,
    breaker: Breaker,
}

/// What came of it.
#[derive(Debug, Default)]
struct Told {
    requests: u32,
    retries: u32,
    failed: u32,
    /// Of these, the ones that found nobody to ask.
    unsent: u32,
    /// The second of the last failure.
    last_failed: u64,
    /// Requests to endpoints with the fault, by second.
    to_faulty: BTreeMap<u64, u32>,
}

impl Told {
    fn fail(&mut self, second: u64) {
        self.failed += 1;
        self.last_failed = second;
    }

    fn to_faulty(&self, seconds: std::ops::Range<u32>) -> u32 {
        self.to_faulty.range(u64::from(seconds.start)..u64::from(seconds.end)).map(|(_, count)| count).sum()
    }
}

struct Engine {
    start: Instant,
    fault: Fault,
    /// So many have it.
    faulty: usize,
    endpoints: Vec<Endpoint>,
    retry: retry::Settings,
    budget: Budget,
    chance: Chance,
    agenda: BTreeMap<(Instant, u64), Step>,
    number: u64,
    told: Told,
}

impl Engine {
    fn new(fault: Fault, faulty: usize) -> Self {
        let start = Instant::now();
        let endpoint = || Endpoint {
            load: Load::new(start, peak_ewma::Settings::default()),
            breaker: Breaker::new(start, breaker::Settings::default()),
        };
        Self {
            start,
            fault,
            faulty,
            endpoints: (0..3).map(|_| endpoint()).collect(),
            retry: retry::Settings::default(),
            budget: Budget::new(start, &budget::Settings::default()),
            chance: Chance::seeded(11),
            agenda: BTreeMap::new(),
            number: 0,
            told: Told::default(),
        }
    }

    fn run(mut self) -> Told {
        for index in 0..(END * SECOND).as_millis() as u32 {
            self.schedule(self.start + GAP * index, Step::Send(Request::default()));
        }
        while let Some(((now, _), step)) = self.agenda.pop_first() {
            match step {
                Step::Send(request) => self.send(now, request),
                Step::End { request, flight, permit, event } => self.end(now, request, flight, permit, event),
            }
        }
        self.told
    }

    fn schedule(&mut self, at: Instant, step: Step) {
        self.number += 1;
        self.agenda.insert((at, self.number), step);
    }

    fn send(&mut self, now: Instant, mut request: Request) {
        if request.tried.is_empty() {
            self.told.requests += 1;
            self.budget.deposit(now);
            request.deadline = Deadline::earliest(now, [Some(2 * SECOND)]);
        }
        let endpoints = &self.endpoints;
        let standing = |index: usize| match endpoints[index].breaker.is_available(now) {
            false => Standing::Unavailable,
            true if request.tried.contains(&index) => Standing::Tried,
            true => Standing::Available,
        };
        let chosen = pick(3, &mut self.chance, standing, |index| endpoints[index].load.cost(now));
        let second = (now - self.start).as_secs();
        let Some(index) = chosen else {
            self.told.unsent += 1;
            return self.told.fail(second);
        };
        let permit = self.endpoints[index].breaker.admit(now).expect("it is available");
        let flight = self.endpoints[index].load.start(now);
        request.tried.push(index);
        let (took, event) = match index {
            index
                if index < self.faulty
                    && (u64::from(FAULT.start)..u64::from(FAULT.end)).contains(&second) =>
            {
                self.fault.does()
            }
            _ => (ANSWER, Event::Grpc(0)),
        };
        if index < self.faulty {
            *self.told.to_faulty.entry(second).or_default() += 1;
        }
        self.schedule(now + took, Step::End { request, flight, permit, event });
    }

    fn end(&mut self, now: Instant, request: Request, flight: Flight, permit: Permit, event: Event) {
        let index = *request.tried.last().expect("it was sent");
        let endpoint = &mut self.endpoints[index];
        endpoint.load.end(now, flight, Outcome::from(event));
        let changed = endpoint.breaker.record(now, permit, event.into(), &mut self.chance);
        if matches!(changed, Some(State::Open { .. })) {
            endpoint.load.forget();
        }
        if event == Event::Grpc(0) {
            return;
        }
        let attempt = Attempt {
            event,
            made: request.tried.len() as u32,
            idempotent: true,
            committed: false,
            replayable: true,
            pushback: None,
            deadline: request.deadline,
        };
        match retry::decide(&self.retry, &attempt, now, &mut self.budget, &mut self.chance) {
            Decision::After(wait) => {
                self.told.retries += 1;
                self.schedule(now + wait, Step::Send(request));
            }
            Decision::Stop(_) => self.told.fail((now - self.start).as_secs()),
        }
    }
}

/// Which share of its part the endpoint with the fault gets in these seconds.
fn share(told: &Told, seconds: std::ops::Range<u32>) -> f64 {
    let part = told.requests / END / 3 * (seconds.end - seconds.start);
    f64::from(told.to_faulty(seconds)) / f64::from(part)
}

#[test]
fn what_another_endpoint_can_do_does_not_fail() {
    for fault in [Fault::Killed, Fault::Frozen, Fault::Failing] {
        let told = Engine::new(fault, 1).run();
        assert_eq!(told.failed, 0, "{fault:?} {told:?}");
        // Of 10,000 requests: those that are under way when it begins, and one every few seconds.
        assert!((1..30).contains(&told.retries), "{fault:?} {told:?}");
        assert!(share(&told, 5..10) > 0.9, "{fault:?} {told:?}");
        assert!(share(&told, END - 10..END) > 0.9, "{fault:?} {told:?}");
    }
}

#[test]
fn fast_refusals_attract_nobody() {
    let told = Engine::new(Fault::Overloaded, 1).run();
    assert_eq!(told.retries, 0);
    assert!((1..20).contains(&told.failed), "{told:?}");
    assert!(share(&told, END - 10..END) > 0.9, "{told:?}");
}

/// A latency is remembered for longer than a failure: that is what the average is for.
#[test]
fn a_slow_endpoint_is_spared_and_comes_back_by_and_by() {
    let told = Engine::new(Fault::Slow, 1).run();
    assert_eq!((told.failed, told.retries), (0, 0));
    assert!(share(&told, FAULT) < 0.05, "{told:?}");
    assert!((0.3..0.9).contains(&share(&told, END - 10..END)), "{told:?}");
}

/// With nobody left the breakers answer at once, and the endpoints are found to be back without being asked
/// often.
#[test]
fn with_all_endpoints_gone_requests_fail_at_once_until_one_is_back() {
    for fault in [Fault::Killed, Fault::Failing] {
        let told = Engine::new(fault, 3).run();
        assert!(told.failed >= 9_900 && told.unsent * 100 > told.failed * 98, "{fault:?} {told:?}");
        assert!(told.to_faulty(FAULT) < 100 && told.retries < 200, "{fault:?} {told:?}");
        // The longest backoff of a fault of 10 s: four have failed, after 1, 2, 4 and 8 s, half as long again
        // at most.
        assert!(told.last_failed < u64::from(FAULT.end) + 13, "{fault:?} {told:?}");
    }
}
