//! What Prometheus reads: `models` under Triton's names and as histograms, `server` about itself, `machine` from the
//! system, `gpu` from NVIDIA's library where there is one. The process and the format are `telemetry`'s.

mod gpu;
mod machine;
mod models;
mod server;

pub use machine::Machine;

use crate::shared::Shared;
use infermesh_telemetry::metrics::{Text, process};

/// Everything, in the text format. Reads files and asks devices: not for a network thread.
pub fn expose(shared: &Shared) -> String {
    let mut text = Text::default();
    models::write(&mut text, &shared.registry, shared.cache.is_some());
    server::write(&mut text, shared);
    process::write(&mut text);
    shared.machine.write(&mut text);
    gpu::write(&mut text);
    text.into()
}
