//! What the owner of a server sets for its connections; the defaults are Triton's, and those of gRPC.

use std::time::Duration;

/// Rules of gRPC connections, in gRPC's own terms.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A connection is asked to leave at this age, give or take a tenth. `None`: never.
    pub max_age: Option<Duration>,
    /// What its requests are given to end after that. `None`: as long as they take.
    pub max_age_grace: Option<Duration>,
    /// A connection without a request is asked to leave after this time. `None`: never; over HTTP/1.1 after two minutes.
    pub max_idle: Option<Duration>,
    /// A peer that has sent nothing for so long is sent a ping.
    pub keepalive_time: Duration,
    /// A peer that sends nothing for so long after that is gone.
    pub keepalive_timeout: Duration,
    /// Whether pings are in order, in either direction, while no request is under way.
    pub keepalive_permit_without_calls: bool,
    /// Pings sent in a row with no headers or data between them; 0 is any number.
    pub max_pings_without_data: u32,
    /// Pings of a peer must be so far apart unless headers or data were sent to it between them.
    pub min_ping_interval: Duration,
    /// Pings that may come too soon; with the next the connection ends. 0 is any number.
    pub max_ping_strikes: u32,
    /// A peer that takes nothing of its answers for so long is cut off.
    pub write_timeout: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_age: None,
            max_age_grace: None,
            max_idle: None,
            keepalive_time: Duration::from_secs(7200),
            keepalive_timeout: Duration::from_secs(20),
            keepalive_permit_without_calls: false,
            max_pings_without_data: 2,
            min_ping_interval: Duration::from_secs(300),
            max_ping_strikes: 2,
            write_timeout: Duration::from_secs(60),
        }
    }
}
