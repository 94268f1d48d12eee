//! What stands between a socket and the protocol spoken on it: holds the peer to what it may do.
//!
//! `guard` sees the `frames` of HTTP/2 pass, `meter` counts them by kind, `life` decides from the time and from what is
//! known of the connection (`tally`) when it ends; the owner's `rules` say how much is too much. `patient` gives up a peer
//! that takes nothing. `authority` (with `huffman`) lets pass what clients of unix sockets cannot help sending.
//! `address` says who it is; `complaints` keeps what is said about peers short.

pub mod address;
pub mod authority;
pub mod complaints;
pub mod frames;
pub mod guard;
mod huffman;
pub mod life;
mod meter;
pub mod patient;
pub mod rules;
pub mod tally;
