//! NVIDIA's driver as far as the server needs it: devices, streams, pinned and device memory, memory of other processes,
//! copies between them.
//!
//! The driver's own API (libcuda.so.1) is the same whatever CUDA version a runtime was built for, and comes with the
//! driver. It is opened when it is first asked for, so a server without a GPU never needs it. Contexts are the devices'
//! primary ones, which CUDA's runtime, and with it ONNX Runtime, uses too.

mod device;
mod driver;
mod memory;
mod shared;
mod sticky;
mod stream;

pub use device::{Context, Device, device_count, devices};
pub use memory::{Block, DeviceMemory, PinnedMemory, Pool};
pub use shared::{Handle, SharedMemory};
pub use sticky::is_sticky;
pub use stream::Stream;
