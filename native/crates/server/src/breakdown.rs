//! Versions that fail for good while they are served: they leave service at once, and whoever owns the server is told.

use crate::{models::Version, shared::Shared};
use infermesh_batcher::scheduler::OnFatal;
use std::sync::{Arc, Weak, mpsc::Sender};

/// To be closed by whoever is told of it, on a thread that may wait for its instances.
pub struct Breakdown {
    pub version: Arc<Version>,
    /// The error after which it cannot be used any more.
    pub reason: String,
}

/// What the scheduler of a version calls when it fails. It knows the server only as long as there is one.
pub fn on_fatal(shared: Weak<Shared>, told: Sender<Breakdown>, name: String, number: i64) -> OnFatal {
    Box::new(move |error| {
        let reason = error.message.to_string();
        let version = shared.upgrade().and_then(|shared| shared.registry.break_down(&name, number, &reason));
        if let Some(version) = version {
            // Nobody listens in a server that is ending.
            let _ = told.send(Breakdown { version, reason });
        }
    })
}
