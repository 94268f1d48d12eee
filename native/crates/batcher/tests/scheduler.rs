//! The scheduler with real threads: every caller gets its own rows, whatever runs where; nothing accepted is lost.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use infermesh_batcher::{
    Backend, Buckets, Drive, Mailbox, Outcome, Policy, Rehearsal, Request, RunIn, Scheduler, Signature,
    Tensor, TensorView,
};
use infermesh_wire::{Code, DataType, Error};
use proptest::prelude::*;
use smallvec::smallvec;
use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime,
    sync::oneshot,
    task::{LocalSet, spawn_local},
};

/// Adds 1 to every byte; refuses batches that hold a 255.
struct AddOne {
    inline: bool,
}

impl Backend for AddOne {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        if inputs[0].data.contains(&255) {
            panic!("overflow");
        }
        let data: Bytes = inputs[0].data.iter().map(|byte| byte + 1).collect();
        Ok(vec![Tensor { shape: inputs[0].shape.clone(), data }])
    }

    fn may_run_inline(&self) -> bool {
        self.inline
    }

    fn run_in(&self) -> RunIn {
        RunIn::Complete
    }
}

/// Reports each batch's rows, then waits until it is let go.
struct Gated {
    started: Sender<usize>,
    gate: Receiver<()>,
}

impl Backend for Gated {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        self.started.send(inputs[0].shape[0] as usize).unwrap();
        self.gate.recv_timeout(Duration::from_secs(10)).unwrap();
        Ok(vec![Tensor { shape: inputs[0].shape.clone(), data: Bytes::copy_from_slice(inputs[0].data) }])
    }
}

fn scheduler(backends: Vec<Box<dyn Backend>>, max_batch_size: usize) -> Scheduler {
    scheduler_with(backends, Policy { max_batch_size, dynamic: true, ..Policy::default() })
}

fn scheduler_with(backends: Vec<Box<dyn Backend>>, policy: Policy) -> Scheduler {
    let types = vec![DataType::Uint8];
    let signature = Signature { inputs: types.clone(), outputs: types, ..Signature::default() };
    Scheduler::start("test", policy, signature, backends, rehearsals(), Box::new(|_| ())).unwrap()
}

/// Often enough that one of the runs is as short as they are.
fn rehearsals() -> Vec<Rehearsal> {
    let inputs = vec![Tensor { shape: smallvec![1, 1], data: Bytes::from_static(&[0]) }];
    vec![Rehearsal { name: "short".into(), inputs, rows: 1, count: 20, required: false, decoupled: false }]
}

fn request(rows: Vec<u8>, mailbox: &Arc<Mailbox>) -> (Request, oneshot::Receiver<Outcome>) {
    let count = rows.len();
    let inputs = smallvec![Tensor { shape: smallvec![count as i64, 1], data: rows.into() }];
    Request::new(inputs, count, Instant::now(), mailbox.clone())
}

/// Runs `work` as a network thread does: a single-threaded runtime with a mailbox.
fn on_network_thread<T>(work: impl AsyncFnOnce(Arc<Mailbox>) -> T) -> T {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mailbox = Mailbox::for_this_thread();
        spawn_local(mailbox.clone().deliver());
        tokio::time::timeout(Duration::from_secs(20), work(mailbox)).await.unwrap()
    })
}

async fn drive(scheduler: Arc<Scheduler>) {
    while scheduler.run_here() == Drive::Here {
        tokio::task::yield_now().await;
    }
}

/// Submits and waits, driving the scheduler where that is asked for.
async fn call(scheduler: &Arc<Scheduler>, rows: Vec<u8>, mailbox: &Arc<Mailbox>) -> Outcome {
    let (request, caller) = request(rows, mailbox);
    if scheduler.submit(request)? == Drive::Here {
        spawn_local(drive(scheduler.clone()));
    }
    caller.await.unwrap()
}

fn data(outcome: Outcome) -> Vec<u8> {
    outcome.unwrap().outputs[0].data.to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Several network threads, several instances, inline or not: the rows that come back are the caller's own.
    #[test]
    fn callers_get_their_own_rows(
        threads in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u8..250, 1..6), 1..30), 1..4),
        instances in 1usize..4,
        inline: bool,
    ) {
        let backends = (0..instances).map(|_| Box::new(AddOne { inline }) as Box<dyn Backend>).collect();
        let scheduler = Arc::new(scheduler(backends, 8));
        let total: usize = threads.iter().flatten().map(Vec::len).sum();
        // A network thread lives as long as the server: it may have promised to run others' requests.
        let end = Arc::new(tokio::sync::Barrier::new(threads.len()));
        thread::scope(|scope| {
            for requests in threads {
                let (scheduler, end) = (&scheduler, &end);
                scope.spawn(move || on_network_thread(async |mailbox| {
                    let calls: Vec<_> = requests
                        .into_iter()
                        .map(|rows| {
                            let (scheduler, mailbox) = (scheduler.clone(), mailbox.clone());
                            spawn_local(async move {
                                let expected: Vec<u8> = rows.iter().map(|byte| byte + 1).collect();
                                assert_eq!(data(call(&scheduler, rows, &mailbox).await), expected);
                            })
                        })
                        .collect();
                    for call in calls {
                        call.await.unwrap();
                    }
                    end.wait().await;
                }));
            }
        });
        prop_assert_eq!(scheduler.stats().snapshot().inferences, total as u64);
    }
}

