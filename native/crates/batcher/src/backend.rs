//! What executes a batch.

use crate::RunIn;
use bytes::Bytes;
use infermesh_wire::{Error, Shape};

/// An owned tensor: row-major little-endian elements, `BYTES` elements with their length in front.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub shape: Shape,
    pub data: Bytes,
}

impl Tensor {
    /// In the place of an input that a request leaves out: no shape and no elements, of which even a scalar has one.
    pub fn absent() -> Self {
        Self { shape: Shape::new(), data: Bytes::new() }
    }

    pub fn is_absent(&self) -> bool {
        self.shape.is_empty() && self.data.is_empty()
    }
}

/// A tensor of a batch on its way into a backend. `data` is aligned to the element size.
#[derive(Debug, Clone)]
pub struct TensorView<'a> {
    pub shape: Shape,
    pub data: &'a [u8],
}

impl TensorView<'_> {
    /// Whether it stands for an input that the batch's requests leave out.
    pub fn is_absent(&self) -> bool {
        self.shape.is_empty() && self.data.is_empty()
    }
}

/// Memory of the host in which a batch's inputs are put together, aligned for any element type.
pub trait Memory: Send {
    fn bytes(&mut self) -> &mut [u8];
}

/// One instance of a model. It runs one batch at a time.
pub trait Backend: Send {
    /// Executes a batch: inputs and outputs in the order of the model's signature.
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error>;

    /// Of a decoupled model: executes one request and hands each answer to `send`, in order, until there is no more or
    /// `send` says that nobody listens (false). `send` may wait for the reader.
    fn stream(
        &mut self,
        _inputs: &[TensorView<'_>],
        _send: &mut dyn FnMut(Vec<Tensor>) -> bool,
    ) -> Result<(), Error> {
        Err(Error::internal("the backend gives one answer to each request"))
    }

    /// Whether `run` may be called on a network thread: it never waits for anything but its own arithmetic.
    fn may_run_inline(&self) -> bool {
        false
    }

    /// Memory of at least this size from which it takes inputs with less effort; `None` where any will do.
    fn memory(&self, _bytes: usize) -> Option<Box<dyn Memory>> {
        None
    }

    /// How far it is run in before it serves. Asked on the thread that will run it.
    fn run_in(&self) -> RunIn {
        RunIn::Skip
    }
}
