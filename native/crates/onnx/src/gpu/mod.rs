//! Instances on a GPU.
//!
//! Each has a stream for its copies and memory of its own on the device, so while one copies another computes. Inputs are
//! put together in pinned memory, which the device reads by itself, and outputs come back in pinned memory that answers
//! hold until they are sent.

mod binding;
mod graphs;
mod plain;
mod port;
pub mod turn;

pub use graphs::fixed;

use crate::{run_options::RunOptions, session::Session, value::MemoryInfo};
use infermesh_batcher::{Backend, RunIn, Tensor, TensorView, backend::Memory};
use infermesh_cuda::{Context, PinnedMemory, Pool, Stream};
use infermesh_wire::{Error, proto::inference::ModelConfig};
use std::sync::Arc;

/// What an instance does its work with.
struct Tools {
    session: Arc<Session>,
    context: Arc<Context>,
    stream: Stream,
    memory: MemoryInfo,
    /// `None`: outputs come back in ordinary memory.
    outputs: Option<Arc<Pool>>,
}

/// How it runs a batch.
enum Way {
    Plain(plain::Plain),
    Graphs(graphs::Graphs),
}

pub struct Instance {
    way: Way,
    tools: Tools,
    pinned_inputs: bool,
}

impl Instance {
    /// On GPU `device`. With `graphs`, no other instance may use the session.
    pub fn new(
        session: &Arc<Session>,
        config: &ModelConfig,
        device: i32,
        graphs: bool,
    ) -> Result<Self, Error> {
        let context = Context::of(device)?;
        let optimization = config.optimization.as_ref();
        // Staging is on where nobody says otherwise.
        let pinned_inputs = optimization.and_then(|it| it.input_pinned_memory).is_none_or(|it| it.enable);
        let pinned_outputs = optimization.and_then(|it| it.output_pinned_memory).is_none_or(|it| it.enable);
        let tools = Tools {
            session: session.clone(),
            stream: Stream::new(&context)?,
            memory: MemoryInfo::of_gpu(session.api, device)?,
            outputs: pinned_outputs.then(|| Pool::new(context.clone())),
            context,
        };
        let way = match graphs {
            true => Way::Graphs(graphs::Graphs::new(config)),
            false => Way::Plain(plain::Plain::new(&tools, RunOptions::new(session.api, config)?)?),
        };
        Ok(Self { way, tools, pinned_inputs })
    }
}

impl Backend for Instance {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        self.tools.context.enter()?;
        let outcome = match &mut self.way {
            Way::Plain(plain) => plain.run(&mut self.tools, inputs),
            Way::Graphs(graphs) => graphs.run(&mut self.tools, inputs),
        };
        outcome.map_err(|error| {
            // A lost device fails everything that is asked of it, whatever the first error was called.
            let lost = self.tools.stream.synchronize().is_err_and(|error| error.fatal);
            Error { fatal: error.fatal || lost, ..error }
        })
    }

    fn memory(&self, bytes: usize) -> Option<Box<dyn Memory>> {
        if !self.pinned_inputs {
            return None;
        }
        let _turn = turn::to_run();
        // Without any left, the device can take inputs from ordinary memory.
        let memory = PinnedMemory::allocate(&self.tools.context, bytes.next_power_of_two()).ok()?;
        Some(Box::new(Pinned(memory)))
    }

    fn run_in(&self) -> RunIn {
        RunIn::Complete
    }
}

struct Pinned(PinnedMemory);

impl Memory for Pinned {
    fn bytes(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}
