//! What is told of requests. Whoever records needs no lock for it and, while nobody wants to know more, no memory.
//!
//! `metrics` are the numbers that are kept of every request. A `record` is all that there is to say of one, if somebody asks:
//! the `access` log, those who look at live requests (`tap`), or a `trace`, to which the requests that an app sends may be
//! joined (`join`). `ending` is how a request ended, `failure` why, if it ended badly. `picture` is for people who look, and `page`
//! what shows it to them.

pub mod access;
pub mod ending;
pub mod failure;
pub mod join;
pub mod metrics;
pub mod page;
pub mod picture;
pub mod record;
pub mod tap;
pub mod trace;
