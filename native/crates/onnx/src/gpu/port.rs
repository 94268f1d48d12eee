//! One input or output of an instance in the device's memory.

use super::Tools;
use crate::value::Value;
use bytes::Bytes;
use infermesh_batcher::{Tensor, TensorView};
use infermesh_cuda::DeviceMemory;
use infermesh_wire::{DataType, Error, Shape};

/// Copies an input to the device, into `memory` or larger memory that takes its place. It is there when the stream is
/// synchronized, and until then `view` has to stay.
pub fn copy_in(
    tools: &mut Tools,
    view: &TensorView<'_>,
    datatype: DataType,
    memory: &mut Option<DeviceMemory>,
) -> Result<Value, Error> {
    let enough = memory.as_ref().is_some_and(|memory| memory.bytes() >= view.data.len());
    if !enough {
        // The old one first: both may not fit.
        *memory = None;
    }
    let memory = match memory {
        Some(memory) => memory,
        None => {
            let bytes = view.data.len().next_power_of_two();
            memory.insert(DeviceMemory::allocate(&tools.context, bytes)?)
        }
    };
    // SAFETY: the caller keeps the view until it synchronizes.
    unsafe { tools.stream.copy_in(view.data, memory) }?;
    value(tools, memory, view.data.len(), &view.shape, datatype)
}

/// A tensor in the first `bytes` of `memory`.
pub fn value(
    tools: &Tools,
    memory: &DeviceMemory,
    bytes: usize,
    shape: &[i64],
    datatype: DataType,
) -> Result<Value, Error> {
    // An address on the device, which only ONNX Runtime's provider ever follows.
    let start = memory.address() as usize as *mut _;
    Value::over(tools.session.api, &tools.memory, start, bytes, shape, datatype)
}

/// An output on its way back from the device.
pub struct Returning {
    shape: Shape,
    memory: Room,
}

enum Room {
    Pinned(infermesh_cuda::Block),
    Plain(Vec<u8>),
}

/// Starts to copy an output of `bytes` bytes at `address` back to the host.
///
/// # Safety
/// `address` is on the instance's device, has that many bytes, and stays until the stream is synchronized.
pub unsafe fn copy_out(
    tools: &mut Tools,
    address: u64,
    bytes: usize,
    shape: Shape,
) -> Result<Returning, Error> {
    let mut memory = match &tools.outputs {
        Some(pool) => Room::Pinned(pool.take(bytes)?),
        None => Room::Plain(vec![0; bytes]),
    };
    let start = match &mut memory {
        Room::Pinned(block) => block.start(),
        Room::Plain(bytes) => bytes.as_mut_ptr(),
    };
    // SAFETY: as promised by the caller; the room has that many bytes and is kept with what returns.
    unsafe { tools.stream.copy_out(address, start, bytes) }?;
    Ok(Returning { shape, memory })
}

impl Returning {
    /// Once the stream is synchronized.
    pub fn into_tensor(self) -> Tensor {
        let data = match self.memory {
            Room::Pinned(block) => Bytes::from_owner(block),
            Room::Plain(bytes) => bytes.into(),
        };
        Tensor { shape: self.shape, data }
    }
}
