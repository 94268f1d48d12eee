//! A decoupled model's answers on their way out: as many as it has, each as soon as it is there.

use crate::{
    Backend, Part, Stats, Tensor, TensorView,
    stats::{Phases, Responded},
};
use infermesh_wire::Error;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Runs one request until its last answer is handed over or the reader is gone; waits, on this thread, where the reader
/// is behind. In the phases that is output.
pub fn stream(
    backend: &mut dyn Backend,
    inputs: &[TensorView<'_>],
    answers: &mpsc::Sender<Part>,
    stats: &Stats,
) -> Result<Phases, Error> {
    let started = Instant::now();
    let (mut index, mut since, mut waited) = (0, started, Duration::ZERO);
    let outcome = backend.stream(inputs, &mut |outputs: Vec<Tensor>| {
        let ready = Instant::now();
        let heard = answers.blocking_send(Ok(Some(outputs.into()))).is_ok();
        let sent = Instant::now();
        let what = if heard { Responded::Success } else { Responded::Cancel };
        stats.responded(index, what, ready - since, sent - ready);
        (index, since, waited) = (index + 1, sent, waited + (sent - ready));
        heard
    });
    let what = if outcome.is_ok() { Responded::Empty } else { Responded::Fail };
    stats.responded(index, what, since.elapsed(), Duration::ZERO);
    outcome?;
    let infer = started.elapsed().saturating_sub(waited);
    Ok(Phases { input: Duration::ZERO, infer, output: waited })
}
