//! What the next request is: a workload by its weight, then the next of its payloads, or of a sequence's.

use crate::plan::{Plan, Workload};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;

pub struct Chooser {
    random: Xoshiro256PlusPlus,
    /// Sums of the weights up to each workload.
    sums: Vec<f64>,
    turns: Vec<Turn>,
    /// Chosen, but all its sequences were under way: another draw would shift the mix.
    waiting: Option<usize>,
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    pub workload: usize,
    pub payload: usize,
    pub step: Option<Step>,
}

/// A request's place in its sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub id: u64,
    pub start: bool,
    pub end: bool,
    script: usize,
    position: usize,
    length: usize,
}

enum Turn {
    /// Every `stride`th payload is this thread's.
    Payloads {
        next: usize,
        stride: usize,
    },
    Sequences(Box<Sequences>),
}

struct Sequences {
    /// Steps that come next, of sequences with no request under way.
    idle: VecDeque<Step>,
    /// Ids of sequences that have begun and not ended.
    live: FxHashSet<u64>,
    limit: usize,
    /// How many ids this thread has, if that is limited.
    ids: Option<u64>,
    started: u64,
    /// Ids taken so far, with those that were passed over.
    turn: u64,
    index: u64,
    stride: u64,
}

impl Chooser {
    /// For thread `index` of the plan's; `concurrency` sequences are live at most where the plan does not say.
    pub fn new(plan: &Plan, index: usize, concurrency: usize) -> Self {
        let threads = plan.threads;
        let mut sum = 0.0;
        let sums = plan
            .workloads
            .iter()
            .map(|workload| {
                sum += workload.weight;
                sum
            })
            .collect();
        let turns = plan
            .workloads
            .iter()
            .map(|workload| match &workload.sequences {
                None => Turn::Payloads { next: index % workload.payloads.len(), stride: threads },
                Some(sequences) => {
                    let most = match sequences.concurrent as usize {
                        0 => concurrency,
                        total => plan.part(total, index).max(1),
                    };
                    // Ids belong to threads, so that no two sequences have the same one at the same time.
                    let ids = match usize::try_from(sequences.ids) {
                        Ok(0) | Err(_) => None,
                        Ok(total) => Some(plan.part(total, index)),
                    };
                    Turn::Sequences(Box::new(Sequences {
                        idle: VecDeque::new(),
                        live: FxHashSet::default(),
                        limit: ids.map_or(most, |ids| most.min(ids)),
                        ids: ids.map(|ids| ids as u64),
                        started: 0,
                        turn: 0,
                        index: index as u64,
                        stride: threads as u64,
                    }))
                }
            })
            .collect();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(plan.seed ^ 0x6368_6f69_6365);
        (0..index).for_each(|_| random.jump());
        Self { random, sums, turns, waiting: None }
    }

    /// The next request; none while all sequences of the workload whose turn it is are under way.
    pub fn next(&mut self, plan: &Plan) -> Option<Chosen> {
        let workload = self.waiting.take().unwrap_or_else(|| self.draw());
        match &mut self.turns[workload] {
            Turn::Payloads { next, stride } => {
                let payload = *next;
                *next = (*next + *stride) % plan.workloads[workload].payloads.len();
                Some(Chosen { workload, payload, step: None })
            }
            Turn::Sequences(sequences) => {
                let Some(step) = sequences.next(&plan.workloads[workload], &mut self.random) else {
                    self.waiting = Some(workload);
                    return None;
                };
                let script = &plan.workloads[workload].scripts[step.script];
                let payload = script.start + step.position % script.len();
                Some(Chosen { workload, payload, step: Some(step) })
            }
        }
    }

    /// The request could not be sent: it is the next one again.
    pub fn put_back(&mut self, chosen: Chosen) {
        match (&mut self.turns[chosen.workload], chosen.step) {
            (Turn::Payloads { next, .. }, _) => *next = chosen.payload,
            (Turn::Sequences(sequences), Some(step)) => sequences.idle.push_front(step),
            (Turn::Sequences(_), None) => {}
        }
        self.waiting = Some(chosen.workload);
    }

    /// The request has ended; a sequence with a failed request is not continued, its state is unknown.
    pub fn ended(&mut self, workload: usize, step: Step, failed: bool) {
        let Turn::Sequences(sequences) = &mut self.turns[workload] else { return };
        if step.end || failed {
            sequences.live.remove(&step.id);
        } else {
            let position = step.position + 1;
            sequences.idle.push_back(Step {
                start: false,
                end: position + 1 == step.length,
                position,
                ..step
            });
        }
    }

