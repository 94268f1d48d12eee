//! `infermesh_native`: the data plane as Python sees it. Nothing else in the workspace knows Python.

mod backend;
mod breakdown;
mod connections;
mod control;
mod load;
mod log;
mod proxy;
mod server;

use pyo3::prelude::*;

pyo3::create_exception!(
    infermesh_native,
    ModelError,
    pyo3::exceptions::PyException,
    "A model could not be loaded."
);

pyo3::create_exception!(
    infermesh_native,
    FatalError,
    pyo3::exceptions::PyException,
    "A model cannot be used any more."
);

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::{
        FatalError, ModelError,
        connections::{Limits, Rules, Tls},
        load::{Histogram, LoadGenerator, NullServer},
        proxy::{Hook, Proxy},
        server::Server,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    const ONNX_PARAMETERS: [&str; infermesh_onnx::PARAMETERS.len()] = infermesh_onnx::PARAMETERS;
}
