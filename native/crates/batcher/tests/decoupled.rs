//! Decoupled models: any number of answers to a request, at the pace of who reads them.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use infermesh_batcher::{
    Backend, Claim, Drive, Failure, Mailbox, Many, Part, Policy, Reply, Request, Scheduler, Signature,
    Tensor, TensorView, reply::WINDOW,
};
use infermesh_wire::{Code, DataType, Error};
use smallvec::smallvec;
use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(10);

/// Counts from 0 up to its input; 255 never ends, 254 panics after one answer, 253 fails after two. Reports each count
/// before it is sent, and the end.
struct Counter {
    told: Sender<Option<u8>>,
}

impl Backend for Counter {
    fn run(&mut self, _: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        unreachable!("the model is decoupled");
    }

    fn stream(
        &mut self,
        inputs: &[TensorView<'_>],
        send: &mut dyn FnMut(Vec<Tensor>) -> bool,
    ) -> Result<(), Error> {
        let end = inputs[0].data[0];
        for count in 0..end {
            self.told.send(Some(count)).unwrap();
            let answer = Tensor { shape: smallvec![1, 1], data: Bytes::from(vec![count]) };
            if !send(vec![answer]) {
                break;
            }
            match end {
                254 => panic!("after one"),
                253 if count == 1 => return Err(Error::internal("after two")),
                _ => {}
            }
        }
        self.told.send(None).unwrap();
        Ok(())
    }
}

fn counter() -> (Scheduler, Receiver<Option<u8>>) {
    let (told, reports) = channel();
    let signature =
        Signature { inputs: vec![DataType::Uint8], outputs: vec![DataType::Uint8], ..Signature::default() };
    let policy = Policy { max_batch_size: 8, ..Policy::default() };
    let scheduler = Scheduler::start(
        "test",
        policy,
        signature,
        vec![Box::new(Counter { told })],
        Vec::new(),
        Box::new(|_| ()),
    );
    (scheduler.unwrap(), reports)
}

fn ask(scheduler: &Scheduler, count: u8) -> (mpsc::Receiver<Part>, Claim) {
    let (sender, parts) = mpsc::channel(WINDOW);
    let claim = Claim::default();
    let reply = Reply::Many(Many { parts: sender, count: claim.clone(), timing: Default::default() });
    let inputs = smallvec![Tensor { shape: smallvec![1, 1], data: vec![count].into() }];
    let request = Request::answering(reply, inputs, 1, Instant::now(), Mailbox::for_this_thread());
    assert_eq!(scheduler.submit(request).unwrap(), Drive::Elsewhere);
    (parts, claim)
}

/// Everything that is said until the end, which is a part of its own.
fn all(parts: &mut mpsc::Receiver<Part>) -> (Vec<u8>, Result<(), Error>) {
    let mut found = Vec::new();
    loop {
        match parts.blocking_recv().expect("an end") {
            Ok(Some(outputs)) => found.push(outputs[0].data[0]),
            Ok(None) => return (found, Ok(())),
            Err(error) => return (found, Err(error)),
        }
    }
}

#[test]
fn answers_come_in_order_and_then_their_end() {
    let (scheduler, _reports) = counter();
    for count in [0, 1, 7, 200] {
        let (mut parts, _) = ask(&scheduler, count);
        assert_eq!(all(&mut parts), ((0..count).collect(), Ok(())));
        assert!(parts.blocking_recv().is_none());
    }
    let counters = scheduler.stats().snapshot();
    assert_eq!((counters.success.count, counters.executions, counters.inferences), (4, 4, 4));
}

#[test]
fn a_model_waits_for_a_reader_that_is_behind() {
    let (scheduler, reports) = counter();
    let (mut parts, _) = ask(&scheduler, 200);
    for count in 0..=WINDOW as u8 {
        assert_eq!(reports.recv_timeout(PATIENCE), Ok(Some(count)));
    }
    // What was reported last is still in the model's hands: all before it fill the window.
    assert!(reports.try_recv().is_err());
    assert_eq!(all(&mut parts).0.len(), 200);
}

#[test]
fn a_reader_that_leaves_sets_the_model_free() {
    let (scheduler, reports) = counter();
    let (parts, claim) = ask(&scheduler, 255);
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(Some(0)));
    assert!(claim.take());
    drop(parts);
    assert!(reports.iter().any(|report| report.is_none()));
    let (mut parts, _) = ask(&scheduler, 3);
    assert_eq!(all(&mut parts), (vec![0, 1, 2], Ok(())));
    // The one that left has counted itself.
    let counters = scheduler.stats().snapshot();
    assert_eq!((counters.success.count, counters.fail.count, counters.executions), (1, 0, 2));
}

#[test]
fn an_error_in_the_middle_ends_its_own_request() {
    let (scheduler, _reports) = counter();
    let (mut failing, _) = ask(&scheduler, 253);
    let (found, end) = all(&mut failing);
    assert_eq!((found, end), (vec![0, 1], Err(Error::internal("after two"))));
    let (mut panicking, _) = ask(&scheduler, 254);
    let (found, end) = all(&mut panicking);
    assert_eq!((found, end.unwrap_err().code), (vec![0], Code::Internal));
    let (mut whole, _) = ask(&scheduler, 2);
    assert_eq!(all(&mut whole), (vec![0, 1], Ok(())));
    let counters = scheduler.stats().snapshot();
    assert_eq!((counters.success.count, counters.failures[Failure::Backend as usize]), (1, 2));
}

#[test]
fn closing_lets_a_stream_finish() {
    let (scheduler, reports) = counter();
    let (mut parts, _) = ask(&scheduler, 100);
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(Some(0)));
    std::thread::scope(|scope| {
        scope.spawn(|| scheduler.close());
        assert_eq!(all(&mut parts).0.len(), 100);
    });
}
