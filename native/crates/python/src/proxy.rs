//! The `Proxy` class.

use crate::{log, server::seconds};
use infermesh_telemetry::{outbox::Pace, rules::Choice, traces};
use infermesh_wire::Code;
use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyList},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// Names and values.
type Headers = Vec<(String, String)>;

#[pyclass(frozen, module = "infermesh_native")]
pub struct Proxy(infermesh_proxy::Proxy);

#[pymethods]
impl Proxy {
    #[new]
    #[pyo3(signature = (config, *, version))]
    fn new(config: &[u8], version: &str) -> PyResult<Self> {
        infermesh_proxy::Proxy::start(config, version).map(Self).map_err(|error| match error.code {
            Code::InvalidArgument => PyValueError::new_err(error.message),
            _ => PyRuntimeError::new_err(error.message),
        })
    }

    fn listen(&self) -> PyResult<BTreeMap<String, String>> {
        let bound = self.0.listen().map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(bound.into_iter().collect())
    }

    #[pyo3(signature = (host = "127.0.0.1", port = 0))]
    fn listen_admin(&self, host: &str, port: u16) -> PyResult<(String, u16)> {
        let address =
            self.0.listen_admin(host, port).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok((address.ip().to_string(), address.port()))
    }

    fn set_page(&self, headers: Headers, files: Vec<(String, PathBuf, Headers)>) -> PyResult<()> {
        self.0.set_page(headers, files).map_err(PyValueError::new_err)
    }

    fn picture_wanted(&self) -> bool {
        self.0.is_picture_wanted()
    }

    fn show_picture(&self, json: Vec<u8>) {
        self.0.show_picture(json);
    }

    fn stats(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.stats())
    }

    fn metrics(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.metrics())
    }

    fn drain_requested(&self) -> bool {
        self.0.drain_requested()
    }

    fn set_endpoints(&self, cluster: &str, endpoints: Vec<String>) -> PyResult<()> {
        self.0.set_endpoints(cluster, &endpoints).map_err(PyValueError::new_err)
    }

    fn set_ready(&self, ready: bool) {
        self.0.set_ready(ready);
    }

    fn start_traces(
        &self,
        rate: f64,
        resource: Vec<(String, String)>,
        queue: usize,
        batch: usize,
        delay: f64,
    ) {
        // One in so many.
        let every = if rate > 0.0 { (1.0 / rate).round().clamp(1.0, 1e9) as u32 } else { 1 };
        self.0.traces().start(traces::Settings {
            choice: Choice { on: Some(rate > 0.0), rate: Some(every), count: None },
            resource,
            shown: Vec::new(),
            pace: Some(Pace { capacity: queue, batch: batch.clamp(1, queue.max(1)), delay: seconds(delay) }),
        });
    }

    fn take_spans<'py>(&self, py: Python<'py>, timeout: f64) -> Option<(usize, Bound<'py, PyBytes>)> {
        let (count, message) = py.detach(|| self.0.traces().take(seconds(timeout)))?;
        Some((count, PyBytes::new(py, &message)))
    }

    fn lose_spans(&self, count: u64) {
        self.0.traces().lost(count);
    }

    fn flush_spans(&self) {
        self.0.traces().flush();
    }

    fn take_log<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Bound<'py, PyList>> {
        log::take(py, self.0.log(), seconds(timeout))
    }

    fn set_access_log(&self, wanted: bool) {
        self.0.log().set_accesses(wanted);
    }

    fn flush_log(&self) {
        self.0.log().flush();
    }

    fn take_hooks(&self, py: Python<'_>, timeout: f64) -> Vec<Hook> {
        let hooks = py.detach(|| self.0.take_hooks(seconds(timeout)));
        hooks.into_iter().map(|hook| Hook(Mutex::new(Some(hook)))).collect()
    }

    fn take_captures<'py>(&self, py: Python<'py>, timeout: f64) -> Vec<Bound<'py, PyBytes>> {
        let records = py.detach(|| self.0.take_captures(seconds(timeout)));
        records.iter().map(|record| PyBytes::new(py, record)).collect()
    }

    fn flush_captures(&self) {
        self.0.flush_captures();
    }

    fn drain(&self, py: Python<'_>, timeout: f64) -> bool {
        py.detach(|| self.0.drain(seconds(timeout)))
    }
}

/// A request that waits for a function in Python.
#[pyclass(frozen, module = "infermesh_native")]
pub struct Hook(Mutex<Option<infermesh_proxy::Hook>>);

#[pymethods]
impl Hook {
    #[getter]
    fn call<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let hook = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hook.as_ref().map(|hook| PyBytes::new(py, &hook.call))
    }

    #[getter]
    fn wanted(&self) -> bool {
        let hook = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hook.as_ref().is_some_and(infermesh_proxy::Hook::is_wanted)
    }

    fn reply(&self, reply: Vec<u8>) {
        let hook = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(hook) = hook {
            hook.reply(reply);
        }
    }
}
