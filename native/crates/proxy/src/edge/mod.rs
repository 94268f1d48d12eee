//! The two protocols that clients speak: bytes to a request, an answer to bytes. Neither knows the other.

pub mod http1;
pub mod http2;
pub mod stalled;

use crate::plan::Listener;
use infermesh_transport::peer::address::Peer;
use std::sync::Arc;

/// What the requests of one connection have in common.
pub struct Door {
    pub listener: Arc<Listener>,
    pub peer: Peer,
}
