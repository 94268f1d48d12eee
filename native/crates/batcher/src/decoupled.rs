//! A decoupled model's answers on their way out: as many as it has, each as soon as it is there.

use crate::{Backend, Part, Tensor, TensorView, stats::Phases};
use infermesh_wire::Error;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Runs one request until its last answer is handed over or the reader is gone; waits, on this thread, where the reader
/// is behind. In the phases that is output.
pub fn stream(
    backend: &mut dyn Backend,
    inputs: &[TensorView<'_>],
    answers: &mpsc::Sender<Part>,
) -> Result<Phases, Error> {
    let started = Instant::now();
    let mut waited = Duration::ZERO;
    backend.stream(inputs, &mut |outputs: Vec<Tensor>| {
        let ready = Instant::now();
        let heard = answers.blocking_send(Ok(Some(outputs.into()))).is_ok();
        waited += ready.elapsed();
        heard
    })?;
    let infer = started.elapsed().saturating_sub(waited);
    Ok(Phases { input: Duration::ZERO, infer, output: waited })
}
