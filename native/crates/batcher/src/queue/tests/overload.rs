//! More requests than a model can serve, played through in virtual time.

use super::*;

/// A model on one instance: a batch takes `fixed + each * rows` microseconds, give or take `noise`.
#[derive(Clone, Copy)]
struct Model {
    fixed: f64,
    each: f64,
    noise: f64,
}

const SECOND: u64 = 1_000_000;
const SLO: Duration = Duration::from_millis(50);
/// Seconds of each play: the first is not counted, as nothing is known by then.
const COUNTED: u64 = 3;

/// A small generator whose numbers are the same in every run (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    /// Between 0 and 1, neither included.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

#[derive(Debug, Default)]
struct Tally {
    /// Answered within the objective, after it, and refused.
    good: usize,
    late: usize,
    refused: usize,
    /// Microseconds that those answered have waited for their batch.
    waited: u64,
}

impl Model {
    fn takes(&self, rows: usize, random: &mut Random) -> u64 {
        ((self.fixed + self.each * rows as f64) * (1.0 + self.noise * (2.0 * random.next() - 1.0))) as u64
    }

    /// Requests per second of full batches.
    fn capacity(&self, max_batch_size: usize) -> f64 {
        max_batch_size as f64 / (self.fixed + self.each * max_batch_size as f64) * SECOND as f64
    }

    /// What becomes of `load` times the capacity, which arrives at random moments (Poisson).
    fn serve(&self, policy: Policy, load: f64) -> Tally {
        let rate = load * self.capacity(policy.max_batch_size) / SECOND as f64;
        let (mut bench, mut random, mut tally) =
            (Bench::new(policy), Random(0x9E37_79B9_7F4A_7C15), Tally::default());
        let mut arrival = 0;
        // When the running batch ends, and when its requests came.
        let mut running: Option<(u64, u64, Vec<u64>)> = None;
        let mut look = None;
        loop {
            let end = running.as_ref().map(|(_, end, _)| *end);
            let now = end.into_iter().chain(look).chain([arrival]).min().unwrap();
            if now > (1 + COUNTED) * SECOND {
                return tally;
            }
            let counts = |came: u64| came > SECOND;
            if now == arrival {
                if bench.place(now, 1, 0, None).is_err() && counts(now) {
                    tally.refused += 1;
                }
                arrival += (-random.next().ln() / rate) as u64 + 1;
            }
            if let Some((started, end, came)) = running.take_if(|(_, end, _)| *end == now) {
                bench.queue.finished(0, Some(Duration::from_micros(end - started)), bench.at(now));
                for came in came.into_iter().filter(|came| counts(*came)) {
                    let in_time = end - came <= SLO.as_micros() as u64;
                    *(if in_time { &mut tally.good } else { &mut tally.late }) += 1;
                }
            }
            look = None;
            while running.is_none() {
                match bench.queue.next(bench.at(now)) {
                    Next::Run(batch) => {
                        let rows = batch.len();
                        bench.queue.started(0, rows, bench.at(now));
                        let came = |it: &Request| (it.enqueued - bench.start).as_micros() as u64;
                        let came: Vec<u64> = batch.iter().map(came).collect();
                        let counted = came.iter().filter(|came| counts(**came));
                        tally.waited += counted.map(|came| now - came).sum::<u64>();
                        running = Some((now, now + self.takes(rows, &mut random), came));
                    }
                    Next::Refuse(refused) => tally.refused += refused.len(),
                    Next::Wait(until) => {
                        look = Some((until - bench.start).as_micros() as u64 + 1);
                        break;
                    }
                    Next::Empty => break,
                }
            }
        }
    }
}

/// Batches whose cost is their number, their rows, both with a lot of noise, and little of either.
const MODELS: [Model; 4] = [
    Model { fixed: 10_000.0, each: 50.0, noise: 0.1 },
    Model { fixed: 200.0, each: 600.0, noise: 0.1 },
    Model { fixed: 4_000.0, each: 400.0, noise: 0.3 },
    Model { fixed: 500.0, each: 50.0, noise: 0.3 },
];

fn with_slo() -> Policy {
    Policy { slo: Some(SLO), ..dynamic(16, 0) }
}

#[test]
fn with_an_objective_overload_costs_refusals_and_nothing_else() {
    for model in MODELS {
        let tally = model.serve(with_slo(), 2.0);
        let share = tally.good as f64 / (model.capacity(16) * COUNTED as f64);
        assert!(share > 0.9, "{share} of what it can serve: {tally:?}");
        assert!(tally.late * 100 < tally.good, "{tally:?}");
    }
}

#[test]
fn with_a_fixed_delay_alone_overload_makes_nearly_everything_late() {
    let (fixed, tuned) = (MODELS[2].serve(dynamic(16, 5_000), 2.0), MODELS[2].serve(with_slo(), 2.0));
    assert!(tuned.good > 10 * fixed.good, "{tuned:?} {fixed:?}");
}

#[test]
fn without_overload_nothing_is_late_or_refused() {
    for model in MODELS {
        let tally = model.serve(with_slo(), 0.7);
        assert!((tally.late + tally.refused) * 1_000 < tally.good, "{tally:?}");
    }
}

#[test]
fn the_delay_grows_with_the_load() {
    let model = Model { fixed: 500.0, each: 500.0, noise: 0.0 };
    let wait = |load| {
        let tally = model.serve(with_slo(), load);
        tally.waited as usize / tally.good
    };
    let (idle, busy) = (wait(0.02), wait(0.8));
    assert!(idle < 200 && busy > 3_000, "{idle} us, {busy} us");
}
