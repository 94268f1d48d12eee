//! Log records on their way to Python's `logging`.

use infermesh_telemetry::{
    Log,
    log::{Level, Value},
};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};
use std::time::Duration;

/// The next records as tuples of age, level, action, message and fields.
pub fn take<'py>(py: Python<'py>, log: &Log, patience: Duration) -> PyResult<Bound<'py, PyList>> {
    let records = py.detach(|| log.take(patience));
    let list = PyList::empty(py);
    for record in records {
        let fields = PyDict::new(py);
        for (name, value) in record.fields {
            match value {
                Value::Text(value) => fields.set_item(name, value)?,
                Value::Signed(value) => fields.set_item(name, value)?,
                Value::Unsigned(value) => fields.set_item(name, value)?,
                Value::Bool(value) => fields.set_item(name, value)?,
            }
        }
        let level = match record.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        };
        list.append((record.at.elapsed().as_secs_f64(), level, record.action, record.message, fields))?;
    }
    Ok(list)
}
