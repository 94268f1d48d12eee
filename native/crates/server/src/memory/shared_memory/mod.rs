//! Tensors that never travel: they lie in memory that client and server share.
//!
//! A client registers a region by name (`control::shared_memory`, kept in `regions`), and its requests then say where in it an input lies
//! or an output shall lie (`window`). Memory of the system (`system`) is read and written by system call, never mapped:
//! a client may cut a region short or write into it at any time, and neither a fault nor a torn value must reach the
//! server. Memory of a GPU (`cuda`) is copied by its driver. Where a client is decides what it may do (`access`).

mod access;
pub mod cuda;
pub mod region;
mod regions;
pub mod system;
mod window;

pub use access::{Access, SharedMemory};
pub use regions::{Kind, Regions};
pub use window::Window;
