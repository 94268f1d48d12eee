//! The two protocols that clients speak: bytes to a request, an answer to bytes. Neither knows the other.

pub mod http1;
pub mod http2;
pub mod stalled;
pub mod tunnel;

use crate::{answer::Answer, body::Tunnel, plan::Listener};
use infermesh_transport::peer::address::Peer;
use std::{cell::Cell, sync::Arc};

/// What the requests of one connection have in common.
pub struct Door {
    pub listener: Arc<Listener>,
    pub peer: Peer,
    /// What it leads to when HTTP is no longer spoken, and the request that made it so.
    pub tunnel: Cell<Option<(Tunnel, Answer)>>,
}