    /// The workload of a request that is given up before it is chosen: the mix stays what it is.
    pub fn skip(&mut self) -> usize {
        self.waiting.take().unwrap_or_else(|| self.draw())
    }

    /// At the end of a run: the next request of a sequence that waits for one, as its last.
    pub fn last_step(&mut self, plan: &Plan) -> Option<Chosen> {
        for (workload, turn) in self.turns.iter_mut().enumerate() {
            let Turn::Sequences(sequences) = turn else { continue };
            while let Some(step) = sequences.idle.pop_front() {
                if step.start {
                    // The server never heard of it.
                    sequences.live.remove(&step.id);
                    continue;
                }
                let script = &plan.workloads[workload].scripts[step.script];
                let payload = script.start + step.position % script.len();
                return Some(Chosen { workload, payload, step: Some(Step { end: true, ..step }) });
            }
        }
        None
    }

    /// Whether a sequence is live.
    pub fn has_sequences(&self) -> bool {
        self.turns.iter().any(|turn| matches!(turn, Turn::Sequences(sequences) if !sequences.live.is_empty()))
    }

    /// Sequences are left as they are.
    pub fn abandon(&mut self) {
        for turn in &mut self.turns {
            if let Turn::Sequences(sequences) = turn {
                sequences.idle.clear();
                sequences.live.clear();
            }
        }
    }

    fn draw(&mut self) -> usize {
        let [_] = self.sums[..] else {
            let total = self.sums.last().copied().unwrap_or(1.0);
            let point = self.random.random_range(0.0..total);
            return self.sums.partition_point(|&sum| sum <= point).min(self.sums.len() - 1);
        };
        0
    }
}

