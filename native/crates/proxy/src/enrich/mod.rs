//! Models that are asked about a request, or about its answer: what they get is taken from the message, what
//! they say is put into it. Pure: whoever holds the connections reads, asks, waits and sends.
//!
//! `rule` is the whole as it is used. In: `path` names a place in a message, `select` takes the values out,
//! `gather` and `element` lay them out as tensors, `shape` gives these the dimensions that `ports` ask for,
//! `extract` writes the request; `transform` is the way round by Python. Out: `value` reads an answer,
//! `place` and `splice` put it in.

mod element;
mod extract;
mod gather;
mod half;
pub mod path;
pub mod place;
mod ports;
pub mod rule;
pub mod select;
mod shape;
mod splice;
pub mod transform;
mod value;

pub use path::{Source, Target};
pub use place::{Placed, Placement};
pub use ports::{Port, Ports};
pub use rule::Rule;
pub use select::{Found, Sources, Values, View};
pub use transform::{Call, Reply};
