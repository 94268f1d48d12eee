//! Tells Python of models that fail for good while they are served.

use infermesh_server::{Breakdown, Server};
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use std::thread;

/// Calls `failed(name, version, reason)` for each, in a thread of its own, when the version is closed.
pub fn watch(server: &Server, failed: Py<PyAny>) -> PyResult<()> {
    let breakdowns =
        server.breakdowns().ok_or_else(|| PyRuntimeError::new_err("the models are being watched already"))?;
    thread::Builder::new().name("breakdowns".into()).spawn(move || {
        for Breakdown { version, reason } in breakdowns {
            Python::attach(|py| {
                if let Err(error) = failed.call1(py, (&version.name, version.number, reason)) {
                    error.write_unraisable(py, None);
                }
            });
            // Last, as an instance that hangs in its device may never end.
            version.close();
        }
    })?;
    Ok(())
}