#[test]
fn what_arrives_in_one_turn_shares_a_batch() {
    let scheduler = Arc::new(scheduler(vec![Box::new(AddOne { inline: true })], 8));
    on_network_thread(async |mailbox| {
        let calls: Vec<_> = (0..8)
            .map(|row| {
                let (scheduler, mailbox) = (scheduler.clone(), mailbox.clone());
                spawn_local(async move { call(&scheduler, vec![row], &mailbox).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
    let counters = scheduler.stats().snapshot();
    assert_eq!((counters.executions, counters.inferences), (1, 8));
}

#[test]
fn a_busy_instance_gathers_what_arrives() {
    let (started, batches) = channel();
    let (open, gate) = channel();
    let scheduler = Arc::new(scheduler(vec![Box::new(Gated { started, gate })], 8));
    on_network_thread(async |mailbox| {
        let mut callers = Vec::new();
        let mut submit = |rows| {
            let (request, caller) = request(rows, &mailbox);
            assert_eq!(scheduler.submit(request).unwrap(), Drive::Elsewhere);
            callers.push(caller);
        };
        submit(vec![1]);
        assert_eq!(batches.recv_timeout(Duration::from_secs(5)), Ok(1));
        (2..=5).for_each(|row| submit(vec![row]));
        // The third of those gives up while it waits.
        drop(callers.remove(3));
        open.send(()).unwrap();
        assert_eq!(batches.recv_timeout(Duration::from_secs(5)), Ok(3));
        open.send(()).unwrap();
        let mut answers = Vec::new();
        for caller in callers {
            answers.extend(data(caller.await.unwrap()));
        }
        assert_eq!(answers, [1, 2, 3, 5]);
    });
}

#[test]
fn a_panic_fails_its_own_batch_only() {
    for inline in [true, false] {
        let scheduler = Arc::new(scheduler(vec![Box::new(AddOne { inline })], 8));
        on_network_thread(async |mailbox| {
            let error = call(&scheduler, vec![255], &mailbox).await.unwrap_err();
            assert_eq!((error.code, &*error.message), (Code::Internal, "the backend panicked"));
            assert_eq!(data(call(&scheduler, vec![7], &mailbox).await), [8]);
        });
        let counters = scheduler.stats().snapshot();
        assert_eq!((counters.fail.count, counters.success.count), (1, 1));
    }
}

#[test]
fn closing_finishes_what_was_accepted() {
    let (started, batches) = channel();
    let (open, gate) = channel();
    let scheduler = Arc::new(scheduler(vec![Box::new(Gated { started, gate })], 1));
    on_network_thread(async |mailbox| {
        let (first, first_caller) = request(vec![1], &mailbox);
        let (second, second_caller) = request(vec![2], &mailbox);
        let _ = scheduler.submit(first).unwrap();
        let _ = scheduler.submit(second).unwrap();
        assert_eq!(batches.recv_timeout(Duration::from_secs(5)), Ok(1));
        let closing = thread::spawn({
            let scheduler = scheduler.clone();
            move || scheduler.close()
        });
        open.send(()).unwrap();
        open.send(()).unwrap();
        assert_eq!(data(first_caller.await.unwrap()), [1]);
        assert_eq!(data(second_caller.await.unwrap()), [2]);
        closing.join().unwrap();
        let error = scheduler.submit(request(vec![3], &mailbox).0).unwrap_err();
        assert_eq!(error.code, Code::Unavailable);
    });
}

/// Without a rehearsal.
fn ordered(backends: Vec<Box<dyn Backend>>, policy: Policy) -> Scheduler {
    let types = vec![DataType::Uint8];
    let signature = Signature { inputs: types.clone(), outputs: types, ..Signature::default() };
    Scheduler::start("ordered", policy, signature, backends, Vec::new(), Box::new(|_| ())).unwrap()
}

/// Reports a batch's first byte; one that begins with a 1 then waits until it is let go.
struct OneWaits {
    started: Sender<u8>,
    gate: Arc<Mutex<Receiver<()>>>,
}

impl Backend for OneWaits {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        let first = inputs[0].data[0];
        self.started.send(first).unwrap();
        if first == 1 {
            self.gate.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
        }
        Ok(vec![Tensor { shape: inputs[0].shape.clone(), data: Bytes::copy_from_slice(inputs[0].data) }])
    }
}

#[test]
fn answers_keep_their_order_where_that_is_asked_for() {
    for (preserve_ordering, expected) in [(true, [1, 2, 3]), (false, [2, 3, 1])] {
        let (started, batches) = channel();
        let (open, gate) = channel();
        let gate = Arc::new(Mutex::new(gate));
        let backend =
            || Box::new(OneWaits { started: started.clone(), gate: gate.clone() }) as Box<dyn Backend>;
        let policy = Policy { max_batch_size: 1, dynamic: true, preserve_ordering, ..Policy::default() };
        let scheduler = Arc::new(ordered(vec![backend(), backend()], policy));
        on_network_thread(async |mailbox| {
            let answered = Rc::new(RefCell::new(Vec::new()));
            let mut calls = Vec::new();
            for value in [1, 2, 3, 4] {
                let (request, caller) = request(vec![value], &mailbox);
                assert_eq!(scheduler.submit(request).unwrap(), Drive::Elsewhere);
                assert_eq!(batches.recv_timeout(Duration::from_secs(5)), Ok(value));
                let answered = answered.clone();
                calls.push(spawn_local(async move {
                    let answer = data(caller.await.unwrap());
                    answered.borrow_mut().extend(answer);
                }));
            }
            // The fourth runs on the instance that is done with the second and the third.
            while !preserve_ordering && answered.borrow().len() < 2 {
                tokio::task::yield_now().await;
            }
            open.send(()).unwrap();
            for call in calls {
                call.await.unwrap();
            }
            let order: Vec<u8> = answered.borrow().iter().copied().filter(|value| *value < 4).collect();
            assert_eq!(order, expected);
        });
    }
}

/// Remembers how many rows it was given; a row of 9 breaks it for good.
struct Fragile {
    seen: Sender<usize>,
}

impl Backend for Fragile {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        self.seen.send(inputs[0].shape[0] as usize).unwrap();
        if inputs[0].data.contains(&9) {
            return Err(Error::fatal("the device is lost"));
        }
        Ok(vec![Tensor { shape: inputs[0].shape.clone(), data: Bytes::copy_from_slice(inputs[0].data) }])
    }
}

fn fragile(
    buckets: Vec<usize>,
    rehearsals: Vec<Rehearsal>,
) -> (Result<Scheduler, Error>, Receiver<usize>, Receiver<Error>) {
    let (seen, rows) = channel();
    let (fatal, fatals) = channel();
    let fatal = std::sync::Mutex::new(fatal);
    let scheduler = Scheduler::start(
        "fragile",
        Policy { max_batch_size: 8, dynamic: true, ..Policy::default() },
        Signature {
            inputs: vec![DataType::Uint8],
            outputs: vec![DataType::Uint8],
            buckets: Buckets::new(buckets),
            ..Signature::default()
        },
        vec![Box::new(Fragile { seen })],
        rehearsals,
        Box::new(move |error| fatal.lock().unwrap().send(error.clone()).unwrap()),
    );
    (scheduler, rows, fatals)
}

#[test]
fn a_batch_is_filled_up_and_callers_get_what_is_theirs() {
    let (scheduler, rows, _fatals) = fragile(vec![4, 8], Vec::new());
    let scheduler = Arc::new(scheduler.unwrap());
    on_network_thread(async |mailbox| {
        assert_eq!(data(call(&scheduler, vec![1, 2, 3, 4, 5], &mailbox).await), [1, 2, 3, 4, 5]);
        assert_eq!(data(call(&scheduler, vec![6], &mailbox).await), [6]);
    });
    assert_eq!(rows.try_iter().collect::<Vec<_>>(), [8, 4]);
    assert_eq!(scheduler.stats().snapshot().inferences, 6);
}

#[test]
fn a_fatal_error_takes_the_model_out_of_service_and_says_so_once() {
    let (scheduler, _rows, fatals) = fragile(Vec::new(), Vec::new());
    let scheduler = Arc::new(scheduler.unwrap());
    on_network_thread(async |mailbox| {
        assert!(!scheduler.has_failed());
        let error = call(&scheduler, vec![9], &mailbox).await.unwrap_err();
        assert_eq!((error.code, &*error.message), (Code::Internal, "the device is lost"));
        assert!(scheduler.has_failed());
        for _ in 0..2 {
            let error = call(&scheduler, vec![1], &mailbox).await.unwrap_err();
            assert_eq!(error.code, Code::Unavailable);
            assert!(error.message.contains("the device is lost"), "{error}");
        }
    });
    assert_eq!(fatals.try_iter().count(), 1);
}

#[test]
fn a_required_rehearsal_that_fails_is_a_failed_start() {
    let (scheduler, rows, _fatals) = fragile(
        Vec::new(),
        vec![Rehearsal {
            name: "nine".into(),
            inputs: vec![Tensor { shape: smallvec![1, 1], data: Bytes::from_static(&[9]) }],
            rows: 1,
            count: 1,
            required: true,
            decoupled: false,
        }],
    );
    let error = scheduler.err().unwrap();
    assert_eq!(error.message, "warm-up 'nine' failed: the device is lost");
    assert_eq!(rows.try_iter().collect::<Vec<_>>(), [1]);
}
