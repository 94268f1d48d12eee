//! The `Server` class.

use crate::{
    ModelError,
    backend::{Ports, PythonBackend},
    breakdown,
    connections::{Limits, Rules, Tls},
    control::PythonControl,
    log::{self, PythonLogControl},
};
use infermesh_batcher::{
    Backend,
    hidden::{Hidden, hidden_inputs, hidden_outputs},
};
use infermesh_server::{Access, Settings};
use infermesh_telemetry::{outbox::Pace, rules::Choice, traces};
use infermesh_wire::{DataType, Error, proto::inference::ModelConfig};
use prost::Message;
use pyo3::{
    exceptions::PyOSError,
    prelude::*,
    types::{PyBytes, PyList},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

#[pyclass(frozen, module = "infermesh_native")]
pub struct Server(infermesh_server::Server);

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (*, version, name = "infermesh", io_threads = 0, allow_client_shm = None, response_cache_bytes = 0, limits = None, rules = None))]
    fn new(
        version: String,
        name: &str,
        io_threads: usize,
        allow_client_shm: Option<bool>,
        response_cache_bytes: usize,
        limits: Option<Limits>,
        rules: Option<Rules>,
    ) -> PyResult<Self> {
        let limits = limits.unwrap_or_default();
        let settings = Settings {
            name: name.to_owned(),
            version,
            io_threads,
            response_cache_bytes,
            max_message_bytes: limits.max_message_bytes,
            max_input_bytes: limits.max_input_bytes,
            max_connections: limits.max_connections,
            memory_budget_bytes: limits.memory_budget_bytes,
            rules: rules.unwrap_or_default().0,
            client_memory: match allow_client_shm {
                None => Access::Near,
                Some(true) => Access::Everybody,
                Some(false) => Access::Nobody,
            },
        };
        Ok(Self(infermesh_server::Server::start(settings).map_err(model_error)?))
    }

    #[pyo3(signature = (host, port, tls = None))]
    fn listen_tcp(&self, host: &str, port: u16, tls: Option<&Tls>) -> PyResult<(String, u16)> {
        let address = self.0.listen_tcp(host, port, tls.map(Tls::shared)).map_err(os_error)?;
        Ok((address.ip().to_string(), address.port()))
    }

    fn listen_unix(&self, path: PathBuf) -> PyResult<()> {
        self.0.listen_unix(&path).map_err(os_error)
    }

    #[pyo3(signature = (host, port, tls = None))]
    fn listen_http(&self, host: &str, port: u16, tls: Option<&Tls>) -> PyResult<(String, u16)> {
        let address = self.0.listen_http(host, port, tls.map(Tls::shared)).map_err(os_error)?;
        Ok((address.ip().to_string(), address.port()))
    }

    #[pyo3(signature = (host, port, tls = None))]
    fn listen_metrics(&self, host: &str, port: u16, tls: Option<&Tls>) -> PyResult<(String, u16)> {
        let address = self.0.listen_metrics(host, port, tls.map(Tls::shared)).map_err(os_error)?;
        Ok((address.ip().to_string(), address.port()))
    }

    #[allow(clippy::too_many_arguments)] // Python passes them by name.
    fn load_onnx<'py>(
        &self,
        py: Python<'py>,
        version: i64,
        path: PathBuf,
        config: &[u8],
        library: PathBuf,
        directory: PathBuf,
        classes: HashMap<String, Vec<String>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let config = decode(config)?;
        let completed = py
            .detach(|| {
                let loaded = infermesh_onnx::load(&library, &path, config)?;
                let completed = loaded.config.encode_to_vec();
                self.0.load(version, loaded.config, loaded.instances, &directory, classes)?;
                Ok(completed)
            })
            .map_err(model_error)?;
        Ok(PyBytes::new(py, &completed))
    }

    fn load_python<'py>(
        &self,
        py: Python<'py>,
        version: i64,
        config: &[u8],
        instances: Vec<Py<PyAny>>,
        directory: PathBuf,
        classes: HashMap<String, Vec<String>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut config = decode(config)?;
        if config.platform.is_empty() {
            config.platform = "python".to_owned();
        }
        let completed = config.encode_to_vec();
        py.detach(|| {
            let ports = ports(&config)?;
            let backends = instances
                .into_iter()
                .map(|callable| {
                    Box::new(PythonBackend { callable, ports: ports.clone() }) as Box<dyn Backend>
                })
                .collect();
            self.0.load(version, config, backends, &directory, classes)
        })
        .map_err(model_error)?;
        Ok(PyBytes::new(py, &completed))
    }

    fn load_ensemble(
        &self,
        py: Python<'_>,
        version: i64,
        config: &[u8],
        classes: HashMap<String, Vec<String>>,
    ) -> PyResult<()> {
        let config = decode(config)?;
        py.detach(|| self.0.compose(version, config, classes)).map_err(model_error)
    }

    fn unload(&self, py: Python<'_>, name: &str, version: i64) -> bool {
        py.detach(|| self.0.registry().unload(name, version))
    }

    fn set_unavailable(&self, py: Python<'_>, name: &str, version: i64, reason: &str) {
        py.detach(|| self.0.registry().set_unavailable(name, version, reason));
    }

    fn set_labels(&self, py: Python<'_>, name: &str, labels: BTreeMap<String, i64>) -> bool {
        py.detach(|| self.0.registry().set_labels(name, labels))
    }

    fn set_load_duration(&self, name: &str, version: i64, seconds: f64) {
        // Gone again by now, perhaps.
        if let Ok(found) = self.0.registry().find(name, &version.to_string()) {
            found.engine.stats().loaded(self::seconds(seconds));
        }
    }

    fn set_ready(&self, ready: bool) {
        self.0.registry().set_ready(ready);
    }

    fn allow_control(&self, load: Py<PyAny>, unload: Py<PyAny>) {
        self.0.allow_control(Arc::new(PythonControl { load, unload }));
    }

    fn watch_models(&self, failed: Py<PyAny>) -> PyResult<()> {
        breakdown::watch(&self.0, failed)
    }

    #[pyo3(signature = (*, on, rate, count, resource, shown, queue, batch, delay))]
    #[allow(clippy::too_many_arguments)]
    fn start_traces(
        &self,
        on: bool,
        rate: u32,
        count: i32,
        resource: Vec<(String, String)>,
        shown: Vec<(String, String)>,
        queue: usize,
        batch: usize,
        delay: f64,
    ) {
        let count = Some(Arc::new(AtomicI64::new(count.into())));
        self.0.traces().start(traces::Settings {
            choice: Choice { on: Some(on), rate: Some(rate), count },
            resource,
            shown,
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

    fn allow_log_settings(&self, change: Py<PyAny>) {
        self.0.allow_log_control(Arc::new(PythonLogControl { change }));
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

    fn drain(&self, py: Python<'_>, timeout: f64) -> bool {
        py.detach(|| self.0.drain(seconds(timeout)))
    }
}

pub fn seconds(timeout: f64) -> Duration {
    Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX)
}

fn ports(config: &ModelConfig) -> Result<Ports, Error> {
    let port = |name: &str, data_type: i32| {
        DataType::from_config(data_type)
            .map(|datatype| (name.to_owned(), datatype))
            .ok_or_else(|| Error::invalid(format!("tensor '{name}' has no data_type in the configuration")))
    };
    let hidden = |ports: Vec<Hidden>| ports.into_iter().map(|it| Ok((it.name, it.datatype)));
    let inputs = config.input.iter().map(|it| port(&it.name, it.data_type));
    let outputs = config.output.iter().map(|it| port(&it.name, it.data_type));
    Ok(Ports {
        inputs: inputs.chain(hidden(hidden_inputs(config)?)).collect::<Result<_, _>>()?,
        outputs: outputs.chain(hidden(hidden_outputs(config)?)).collect::<Result<_, _>>()?,
    })
}

fn decode(config: &[u8]) -> PyResult<ModelConfig> {
    ModelConfig::decode(bytes::Bytes::copy_from_slice(config))
        .map_err(|error| ModelError::new_err(format!("not a serialised inference.ModelConfig: {error}")))
}

fn model_error(error: Error) -> PyErr {
    ModelError::new_err(error.to_string())
}

fn os_error(error: std::io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}
