//! The queue on a clock that the tests own.

mod batches;
mod foresight;
mod levels;
mod overload;
mod properties;

use super::*;
use crate::{Mailbox, Outcome, Tensor, ragged::Ragged};
use smallvec::smallvec;
use tokio::sync::oneshot;

struct Bench {
    start: Instant,
    queue: Queue,
    callers: Vec<Option<oneshot::Receiver<Outcome>>>,
    /// Rows and reason of what was refused while it waited.
    refused: Vec<(usize, String)>,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        let queue = Queue::new(policy, 1);
        Self { start: Instant::now(), queue, callers: Vec::new(), refused: Vec::new() }
    }

    fn at(&self, micros: u64) -> Instant {
        self.start + Duration::from_micros(micros)
    }

    fn request(&mut self, micros: u64, rows: usize, width: i64) -> Request {
        let inputs = smallvec![Tensor { shape: smallvec![rows as i64, width], data: Default::default() }];
        let (request, caller) = Request::new(inputs, rows, self.at(micros), Mailbox::for_this_thread());
        self.callers.push(Some(caller));
        request
    }

    fn push_with(
        &mut self,
        micros: u64,
        rows: usize,
        change: impl FnOnce(&mut Request),
    ) -> Result<(), Error> {
        let mut request = self.request(micros, rows, 4);
        change(&mut request);
        self.queue.push(request, self.at(micros))
    }

    fn push_shaped(&mut self, micros: u64, rows: usize, width: i64) {
        let request = self.request(micros, rows, width);
        self.queue.push(request, self.at(micros)).unwrap();
    }

    fn push(&mut self, micros: u64, rows: usize) {
        self.push_shaped(micros, rows, 4);
    }

    /// As a request that comes with these parameters.
    fn place(&mut self, micros: u64, rows: usize, priority: u64, timeout: Option<u64>) -> Result<(), Error> {
        let policy = self.queue.policy().clone();
        let timeout = timeout.map(Duration::from_micros);
        self.push_with(micros, rows, |request| policy.place(request, priority, timeout))
    }

    fn give_up(&mut self, caller: usize) {
        self.callers[caller] = None;
    }

    /// The next batch as rows per request, or when to look again.
    fn next(&mut self, micros: u64) -> Result<Vec<usize>, Option<u64>> {
        loop {
            match self.queue.next(self.at(micros)) {
                Next::Run(batch) => return Ok(batch.iter().map(|request| request.rows).collect()),
                Next::Refuse(refused) => {
                    self.refused.extend(refused.into_iter().map(|(it, why)| (it.rows, why.to_string())));
                }
                Next::Wait(until) => return Err(Some((until - self.start).as_micros() as u64)),
                Next::Empty => return Err(None),
            }
        }
    }
}

fn dynamic(max_batch_size: usize, delay: u64) -> Policy {
    let max_queue_delay = Duration::from_micros(delay);
    Policy { max_batch_size, dynamic: true, max_queue_delay, ..Policy::default() }
}
