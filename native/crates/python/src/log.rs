//! Python's `logging`: records on their way to it, and its settings, which clients may change.

use crate::control::describe;
use infermesh_server::{LogControl, Setting};
use infermesh_telemetry::{
    Log,
    log::{Level, Value},
};
use infermesh_wire::Error;
use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyList},
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
                Value::List(values) => fields.set_item(name, values)?,
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

pub struct PythonLogControl {
    pub change: Py<PyAny>,
}

impl LogControl for PythonLogControl {
    fn change(&self, settings: Vec<(String, Option<Setting>)>) -> Result<Vec<(String, Setting)>, Error> {
        Python::attach(|py| {
            let given = PyDict::new(py);
            for (name, setting) in settings {
                match setting {
                    Some(Setting::Bool(value)) => given.set_item(name, value)?,
                    Some(Setting::Unsigned(value)) => given.set_item(name, value)?,
                    Some(Setting::Text(value)) => given.set_item(name, value)?,
                    None => given.set_item(name, py.None())?,
                }
            }
            let shown = self.change.bind(py).call1((given,))?.cast_into::<PyDict>()?;
            let named =
                |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| Ok((name.extract()?, setting(&value)?));
            shown.iter().map(named).collect::<PyResult<_>>()
        })
        .map_err(describe)
    }
}

fn setting(value: &Bound<'_, PyAny>) -> PyResult<Setting> {
    // A bool is an integer to Python, too.
    if value.is_instance_of::<PyBool>() {
        return value.extract().map(Setting::Bool);
    }
    value.extract().map(Setting::Unsigned).or_else(|_| value.extract().map(Setting::Text))
}
