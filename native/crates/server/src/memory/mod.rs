//! Memory for requests and their answers: `buffers` use it again, in `shared_memory` a client lends it.

pub mod buffers;
pub mod shared_memory;
