//! What a proxy decides about a request: when it is tried, where, how often and for how long.
//!
//! Pure: nothing here does I/O, reads a clock or owns a thread. What depends on time is told it (`now`), what
//! depends on chance is given it, and the engine that owns these types keeps them behind its own locks. Each
//! policy has its `Settings`, whose `Default` is what the documentation says and whose `check` names what is
//! wrong with them.

pub mod age;
pub mod balancer;
pub mod breaker;
pub mod budget;
pub mod chance;
pub mod concurrency;
pub mod deadline;
pub mod health;
pub mod hedge;
pub mod outcome;
pub mod outlier;
pub mod priority;
pub mod quantile;
pub mod queue;
pub mod rate;
pub mod replay;
pub mod retry;
pub mod settings;
pub mod shed;
mod window;

pub use chance::Chance;
pub use deadline::Deadline;
pub use outcome::{Class, Event, Outcome};
pub use priority::Priority;
