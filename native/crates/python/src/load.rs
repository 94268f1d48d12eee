//! The classes of the load generator.

use crate::connections::seconds;
use infermesh_loadgen::{Generator, Plan, Problem, null_server::Speech};
use prost::Message;
use pyo3::{
    exceptions::{PyConnectionError, PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
    types::PyBytes,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[pyclass(module = "infermesh_native")]
pub struct Histogram(infermesh_loadgen::Histogram);

#[pymethods]
impl Histogram {
    #[new]
    fn new() -> Self {
        Self(Default::default())
    }

    #[staticmethod]
    fn decode(encoded: &[u8]) -> PyResult<Self> {
        infermesh_loadgen::Histogram::decode(encoded).map(Self).map_err(PyValueError::new_err)
    }

    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encode())
    }

    #[pyo3(signature = (value, count = 1))]
    fn record(&mut self, value: u64, count: u64) {
        self.0.record_many(value, count);
    }

    fn merge(&mut self, other: PyRef<'_, Self>) {
        self.0.merge(&other.0);
    }

    #[getter]
    fn count(&self) -> u64 {
        self.0.count()
    }

    #[getter]
    fn min(&self) -> u64 {
        self.0.min()
    }

    #[getter]
    fn max(&self) -> u64 {
        self.0.max()
    }

    #[getter]
    fn mean(&self) -> f64 {
        self.0.mean()
    }

    #[getter]
    fn stdev(&self) -> f64 {
        self.0.stdev()
    }

    fn percentile(&self, percentile: f64) -> u64 {
        self.0.percentile(percentile)
    }

    fn count_up_to(&self, value: u64) -> u64 {
        self.0.count_up_to(value)
    }

    fn steps(&self) -> Vec<(u64, u64)> {
        self.0.steps()
    }
}

#[pyclass(frozen, module = "infermesh_native")]
pub struct LoadGenerator(Mutex<Generator>);

#[pymethods]
impl LoadGenerator {
    #[new]
    fn new(plan: &[u8]) -> PyResult<Self> {
        let plan = Plan::decode(plan).map_err(PyValueError::new_err)?;
        Ok(Self(Mutex::new(Generator::new(plan))))
    }

    fn connect(&self, py: Python<'_>, timeout: f64) -> PyResult<u32> {
        let timeout = seconds(timeout)?;
        py.detach(|| self.generator().connect(timeout)).map_err(|problem| match problem {
            Problem::Target(why) => PyConnectionError::new_err(why),
            Problem::System(error) => PyOSError::new_err(error.to_string()),
        })
    }

    #[pyo3(signature = (delay = 0.0))]
    fn start(&self, py: Python<'_>, delay: f64) -> PyResult<()> {
        let delay = seconds(delay)?;
        py.detach(|| self.generator().start(delay));
        Ok(())
    }

    #[pyo3(signature = (delay = 0.0))]
    fn measure(&self, py: Python<'_>, delay: f64) -> PyResult<()> {
        let delay = seconds(delay)?;
        py.detach(|| self.generator().measure(delay));
        Ok(())
    }

    fn take<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let slice = py.detach(|| self.generator().take().encode_to_vec());
        PyBytes::new(py, &slice)
    }

    fn wait(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds(timeout)?;
        Ok(py.detach(|| self.generator().wait(timeout)))
    }

    fn stop(&self, py: Python<'_>, drain: f64) -> PyResult<()> {
        let drain = seconds(drain)?;
        py.detach(|| self.generator().stop(drain));
        Ok(())
    }
}

impl LoadGenerator {
    fn generator(&self) -> MutexGuard<'_, Generator> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pyclass(frozen, module = "infermesh_native")]
pub struct NullServer(Mutex<Option<infermesh_loadgen::NullServer>>);

#[pymethods]
impl NullServer {
    #[new]
    #[pyo3(signature = (port, *, protocol, answer, threads = 1))]
    fn new(port: u16, protocol: &str, answer: Vec<u8>, threads: usize) -> PyResult<Self> {
        let speech = match protocol {
            "grpc" => Speech::Grpc,
            "http" => Speech::Http,
            other => {
                return Err(PyValueError::new_err(format!(
                    "the protocol {other:?} is neither grpc nor http"
                )));
            }
        };
        let server = infermesh_loadgen::NullServer::start(port, speech, answer.into(), threads)
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self(Mutex::new(Some(server))))
    }

    #[getter]
    fn port(&self) -> PyResult<u16> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        server
            .as_ref()
            .map(|server| server.port())
            .ok_or_else(|| PyRuntimeError::new_err("the server is closed"))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
}
