//! The `onnxruntime` backend. It calls the C library that the installed onnxruntime wheel carries, so a batch never
//! enters the interpreter and any execution provider of that wheel can be used.

mod api;
mod backend;
mod background;
mod describe;
mod fault;
mod gpu;
mod options;
mod placement;
mod providers;
mod run_options;
mod said;
mod session;
mod value;

pub use backend::{Loaded, load};
pub use options::PARAMETERS;
