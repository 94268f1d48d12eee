//! The decisions of the proxy engine. Pure: whoever asks gives the time, and nothing here waits, sends or
//! starts a thread.
//!
//! Each policy is a module of its own, with its settings and the source of its algorithm; the engine that
//! owns one keeps it behind a lock or in one thread.

pub mod age;
pub mod concurrency;
pub mod health;
mod jitter;
pub mod priority;
pub mod queue;
pub mod rate;
mod settings;
pub mod shed;

pub use priority::Priority;
