//! Sequences with real threads: whatever runs where, each adds up its own numbers and nobody else's.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use infermesh_batcher::{
    Backend, Drive, Mailbox, Outcome, Policy, Request, Scheduler, Signature, Tensor, TensorView,
    sequence::{Plan, SequenceId, Turn},
};
use infermesh_wire::{Code, DataType, Error, proto::inference as pb};
use pb::model_sequence_batching::{State, StrategyChoice, StrategyDirect, StrategyOldest};
use smallvec::smallvec;
use std::{path::Path, sync::Arc, thread, time::Instant};
use tokio::{runtime, sync::oneshot, task::LocalSet};

/// sum = x + what it was; refuses batches that hold a negative number.
struct Adder;

impl Backend for Adder {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        let [x, was] = inputs else { panic!("one input and one state") };
        if ints(x.data).any(|number| number < 0) {
            return Err(Error::internal("negative"));
        }
        let sums = ints(x.data).zip(ints(was.data)).flat_map(|(x, was)| (x + was).to_le_bytes());
        let sum = Tensor { shape: x.shape.clone(), data: sums.collect::<Vec<_>>().into() };
        Ok(vec![sum.clone(), sum])
    }
}

fn ints(data: &[u8]) -> impl Iterator<Item = i64> {
    data.chunks(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
}

fn adder(strategy: StrategyChoice, instances: usize) -> Scheduler {
    let int64 = pb::DataType::TypeInt64 as i32;
    let state = State {
        input_name: "was".into(),
        output_name: "is".into(),
        data_type: int64,
        dims: vec![1],
        ..Default::default()
    };
    let sequences = pb::ModelSequenceBatching {
        state: vec![state],
        strategy_choice: Some(strategy),
        ..Default::default()
    };
    let config = pb::ModelConfig {
        name: "m".into(),
        max_batch_size: 4,
        input: vec![pb::ModelInput {
            name: "x".into(),
            data_type: int64,
            dims: vec![1],
            ..Default::default()
        }],
        output: vec![pb::ModelOutput {
            name: "sum".into(),
            data_type: int64,
            dims: vec![1],
            ..Default::default()
        }],
        scheduling_choice: Some(pb::model_config::SchedulingChoice::SequenceBatching(sequences)),
        ..Default::default()
    };
    let policy = Policy {
        max_batch_size: 4,
        sequences: Plan::from_config(&config, Path::new("/")).unwrap(),
        ..Policy::default()
    };
    let signature = Signature {
        inputs: vec![DataType::Int64; 2],
        outputs: vec![DataType::Int64; 2],
        ..Default::default()
    };
    let backends = (0..instances).map(|_| Box::new(Adder) as Box<dyn Backend>).collect();
    Scheduler::start("m", policy, signature, backends, Vec::new(), Box::new(|_| {})).unwrap()
}

fn ask(
    scheduler: &Scheduler,
    mailbox: &Arc<Mailbox>,
    id: &str,
    number: i64,
    [start, end]: [bool; 2],
) -> oneshot::Receiver<Outcome> {
    let inputs = smallvec![Tensor { shape: smallvec![1, 1], data: number.to_le_bytes().to_vec().into() }];
    let (mut request, caller) = Request::new(inputs, 1, Instant::now(), mailbox.clone());
    request.turn = Some(Box::new(Turn { id: SequenceId::Text(id.into()), start, end }));
    assert_eq!(scheduler.submit(request).unwrap(), Drive::Elsewhere);
    caller
}

/// Runs `work` as a network thread does: a single-threaded runtime with a mailbox.
fn on_network_thread(work: impl AsyncFnOnce(Arc<Mailbox>)) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mailbox = Mailbox::for_this_thread();
        tokio::task::spawn_local(mailbox.clone().deliver());
        tokio::time::timeout(std::time::Duration::from_secs(20), work(mailbox)).await.unwrap();
    });
}

fn sum(outcome: Outcome) -> i64 {
    let outputs = outcome.unwrap().outputs;
    assert_eq!(outputs.len(), 1, "states are not for callers");
    ints(&outputs[0].data).next().unwrap()
}

#[test]
fn sequences_from_several_threads_add_up_their_own_numbers() {
    let oldest = StrategyOldest { max_candidate_sequences: 3, ..Default::default() };
    for strategy in [StrategyChoice::Direct(StrategyDirect::default()), StrategyChoice::Oldest(oldest)] {
        let scheduler = adder(strategy, 2);
        thread::scope(|scope| {
            for caller in 0..3i64 {
                let scheduler = &scheduler;
                scope.spawn(move || {
                    on_network_thread(async |mailbox| {
                        let mut expected = Vec::new();
                        for step in 0..20i64 {
                            for sequence in 0..5i64 {
                                let number = 1000 * caller + 100 * sequence + step;
                                let id = format!("{caller}/{sequence}");
                                let flags = [step == 0, step == 19];
                                let so_far =
                                    (step + 1) * (1000 * caller + 100 * sequence) + step * (step + 1) / 2;
                                expected.push((ask(scheduler, &mailbox, &id, number, flags), so_far));
                            }
                        }
                        for (answer, so_far) in expected {
                            assert_eq!(sum(answer.await.unwrap()), so_far);
                        }
                    });
                });
            }
        });
        let counters = scheduler.stats().snapshot();
        assert_eq!((counters.success.count, counters.inferences, counters.fail.count), (300, 300, 0));
    }
}

#[test]
fn a_failed_batch_leaves_the_sum_as_it_was() {
    let scheduler = adder(StrategyChoice::Direct(StrategyDirect::default()), 1);
    on_network_thread(async |mailbox| {
        let mut answers = Vec::new();
        for (number, flags) in [(5, [true, false]), (-1, [false; 2]), (2, [false, true])] {
            answers.push(ask(&scheduler, &mailbox, "a", number, flags).await.unwrap());
        }
        let last = sum(answers.pop().unwrap());
        assert_eq!((answers.pop().unwrap().unwrap_err().code, last), (Code::Internal, 7));
    });
}

#[test]
fn closing_finishes_who_waits_for_a_slot() {
    let scheduler = adder(StrategyChoice::Direct(StrategyDirect::default()), 1);
    on_network_thread(async |mailbox| {
        // None of them ends: without the close all but the first four would wait for others to fall silent.
        let answers: Vec<_> =
            (0..30).map(|id| ask(&scheduler, &mailbox, &id.to_string(), id, [true, false])).collect();
        scheduler.close();
        for (id, answer) in answers.into_iter().enumerate() {
            assert_eq!(sum(answer.await.unwrap()), id as i64);
        }
    });
}
