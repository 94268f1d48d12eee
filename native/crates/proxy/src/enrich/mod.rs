//! Models that are asked about a request, or about its answer: what they get is taken from the message, what they say
//! is put into it. Pure: whoever holds the connection sends and waits.

mod element;
mod half;
pub mod path;
pub mod select;

pub use path::{Source, Target};
pub use select::{Found, Sources, Values, View};
