//! Memory for requests and their answers: `budget` bounds it, `buffers` use it again, in `shared_memory` a client lends it.

pub mod budget;
pub mod buffers;
pub mod shared_memory;
