//! Towards those who do the work: which of them, over which connection.
//!
//! A `cluster` is a set of `endpoint`s that do the same, treated as its `settings` say, and picks one; `discover` finds out
//! which there are, `health` how they are, `peers` who does worse than the others. A `split` sends a share of a cluster's
//! requests to others. Each network thread has a `pool` of
//! connections to each, made by `connect` and spoken on by `http1` or `http2`; a `pulse` tells whether one lives,
//! a `burden` whether it costs too much.

pub mod address;
mod burden;
pub mod cluster;
pub mod connect;
pub mod discover;
pub mod endpoint;
pub mod health;
mod http1;
mod http2;
pub mod listening;
mod peers;
pub mod pool;
pub mod pulse;
pub mod settings;
pub mod split;
pub mod term;

use crate::body::Lost;
use std::fmt;

/// Why an attempt came to nothing before there was an answer.
#[derive(Debug, Clone)]
pub enum Failure {
    /// No connection could be made; nothing was sent.
    Connect(String),
    /// There is no room for another request; nothing was sent.
    Full(String),
    /// The connection or the stream ended.
    Lost(Lost),
    /// The attempt's own time was up.
    TimedOut(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(why) | Self::Full(why) | Self::TimedOut(why) => f.write_str(why),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}
