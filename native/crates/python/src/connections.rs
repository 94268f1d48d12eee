//! What a server's connections are held to: `Tls`, `Limits` and `Rules`, made in Python by keyword.

use infermesh_transport::TlsFiles;
use pyo3::{exceptions::PyValueError, prelude::*};
use std::{path::PathBuf, sync::Arc, time::Duration};

#[pyclass(frozen, module = "infermesh_native")]
pub struct Tls(Arc<infermesh_transport::Tls>);

#[pymethods]
impl Tls {
    #[new]
    #[pyo3(signature = (*, certificate, key, protocol, authorities = None))]
    fn new(
        certificate: PathBuf,
        key: PathBuf,
        protocol: &str,
        authorities: Option<PathBuf>,
    ) -> PyResult<Self> {
        let protocol: &'static [u8] = match protocol {
            "h2" => b"h2",
            "http/1.1" => b"http/1.1",
            other => {
                return Err(PyValueError::new_err(format!(
                    "protocol '{other}' is neither 'h2' nor 'http/1.1'"
                )));
            }
        };
        let files = TlsFiles { certificate, key, authorities };
        Ok(Self(Arc::new(infermesh_transport::Tls::load(files, protocol).map_err(PyValueError::new_err)?)))
    }
}

impl Tls {
    pub fn shared(&self) -> Arc<infermesh_transport::Tls> {
        self.0.clone()
    }
}

#[pyclass(frozen, from_py_object, module = "infermesh_native")]
#[derive(Clone)]
pub struct Limits {
    pub max_message_bytes: usize,
    pub max_input_bytes: usize,
    pub max_connections: usize,
    pub memory_budget_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let message = i32::MAX as usize;
        Self {
            max_message_bytes: message,
            max_input_bytes: message,
            max_connections: usize::MAX,
            memory_budget_bytes: usize::MAX,
        }
    }
}

#[pymethods]
impl Limits {
    #[new]
    #[pyo3(signature = (*, max_message_bytes, max_input_bytes, max_connections, memory_budget_bytes))]
    fn new(
        max_message_bytes: usize,
        max_input_bytes: usize,
        max_connections: usize,
        memory_budget_bytes: usize,
    ) -> Self {
        Self { max_message_bytes, max_input_bytes, max_connections, memory_budget_bytes }
    }
}

#[pyclass(frozen, from_py_object, module = "infermesh_native")]
#[derive(Clone, Default)]
pub struct Rules(pub infermesh_transport::Rules);

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(signature = (
        *,
        max_age,
        max_age_grace,
        keepalive_time,
        keepalive_timeout,
        keepalive_permit_without_calls,
        max_pings_without_data,
        min_ping_interval,
        max_ping_strikes,
        write_timeout,
    ))]
    #[allow(clippy::too_many_arguments)] // Python passes them by name.
    fn new(
        max_age: Option<f64>,
        max_age_grace: Option<f64>,
        keepalive_time: f64,
        keepalive_timeout: f64,
        keepalive_permit_without_calls: bool,
        max_pings_without_data: u32,
        min_ping_interval: f64,
        max_ping_strikes: u32,
        write_timeout: f64,
    ) -> PyResult<Self> {
        Ok(Self(infermesh_transport::Rules {
            max_idle: None,
            max_age: max_age.map(seconds).transpose()?,
            max_age_grace: max_age_grace.map(seconds).transpose()?,
            keepalive_time: seconds(keepalive_time)?,
            keepalive_timeout: seconds(keepalive_timeout)?,
            keepalive_permit_without_calls,
            max_pings_without_data,
            min_ping_interval: seconds(min_ping_interval)?,
            max_ping_strikes,
            write_timeout: seconds(write_timeout)?,
        }))
    }
}

/// A century stands for ever: what is added to the time of day must not overflow it.
pub fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds.min(100.0 * 365.0 * 86_400.0))
        .map_err(|_| PyValueError::new_err(format!("{seconds} is not a number of seconds from 0 on")))
}