impl Sequences {
    fn next(&mut self, workload: &Workload, random: &mut Xoshiro256PlusPlus) -> Option<Step> {
        if let Some(step) = self.idle.pop_front() {
            return Some(step);
        }
        let settings = workload.sequences.as_ref().filter(|_| self.live.len() < self.limit)?;
        let number = self.started * self.stride + self.index;
        self.started += 1;
        let script = (number % workload.scripts.len() as u64) as usize;
        let length = match f64::from(settings.length) {
            0.0 => workload.scripts[script].len(),
            mean => {
                let spread = mean * settings.variation;
                let drawn =
                    if spread > 0.0 { random.random_range(mean - spread..=mean + spread) } else { mean };
                drawn.round().max(1.0) as usize
            }
        };
        // The id 0 means that there is no sequence.
        let first = settings.first_id.max(1) + self.index;
        let id = loop {
            let turn = self.ids.map_or(self.turn, |ids| self.turn % ids);
            self.turn += 1;
            let id = first + turn * self.stride;
            if self.live.insert(id) {
                break id;
            }
        };
        Some(Step { id, start: true, end: length == 1, script, position: 0, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;

    fn workload(weight: f64, scripts: &[usize], sequences: Option<proto::Sequences>) -> proto::Workload {
        let payload = proto::Payload { body: "body".into(), ..Default::default() };
        proto::Workload {
            name: "m".into(),
            path: "/x".into(),
            weight,
            scripts: scripts
                .iter()
                .map(|&count| proto::Script { payloads: vec![payload.clone(); count] })
                .collect(),
            sequences,
            ..Default::default()
        }
    }

    fn plan(workloads: Vec<proto::Workload>) -> Plan {
        Plan::check(proto::LoadPlan {
            target: Some(proto::Target {
                address: "a:1".into(),
                protocol: proto::Protocol::Grpc.into(),
                ..Default::default()
            }),
            workloads,
            arrivals: Some(proto::load_plan::Arrivals::Closed(proto::ClosedLoop { concurrency: 2 })),
            seed: 5,
            ..Default::default()
        })
        .unwrap()
    }

    #[test]
    fn payloads_take_turns_over_threads() {
        let taken = |index, threads| {
            let plan = Plan { threads, ..plan(vec![workload(1.0, &[2, 1], None)]) };
            let mut chooser = Chooser::new(&plan, index, 1);
            (0..4).map(|_| chooser.next(&plan).unwrap().payload).collect::<Vec<_>>()
        };
        assert_eq!(taken(0, 1), [0, 1, 2, 0]);
        assert_eq!(taken(0, 2), [0, 2, 1, 0]);
        assert_eq!(taken(1, 2), [1, 0, 2, 1]);
    }

    #[test]
    fn weights_are_kept() {
        let plan = plan(vec![workload(3.0, &[1], None), workload(1.0, &[1], None)]);
        let mut chooser = Chooser::new(&plan, 0, 1);
        let first = (0..10_000).filter(|_| chooser.next(&plan).unwrap().workload == 0).count();
        assert!((7_300..7_700).contains(&first), "{first}");
    }

    #[test]
    fn a_sequence_plays_its_script_with_one_request_at_a_time() {
        let settings = proto::Sequences { first_id: 10, concurrent: 1, ..Default::default() };
        let plan = plan(vec![workload(1.0, &[2, 3], Some(settings))]);
        let mut chooser = Chooser::new(&plan, 0, 4);
        let mut seen = Vec::new();
        for _ in 0..6 {
            let chosen = chooser.next(&plan).unwrap();
            assert_eq!(chooser.next(&plan), None, "its only sequence is under way");
            let step = chosen.step.unwrap();
            seen.push((step.id, chosen.payload, step.start, step.end));
            chooser.ended(0, step, false);
        }
        assert_eq!(
            seen,
            [
                (10, 0, true, false),
                (10, 1, false, true),
                (11, 2, true, false),
                (11, 3, false, false),
                (11, 4, false, true),
                (12, 0, true, false),
            ]
        );
    }

    #[test]
    fn lengths_vary_about_their_mean_and_a_failure_ends_a_sequence() {
        let settings =
            proto::Sequences { first_id: 1, ids: 3, length: 20, variation: 0.2, ..Default::default() };
        let plan = plan(vec![workload(1.0, &[1], Some(settings))]);
        let mut chooser = Chooser::new(&plan, 0, 1);
        let mut lengths = Vec::new();
        for _ in 0..200 {
            loop {
                let step = chooser.next(&plan).unwrap().step.unwrap();
                assert!((1..=3).contains(&step.id));
                let (length, end) = (step.position + 1, step.end);
                chooser.ended(0, step, false);
                if end {
                    lengths.push(length);
                    break;
                }
            }
        }
        assert!(lengths.iter().all(|length| (16..=24).contains(length)), "{lengths:?}");
        assert!(lengths.iter().any(|length| *length != 20));
        let step = chooser.next(&plan).unwrap().step.unwrap();
        chooser.ended(0, step, true);
        assert!(chooser.next(&plan).unwrap().step.unwrap().start);
    }

    #[test]
    fn no_two_live_sequences_have_the_same_id() {
        let settings = proto::Sequences { first_id: 5, ids: 5, length: 3, ..Default::default() };
        let plan = Plan { threads: 2, ..plan(vec![workload(1.0, &[1], Some(settings))]) };
        let mut choosers = [Chooser::new(&plan, 0, 9), Chooser::new(&plan, 1, 9)];
        let mut live: Vec<(usize, Step)> = Vec::new();
        for (index, chooser) in choosers.iter_mut().enumerate() {
            while let Some(chosen) = chooser.next(&plan) {
                live.push((index, chosen.step.unwrap()));
            }
        }
        let ids = |live: &[(usize, Step)]| {
            let mut ids: Vec<_> = live.iter().map(|(_, step)| step.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&live), [5, 6, 7, 8, 9]);
        // The last one of the first thread fails: its id is the only one that is free.
        let (index, step) = live.remove(2);
        let id = step.id;
        choosers[index].ended(0, step, true);
        let step = choosers[index].next(&plan).unwrap().step.unwrap();
        assert!(step.start && step.id == id, "{step:?}");
    }

    #[test]
    fn what_is_open_at_the_end_gets_one_more_request() {
        let settings = proto::Sequences { first_id: 1, concurrent: 3, ..Default::default() };
        let plan = plan(vec![workload(1.0, &[4], Some(settings))]);
        let mut chooser = Chooser::new(&plan, 0, 9);
        let mut steps: Vec<_> = (0..3).map(|_| chooser.next(&plan).unwrap()).collect();
        // One has had its first answer, one is put back unsent, one is under way.
        let answered = steps.remove(0).step.unwrap();
        let id = answered.id;
        chooser.ended(0, answered, false);
        chooser.put_back(steps.remove(0));
        let last = chooser.last_step(&plan).unwrap();
        assert_eq!(last.payload, 1);
        let step = last.step.unwrap();
        assert!(step.id == id && step.end && !step.start);
        assert_eq!(chooser.last_step(&plan), None);
        chooser.ended(0, step, false);
        assert!(chooser.has_sequences(), "one is under way");
        chooser.ended(0, steps.remove(0).step.unwrap(), false);
        let step = chooser.last_step(&plan).unwrap().step.unwrap();
        chooser.ended(0, step, false);
        assert!(!chooser.has_sequences());
    }
}
